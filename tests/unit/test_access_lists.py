"""Lists over all nodes, webhook endpoints on all nodes, callbacks, and the world as it changes."""

import asyncio
import json
from pathlib import Path

import pytest
from access_kit import SECRET, Call, Reply, access, serving, write_world

from bailiwick.access.fanout.everywhere import derive
from bailiwick.base.ids import is_id, new_id, node_of
from bailiwick.interlink.sealed_resource import read_resource
from bailiwick.topology.merchants import Merchant, Principal
from tests.waiting import until


async def test_lists_page_over_all_nodes(tmp_path: Path) -> None:
    async with access(tmp_path, ("europe", "apac", "americas")) as it:
        ids: list[list[str]] = [[], [], []]
        for moment in range(23):
            number = moment % 3
            ids[number].append(new_id("pi", number + 1, 1_700_000_000_000 + moment))
        for node, own in zip(it.nodes, ids, strict=True):
            node.answer = serving(own)
        wanted = sorted((i for own in ids for i in own), reverse=True)
        seen: list[str] = []
        cursor = ""
        while True:
            status, page = await it.json("GET", f"/v1/payment_intents?limit=5{cursor}")
            assert status == 200
            assert (page["object"], page["url"]) == ("list", "/v1/payment_intents")
            assert "unavailable_nodes" not in page
            seen += [each["id"] for each in page["data"]]
            if not page["has_more"]:
                break
            cursor = f"&starting_after={seen[-1]}"
        assert seen == wanted
        _, back = await it.json("GET", f"/v1/payment_intents?limit=5&ending_before={wanted[10]}")
        assert [each["id"] for each in back["data"]] == wanted[5:10]
        assert back["has_more"]
        assert it.nodes[0].calls[0].headers["authorization"] == f"Bearer {SECRET}"


async def test_a_missing_node_is_named_unless_a_part_is_enough(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        it.nodes[0].answer = serving([new_id("pi", 1, 5)])
        await it.nodes[1].server.stop()
        status, body = await it.json("GET", "/v1/payment_intents?created%5Bgte%5D=5")
        assert (status, body["error"]["code"]) == (503, "node_unavailable")
        assert "apac" in body["error"]["message"]
        status, body = await it.json("GET", "/v1/payment_intents?partial=allow&created%5Bgte%5D=5")
        assert (status, body["unavailable_nodes"], len(body["data"])) == (200, ["apac"], 1)
        assert it.nodes[0].calls[-1].query == b"created%5Bgte%5D=5"
        it.nodes[0].answer = lambda call: (400, {}, {"error": {"message": "bad filter"}})
        assert (await it.json("GET", "/v1/events?partial=allow"))[0] == 400


async def test_a_filter_by_payment_asks_its_node_alone(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        target = f"/v1/refunds?payment_intent={new_id('pi', 2, 5)}"
        assert await it.json("GET", target) == (200, {"node": "apac"})
        assert it.nodes[0].calls == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=1.0", "partial=yes", "limit=1&limit=2",
              "starting_after=a&ending_before=b"]
)  # fmt: skip
async def test_bad_list_parameters(tmp_path: Path, query: str) -> None:
    async with access(tmp_path) as it:
        status, body = await it.json("GET", f"/v1/payment_intents?{query}")
        assert (status, body["error"]["type"]) == (400, "invalid_request_error")
        assert it.nodes[0].calls == []


def test_endpoint_names_are_derived_from_the_key() -> None:
    one = Principal(Merchant("acct_1", "One"), "secret", False)
    two = Principal(Merchant("acct_2", "Two"), "secret", False)
    live = Principal(Merchant("acct_1", "One"), "secret", True)
    first = derive(b"s", one, "k")
    assert first == derive(b"s", one, "k")
    assert is_id(first[0], "we")
    assert node_of(first[0]) == 0
    others = [
        derive(b"s", one, "l"), derive(b"s", two, "k"), derive(b"s", live, "k"),
        derive(b"t", one, "k"), derive(b"s", one, None), derive(b"s", one, None),
    ]  # fmt: skip
    names = {first, *others}
    assert len({i for i, _ in names}) == len({s for _, s in names}) == 7


