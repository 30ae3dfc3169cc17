"""Reading the request of a charge: which shape it has, and which fields fit its flow."""

from __future__ import annotations

import msgspec

from bailiwick_sandbox.bank import checks
from bailiwick_sandbox.bank.records import ChargeRequest, FlowRequest, Refusal

_CHARGE = msgspec.json.Decoder(ChargeRequest)
_FLOW = msgspec.json.Decoder(FlowRequest)
_CODED = ("presented_code", "push")


def read(body: bytes) -> ChargeRequest:
    """The body of POST /{provider}/charges; a flow needs no source. Raises Refusal 400 naming the
    field."""
    request: ChargeRequest | None = None
    if b'"flow"' in body:
        request = checks.decode(_FLOW, body)
    if request is None or request.flow == "token":
        request = checks.decode(_CHARGE, body)
    if request.code is None:
        if request.flow == "presented_code":
            raise _unfit("The code off the payer's phone is missing.", "code")
    elif request.flow not in _CODED:
        raise _unfit(f"Only the flows {' and '.join(_CODED)} take a code.", "code")
    if request.completes and request.flow != "redirect":
        raise _unfit("Only the flow redirect is completed by the merchant.", "completes")
    if request.flow != "token":
        for field in ("off_session", "agreement"):
            if getattr(request, field):
                raise _unfit("By this flow the payer has to be there; leave it out.", field)
    return request


def _unfit(message: str, field: str) -> Refusal:
    return Refusal(400, "invalid_request", message, field)
