"""Lists over whole nodes: pages of any size, cursors, filters, and the largest objects."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from bailiwick.access.nodes.forward import HopLimits
from bailiwick.base.ids import new_id
from bailiwick.interlink import paging
from tests.postgres.lists_kit import SECRET, Site, site

PATHS = {"payment_intent": "/v1/payment_intents", "refund": "/v1/refunds", "event": "/v1/events"}
START = 1_700_000_000_000


@pytest.fixture
async def one(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """One node."""
    (tmp_path / "one").mkdir()
    async with site(server_dsn, tmp_path / "one", ("europe",)) as made:
        yield made


@pytest.fixture
async def three(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Three nodes."""
    async with site(server_dsn, tmp_path, ("europe", "apac", "americas")) as made:
        yield made


async def pay(it: Site, **params: Any) -> Any:
    wish = {"amount": 1000, "currency": "eur", "location[country]": "DE", **params}
    status, made = await it.ask("POST", "/v1/payment_intents", wish)
    assert status == 200, made
    return made


async def customer(it: Site, place: str = "DE") -> str:
    """A customer of a place, by its id."""
    status, made = await it.ask("POST", "/v1/customers", {"location[country]": place})
    assert status == 200, made
    return str(made["id"])


PAID = {"confirm": "true", "payment_method": "pm_card_visa"}


SIZES = [10, 3_000, 70_000, 300_000]


async def fill(it: Site, each: int, seed: int, sizes: list[int]) -> list[str]:
    """Payments of random sizes at every node, in one order over all; newest first."""
    chance = random.Random(seed)
    made: list[str] = []
    for moment in range(each * len(it.nodes)):
        node = chance.choice(it.nodes)
        row = node.row(START + moment, chance.choice(sizes))
        assert (await node.node.store.write("create", row)).done
        made.append(row.id)
    return made[::-1]


async def test_every_payment_comes_once_whatever_their_sizes(three: Site) -> None:
    made = await fill(three, 20, 1, SIZES)
    for limit in (1, 3, 10, 100):
        assert await three.walk("/v1/payment_intents", limit=limit) == made
        back = await three.walk(
            "/v1/payment_intents", "ending_before", limit=limit, ending_before=made[-1]
        )
        assert back == made[-2::-1]
    assert await three.walk("/v1/payment_intents", limit=100, partial="allow") == made
    events = await three.walk("/v1/events", limit=100)
    assert len(events) == len(set(events)) == len(made)
    assert (
        await three.walk("/v1/events", "ending_before", ending_before=events[-1])
        == (events[-2::-1])
    )
    for node in three.nodes:  # a node alone, asked by a client or by access
        own = [each for each in made if paging.node_of(each) == node.number]
        assert await three.walk("/v1/payment_intents", at=node, limit=100) == own


async def test_a_page_of_a_hundred_of_sixty_thousand(one: Site, three: Site) -> None:
    for it in (one, three):
        rows = [node.row(START + at, 60_000) for at in range(100) for node in it.nodes]
        for node in it.nodes:
            for row in rows:
                if paging.node_of(row.id) == node.number:
                    await node.node.store.write("create", row)
        for more in ({}, {"partial": "allow"}, {"expand[]": "data.latest_charge"}):
            status, page = await it.ask("GET", "/v1/payment_intents", {"limit": 100, **more})
            assert status == 200, page
            assert page.get("unavailable_nodes", []) == []
            assert 30 < len(page["data"]) <= 100 and page["has_more"]
        found = await it.walk("/v1/payment_intents", limit=100)
        assert found == sorted((row.id for row in rows), reverse=True)


async def test_the_stock_sdk_goes_through_all_of_them(three: Site) -> None:
    made = await fill(three, 15, 3, SIZES)
    client = stripe.StripeClient(SECRET, base_addresses={"api": three.url}, max_network_retries=0)

    def walk(**wish: Any) -> list[str]:
        first = client.v1.payment_intents.list(wish)  # type: ignore[arg-type]
        return [each.id for each in first.auto_paging_iter()]

    for limit in (1, 10, 100):
        assert await asyncio.to_thread(walk, limit=limit) == made
        back = await asyncio.to_thread(walk, limit=limit, ending_before=made[-1])
        assert back == made[-2::-1]
    with pytest.raises(stripe.InvalidRequestError, match="No such payment_intent: 'pi_x'") as no:
        await asyncio.to_thread(walk, starting_after="pi_x")
    assert (no.value.param, no.value.code) == ("starting_after", "resource_missing")


