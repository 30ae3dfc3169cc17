"""One suite over all channels: what they declare is what they do, and nothing is guessed."""

import random
import re
import string
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bailiwick.base.money import CURRENCIES
from bailiwick.channels.blocks import amounts, words
from bailiwick.channels.contract import (
    ON_CHARGES,
    CannotExpress,
    Channel,
    Exchange,
    Instruction,
    Operation,
    Outcome,
    Phase,
    Reply,
    Resolve,
    Result,
    of_same,
    read,
)
from bailiwick.channels.registry import channel
from bailiwick_sandbox.bank.sources import SOURCES
from tests.contract.answers import (
    ACCOUNTS,
    CHANNELS,
    KEY,
    OBJECT_IDS,
    SECRET,
    Case,
    case_table,
    instruct,
)

TABLE = case_table()
ALL_CASES = [(name, case) for name, cases in TABLE.items() for case in cases]
PAIRS = [(name, operation) for name, it in CHANNELS.items() for operation in it.profile.resolve]


@pytest.fixture(params=sorted(CHANNELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_registry() -> None:
    for known, found in CHANNELS.items():
        assert channel(known) is found
        assert found.profile.name == known
    with pytest.raises(LookupError, match="sandbox, stripe"):
        channel("nonsense")


@pytest.mark.parametrize(("name", "case"), ALL_CASES, ids=lambda x: getattr(x, "name", x))
def test_exact_reading(name: str, case: Case) -> None:
    assert case.read(CHANNELS[name]) == case.expected


def test_every_operation_and_outcome_has_cases(name: str) -> None:
    seen = {(case.instruction.operation, case.expected.outcome) for case in TABLE[name]}
    for operation in (Operation.CHARGE, Operation.REFUND):
        for outcome in Outcome:
            assert (operation, outcome) in seen
    for operation in CHANNELS[name].profile.resolve:
        assert (operation, Outcome.APPROVED) in seen


# Declarations


def test_the_profile_is_complete(name: str) -> None:
    profile = CHANNELS[name].profile
    assert set(ON_CHARGES) <= set(profile.resolve) <= set(Operation)
    for ways in profile.resolve.values():
        assert ways, "an unknown of this operation could never end"
        assert len(set(ways)) == len(ways)
    assert profile.total_ms >= profile.first_byte_ms > 0
    assert profile.connect_ms > 0
    for currency in (*profile.exponents, *profile.multiples, *(profile.currencies or ())):
        assert currency in CURRENCIES
    if any(Resolve.REPLAY in ways for ways in profile.resolve.values()):
        assert profile.replay_ms > 0
    for secret in profile.secrets:
        assert secret in ACCOUNTS[name].secrets


@pytest.mark.parametrize(("name", "operation"), PAIRS)
def test_queries_exist_for_the_declared_ways_and_only_read(name: str, operation: Operation) -> None:
    found, account = CHANNELS[name], ACCOUNTS[name]
    order = instruct(name, operation, provider_ref=OBJECT_IDS[name][operation == "refund"])
    for way in Resolve:
        request = found.query(order, account, way)
        declared = way in found.profile.resolve[operation]
        readable = way in (Resolve.REFERENCE, Resolve.PROVIDER_ID)
        assert (request is not None) == (declared and readable)
        if request is not None:
            assert request.method == "GET"
            assert request.body == b""


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_no_query_by_an_id_that_is_not_known(name: str) -> None:
    order = instruct(name, Operation.CHARGE)
    assert CHANNELS[name].query(order, ACCOUNTS[name], Resolve.PROVIDER_ID) is None


@pytest.mark.parametrize(("name", "operation"), PAIRS)
def test_requests_are_the_same_for_the_same_input(name: str, operation: Operation) -> None:
    found, account = CHANNELS[name], ACCOUNTS[name]
    order = instruct(name, operation)
    first, second = found.request(order, account), found.request(order, account)
    assert first == second
    assert first.method == "POST"
    assert first.url.startswith(account.base_url + "/")
    carried = first.body + str(first.headers).encode()
    assert order.reference.encode() in carried, "a replay could not be recognised"


@pytest.mark.parametrize(("name", "operation"), PAIRS)
def test_secrets_stand_in_headers_only(name: str, operation: Operation) -> None:
    request = CHANNELS[name].request(instruct(name, operation), ACCOUNTS[name])
    assert KEY in request.headers["authorization"]
    assert KEY not in request.url
    assert KEY.encode() not in request.body
    assert SECRET not in str(request.headers) + request.url
    assert KEY not in repr(request) + repr(ACCOUNTS[name])


@pytest.mark.parametrize("name", sorted(CHANNELS))
@pytest.mark.parametrize("operation", [Operation.CAPTURE, Operation.VOID, Operation.REFUND])
def test_no_request_without_the_charge(name: str, operation: Operation) -> None:
    order = instruct(name, operation, provider_ref=None)
    with pytest.raises(CannotExpress, match="provider's id"):
        CHANNELS[name].request(order, ACCOUNTS[name])


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_ids_cannot_leave_their_place_in_the_address(name: str) -> None:
    order = instruct(name, Operation.CAPTURE, provider_ref="pi_/../x?y#z")
    url = CHANNELS[name].request(order, ACCOUNTS[name]).url
    assert "/../" not in url
    assert "?" not in url


def test_the_credential_check(name: str) -> None:
    found, account = CHANNELS[name], ACCOUNTS[name]
    request = found.check(account)
    assert request.method == "GET"
    assert found.parse_check(Reply(200, {}, b"{}")) is None
    for status in (401, 403):
        told = found.parse_check(Reply(status, {}, b""))
        assert told is not None
        assert "secrets.api_key" in told
    assert "503" in str(found.parse_check(Reply(503, {}, b"")))


def test_an_increment_that_the_provider_lacks_is_not_sent(name: str) -> None:
    if Operation.INCREMENT not in CHANNELS[name].profile.resolve:
        with pytest.raises(CannotExpress):
            CHANNELS[name].request(instruct(name, Operation.INCREMENT), ACCOUNTS[name])


# Tokens that every account knows


def test_tokens_that_an_account_has_made_are_its_own(name: str) -> None:
    shared = CHANNELS[name].profile.shared_tokens
    if shared is None:
        return
    order = instruct(name, Operation.CHARGE)
    assert order.payment_method is not None
    assert re.fullmatch(shared, order.payment_method), "the suite's own is a published one"
    letters = string.ascii_letters + string.digits
    chance = random.Random(1)
    for prefix in ("pm_", "pm_1", "tok_", "tok_1", "src_1", "card_1", "ba_1"):
        for _ in range(2_000):
            token = prefix + "".join(chance.choices(letters, k=23))
            assert not re.fullmatch(shared, token), token
    for stray in ("", "pm_card_", "pm_card_visa\n", "tok_", "xpm_card_visa"):
        assert not re.fullmatch(shared, stray)


def test_every_token_of_the_sandbox_is_shared() -> None:
    shared = CHANNELS["sandbox"].profile.shared_tokens
    assert shared is not None
    for token in SOURCES:
        assert re.fullmatch(shared, token), token


# Money


def _sums(found: Channel) -> Iterator[tuple[str, int]]:
    for currency in CURRENCIES:
        step = found.profile.multiples.get(currency, 1)
        for amount in (step, 10 * step, 12_300 * step, 99_999_900 * step):
            if amounts.expressible(found.profile, amount, currency):
                yield currency, amount


def _approval(name: str, order: Instruction, amount: int) -> bytes:
    from tests.contract import answers, answers_sandbox, answers_stripe

    if name == "sandbox":
        body = answers_sandbox.bank_charge(
            amount=amount, amount_captured=amount, currency=order.currency
        )
    else:
        body = answers_stripe.intent(
            amount=amount, amount_received=amount, currency=order.currency.lower()
        )
    return answers.encode(body)


def test_every_currency_survives_the_round_trip(name: str) -> None:
    found, account = CHANNELS[name], ACCOUNTS[name]
    count = 0
    for currency, amount in _sums(found):
        order = instruct(name, Operation.CHARGE, amount=amount, currency=currency)
        body = found.request(order, account).body
        sent = re.search(rb'(?:^|&)amount=(\d+)|"amount":(\d+)', body)
        assert sent is not None
        theirs = int(sent[1] or sent[2])
        exponent = found.profile.exponents.get(currency, CURRENCIES[currency].iso_exponent)
        own = CURRENCIES[currency].exponent
        assert theirs * 10**own == amount * 10**exponent
        exchange = Exchange(Phase.ANSWERED, Reply(200, {}, _approval(name, order, theirs)))
        result = read(found, order, exchange)
        assert (result.outcome, result.amount, result.currency) == (
            Outcome.APPROVED,
            amount,
            currency,
        )
        other = Exchange(Phase.ANSWERED, Reply(200, {}, _approval(name, order, theirs + 1)))
        assert read(found, order, other).outcome is Outcome.UNKNOWN
        count += 1
    assert count > 400


@pytest.mark.parametrize(
    ("currency", "amount", "sent"),
    [("ISK", 500, 500), ("UGX", 500, 500), ("MGA", 10, 10), ("JPY", 500, 500), ("KWD", 5120, 5120)],
)
def test_the_provider_s_own_exponents(currency: str, amount: int, sent: int) -> None:
    found = CHANNELS["stripe"]
    order = instruct("stripe", Operation.CHARGE, amount=amount, currency=currency)
    assert b"amount=%d&" % sent in found.request(order, ACCOUNTS["stripe"]).body


@pytest.mark.parametrize(("currency", "amount"), [("KWD", 5124), ("IQD", 1000), ("XXX", 1)])
@pytest.mark.parametrize("operation", [Operation.CHARGE, Operation.CAPTURE, Operation.REFUND])
def test_amounts_it_cannot_express_are_not_sent(
    currency: str, amount: int, operation: Operation
) -> None:
    found = CHANNELS["stripe"]
    assert not amounts.expressible(found.profile, amount, currency)
    order = instruct("stripe", operation, amount=amount, currency=currency)
    with pytest.raises(CannotExpress, match="cannot express") as refused:
        found.request(order, ACCOUNTS["stripe"])
    assert refused.value.param == "amount"


@pytest.mark.parametrize(("name", "case"), ALL_CASES, ids=lambda x: getattr(x, "name", x))
def test_no_other_currency_and_no_missing_amount_is_booked(name: str, case: Case) -> None:
    """Whatever is approved, with the currency or the amount taken away it no longer is."""
    if case.expected.outcome is not Outcome.APPROVED or case.way is not None:
        return
    found = CHANNELS[name]
    for old, new in ((b'"EUR"', b'"USD"'), (b'"eur"', b'"usd"'), (b'"amount', b'"was')):
        body = case.body.replace(old, new)
        if body != case.body:
            told = read(found, case.instruction, Exchange(Phase.ANSWERED, Reply(200, {}, body)))
            assert told.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("name", "case"), ALL_CASES, ids=lambda x: getattr(x, "name", x))
def test_what_is_told_of_another_object_decides_nothing(name: str, case: Case) -> None:
    told = case.read(CHANNELS[name])
    if told.provider_ref is None:
        return
    assert of_same(told.provider_ref, told) is told is of_same(None, told)
    strange = of_same("another", told)
    assert (strange.outcome, strange.detail) == (Outcome.UNKNOWN, "reference_mismatch")
    assert strange.provider_ref is None, "the known id would be lost"


@pytest.mark.parametrize(("name", "operation"), PAIRS)
@pytest.mark.parametrize("status", [408, *range(500, 512), 599, 100, 101, 204, 206, 301, 307])
def test_nothing_but_a_definite_answer_is_definite(
    name: str, status: int, operation: Operation
) -> None:
    for body in [b"", b"{}", *(case.body for case in TABLE[name])]:
        order = instruct(name, operation)
        told = CHANNELS[name].parse(order, Reply(status, {}, body))
        assert told.outcome is Outcome.UNKNOWN
        assert not told.not_found


@pytest.mark.parametrize("name", sorted(CHANNELS))
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422, 429])
def test_a_refusal_without_the_provider_s_own_words_is_unknown(name: str, status: int) -> None:
    order = instruct(name, Operation.CHARGE)
    for body in (b"", b"{}", b"[]", b"<html></html>", b'{"error":null}', b'{"error":"no"}'):
        told = CHANNELS[name].parse(order, Reply(status, {}, body))
        assert told.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("name", sorted(CHANNELS))
