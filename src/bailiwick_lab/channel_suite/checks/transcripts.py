"""The golden transcript is what goes over the wire, and holds nothing that must not be kept."""

import base64
import json
from itertools import zip_longest
from typing import Any
from urllib.parse import quote

from bailiwick.base.cards import has_card_number
from bailiwick.channels.blocks.redact import REMOVED, SECRET_HEADERS
from bailiwick.channels.contract import Operation
from bailiwick_lab.channel_suite import transcript
from bailiwick_lab.channel_suite.subject import NOW_MS, Failed, Subject, require


def _kept(it: Subject) -> str:
    path = it.folder / transcript.FILE
    remedy = f"write it: bailiwick channel record {it.profile.name}"
    require(path.is_file(), f"{transcript.FILE} is missing; {remedy}")
    return path.read_text(encoding="utf-8")


def check_what_is_on_the_wire_is_as_recorded(it: Subject) -> None:
    kept, now = _kept(it), transcript.text(it)
    if kept == now:
        return
    remedy = f"if it is meant: bailiwick channel record {it.profile.name}"
    try:
        before: list[dict[str, Any]] = json.loads(kept)
    except ValueError:
        raise Failed(f"{transcript.FILE} is no JSON; {remedy}") from None
    nothing: dict[str, Any] = {}
    for old, new in zip_longest(before, json.loads(now), fillvalue=nothing):
        require(old == new, f"{_difference(old, new)}; {remedy}")
    raise Failed(f"{transcript.FILE} is written in another way; {remedy}")


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    case = after.get("case") or before.get("case")
    if not before or not after:
        return f"case {case} is {'new' if after else 'gone'}"
    for part in ("request", "reply", "result"):
        old, new = before.get(part) or {}, after.get(part) or {}
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                return f"case {case}: {part}.{key} was {old.get(key)!r}, is {new.get(key)!r}"
    return f"case {case} differs"


def check_no_secret_and_no_card_number_is_in_it(it: Subject) -> None:
    kept = _kept(it)
    require(not has_card_number(kept), "a card number is in it")
    for secret in it.secrets():
        for spelt in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()):
            require(spelt not in kept, "a secret of the account is in it")


def check_no_secret_header_is_in_it(it: Subject) -> None:
    secret = SECRET_HEADERS.union(name.lower() for name in it.profile.secret_headers)
    for each in json.loads(_kept(it)):
        for part in ("request", "reply"):
            headers = (each[part] or {}).get("headers", {})
            for name in secret & set(headers):
                require(headers[name] == REMOVED, f"case {each['case']}: the header {name}")


def check_whatever_authenticates_is_declared(it: Subject) -> None:
    """A header that has a secret in it, as it is or in base64, is one that no record holds."""
    known = SECRET_HEADERS.union(name.lower() for name in it.profile.secret_headers)
    account, order = it.cases.account, it.instruction(Operation.CHARGE)
    for request in (it.channel.check(account, NOW_MS), it.asked(order, account)):
        for name, value in request.headers.items():
            for secret in it.secrets():
                held = secret in value or base64.b64encode(secret.encode()).decode()[:-3] in value
                require(not held or name.lower() in known, f"secret_headers lacks {name.lower()}")
