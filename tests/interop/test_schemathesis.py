"""Requests that Schemathesis makes of the API's own description: nothing is answered but what that
says, and nothing breaks.

A bounded sample here, the same in every run; ``BAILIWICK_SCHEMATHESIS_EXAMPLES`` asks for more of
each operation, and for others in each run.
"""

import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.checks import CHECKS, load_all_checks

from bailiwick import resources
from bailiwick.openapi.document import PATH, document
from tests.interop.conftest import SWAMPED_KEY, Demo
from tests.interop.kit import call

WISHED = int(os.environ.get("BAILIWICK_SCHEMATHESIS_EXAMPLES", "0"))
SAMPLE = 12
"""Examples of each operation, if nobody asks for more."""
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
ANSWERED: Counter[tuple[str, str, int]] = Counter()
"""How often each operation was answered with each status."""
VISA = [("type", "card"), ("card[token]", "pm_card_visa"), ("location[country]", "DE")]
PAID = [
    ("amount", "1999"),
    ("currency", "eur"),
    ("payment_method", "pm_card_visa"),
    ("location[country]", "DE"),
]

load_all_checks()
schema = schemathesis.openapi.from_dict(document())
schema.config.generation.with_security_parameters = False
OPERATIONS = {found.ok().label: found.ok() for found in schema.get_all_operations()}


@schemathesis.serializer("application/x-www-form-urlencoded")
def form(context: Any, value: Any) -> bytes:
    """Nested values in brackets, as clients of Stripe write them."""
    return urlencode(list(pairs(value))).encode()


def pairs(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The names and texts of a form."""
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in inner:
            yield from pairs(each, f"{name}[{key}]" if name else str(key))
    elif isinstance(value, str):
        yield name, value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    else:
        yield name, "" if value is None else json.dumps(value)


@pytest.fixture(scope="module")
def ids(demo: Demo) -> dict[str, Iterator[str]]:
    """Ids of what there is, by prefix, turn by turn: else no request would be about anything."""

    def made(path: str, form: list[tuple[str, str]]) -> str:
        answer = call("POST", f"{demo['base_url']}{path}", SWAMPED_KEY, form)
        assert answer.status == 200, answer.body
        return str(answer.json()["id"])

    for confirm in ("true", "false"):
        customer = made("/v1/customers", VISA[2:])
        method = made("/v1/payment_methods", VISA)
        made(f"/v1/payment_methods/{method}/attach", [("customer", customer)])
        paid = made("/v1/payment_intents", [*PAID, ("confirm", confirm)])
        made("/v1/payment_intents", [*PAID, ("confirm", confirm), ("capture_method", "manual")])
        if confirm == "true":
            made("/v1/refunds", [("payment_intent", paid), ("amount", "5")])
    hook = [("url", "https://example.com/hook"), ("enabled_events[]", "customer.created")]
    made("/v1/webhook_endpoints", hook)
    answer = requests.post(
        f"{demo['base_url']}/v1/files",
        data={"purpose": "dispute_evidence", "location[country]": "DE"},
        files={"file": ("a.pdf", b"%PDF-1.7")},
        headers={"Authorization": f"Bearer {SWAMPED_KEY}"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return {
        of.prefix: itertools.cycle(found)
        for of in resources.every()
        if (found := listed(demo, of.path))
    }


def listed(demo: Demo, path: str) -> list[str]:
    """The ids that a list has, if it can be had without a filter."""
    answer = call("GET", f"{demo['base_url']}{path}", SWAMPED_KEY)
    return [each["id"] for each in answer.json()["data"]] if answer.status == 200 else []


def about_something(case: Case, ids: dict[str, Iterator[str]]) -> None:
    """Every other request is about objects that there are."""
    for name, value in dict(case.path_parameters or {}).items():
        prefix = str(value).partition("_")[0]
        if prefix in ids and sum(ANSWERED.values()) % 2:
            case.path_parameters[name] = next(ids[prefix])


# Not `schema.parametrize()`: its tests share one node id with the pytest of today, and what runs
# tests by their ids runs one of them.
@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_what_is_answered_is_described(
    label: str, demo: Demo, ids: dict[str, Iterator[str]]
) -> None:
    @settings(
        max_examples=WISHED or SAMPLE,
        derandomize=not WISHED,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[label].as_strategy())
    def each(case: Case) -> None:
        about_something(case, ids)
        answer = case.call(
            base_url=demo["base_url"], headers={"Authorization": f"Bearer {SWAMPED_KEY}"}
        )
        ANSWERED[case.method, case.path, answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS.get_by_names(CHECKED))

    each()


def test_much_of_it_was_done() -> None:
    """Runs last: a sample in which everything is refused shows nothing."""
    served = {
        (method.upper(), path)
        for path, item in document()["paths"].items()
        for method, operation in item.items()
        if method != "parameters" and not operation.get("deprecated")
    }
    tried = {(method, path) for method, path, _ in ANSWERED}
    done = {(method, path) for method, path, status in ANSWERED if status == 200}
    print("never done:", sorted(served - done))
    assert served <= tried
    assert len(served & done) > 0.4 * len(served)


def test_the_document_that_is_served_is_the_one_tried(demo: Demo) -> None:
    assert requests.get(demo["base_url"] + PATH, timeout=60).json() == document()
