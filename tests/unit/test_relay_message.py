"""What leaves a node of an event, and in which company events travel."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from bailiwick.base import events
from bailiwick.base.events import PaymentEvent, key_hash
from bailiwick.base.ids import is_id, lowest_id, new_id, time_of
from bailiwick.node.relay import message, waves
from bailiwick.store.outbox import OutboxRow


def row(payment: str = "pi_1", seq: int = 1, **values: Any) -> OutboxRow:
    given: dict[str, Any] = {
        "xact": 7, "payment": payment, "seq": seq, "id": f"evt_{payment}_{seq}", "type": "x",
        "merchant": "acct_1", "livemode": True, "created_ms": 5, "version": seq,
        "state": "succeeded", "amount": 10, "currency": "EUR", "amount_capturable": 1,
        "amount_received": 2, "amount_refunded": 3, "attempts": 4, "charge_attempt": "ch_1",
        "epoch": 6, "payment_created_ms": 4, "key": None,
    }  # fmt: skip
    return OutboxRow(**{**given, **values})


def test_fields_arrive_as_they_were_sent() -> None:
    sent = message(row(key="k"), 3, b"secret")
    assert events.decode(events.encode(sent)) == sent
    assert b'"k"' not in events.encode(sent)


@pytest.mark.parametrize(
    "values",
    [{"seq": 0}, {"version": 1, "seq": 2}, {"node": 0}, {"payment": "p" * 65}, {"type": "t" * 200},
     {"merchant": "m" * 200}, {"state": "s" * 65}, {"key_hash": "h" * 65}],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused(values: dict[str, Any]) -> None:
    wrong = msgspec.structs.replace(message(row(), 1, b"secret"), **values)
    with pytest.raises(ValueError):
        events.decode(events.encode(wrong))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"event":1}', b"\xff"])
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        events.decode(data)


def test_a_message_fits_the_stream() -> None:
    """The longest that a reader takes is well below the stream's bound."""
    longest = {
        field.name: "x" * (128 if field.name in ("merchant", "type") else 64)
        if field.type in (str, str | None)
        else 2**63 - 1
        for field in msgspec.structs.fields(PaymentEvent)
    }
    assert len(events.encode(PaymentEvent(**longest))) < 2_048


def test_a_key_s_hash_tells_equal_keys_and_nothing_else() -> None:
    same = key_hash(b"s", "acct_1", True, "order")
    assert same == key_hash(b"s", "acct_1", True, "order")
    others = {
        key_hash(b"t", "acct_1", True, "order"),
        key_hash(b"s", "acct_2", True, "order"),
        key_hash(b"s", "acct_1", False, "order"),
        key_hash(b"s", "acct_1", True, "order2"),
    }
    assert len(others | {same}) == 5
    assert len(same) == 32


@given(some.lists(some.sampled_from("abcd"), max_size=30))
def test_waves_keep_each_payment_s_order(payments: list[str]) -> None:
    counted: dict[str, int] = {}
    rows = []
    for payment in payments:
        counted[payment] = counted.get(payment, 0) + 1
        rows.append(row(payment, counted[payment]))
    found = waves(rows)
    assert sorted(each.id for wave in found for each in wave) == sorted(each.id for each in rows)
    for number, wave in enumerate(found, start=1):
        assert {each.seq for each in wave} == {number}
        assert len({each.payment for each in wave}) == len(wave)


@given(some.integers(0, 2**48 - 2), some.integers(0, 65_535))
def test_a_span_of_time_is_a_span_of_ids(ms: int, node: int) -> None:
    low, made, after = lowest_id("pi", ms), new_id("pi", node, ms), lowest_id("pi", ms + 1)
    assert is_id(low)
    assert time_of(low) == ms
    assert low <= made < after
