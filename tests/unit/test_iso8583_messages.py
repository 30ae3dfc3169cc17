"""What a bank is sent, and what its answers say: pure, for each channel that speaks ISO 8583."""

import pytest
from msgspec.structs import replace

from bailiwick.base.money import CURRENCIES
from bailiwick.channels.blocks.iso8583.bank import MAC_KEY as KEY_HEADER
from bailiwick.channels.blocks.iso8583.bank import Bank
from bailiwick.channels.blocks.iso8583.codec import Message, authentic, pack, unpack
from bailiwick.channels.blocks.iso8583.codes import DECLINES
from bailiwick.channels.blocks.iso8583.currencies import NUMBERS
from bailiwick.channels.contract import (
    NO_SUCH_METHOD,
    CannotExpress,
    Context,
    Exchange,
    Instruction,
    Operation,
    Outcome,
    Phase,
    Reply,
    Result,
    read,
)
from tests.unit.iso8583_kit import (
    AT,
    CHARGE,
    LATER,
    MAC_KEY,
    NAMES,
    about,
    account,
    answered,
    bank,
    reversal,
)

HOLD = replace(CHARGE, automatic=False)
CAPTURE, VOID, REFUND = (
    about(Operation.CAPTURE),
    about(Operation.VOID),
    about(Operation.REFUND),
)
ALL = [CHARGE, HOLD, CAPTURE, VOID, REFUND, reversal()]


@pytest.fixture(params=NAMES)
def it(request: pytest.FixtureRequest) -> Bank:
    return bank(request.param)


def sent(it: Bank, order: Instruction) -> Message:
    return unpack(it.profile.wire, it.request(order, account()).body)


def told(it: Bank, order: Instruction, code: str | None, **changes: str | None) -> Result:
    reply = answered(it.profile.wire, it.request(order, account()).body, code, **changes)
    return read(it, order, Exchange(Phase.ANSWERED, reply), account())


# --- what is sent


def test_a_purchase(it: Bank) -> None:
    asked = sent(it, CHARGE)
    assert asked.type == "0200"
    # 2026-09-21 14:13:20 UTC, and the numbers of the context
    assert (asked.fields[7], asked.fields[12], asked.fields[13]) == ("0921141320", "141320", "0921")
    assert (asked.fields[11], asked.fields[37]) == ("790458", "790000000456")
    assert (asked.fields[3], asked.fields[4], asked.fields[49]) == ("000000", "000000001099", "978")
    assert (asked.fields[32], asked.fields[41]) == ("123456", "TERM0001")
    assert asked.fields[it.profile.wire.token] == "tok_9f"
    assert asked.fields[it.profile.wire.reference] == "ch_a1"


def test_no_field_holds_card_data(it: Bank) -> None:
    for order in ALL:
        assert not {2, 14, 35, 36, 45, 52, 55} & set(sent(it, order).fields)
    with pytest.raises(CannotExpress) as refused:
        it.request(replace(CHARGE, payment_method="4242424242424242"), account())
    assert refused.value.param == "payment_method"


def test_each_operation_has_its_message(it: Bank) -> None:
    kinds = {order.operation: sent(it, order) for order in (CAPTURE, VOID, REFUND)}
    assert sent(it, HOLD).type == "0100"
    assert kinds[Operation.CAPTURE].type == "0220"
    assert kinds[Operation.CAPTURE].fields[38] == "A12345"
    assert kinds[Operation.REFUND].fields[3] == "200000"
    assert kinds[Operation.REFUND].fields[37] == "790000002000"  # its own
    assert kinds[Operation.VOID].type == it.profile.wire.reversal
    assert kinds[Operation.VOID].fields[37] == "790000000456"  # the charge's


@pytest.mark.parametrize(("automatic", "kind"), [(True, "0200"), (False, "0100")])
def test_a_reversal_names_the_message_that_was_never_answered(
    it: Bank, automatic: bool, kind: str
) -> None:
    charge = sent(it, replace(CHARGE, automatic=automatic))
    asked = sent(it, reversal(automatic=automatic))
    acquirer = "00000123456"
    named = charge.type + charge.fields[11] + charge.fields[7] + acquirer + "0" * 11
    assert charge.type == kind
    assert asked.fields[90] == named
    assert asked.fields[37] == charge.fields[37]
    assert asked.fields[11] != charge.fields[11]
    assert asked.fields[it.profile.wire.original] == CHARGE.reference
    assert 38 not in asked.fields


