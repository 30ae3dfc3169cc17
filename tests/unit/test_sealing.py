"""Seals on internal questions: good at one node, for a while, once; and who may ask at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from bailiwick.access.nodes.forward import Answer, NodeClient
from bailiwick.base import canary
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.sealing import SEAL, VERSION, Fresh, Stamp, answer_seal, fits, require, seal
from bailiwick.interlink import admission_query, copies
from bailiwick.interlink.admission_query import (
    FRESH_MS,
    KIND,
    PATH,
    AdmissionQueries,
    AdmissionQuery,
)
from bailiwick.interlink.refusals import Refusals
from bailiwick.node import app as node_app
from bailiwick.node import bulk_admission
from bailiwick.orders.machine import Machine
from bailiwick.resources.payments import stored
from bailiwick.resources.payments.routes import check_client_secret
from bailiwick.topology.merchants import Merchant, Principal
from bailiwick.wire.server import HttpServer

SECRET = b"what access and nodes share"
WINDOW_MS = 1_000
NOW_MS = 1_700_000_000_000


# --- seals ------------------------------------------------------------------------------------


def test_kinds_questions_and_answers_have_seals_of_their_own() -> None:
    body = b"{}"
    question = seal(SECRET, "a", body)
    made = {
        question,
        seal(SECRET, "b", body),
        seal(b"other", "a", body),
        seal(SECRET, "a", b"[]"),
        answer_seal(SECRET, "a", question, body),
        answer_seal(SECRET, "a", seal(SECRET, "a", b"[]"), body),
        answer_seal(SECRET, "b", question, body),
    }
    assert len(made) == 7
    assert all(each.startswith(f"{VERSION}.") for each in made)


@pytest.mark.parametrize("given", [None, "", "2", "2.", "é", b"\xff", "2." + "0" * 64])
def test_what_does_not_fit(given: str | bytes | None) -> None:
    assert not fits(seal(SECRET, "a", b""), given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "missing"),
        ("2." + "0" * 64, "not genuine"),
        ("0" * 64, "another release"),  # as it was before seals had versions
        ("3." + "0" * 64, "another release"),
    ],
)
def test_a_refused_seal_says_why(given: str | None, words: str) -> None:
    with pytest.raises(ApiError, match=words) as refused:
        require(SECRET, "a", given, b"{}", "access processes")
    assert refused.value.status == 403


# --- once -------------------------------------------------------------------------------------


def stamp(**values: Any) -> Stamp:
    return Stamp(**{"node": 1, "at_ms": NOW_MS, "asker": "a" * 16, "count": 1, **values})


def fresh(most: int = 8) -> Fresh:
    return Fresh(1, WINDOW_MS, most)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"node": 2}, "node"),
        ({"at_ms": NOW_MS - WINDOW_MS - 1}, "at_ms"),
        ({"at_ms": NOW_MS + WINDOW_MS + 1}, "at_ms"),
        ({"asker": "a" * 15}, "asker"),
        ({"asker": "a" * 65}, "asker"),
    ],
)
def test_of_another_node_or_time(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ApiError) as refused:
        fresh().take(stamp(**values), NOW_MS)
    assert (refused.value.status, refused.value.param) == (400, field)


def test_a_question_is_taken_once_and_none_before_it() -> None:
    it = fresh()
    it.take(stamp(count=5), NOW_MS)
    it.take(stamp(count=1, asker="b" * 16), NOW_MS)
    for count in (5, 4):
        with pytest.raises(ApiError) as refused:
            it.take(stamp(count=count), NOW_MS)
        assert refused.value.param == "count"
    it.take(stamp(count=6), NOW_MS)


def test_what_is_refused_is_not_remembered() -> None:
    it = fresh()
    with pytest.raises(ApiError):
        it.take(stamp(at_ms=0), NOW_MS)
    assert len(it) == 0


def test_memory_is_bounded_and_nobody_is_forgotten_who_could_ask_again() -> None:
    it = fresh(most=2)
    ahead = stamp(asker="b" * 16, at_ms=NOW_MS + WINDOW_MS, count=7)
    it.take(stamp(), NOW_MS)
    it.take(ahead, NOW_MS)
    it.take(msgspec.structs.replace(ahead, at_ms=NOW_MS, count=8), NOW_MS)
    with pytest.raises(ApiError) as refused:
        it.take(stamp(asker="c" * 16), NOW_MS)
    assert refused.value.status == 503
    later = NOW_MS + WINDOW_MS + 1
    it.take(stamp(asker="c" * 16, at_ms=later), later)  # the first one's are too old by now
    with pytest.raises(ApiError) as again:
        it.take(ahead, later)
    assert again.value.param == "count"
    assert len(it) == 2


# --- at the node ------------------------------------------------------------------------------


_none = cast(Any, None)
MACHINE = Machine(1, _none, _none, _none, _none, _none, 1.0)
"""Routes only keep it."""


class World:
    epoch = 3
    merchants = SimpleNamespace(by_id={}, by_key=lambda key: None)


@asynccontextmanager
async def node(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NodeClient]:
    """The routes of node 1, over HTTP; whoever gets further than the door is answered nothing."""

    async def tell(
        self: bulk_admission.BulkAdmission, asked: AdmissionQueries
    ) -> list[admission_query.AdmissionVerdict]:
        return [admission_query.FULL] * len(asked.asks)

    monkeypatch.setattr(bulk_admission.BulkAdmission, "_tell", tell)
    load = SimpleNamespace(open=0, check_open=lambda: None, header=lambda epoch: "{}")
    it = SimpleNamespace(
        number=1,
        refusals=Refusals(SECRET),
        configurations=None,
        screener=None,
        load=load,
        world=World(),
        superseded_by=None,
        machine=MACHINE,
    )
    server = HttpServer(node_app.build(cast(Any, it)), grace_s=1)
    await server.start()
    client = NodeClient(f"http://127.0.0.1:{server.port}")
    try:
        yield client
    finally:
        client.close()
        await server.stop()


def batch(**values: Any) -> bytes:
    asks = [AdmissionQuery("acct_1", False, "0" * 32, "0" * 32, True)]
    made = AdmissionQueries(1, now_ms(), "a" * 32, 1, 3, asks)
    return msgspec.json.encode(msgspec.structs.replace(made, **values))


async def ask(client: NodeClient, body: bytes, proof: str | None) -> Answer:
    lines = [b"content-type: application/json\r\n"]
    if proof is not None:
        lines.append(f"{SEAL}: {proof}\r\n".encode())
    return await client.request("POST", PATH.encode(), lines, body)


async def test_a_batch_is_answered_once_under_a_seal(monkeypatch: pytest.MonkeyPatch) -> None:
    async with node(monkeypatch) as client:
        body = batch()
        proof = seal(SECRET, KIND, body)
        answer = await ask(client, body, proof)
        assert answer.status == 200
        assert fits(answer_seal(SECRET, KIND, proof, answer.body), answer.headers[SEAL.encode()])
        replayed = await ask(client, body, proof)
        assert (replayed.status, b"was asked" in replayed.body) == (400, True)
        assert SEAL.encode() not in replayed.headers


@pytest.mark.parametrize(
    "values",
    [
        {"node": 2},
        {"at_ms": now_ms() - FRESH_MS - 60_000},
        {"at_ms": now_ms() + FRESH_MS + 86_400_000},  # made at collection
    ],
    ids=["another node", "old", "from the future"],
)
async def test_a_batch_is_for_one_node_and_for_now(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]
) -> None:
    async with node(monkeypatch) as client:
        body = batch(**values)
        assert (await ask(client, body, seal(SECRET, KIND, body))).status == 400


async def test_the_seal_of_an_older_release_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with node(monkeypatch) as client:
        answer = await ask(client, batch(), "ab" * 32)
        assert (answer.status, b"another release" in answer.body) == (403, True)


# --- every internal route ---------------------------------------------------------------------

INTERNAL = {
    admission_query.PATH: ("POST", 403),
    canary.PATH: ("POST", 403),
    copies.PATH: ("POST", 403),
    "/internal/crash": ("POST", 403),  # in processes that tests start, alone
    "/internal/residency/{identifier}": ("GET", 401),  # of a merchant's own objects, by its key
}


def routes(app: Any) -> set[str]:
    """What a Falcon application has routes for."""
    found: set[str] = set()

    def walk(nodes: list[Any], before: str) -> None:
        for each in nodes:
            path = f"{before}/{each.raw_segment}"
            if each.resource is not None:
                found.add(path)
            walk(each.children, path)

    walk(app._router._roots, "")
    return found


async def test_nobody_gets_through_an_internal_route_without_proof(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BAILIWICK_CRASH_POINTS", raising=False)
    it = cast(
        Any,
        SimpleNamespace(
            number=1,
            machine=MACHINE,
            refusals=SimpleNamespace(secret=b""),
            configurations=None,
            screener=None,
        ),
    )
    internal = {each for each in routes(node_app.build(it)) if each.startswith("/internal")}
    assert internal == set(INTERNAL)
    async with node(monkeypatch) as client:
        for path, (method, status) in INTERNAL.items():
            target = path.replace("{identifier}", "pi_1").encode()
            form = b"point=create.before&nth=1&how=kill" if "crash" in path else b"{}"
            lines = [b"content-type: application/x-www-form-urlencoded\r\n"]
            for proof in (None, "2." + "0" * 64, "é"):
                shown = [] if proof is None else [f"{SEAL}: {proof}\r\n".encode()]
                answer = await client.request(method, target, lines + shown, form)
                assert answer.status == status, (path, proof, answer.body)


# --- other secrets ----------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, "", "pi_1_secret_other", "é", "\udce9"])
async def test_a_client_secret_that_is_not_it_is_not_found_whatever_it_is(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant = Merchant("acct_1", "Shop")
    details = SimpleNamespace(client_secret="pi_1_secret_right")
    payment = SimpleNamespace(merchant="acct_1", livemode=False, details=details)

    async def found(store: Any, identifier: str) -> Any:
        return payment

    monkeypatch.setattr(stored, "find", found)
    it: Any = SimpleNamespace(store=None)
    who = Principal(merchant, "publishable", False)
    assert await check_client_secret(it, who, "pi_1", "pi_1_secret_right") is payment
    with pytest.raises(ApiError) as refused:
        await check_client_secret(it, who, "pi_1", given)
    assert refused.value.status == 404
