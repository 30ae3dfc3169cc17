"""Versions of the API's format: which are known, and what differs in them."""

import json

import msgspec
import pytest

from bailiwick.base.api_versions import CURRENT, RENDERED, as_of, effective, lacks_nothing, problem
from bailiwick.base.versions import VERSIONS


def test_the_table_is_in_order_and_ends_with_the_current_one() -> None:
    assert list(RENDERED) == sorted(set(RENDERED))
    assert RENDERED[-1] == CURRENT


@pytest.mark.parametrize("version", RENDERED)
def test_what_is_rendered(version: str) -> None:
    assert problem(version) is None
    assert effective(version) == version


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2020-08-27", "API version 2020-08-27 cannot be rendered here. Objects are shown as of"),
        ("2026-10-28", "Write it as 2026-10-28.endive."),
        ("2026-10-28.endiv", "Did you mean 2026-10-28.endive?"),
        ("2027-03-31.fennel", "cannot be rendered here."),
        ("2025-03-01.dashboard", "cannot be rendered here."),
        ("", "cannot be rendered here."),
    ],
)
def test_what_is_not(version: str, said: str) -> None:
    assert said in (problem(version) or "")
    assert effective(version) == CURRENT


def shown(version: str, value: object) -> object:
    return json.loads(bytes(as_of(version, msgspec.Raw(msgspec.json.encode(value)))))


def test_before_basil_payments_and_charges_had_an_invoice() -> None:
    charge = {"id": "ch_1", "object": "charge", "metadata": {"object": "charge"}}
    payment = {"object": "payment_intent", "latest_charge": charge, "lines": [charge]}
    refund = {"object": "refund", "charge": "ch_1"}
    for version in RENDERED:
        if version < "2025-03-31":
            more = {**charge, "invoice": None}
            assert shown(version, payment) == {
                **payment, "invoice": None, "latest_charge": more, "lines": [more],
            }  # fmt: skip
        else:
            assert shown(version, payment) == payment
        assert shown(version, refund) == refund


def test_bytes_are_kept_where_nothing_differs() -> None:
    raw = msgspec.Raw(b'{"object": "payment_intent",  "amount": 1}')
    assert as_of("2025-03-31.basil", raw) is raw


def test_a_request_may_ask_for_what_is_shown_as_it_is() -> None:
    assert VERSIONS[0] == CURRENT and VERSIONS[-1] == "2025-03-31.basil"
    assert all(lacks_nothing(each) == (each in VERSIONS) for each in RENDERED)
