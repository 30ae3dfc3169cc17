"""Who pays, and by which saved payment method: read and checked before anything is decided.

Customers and payment methods stay at their node, and no node asks another. So a payment is made
where its customer is, or refused with the remedy. What is read here is as it was at the request: a
payment that crosses a detachment, or an erasure, comes before it.
"""

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id, node_of
from bailiwick.base.tenancy import Owner
from bailiwick.orders.machine import Machine
from bailiwick.records.record import Record
from bailiwick.records.records import find_all
from bailiwick.resources.payments.charging import VAULT
from bailiwick.resources.payments.methods.params import is_saved
from bailiwick.resources.payments.saved.saving import METHODS_MAX
from bailiwick.routing.match import Kind, Routing

_REUSED = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer "
    "attachment, shared with a connected account without Customer attachment, or was detached from "
    "a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach "
    "it to a Customer first."
)


class Saved(msgspec.Struct, frozen=True):
    """A saved payment method as its provider knows it.

    Attributes:
        token: the provider's; sent to it, and neither shown nor kept with the payment.
        vault: whose the token is; None: not known, or a test token's that is nobody's.
    """

    token: str
    vault: str | None
    agreement: str | None = None
    fingerprint: str | None = None


class Payer(msgspec.Struct, frozen=True):
    """Who pays, as far as it is kept here.

    Attributes:
        saved: by which payment method; None: by a provider's own token, or nothing yet.
        customer: whose it is to be from now on; None: it is not to be saved, or is already.
    """

    saved: Saved | None = None
    customer: Record | None = None

    @property
    def token(self) -> str | None:
        """What a provider knows the payment method by, if not as the payment does."""
        return None if self.saved is None else self.saved.token

    @property
    def agreement(self) -> str | None:
        """The provider's reference of what the payer has agreed to."""
        return None if self.saved is None else self.saved.agreement


NOBODY = Payer()


async def resolved(
    machine: Machine,
    who: Owner,
    customer: str | None,
    method: str | None,
    vault: str | None,
    *,
    save: bool = False,
) -> Payer:
    """Who is to pay, and by which saved payment method. Asks the database only if there is
    something to look up.

    Args:
        customer, method: as the payment will have them.
        vault: the one that the request names.
        save: the payment method is to be the customer's once the payment has succeeded.

    Raises:
        ApiError: 400, there is no such customer or payment method of this merchant and mode, it
            lives at another node, or it is not the customer's to pay with.
    """
    ours = method if is_saved(method) else None
    if customer is not None:
        check_here(machine, customer, "cus", "customer", "customer")
    if ours is not None:
        check_here(machine, ours, "pm", "PaymentMethod", "payment_method")
    rows = await find_all(machine.store, {each for each in (customer, ours) if each is not None})
    owner = None
    if customer is not None:
        owner = theirs(rows.get(customer), who, customer, "customer", "customer")
    if ours is None:
        if not save or owner is None or method is None:
            return NOBODY
        await _check_room(machine, owner.id)
        return Payer(customer=owner)
    row = theirs(rows.get(ours), who, ours, "PaymentMethod", "payment_method")
    _attached(row, customer)
    card = row.details["card"]
    known: str | None = card.get("vault")
    if vault is not None and known not in (None, vault):
        raise ApiError.invalid(
            f"This payment method belongs to the vault '{known}': leave {VAULT} out.", param=VAULT
        )
    mark = card.get("fingerprint")
    return Payer(Saved(card["token"], known or vault, card.get("agreement"), mark))


async def _check_room(machine: Machine, customer: str) -> None:
    """Raises ApiError (400) where a customer has no room for a payment method more."""
    (count,) = await machine.store.rows("record_count", customer)
    if count[0] >= METHODS_MAX:
        raise ApiError.invalid(
            f"A customer has at most {METHODS_MAX} payment methods: detach one first, or leave out "
            "setup_future_usage.",
            param="setup_future_usage",
        )


def check_here(
    machine: Machine, identifier: str, prefix: str, kind: str, param: str, of: str = "payment"
) -> None:
    """Raises ApiError (400) for what cannot be here; ``of``: what is to be made with it."""
    if not is_id(identifier, prefix):
        raise missing(kind, identifier, param)
    number = node_of(identifier)
    if number == machine.node:
        return
    topology = machine.world.topology
    home, here = topology.by_number.get(number), topology.by_number.get(machine.node)
    if home is None:
        raise missing(kind, identifier, param)
    raise ApiError.invalid(
        f"This {kind} lives at node '{home.name}', and the {of} belongs to node "
        f"'{machine.node if here is None else here.name}' by its location: send the location that "
        "the customer was made with.",
        param=param,
        code=f"{param}_elsewhere",
    )


def missing(kind: str, identifier: str, param: str) -> ApiError:
    """The answer to a payment that names what this merchant has not got in this mode."""
    return ApiError.invalid(
        f"No such {kind}: '{identifier[:64]}'", param=param, code="resource_missing"
    )


def theirs(row: Record | None, who: Owner, identifier: str, kind: str, param: str) -> Record:
    """A record, if it is the merchant's and not erased. Raises ApiError (400)."""
    if row is None or row.merchant != who.merchant.id or row.livemode != who.livemode or row.erased:
        raise missing(kind, identifier, param)
    return row


def _attached(row: Record, customer: str | None) -> None:
    """Raises ApiError (400) unless a payment method is the customer's to pay with."""
    if not row.active:
        raise reused()
    if row.belongs_to is not None and customer is None:
        raise not_theirs(row, customer)
    if customer is None:
        raise ApiError.invalid(
            "This PaymentMethod is attached to no customer: attach it to one, and send that "
            "customer with the payment.",
            param="payment_method",
            code="payment_method_unexpected_state",
        )
    if row.belongs_to != customer:
        raise not_theirs(row, customer)


def reused() -> ApiError:
    """The answer to who would use a payment method that was detached, or never came into use."""
    return ApiError.invalid(_REUSED, param="payment_method", code="payment_method_unexpected_state")


def not_theirs(row: Record, customer: str | None) -> ApiError:
    """The answer to who would use a payment method that is another customer's, or says not whose
    it is."""
    if customer is None:
        return ApiError.invalid(
            "The payment method you provided is attached to a customer so for security purposes "
            "you must provide the customer in the request.",
            param="customer",
            code="parameter_missing",
        )
    return ApiError.invalid(
        f"The customer does not have a payment method with the ID {row.id}. The payment method "
        "must be attached to the customer.",
        param="payment_method",
        code="resource_missing",
    )


def check_owner(machine: Machine, saved: Saved | None, routing: Routing) -> None:
    """A saved token that is one account's is never guessed to be the first gateway's: another
    payment could show it to another account. Raises ApiError (400)."""
    if saved is None or saved.vault is not None or routing.owner is None:
        return
    vaults = {
        machine.gateways.vault_of(each.gateway)
        for each in routing.considered
        if each.kind is not Kind.MODE
    }
    if len(vaults) > 1:
        raise ApiError.invalid(
            "It is not known to which vault this payment method belongs. Send "
            f"{VAULT} with the payment, or save it anew with card[vault].",
            param=VAULT,
            code="vault_unknown",
        )
