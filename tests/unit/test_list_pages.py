"""Pages of lists over nodes: merged exactly, whatever their sizes, and bounded in memory."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from access_kit import Call, Reply, access, listing, serving
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.access.fanout import lists
from bailiwick.access.fanout.lists import Page, merge, nearest
from bailiwick.access.fanout.reserve import PAGES_BYTES, Reserve
from bailiwick.access.nodes.forward import HopLimits
from bailiwick.base.ids import new_id, node_of
from bailiwick.interlink import paging
from bailiwick.interlink.paging import Room

START = 1_700_000_000_000


def raws(ids: list[str]) -> list[msgspec.Raw]:
    return [msgspec.Raw(json.dumps({"id": i}).encode()) for i in ids]


@given(
    st.lists(st.lists(st.integers(0, 999), max_size=12, unique=True), min_size=1, max_size=4),
    st.integers(1, 7),
    st.none() | st.integers(0, 999),
    st.booleans(),
)
def test_merged_pages_are_those_of_one_list(
    parts: list[list[int]], limit: int, cursor: int | None, backwards: bool
) -> None:
    nodes = [[f"pi_{n:04}{node}" for n in part] for node, part in enumerate(parts)]
    params = {"limit": str(limit)}
    if cursor is not None:
        params["ending_before" if backwards else "starting_after"] = f"pi_{cursor:04}"
    pages = [Page(raws(ids), more) for ids, more in (listing(node, params) for node in nodes)]
    found, more = merge(pages, limit, backwards=backwards and cursor is not None)
    expected, expected_more = listing([i for node in nodes for i in node], params)
    assert [json.loads(bytes(raw))["id"] for raw in found] == expected
    assert more == expected_more


def sized(sizes: dict[str, int], most: int, params: dict[str, str], *, first: bool) -> Page:
    """A node's page of objects of some sizes, when it has room for ``most`` bytes."""
    ids, _ = listing(list(sizes), {**params, "limit": str(len(sizes) + 1)})
    backwards = "ending_before" in params
    near = ids[::-1] if backwards else ids
    kept: list[str] = []
    for each in near[: int(params["limit"])]:
        fits = sum(sizes[i] for i in kept) + sizes[each] <= most
        if not fits and (kept or not first):
            break
        kept.append(each)
    after = near[len(kept)] if len(kept) < len(near) else None
    return Page(raws(kept[::-1] if backwards else kept), after is not None, after)


@given(
    st.lists(st.dictionaries(st.integers(0, 999), st.integers(1, 40), max_size=12), min_size=1,
             max_size=4),
    st.integers(1, 7), st.integers(1, 60), st.booleans(), st.integers(20, 200),
)  # fmt: skip
def test_pages_that_end_early_lose_nothing(
    parts: list[dict[int, int]], limit: int, most: int, backwards: bool, bytes_most: int
) -> None:
    nodes = [
        {f"pi_{n:04}{node}": size for n, size in part.items()} for node, part in enumerate(parts)
    ]
    wanted = sorted((i for node in nodes for i in node), reverse=not backwards)
    cursor = "ending_before" if backwards else "starting_after"
    seen: list[str] = []
    edge = "pi_" if backwards else "pi_~"
    more = True
    while more:
        params = {"limit": str(limit), cursor: edge}
        pages = [sized(node, most, params, first=False) for node in nodes]
        data, more = merge(pages, limit, backwards=backwards, bytes_most=bytes_most)
        if more and not data:  # what access does: the node of the nearest one gives it alone
            home = [page.next for page in pages].index(nearest(pages, backwards=backwards))
            pages[home] = sized(nodes[home], most, params, first=True)
            data, more = merge(pages, limit, backwards=backwards, bytes_most=bytes_most)
            assert data
        ids = [json.loads(bytes(raw))["id"] for raw in data]
        assert ids == sorted(ids, reverse=True) and len(ids) <= limit
        seen += reversed(ids) if backwards else ids
        edge = seen[-1] if seen else edge
    assert seen == wanted


