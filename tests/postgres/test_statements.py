"""Every SQL file against the schema and against the structs that travel through it."""

import re
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.keys import key_identity
from bailiwick.delivery.webhooks import Endpoint
from bailiwick.idempotency.rows import Claim, Refuse, StoredKey
from bailiwick.interlink.copies import Row as CopiedRow
from bailiwick.orders.attempts import Attempt, AttemptEnd, AttemptNew, AttemptStep, KnownObject
from bailiwick.orders.lanes import lanes
from bailiwick.orders.rows import OrderCreate, OrderMove, Review
from bailiwick.records.beside import RecordTold
from bailiwick.records.configurations import Configuration
from bailiwick.records.record import Record
from bailiwick.resources import declared
from bailiwick.resources.disputes.rows import Dispute, DisputeNew, DisputeNext
from bailiwick.resources.payments.rows import Payment, PaymentCreate, PaymentMove
from bailiwick.resources.payments.saved.saving import MethodSaved
from bailiwick.resources.payments.states import State
from bailiwick.resources.payouts.rows import Payout, PayoutCreate, PayoutMove
from bailiwick.resources.refunds.rows import Refund, RefundEnd, RefundNew
from bailiwick.resources.setup_intents.rows import Setup, SetupCreate, SetupMove
from bailiwick.store import migrate as migrations_module
from bailiwick.store.database import Fence
from bailiwick.store.migrate import MigrationError, migrate
from bailiwick.store.statements import lean, migrations, names, statement

FIELDS: dict[tuple[str, str], type[msgspec.Struct]] = {
    ("move", "claim"): Claim,
    ("move", "ends"): AttemptEnd,
    ("move", "attempt_new"): AttemptNew,
    ("move", "review"): Review,
    ("move", "known"): KnownObject,
    ("move", "attempt_step"): AttemptStep,
    ("refund_moves", "refund_new"): RefundNew,
    ("refund_moves", "refund_end"): RefundEnd,
    ("dispute_moves", "dispute_new"): DisputeNew,
    ("dispute_moves", "dispute_next"): DisputeNext,
    ("methods_saved", "method_saved"): MethodSaved,
    ("records_beside", "records"): RecordTold,
}
COLUMNS: dict[str, Any] = {
    "payment_find": Payment,
    "payment_list_newest": Payment,
    "payment_list_oldest": Payment,
    "attempt_find": Attempt,
    "attempts_due": Attempt,
    "attempts_named": Attempt,
    "attempts_of": Attempt,
    "setup_find": Setup,
    "setup_list_newest": Setup,
    "setup_list_oldest": Setup,
    "refund_find": Refund,
    "refund_list_newest": Refund,
    "refund_list_oldest": Refund,
    "payout_find": Payout,
    "payout_list_newest": Payout,
    "payout_list_oldest": Payout,
    "dispute_find": Dispute,
    "dispute_told": Dispute,
    "dispute_list_newest": Dispute,
    "dispute_list_oldest": Dispute,
    "record_find": Record,
    "record_lock": Record,
    "record_lock_owned": Record,
    "record_list_newest": Record,
    "record_list_oldest": Record,
    "key_find": StoredKey,
    "fence_read": Fence,
    "endpoint_list": Endpoint,
    "webhook_endpoint_every": CopiedRow,
    "webhook_endpoint_rows": CopiedRow,
    "configuration_every": CopiedRow,
    "configuration_rows": CopiedRow,
    "configuration_list": Configuration,
}
KINDS = declared("KIND", "kind")
PARTS = [name for each in declared("PARTS", "handlers") for one in each.values() for name in one]
HELD = {"records_owned", "records_held", "records_as_held"}
"""Parts that lock, by some fields of what is written."""
FILLED_IN = {
    "create", "move", "records_beside", *HELD, *PARTS,
    *(part for of in KINDS for part in of.table.first_parts),
}  # fmt: skip
"""Statements of which a kind of orders makes its own."""
ELSEWHERE = {
    "attempt_new": {"instruction"}, "attempt_step": {"instruction"}, "ends": {"check_ms"},
}  # fmt: skip
"""Fields that a record does not take from the document: the event takes instructions, and an
attempt that ends beside another is never looked at again."""
_RECORD = re.compile(
    r"json_to_record(?:set)?\([im]\.more -> '(\w+)'\)\s+AS\s+(?:\w+\s*)?\(([^()]*)\)", re.DOTALL
)


