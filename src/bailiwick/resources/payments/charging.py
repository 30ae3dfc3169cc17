"""What a payment asks of a gateway: to be chosen, then to charge; and what is kept of it. Pure."""

from typing import Any, Protocol

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Instruction, Operation, Profile
from bailiwick.resources.payments.params import is_saved
from bailiwick.resources.payments.rows import Hold, Payment, Progress
from bailiwick.routing.match import Routing, Wanted, shown

_replace = msgspec.structs.replace
CONSIDERED_MAX = 12
"""Nodes or gateways of which a payment keeps what was decided about them."""
VAULTS_MAX = 16
VAULT = "payment_method_options[card][vault]"


def wanted(
    payment: Payment, strategy: str, *, token: str | None = None, shown_to: str | None = None
) -> Wanted:
    """What a payment asks of a gateway.

    ``token``: what the provider knows the payment method by, if not as the payment does;
    ``shown_to``: see ``Wanted``.
    """
    method = payment.progress.payment_method
    token = token or method
    # A saved payment method stands for its token: whose that is, is kept under its own id.
    owned = method if is_saved(method) else token
    return Wanted(
        payment=payment.id,
        country=payment.details.location["country"],
        amount=payment.amount,
        currency=payment.currency,
        methods=payment.details.method_types,
        manual_capture=payment.details.capture_method == "manual",
        livemode=payment.livemode,
        strategy=strategy,
        token=token,
        vault=payment.progress.vaults.get(owned) if owned else None,
        shown_to=shown_to,
    )


def charge_instruction(
    payment: Payment,
    method: str | None,
    token: str | None = None,
    *,
    off_session: bool = False,
    agreement: str | None = None,
) -> Instruction:
    """What the gateway is asked to do for a payment; ``method``: by which type it takes it;
    ``token``: see ``wanted``; ``off_session``: nobody is there to authenticate, but may have agreed
    before (``agreement``)."""
    progress = payment.progress
    return Instruction(
        operation=Operation.CHARGE,
        reference="",
        amount=payment.amount,
        currency=payment.currency,
        automatic=payment.details.capture_method != "manual",
        payment_method_type=method or payment.details.method_types[0],
        payment_method=token or progress.payment_method,
        description=progress.description,
        return_url=progress.return_url,
        payment=payment.id,
        overcapture="overcapture" in progress.wishes,
        store=progress.saving is not None,
        off_session=off_session,
        agreement=agreement if off_session else None,
    )


def routing_shown(routing: Routing) -> dict[str, Any]:
    """A routing decision as it is stored and shown, bounded in length."""
    document = shown(routing)
    document["considered"] = document["considered"][:CONSIDERED_MAX]
    return document


def with_vault(vaults: dict[str, str], vault: str | None, token: str | None) -> dict[str, str]:
    """The vaults of a payment's tokens, with the one that a request names. Raises ApiError."""
    if vault is None:
        return vaults
    if token is None:
        raise ApiError.invalid(
            f"{VAULT} says to which vault the payment method belongs: send payment_method with it.",
            param=VAULT,
        )
    return with_owner(vaults, token, vault)


def with_owner(vaults: dict[str, str], token: str | None, vault: str | None) -> dict[str, str]:
    """The vaults of a payment's tokens, with the one that owns this token; no more than
    ``VAULTS_MAX``, the latest."""
    if token is None or vault is None or vaults.get(token) == vault:
        return vaults
    kept = {known: owner for known, owner in vaults.items() if known != token}
    return dict([*kept.items(), (token, vault)][-VAULTS_MAX:])


class Profiles(Protocol):
    """Where gateways are known."""

    def vault_of(self, name: str) -> str:
        """The vault of a gateway."""

    def profile_of(self, name: str) -> Profile | None:
        """What the channel of a gateway declares; None for a gateway that is not configured."""


def routed(payment: Payment, routing: Routing, profiles: Profiles) -> Progress:
    """What is kept of a routing: the decision, whose the token is from now on, and what the gateway
    chosen lets be done with a hold."""
    progress = payment.progress
    hold = None
    if payment.details.capture_method == "manual" and routing.gateway is not None:
        profile = profiles.profile_of(routing.gateway)
        hold = None if profile is None else hold_by(profile, progress.wishes)
    saving = progress.saving
    if saving is not None and routing.gateway is not None:
        saving = _replace(saving, vault=profiles.vault_of(routing.gateway))
    return _replace(
        progress,
        routing=routing_shown(routing),
        method=routing.method or progress.method,
        vaults=with_owner(progress.vaults, progress.payment_method, routing.owner),
        hold=hold,
        saving=saving,
    )


def hold_by(profile: Profile, wishes: tuple[str, ...]) -> Hold:
    """A hold at a provider, with what was asked for and is possible there."""
    return Hold(
        lasts_ms=profile.hold_ms,
        several="multicapture" in wishes and profile.multiple_captures,
        growing="incremental_authorization" in wishes and Operation.INCREMENT in profile.resolve,
        over_percent=profile.overcapture_percent if "overcapture" in wishes else 0,
    )