async def test_an_access_process_that_names_no_room_gets_whole_pages(one: Site) -> None:
    made = await fill(one, 60, 4, [60_000])
    node, path = one.nodes[0], "/v1/payment_intents"
    for headers, whole in (({}, False), ({"bailiwick-epoch": "1"}, True)):
        _, page = await one.ask("GET", path, {"limit": 60}, at=node, headers=headers)
        ids = [each["id"] for each in page["data"]]
        assert ids == made[: len(ids)] and page["has_more"] != whole
        assert (len(ids) == 60) == whole


async def test_small_objects_fill_the_page(three: Site) -> None:
    made = await fill(three, 40, 2, [10, 2_000])
    status, page = await three.ask("GET", "/v1/payment_intents", {"limit": 100})
    assert (status, [each["id"] for each in page["data"]]) == (200, made[:100])
    status, page = await three.ask("GET", "/v1/payment_intents", {"limit": 3})
    assert [each["id"] for each in page["data"]] == made[:3] and page["has_more"]


# The largest objects


DEEP = (
    "charge.payment_intent.latest_charge.payment_intent",
    "payment_intent.latest_charge.payment_intent.latest_charge",
    "payment_intent.customer",
    "payment_intent.payment_method",
    "customer",
    "payment_method",
)
"""As many objects as may be put into one."""
WIDE = b"\x01"
"""One byte of a form, six of JSON: nothing becomes longer."""


def form(fields: dict[bytes, bytes]) -> bytes:
    return b"&".join(name + b"=" + value for name, value in fields.items())


def metadata() -> dict[bytes, bytes]:
    return {b"metadata[%02d%s]" % (n, WIDE * 38): WIDE * 500 for n in range(50)}


async def send(it: Site, path: str, fields: dict[bytes, bytes]) -> Any:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    status, made = await it.ask("POST", path, body=form(fields), headers=kind)
    assert status == 200, made
    return made


async def test_the_largest_objects_within_the_limits(three: Site) -> None:
    texts = (b"shipping[name]", b"shipping[phone]", b"shipping[carrier]", b"receipt_email",
             b"shipping[tracking_number]")  # fmt: skip
    given = {
        b"amount": b"1000", b"currency": b"eur", b"location[country]": b"DE",
        b"payment_method": b"pm_card_visa", b"description": WIDE * 1000,
        **dict.fromkeys(texts, WIDE * 500),
    }  # fmt: skip
    for line in (b"line1", b"line2", b"city", b"state", b"postal_code", b"country"):
        given[b"shipping[address][%s]" % line] = WIDE * 500
    made = await send(three, "/v1/payment_intents", given)
    path = f"/v1/payment_intents/{made['id']}"
    await send(three, path, metadata())
    await send(three, f"{path}/confirm", {b"expand[]": b"latest_charge"})
    refund = await send(
        three, "/v1/refunds",
        {b"payment_intent": made["id"].encode(), b"amount": b"1", **metadata()},
    )  # fmt: skip
    for _ in range(2):  # events of each size; the largest come first
        await send(three, path, {b"description": WIDE * 999})
    charge = (await three.ask("GET", path))[1]["latest_charge"]
    event = (await three.ask("GET", "/v1/events", {"limit": 1}))[1]["data"][0]["id"]
    sizes = []
    for read in (
        f"{path}?expand[]=latest_charge",
        f"/v1/refunds/{refund['id']}?expand[]=payment_intent&expand[]=charge",
        f"/v1/charges/{charge}?expand[]=payment_intent",
        f"/v1/refunds/{refund['id']}?" + "&".join(f"expand[]={each}" for each in DEEP),
        f"/v1/events/{event}",
    ):
        answer = await three._client.request(
            "GET", read.encode(), [b"authorization: Bearer sk_test_first\r\n"]
        )
        assert answer.status == 200, read
        sizes.append(len(answer.body))
    assert min(sizes) > 200_000, "they are large"
    assert max(sizes) < HopLimits().body_bytes * 3 // 4, "and no answer about one is too large"
    for name, more in (
        ("payment_intents", {"expand[]": "data.latest_charge"}), ("events", {}), ("refunds", {}),
    ):  # fmt: skip
        status, whole = await three.ask("GET", f"/v1/{name}", {"limit": 100, **more})
        assert status == 200 and whole["data"]
        found = await three.walk(f"/v1/{name}", limit=100, **more)
        assert len(found) == {"payment_intents": 1, "events": 11, "refunds": 1}[name]
        assert await three.walk(f"/v1/{name}", limit=1, partial="allow", **more) == found
        at = three.nodes[0]
        assert await three.walk(f"/v1/{name}", at=at, limit=7, **more) == found


