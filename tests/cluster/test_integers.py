"""Every integer of every request, at and past its own bounds and the database's: never a 5xx."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from api_kit import Api, at_both
from msgspec import Struct, inspect

from bailiwick.resources.available_payment_methods.params import AvailableMethods
from bailiwick.resources.payments import params as payments
from bailiwick.resources.payouts.params import CreatePayout
from bailiwick.resources.refunds import params as refunds
from bailiwick.resources.test_clocks.params import AdvanceClock, CreateClock
from bailiwick.resources.webhook_deliveries.params import ListDeliveries
from bailiwick.resources.webhook_endpoints.params import RollSecret
from bailiwick.serving.params import SearchQuery
from tests import request_structs

# At and past: what the types allow, 32 and 64 bits, what a float holds, the digits that are read.
VALUES = [
    -(10**18), -(2**63), -(2**31) - 1, -1, 0, 1, 99, 100, 101, 2**31 - 1, 2**31, 999_999_999_999,
    1_000_000_000_000, 2**53 // 1000, 2**53 // 1000 + 1, 10**13, 10**16, 2**53, 2**53 + 1,
    10**18 - 1, 10**18, 2**63 - 1, 2**63, 2**64, 10**30,
]  # fmt: skip
ROUTE = re.compile(r"(GET|POST) (/v1/[a-z_/{}]+)")
SPAN = ("created", "created[gt]", "created[gte]", "created[lt]", "created[lte]")


def integers(kind: type[Struct]) -> Iterator[str]:
    """The names of a request's integers."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    for field in described.fields:
        types = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        if any(isinstance(each, inspect.IntType) for each in types):
            yield field.encode_name
        if field.encode_name == "created":
            yield from SPAN


def route(kind: type[Struct]) -> tuple[str, str]:
    """What its description says that it is for."""
    if kind is SearchQuery:
        return "GET", "/v1/payment_intents/search"
    found = ROUTE.match(kind.__doc__ or "")
    assert found, kind
    return found[1], found[2]


CASES = [(kind, name) for kind in request_structs.every() for name in integers(kind)]


def test_integers_are_found() -> None:
    assert {name for _, name in CASES} > {"amount", "amount_to_capture", "limit", "created[gte]"}


@pytest.mark.parametrize("at", ["access", "node"])
@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{k.__name__}-{n}" for k, n in CASES])
def test_an_integer_is_taken_or_refused_by_name(
    demo: dict[str, Any], at: str, kind: type[Struct], name: str
) -> None:
    apis = at_both(demo)
    api, access = apis[at], apis["access"]
    if kind is RollSecret:
        api = access  # it makes the secret, and tells the nodes
    method, path = route(kind)
    needs = _needs(api, access, kind)
    for value in VALUES:
        params = {**needs.get("params", {}), name: str(value)}
        where = path.replace("{id}", needs.get("id", "{id}"))
        status, said = api.ask(method, where, params, Idempotency_Key=uuid4().hex)
        assert status in (200, 400, 402), (value, status, said)
        if status == 400:
            assert said["error"]["param"] == name, (value, said)
        elif kind in (payments.CapturePayment, AdvanceClock):
            # What was captured is not captured again; a clock goes forward alone.
            needs = _needs(api, access, kind)


def _needs(api: Api, access: Api, kind: type[Struct]) -> dict[str, Any]:
    """A payment in the state that the request is for, and what the request needs else."""
    if kind is payments.CreatePayment:
        return {"params": {"currency": "eur", "location[country]": "DE"}}
    if kind in (payments.UpdatePayment, payments.ConfirmPayment):
        return {"id": api.pay(confirm="false")["id"]}
    if kind is payments.CapturePayment:
        return {"id": api.pay(capture_method="manual")["id"]}
    if kind is payments.IncrementPayment:
        wish = {"payment_method_options[card][request_incremental_authorization]": "if_available"}
        return {"id": api.pay(capture_method="manual", **wish)["id"]}
    if kind is SearchQuery:
        return {"params": {"query": "amount>1"}}
    if kind is refunds.CreateRefund:
        return {"params": {"payment_intent": api.pay()["id"]}}
    if kind is CreatePayout:
        place = {"currency": "eur", "location[country]": "DE"}
        return {"params": {**place, "destination": "btok_sandbox"}}
    if kind is AvailableMethods:
        return {"params": {"currency": "eur", "location[country]": "DE"}}
    if kind is CreateClock:
        return {"params": {"location[country]": "DE"}}
    if kind is AdvanceClock:
        made = {"frozen_time": "0", "location[country]": "DE"}
        return {"id": api.ask("POST", "/v1/test_helpers/test_clocks", made)[1]["id"]}
    if kind is ListDeliveries:
        return {"params": {"event": api.get("/v1/events", limit=1)[1]["data"][0]["id"]}}
    if kind is RollSecret:
        sink = {"url": "http://127.0.0.1:9/", "enabled_events[0]": "refund.created"}
        return {"id": access.ask("POST", "/v1/webhook_endpoints", sink)[1]["id"]}
    return {}