def records(name: str) -> dict[str, dict[str, str]]:
    """The column definitions of each JSON argument of a statement: name to type."""
    found = {}
    for argument, body in _RECORD.findall(statement(name)):
        pairs = [part.split() for part in body.replace("\n", " ").split(",")]
        found[argument] = {pair[0]: pair[1] for pair in pairs}
    return found


def plain(name: str) -> str:
    """A statement without its comments."""
    return re.sub(r"--[^\n]*", "", statement(name))


@pytest.mark.parametrize(
    "name", [name for name in names() if name not in {"lane_settings", *FILLED_IN}]
)
async def test_every_file_prepares(name: str, sql: asyncpg.Connection) -> None:
    prepared = await sql.prepare(statement(name))
    numbers = {int(found) for found in re.findall(r"\$(\d+)", plain(name))}
    assert numbers == set(range(1, len(prepared.get_parameters()) + 1)), "no gap in parameters"
    if name in COLUMNS:
        columns = [each.name for each in prepared.get_attributes()]
        if "_list_" in name and COLUMNS[name] in (Payment, Refund, Record, Dispute, Payout, Setup):
            assert columns.pop() == "following"
        if "_list_" in name and COLUMNS[name] is Refund:
            assert columns.pop() == "charge"
        fields = list(COLUMNS[name].__struct_fields__)
        if COLUMNS[name] in (Payment, Payout, Setup):  # both are in the content
            fields[fields.index("details") : fields.index("progress") + 1] = ["content"]
        assert columns == fields


@pytest.mark.parametrize("of", KINDS, ids=lambda of: of.table.name)
@pytest.mark.parametrize(("name", "kind"), [("create", OrderCreate), ("move", OrderMove)])
async def test_the_lean_statement_leaves_out_only_what_seldom_rows_need(
    name: str, kind: type[OrderCreate] | type[OrderMove], of: Any, sql: asyncpg.Connection
) -> None:
    """A row whose part was left out would lose it silently: the two lists must be the same."""
    full = of.table.create_sql() if name == "create" else of.table.move_sql(PARTS)
    told = re.sub(r"--[^\n]*", "", full)
    assert "@" not in told, "all is filled in"
    assert await sql.prepare(full)
    cut = lean(full)
    assert await sql.prepare(cut)
    parts = re.findall(r"--\{ seldom\n(.*?)--\}\n", full, re.DOTALL)
    assert parts
    needed = set(re.findall(r"[a-z]\.(more|endpoints)\b", "".join(parts)))
    (spec,) = (each for each in lanes(of.table, PARTS) if each.sql == full)
    assert needed == set(spec.seldom)
    assert "endpoints" in kind.__struct_fields__
    written = set(re.findall(r"INSERT INTO (\w+)|UPDATE (\w+)", cut))
    assert written, "the guarded write itself is never left out"
    for field in needed:  # passed on, but not acted on
        uses = re.findall(rf"[a-z]\.{field}\b(?: -> | #>> )?", cut)
        assert all(use in (f"i.{field}", "m.more #>> ") for use in uses), uses


def test_every_file_says_what_it_is_for() -> None:
    for name in names():
        first = statement(name).splitlines()[0]
        assert first.startswith("-- ") and len(first) > 20, name