@pytest.mark.parametrize("status", [400, 401, 402, 403, 409, 422, 429, 500, 503])
def test_a_refused_query_says_nothing_about_the_operation(name: str, status: int) -> None:
    for way in (Resolve.REFERENCE, Resolve.PROVIDER_ID):
        for case in TABLE[name]:
            told = CHANNELS[name].parse_query(case.instruction, Reply(status, {}, case.body), way)
            assert told.outcome is Outcome.UNKNOWN
            assert not told.not_found


@pytest.mark.parametrize(
    "code", ["insufficient_funds", "stolen_card", "lost_card", "do_not_honor", "fraudulent"]
)
def test_the_payer_s_own_declines_are_not_tried_elsewhere(code: str) -> None:
    assert code not in words.RETRYABLE_DECLINES


# Anything at all

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["charge", "refund", "payment_intent", "list", "captured", "succeeded"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "object",
                    "id",
                    "status",
                    "amount",
                    "currency",
                    "metadata",
                    "error",
                    "data",
                    "type",
                ]
                + ["reference", "charge", "refund", "amount_captured", "code", "message", "decline"]
            )
            | st.text(max_size=8),
            inner,
            max_size=8,
        )
    ),
    max_leaves=20,
)


@st.composite
def _spoiled(draw: st.DrawFn) -> bytes:
    """A real answer with one of its values replaced, or with bytes of it broken."""
    import json

    _, case = draw(st.sampled_from(ALL_CASES))
    if draw(st.booleans()):
        body = bytearray(case.body or b"{}")
        for _ in range(draw(st.integers(1, 4))):
            body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
        return bytes(body)
    try:
        data = json.loads(case.body)
    except ValueError:
        return case.body
    target = data
    while isinstance(target, dict) and target:
        key = draw(st.sampled_from(sorted(target)))
        if not isinstance(target[key], dict) or draw(st.booleans()):
            target[key] = draw(_JSON)
            break
        target = target[key]
    return json.dumps(data).encode("utf-8", "surrogatepass")


