"""An empty value is never taken for an absent one: every parameter of every request, as declared.

What may be unset is listed here by name, so that a new parameter is refused when it is empty until
somebody has thought about what emptying it would mean.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType, inspect

from bailiwick.base.errors import ApiError
from bailiwick.resources.disputes.params import Evidence
from bailiwick.search.language import QUERY_CHARS_MAX
from bailiwick.wire.forms import struct_from
from tests import request_structs

# Those that Stripe's format lets a client unset (its SDKs type them `Emptyable`), and two of ours.
CUSTOMER = {
    "address",
    "business_name",
    "description",
    "email",
    "individual_name",
    "metadata",
    "name",
    "phone",
    "shipping",
    "tax_exempt",
}
UNSETTABLE = {
    "ConfirmPayment": {"receipt_email", "setup_future_usage", "shipping"},
    "UpdatePayment": {
        "payment_method",
        "description",
        "metadata",
        "receipt_email",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "customer",
        "setup_future_usage",
        "shipping",
    },
    "CapturePayment": {"metadata"},
    "UpdateCharge": {"description", "metadata", "receipt_email", "shipping"},
    "CreateRefund": {"metadata"},
    "UpdateRefund": {"metadata"},
    "CreateCustomer": CUSTOMER,
    "UpdateCustomer": CUSTOMER,
    "CreateMethod": {"metadata"},
    "UpdateSetup": {"customer", "description", "metadata", "payment_method"},
    "UpdateMethod": {"metadata"},
    "UpdateDispute": {"metadata"},
    "CreatePayout": {"metadata"},
    "ListConfigurations": {"application"},  # those of no application: all of one's own
    "UpdatePayout": {"metadata"},
    "CreateEndpoint": {"description", "metadata"},
    "UpdateEndpoint": {"description", "metadata"},
}
IN_OBJECTS = {
    "evidence": set(Evidence.__struct_fields__),
    "shipping[address]": {"line1", "line2", "city", "state", "postal_code", "country"},
    "address": {"line1", "line2", "city", "state", "postal_code", "country"},
    "invoice_settings": {"default_payment_method"},
    "billing_details": {"name", "email", "phone", "address"},
    "billing_details[address]": {"line1", "line2", "city", "state", "postal_code", "country"},
    "payment_method_data[billing_details]": {"name", "email", "phone", "address"},
    "payment_method_data[billing_details][address]": {
        "line1", "line2", "city", "state", "postal_code", "country",
    },
}  # fmt: skip


LONGEST = {
    ("SearchQuery", "query"): QUERY_CHARS_MAX + 1,
    **{("UpdateDispute", name): 20_001 for name in Evidence.__struct_fields__},
}


def least(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """What a request of this kind needs."""
    known = {
        "amount": 5, "currency": "eur", "url": "https://example.com", "token": "tok_visa",
        "enabled_events": ["*"], "type": "card", "enabled": True, "name": "A", "query": "amount>1",
        "address": {"city": "B"}, "card": {"token": "tok_visa"}, "customer": "cus_1",
        "customer_acceptance": {"type": "offline"}, "ip_address": "::1", "user_agent": "x",
        "destination": "btok_1",
        "frozen_time": 5, "file": "a.pdf", "purpose": "dispute_evidence",
    }  # fmt: skip
    return {name: known[name] for name in _required(kind)}


def _required(kind: type[msgspec.Struct]) -> list[str]:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    return [field.encode_name for field in described.fields if field.required]


def _struct_in(kind: inspect.Type) -> type[msgspec.Struct] | None:
    types = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return next((each.cls for each in types if isinstance(each, inspect.StructType)), None)


def places(
    kind: type[msgspec.Struct], where: str = "", params: dict[str, Any] | None = None
) -> Iterator[tuple[str, str, Any]]:
    """Every parameter: the object that it stands in, its name, and how to put a value there."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    for field in described.fields:

        def put(
            value: Any, name: str = field.encode_name, kind: type[msgspec.Struct] = kind
        ) -> Any:
            return {**least(kind), name: value}

        yield where, field.encode_name, put
        inner = _struct_in(field.type)
        if inner is not None:
            outer = f"{where}[{field.encode_name}]" if where else field.encode_name
            for deeper, name, put_in in places(inner, outer):
                yield deeper, name, lambda value, put=put, put_in=put_in: put(put_in(value))


WITH_PARAMETERS = [kind for kind in request_structs.every() if kind.__struct_fields__]


@pytest.mark.parametrize("kind", WITH_PARAMETERS, ids=lambda kind: kind.__name__)
def test_every_empty_value_is_refused_or_unsets(kind: type[msgspec.Struct]) -> None:
    seen = 0
    for holder, name, put in places(kind):
        where = f"{holder}[{name}]" if holder else name
        unsets = IN_OBJECTS.get(holder, set()) if holder else UNSETTABLE.get(kind.__name__, set())
        for empty in ("", None):
            seen += 1
            if name in unsets:
                struct_from(put(empty), kind)
                continue
            with pytest.raises(ApiError) as caught:
                struct_from(put(empty), kind)
            error = caught.value
            assert (error.code, error.param) == ("parameter_invalid_empty", where), where
            assert "leave it out" in error.message
    assert seen


def test_routes_are_found() -> None:
    assert {"CreatePayment", "CreateRefund", "CapturePayment", "ListPayments"} <= {
        kind.__name__ for kind in request_structs.every()
    }


def test_what_is_unset_is_told_apart_from_what_is_absent() -> None:
    for kind in request_structs.every():
        for name in UNSETTABLE.get(kind.__name__, ()):
            absent = struct_from(least(kind), kind)
            unset = struct_from({**least(kind), name: ""}, kind)
            assert isinstance(getattr(absent, name), UnsetType) and getattr(unset, name) is None


def test_every_text_of_every_parameter_is_bounded() -> None:
    """So that what is read closely is never long: no text without a largest length."""
    for kind in request_structs.every():
        for where, name, put in places(kind):
            if (kind.__name__, name) in {("ListPayments", "created")} or name == "created":
                continue
            with pytest.raises(ApiError):
                struct_from(put("x" * LONGEST.get((kind.__name__, name), 2_001)), kind)
            assert where is not UNSET