async def test_webhook_endpoints_are_made_at_one_node_with_proof_from_access(
    tmp_path: Path,
) -> None:
    """A retry comes to the same id and secret, wherever it goes; nobody else can make one."""
    async with access(tmp_path) as it:
        body = "url=https://x.test&enabled_events[]=*"
        forged = {"bailiwick-resource": "{}", "bailiwick-seal": "0" * 64, "idempotency-key": "k"}
        target = "/v1/webhook_endpoints"
        assert await it.json("POST", target, body, headers=forged) == (200, {"node": "europe"})
        assert not it.nodes[1].calls
        await it.nodes[0].server.stop()
        status, made = await it.json("POST", target, body, headers=forged)
        assert (status, made["node"]) == (200, "apac")
        assert made["lagging_nodes"] == ["europe"]
        who = it.front.world.merchants.by_key(SECRET)
        assert who is not None
        stranger = Principal(Merchant("acct_other", "Other"), "secret", False)
        chosen = []
        for (call,) in (node.calls for node in it.nodes):
            assert (call.method, call.path, call.body.decode()) == ("PUT", target, body)
            given = (call.headers["bailiwick-resource"], call.headers["bailiwick-seal"])
            found = read_resource(it.front.internal_secret, who, *given)
            assert found is not None and found.secret.startswith("whsec_")
            assert read_resource(it.front.internal_secret, stranger, *given) is None
            assert read_resource(b"other", who, *given) is None
            chosen.append((found.id, found.secret))
        assert chosen[0] == chosen[1] and is_id(chosen[0][0], "we")