_BODIES = st.binary(max_size=200) | _JSON.map(msgspec.json.encode) | _spoiled()


@settings(max_examples=250, deadline=None)
@given(
    pair=st.sampled_from(PAIRS),
    status=st.sampled_from([200, 200, 200, 400, 402, 404, 409, 429, 500]) | st.integers(0, 999),
    body=_BODIES,
    way=st.sampled_from(list(Resolve)),
)
def test_any_answer_is_read_without_a_fault(
    pair: tuple[str, Operation], status: int, body: bytes, way: Resolve
) -> None:
    name, operation = pair
    found, order, reply = CHANNELS[name], instruct(name, operation), Reply(status, {}, body)
    for told in (found.parse(order, reply), found.parse_query(order, reply, way)):
        assert isinstance(told, Result)
        storable(told)
    agreed = read(found, order, Exchange(Phase.ANSWERED, reply))
    if agreed.outcome is Outcome.APPROVED:
        assert status == 200
        assert agreed.currency == "EUR"
        assert agreed.amount is not None
        less = found.profile.partial_approval
        assert agreed.amount == 1099 or (less and 0 < agreed.amount < 1099)


def storable(told: Result) -> None:
    """Texts that PostgreSQL and JSON take, of bounded length; amounts that fit a bigint."""
    for text in (
        told.provider_ref,
        told.code,
        told.decline_code,
        told.message,
        told.action_url,
        told.detail,
    ):
        if text is not None:
            assert 0 < len(text) <= 2048
            assert "\x00" not in text
            text.encode()
    assert told.amount is None or 0 <= told.amount < 2**63
    assert told.currency is None or re.fullmatch(r"[A-Z]{3}", told.currency)


@pytest.mark.parametrize("name", sorted(CHANNELS))
@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000, b'{"error":' * 100_000])
def test_deep_nesting_is_only_unreadable(name: str, body: bytes) -> None:
    order = instruct(name, Operation.CHARGE)
    for status in (200, 400, 404):
        reply = Reply(status, {}, body)
        assert CHANNELS[name].parse(order, reply).outcome is Outcome.UNKNOWN
        told = CHANNELS[name].parse_query(order, reply, Resolve.REFERENCE)
        assert told.outcome is Outcome.UNKNOWN
