"""The floor: the node's own two statements, driven by pgbench without any service around them.

Rows have the shape and size of payments that the node has just stored. They go to a database
of their own on the node's server, so that the node's books stay true. pgbench cannot build a
batch, so its script holds the batch as text and the server puts the transaction's number in:
a few microseconds for each payment that the service does not pay.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import psutil

from bailiwick.resources.payments.rows import TABLE
from bailiwick.resources.refunds.handlers import PARTS
from bailiwick.store.migrate import migrate
from bailiwick_lab.bench import processes
from bailiwick_lab.bench.site import NodeOf

CASES = ((1, 32), (24, 2))
"""Rows in a batch, and connections: one by one in a crowd; and as the two lanes do it."""

_MARK = "@@"
_WRITER = 918273645000
_IDENTITY = "{:02}000000-0000-0000-0000-00"
_NOT_YET = "9182736450"
"""Stands for the mark in identities, where that is no digit; as long as a transaction's number."""
_ENDED_S = 0.5
_PLAN = (
    "-c plan_cache_mode=force_generic_plan -c enable_mergejoin=off -c enable_seqscan=off -c jit=off"
)
_TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_SAMPLE = """
SELECT p.*, a.id AS attempt_id, a.gateway, a.provider_ref, a.result, e1.instruction, e1.content,
       k.key, k.identity, k.request_hash, e1.id AS first_id, e1.type AS first_type,
       e2.id AS last_id, e2.type AS last_type, e2.body AS last_body,
       g.debit, g.credit, g.amount AS booked
  FROM payment p JOIN attempt a ON a.subject = p.id
  JOIN idempotency_key k ON k.object = p.id AND k.operation = 'create'
  JOIN event e1 ON e1.subject = p.id AND e1.seq = 1
  JOIN event e2 ON e2.subject = p.id AND e2.seq = 2
  JOIN posting g ON g.subject = p.id AND g.seq = 2
 WHERE p.state = 'succeeded' AND p.version = 2
   AND p.id = (SELECT max(id) FROM payment WHERE state = 'succeeded' AND version = 2)
"""
_AS_LITERAL = """
SELECT array_agg(r)::text FROM json_populate_recordset(NULL::{kind}, $1::json) r
"""
Shape = dict[str, Any]
"""A row as a lane sends it, by the names of its columns."""


class FloorError(Exception):
    """pgbench could not be run; the message says why."""