async def test_webhook_endpoints_are_changed_at_one_node_and_read_anywhere(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        target = f"/v1/webhook_endpoints/{new_id('we', 0, 5)}"
        assert (await it.call("POST", target, "disabled=true")).status == 200
        assert len(it.nodes[0].calls) == 1 and not it.nodes[1].calls
        it.nodes[0].answer = lambda call: (404, {}, {"error": {"message": "gone"}})
        assert (await it.json("DELETE", target))[0] == 404
        assert (await it.json("DELETE", "/v1/webhook_endpoints/pi_x"))[0] == 404
        await it.nodes[0].server.stop()
        for path in (target, "/v1/webhook_endpoints?limit=3"):
            assert await it.json("GET", path) == (200, {"node": "apac"})
        assert it.nodes[1].calls[-1].query == b"limit=3"
        status, changed = await it.json("POST", target)
        assert (status, changed) == (200, {"node": "apac", "lagging_nodes": ["europe"]})
        await it.nodes[1].server.stop()
        assert (await it.json("POST", target))[0] == 503


async def test_callbacks_go_to_the_node_with_their_own_headers(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        headers = {
            "sandbox-signature": "t=1,v1=ab",
            "content-type": "application/json",
            "bailiwick-refusals": "forged",
        }
        for name in ("apac", "2"):
            target = f"/v1/nodes/{name}/callbacks/sandbox-upi?x=1"
            answer = await it.call("POST", target, '{"a":1}', key=None, headers=headers)
            assert (answer.status, json.loads(answer.body)) == (200, {"node": "apac"})
        call = it.nodes[1].calls[0]
        assert (call.path, call.query) == ("/v1/callbacks/sandbox-upi", b"x=1")
        assert call.body == b'{"a":1}'
        assert call.headers["sandbox-signature"] == "t=1,v1=ab"
        assert "bailiwick-refusals" not in call.headers
        assert (await it.json("POST", "/v1/nodes/mars/callbacks/x", key=None))[0] == 404
        assert (await it.json("POST", "/v1/nodes/apac/callbacks/a%2Fb", key=None))[0] == 404


async def test_topology_status_and_metrics(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        _, view = await it.json("GET", "/v1/topology")
        assert [(n["number"], n["name"], n["usage"]) for n in view["nodes"]] == [
            (1, "europe", "open"),
            (2, "apac", "open"),
        ]
        assert view["jurisdictions"][0]["places"] == ["DE"]
        assert (await it.json("GET", "/v1/topology", key=None))[0] == 401
        assert await it.json("GET", "/healthz", key=None) == (200, {"status": "ok"})
        assert await it.json("GET", "/readyz", key=None) == (200, {"status": "ready"})
        answer = await it.status("/readyz")
        assert (answer.status, json.loads(answer.body)["open"]) == (200, ["apac", "europe"])
        await it.call("POST", "/v1/payment_intents", "location[country]=DE")
        await it.call("GET", "/v1/payment_intents/pi_4242424242424242")
        for operators in ("/metrics", "/usage"):
            assert (await it.call("GET", operators)).status == 404
        text = (await it.status("/metrics")).body.decode()
        assert 'bailiwick_access_assigned_total{node="europe"} 1.0' in text
        assert 'bailiwick_access_node_open{node="apac"} 1.0' in text
        assert 'bailiwick_access_hop_seconds_count{node="europe"} 1.0' in text
        assert 'route="/v1/payment_intents/{identifier}",status="404"' in text
        assert "42424242" not in text
        for node in it.nodes:
            await node.server.stop()
        await it.front.node_monitor.ask_all()
        gone = {"status": "no node answers"}
        assert await it.json("GET", "/readyz", key=None) == (503, gone)
        assert (await it.status("/readyz")).status == 503


async def test_the_world_is_taken_up_and_worse_ones_refused(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        nodes = {node.name: (node.number, node.url) for node in it.nodes}
        swapped = {"apac": nodes["apac"], "europe": nodes["europe"]}
        create = ("POST", "/v1/payment_intents", "location[country]=DE")
        assert (await it.json(*create))[1] == {"node": "europe"}
        current = it.front.current

        write_world(tmp_path, swapped, epoch=1)
        assert not await current.check()
        assert "without raising the epoch" in (current.problem or "")
        write_world(tmp_path, swapped, epoch=3)
        assert await current.check()
        assert current.problem is None
        assert (await it.json(*create))[1] == {"node": "apac"}
        assert it.nodes[1].calls[-1].headers["bailiwick-epoch"] == "3"

        for damage in ("epoch = 2", "epoch = "):
            text = (tmp_path / "topology.toml").read_text()
            (tmp_path / "topology.toml").write_text(text.replace("epoch = 3", damage))
            assert not await current.check()
            assert current.problem
            assert (await it.json(*create))[1] == {"node": "apac"}
            (tmp_path / "topology.toml").write_text(text)
        await current.check()
        assert current.problem is None

        # A revoked key is gone with the file, without a new epoch.
        write_world(tmp_path, swapped, epoch=3, keys=" ")
        assert await current.check()
        assert (await it.json(*create))[0] == 401


async def test_a_request_under_way_survives_a_new_world(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        gate = asyncio.Event()

        async def slow(call: Call) -> Reply:
            await gate.wait()
            return 200, {}, {"node": "apac"}

        it.nodes[1].answer = slow
        pending = asyncio.create_task(
            it.json("POST", "/v1/payment_intents", "location[country]=IN&confirm=true")
        )
        await until(lambda: it.nodes[1].calls)
        write_world(tmp_path, {"europe": (1, it.nodes[0].url)}, epoch=2)
        assert await it.front.current.check()
        gate.set()
        assert await pending == (200, {"node": "apac"})
        assert (await it.json("GET", f"/v1/payment_intents/{new_id('pi', 2, 5)}"))[0] == 404


def staying(call: Call) -> Reply:
    """A node of another region whose payments must stay there."""
    error = {"code": "wrong_region", "type": "invalid_request_error", "message": "no"}
    return 421, {}, {"error": error}


async def test_lists_of_another_region(tmp_path: Path) -> None:
    async with access(tmp_path, region="europe") as it:
        europe, apac = it.nodes
        identifier = new_id("pi", 1, 1_700_000_000_000)
        europe.answer, apac.answer = serving([identifier]), staying
        status, answer = await it.json("GET", "/v1/payment_intents")
        assert (status, answer["error"]["code"]) == (421, "wrong_region")
        assert answer["error"]["url"] == apac.url
        assert "partial=allow" in answer["error"]["message"]
        status, page = await it.json("GET", "/v1/payment_intents?partial=allow")
        assert (status, page["nodes_of_other_regions"]) == (200, ["apac"])
        assert [each["id"] for each in page["data"]] == [identifier]
        assert {call.headers["bailiwick-region"] for call in apac.calls} == {"1"}


@pytest.mark.parametrize("said", [True, False])
async def test_the_node_says_what_stays_and_is_asked_once(tmp_path: Path, said: bool) -> None:
    async with access(tmp_path, region="europe") as it:
        apac = it.nodes[1]

        def answer(call: Call) -> Reply:
            asked = call.path.startswith("/internal/residency/")
            return 200, {}, {"stays": said} if asked else {"id": "paid"}

        apac.answer = answer
        identifier = new_id("pi", 2, 1_700_000_000_000)
        path = f"/v1/payment_intents/{identifier}"
        for method, body in (("GET", ""), ("POST", "description=secret"), ("GET", "")):
            status, found = await it.json(method, path, body)
            assert status == (421 if said else 200), found
        paths = [call.path for call in apac.calls]
        assert paths == [f"/internal/residency/{identifier}", *([] if said else [path] * 3)]
        assert apac.calls[0].body == b""


async def test_what_is_of_this_region_is_not_asked_about(tmp_path: Path) -> None:
    async with access(tmp_path, region="europe") as it:
        path = f"/v1/payment_intents/{new_id('pi', 1, 1_700_000_000_000)}"
        assert (await it.json("GET", path))[0] == 200
        assert [call.path for call in it.nodes[0].calls] == [path]


@pytest.mark.parametrize(("status", "expected"), [(404, 200), (503, 503), (500, 503)])
async def test_without_the_node_s_word(tmp_path: Path, status: int, expected: int) -> None:
    async with access(tmp_path, region="europe") as it:
        apac = it.nodes[1]
        apac.answer = lambda call: (
            (status, {}, {"error": {}}) if "/internal/" in call.path else (200, {}, {"id": "paid"})
        )
        path = f"/v1/payment_intents/{new_id('pi', 2, 1_700_000_000_000)}"
        assert (await it.json("GET", path))[0] == expected
