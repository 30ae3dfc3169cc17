"""What is known of a card beside its token, for routing rules to ask. Pure."""

import msgspec
from msgspec import UnsetType

from bailiwick.resources.payments.methods.params import MethodOptions


class CardFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nothing of it is guessed.

    Attributes:
        bin: its first six to eight digits, as the client says.
        issuer_country: ISO 3166-1, as the client says.
        fingerprint: of a saved one.
    """

    bin: str | None = None
    issuer_country: str | None = None
    fingerprint: str | None = None


NOTHING = CardFacts()


def card_facts(
    options: MethodOptions | None | UnsetType,
    known: CardFacts = NOTHING,
    fingerprint: str | None = None,
    *,
    another: bool = False,
) -> CardFacts:
    """What is known after a request; ``known``: before it; ``fingerprint``: of the saved payment
    method that it pays by; ``another``: it brings another payment method than was known."""
    if another:
        known = NOTHING
    card = None if options is None or isinstance(options, UnsetType) else options.card
    found = CardFacts(
        bin=known.bin if card is None or card.bin is None else card.bin,
        issuer_country=(
            known.issuer_country
            if card is None or card.issuer_country is None
            else card.issuer_country
        ),
        fingerprint=fingerprint or known.fingerprint,
    )
    return NOTHING if found == NOTHING else found  # the very one, which is not stored