async def test_each_node_gets_its_share_and_the_nearest_large_object_comes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "TIMEOUT_S", 60.0)  # a busy machine
    ids = [new_id("pi", 2 - n % 2, START + n) for n in range(6)]
    large = ids[5]

    def answering(own: list[str]) -> Any:
        def answer(call: Call) -> Reply:
            room = paging.told(call.headers["bailiwick-page-bytes"], by_access=True)
            params = {name: values[0] for name, values in parse_qs(call.query.decode()).items()}
            sizes = {each: 10**6 if each == large else 10 for each in own}
            page = sized(sizes, room.most, {"limit": "10", **params}, first=room.first)
            headers = {} if page.next is None else {"bailiwick-next": page.next}
            page.next = None
            return 200, headers, msgspec.json.encode(page)

        return answer

    async with access(tmp_path) as it:
        for node in it.nodes:
            node.answer = answering([each for each in ids if node_of(each) == node.number])
        status, page = await it.json("GET", "/v1/payment_intents?limit=3")
        assert status == 200
        assert [each["id"] for each in page["data"]] == ids[:2:-1]
        home = it.nodes[node_of(large) - 1]
        assert [call.headers["bailiwick-page-bytes"] for call in home.calls] == [
            str(3 * paging.OBJECT_BYTES), f"{paging.PAGE_BYTES}, first",
        ]  # fmt: skip
        assert it.front.pages.free == PAGES_BYTES
        home.answer = lambda call: (
            (503, {}, {}) if "first" in call.headers["bailiwick-page-bytes"]
            else answering([large])(call)
        )  # fmt: skip
        assert (await it.json("GET", "/v1/payment_intents"))[0] == 503
        status, page = await it.json("GET", "/v1/payment_intents?partial=allow")
        assert (status, page["unavailable_nodes"]) == (200, [home.name])
        assert len(page["data"]) == 3


async def test_lists_wait_for_memory_and_are_refused_if_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with access(tmp_path) as it:
        for node in it.nodes:
            node.answer = serving([])
        async with it.front.pages.holding(PAGES_BYTES, 1):
            with monkeypatch.context() as impatient:
                impatient.setattr(lists, "TIMEOUT_S", 0.05)
                status, body = await it.json("GET", "/v1/events")
            assert (status, body["error"]["code"]) == (503, "overloaded")
        assert (await it.json("GET", "/v1/events"))[0] == 200


async def test_a_reserve_is_given_out_in_order() -> None:
    reserve = Reserve(10)
    done: list[str] = []
    gates = {name: asyncio.Event() for name in "abc"}

    async def hold(name: str, wanted: int) -> None:
        async with reserve.holding(wanted, 10):
            done.append(name)
            await gates[name].wait()

    tasks = {name: asyncio.create_task(hold(name, n)) for name, n in (("a", 6), ("b", 99))}
    await asyncio.sleep(0)
    tasks["c"] = asyncio.create_task(hold("c", 1))
    for _ in range(5):
        await asyncio.sleep(0)
    assert done == ["a"], "who asks for little does not overtake"
    with pytest.raises(TimeoutError):
        async with reserve.holding(1, 0.01):
            pass
    tasks["b"].cancel()
    await asyncio.wait([tasks["b"]])
    for _ in range(5):
        await asyncio.sleep(0)
    assert done == ["a", "c"]
    for gate in gates.values():
        gate.set()
    await asyncio.gather(tasks["a"], tasks["c"])
    assert reserve.free == 10


def test_the_pages_of_any_number_of_nodes_are_bounded() -> None:
    for nodes in (1, 2, 3, 16, 256, 1000):
        for limit in (1, 10, 100):
            room = paging.share(nodes, limit)
            assert 0 < room.most * nodes <= paging.LIST_BYTES <= PAGES_BYTES
            assert room.most <= paging.PAGE_BYTES <= HopLimits().body_bytes // 2
            header = room.line.decode().partition(": ")[2].strip()
            assert paging.told(header, by_access=True) == room
    assert paging.told("99999999, first", by_access=True) == Room(paging.PAGE_BYTES, True)
    for bad in (None, "", "x", "-1", "1e3", "9" * 10, ", first"):
        assert paging.told(bad, by_access=False) == Room(paging.PAGE_BYTES, True)
        assert paging.told(bad, by_access=True) == paging.ALL


@pytest.mark.parametrize(
    ("path", "cursor"),
    [
        ("payment_intents", new_id("re", 1, 5)), ("refunds", new_id("pi", 1, 5)),
        ("events", new_id("pi", 1, 5)), ("events", new_id("evt", 9, 5)),
        ("payment_intents", "somewhere"),
    ],
    ids=["refund", "payment", "payment of events", "unknown node", "no id"],
)  # fmt: skip
async def test_a_cursor_that_no_node_can_have_is_asked_of_none(
    tmp_path: Path, path: str, cursor: str
) -> None:
    async with access(tmp_path) as it:
        status, body = await it.json("GET", f"/v1/{path}?starting_after={cursor}")
        assert (status, body["error"]["code"]) == (400, "resource_missing")
        assert body["error"]["param"] == "starting_after"
        assert it.nodes[0].calls == it.nodes[1].calls == []
