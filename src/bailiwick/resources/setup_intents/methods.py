"""Which payment method a setup is about: one that we keep, or a new one of a provider's token.

A token becomes a payment method at once, as at Stripe, and is in use only once it is set up: until
then it is in no list, and nothing can be paid with it. Who pays by it is kept there and nowhere
else, so that erasing a customer erases it.
"""

from typing import Any

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_id
from bailiwick.base.tenancy import Owner
from bailiwick.orders.machine import Machine
from bailiwick.records.beside import RecordTold, told
from bailiwick.records.record import Record, made
from bailiwick.records.records import find_all
from bailiwick.resources.mandates.params import MandateData
from bailiwick.resources.mandates.render import mandate
from bailiwick.resources.payment_methods.render import payment_method
from bailiwick.resources.payments.charging import VAULT
from bailiwick.resources.payments.methods.params import is_saved
from bailiwick.resources.payments.saved import cards, payer
from bailiwick.resources.payments.saved.payer import Saved
from bailiwick.resources.payments.saved.saving import METHODS_MAX
from bailiwick.resources.setup_intents.outcomes import PENDING
from bailiwick.resources.setup_intents.params import Given
from bailiwick.resources.setup_intents.rows import Setup


class Chosen(msgspec.Struct, frozen=True):
    """What a setup is about.

    Attributes:
        owner: its customer.
        method: None: there is none yet.
        fresh: it is to be written with the setup.
        saved: it as its provider knows it.
    """

    owner: Record | None = None
    method: Record | None = None
    fresh: bool = False
    saved: Saved | None = None

    @property
    def written(self) -> list[RecordTold]:
        """What is written of it."""
        if self.method is None or not self.fresh:
            return []
        event = "bailiwick.payment_method.created"
        return [told(self.method, event, payment_method(self.method))]


class Methods:
    """Finds payment methods for setups; ``secret``: by which fingerprints are keyed."""

    def __init__(self, machine: Machine, secret: bytes) -> None:
        self._machine = machine
        self._secret = secret

    async def chosen(self, who: Owner, setup: Setup, given: Given | None) -> Chosen:
        """What a setup is about, with the payment method that a request brings, if it does.

        Raises:
            ApiError: 400, there is no such customer or payment method of this merchant and mode, it
                lives elsewhere, or it is not the customer's to use.
        """
        wanted = setup.payment_method if given is None else given.method
        vault = None if given is None else given.vault
        if vault is not None and not self._machine.gateways.has_vault(vault, who.livemode):
            raise ApiError.invalid(
                f"No gateway of this node has the vault '{vault}'.",
                param=VAULT,
                code="vault_unknown",
            )
        ours = wanted if is_saved(wanted) else None
        machine, customer = self._machine, setup.customer
        if customer is not None:
            payer.check_here(machine, customer, "cus", "customer", "customer", "setup")
        if ours is not None:
            payer.check_here(machine, ours, "pm", "PaymentMethod", "payment_method", "setup")
        rows = await find_all(
            machine.store, {each for each in (customer, ours) if each is not None}
        )
        owner = None
        if customer is not None:
            owner = payer.theirs(rows.get(customer), who, customer, "customer", "customer")
        if wanted is None:
            return Chosen(owner)
        if ours is None:
            await self._check_room(owner)
            return self._new(setup, owner, given or Given(wanted))
        row = payer.theirs(rows.get(ours), who, ours, "PaymentMethod", "payment_method")
        return await self._kept(setup, owner, row, vault)

    async def _kept(
        self, setup: Setup, owner: Record | None, row: Record, vault: str | None
    ) -> Chosen:
        """A payment method that there is already. Raises ApiError (400)."""
        if not row.active and row.details.get(PENDING) != setup.id:
            raise payer.reused()
        if row.belongs_to not in (None, setup.customer):
            raise payer.not_theirs(row, setup.customer)
        if row.belongs_to is None:
            await self._check_room(owner)
        card = row.details["card"]
        known: str | None = card.get("vault")
        if vault is not None and known not in (None, vault):
            raise ApiError.invalid(
                f"This payment method belongs to the vault '{known}': leave {VAULT} out.",
                param=VAULT,
            )
        return Chosen(
            owner,
            row,
            saved=Saved(card["token"], known or vault, fingerprint=card.get("fingerprint")),
        )

    def _new(self, setup: Setup, owner: Record | None, given: Given) -> Chosen:
        """A provider's token as a payment method, not in use yet."""
        mark = cards.fingerprint(
            self._secret, setup.merchant, given.vault, given.method, livemode=setup.livemode
        )
        card: dict[str, Any] = {"token": given.method, "fingerprint": mark}
        if given.vault is not None:
            card["vault"] = given.vault
        of = setup.details
        where = {"location": of.location, "node": of.node}
        if owner is not None:
            where = {name: owner.details[name] for name in where}
        now = now_ms()
        details = {
            **where,
            "allow_redisplay": "unspecified",
            "billing_details": given.billing,
            "metadata": {},
            "card": {**card, **cards.known(given.method, livemode=setup.livemode)},
            PENDING: setup.id,
        }
        stays_with = of.stays_with if owner is None else owner.stays_with
        row = self._made("pm", setup, now, details, stays_with)
        return Chosen(
            owner, row, fresh=True, saved=Saved(given.method, given.vault, fingerprint=mark)
        )

    async def _check_room(self, owner: Record | None) -> None:
        """Raises ApiError (400) where a customer has no room for a payment method more."""
        if owner is None:
            return
        (count,) = await self._machine.store.rows("record_count", owner.id)
        if count[0] >= METHODS_MAX:
            raise ApiError.invalid(
                f"A customer has at most {METHODS_MAX} payment methods: detach one first.",
                param="customer",
            )

    def agreed(self, setup: Setup, chosen: Chosen, data: MandateData | None) -> Record | None:
        """The mandate that a setup's success will put in force."""
        if data is None:
            return None
        assert chosen.method is not None, "only what is about a payment method is confirmed"
        now = now_ms()
        said = data.customer_acceptance
        acceptance: dict[str, Any] = {
            "type": said.type,
            "accepted_at": now // 1000 if said.accepted_at is None else said.accepted_at,
        }
        if said.online is not None:
            acceptance["online"] = msgspec.to_builtins(said.online)
        details = {
            "payment_method": chosen.method.id,
            "acceptance": acceptance,
            "status": "pending",
        }
        return self._made("mandate", setup, now, details, chosen.method.stays_with)

    def _made(
        self,
        prefix: str,
        setup: Setup,
        now: int,
        details: dict[str, Any],
        stays_with: list[int] | None,
    ) -> Record:
        """A new record that a setup brings: in no list, or not before it has succeeded."""
        identifier = new_id(prefix, self._machine.node, now)
        return made(
            identifier,
            setup.merchant,
            setup.livemode,
            now,
            details,
            stays_with,
            active=False,
            belongs_to=setup.customer,
        )


def mandate_written(row: Record | None) -> list[RecordTold]:
    """What is written of a new mandate."""
    return [] if row is None else [told(row, "bailiwick.mandate.created", mandate(row))]
