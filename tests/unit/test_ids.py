"""Ids: they sort by time over all nodes and name their home."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base import ids
from bailiwick.base.errors import ApiError

nodes = st.integers(1, ids.NODE_NUMBER_MAX)
times = st.integers(0, 2**48 - 1)


@given(nodes, times)
def test_home_and_time_are_read_from_the_id_alone(node: int, now_ms: int) -> None:
    made = ids.new_id("pi", node, now_ms)
    assert ids.is_id(made) and ids.is_id(made, "pi") and not ids.is_id(made, "re")
    assert len(made) == 3 + 26
    assert ids.node_of(made) == node
    assert ids.time_of(made) == now_ms


@given(st.lists(st.tuples(times, nodes), min_size=2, max_size=8))
def test_text_order_is_time_order(made_at: list[tuple[int, int]]) -> None:
    made = [(now_ms, ids.new_id("pi", node, now_ms)) for now_ms, node in made_at]
    in_text_order = [now_ms for now_ms, _ in sorted(made, key=lambda pair: pair[1])]
    assert in_text_order == sorted(now_ms for now_ms, _ in made)


def test_ids_of_one_millisecond_differ() -> None:
    assert len({ids.new_id("pi", 1, 5) for _ in range(10_000)}) == 10_000
    assert len({ids.new_token() for _ in range(10_000)}) == 10_000
    assert all(0 <= ids.new_token() < 2**63 for _ in range(1_000))


def test_a_client_secret_is_bound_and_long() -> None:
    made = ids.new_id("pi", 1, 1)
    first, second = ids.client_secret(made), ids.client_secret(made)
    assert first != second
    assert first.startswith(made + "_secret_") and len(first) == len(made) + 8 + 36


@pytest.mark.parametrize(
    "text",
    ["", "pi_", "pi_short", "pi_" + "0" * 25, "pi_" + "0" * 27, "pi_" + "U" * 26, "pi_" + "l" * 26,
     "pi_" + "0" * 25 + "é", "pi_" + "0" * 25 + " "],
)  # fmt: skip
def test_what_is_not_an_id_has_no_home(text: str) -> None:
    assert not ids.is_id(text)
    with pytest.raises(ApiError) as missing:
        ids.node_of(text)
    assert missing.value.status == 404


def test_no_line_end_is_part_of_an_id() -> None:
    assert not ids.is_id(ids.new_id("pi", 1, 1) + "\n")