async def test_the_lane_settings_hold(sql: asyncpg.Connection) -> None:
    await sql.execute(statement("lane_settings"))
    assert await sql.fetchval("SHOW plan_cache_mode") == "force_generic_plan"
    assert await sql.fetchval("SHOW statement_timeout") == "10s"


@pytest.mark.parametrize(("name", "argument"), sorted(FIELDS))
def test_rows_and_records_have_the_same_fields(name: str, argument: str) -> None:
    apart = ELSEWHERE.get(argument, set())
    assert set(records(name)[argument]) == set(FIELDS[name, argument].__struct_fields__) - apart


def test_no_record_was_forgotten() -> None:
    found = {(name, argument) for name in set(names()) - HELD for argument in records(name)}
    fields = set(RecordTold.__struct_fields__)
    for name in HELD:
        for columns in records(name).values():
            assert set(columns) <= fields
    assert found == set(FIELDS)


@pytest.mark.parametrize(
    ("kind", "struct"),
    [
        ("payment_create_row", PaymentCreate),
        ("payment_move_row", PaymentMove),
        ("setup_create_row", SetupCreate),
        ("setup_move_row", SetupMove),
        ("payout_create_row", PayoutCreate),
        ("payout_move_row", PayoutMove),
        ("refuse_row", Refuse),
    ],
)
async def test_a_batch_s_type_has_the_fields_of_its_struct_in_order(
    kind: str, struct: type[msgspec.Struct], sql: asyncpg.Connection
) -> None:
    columns = await sql.fetch(
        "SELECT attname, atttypid::regtype::text FROM pg_attribute"
        " WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum",
        kind,
    )
    assert [row[0] for row in columns] == list(struct.__struct_fields__)
    fits: dict[str, Any] = {
        "text": str, "json": str, "bigint": int, "integer": int, "smallint": int, "boolean": bool,
        "text[]": list[str], "bigint[]": list[int], "uuid": str, "uuid[]": list[str],
        "integer[]": list[int],
    }  # fmt: skip
    for (name, column), field in zip(columns, msgspec.structs.fields(struct), strict=True):
        options = set(getattr(field.type, "__args__", (field.type,))) - {type(None)}
        if column.endswith("[]"):
            options = {each for each in [field.type, *options] if each == fits[column]}
        assert options == {fits[column]}, (name, column, field.type)


@pytest.mark.parametrize(("name", "argument"), sorted(FIELDS))
def test_types_fit(name: str, argument: str) -> None:
    hints = {field.name: field.type for field in msgspec.structs.fields(FIELDS[name, argument])}
    fits: dict[str, Any] = {
        "text": (str, msgspec.Raw),
        "uuid": str,
        "bigint": int,
        "integer": int,
        "smallint": int,
        "boolean": bool,
        "integer[]": list,
        "text[]": list,
    }
    for column, kind in records(name)[argument].items():
        hint = hints[column]
        options = getattr(hint, "__args__", (hint,)) if kind != "json" else ()
        for option in options:
            if option is not type(None):
                plain = getattr(option, "__origin__", option)
                assert issubclass(plain, fits[kind]), (column, kind, hint)


# Migrations


async def test_migrations_are_applied_once(schema_dsn: str) -> None:
    connection = await asyncpg.connect(schema_dsn)
    try:
        assert await migrate(connection, 3) == [name for name, _ in migrations()]
        assert await migrate(connection, 3) == []
        assert await connection.fetchval("SELECT node FROM fence") == 3
        with pytest.raises(MigrationError, match="belongs to node 3, not to node 4"):
            await migrate(connection, 4)
        await connection.execute("UPDATE schema_migration SET sha256 = 'other'")
        with pytest.raises(MigrationError, match="applied in another form"):
            await migrate(connection, 3)
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = $1"
        assert await connection.fetchval(held, connection.get_server_pid()) == 0
    finally:
        await connection.close()


