"""Every parameter that stripe-python types for a route of ours, alone on a real object: understood,
and seen in what is answered, or refused by its name with the reason.

A 404 about a placeholder comes before parameters are looked at; so objects are made for each.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
import requests
from msgspec import inspect

from bailiwick import resources
from tests.interop.conftest import SWAMPED_KEY, Demo
from tests.interop.kit import call, until
from tests.typed_kit import ROUTES

Form = list[tuple[str, str]]
BY_ROUTE: dict[tuple[str, str], list[tuple[type[msgspec.Struct], str]]] = defaultdict(list)
for _method, _template, _kind, _name in ROUTES:
    BY_ROUTE[_method, _template].append((_kind, _name))
DE = ("location[country]", "DE")
PAID: Form = [("amount", "1999"), ("currency", "eur"), ("payment_method", "pm_card_visa"), DE]
EVIDENCE: Form = [("purpose", "dispute_evidence"), DE]
HELD: Form = [*PAID, ("capture_method", "manual"), ("confirm", "true")]
GROWING = "payment_method_options[card][request_incremental_authorization]"
ONE_OF_OURS = {"customer", "payment_method", "charge", "payment_intent", "source", "test_clock"}
PAID_AS = {"payment_intent": "id", "charge": "latest_charge"}
STATES = {"payment_intent_unexpected_state", "resource_missing", "balance_insufficient"}
"""What may be said of a parameter that was understood: its object is in the wrong state, or what it
names is not there."""
UNSEEN = {
    "client_secret": "it is compared, and shown to whom it is shown",
    "confirm": "it is done",
    "error_on_requires_action": "nothing of it is needed",
    "final_capture": "it is done",
    "off_session": "it is told to the provider",
    "submit": "it is done",
    "use_stripe_sdk": "the table of what has no effect has it",
}
"""What is not read again from the answer under its own name."""


@dataclass
class Shop:
    """A merchant with some of everything."""

    url: str
    _ids: dict[str, str] = field(default_factory=dict)
    _count: Iterator[int] = field(default_factory=itertools.count)

    def ask(self, method: str, path: str, form: Form) -> tuple[int, dict[str, Any]]:
        if (method, path) == ("POST", "/v1/files") and "file" not in dict(form):
            return self.upload(form)
        query = f"?{urlencode(form)}" if method == "GET" and form else ""
        sent = None if method == "GET" else form
        answer = call(method, f"{self.url}{path}{query}", SWAMPED_KEY, sent)
        return answer.status, answer.json()

    def upload(self, form: Form) -> tuple[int, dict[str, Any]]:
        answer = requests.post(
            f"{self.url}/v1/files",
            data=form,
            files={"file": ("a.pdf", b"%PDF-1.7")},
            headers={"Authorization": f"Bearer {SWAMPED_KEY}"},
            timeout=60,
        )
        return answer.status_code, answer.json()

    def made(self, path: str, form: Form) -> dict[str, Any]:
        status, said = self.ask("POST", path, form)
        assert status == 200, (path, form, said)
        return said

    def paid(self, *more: tuple[str, str]) -> dict[str, Any]:
        return self.made("/v1/payment_intents", [*PAID, ("confirm", "true"), *more])

    def customer(self) -> str:
        return str(self.made("/v1/customers", [("name", "Ann"), DE])["id"])

    def saved(self, *, attached: bool) -> str:
        form = [("type", "card"), ("card[token]", "pm_card_visa"), DE]
        method = str(self.made("/v1/payment_methods", form)["id"])
        if attached:
            self.made(f"/v1/payment_methods/{method}/attach", [("customer", self.customer())])
        return method

    def refund(self) -> str:
        form = [("payment_intent", self.paid()["id"]), ("amount", "5")]
        return str(self.made("/v1/refunds", form)["id"])

    def dispute(self) -> str:
        form = [("amount", "1999"), ("currency", "eur"), DE, ("confirm", "true")]
        form.append(("payment_method", "pm_card_createDispute"))
        paid = self.made("/v1/payment_intents", form)["id"]

        def found() -> str | None:
            listed = self.ask("GET", "/v1/disputes", [("payment_intent", paid)])[1]["data"]
            return str(listed[0]["id"]) if listed else None

        return until(found) or ""

    def payout(self) -> str:
        self.paid()
        form = [("amount", "1"), ("currency", "eur"), ("destination", "btok_sandbox_waits"), DE]
        return str(self.made("/v1/payouts", form)["id"])

    def endpoint(self) -> str:
        hooks = self.ask("GET", "/v1/webhook_endpoints", [("limit", "100")])[1]["data"]
        for each in hooks:
            self.ask("DELETE", f"/v1/webhook_endpoints/{each['id']}", [])
        form = [("url", "https://example.com/hook"), ("enabled_events[0]", "customer.created")]
        return str(self.made("/v1/webhook_endpoints", form)["id"])

    def fresh(self, method: str, template: str) -> str:
        """The id of an object in a state in which the route can be used."""
        rest = template.rpartition("}")[2].strip("/")
        if template.startswith("/v1/payment_intents"):
            if rest in ("capture", "increment_authorization"):
                more = [*HELD, (GROWING, "if_available")]
                return str(self.made("/v1/payment_intents", more)["id"])
            return str(self.made("/v1/payment_intents", PAID)["id"])
        if template.startswith("/v1/setup_intents"):
            form = [("payment_method", "pm_card_visa"), ("customer", self.customer()), DE]
            return str(self.made("/v1/setup_intents", form)["id"])
        if template.startswith("/v1/mandates"):
            form = [("payment_method", "pm_card_visa"), ("customer", self.customer()), DE]
            made = self.made("/v1/setup_intents", [*form, ("confirm", "true")])
            return str(made["mandate"] or made["latest_attempt"] or made["id"])
        if template.startswith("/v1/payment_methods"):
            return self.saved(attached=rest != "attach")
        made = {
            "/v1/charges": lambda: self.paid()["latest_charge"],
            "/v1/customers": self.customer,
            "/v1/refunds": self.refund,
            "/v1/disputes": self.dispute,
            "/v1/files": lambda: self.made("/v1/files", EVIDENCE)["id"],
            "/v1/payouts": self.payout,
            "/v1/webhook_endpoints": self.endpoint,
        }
        for path, make in made.items():
            if template.startswith(path):
                return str(make())
        (of,) = (each for each in resources.every() if template.startswith(f"{each.path}/"))
        if of.object == "account":
            return str(self.ask("GET", "/v1/account", [])[1]["id"])
        return str(self.ask("GET", of.path, [])[1]["data"][0]["id"])

    def named(self, name: str) -> str:
        """An object that a parameter may name, made once."""
        if name not in self._ids:
            paid = self.paid()
            self._ids |= {
                "payment_intent": paid["id"],
                "charge": paid["latest_charge"],
                "source": paid["latest_charge"],
                "customer": self.customer(),
                "payment_method": "pm_card_visa",
            }
            clock = [("frozen_time", "1700000000"), DE]
            made = self.made("/v1/test_helpers/test_clocks", clock)
            self._ids["test_clock"] = made["id"]
        return self._ids[name]


@pytest.fixture(scope="module")
def shop(demo: Demo) -> Shop:
    return Shop(demo["base_url"])


SAMPLES = {
    "amount": "1500",
    "amount_to_capture": "1500",
    "api_version": "2026-10-28.endive",
    "arrival_date": "1700000000",
    "confirm": "false",
    "currency": "usd",
    "destination": "btok_sandbox",
    "email": "ann@example.com",
    "enabled_events": "customer.updated",
    "ending_before": "",
    "final_capture": "true",
    "query": "created>0",
    "receipt_email": "ann@example.com",
    "return_url": "https://shop.example/back",
    "starting_after": "",
    "type": "card",
    "types": "customer.created",
    "url": "https://example.com/other",
    "expand": "",
}


def sample(shop: Shop, kind: Any, name: str, template: str) -> Form:
    """A parameter with a value of its type; nothing where none can be made up."""
    if name in ONE_OF_OURS:
        return [
            (name, shop.named(name) if template != "/v1/refunds" else shop.paid()[PAID_AS[name]])
        ]
    given = SAMPLES.get(name)
    if given == "":
        return []
    if given is not None and not isinstance(kind, inspect.CollectionType):
        return [(name, given)]
    return list(pairs(kind, name, given))


def pairs(kind: Any, name: str, given: str | None) -> Iterator[tuple[str, str]]:
    match kind:
        case inspect.UnionType():
            for each in kind.types:
                if not isinstance(each, inspect.NoneType | inspect.CustomType):
                    yield from pairs(each, name, given)
                    return
        case inspect.StructType():
            for each in kind.fields:
                found = SAMPLES.get(each.name)
                yield from pairs(each.type, f"{name}[{each.encode_name}]", found)
                return
        case inspect.CollectionType():
            yield from pairs(kind.item_type, f"{name}[0]", given)
        case inspect.DictType():
            yield f"{name}[a]", "b"
        case inspect.LiteralType():
            yield name, str(kind.values[0])
        case inspect.BoolType():
            yield name, "true"
        case inspect.IntType():
            yield name, given or "1"
        case _:
            yield name, given or "Text"


def needed(shop: Shop, method: str, template: str, alone: str) -> Form:
    """What a request must have beside the one parameter."""
    form: Form = []
    if method == "GET":
        searched = template.endswith("/search") and alone != "query"
        return [("query", "created>0")] if searched else []
    if template == "/v1/payment_intents":
        form = [("amount", "1999"), ("currency", "eur"), DE]
    elif template in ("/v1/customers", "/v1/setup_intents"):
        form = [DE]
    elif template == "/v1/payment_methods":
        form = [("type", "card"), ("card[token]", "pm_card_visa"), DE]
    elif template == "/v1/files":
        form = EVIDENCE
    elif template == "/v1/payouts":
        form = [("amount", "1"), ("currency", "eur"), ("destination", "btok_sandbox"), DE]
    elif template == "/v1/refunds" and alone not in ("charge", "payment_intent"):
        form = [("payment_intent", shop.paid()["id"])]
    elif template == "/v1/webhook_endpoints":
        form = [("url", "https://example.com/hook"), ("enabled_events[0]", "customer.created")]
    elif template.endswith("/attach"):
        form = [("customer", shop.named("customer"))]
    elif template.endswith("/increment_authorization"):
        form = [("amount", "2500")]
    elif template == "/v1/disputes/{identifier}":
        form = [("evidence[access_activity_log]", "Text")]
    if template == "/v1/payment_intents" and alone in ("off_session", "error_on_requires_action"):
        form += [("confirm", "true"), ("payment_method", "pm_card_visa")]
    return [(name, value) for name, value in form if name.partition("[")[0] != alone]


def shows(said: dict[str, Any], sent: Form) -> bool:
    """Whether what was sent is in the answer, where the answer has such a member at all."""
    for name, value in sent:
        found: Any = said
        for part in name.replace("]", "").split("["):
            if isinstance(found, list):
                found = found[int(part)] if part.isdigit() and int(part) < len(found) else None
            elif isinstance(found, dict) and part in found:
                found = found[part]
            else:
                return True
        if isinstance(found, bool):
            found = str(found).lower()
        if isinstance(found, dict | list):
            continue
        if str(found) != value:
            return False
    return True


def problem(shop: Shop, method: str, template: str, kind: type[msgspec.Struct], name: str) -> str:
    """What is wrong with how a parameter is treated; empty: nothing."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    types = {each.encode_name: each.type for each in described.fields}
    done = name in types
    sent = sample(shop, types[name], name, template) if done else [(name, "x")]
    if not sent:
        return ""
    path = template
    if "{" in template:
        path = template.replace("{identifier}", shop.fresh(method, template))
    if name == "client_secret":
        secret = shop.ask(method, path, [])[1]["client_secret"]
        sent = [(name, secret)]
    status, said = shop.ask(method, path, [*needed(shop, method, template, name), *sent])
    if method == "POST" and template == "/v1/webhook_endpoints" and status == 200:
        shop.ask("DELETE", f"{template}/{said['id']}", [])
    if status == 200:
        if not done:
            return f"{name} was taken, and nothing reads it"
        kept = name == "payment_method" and template.startswith("/v1/setup_intents")  # as ours
        seen = method == "GET" or name in UNSEEN or kept or shows(said, sent)
        return "" if seen else f"{name}: {sent} and then {said.get(name)!r}"
    error = said["error"]
    param = str(error.get("param") or "")
    if status >= 500 or error.get("code") == "parameter_unknown":
        return f"{name}: {status} {error}"
    if param.partition("[")[0] == name and len(error["message"]) > 20:
        return ""
    return "" if error.get("code") in STATES else f"{name}: {status} {error}"


@pytest.mark.parametrize("route", BY_ROUTE, ids=lambda route: " ".join(route))
def test_each_is_understood_or_refused_by_name(shop: Shop, route: tuple[str, str]) -> None:
    found = (problem(shop, *route, kind, name) for kind, name in BY_ROUTE[route])
    assert not "\n".join(each for each in found if each)
