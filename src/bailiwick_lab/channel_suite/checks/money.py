"""Every amount of every currency that a channel takes goes there and comes back."""

import re
from collections.abc import Iterator
from decimal import Decimal

from msgspec.structs import replace

from bailiwick.base.money import CURRENCIES
from bailiwick.channels.blocks import amounts
from bailiwick.channels.contract import (
    CannotExpress,
    Exchange,
    Operation,
    Outcome,
    Phase,
    Reply,
    read,
)
from bailiwick_lab.channel_suite.subject import Failed, Subject, require

_MANY = (1, 10, 12_300, 99_999_900)


def _sums(it: Subject) -> Iterator[tuple[str, int]]:
    for currency in CURRENCIES:
        step = it.profile.multiples.get(currency, 1)
        for amount in (step * many for many in _MANY):
            if amounts.expressible(it.profile, amount, currency):
                yield currency, amount


def _sent(it: Subject, body: bytes) -> str:
    found = re.search(it.cases.approval.sent, body.decode())
    require(found is not None, f"'approval.sent' of the cases is not in {body!r}")
    assert found is not None
    return next(each for each in found.groups() if each is not None)


def check_every_currency_survives_the_round_trip(it: Subject) -> None:
    count = 0
    for currency, amount in _sums(it):
        order = replace(it.instruction(Operation.CHARGE), amount=amount, currency=currency)
        sent = _sent(it, it.channel.request(order, it.cases.account).body)
        require(
            _value(it, sent, currency) == _own(amount, currency), f"{amount} {currency}: {sent}"
        )
        told = _read(it, order.currency, amount, sent)
        require(told == (Outcome.APPROVED, amount, currency), f"{amount} {currency}: read {told}")
        other = _read(it, currency, amount, _another(sent))
        require(other[0] is Outcome.UNKNOWN, f"{amount} {currency}: another amount is {other}")
        count += 1
    require(count > 0, "no amount of any currency can be expressed")


def _own(amount: int, currency: str) -> Decimal:
    return Decimal(amount).scaleb(-CURRENCIES[currency].exponent)


def _value(it: Subject, sent: str, currency: str) -> Decimal:
    if it.cases.approval.major:
        return Decimal(sent)
    exponent = it.profile.exponents.get(currency, CURRENCIES[currency].iso_exponent)
    return Decimal(sent).scaleb(-exponent)


def _another(sent: str) -> str:
    """The same amount but for its first digit."""
    return ("2" if sent[0] != "2" else "3") + sent[1:]


def _read(it: Subject, currency: str, amount: int, sent: str) -> tuple[Outcome, int | None, str]:
    order = replace(it.instruction(Operation.CHARGE), amount=amount, currency=currency)
    body = it.cases.approval.filled(sent, currency)
    told = read(it.channel, order, Exchange(Phase.ANSWERED, Reply(200, {}, body)))
    return told.outcome, told.amount, told.currency or ""


def check_amounts_it_cannot_express_are_not_sent(it: Subject) -> None:
    for currency in CURRENCIES:
        for amount in (1, 1001, 5_124):
            if amounts.expressible(it.profile, amount, currency):
                continue
            for operation in (Operation.CHARGE, Operation.CAPTURE, Operation.REFUND):
                order = replace(it.instruction(operation), amount=amount, currency=currency)
                try:
                    it.channel.request(order, it.cases.account)
                except CannotExpress as refused:
                    require(refused.param == "amount", f"{currency}: blames {refused.param}")
                else:
                    raise Failed(f"{operation} of {amount} {currency} was built")
