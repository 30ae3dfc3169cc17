"""What a page of another origin may ask access, over raw HTTP, as a browser would."""

import json
from pathlib import Path

import pytest
from access_kit import PUBLISHABLE, SECRET, Access, Call, Reply, access, write_world

from bailiwick.access.nodes.forward import Answer

PAYMENT = "/v1/payment_intents/pi_000000000m002t59wymj5y29vk"
ORIGIN = {"origin": "https://shop.example"}
SHARED = [("GET", PAYMENT), ("POST", PAYMENT + "/confirm"), ("GET", "/v1/topology")]
OTHERS = [
    ("POST", "/v1/payment_intents"), ("GET", "/v1/payment_intents"), ("POST", PAYMENT),
    ("POST", PAYMENT + "/capture"), ("POST", PAYMENT + "/cancel"), ("GET", "/v1/events"),
    ("POST", "/v1/explain"), ("POST", "/v1/refunds"), ("GET", "/v1/webhook_endpoints"),
]  # fmt: skip


async def asked_first(it: Access, method: str, target: str) -> Answer:
    """A preflight: no key, by the Fetch standard."""
    wanted = {
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,idempotency-key",
    }
    return await it.call("OPTIONS", target, key=None, headers={**ORIGIN, **wanted})


def cors(answer: Answer) -> dict[str, str]:
    return {
        name.decode(): value.decode()
        for name, value in answer.headers.items()
        if name.startswith(b"access-control-")
    }


@pytest.mark.parametrize(("method", "target"), SHARED)
async def test_a_preflight_is_answered(tmp_path: Path, method: str, target: str) -> None:
    async with access(tmp_path) as it:
        answer = await asked_first(it, method, target)
        assert (answer.status, answer.body) == (204, b"")
        found = cors(answer)
        assert found["access-control-allow-origin"] == "*"
        assert found["access-control-allow-methods"] == method
        assert int(found["access-control-max-age"]) > 0
        allowed = set(found["access-control-allow-headers"].split(", "))
        assert {
            "authorization", "content-type", "idempotency-key", "stripe-version",
            "x-stripe-client-user-agent",
        } <= allowed  # fmt: skip
        assert "access-control-allow-credentials" not in found
        assert not it.nodes[0].calls


@pytest.mark.parametrize(("method", "target"), SHARED)
async def test_what_a_publishable_key_is_told_can_be_read(
    tmp_path: Path, method: str, target: str
) -> None:
    async with access(tmp_path) as it:
        answer = await it.call(method, target, key=PUBLISHABLE, headers=ORIGIN)
        assert answer.status == 200
        found = cors(answer)
        assert found["access-control-allow-origin"] == "*"
        readable = set(found["access-control-expose-headers"].split(", "))
        assert readable == {
            "request-id", "idempotent-replayed", "stripe-should-retry", "retry-after",
            "ratelimit", "ratelimit-policy",
        }  # fmt: skip
        assert "access-control-allow-credentials" not in found
        for key in (None, "pk_test_wrong"):
            answer = await it.call(method, target, key=key, headers=ORIGIN)
            assert (answer.status, cors(answer)["access-control-allow-origin"]) == (401, "*")
        answer = await it.call(method, target, key=SECRET, headers=ORIGIN)
        assert (answer.status, cors(answer)) == (200, {}), "a secret key is not for browsers"


async def test_faults_can_be_read_too(tmp_path: Path) -> None:
    def broken(call: Call) -> Reply:
        return 503, {}, {"error": {"type": "api_error", "message": "not now"}}

    async with access(tmp_path) as it:
        it.nodes[0].answer = broken
        answer = await it.call("GET", PAYMENT, key=PUBLISHABLE)
        assert (answer.status, cors(answer)["access-control-allow-origin"]) == (503, "*")
        long = {"idempotency-key": "x" * 256}
        for key, shared in ((PUBLISHABLE, "*"), (SECRET, None)):
            answer = await it.call("POST", PAYMENT + "/confirm", key=key, headers=long)
            assert answer.status == 400
            assert cors(answer).get("access-control-allow-origin") == shared
        answer = await it.call("GET", "/v1/payment_intents/pi_none", key=PUBLISHABLE)
        assert (answer.status, cors(answer)["access-control-allow-origin"]) == (404, "*")


@pytest.mark.parametrize(("method", "target"), OTHERS)
async def test_other_routes_are_not_shared(tmp_path: Path, method: str, target: str) -> None:
    async with access(tmp_path) as it:
        for key in (PUBLISHABLE, None, SECRET):
            assert cors(await it.call(method, target, key=key, headers=ORIGIN)) == {}
        if (answer := await asked_first(it, method, target)).status == 200:
            assert cors(answer) == {}
            assert method in answer.headers[b"allow"].decode()
        else:
            # The route is shared for another method: a browser refuses this one, or cannot read it.
            assert cors(answer)["access-control-allow-methods"] != method


@pytest.mark.parametrize("target", ["/v1/nowhere", PAYMENT + "/explode", "/metrics"])
async def test_options_of_nothing(tmp_path: Path, target: str) -> None:
    async with access(tmp_path) as it:
        answer = await asked_first(it, "GET", target)
        assert (answer.status, cors(answer)) == (404, {})
        assert json.loads(answer.body)["error"]["type"] == "invalid_request_error"
        assert answer.headers[b"request-id"].startswith(b"req_")


async def test_a_publishable_key_is_told_no_addresses_and_states(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        _, mine = await it.json("GET", "/v1/topology", key=SECRET)
        _, theirs = await it.json("GET", "/v1/topology", key=PUBLISHABLE)
        assert {"url", "usage"} <= set(mine["nodes"][0])
        assert [set(node) for node in theirs["nodes"]] == [{"number", "name", "title"}] * 2
        assert {k: v for k, v in theirs.items() if k != "nodes"} == {
            k: v for k, v in mine.items() if k != "nodes"
        }
        assert "127.0.0.1" not in json.dumps(theirs)
        nodes = {node.name: (node.number, node.url) for node in it.nodes}
        write_world(tmp_path, nodes, epoch=2)
        assert await it.front.current.check()
        _, theirs = await it.json("GET", "/v1/topology", key=PUBLISHABLE)
        assert theirs["epoch"] == 2
