"""The providers' own books, as an auditor gets them: GET /books, times in ms of their clock."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from bailiwick.checker.places import PlaceError

_TIMEOUT_S = 120


class Family(msgspec.Struct, frozen=True, gc=False):
    """How the payer of a charge met the provider; ``completes``: nothing is taken before we ask for
    it once more."""

    completes: str = ""


class Charge(msgspec.Struct, frozen=True, gc=False):
    """A charge in a provider's books."""

    provider: str
    id: str
    reference: str
    amount: int
    currency: str
    status: str
    created: int
    updated: int
    amount_authorized: int = 0
    amount_captured: int = 0
    amount_refunded: int = 0
    void_reason: str = ""
    family: Family = Family()

    @property
    def live(self) -> bool:
        """Whether it holds or took the payer's money."""
        return self.status in ("authorized", "captured")

    @property
    def uncompleted(self) -> bool:
        """Whether it takes nothing unless we complete it."""
        waits = self.status in ("action_required", "approved")
        return waits and self.family.completes != ""


class Once(msgspec.Struct, frozen=True, gc=False):
    """A row in a provider's books that never changes."""

    provider: str
    reference: str
    created: int

    @property
    def updated(self) -> int:
        """When it was made."""
        return self.created


class Increment(Once, frozen=True, gc=False):
    """An increment in a provider's books; ``amount``: of the authorization after it."""

    charge: str
    amount: int
    currency: str


class Setup(msgspec.Struct, frozen=True, gc=False):
    """A payer's agreement to later charges in a provider's books; no money moves."""

    provider: str
    id: str
    reference: str
    status: str
    created: int
    updated: int

    @property
    def charge(self) -> str:
        """It is about none."""
        return ""


class Capture(Once, frozen=True, gc=False):
    """A capture in a provider's books."""

    charge: str
    amount: int
    currency: str


class Completion(Once, frozen=True, gc=False):
    """A charge that was completed, in a provider's books."""

    charge: str


class Void(Once, frozen=True, gc=False):
    """A void in a provider's books."""

    charge: str


class Reversal(Void, frozen=True, gc=False):
    """A charge given up by our reference of it; ``charge``: empty where it was not there."""

    charge_reference: str


class Refund(msgspec.Struct, frozen=True, gc=False):
    """A refund in a provider's books."""

    provider: str
    reference: str
    charge: str
    amount: int
    currency: str
    status: str
    created: int
    updated: int


class Payout(msgspec.Struct, frozen=True, gc=False):
    """A payout in a provider's books."""

    provider: str
    reference: str
    id: str
    amount: int
    currency: str
    status: str
    created: int
    updated: int
    charge: str = ""


class Recall(Once, frozen=True, gc=False):
    """A payout that was canceled, in a provider's books."""

    payout: str
    amount: int
    currency: str
    charge: str = ""


class EvidenceFile(msgspec.Struct, frozen=True, gc=False):
    """A file that went with evidence, in a provider's books."""

    size: int
    sha256: str


class Submission(Once, frozen=True, gc=False):
    """What was sent about a dispute in a provider's books; ``kind``: the operation."""

    dispute: str
    charge: str
    kind: str
    files: dict[str, EvidenceFile] = {}


class Dispute(msgspec.Struct, frozen=True, gc=False):
    """A dispute in a provider's books."""

    provider: str
    id: str
    charge: str
    amount: int
    currency: str
    status: str
    created: int
    updated: int
    fee: int = 0
    sequence: int = 1
    funds: str = "held"


Row = Charge | Increment | Capture | Void | Refund | Submission | Payout | Recall | Setup


class Books(msgspec.Struct, frozen=True):
    """All rows of all providers."""

    providers: dict[str, object]
    charges: list[Charge]
    captures: list[Capture]
    voids: list[Void]
    refunds: list[Refund]
    reversals: list[Reversal] = []
    increments: list[Increment] = []
    setups: list[Setup] = []
    disputes: list[Dispute] = []
    submissions: list[Submission] = []
    payouts: list[Payout] = []
    recalls: list[Recall] = []
    completions: list[Completion] = []

    def by_reference(self) -> dict[str, list[Row]]:
        """Every row under the reference that it was asked for with."""
        found: dict[str, list[Row]] = {}
        for rows in (
            self.charges,
            self.increments,
            self.captures,
            self.voids,
            self.reversals,
            self.refunds,
            self.submissions,
            self.payouts,
            self.recalls,
            self.setups,
        ):
            for row in rows:
                found.setdefault(row.reference, []).append(row)
        return found


def kind(row: Row) -> str:
    """The operation that a row records."""
    if isinstance(row, Recall):
        return "payout_cancel"
    if isinstance(row, Void):
        return "void"
    return row.kind if isinstance(row, Submission) else type(row).__name__.lower()


def parse(document: bytes) -> Books:
    """Read the document. Raises PlaceError."""
    try:
        return msgspec.json.decode(document, type=Books)
    except msgspec.DecodeError as error:
        raise PlaceError(f"the books cannot be read: {error}") from None


async def read(url: str) -> Books:
    """Fetch the books; ``http://KEY@host/books`` shows the sandbox's ``admin_key``.

    Raises PlaceError.
    """
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    parts = urlsplit(url)
    url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    headers = {"Authorization": f"Bearer {parts.username}"} if parts.username else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False, headers=headers) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise PlaceError(f"{url} answered {answer.status}: is it the sandbox's /books?")
            body = await answer.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise PlaceError(
            f"the books at {url} cannot be read ({type(error).__name__}): does the sandbox run?"
        ) from None
    return parse(body)
