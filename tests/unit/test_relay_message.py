"""What leaves a node of an event, and in which company events travel."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from bailiwick.base import events
from bailiwick.base.events import PaymentEvent, key_hash
from bailiwick.base.ids import is_id, lowest_id, new_id, time_of
from bailiwick.delivery.outbox import OutboxRow
from bailiwick.delivery.relay import MESSAGE_BYTES_MAX, Leaving, batches, message, message_id
from bailiwick.node.config import load
from bailiwick.runtime.settings import SettingsError


def row(payment: str = "pi_1", seq: int = 1, **values: Any) -> OutboxRow:
    given: dict[str, Any] = {
        "xact": 7, "subject": payment, "seq": seq, "id": f"evt_{payment}_{seq}", "type": "x",
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
    """As many as may be, of the longest that a reader takes."""
    longest = {
        field.name: "x" * (128 if field.name in ("merchant", "type") else 64)
        if field.type in (str, str | None)
        else 2**63 - 1
        for field in msgspec.structs.fields(PaymentEvent)
    }
    encoded = [events.encode(PaymentEvent(**longest))] * events.BATCH_MAX
    assert len(batches([Leaving(row(), each) for each in encoded])) == 1
    assert len(events.join(encoded)) < MESSAGE_BYTES_MAX


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


@given(some.lists(some.integers(1, 900), max_size=300))
def test_messages_keep_the_order_and_the_bounds(lengths: list[int]) -> None:
    leaving = [Leaving(row(f"pi_{n}"), b"x" * 40 * each) for n, each in enumerate(lengths)]
    found = batches(leaving)
    assert [each for batch in found for each in batch] == leaving
    for batch in found:
        assert 1 <= len(batch) <= events.BATCH_MAX
        assert len(batch) == 1 or _size(batch) <= MESSAGE_BYTES_MAX - 1_024
    for batch, following in pairwise(found):
        full = len(batch) == events.BATCH_MAX
        assert full or _size([*batch, following[0]]) > MESSAGE_BYTES_MAX - 1_024, "no room is left"


def _size(batch: list[Leaving]) -> int:
    return len(events.join([each.data for each in batch]))


def test_what_is_too_large_is_alone() -> None:
    sizes = (10, 2 * MESSAGE_BYTES_MAX, 10, 10)
    found = batches([Leaving(row(), b"x" * size) for size in sizes])
    assert [len(batch) for batch in found] == [1, 1, 2]


def test_a_message_is_known_by_all_that_is_in_it() -> None:
    same = message_id(["evt_a", "evt_b", "evt_c"])
    assert same == message_id(["evt_a", "evt_b", "evt_c"])
    others = (["evt_a", "evt_x", "evt_c"], ["evt_a", "evt_c"], ["evt_a", "evt_c", "evt_b"])
    assert len({same, *map(message_id, others)}) == 4


def test_what_is_no_message_is_refused() -> None:
    one = events.encode(message(row(), 1, b"secret"))
    assert [events.decode(each) for each in events.split(events.join([one, one]))] == [
        message(row(), 1, b"secret")
    ] * 2
    for wrong in (b"", one, b"[1,", b"null", events.join([one] * (events.BATCH_MAX + 1))):
        with pytest.raises(ValueError):
            events.split(wrong)


@given(some.integers(0, 2**48 - 2), some.integers(0, 65_535))
def test_a_span_of_time_is_a_span_of_ids(ms: int, node: int) -> None:
    low, made, after = lowest_id("pi", ms), new_id("pi", node, ms), lowest_id("pi", ms + 1)
    assert is_id(low)
    assert time_of(low) == ms
    assert low <= made < after


def test_events_need_a_broker(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s" * 32)
    lines = [
        'number = 1', 'name = "apac"', 'listen = "127.0.0.1:9101"', 'dsn = "postgresql://x/y"',
        'world = "world"', 'internal_secret_file = "secret"',
    ]  # fmt: skip
    file = tmp_path / "node.toml"
    file.write_text("\n".join(lines))
    assert not load(file).settings.events, "nobody pays for what nobody reads"
    file.write_text("\n".join([*lines, "events = true"]))
    with pytest.raises(SettingsError, match="nats: is missing"):
        load(file)
    file.write_text("\n".join([*lines, "events = true", 'nats = ["nats://127.0.0.1:4222"]']))
    assert load(file).settings.events