@pytest.mark.parametrize("order", [CAPTURE, VOID, REFUND, reversal()])
def test_a_repeat_differs_by_its_type_alone(it: Bank, order: Instruction) -> None:
    first, again = sent(it, order), sent(it, replace(order, repeat=True))
    assert again.type == first.type[:3] + "1"
    codes = {64: "", 128: ""}
    assert {**first.fields, **codes} == {**again.fields, **codes}
    assert it.request(replace(order, repeat=True), account()) == it.request(
        replace(order, repeat=True), account()
    )


def test_a_charge_is_not_repeated(it: Bank) -> None:
    with pytest.raises(CannotExpress):
        it.request(replace(CHARGE, repeat=True), account())


def test_messages_have_a_code_where_there_is_a_key(it: Bank) -> None:
    request = it.request(CHARGE, account())
    assert authentic(it.profile.wire, request.body, bytes.fromhex(MAC_KEY))
    assert request.headers[KEY_HEADER] == MAC_KEY.lower()
    if it.profile.wire.mac.required:
        with pytest.raises(CannotExpress, match="mac_key"):
            it.request(CHARGE, account(mac_key=None))
    else:
        plain = it.request(CHARGE, account(mac_key=None))
        assert KEY_HEADER not in plain.headers
        assert 128 not in unpack(it.profile.wire, plain.body).fields


def test_numbers_of_attempts_are_their_own(it: Bank) -> None:
    seen = set()
    for more in range(2_000):
        context = Context(AT.instant_ms, AT.sequence + more)
        fields = sent(it, replace(CHARGE, context=context)).fields
        seen.add((fields[7], fields[11]))
        seen.add(fields[37])
    assert len(seen) == 4_000


@pytest.mark.parametrize(
    "order",
    [
        replace(CHARGE, payment_method=None),
        replace(CHARGE, payment_method="tok\n"),
        replace(CHARGE, payment_method="t" * 1_000),
        replace(CHARGE, context=None),
        replace(CAPTURE, provider_ref=None),
        replace(CAPTURE, provider_ref="x/../y"),
        replace(CAPTURE, original=None),
        replace(CAPTURE, final=False),
        replace(REFUND, provider_ref=None),
        replace(VOID, provider_ref=None, charge_reference=None),
        replace(CHARGE, operation=Operation.INCREMENT),
        replace(CHARGE, operation=Operation.SETUP, amount=0, currency="XXX"),
        replace(CHARGE, amount=10**12),
    ],
)
def test_what_cannot_be_said_is_not_sent(it: Bank, order: Instruction) -> None:
    with pytest.raises(CannotExpress):
        it.request(order, account())


def test_options_that_fit_no_field_are_named(it: Bank) -> None:
    wrong = replace(account(), options={"terminal": "A TERMINAL OF MUCH LENGTH"})
    with pytest.raises(CannotExpress, match="field 41"):
        it.request(CHARGE, wrong)


# --- what is read


def test_an_approval(it: Bank) -> None:
    assert told(it, CHARGE, "00", f38="A12345") == Result(
        Outcome.APPROVED, "790000000456-A12345", 1099, "EUR", True
    )
    assert told(it, HOLD, "00").captured is False
    assert told(it, HOLD, "00").provider_ref == "790000000456"


@pytest.mark.parametrize("order", [CAPTURE, REFUND, VOID, reversal()])
def test_a_confirmation_may_leave_the_amount_out(it: Bank, order: Instruction) -> None:
    for changes in ({}, {"f4": None}, {"f4": None, "f49": None}):
        done = told(it, order, "00", **changes)
        assert (done.outcome, done.amount, done.currency) == (Outcome.APPROVED, 1099, "EUR")
    assert told(it, order, "00", f4="000000000001").detail == "amount_mismatch"
    assert told(it, order, "00", f49="840").detail == "currency_mismatch"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"f4": None}, "amount_missing"),
        ({"f4": "000000001100"}, "amount_mismatch"),
        ({"f49": "840"}, "currency_mismatch"),
        ({"f49": "000"}, "amount_missing"),
        ({"f49": None}, "amount_missing"),
        ({"f11": "000001"}, "reference_mismatch"),
        ({"f37": "790000000457"}, "reference_mismatch"),
        ({"f7": None}, "reference_mismatch"),
    ],
)
def test_an_approval_of_something_else_is_unknown(
    it: Bank, changes: dict[str, str | None], detail: str
) -> None:
    found = told(it, CHARGE, "00", **changes)
    assert (found.outcome, found.detail) == (Outcome.UNKNOWN, detail)


