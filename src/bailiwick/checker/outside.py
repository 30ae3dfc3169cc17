"""Invariants between our books and what others wrote down: clients, and webhook receivers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bailiwick.checker.findings import Found
from bailiwick.checker.places import PlaceError
from bailiwick.checker.reader import Reader

Line = dict[str, Any]
STATUSES = frozenset({"ok", "fail", "in_doubt"})


def read_lines(path: Path) -> list[Line]:
    """A file of JSON objects, one a line. Raises PlaceError naming the line."""
    lines = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                if text.strip():
                    lines.append(_line(path, number, text))
    except OSError as error:
        raise PlaceError(f"{path} cannot be read: {error.strerror}") from None
    return lines


def _line(path: Path, number: int, text: str) -> Line:
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict):
        raise PlaceError(f"{path}:{number} is no JSON object")
    return line


class Told:
    """What the nodes know of the clients' keys and payments."""

    def __init__(self) -> None:
        self.by_key: dict[str, set[str]] = {}
        self.live_by_key: dict[str, set[str]] = {}
        self.states: dict[str, str] = {}
        self.deleted: set[str] = set()

    async def read(self, db: Reader, history: list[Line]) -> None:
        """Look up a node's side of the history."""
        keys = list({line["key"] for line in history if line.get("key")})
        payments = list({line["payment"] for line in history if line.get("payment")})
        for key, payment in await db.rows(
            """SELECT k.key, coalesce(r.payment, a.subject, k.object)
                 FROM idempotency_key k LEFT JOIN refund r ON r.id = k.object
                 LEFT JOIN attempt a ON a.id = k.object
                WHERE k.key = ANY ($1::text[]) AND k.object IS NOT NULL""",
            keys,
        ):
            self.by_key.setdefault(key, set()).add(payment)
        for key, attempt in await db.rows(
            """SELECT key, id FROM attempt WHERE key = ANY ($1::text[])
                AND operation = 'charge' AND state = 'approved'""",
            keys,
        ):
            self.live_by_key.setdefault(key, set()).add(attempt)
        for payment, state in await db.rows(
            "SELECT id, state FROM payment WHERE id = ANY ($1::text[])", payments
        ):
            self.states[payment] = state
        for (payment,) in await db.rows(
            "SELECT id FROM test_data_order WHERE id = ANY ($1::text[])", payments
        ):
            self.deleted.add(payment)


def history_agrees(history: list[Line], told: Told, found: Found) -> None:
    """What clients were told stays true: an ok names a payment that exists under that key, a fail
    has no charge, and no key ever led to two payments, in doubt or not. Of a payment whose test
    data was deleted only the last can be said."""
    seen: dict[str, str] = {}
    for line in history:
        found.compare()
        key, payment, status = line.get("key"), line.get("payment"), line.get("status")
        name = str(key or payment or "line")
        if status not in STATUSES:
            found.broken("", name, f"status {status!r} is none of {sorted(STATUSES)}")
            continue
        wrong = _told_wrong(line, told)
        if wrong is not None:
            found.broken("", name, wrong)
        if key and payment and seen.setdefault(key, payment) != payment:
            found.broken("", name, f"told of {seen[key]} and of {payment}")


def _told_wrong(line: Line, told: Told) -> str | None:
    key, payment, status = line.get("key"), line.get("payment"), line["status"]
    if payment in told.deleted:
        return None
    if payment is not None and payment not in told.states:
        return f"told of {payment}, which exists nowhere"
    known = told.by_key.get(key, set()) if key else set()
    if status == "ok":
        if key and payment and known and payment not in known:
            return f"told of {payment}, the key was claimed for {', '.join(sorted(known))}"
        if key and not known:
            return "told ok, but no node has claimed the key"
    if status == "fail" and key and line.get("operation") in ("create", "confirm", "pay"):
        live = told.live_by_key.get(key)
        if live:
            return f"told fail, but {', '.join(sorted(live))} is approved"
    return None


def webhooks_in_order(sink: list[Line], delivered: dict[str, str], found: Found) -> None:
    """Events reach a webhook endpoint at least once, first occurrences in order: every delivery
    that we hold for done is in the receiver's log."""
    last: dict[str, tuple[int, str]] = {}
    seen: set[str] = set()
    for line in sink:
        found.compare()
        event = line.get("body") if isinstance(line.get("body"), dict) else line
        assert isinstance(event, dict)
        identifier = str(event.get("id") or event.get("event"))
        if identifier in seen:
            continue
        seen.add(identifier)
        payment, seq = event.get("payment"), event.get("sequence")
        if payment is None or not isinstance(seq, int):
            continue
        before, name = last.get(payment, (0, ""))
        if seq < before:
            found.broken("", identifier, f"version {seq} of {payment} came first after {name}")
        last[payment] = (max(seq, before), identifier if seq > before else name)
    for identifier, endpoint in delivered.items():
        if identifier not in seen:
            found.broken("", identifier, f"delivered to {endpoint} for us, never received")


async def delivered(db: Reader) -> dict[str, str]:
    """Events that an endpoint has accepted -> the endpoint."""
    rows = await db.rows(
        "SELECT event, endpoint FROM delivery"
        " WHERE done_at IS NOT NULL AND status BETWEEN 200 AND 299"
    )
    return {row["event"]: row["endpoint"] for row in rows}