def _version(pgbench: Path) -> str:
    """What a pgbench says of itself; where it lies is this machine's affair."""
    done = subprocess.run([str(pgbench), "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def find_pgbench(postgres_pid: int) -> Path | None:
    """pgbench of the running server's own folder, else any on this machine."""
    own = Path(psutil.Process(postgres_pid).exe()).parent / "pgbench"
    if own.exists():
        return own
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    if found:
        return found[-1]
    on_path = shutil.which("pgbench")
    return Path(on_path) if on_path else None


async def run(node: NodeOf, seconds: float) -> list[dict[str, Any]]:
    """Each case's payments per second. The node must hold a succeeded payment.

    Raises FloorError, OSError, asyncpg.PostgresError."""
    pgbench = find_pgbench(node.postgres_pid)
    if pgbench is None:
        raise FloorError("skipped: there is no pgbench beside the server or on this machine")
    rows = await _sample(node.dsn)
    name = f"bailiwick_bench_{secrets.token_hex(4)}"
    owner = urlsplit(node.dsn).username or "postgres"
    admin = await asyncpg.connect(node.admin_dsn, timeout=5)
    try:
        await admin.execute(f'CREATE DATABASE {name} OWNER "{owner}"')
        try:
            scratch = await asyncpg.connect(node.dsn, database=name, timeout=5)
            try:
                await migrate(scratch, 1)
            finally:
                await scratch.close()
            return [await _case(pgbench, node, name, rows, case, seconds) for case in CASES]
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


async def _sample(dsn: str) -> tuple[Shape, Shape]:
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        row = await connection.fetchrow(_SAMPLE)
    finally:
        await connection.close()
    if row is None:
        raise FloorError("skipped: the node holds no payment to take the rows' shape from")
    return shapes(dict(row))


def shapes(row: dict[str, Any]) -> tuple[Shape, Shape]:
    """A stored payment as the rows that wrote it: for create.sql and for move.sql."""
    shared = {"id": row["id"], "now_ms": row["created_ms"], "amount": row["amount"]}
    first = {
        **shared,
        "merchant": row["merchant"],
        "livemode": row["livemode"],
        "key": row["key"],
        "identity": str(row["identity"]),
        "request_hash": row["request_hash"],
        "operation": "create",
        "epoch": row["epoch"],
        "state": "processing",
        "currency": row["currency"],
        "content": row["content"],
        "attempt_id": row["attempt_id"],
        "gateway": row["gateway"],
        "instruction": row["instruction"],
        "event_id": row["first_id"],
        "event_type": row["first_type"],
    }
    last = {
        **shared,
        "expected_version": 1,
        "expected_state": "processing",
        "state": "succeeded",
        "amount_capturable": 0,
        "amount_received": row["amount"],
        "amount_refunding": 0,
        "amount_refunded": 0,
        "attempts": 1,
        "charge_attempt": row["attempt_id"],
        "end_id": row["attempt_id"],
        "end_state": "approved",
        "end_ref": row["provider_ref"],
        "end_result": row["result"],
        "debits": [row["debit"]],
        "credits": [row["credit"]],
        "amounts": [row["booked"]],
        "event_id": row["last_id"],
        "event_type": row["last_type"],
        "event_body": row["last_body"],
        "answer_key": row["key"],
        "answer_status": 200,
    }
    return first, last


def batch(shape: Shape, count: int) -> list[Shape]:
    """A batch: the row ``count`` times, each time as another payment, with a mark where the
    transaction's number goes."""
    found = []
    for number in range(count):
        names = {
            shape["id"]: f"pi_{_MARK}-{number:02}",
            shape["event_id"]: f"{shape['event_id'][:20]}{_MARK}-{number:02}",
        }
        for field in ("attempt_id", "charge_attempt"):
            if shape.get(field):
                names[shape[field]] = f"ch_{_MARK}-{number:02}"
        key = shape.get("key") or shape.get("answer_key")
        if key:
            names[key] = f"bench-{_MARK}-{number:02}"
        text = json.dumps({**shape, "writer": _WRITER + number})
        if "identity" in shape:
            names[shape["identity"]] = _IDENTITY.format(number) + _NOT_YET
        for old, new in names.items():
            text = text.replace(str(old), new)
        found.append(json.loads(text))
    return found


async def literal(connection: asyncpg.Connection, kind: str, rows: list[Shape]) -> str:
    """A batch as the text of an array of composites, made by the server whose types they are."""
    text: str = await connection.fetchval(_AS_LITERAL.format(kind=kind), json.dumps(rows))
    for number in range(len(rows)):
        text = text.replace(str(_WRITER + number), f"{_MARK}{number:02}")
        identity = _IDENTITY.format(number)
        text = text.replace(identity + _NOT_YET, identity + _MARK)
    return text.replace("'", "''")


async def script(connection: asyncpg.Connection, first: Shape, last: Shape, count: int) -> str:
    """The pgbench script of one case: create a batch, then move it."""
    creates, moves = TABLE.create_sql().strip(), TABLE.move_sql(PARTS["pi"]).strip()
    create_rows = await literal(connection, "payment_create_row", batch(first, count))
    move_rows = await literal(connection, "payment_move_row", batch(last, count))
    return "\n".join(
        (
            r"\if :ready = 0",
            f"PREPARE bench_create (payment_create_row[], bigint) AS {creates};",
            f"PREPARE bench_move (payment_move_row[], bigint) AS {moves};",
            "EXECUTE bench_create('{}', 1);",
            "SET enable_hashjoin = off;",
            "EXECUTE bench_move('{}', 1);",
            r"\set ready 1",
            r"\endif",
            r"\set n :n + 1",
            r"\set tag (:client_id + 10) * 100000000 + :n",
            f"EXECUTE bench_create({_tagged(create_rows)}::payment_create_row[], 1);",
            f"EXECUTE bench_move({_tagged(move_rows)}::payment_move_row[], 1);",
            "",
        )
    )


def _tagged(rows: str) -> str:
    """Rows as a literal, with the transaction's number in their ids."""
    return f"replace('{rows}', '{_MARK}', ':tag')"


async def _case(
    pgbench: Path,
    node: NodeOf,
    database: str,
    rows: tuple[Shape, Shape],
    case: tuple[int, int],
    seconds: float,
) -> dict[str, Any]:
    count, clients = case
    parts = urlsplit(node.dsn)
    extra = {name: values[0] for name, values in parse_qs(parts.query).items()}
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PGUSER": parts.username or "",
        "PGPASSWORD": parts.password or "",
        "PGHOST": extra.get("host") or parts.hostname or "",
        "PGPORT": extra.get("port") or str(parts.port or 5432),
        "PGOPTIONS": _PLAN,
    }
    server = [processes.Program("postgres", node.postgres_pid, tree=True)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "batch.sql"
        scratch = await asyncpg.connect(node.dsn, database=database, timeout=5)
        try:
            file.write_text(await script(scratch, *rows, count), encoding="utf-8")
        finally:
            await scratch.close()
        before = processes.spent(server)
        child = await asyncio.create_subprocess_exec(
            str(pgbench), "--no-vacuum", "--protocol=simple", f"--client={clients}", "--jobs=1",
            f"--time={max(1, round(seconds))}", "--define=ready=0", "--define=n=0",
            f"--file={file}", database,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
        )  # fmt: skip
        out, problem = await child.communicate()
        # What pgbench's connections used is theirs until they have ended, then their parent's.
        await asyncio.sleep(_ENDED_S)
        used = processes.between(before, processes.spent(server)).roles["postgres"]
    found = _TPS.search(out.decode())
    if child.returncode or found is None:
        raise FloorError(f"pgbench failed: {problem.decode().strip()[-300:]}")
    tps = float(found[1])
    done = re.search(r"actually processed: (\d+)", out.decode())
    payments = int(done[1]) * count if done else 0
    return {
        "batch": count,
        "connections": clients,
        "transactions_per_s": round(tps, 1),
        "payments_per_s": round(tps * count, 1),
        "postgres_us_per_payment": round(used / payments * 1e6, 1) if payments else None,
        "pgbench": _version(pgbench),
    }
