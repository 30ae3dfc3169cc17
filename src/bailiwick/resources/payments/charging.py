"""What a payment asks of a gateway: to be chosen, then to charge; and what is kept of it. Pure."""

from typing import Any, Protocol

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Family, Instruction, Operation, Profile, Takes
from bailiwick.resources.payments.methods.params import is_saved
from bailiwick.resources.payments.methods.tender import (
    check_return,
    families,
    known,
    met,
    payer,
)
from bailiwick.resources.payments.rows import Hold, Payment, Progress
from bailiwick.routing.match import Routing, Wanted, shown
from bailiwick.screening.facts import withholding

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
        methods=_types(payment),
        manual_capture=payment.details.capture_method == "manual",
        livemode=payment.livemode,
        strategy=strategy,
        token=token,
        vault=payment.progress.vaults.get(owned) if owned else None,
        shown_to=shown_to,
        families=_families(payment),
        known=known(
            payment.progress.tender, payment.progress.billing, payment.progress.receipt_email
        ),
    )


def _families(payment: Payment) -> tuple[Family, ...]:
    found = families(payment.progress.tender)
    automatic = payment.details.automatic_methods
    if automatic is not None and automatic.get("allow_redirects") == "never":
        return tuple(each for each in found if each is not Family.REDIRECT)
    return found


def _types(payment: Payment) -> tuple[str, ...]:
    tender = payment.progress.tender
    return payment.details.method_types if tender is None else (tender.type,)


def charge_instruction(
    payment: Payment,
    routing: Routing,
    token: str | None = None,
    *,
    off_session: bool = False,
    agreement: str | None = None,
) -> Instruction:
    """What the gateway chosen is asked to do for a payment; ``token``: see ``wanted``;
    ``off_session``: nobody is there to authenticate, but may have agreed before (``agreement``).
    Raises ApiError (400)."""
    progress = payment.progress
    instruction = Instruction(
        operation=Operation.CHARGE,
        reference="",
        amount=payment.amount,
        currency=payment.currency,
        automatic=payment.details.capture_method != "manual",
        payment_method_type=payment.details.method_types[0],
        payment_method=token or progress.payment_method,
        description=progress.description,
        return_url=progress.return_url,
        payment=payment.id,
        overcapture="overcapture" in progress.wishes,
        store=progress.saving is not None,
        off_session=off_session,
        agreement=agreement if off_session else None,
        withheld=withholding(progress.screened),
    )
    return met_by(payment, instruction, routing)


def met_by(payment: Payment, instruction: Instruction, routing: Routing) -> Instruction:
    """An instruction as the gateway chosen takes it, with nothing of what another was told of the
    payer. Raises ApiError (400)."""
    progress = payment.progress
    check_return(routing.takes, progress.return_url)
    if progress.tender is None and routing.takes is not None and not _asks(routing.takes):
        return _replace(instruction, payment_method_type=routing.method, payer=None)
    who = payer(progress.tender, progress.billing, progress.receipt_email)
    return met(instruction, progress.tender, who, routing, now_ms())


def _asks(takes: Takes) -> bool:
    return bool(takes.needs or takes.tells)


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
