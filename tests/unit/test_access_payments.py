"""Where access sends a request, what it sends along, and when it does not send again."""

import json
from pathlib import Path
from typing import Any

import pytest
from access_kit import PUBLISHABLE, SECRET, access, refusal

from bailiwick.base.ids import new_id

CREATE = "/v1/payment_intents"
IN = "amount=100&currency=inr&location[country]=IN"
DE = "amount=100&currency=eur&location[country]=DE"
KEYED = {"idempotency-key": "k1"}


def id_on(node: int, prefix: str = "pi") -> str:
    return new_id(prefix, node, 1_700_000_000_000)


async def test_a_payment_goes_to_its_home_as_it_came(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        headers = {
            **KEYED,
            "stripe-version": "2026-10-28.endive",
            "x-forwarded-for": "1.2.3.4",
            "bailiwick-refusals": "1.1.forged.00",
            "bailiwick-resource": "forged",
            "cookie": "a=b",
        }
        answer = await it.call("POST", CREATE, IN + "&confirm=true", headers=headers)
        assert (answer.status, json.loads(answer.body)) == (200, {"node": "apac"})
        assert answer.headers[b"request-id"].startswith(b"req_")
        assert b"bailiwick-usage" not in answer.headers
        (call,) = it.nodes[1].calls
        assert it.nodes[0].calls == []
        assert (call.method, call.path, call.query) == ("POST", CREATE, b"")
        assert call.body.decode() == IN + "&confirm=true"
        assert call.headers["authorization"] == f"Bearer {SECRET}"
        assert call.headers["idempotency-key"] == "k1"
        assert call.headers["stripe-version"] == "2026-10-28.endive"
        assert call.headers["bailiwick-epoch"] == "1"
        assert call.headers["request-id"].encode() == answer.headers[b"request-id"]
        assert len(call.headers["traceparent"]) == 55
        for name in ("x-forwarded-for", "bailiwick-refusals", "bailiwick-resource", "cookie"):
            assert name not in call.headers


async def test_a_clients_trace_goes_on_and_nonsense_is_replaced(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        trace = f"00-{'a' * 32}-{'b' * 16}-01"
        await it.call("POST", CREATE, IN, headers={"traceparent": trace})
        await it.call("POST", CREATE, IN, headers={"traceparent": "junk"})
        assert it.nodes[1].calls[0].headers["traceparent"] == trace
        assert it.nodes[1].calls[1].headers["traceparent"] != "junk"


async def test_forged_addresses_in_headers_never_locate(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        headers = {"x-forwarded-for": "49.36.0.1", "forwarded": "for=49.36.0.1"}
        status, body = await it.json("POST", CREATE, "amount=1&currency=inr", headers=headers)
        assert status == 400
        assert body["error"]["code"] == "location_missing"


@pytest.mark.parametrize(
    ("location", "node"),
    [
        ("location[country]=in", "apac"),
        ("location%5Bcoordinates%5D=52.52%2C13.40", "europe"),
        ("location[ip_address]=49.36.0.1", "apac"),
    ],
)
async def test_all_kinds_of_evidence(tmp_path: Path, location: str, node: str) -> None:
    async with access(tmp_path) as it:
        status, body = await it.json("POST", CREATE, f"amount=1&currency=inr&{location}")
        assert (status, body) == (200, {"node": node})


async def test_json_bodies(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        body = json.dumps({"amount": 1, "location": {"country": "IN"}, "confirm": True})
        headers = {"content-type": "application/json; charset=utf-8"}
        assert (await it.json("POST", CREATE, body, headers=headers))[1] == {"node": "apac"}
        assert it.nodes[1].calls[0].body.decode() == body


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ("location[country]=Germny", "location[country]"),
        ("location[countri]=DE", "location[countri]"),
        ("location=DE", "location"),
        ("location[country]=DE&location[country]=IN", "location[country]"),
        ("location[coordinates]=91,0", "location[coordinates]"),
        ("location[ip_address]=10.0.0.1", "location[ip_address]"),
    ],
)
async def test_bad_evidence_is_refused_before_any_node(
    tmp_path: Path, body: str, param: str
) -> None:
    async with access(tmp_path) as it:
        answer = await it.call("POST", CREATE, body)
        assert answer.status == 400
        assert json.loads(answer.body)["error"]["param"] == param
        assert answer.headers[b"stripe-should-retry"] == b"false"
        assert it.nodes[0].calls == it.nodes[1].calls == []


async def test_a_refusal_is_matched_again_at_once_with_its_token(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        it.nodes[1].answer = lambda call: refusal(2)
        status, body = await it.json("POST", CREATE, IN + "&confirm=true", headers=KEYED)
        assert (status, body) == (200, {"node": "europe"})
        (first,), (second,) = it.nodes[1].calls, it.nodes[0].calls
        assert first.body == second.body
        assert second.headers["bailiwick-refusals"] == f"2.1.overloaded.{'ab' * 32}"
        assert second.headers["idempotency-key"] == "k1"
        assert it.front.metrics.refusals["apac", "overloaded"] == 1


async def test_when_all_refuse_the_answer_says_so(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        it.nodes[0].answer = lambda call: refusal(1, "draining")
        it.nodes[1].answer = lambda call: refusal(2)
        answer = await it.call("POST", CREATE, IN + "&confirm=true")
        error = json.loads(answer.body)["error"]
        assert (answer.status, error["code"]) == (503, "no_node")
        assert "draining" in error["message"]
        assert "overloaded" in error["message"]
        # The tombstones hold for this key for ever: the same request again would be in vain.
        assert answer.headers[b"stripe-should-retry"] == b"false"
        assert "new Idempotency-Key" in error["message"]
        assert answer.headers[b"retry-after"] == b"1"


async def test_strict_residency_never_leaves(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        it.nodes[0].answer = lambda call: refusal(1)
        status, body = await it.json("POST", CREATE, DE + "&confirm=true")
        assert (status, body["error"]["code"]) == (503, "no_node")
        assert it.nodes[1].calls == []


async def test_a_token_of_another_node_is_no_refusal(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        it.nodes[1].answer = lambda call: refusal(1)
        status, _ = await it.json("POST", CREATE, IN + "&confirm=true")
        assert status == 503
        assert it.nodes[0].calls == []


@pytest.mark.parametrize(
    "usage", [{"draining": True}, {"database_lag_ms": 9_000}, {"error_rate": 0.9}]
)
async def test_usage_state_moves_only_what_cannot_charge(
    tmp_path: Path, usage: dict[str, Any]
) -> None:
    async with access(tmp_path) as it:
        it.nodes[1].usage.update(usage)
        await it.front.node_monitor.ask_all()
        assert (await it.json("POST", CREATE, IN))[1] == {"node": "europe"}
        passed = json.loads(it.nodes[0].calls[0].headers["bailiwick-passed-over"])
        assert list(passed) == ["2"]
        for confirm in ("true", "yes", "1"):
            await it.json("POST", CREATE, f"{IN}&confirm={confirm}")
        assert len(it.nodes[1].calls) == 3
        assert "bailiwick-passed-over" not in it.nodes[1].calls[0].headers


async def test_with_no_open_node_the_home_decides(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        for node in it.nodes:
            node.usage["draining"] = True
        await it.front.node_monitor.ask_all()
        assert (await it.json("POST", CREATE, IN))[1] == {"node": "apac"}


async def test_an_unreachable_home_of_a_one_shot_payment_is_503(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        await it.nodes[1].server.stop()
        answer = await it.call("POST", CREATE, IN + "&confirm=true", headers=KEYED)
        error = json.loads(answer.body)["error"]
        assert (answer.status, error["code"]) == (503, "node_unavailable")
        assert "apac" in error["message"]
        assert answer.headers[b"stripe-should-retry"] == b"true"
        assert it.nodes[0].calls == []
        assert (await it.json("POST", CREATE, IN))[1] == {"node": "europe"}


@pytest.mark.parametrize("key", [True, False])
async def test_no_answer_after_sending_is_never_sent_again(tmp_path: Path, key: bool) -> None:
    async with access(tmp_path) as it:
        it.nodes[1].answer = lambda call: None
        answer = await it.call("POST", CREATE, IN, headers=KEYED if key else {})
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (
            503,
            "node_unavailable",
        )
        assert len(it.nodes[1].calls) == 1
        assert it.nodes[0].calls == []
        # Without a key an SDK must not repeat by itself what may have been done.
        assert answer.headers[b"stripe-should-retry"] == (b"true" if key else b"false")


async def test_node_answers_pass_through(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        it.nodes[1].answer = lambda call: (
            409,
            {"stripe-should-retry": "true", "retry-after": "3", "x-internal": "1"},
            {"error": {"type": "invalid_request_error", "message": "busy"}},
        )
        answer = await it.call("POST", CREATE, IN)
        assert answer.status == 409
        assert answer.headers[b"retry-after"] == b"3"
        assert answer.headers[b"stripe-should-retry"] == b"true"
        assert b"x-internal" not in answer.headers
        it.nodes[1].answer = lambda call: (500, {"content-type": "text/plain"}, b"oops")
        status, body = await it.json("POST", CREATE, IN)
        assert (status, body["error"]["code"]) == (500, "internal_error")


async def test_requests_by_id_go_home(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        identifier = id_on(2)
        for method, suffix in (
            ("GET", "?expand[]=latest_charge"),
            ("POST", ""),
            ("POST", "/confirm"),
            ("POST", "/capture"),
            ("POST", "/cancel"),
        ):
            target = f"{CREATE}/{identifier}{suffix}"
            assert (await it.json(method, target)) == (200, {"node": "apac"})
        assert [call.method for call in it.nodes[1].calls] == ["GET"] + ["POST"] * 4
        assert it.nodes[1].calls[0].query == b"expand[]=latest_charge"
        for target in (
            f"/v1/charges/{id_on(1, 'ch')}",
            f"/v1/refunds/{id_on(1, 're')}",
            f"/v1/events/{id_on(1, 'evt')}",
        ):
            assert await it.json("GET", target) == (200, {"node": "europe"})


@pytest.mark.parametrize(
    "target",
    [
        "/v1/payment_intents/pi_nonsense",
        f"/v1/payment_intents/{id_on(9)}",
        f"/v1/payment_intents/{id_on(1, 're')}",
        f"/v1/charges/{id_on(1)}",
    ],
    ids=["no id", "of no node", "a refund", "a charge"],
)
async def test_unknown_ids_are_missing(tmp_path: Path, target: str) -> None:
    async with access(tmp_path) as it:
        status, body = await it.json("GET", target)
        assert (status, body["error"]["code"]) == (404, "resource_missing")


async def test_refunds_go_to_the_payments_node(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        bodies = [f"payment_intent={id_on(2)}", f"charge={id_on(2, 'ch')}&amount=5"]
        for body in bodies:
            assert await it.json("POST", "/v1/refunds", body) == (200, {"node": "apac"})
        assert [call.body.decode() for call in it.nodes[1].calls] == bodies
        status, body = await it.json("POST", "/v1/refunds", "amount=5")
        assert (status, body["error"]["code"]) == (400, "parameter_missing")
        both = f"payment_intent={id_on(2)}&charge={id_on(1, 'ch')}"
        assert (await it.json("POST", "/v1/refunds", both))[0] == 400


async def test_strict_places_elsewhere_are_misdirected(tmp_path: Path) -> None:
    async with access(tmp_path, region="apac") as it:
        status, body = await it.json("POST", CREATE, DE)
        assert (status, body["error"]["code"]) == (421, "wrong_region")
        assert body["error"]["url"] == it.nodes[0].url
        assert it.nodes[0].calls == []
        assert (await it.json("POST", CREATE, IN))[0] == 200
    (tmp_path / "b").mkdir()
    async with access(tmp_path / "b", region="europe") as it:
        assert (await it.json("POST", CREATE, DE))[0] == 200


async def test_explain_is_the_nodes_or_what_is_known_without_it(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        assert await it.json("POST", "/v1/explain", DE) == (200, {"node": "europe"})
        assert it.nodes[0].calls[0].path == "/v1/explain"
        it.nodes[0].answer = lambda call: refusal(1, "draining")
        status, body = await it.json("POST", "/v1/explain", DE)
        assert status == 200
        assert body["location"]["country"] == "DE"
        assert body["assignment"]["rule"] == "DE"
        assert body["assignment"]["node"] is None
        assert body["routing"] is None
        assert "draining" in body["routing_unavailable"]
        assert (await it.json("POST", "/v1/explain", "location[country]=XX"))[0] == 400


async def test_keys_of_all_kinds(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        status, body = await it.json("POST", CREATE, IN, key=None)
        assert (status, body["error"]["type"]) == (401, "invalid_request_error")
        assert (await it.json("POST", CREATE, IN, key="sk_test_wrong"))[0] == 401
        basic = {"authorization": "Basic c2tfdGVzdF9hYmNkZWZnaGlqa2xtbm9wOg=="}
        assert (await it.json("POST", CREATE, IN, key=None, headers=basic))[0] == 200
        for bad in ("Basic !!", "Digest x", "Bearer", "bearer  "):
            headers = {"authorization": bad}
            assert (await it.json("POST", CREATE, IN, key=None, headers=headers))[0] == 401
        assert (await it.json("POST", CREATE, IN, key=PUBLISHABLE))[0] == 403
        own = f"{CREATE}/{id_on(2)}"
        assert (await it.json("GET", own, key=PUBLISHABLE))[0] == 200
        assert (await it.json("POST", own + "/confirm", key=PUBLISHABLE))[0] == 200
        assert (await it.json("POST", own + "/capture", key=PUBLISHABLE))[0] == 403


async def test_headers_that_decide_are_given_once(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        twice = {"idempotency-key": "a", "Idempotency-Key": "b"}
        assert (await it.json("POST", CREATE, IN, headers=twice))[0] == 400
        long = {"idempotency-key": "x" * 256}
        status, body = await it.json("POST", CREATE, IN, headers=long)
        assert (status, body["error"]["code"]) == (400, "idempotency_key_invalid")


async def test_rate_limit_of_a_merchant(tmp_path: Path) -> None:
    async with access(tmp_path, rate_per_second=2) as it:
        answers = [await it.call("POST", CREATE, IN) for _ in range(4)]
        limited = [a for a in answers if a.status == 429]
        assert limited
        assert limited[0].headers[b"stripe-should-retry"] == b"true"
        assert json.loads(limited[0].body)["error"]["code"] == "rate_limit"
