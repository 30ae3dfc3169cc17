"""Credentials that operators give: encrypted at rest, shown nowhere, under a key that can change;
and orders that are cut off are carried out wholly or not at all."""

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import asyncpg
import pytest
import structlog

from bailiwick.runtime import telemetry
from bailiwick.runtime.settings import SettingsError
from bailiwick.store.statements import statement
from tests.postgres.gateways_kit import THIRD, VALUES, Site, gateway_of, new_key, started
from tests.postgres.test_access_tokens import SECOND, Sandbox

OPEN = """
SELECT id, replays FROM attempt WHERE state IN ('permitted', 'pending', 'unknown') FOR UPDATE
"""
DUMP = "SELECT * FROM gateway, gateway_change"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path, 3_600_000)
    yield made
    made.stop()


@pytest.fixture
async def site(tmp_path: Path, dsn: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    async with started(tmp_path, dsn, sandbox) as made:
        yield made


async def added(site: Site) -> dict[str, Any]:
    return await site.order("add", THIRD, settings=site.third(), values=VALUES)


async def test_they_stand_nowhere_in_plain(site: Site, sql: asyncpg.Connection) -> None:
    log = io.StringIO()
    telemetry.configure("node europe", stream=log)
    try:
        shown = [await added(site)]
        shown.append(await site.order("credentials", THIRD, values=VALUES, same_account=True))
        shown.append(await site.order("change", THIRD, settings={"priority": 2}))
        shown += [(await site.asked("list"))[1], (await site.asked("rotate_key"))[1]]
        wrong = {**VALUES, "callback_secret": "", "api_key": "another_key"}
        shown.append(await site.asked("credentials", THIRD, values=wrong, same_account=True))
        answer = await site.client.request("GET", b"/metrics", [], b"")
        usage = await site.client.request("GET", b"/usage/gateways", [], b"")
    finally:
        structlog.reset_defaults()
    rows = await sql.fetch(DUMP)
    texts = {
        "answers": repr(shown), "metrics": answer.body.decode(), "usage": usage.body.decode(),
        "rows": repr(rows), "log": log.getvalue(),
    }  # fmt: skip
    assert "gateway_changed" in texts["log"] and len(rows) >= 3
    for where, text in texts.items():
        for secret in (*VALUES.values(), "another_key", site.key.read_text()):
            assert secret not in text, where
    assert shown[0]["credentials"] == {
        "names": ["api_key", "callback_secret"], "kept_here": True,
        "node_key": site.node.live.keys.all[0].id,
    }  # fmt: skip
    assert [each["what"] for each in shown[2]["changes"]] == ["changed", "credentials", "added"]
    assert shown[2]["changes"][1]["details"] == {"names": ["api_key", "callback_secret"]}
    assert {each["by"] for each in shown[2]["changes"]} == {"olga"}


async def test_new_credentials_are_used_at_once_and_those_not_named_stay(site: Site) -> None:
    """Of a gateway of the settings file, which names a secret that is revoked meanwhile."""
    wrong = {"api_key": "revoked"}
    why = await site.refused("credentials", SECOND, values=wrong, same_account=True)
    assert "cannot be used so" in why
    assert gateway_of(await site.succeeded("k0")) == SECOND
    await site.order("credentials", SECOND, values=wrong, same_account=True, unchecked=True)
    assert (await site.show(SECOND))["usage"] != "open"
    found = await site.order(
        "credentials", SECOND, values={"api_key": VALUES["api_key"]}, same_account=True
    )
    assert found["usage"] == "open" and found["credentials"]["names"] == sorted(VALUES)
    assert gateway_of(await site.succeeded("k1")) == SECOND


async def test_a_wrong_key_is_named_at_the_start(site: Site) -> None:
    await added(site)
    right = site.key.read_text()
    await site.stop()
    try:
        for more, said in (
            (['credentials_key = "file:wrong.key"'], "encrypted with node key"),
            ([], "here is none"),
        ):
            (site.folder / "wrong.key").write_text(new_key())
            site.more = more
            with pytest.raises(SettingsError) as refused:
                await site.start()
            assert f"credentials_key: the credentials of gateway '{THIRD}'" in str(refused.value)
            assert said in str(refused.value)
            assert right not in str(refused.value)
            await _half(site)
    finally:
        site.more = ['credentials_key = "file:node.key"']
        await site.start()
    assert gateway_of(await site.succeeded("k0")) == THIRD


async def _half(site: Site) -> None:
    """End what a start that failed has opened."""
    await site.node.gateways.close()
    await site.node.store.close()


async def test_without_a_key_none_are_taken(site: Site) -> None:
    await site.stop()
    site.more = []
    await site.start()
    why = await site.refused("add", THIRD, settings=site.third(), values=VALUES)
    assert "no credentials_key" in why
    status, found = await site.asked("rotate_key")
    assert status == 400 and "no credentials_key" in found["error"]["message"]
    await site.order("change", SECOND, settings={"priority": 8})


async def test_the_key_is_rotated_without_a_restart(site: Site, sql: asyncpg.Connection) -> None:
    await added(site)
    await site.order("credentials", SECOND, values=VALUES, same_account=True)
    before = site.key.read_text()
    sealed = dict(await sql.fetch("SELECT name, credentials FROM gateway"))
    status, found = await site.asked("rotate_key")
    assert (status, found["wrapped"]) == (200, [])
    site.key.write_text(new_key())
    status, found = await site.asked("rotate_key")
    assert (status, sorted(found["wrapped"])) == (200, sorted([SECOND, THIRD]))
    assert {each["credentials"]["node_key"] for each in found["gateways"]} == {found["node_key"]}
    assert dict(await sql.fetch("SELECT name, credentials FROM gateway")) == sealed, "wrapped only"
    assert gateway_of(await site.succeeded("k0")) == THIRD
    await site.order("credentials", THIRD, values=VALUES, same_account=True)
    await site.stop()
    await site.start()  # with the new key alone
    assert gateway_of(await site.succeeded("k1")) == THIRD
    assert before not in repr(await sql.fetch(DUMP))


async def test_a_start_between_two_keys_needs_both(site: Site) -> None:
    """The key was replaced, and the process ended before it was told to rotate."""
    await added(site)
    (site.folder / "old.key").write_text(site.key.read_text())
    site.key.write_text(new_key())
    await site.stop()
    with pytest.raises(SettingsError, match="credentials_keys_earlier"):
        await site.start()
    await _half(site)
    site.more.append('credentials_keys_earlier = ["file:old.key"]')
    await site.start()
    assert gateway_of(await site.succeeded("k0")) == THIRD
    _, found = await site.asked("rotate_key")
    assert found["wrapped"] == [THIRD]
    site.more.pop()
    await site.stop()
    await site.start()
    assert gateway_of(await site.succeeded("k1")) == THIRD


async def test_one_row_that_cannot_be_opened_keeps_all_as_they_are(
    site: Site, sql: asyncpg.Connection
) -> None:
    await added(site)
    await site.order("credentials", SECOND, values=VALUES, same_account=True)
    await sql.execute("UPDATE gateway SET node_key = 'unknown' WHERE name = $1", SECOND)
    before = await sql.fetch("SELECT * FROM gateway ORDER BY name")
    site.key.write_text(new_key())
    status, found = await site.asked("rotate_key")
    assert status == 400 and SECOND in found["error"]["message"]
    assert await sql.fetch("SELECT * FROM gateway ORDER BY name") == before
    assert gateway_of(await site.succeeded("k0")) == THIRD


async def may_be_repeated(sql: asyncpg.Connection) -> bool:
    """Whether the one attempt that is open would be permitted once more; it is not."""
    transaction = sql.transaction()
    await transaction.start()
    try:
        identifier, replays = await sql.fetchrow(OPEN)
        permitted = statement("attempt_replay")
        return await sql.fetchrow(permitted, identifier, replays, 1e12, 1) is not None
    finally:
        await transaction.rollback()


async def test_nothing_is_repeated_under_other_credentials(
    site: Site, sql: asyncpg.Connection
) -> None:
    """Of some providers a repeat under other credentials is another charge. What can be asked
    about is; what cannot waits for a person."""
    await added(site)
    site.sandbox.call(
        "POST", "/faults", {"provider": SECOND, "operation": "charge", "kind": "charge_then_500"}
    )
    site.sandbox.call(
        "POST", "/faults", {"provider": SECOND, "operation": "query", "kind": "error_500_before"}
    )
    assert (await site.pay("k0"))["status"] == "processing"
    assert await may_be_repeated(sql), "it may be repeated now"
    await site.order("change", THIRD, settings={"priority": 2})
    site.key.write_text(new_key())
    await site.asked("rotate_key")
    assert await may_be_repeated(sql), "the credentials are the same"
    await site.order("credentials", THIRD, values=VALUES, same_account=True)
    assert not await may_be_repeated(sql)
    site.sandbox.call("DELETE", "/faults")
    assert gateway_of(await site.succeeded("k0")) == THIRD
    assert len(site.sandbox.taken(SECOND)) == 1


# --- cut off

KILLED = """
import asyncio, sys
from pathlib import Path
from bailiwick.node.config import load
from bailiwick.node.service import Node
from bailiwick.node.gateways.node_key import node_keys
from bailiwick.runtime import crash

async def main(settings, point, verb, name):
    loaded = load(Path(settings))
    node = Node(loaded)
    await node.start()
    live = node.live
    crash.arm(point)
    if verb == "disable":
        await live.state(name, live.row(name).version, "disable", "olga")
    elif verb == "change":
        await live.change(name, live.row(name).version, {"connections_max": 3}, [], "olga", False)
    elif verb == "rotate":
        read = node_keys("file:next.key", [], Path(settings).parent)
        await live.rotate(read.over(live.keys), "olga")
    raise SystemExit("it lived")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("verb", ["disable", "change", "rotate"])
@pytest.mark.parametrize("point", ["gateway.before", "gateway.committed"])
async def test_a_kill_leaves_all_of_an_order_or_nothing(
    site: Site, sql: asyncpg.Connection, verb: str, point: str
) -> None:
    await added(site)
    before = await sql.fetch("SELECT * FROM gateway")
    (site.folder / "next.key").write_text(new_key())
    await site.stop()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(site.settings()), point, verb, THIRD,
        env={**os.environ, "BAILIWICK_CRASH_POINTS": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == -SIGKILL, said.decode()
    if verb == "rotate" and point == "gateway.committed":
        site.more = ['credentials_key = "file:next.key"']
    await site.start()
    after = await site.show(THIRD)
    done = point == "gateway.committed"
    assert after["version"] == 1 + done and len(after["changes"]) == 1 + done
    if not done:
        assert await sql.fetch("SELECT * FROM gateway") == before
    assert (after["state"] == "disabled") == (verb == "disable" and done)
    assert (after["settings"]["connections_max"] == 3) == (verb == "change" and done)
    paid = await site.succeeded("k0")
    assert gateway_of(paid) == (SECOND if after["state"] == "disabled" else THIRD)
