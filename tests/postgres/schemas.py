"""Migrated schemas, used again: to migrate one takes PostgreSQL longer than many a test."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from bailiwick.store.migrate import migrate

FRESH = "INSERT INTO sweep DEFAULT VALUES"
"""The one row that migrations leave."""
EMPTY = f"""
DO $$ DECLARE each regclass; filled boolean; BEGIN
  FOR each IN
    SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace
    AND relkind = 'r' AND relname <> 'schema_migration'
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', each) INTO filled;
    IF filled THEN
      EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', each);
      EXECUTE format('DELETE FROM %s', each);
      EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', each);
    END IF;
  END LOOP;
  {FRESH};
END $$"""
FORM = """
SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM (
  SELECT concat_ws(',', 'class', relname, relkind, relpersistence, reloptions, relam) AS line
    FROM pg_class WHERE relnamespace = $1::regnamespace
  UNION ALL SELECT concat_ws(',', 'column', attrelid::regclass, attnum, attname, atttypid::regtype,
      attnotnull, attstorage, attisdropped, pg_get_expr(adbin, adrelid))
    FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = $1::regnamespace AND attnum > 0
  UNION ALL SELECT concat_ws(',', 'trigger', tgrelid::regclass, tgname, tgenabled, tgfoid::regproc)
    FROM pg_trigger JOIN pg_class ON tgrelid = pg_class.oid WHERE relnamespace = $1::regnamespace
  UNION ALL SELECT concat_ws(',', 'function', proname, prosrc)
    FROM pg_proc WHERE pronamespace = $1::regnamespace
  UNION ALL SELECT concat_ws(',', 'constraint', conrelid::regclass, conname,
      pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = $1::regnamespace
) AS lines"""
"""What a test may have changed of a schema; its name is in none of the lines, as it is searched."""
SIZE = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = $1::regnamespace"
SIZE_MAX = 16 * 1024 * 1024
"""What is larger afterwards is not used again: emptied, it would still be as large."""
WAIT = "SET lock_timeout = '5s'; SET client_min_messages = error"

reusing = True
"""False while a test needs schemas that nobody has used: plans depend on what is known of
tables."""
_idle: dict[str, list[str]] = {}
_form: dict[str, str] = {}


@asynccontextmanager
async def migrated(server_dsn: str, node: int) -> AsyncIterator[str]:
    """The DSN of an empty database of this node; what its test left is deleted afterwards."""
    idle = _idle.setdefault(server_dsn, [])
    name = idle.pop() if idle and reusing else f"t_{secrets.token_hex(6)}"
    dsn = f"{server_dsn}?search_path={name}"
    sql = await asyncpg.connect(dsn)
    try:
        await sql.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")
        if await migrate(sql, node) and server_dsn not in _form:
            _form[server_dsn] = await sql.fetchval(FORM, name)
        try:
            yield dsn
        finally:
            await sql.execute(WAIT)
            if await emptied(sql, name, _form[server_dsn]):
                idle.append(name)
            else:
                await sql.execute(f"DROP SCHEMA {name} CASCADE")
    finally:
        await sql.close()


async def emptied(sql: asyncpg.Connection, name: str, form: str) -> bool:
    """Nothing is in the schema any more, and it is as migrations made it; false: it is not, or it
    is not worth it."""
    if await sql.fetchval(FORM, name) != form or await sql.fetchval(SIZE, name) > SIZE_MAX:
        return False
    await sql.execute(EMPTY)
    return True


async def drop_idle(server_dsn: str) -> None:
    """At the end, on a server that others go on using."""
    sql = await asyncpg.connect(server_dsn)
    await sql.execute(WAIT)
    for name in _idle.pop(server_dsn, []):
        await sql.execute(f"DROP SCHEMA {name} CASCADE")
    await sql.close()
