"""Every integer of every request, at and past its own bounds and the database's: never a 5xx."""

from collections.abc import Iterator
from typing import Any

import pytest
from api_kit import Api, at_both
from msgspec import Struct, inspect

from bailiwick.resources.balance.params import ListTransactions
from bailiwick.resources.charges.params import ListCharges
from bailiwick.resources.disputes.params import ListDisputes
from bailiwick.resources.events.params import ListEvents
from bailiwick.resources.payments import params as payments
from bailiwick.resources.refunds import params as refunds
from bailiwick.resources.webhook_endpoints.params import ListEndpoints
from bailiwick.serving.params import SearchQuery
from tests import request_structs

# At and past: what the types allow, 32 and 64 bits, what a float holds, the digits that are read.
VALUES = [
    -(10**18), -(2**63), -(2**31) - 1, -1, 0, 1, 99, 100, 101, 2**31 - 1, 2**31, 999_999_999_999,
    1_000_000_000_000, 2**53 // 1000, 2**53 // 1000 + 1, 10**13, 10**16, 2**53, 2**53 + 1,
    10**18 - 1, 10**18, 2**63 - 1, 2**63, 2**64, 10**30,
]  # fmt: skip
ROUTES: dict[type[Struct], tuple[str, str]] = {
    payments.CreatePayment: ("POST", "/v1/payment_intents"),
    payments.UpdatePayment: ("POST", "/v1/payment_intents/{pi}"),
    payments.ConfirmPayment: ("POST", "/v1/payment_intents/{pi}/confirm"),
    payments.CapturePayment: ("POST", "/v1/payment_intents/{pi}/capture"),
    refunds.CreateRefund: ("POST", "/v1/refunds"),
    payments.ListPayments: ("GET", "/v1/payment_intents"),
    refunds.ListRefunds: ("GET", "/v1/refunds"),
    ListDisputes: ("GET", "/v1/disputes"),
    ListTransactions: ("GET", "/v1/balance_transactions"),
    ListCharges: ("GET", "/v1/charges"),
    SearchQuery: ("GET", "/v1/payment_intents/search"),
    ListEvents: ("GET", "/v1/events"),
    ListEndpoints: ("GET", "/v1/webhook_endpoints"),
}
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


CASES = [(kind, name) for kind in ROUTES for name in integers(kind)]


def test_all_requests_with_integers_are_here() -> None:
    found = {each for each in request_structs.every() if list(integers(each))}
    assert found <= set(ROUTES), {each.__name__ for each in found - set(ROUTES)}
    assert {name for _, name in CASES} > {"amount", "amount_to_capture", "limit", "created[gte]"}


@pytest.mark.parametrize("at", ["access", "node"])
@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{k.__name__}-{n}" for k, n in CASES])
def test_an_integer_is_taken_or_refused_by_name(
    demo: dict[str, Any], at: str, kind: type[Struct], name: str
) -> None:
    api = at_both(demo)[at]
    method, path = ROUTES[kind]
    needs = _needs(api, kind)
    for value in VALUES:
        params = {**needs.get("params", {}), name: str(value)}
        status, said = api.ask(method, path.format(**needs), params)
        assert status in (200, 400, 402), (value, status, said)
        if status == 400:
            assert said["error"]["param"] == name, (value, said)
        elif kind is payments.CapturePayment:
            needs = _needs(api, kind)  # what was captured is not captured again


def _needs(api: Api, kind: type[Struct]) -> dict[str, Any]:
    """A payment in the state that the request is for, and what the request needs else."""
    if kind is payments.CreatePayment:
        return {"params": {"currency": "eur", "location[country]": "DE"}}
    if kind in (payments.UpdatePayment, payments.ConfirmPayment):
        return {"pi": api.pay(confirm="false")["id"]}
    if kind is payments.CapturePayment:
        return {"pi": api.pay(capture_method="manual")["id"]}
    if kind is SearchQuery:
        return {"params": {"query": "amount>1"}}
    if kind is refunds.CreateRefund:
        return {"params": {"payment_intent": api.pay()["id"]}}
    return {}
