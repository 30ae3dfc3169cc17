"""The map of what may leave a node against the schema, the messages and the code that sends."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

import bailiwick
from bailiwick.access.peers import gossip
from bailiwick.base import events
from bailiwick.base.events import PaymentEvent, RelayReport
from bailiwick.store.statements import statement
from bailiwick.topology import feed as world_feed

MAP: dict[str, Any] = tomllib.loads(
    (files("bailiwick.data") / "residency.toml").read_text(encoding="utf-8")
)
CLASSES = {"identifier", "amount", "state", "time", "routing", "personal", "secret", "opaque"}
STAY = {"personal", "secret", "opaque"}
MESSAGES: dict[str, type[msgspec.Struct]] = {
    events.SUBJECTS: PaymentEvent,
    events.REPORT_SUBJECTS: RelayReport,
}


def entries() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (table, column, entry)
        for table, columns in MAP["columns"].items()
        for column, entry in columns.items()
    ]


async def test_every_column_is_in_the_map_and_no_other(sql: asyncpg.Connection) -> None:
    rows = await sql.fetch(
        "SELECT table_name::text, column_name::text FROM information_schema.columns"
        " WHERE table_schema = current_schema()"
    )
    there = {(row[0], row[1]) for row in rows}
    told = {(table, column) for table, column, _ in entries()}
    assert there - told == set(), "say in data/residency.toml whether they may leave, and why"
    assert told - there == set(), "these columns are gone: remove them from data/residency.toml"


def test_every_entry_is_well_formed_and_careful() -> None:
    assert MAP["format"] == 1
    for table, column, entry in entries():
        name = f"{table}.{column}"
        assert set(entry) == {"class", "leaves", "why"}, name
        assert entry["class"] in CLASSES, name
        assert entry["leaves"] in (True, False, "hashed"), name
        assert len(entry["why"]) > 5, name
        if entry["class"] in STAY:
            assert entry["leaves"] is not True, f"{name} may hold a payer's data or a secret"
        if entry["leaves"] == "hashed":
            assert entry["class"] == "secret", name


async def test_texts_that_a_client_or_provider_writes_stay(sql: asyncpg.Connection) -> None:
    """What has no fixed form is never believed to be harmless."""
    rows = await sql.fetch(
        "SELECT table_name::text, column_name::text FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND data_type IN ('json', 'jsonb')"
    )
    assert rows
    for table, column in rows:
        assert MAP["columns"][table][column]["leaves"] is False, f"{table}.{column}"


@pytest.mark.parametrize("subject", sorted(MESSAGES))
def test_every_field_of_a_message_comes_from_what_may_leave(subject: str) -> None:
    fields = MAP["subjects"][subject]["fields"]
    assert set(fields) == set(MESSAGES[subject].__struct_fields__)
    for name, field in fields.items():
        assert set(field) == {"class", "from"}, name
        assert field["class"] in CLASSES - STAY, name
        for source in field["from"]:
            table, column = source.split(".")
            leaves = MAP["columns"][table][column]["leaves"]
            assert leaves == ("hashed" if name == "key_hash" else True), f"{name}: {source}"


def test_what_may_leave_does() -> None:
    """A column that no message uses has no reason to be allowed."""
    used = {
        source
        for subject in MAP["subjects"].values()
        for field in subject["fields"].values()
        for source in field["from"]
    }
    # The same value stands in several columns; one is named as the source.
    names = ("id", "subject", "merchant", "livemode")
    alike = {f"{table}.{name}" for table in ("attempt", "payment") for name in names}
    allowed = {f"{t}.{c}" for t, c, entry in entries() if entry["leaves"] is not False}
    assert allowed - used - alike == set()


@pytest.mark.parametrize("name", ["relay_follow", "relay_sweep"])
def test_the_relay_reads_nothing_else(name: str) -> None:
    """The statement selects columns by name, and only those that may leave (and the key)."""
    text = re.sub(r"--[^\n]*", "", statement(name))
    assert "*" not in text
    tables = {"e": "event", "p": "payment", "a": "attempt"}
    selected = re.findall(r"\b([epa])\.(\w+)", text.partition("FROM (")[0])
    assert len(selected) >= 18
    for alias, column in selected:
        leaves = MAP["columns"][tables[alias]][column]["leaves"]
        assert leaves is True or (alias, column) == ("a", "key"), f"{alias}.{column}"


def test_who_sends_is_known() -> None:
    """A further sender needs its subject and its fields in the map."""
    source = Path(bailiwick.__file__).parent
    senders = {
        str(file.relative_to(source))
        for file in source.rglob("*.py")
        if re.search(r"bus\.(publish|send)\(", file.read_text(encoding="utf-8"))
        and file.parent.name != "bus"
    }
    assert senders == {
        "access/peers/gossip.py", "delivery/relay.py", "topology/feed.py",
    }  # fmt: skip
    told = {events.SUBJECTS, events.REPORT_SUBJECTS, world_feed.SUBJECT, f"{gossip.SUBJECT}.*"}
    assert told == set(MAP["subjects"])