async def test_a_migration_that_fails_leaves_nothing(
    schema_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [*migrations(), ("0002_broken", "CREATE TABLE half (n int); SELECT nonsense")]
    monkeypatch.setattr(migrations_module, "migrations", lambda: broken)
    connection = await asyncpg.connect(schema_dsn)
    try:
        with pytest.raises(asyncpg.UndefinedColumnError):
            await migrate(connection, 1)
        assert await connection.fetchval("SELECT to_regclass('half')") is None
        applied = await connection.fetch("SELECT name FROM schema_migration")
        assert [row[0] for row in applied] == [name for name, _ in migrations()]
    finally:
        await connection.close()


async def test_a_key_is_found_by_what_the_program_and_the_database_both_work_out(
    schema_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [("acct_1", False, "k"), ("acct_1", True, "k"), ("acct_2", False, "Größe 1 €")]
    files = migrations()
    monkeypatch.setattr(migrations_module, "migrations", lambda: files[:2])
    connection = await asyncpg.connect(schema_dsn)
    try:
        await migrate(connection, 1)
        await connection.executemany(
            "INSERT INTO idempotency_key (merchant, livemode, key, request_hash, operation, writer,"
            " created_ms) VALUES ($1, $2, $3, 'h', 'create', 1, 1)",
            keys,
        )
        monkeypatch.setattr(migrations_module, "migrations", lambda: files)
        assert await migrate(connection, 1) == [name for name, _ in files[2:]]
        for merchant, livemode, key in keys:
            identity = key_identity(merchant, livemode, key)
            found = await connection.fetchrow(statement("key_find"), identity)
            assert found is not None and found["request_hash"] == "h"
            assert identity == await connection.fetchval(
                "SELECT replace(key_identity($1, $2, $3)::text, '-', '')", merchant, livemode, key
            )
    finally:
        await connection.close()


# Append-only


@pytest.mark.parametrize("table", ["posting", "event"])
@pytest.mark.parametrize(
    "change",
    ["UPDATE {} SET created_ms = 0", "DELETE FROM {}", "TRUNCATE {}",
     "UPDATE {} SET subject = subject WHERE false"],
)  # fmt: skip
async def test_history_cannot_be_changed(sql: asyncpg.Connection, table: str, change: str) -> None:
    await sql.execute(
        "INSERT INTO posting VALUES ('pi_1', 1, 1, 'a', 'b', 5, 'EUR', 0);"
        "INSERT INTO event (id, subject, seq, merchant, livemode, type, body, writer, created_ms)"
        " VALUES ('evt_1', 'pi_1', 1, 'acct_1', false, 'x', '{}', 1, 0)"
    )
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await sql.execute(change.format(table))
    assert await sql.fetchval(f"SELECT count(*) FROM {table}") == 1


@pytest.mark.parametrize(
    "row",
    [
        "amount_received = 2001", "amount_received = -1", "amount_capturable = 1001",
        "amount_refunded = 501", "amount_refunding = 501", "amount_refunding = -1",
        "amount_refunded = 300, amount_refunding = 201", "amount = 0", "state = 'failed'",
        "currency = 'eur'",
    ],
)  # fmt: skip
async def test_amounts_out_of_bounds_are_refused_by_the_table(
    sql: asyncpg.Connection, row: str
) -> None:
    await sql.execute(
        "INSERT INTO payment (id, merchant, livemode, version, content_seq, state, writer, epoch,"
        " amount, currency, amount_received, created_ms, updated_ms) VALUES"
        " ('pi_1', 'acct_1', false, 1, 1, 'succeeded', 1, 1, 1000, 'EUR', 500, 0, 0)"
    )
    with pytest.raises(asyncpg.CheckViolationError):
        await sql.execute(f"UPDATE payment SET {row}")


async def test_the_states_of_the_schema_are_the_table_s(sql: asyncpg.Connection) -> None:
    text = await sql.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contypid = 'payment_state'::regtype"
    )
    assert set(re.findall(r"'([a-z_]+)'", text)) == {state.value for state in State}
