"""The versions of the API's format, and an object as each of them shows it. Pure.

The one table of versions: an endpoint's ``api_version`` and whatever else names one look here. The
names are those of the webhook endpoint's ``api_version`` in the official Node SDK (npm ``stripe``
23.1.0). Which of them show our objects alike was read off the types of that SDK's releases from
11.1.0 on: between 2024-04-10 and 2026-10-28 payment intents, charges, refunds, customers and
payment methods have gained fields, which no client of an older version minds
(https://docs.stripe.com/upgrades#what-changes-does-stripe-consider-to-be-backwards-compatible), and
lost one.
"""

from difflib import get_close_matches
from typing import Any

import msgspec

from bailiwick.base.objects import API_VERSION, Object, encode

CURRENT = API_VERSION
"""The version of all that names none."""
RENDERED = (
    "2024-04-10",
    "2024-06-20",
    "2024-09-30.acacia",
    "2024-10-28.acacia",
    "2024-11-20.acacia",
    "2024-12-18.acacia",
    "2025-01-27.acacia",
    "2025-02-24.acacia",
    "2025-03-31.basil",
    "2025-04-30.basil",
    "2025-05-28.basil",
    "2025-06-30.basil",
    "2025-07-30.basil",
    "2025-08-27.basil",
    "2025-09-30.clover",
    "2025-10-29.clover",
    "2025-11-17.clover",
    "2025-12-15.clover",
    "2026-01-28.clover",
    "2026-02-25.clover",
    "2026-03-25.dahlia",
    "2026-04-22.dahlia",
    "2026-05-27.dahlia",
    "2026-06-24.dahlia",
    "2026-07-29.dahlia",
    "2026-08-26.dahlia",
    "2026-09-30.endive",
    CURRENT,
)
"""Every version in which objects can be shown, the oldest first."""
_DATES = frozenset(each.partition(".")[0] for each in RENDERED)
_BASIL = "2025-03-31"
_GONE: tuple[tuple[str, dict[str, frozenset[str]]], ...] = (
    # https://docs.stripe.com/changelog/basil/2025-03-31/add-support-for-multiple-partial-payments-on-invoices
    (_BASIL, {"payment_intent": frozenset({"invoice"}), "charge": frozenset({"invoice"})}),
)
"""From which day on objects lack fields that clients of earlier versions look for: null, since
nothing of ours has what they name."""


def problem(version: str) -> str | None:
    """Why objects cannot be shown as of this version; None when they can."""
    if version in RENDERED:
        return None
    day = version.partition(".")[0]
    if day in _DATES and "." not in version:
        whole = next(each for each in RENDERED if each.startswith(day))
        return f"Invalid API version: {version[:80]}. Write it as {whole}."
    near = get_close_matches(version[:80], RENDERED, n=1, cutoff=0.8)
    hint = f" Did you mean {near[0]}?" if near else ""
    return (
        f"API version {version[:80]} cannot be rendered here.{hint} Objects are shown as of any "
        f"version from {RENDERED[0]} to {CURRENT}, and as of {CURRENT} where none is named."
    )


def effective(version: str | None) -> str:
    """The version that is meant: the current one without a name, or by one that was stored before
    it was looked at."""
    return version if version in RENDERED else CURRENT


def as_of(version: str, body: msgspec.Raw) -> msgspec.Raw:
    """An object's JSON as one of ``RENDERED`` shows it; most versions show it as it is."""
    missing = _missing(version)
    return encode(_with(msgspec.json.decode(body), missing)) if missing else body


def lacks_nothing(version: str) -> bool:
    """Whether objects are shown as of a version as they are."""
    return not _missing(version)


def _missing(version: str) -> dict[str, frozenset[str]]:
    """Fields that objects had in a version and have no more, by the object's name."""
    day = version[:10]
    found: dict[str, frozenset[str]] = {}
    for since, fields in _GONE:
        if day < since:
            for name, lost in fields.items():
                found[name] = found.get(name, frozenset()) | lost
    return found


def _with(value: Any, missing: dict[str, frozenset[str]]) -> Any:
    """A value with the fields that are missing in its objects, and in those within them. What a
    client wrote into ``metadata`` is no object."""
    if isinstance(value, list):
        return [_with(each, missing) for each in value]
    if not isinstance(value, dict):
        return value
    shown: Object = {
        name: each if name == "metadata" else _with(each, missing) for name, each in value.items()
    }
    kind = value.get("object")
    lost = missing.get(kind, frozenset()) if isinstance(kind, str) else frozenset()
    return {**dict.fromkeys(sorted(lost - shown.keys())), **shown}
