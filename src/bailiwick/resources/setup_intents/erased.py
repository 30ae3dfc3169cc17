"""What is left of setups once the payer is erased. Pure but for the names of statements."""

from msgspec.structs import replace

from bailiwick.base.objects import text
from bailiwick.resources.setup_intents import render
from bailiwick.resources.setup_intents.rows import Progress, Setup
from bailiwick.resources.setup_intents.states import State
from bailiwick.resources.setup_intents.stored import content_of, setup_of
from bailiwick.serving.erasing import Erasing, Stays, error_left, place_left

STAYS = {
    "setup_intent": Stays(
        whole=frozenset(
            {
                "allowed_payment_method_types",
                "attach_to_self",
                "automatic_payment_methods",
                "cancellation_reason",
                "client_secret",
                "created",
                "customer",
                "id",
                "latest_attempt",
                "livemode",
                "mandate",
                "node",
                "object",
                "payment_method",
                "payment_method_types",
                "routing",
                "status",
                "usage",
            }
        ),
        parts={"last_setup_error": error_left, "location": place_left},
        blank={"metadata": {}, "payment_method_options": {}},
    )
}


def left(setup: Setup) -> Setup:
    """A setup without what is personal."""
    progress, details = setup.progress, setup.details
    return replace(
        setup,
        details=replace(details, location=place_left(details.location)),
        progress=Progress(
            mandate=progress.mandate,
            routing=progress.routing,
            vault=progress.vault,
            last_error=None if progress.last_error is None else error_left(progress.last_error),
            cancellation_reason=progress.cancellation_reason,
        ),
    )


def content_left(content: str) -> str:
    """What an event says describes the setup, the same."""
    return text(left(content_of(content)))


ERASING = Erasing(
    prefix="seti",
    attempts=("setatt", "at"),
    event="bailiwick.setup_intent.erased",
    ended=frozenset({State.REQUIRES_PAYMENT_METHOD, State.SUCCEEDED, State.CANCELED}),
    lock="setup_erase_lock",
    find="setup_find",
    write="setup_erase",
    paid_by="setups_telling",
    order_of=setup_of,
    left=left,
    content_left=content_left,
    shown=render.setup_intent,
)
