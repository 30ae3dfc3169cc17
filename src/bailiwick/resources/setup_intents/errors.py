"""What is answered to requests about setups that cannot be done. Pure."""

from bailiwick.base.errors import ApiError
from bailiwick.interlink.refusals import NO_GATEWAY
from bailiwick.resources.payments.editing import reasons
from bailiwick.resources.setup_intents.params import UpdateSetup, types_given
from bailiwick.resources.setup_intents.rows import Setup
from bailiwick.resources.setup_intents.states import State
from bailiwick.routing.match import Routing, owned_elsewhere, transient

BEFORE = (State.REQUIRES_PAYMENT_METHOD, State.REQUIRES_CONFIRMATION)
"""States in which nothing is outstanding, and nothing has ended."""


def method_missing() -> ApiError:
    """The answer to a confirmation of nothing."""
    return ApiError.invalid(
        "You cannot confirm this SetupIntent because it's missing a payment method: send "
        "payment_method.",
        param="payment_method",
        code="setup_intent_unexpected_state",
    )


def before_confirmed(setup: Setup, field: str) -> None:
    """Refuse to change what was sent to a provider. Raises ApiError (400)."""
    if setup.state not in BEFORE:
        raise ApiError.invalid(
            f"{field} cannot be changed any more: the SetupIntent has a status of {setup.state}.",
            param=field,
            code="setup_intent_unexpected_state",
        )


def same_types(setup: Setup, wish: UpdateSetup) -> None:
    """Refuse other types of payment methods than those a setup was made for. Raises ApiError."""
    types = types_given(wish)
    if types is not None and tuple(types) != setup.details.method_types:
        older = wish.payment_method_types is not None
        name = "payment_method_types" if older else "allowed_payment_method_types"
        raise ApiError.invalid(
            f"{name} is fixed when the SetupIntent is created: cancel it and create another.",
            param=name,
        )


def too_many_attempts(attempts: int) -> ApiError:
    """What a payer's browser is told that has tried one method after the other."""
    return ApiError.invalid(
        f"This SetupIntent was tried {attempts} times. A publishable key may not try it again: "
        "confirm it with the secret key, from your server.",
        code="setup_intent_attempts_exceeded",
    )


def return_missing() -> ApiError:
    """The answer to a confirmation that lacks an address to come back to."""
    return ApiError.invalid(
        "This SetupIntent takes automatic payment methods. Because some of them might redirect "
        "your customer off of your page, you must provide a return_url. If you don't want to "
        "accept redirect-based payment methods, set automatic_payment_methods[enabled] to true "
        "and automatic_payment_methods[allow_redirects] to never when creating SetupIntents.",
        param="return_url",
        code="parameter_missing",
    )


def no_gateway(routing: Routing) -> ApiError:
    """Why a setup cannot be confirmed: now, or ever."""
    why = reasons(routing)
    if transient(routing):
        return ApiError.unavailable(
            f"No gateway of this node can set it up now: {why}. Retry with the same "
            "Idempotency-Key.",
            code=NO_GATEWAY,
        )
    param = "payment_method" if owned_elsewhere(routing) else "payment_method_types"
    return ApiError.invalid(
        f"No gateway of this node can set this payment method up: {why}.",
        param=param,
        code="payment_method_unsupported",
    )
