"""What it declares to take, it takes: each type in each way, in each currency."""

from collections.abc import Iterator

from msgspec.structs import replace

from bailiwick.base.money import CURRENCIES
from bailiwick.channels.contract import CannotExpress, Family, Instruction, Operation, Takes
from bailiwick_lab.channel_suite.subject import Subject, require
from bailiwick_lab.channel_suite.table import currencies


def _ways(it: Subject) -> Iterator[tuple[str, Takes]]:
    for method, ways in it.profile.methods.items():
        for takes in ways:
            yield method, takes


def _order(it: Subject, method: str, family: Family) -> Instruction | None:
    """The charge of the cases by this type, in this way."""
    charges = [
        order
        for order in it.cases.instructions.values()
        if order.operation is Operation.CHARGE and not order.store and not order.off_session
    ]
    for order in charges:
        if (order.payment_method_type, order.family) == (method, family):
            return order
    return None


def check_each_way_is_among_the_cases(it: Subject) -> None:
    for method, takes in _ways(it):
        found = _order(it, method, takes.family)
        require(found is not None, f"no instruction to charge by {method}, {takes.family.value}")
        if found is not None:
            known = frozenset() if found.payer is None else found.payer.known()
            given = known | ({"code"} if found.code else frozenset())
            lacking = set(takes.needs) - given
            require(not lacking, f"{method}, {takes.family.value}: the case lacks {lacking}")


def check_each_way_is_asked_for_in_each_of_its_currencies(it: Subject) -> None:
    for method, takes in _ways(it):
        order = _order(it, method, takes.family)
        if order is None:
            continue
        for currency in currencies(it.profile, method, takes) or usual(it):
            amount = 1_000_000 * it.profile.multiples.get(currency, 1)
            try:
                it.channel.request(
                    replace(order, amount=amount, currency=currency), it.account_in(currency)
                )
            except CannotExpress as cannot:
                require(False, f"{method}, {takes.family.value} in {currency}: {cannot}")


def usual(it: Subject) -> tuple[str, ...]:
    """All currencies of new payments, where a channel names none."""
    return tuple(code for code, each in CURRENCIES.items() if not each.withdrawn)


def check_currencies_of_a_way_are_among_the_channel_s(it: Subject) -> None:
    for method, takes in _ways(it):
        strange = set(takes.currencies) - set(it.profile.currencies or usual(it))
        require(not strange, f"{method} is taken in {strange}, and the channel takes none of it")
        some = currencies(it.profile, method, takes) or it.profile.currencies is None
        require(bool(some), f"{method} is paid in none of the channel's currencies")


def check_nothing_is_held_by_what_cannot_be(it: Subject) -> None:
    for method, takes in _ways(it):
        if takes.holds or not it.profile.manual_capture:
            continue
        order = _order(it, method, takes.family)
        if order is None:
            continue
        try:
            it.channel.request(replace(order, automatic=False), it.cases.account)
        except CannotExpress:
            continue
        require(False, f"{method}, {takes.family.value} declares no holds, and asks for one")
