"""Codes that payers show: no card numbers where they belong, and no card number is one of them."""

from typing import Any

import msgspec
import pytest

from bailiwick import methods
from bailiwick.base.cards import is_card_number
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_id
from bailiwick.channels.contract import Family, Instruction, Operation
from bailiwick.checker.across import holds_card
from bailiwick.resources.payments.methods.tender import Tender
from bailiwick.resources.payments.params import CreatePayment
from bailiwick.serving.route import check_cards, typed

# As many digits as codes may have that begin so, and as cards may have that do.
LOOK_ALIKE = {
    "unionpay": ("62" + "1" * 17,),
    "alipay": ("25" + "1" * 14, "26" + "1" * 14, "30" + "1" * 14, "30" + "1" * 17),
}
CARDS = ("4242424242424242", "5555555555554444", "6200000000000005")


def with_check_digit(text: str) -> str:
    return next(each for n in range(10) if is_card_number(each := f"{text[:-1]}{n}"))


CODES = [(kind, with_check_digit(each)) for kind, told in LOOK_ALIKE.items() for each in told]


def paid_by(code: Any, kind: str | None) -> dict[str, Any]:
    data = {"code": code} if kind is None else {"type": kind, "code": code}
    return {"amount": "100", "currency": "cny", "payment_method_data": data}


def refused(params: dict[str, Any]) -> str | None:
    """The field that is refused for a card number."""
    with pytest.raises(ApiError) as caught:
        check_cards(params)
    with pytest.raises(ApiError) as wrong:
        typed({**params, "amount": "much"}, CreatePayment)
    assert caught.value.code == wrong.value.code == "card_number_refused"
    assert caught.value.param == wrong.value.param
    return caught.value.param


@pytest.mark.parametrize(("kind", "code"), CODES)
def test_a_code_with_a_card_s_digits_is_a_code(kind: str, code: str) -> None:
    assert methods.of_code(code) == kind
    for told in (kind, None):
        params = paid_by(code, told)
        check_cards(params)
        assert typed(params, CreatePayment).payment_method_data is not None
        with pytest.raises(ApiError) as caught:  # and what else is wrong is said
            typed({**params, "amount": "much"}, CreatePayment)
        assert caught.value.param == "amount"


@pytest.mark.parametrize("kind", [None, *LOOK_ALIKE, "wechat_pay", "blik", "card", "made_up"])
def test_a_card_number_is_refused_as_a_code(kind: str | None) -> None:
    for card in CARDS:
        assert is_card_number(card)
        assert refused(paid_by(card, kind)) == "payment_method_data[code]"


@pytest.mark.parametrize(("kind", "code"), CODES)
def test_elsewhere_it_is_taken_for_a_card_number(kind: str, code: str) -> None:
    for other in ("card", "blik", "wechat_pay", "", *(LOOK_ALIKE.keys() - {kind})):
        assert refused(paid_by(code, other)) == "payment_method_data[code]"
    good = paid_by(code, kind)
    assert refused({**good, "description": code}) == "description"
    assert refused({**good, "metadata": {"code": code}}) == "metadata[code]"
    data = {**good["payment_method_data"], "wallet_id": code}
    assert refused({**good, "payment_method_data": data}) == "payment_method_data[wallet_id]"
    options = {kind: {"code": code}}
    where = f"payment_method_options[{kind}][code]"
    assert refused({**good, "payment_method_options": options}) == where
    assert refused({"amount": "100", "code": code}) == "code"
    for written in (f"{code} ", f"{code[:4]} {code[4:]}", [code], {"0": code}):
        with pytest.raises(ApiError, match="card number"):
            check_cards(paid_by(written, kind))


@pytest.mark.parametrize(("kind", "code"), CODES)
def test_the_checker_knows_one_where_it_is_kept(kind: str, code: str) -> None:
    def kept(text: str, family: Family = Family.PRESENTED_CODE) -> list[str]:
        own = Tender(kind, family, text)
        charge = Instruction(
            Operation.CHARGE,
            new_id("ch", 1, now_ms()),
            100,
            "CNY",
            payment_method_type=kind,
            family=family,
            code=text,
        )
        both = (own, charge)
        return [msgspec.json.encode(each).decode() for each in both]

    assert not any(holds_card(text) for text in kept(code))
    assert not holds_card("\n".join(kept(code)))
    assert all(holds_card(text) for card in CARDS for text in kept(card))
    assert all(holds_card(text) for text in kept(code, Family.IN_APP))
    assert all(holds_card(f'{text}\n{{"metadata":{{"code":"{code}"}}}}') for text in kept(code))
    told = msgspec.json.encode({"description": kept(code)[0]}).decode()
    assert holds_card(told), "what a client has written is no code of ours"
