"""Every amount of every currency that a channel takes goes there and comes back."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec.structs import replace

from bailiwick.base.money import CURRENCIES
from bailiwick.channels.blocks import amounts
from bailiwick.channels.contract import (
    CannotExpress,
    Exchange,
    Instruction,
    Operation,
    Outcome,
    Phase,
    Reply,
    Request,
    Result,
    read,
)
from bailiwick_lab.channel_suite import wires
from bailiwick_lab.channel_suite.cases import Answer
from bailiwick_lab.channel_suite.subject import Failed, Subject, require

_MANY = (1, 10, 12_300, 99_999_900)


def check_every_currency_survives_the_round_trip(it: Subject) -> None:
    count = 0
    for currency, amount in _sums(it):
        order = _order(it, currency, amount)
        sent = _sent(it, it.asked(order, it.account_in(currency)))
        value, what = _value(it, sent, currency), f"{amount} {currency}"
        require(value == _own(amount, currency), f"{what}: {sent!r} was sent")
        told = _approved(it, order, sent, currency)
        seen = (told.outcome, told.amount, told.currency)
        require(seen == (Outcome.APPROVED, amount, currency), f"{what}: read {told}")
        other = _approved(it, order, _another(sent), currency)
        require(other.outcome is Outcome.UNKNOWN, f"{what}: another amount is {other.outcome}")
        count += 1
    require(count > 0, "no amount of any currency can be expressed")


def check_an_approval_names_amount_and_currency(it: Subject) -> None:
    order = it.instruction(Operation.CHARGE)
    sent = _sent(it, it.asked(order))
    for nothing in ("null", "0"):
        told = _approved(it, order, nothing, order.currency)
        require(told.outcome is Outcome.UNKNOWN, f"with the amount {nothing} it is {told.outcome}")
    reply = it.cases.approval.filled(sent, order.currency)
    changed = _in_another(it, order, sent)
    if changed == reply.body and len(it.profile.currencies or ()) == 1:
        return  # there is one currency alone, which it does not name
    told = _read(it, order, replace(reply, body=changed))
    require(told.outcome is Outcome.UNKNOWN, f"in another currency it is {told.outcome}")


def _in_another(it: Subject, order: Instruction, sent: str) -> bytes:
    """The approval with another currency wherever it names one: where its case leaves room for it,
    and where it has it written out."""
    code, other = order.currency, _other(order.currency)
    body = _renamed(it.cases.approval.filled(sent, other).body, code, other)
    return _renamed(body, code.lower(), other.lower())


def _renamed(body: bytes, old: str, new: str) -> bytes:
    return re.sub(rf"\b{old}\b".encode(), new.encode(), body)


def check_no_approval_without_its_amount(it: Subject) -> None:
    """Of every operation: with the currency changed or the amount taken away it is none."""
    for case in it.cases.answers:
        order = case.instruction
        if case.says.outcome is not Outcome.APPROVED or case.way is not None or not order.amount:
            continue
        if _read(it, order, case.reply).outcome is not Outcome.APPROVED:
            continue
        code, other = order.currency, _other(order.currency)
        for old, new in ((code, other), (code.lower(), other.lower())):
            body = _renamed(case.reply.body, old, new)
            _is_unknown(it, case, body, f"approved in {new}")
        _is_unknown(it, case, _without_amounts(it, case), "approved without an amount")


def check_amounts_it_cannot_express_are_not_sent(it: Subject) -> None:
    for currency in CURRENCIES:
        for amount in (1, 1001, 5_124):
            if amounts.expressible(it.profile, amount, currency):
                continue
            for operation in it.among(Operation.CHARGE, Operation.CAPTURE, Operation.REFUND):
                order = replace(it.instruction(operation), amount=amount, currency=currency)
                try:
                    it.channel.request(order, it.cases.account)
                except CannotExpress as refused:
                    require(refused.param == "amount", f"{currency}: blames {refused.param}")
                else:
                    raise Failed(f"{operation} of {amount} {currency} was built")


def _sums(it: Subject) -> Iterator[tuple[str, int]]:
    for currency in CURRENCIES:
        step = it.profile.multiples.get(currency, 1)
        for amount in (step * many for many in _MANY):
            if amounts.expressible(it.profile, amount, currency):
                yield currency, amount


def _order(it: Subject, currency: str, amount: int) -> Instruction:
    return replace(it.instruction(Operation.CHARGE), amount=amount, currency=currency)


def _sent(it: Subject, request: Request) -> str:
    text = wires.of(it.profile).legible(it.profile, request.body)
    found = re.search(it.cases.approval.sent, text) or re.search(
        it.cases.approval.sent, request.url
    )
    require(found is not None, f"'approval.sent' of the cases is not in {text!r}")
    assert found is not None
    return next(each for each in found.groups() if each is not None)


def _own(amount: int, currency: str) -> Decimal:
    return Decimal(amount).scaleb(-CURRENCIES[currency].exponent)


def _value(it: Subject, sent: str, currency: str) -> Decimal:
    try:
        number = Decimal(sent)
    except InvalidOperation:
        raise Failed(f"{sent!r} was sent as the amount, which is no number") from None
    return number if it.cases.approval.major else number.scaleb(-_exponent(it, currency))


def _exponent(it: Subject, currency: str) -> int:
    return it.profile.exponents.get(currency, CURRENCIES[currency].iso_exponent)


def _another(sent: str) -> str:
    """The same amount but for its first digit that counts."""
    at = next(at for at, each in enumerate(sent) if each in "123456789")
    return sent[:at] + ("2" if sent[at] != "2" else "3") + sent[at + 1 :]


def _other(currency: str) -> str:
    return "USD" if currency != "USD" else "EUR"


def _read(it: Subject, order: Instruction, reply: Reply) -> Result:
    return read(it.channel, order, Exchange(Phase.ANSWERED, reply), it.cases.account)


def _approved(it: Subject, order: Instruction, sent: str, currency: str) -> Result:
    return _read(it, order, it.cases.approval.filled(sent, currency))


def _is_unknown(it: Subject, case: Answer, body: bytes, what: str) -> None:
    if body == case.reply.body:
        return
    told = _read(it, case.instruction, replace(case.reply, body=body))
    require(told.outcome is Outcome.UNKNOWN, f"{case.name}: {what}")


def _without_amounts(it: Subject, case: Answer) -> bytes:
    """The answer with null for whatever in it is the amount, at any scale."""
    amount, currency = case.says.amount or 0, case.instruction.currency
    own = _own(amount, currency)
    values = {Decimal(amount), own, own.scaleb(_exponent(it, currency))}
    try:
        data = json.loads(case.reply.body)
    except ValueError:
        return case.reply.body
    emptied = _emptied(data, values)
    return case.reply.body if emptied == data else json.dumps(emptied).encode()


def _emptied(data: Any, values: set[Decimal]) -> Any:
    if isinstance(data, dict):
        return {key: _emptied(value, values) for key, value in data.items()}
    if isinstance(data, list):
        return [_emptied(each, values) for each in data]
    if isinstance(data, (int, float, str)) and not isinstance(data, bool):
        try:
            return None if Decimal(str(data)) in values else data
        except InvalidOperation:
            return data
    return data