async def test_metadata_does_not_grow_past_its_limit(one: Site) -> None:
    made = await pay(one, **{f"metadata[{n}]": "x" for n in range(50)}, **PAID)
    for path in (f"/v1/payment_intents/{made['id']}", f"/v1/refunds/{await refunded(one, made)}"):
        full = {f"metadata[{n}]": "x" for n in range(50)}
        assert (await one.ask("POST", path, full))[0] == 200
        status, body = await one.ask("POST", path, {"metadata[one more]": "x"})
        assert (status, body["error"]["param"]) == (400, "metadata")
        swap = {"metadata[one more]": "x", "metadata[3]": ""}
        assert len((await one.ask("POST", path, swap))[1]["metadata"]) == 50


async def refunded(it: Site, made: Any, amount: int = 1) -> str:
    wish = {"payment_intent": made["id"], "amount": amount}
    status, refund = await it.ask("POST", "/v1/refunds", wish)
    assert status == 200, refund
    return str(refund["id"])


# Numbers


@pytest.mark.parametrize("path", PATHS.values())
async def test_times_out_of_bounds_are_named(three: Site, path: str) -> None:
    for bound in ("gt", "gte", "lt", "lte"):
        for value in (-1, 10**13, 10**16, 10**17, 10**18 - 1, 10**18, 2**63, 10**30, "1e3", "1.5"):
            for at in (None, three.nodes[0]):
                status, body = await three.ask("GET", path, {f"created[{bound}]": value}, at=at)
                assert (status, body["error"]["param"]) == (400, f"created[{bound}]"), value
    for value in (-1, 10**13, 10**18, 2**64, "1e3", "x"):
        status, body = await three.ask("GET", path, {"created": value})
        assert (status, body["error"]["param"]) == (400, "created"), value
    for limit in (0, 101, -1, "1e2", 10**18, 10**30):
        for at in (None, three.nodes[0]):
            status, body = await three.ask("GET", path, {"limit": limit}, at=at)
            assert (status, body["error"]["param"]) == (400, "limit"), limit


async def test_times_within_bounds(three: Site) -> None:
    row = three.nodes[0].row(START, 10)
    await three.nodes[0].node.store.write("create", row)
    second, last = START // 1000, 2**53 // 1000 - 1
    for wish, count in (
        ({"created[gte]": last}, 0), ({"created[gt]": last}, 0), ({"created[lte]": last}, 1),
        ({"created[lt]": 0}, 0), ({"created[lt]": last, "created[gte]": 0}, 1),
        ({"created[gt]": 5, "created[lt]": 5}, 0), ({"created[gte]": 9, "created[lte]": 3}, 0),
        ({"created": second}, 1), ({"created": last}, 0), ({"created": 0}, 0),
        ({"created[gte]": second, "created[lte]": second}, 1),
        ({"created[gt]": second - 1, "created[lt]": second + 1}, 1),
    ):  # fmt: skip
        for name in ("payment_intents", "events"):
            status, page = await three.ask("GET", f"/v1/{name}", wish)
            assert (status, len(page["data"]), page["has_more"]) == (200, count, False), wish


# Cursors


async def test_cursors_that_are_nothing_of_the_list(three: Site) -> None:
    made = await pay(three, **PAID)
    refund = await refunded(three, made)
    ids = {"payment_intent": made["id"], "refund": refund,
           "event": (await three.walk("/v1/events"))[0]}  # fmt: skip
    prefixes = {"payment_intent": "pi", "refund": "re", "event": "evt"}
    for kind, path in PATHS.items():
        prefix = prefixes[kind]
        nowhere = [new_id(prefix, 1, START), new_id(prefix, 2, START), new_id(prefix, 9, START),
                   f"{ids[kind]}_2", ids[kind].upper(), "somewhere", "x" * 400]  # fmt: skip
        others = [each for other, each in ids.items() if other != kind]
        for name in paging.CURSORS:
            for cursor in (*nowhere, *others):
                status, body = await three.ask("GET", path, {name: cursor})
                error = body["error"]
                assert (status, error["param"]) == (400, name), cursor
                assert error["code"] == "resource_missing"
                assert error["message"] == f"No such {kind}: '{cursor[:64]}'"
            for key in ("sk_test_other", "sk_live_first"):
                for at in (None, three.nodes[0]):
                    status, body = await three.ask("GET", path, {name: ids[kind]}, key=key, at=at)
                    assert (status, body["error"]["code"]) == (400, "resource_missing")
            assert (await three.ask("GET", path, {name: ids[kind]}))[0] == 200
        twice = {"starting_after": ids[kind], "ending_before": ids[kind]}
        for at in (None, three.nodes[0]):
            status, body = await three.ask("GET", path, twice, at=at)
            assert (status, body["error"]["param"]) == (400, "ending_before")


