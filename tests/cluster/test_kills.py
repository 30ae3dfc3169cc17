"""Processes killed under load, three times each: money stays exact and everything ends."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from chaos_kit import Chaos
from load_kit import Load, read_demo

from tests.waiting import until

IN_FLIGHT_MIN = 32
KILLS = 3
PAID_MIN = 100
"""Payments that end before a kill and after the last."""
LOST_MIN = 100
ENDED = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE usename = current_user AND pid <> pg_backend_pid()"""
VICTIMS: dict[str, Callable[[dict], int]] = {  # type: ignore[type-arg]
    "node": lambda demo: demo["nodes"][1]["pid"] or 0,
    "access": lambda demo: demo["access"][0]["pid"] or 0,
    "postgres": lambda demo: demo["nodes"][1]["postgres_pid"] or 0,
}


async def ended(load: Load, more: int) -> None:
    """Wait until so many more payments have come to their end."""
    there = len(load.history)
    await until(lambda: len(load.history) >= there + more)


async def kill_under_load(chaos: Chaos, victim: str) -> Load:
    """Kill the victim a few times while 64 clients pay; bring every payment to its end."""
    load = Load(chaos.demo, name=f"kill-{victim}")
    load.start()
    for _ in range(KILLS):
        await ended(load, PAID_MIN)
        pid = VICTIMS[victim](read_demo(chaos.data))
        await until(lambda: load.outstanding >= IN_FLIGHT_MIN)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: VICTIMS[victim](read_demo(chaos.data)) not in (pid, 0))  # noqa: B023
    await ended(load, PAID_MIN)
    await load.stop()
    return load


@pytest.mark.parametrize("victim", sorted(VICTIMS))
async def test_killed_under_load(chaos: Chaos, tmp_path: Path, victim: str) -> None:
    load = await kill_under_load(chaos, victim)
    history = load.write(tmp_path / "history.jsonl")
    verdict = await asyncio.to_thread(
        chaos.check, "--history", str(history), "--reviews-max-share", "0.01"
    )
    assert verdict["violations"] == 0
    paid = [each for each in load.history if each["status"] == "ok"]
    assert len(paid) >= 300
    assert len(paid) >= 0.99 * len(load.history), load.statuses


async def test_hang_and_500_end_succeeded(chaos: Chaos, tmp_path: Path) -> None:
    """The provider charges and then hangs, or answers 500: nothing of it ends in review."""
    for kind in ("charge_then_hang", "charge_then_500"):
        chaos.fault(provider="*", operation="charge", kind=kind, share=0.1)
    load = Load(chaos.demo, name="unknown")
    load.start()
    await ended(load, 1_000)
    chaos.heal()
    await load.stop()
    history = load.write(tmp_path / "history.jsonl")
    verdict = await asyncio.to_thread(
        chaos.check, "--history", str(history), "--reviews-max-share", "0"
    )
    assert verdict["violations"] == 0
    assert {each["status"] for each in load.history} == {"ok"}


async def test_connections_that_are_ended_are_no_defect(chaos: Chaos, tmp_path: Path) -> None:
    """All of a node's connections to its database, again and again, whatever they do just then."""
    log = chaos.data / "logs" / "node-europe.log"
    said = len(log.read_text())
    connection = await asyncpg.connect(chaos.node("europe")["dsn"])
    load = Load(chaos.demo, name="ended")
    load.start()
    lost = 0
    while lost < LOST_MIN:
        await ended(load, 20)
        lost += len(await connection.fetch(ENDED))
    await connection.close()
    await load.stop()
    history = load.write(tmp_path / "history.jsonl")
    verdict = await asyncio.to_thread(
        chaos.check, "--history", str(history), "--reviews-max-share", "0"
    )
    assert verdict["violations"] == 0
    assert {each["status"] for each in load.history} == {"ok"}
    assert "defect" not in log.read_text()[said:]
