"""Who pays, as far as a provider has to be told. Pure."""

import msgspec

from bailiwick.methods.families import Family


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a payer lives; ``country``: ISO 3166-1 alpha-2."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None


class Payer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who pays: of what is known, the part that a channel declares to need or to pass on.

    Attributes:
        phone: as the client gave it, with the country's prefix.
        wallet_id: who the payer is in the wallet's own app (WeChat's ``openid``).
        virtual_address: where a push goes (UPI's VPA).
        tax_id: Brazil's CPF or CNPJ, and the like.
        device: what the payer is at: ``web`` (a desk) or ``mobile``.
        ip_address: the address from which the payer comes.
    """

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    wallet_id: str | None = None
    virtual_address: str | None = None
    tax_id: str | None = None
    address: Address | None = None
    device: str | None = None
    ip_address: str | None = None

    def known(self) -> frozenset[str]:
        """The names of what is known."""
        return frozenset(name for name in self.__struct_fields__ if getattr(self, name) is not None)

    def only(self, names: tuple[str, ...]) -> "Payer | None":
        """Nothing but these (what is no field of a payer is no matter); None if that is nothing."""
        kept = {name: getattr(self, name, None) for name in names}
        found = {name: value for name, value in kept.items() if value is not None}
        return Payer(**found) if found else None


class Takes(msgspec.Struct, frozen=True):
    """One way in which a channel takes one type of payment method.

    Attributes:
        needs: what of the payer (fields of ``Payer``) has to be known. Routing passes a gateway
            over where it is not, and the client is told what is missing before anything is sent.
        tells: what else of the payer the channel passes on where it is known.
        returns: the payer comes back from elsewhere, so an address to come back to is needed.
        lasts_ms: how long the payer may take, if the client does not say; None: as long as the
            provider lets it.
        currencies: in which alone; empty: in those of the type (``methods``), or all that the
            channel takes.
        holds: money can be held by it, where the channel has captures.
        completed_by: the step that takes or holds the money. Nothing is taken before it, whatever
            the payer does: what the payer leaves undone is given up by never sending it.
        return_step: the step that is due when the payer comes back, where the provider cannot be
            asked how it went. The payer comes back by the node then, and goes on to the client's
            ``return_url``.
        return_params: what it has to know: the parameters that the provider puts behind the address
            to which the payer comes back.
    """

    family: Family = Family.TOKEN
    needs: tuple[str, ...] = ()
    tells: tuple[str, ...] = ()
    returns: bool = False
    lasts_ms: int | None = None
    currencies: tuple[str, ...] = ()
    holds: bool = True
    completed_by: str | None = None
    return_step: str | None = None
    return_params: tuple[str, ...] = ()