@pytest.mark.parametrize("code", [*DECLINES, "14"])
def test_a_decline_is_definite(it: Bank, code: str) -> None:
    found = told(it, CHARGE, code)
    assert found.outcome is Outcome.DECLINED
    assert found.retryable is (code in ("30", "31", "91", "92"))
    if code == "14":
        assert found.detail == NO_SUCH_METHOD
    else:
        assert found.decline_code == DECLINES[code]
        assert code in (found.message or "")


@pytest.mark.parametrize("code", ["06", "09", "10", "22", "68", "94", "96", "Z9", "", None])
def test_what_says_nothing_definite_is_unknown(it: Bank, code: str | None) -> None:
    for order in ALL:
        found = told(it, order, code)
        assert found.outcome is Outcome.UNKNOWN
        assert not found.not_found


def test_a_reversal_is_refused_by_nothing(it: Bank) -> None:
    for code in DECLINES:
        assert told(it, reversal(), code).outcome is Outcome.UNKNOWN
        assert told(it, VOID, code).outcome is Outcome.DECLINED
    nothing = told(it, reversal(), "25")
    assert (nothing.outcome, nothing.not_found) == (Outcome.UNKNOWN, True)
    assert told(it, VOID, "25").code == "expired"


def test_answers_of_another_kind_decide_nothing(it: Bank) -> None:
    dialect = it.profile.wire
    for order in ALL:
        request = it.request(order, account())
        fields = unpack(dialect, request.body).fields | {39: "00"}
        wanted = dialect.kind(Operation.CHARGE, hold=False).type
        for kind in ("0110", "0210", "0230", "0410", "0430", "0810", wanted):
            body = pack(dialect, Message(kind, fields))
            right = kind[:3] == f"0{request.url[-3]}{int(request.url[-2]) + 1}"
            found = it.parse(order, Reply(0, {}, body), account())
            assert (found.outcome is Outcome.APPROVED) is right, (order.operation, kind)


def test_an_answer_to_a_repeat_is_one_to_the_first(it: Bank) -> None:
    order = reversal()
    body = it.request(order, account()).body
    reply = answered(it.profile.wire, body, "00")
    assert it.parse(replace(order, repeat=True), reply, account()).outcome is Outcome.APPROVED


@pytest.mark.parametrize("currency", CURRENCIES)
def test_each_currency_by_its_number(it: Bank, currency: str) -> None:
    order = replace(CHARGE, currency=currency, amount=120_000)
    asked = sent(it, order)
    assert asked.fields[49] == NUMBERS[currency]
    found = told(it, order, "00")
    assert (found.outcome, found.amount, found.currency) == (Outcome.APPROVED, 120_000, currency)


# --- the sign-on


def test_the_sign_on(it: Bank) -> None:
    request = it.check(account(), 0)
    assert unpack(it.profile.wire, request.body).type == "0800"
    assert unpack(it.profile.wire, request.body).fields[70] == "001"
    yes = answered(it.profile.wire, request.body, "00")
    assert it.parse_check(yes, account()) is None
    no = it.parse_check(answered(it.profile.wire, request.body, "05"), account())
    assert no is not None and "05" in no and "secrets" in no
    assert "read" in str(it.parse_check(Reply(0, {}, b""), account()))


def test_a_context_is_needed_for_what_was_begun_elsewhere(it: Bank) -> None:
    elsewhere = replace(CHARGE, context=None)
    assert it.parse(elsewhere, Reply(0, {}, b""), account()).outcome is Outcome.UNKNOWN
    assert it.parse(CHARGE, Reply(200, {}, b""), account()).outcome is Outcome.UNKNOWN
    assert LATER.sequence > AT.sequence