async def test_cursors_of_webhook_endpoints(one: Site) -> None:
    path, wish = "/v1/webhook_endpoints", {"url": "https://a.example/", "enabled_events[]": "*"}
    made = [(await one.ask("POST", path, wish))[1]["id"] for _ in range(3)]
    assert await one.walk(path, limit=1) == sorted(made, reverse=True)
    for name in paging.CURSORS:
        for cursor in ("we_x", new_id("we", 0, START), new_id("pi", 1, START)):
            status, body = await one.ask("GET", path, {name: cursor})
            assert (status, body["error"]["param"]) == (400, name)
            assert body["error"]["message"] == f"No such webhook_endpoint: '{cursor}'"
        assert (await one.ask("GET", path, {name: made[0]}, key="sk_test_other"))[0] == 400


async def test_a_node_alone_takes_the_cursor_of_another_as_a_position(three: Site) -> None:
    here, there = [await pay(three, **{"location[country]": place}) for place in ("DE", "IN")]
    status, page = await three.ask(
        "GET", "/v1/payment_intents", {"starting_after": there["id"]}, at=three.nodes[0]
    )
    assert (status, [each["id"] for each in page["data"]]) == (200, [here["id"]])
    status, body = await three.ask(
        "GET", "/v1/payment_intents", {"starting_after": new_id("pi", 9, START)}, at=three.nodes[0]
    )
    assert (status, body["error"]["code"]) == (400, "resource_missing")


async def test_a_cursor_whose_home_is_away(three: Site) -> None:
    here, there = [await pay(three, **{"location[country]": place}) for place in ("DE", "IN")]
    await three.nodes[1].server.stop()
    wish = {"starting_after": there["id"]}
    status, body = await three.ask("GET", "/v1/payment_intents", wish)
    assert (status, body["error"]["code"]) == (503, "node_unavailable")
    status, page = await three.ask("GET", "/v1/payment_intents", {**wish, "partial": "allow"})
    assert (status, page["unavailable_nodes"]) == (200, ["apac"])
    assert [each["id"] for each in page["data"]] == [here["id"]]


# Filters


async def test_refunds_of_one_payment(three: Site) -> None:
    paid = [await pay(three, **PAID, **{"location[country]": place}) for place in ("DE", "IN")]
    refunds = [await refunded(three, each) for each in paid]
    path = "/v1/refunds"
    for made, refund, other in zip(paid, refunds, reversed(paid), strict=True):
        charge = made["latest_charge"]
        for wish in (
            {"payment_intent": made["id"]}, {"charge": charge},
            {"payment_intent": made["id"], "charge": charge},
            {"payment_intent": made["id"], "partial": "allow"},
        ):  # fmt: skip
            status, page = await three.ask("GET", path, wish)
            assert (status, [each["id"] for each in page["data"]]) == (200, [refund])
            assert page["data"][0]["charge"] == charge
            assert ("unavailable_nodes" in page) == ("partial" in wish)
            status, page = await three.ask("GET", path, {**wish, "starting_after": refund})
            assert (status, page["data"]) == (200, [])
            elsewhere = refunds[1 - refunds.index(refund)]
            status, body = await three.ask("GET", path, {**wish, "starting_after": elsewhere})
            assert (status, body["error"]["param"]) == (400, "starting_after")
        status, body = await three.ask(
            "GET", path, {"payment_intent": made["id"], "charge": other["latest_charge"]}
        )
        assert (status, body["error"]["param"]) == (404, "charge")
        for wish in (
            {"payment_intent": new_id("pi", 1, START)}, {"payment_intent": new_id("pi", 9, START)},
            {"payment_intent": charge}, {"charge": new_id("ch", 2, START)}, {"charge": made["id"]},
        ):  # fmt: skip
            status, body = await three.ask("GET", path, wish)
            (name,) = wish
            assert (status, body["error"]["param"]) == (404, name), wish
        wish = {"payment_intent": made["id"]}
        assert (await three.ask("GET", path, wish, key="sk_test_other"))[0] == 404


