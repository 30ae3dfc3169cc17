"""Setups as API objects. Pure; see https://docs.stripe.com/api/setup_intents/object.

``location``, ``node`` and ``routing`` are ours.
"""

import msgspec

from bailiwick.base.objects import Object, encode
from bailiwick.resources.setup_intents import states
from bailiwick.resources.setup_intents.rows import Setup
from bailiwick.serving.next_actions import next_action_of

REFERENCES = {
    "setup_intent": {
        "customer": "customer",
        "mandate": "mandate",
        "payment_method": "payment_method",
    }
}
"""See ``serving.expansion``."""

# What a payer's browser sees with a publishable key: see ``payments.render``.
_PUBLIC = frozenset(
    {
        "id",
        "object",
        "automatic_payment_methods",
        "cancellation_reason",
        "client_secret",
        "created",
        "description",
        "last_setup_error",
        "livemode",
        "next_action",
        "payment_method",
        "payment_method_types",
        "status",
        "usage",
    }
)
_PUBLIC_ERROR = frozenset({"type", "code", "decline_code", "message", "param", "setup_intent"})


def setup_intent(setup: Setup, *, public: bool = False) -> Object:
    """A setup as a ``setup_intent``; ``public`` leaves out what a payer's browser need not see."""
    details, progress = setup.details, setup.progress
    status = states.shown(setup.state)
    next_action = None
    if progress.action is not None and status == "requires_action":
        next_action = next_action_of(progress.action, "card", progress.return_url)
    shown: Object = {
        "id": setup.id,
        "object": "setup_intent",
        "allowed_payment_method_types": details.method_types if details.types_allowed else None,
        "application": None,
        "attach_to_self": False,
        "automatic_payment_methods": details.automatic_methods,
        "cancellation_reason": progress.cancellation_reason,
        "client_secret": details.client_secret,
        "created": setup.created_ms // 1000,
        "customer": setup.customer,
        "customer_account": None,
        "description": progress.description,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": progress.last_error,
        "latest_attempt": setup.setup_attempt,
        "livemode": setup.livemode,
        "managed_payments": None,
        "mandate": progress.mandate if setup.state == states.State.SUCCEEDED else None,
        "metadata": progress.metadata,
        "next_action": next_action,
        "on_behalf_of": None,
        "payment_method": setup.payment_method,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": details.method_types,
        "single_use_mandate": None,
        "status": status,
        "usage": details.usage,
        "node": details.node,
        "location": details.location,
        "routing": progress.routing,
    }
    return _public_intent(shown) if public else shown


def _public_intent(intent: Object) -> Object:
    shown = _only(intent, _PUBLIC)
    if shown.get("last_setup_error"):
        shown["last_setup_error"] = _only(shown["last_setup_error"], _PUBLIC_ERROR)
    return shown


def _only(held: Object, names: frozenset[str]) -> Object:
    return {name: value for name, value in held.items() if name in names}


def public(body: bytes) -> bytes:
    """A stored answer about a setup as a payer's browser may see it."""
    answer: Object = msgspec.json.decode(body)
    error = answer.get("error")
    if error is None:
        return bytes(encode(_public_intent(answer)))
    error = _only(error, _PUBLIC_ERROR)
    if "setup_intent" in error:
        error["setup_intent"] = _public_intent(error["setup_intent"])
    return bytes(encode({"error": error}))


def setup_error(error: Object, intent: Object) -> Object:
    """The answer for a setup that was declined; the intent rides along."""
    return {"error": {**error, "setup_intent": intent}}
