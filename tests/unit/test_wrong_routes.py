"""What no route takes: which one may be meant, which verbs there are, what is no id."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from access_kit import Access, access

from bailiwick import resources
from bailiwick.interlink.resource import Everywhere, Refused
from bailiwick.wire.nearest import Nearest

EVERY = resources.every()
BY_ID = sorted(
    {
        (method, path.template, each.object if isinstance(where, Everywhere) else "")
        for each in EVERY
        for path in each.paths
        for method, where in path.methods.items()
        if "{" in path.template and not isinstance(where, Refused)
    }
)
STRIPE_IDS = ("pi_xxxxxxxxxxxxx", "pi_1DgZzZ2eZvKYlo2C", "pi_nonsense", "cus_9s6XKzkNRiz8i3")


@pytest_asyncio.fixture(loop_scope="function")
async def edge(tmp_path: Path) -> AsyncIterator[Access]:
    async with access(tmp_path) as it:
        yield it


async def refused(edge: Access, method: str, target: str, body: str = "") -> tuple[int, str]:
    answer = await edge.call(method, target, body)
    error = json.loads(answer.body)["error"]
    assert error["type"] == "invalid_request_error"
    assert not any(node.calls for node in edge.nodes)
    return answer.status, error["message"]


@pytest.mark.parametrize(("method", "template", "alone"), BY_ID, ids=lambda it: it)
async def test_a_word_is_no_id(edge: Access, method: str, template: str, alone: str) -> None:
    """``alone``: the objects beside whose ids there is no route, so that a word can only be meant
    as one of these."""
    for word in ("searching", "new_one", "pi", "pi_", "pi_a-b", "pi_a.json", "PI_1", "x" * 300):
        target = template.replace("{identifier}", word).replace("{method}", "pm_1")
        status, message = await refused(edge, method, target)
        if alone:
            assert (status, message) == (404, f"No such {alone}: '{word[:64]}'")
        else:
            assert (status, message.partition(" (")[0]) == (404, "Unrecognized request URL")


@pytest.mark.parametrize("identifier", STRIPE_IDS)
async def test_an_id_of_nothing_of_ours_is_one(edge: Access, identifier: str) -> None:
    status, message = await refused(edge, "GET", f"/v1/payment_intents/{identifier}")
    assert (status, message) == (404, f"No such payment_intent: '{identifier}'")
    status, message = await refused(edge, "POST", f"/v1/payment_intents/{identifier}/confirm")
    assert (status, message) == (404, f"No such payment_intent: '{identifier}'")


async def test_the_route_that_is_meant_is_named(edge: Access) -> None:
    for asked, meant in (
        ("GET /v1/payment_intent", "GET /v1/payment_intents"),
        ("GET /v1/refunds/search", "GET /v1/refunds"),
        ("GET /v1/payment_intents/serch", "GET /v1/payment_intents/search"),
        ("POST /v1/payment_intent/pi_1/capture", "POST /v1/payment_intents/{id}/capture"),
        ("POST /v1/payment_intents/pi_1/captur", "POST /v1/payment_intents/{id}/capture"),
        ("DELETE /v1/customer/cus_1", "DELETE /v1/customers/{id}"),
    ):
        method, _, path = asked.partition(" ")
        status, message = await refused(edge, method, path)
        assert status == 404
        assert message.startswith(f"Unrecognized request URL ({method}: {path}). Did you mean ")
        assert f"Did you mean {meant}? " in message


async def test_what_is_near_nothing_gets_no_advice(edge: Access) -> None:
    for path in ("/", "/v1", "/v1/zebra", "/v2/refunds", "/v1/refunds/a" + "/b" * 9):
        status, message = await refused(edge, "GET", path)
        assert (status, "Did you mean" in message) == (404, False)


def test_providers_and_operators_routes_are_nobody_s_meaning() -> None:
    known = Nearest([("GET", "/healthz"), ("GET", "/v1/refunds/{identifier}")])
    assert known.of("GET", "/v1/health") is None
    assert known.of("GET", "/v1/refunds/re_1/x" + "y" * 100) is None


async def test_another_verb_is_told_which_there_are(edge: Access) -> None:
    for asked, possible in (
        ("DELETE /v1/refunds/re_1", "GET, POST"),
        ("GET /v1/payment_intents/pi_1/confirm", "POST"),
        ("POST /v1/payment_intents/search", "GET"),
        ("PUT /v1/webhook_endpoints/we_1", "DELETE, GET, POST"),
    ):
        method, _, path = asked.partition(" ")
        answer = await edge.call(method, path)
        assert answer.status == 405
        allow = {*(answer.header(b"allow") or "").split(", ")} - {"OPTIONS"}
        assert allow == {*possible.split(", ")}
        message = json.loads(answer.body)["error"]["message"]
        told = message.removeprefix(f"{method} is not possible on this URL. Possible: ")
        assert {*told.removesuffix(".").split(", ")} == allow


async def test_parameters_of_a_post_in_its_address_are_not_ignored(edge: Access) -> None:
    for path in ("/v1/payment_intents", "/v1/payment_intents/pi_1/capture", "/v1/explain"):
        status, message = await refused(edge, "POST", f"{path}?confirm=true", "amount=100")
        assert (status, message.partition(":")[0]) == (400, "Received a parameter in the address")
    status, message = await refused(edge, "GET", "/v1/topology?epoch=1")
    assert (status, message) == (400, "Received unknown parameter: epoch.")