async def test_other_filters(three: Site) -> None:
    mine, other = await customer(three), await customer(three)
    made = await pay(three, **PAID, customer=mine)
    await pay(three, customer=other)
    assert await three.walk("/v1/payment_intents", customer=mine) == [made["id"]]
    assert await three.walk("/v1/payment_intents", customer="cus_3") == []
    for wish, count in (
        ({"type": "payment_intent.succeeded"}, 1), ({"type": "charge.succeeded"}, 1),
        ({"type": "payment_intent.*"}, 3), ({"type": "refund.*"}, 0), ({"type": "*"}, 6),
        ({"types[0]": "payment_intent.succeeded", "types[1]": "payment_intent.created"}, 3),
    ):  # fmt: skip
        status, page = await three.ask("GET", "/v1/events", wish)
        assert (status, len(page["data"])) == (200, count)
    for wish, name in (
        ({"types[]": "payment_intent.*"}, "types"), ({"types[]": "*"}, "types"),
        ({"type": "payment_intent.created", "types[]": "payment_intent.succeeded"}, "types"),
    ):  # fmt: skip
        status, body = await three.ask("GET", "/v1/events", wish)
        assert (status, body["error"]["param"]) == (400, name)


# How


async def test_a_page_costs_a_few_statements(one: Site) -> None:
    store = one.nodes[0].node.store
    made = [await pay(one, **PAID) for _ in range(5)]
    for each in made:
        await refunded(one, each)
    asked: list[str] = []
    rows, row, list_rows = store.rows, store.row, store.list_rows

    async def counted_list(name: str, merchant: str, *args: object) -> Any:
        asked.append(name)
        return await list_rows(name, merchant, *args)

    async def counted(name: str, *args: object) -> Any:
        asked.append(name)
        return await rows(name, *args)

    async def counted_row(name: str, *args: object) -> Any:
        asked.append(name)
        return await row(name, *args)

    store.rows, store.row = counted, counted_row  # type: ignore[method-assign]
    store.list_rows = counted_list  # type: ignore[method-assign]
    region = {"bailiwick-region": "1"}
    for path, wish, names in (
        ("/v1/payment_intents", {"expand[]": "data.latest_charge"},
         ["payment_list_newest", "charge_some", "balance_transactions_of"]),
        ("/v1/refunds", {},
         ["refund_list_newest", "assignments_find", "balance_transactions_of"]),
        ("/v1/events", {},
         ["event_list_newest", "assignments_find", "charges_told_events", "charges_told",
          "balance_transactions_of"]),
        ("/v1/payment_intents", {"starting_after": made[4]["id"]},
         ["payment_owned", "payment_list_newest"]),
    ):  # fmt: skip
        asked.clear()
        status, page = await one.ask("GET", path, wish, at=one.nodes[0], headers=region)
        assert status == 200 and len(page["data"]) >= 4
        assert asked == names
    status, page = await one.ask("GET", "/v1/payment_intents", {"expand[]": "data.latest_charge"})
    for each in page["data"]:
        _, alone = await one.ask("GET", f"/v1/charges/{each['latest_charge']['id']}")
        assert each["latest_charge"] == alone


async def test_what_must_stay_in_its_region_is_not_listed_elsewhere(
    server_dsn: str, tmp_path: Path
) -> None:
    async with site(server_dsn, tmp_path, ("europe", "apac"), region="apac") as it:
        home = it.nodes[0]
        made = await it.ask(
            "POST", "/v1/payment_intents",
            {"amount": 1000, "currency": "eur", "location[country]": "DE", **PAID}, at=home,
        )  # fmt: skip
        assert made[0] == 200, made
        refund = await it.ask(
            "POST", "/v1/refunds", {"payment_intent": made[1]["id"], "amount": 1}, at=home
        )
        for path in PATHS.values():
            status, body = await it.ask("GET", path)
            assert (status, body["error"]["code"]) == (421, "wrong_region")
            status, page = await it.ask("GET", path, {"partial": "allow"})
            assert (status, page["data"]) == (200, [])
            assert page["nodes_of_other_regions"] == ["europe"]
        assert refund[0] == 200
