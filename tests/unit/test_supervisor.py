"""The supervisor: order, restarts, and that no child outlives it."""

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from bailiwick_lab.servers.joblog import JobLog
from bailiwick_lab.servers.ports import free_port
from bailiwick_lab.servers.supervisor import Program, Supervisor, SupervisorError
from tests.waiting import PATIENCE_S, until, wait_until

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
print("hello from", sys.argv[1], flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def server(name: str, port: int) -> Program:
    command = [sys.executable, "-I", "-S", "-c", SERVER, str(port)]
    return Program(name, command, ready=f"http://127.0.0.1:{port}/")


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[tuple[Supervisor, JobLog, io.StringIO]]:
    out = io.StringIO()
    log = JobLog(tmp_path / "logs", stream=out)
    supervisor = Supervisor(log, on_change=lambda: None)
    yield supervisor, log, out
    await supervisor.stop(at_once=True)
    await asyncio.sleep(0)
    log.close()


async def test_restarts_what_dies_and_stops_everything(
    stage: tuple[Supervisor, JobLog, io.StringIO], tmp_path: Path
) -> None:
    supervisor, _log, out = stage
    child = server("one", free_port())
    supervisor.add(child, stage=0)
    await supervisor.start_stage(0)
    await supervisor.until_ready(timeout=PATIENCE_S)
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    async def again() -> bool:
        return child.pid not in (first, None) and await child.ready()

    await until(again)
    second = child.pid
    assert second is not None
    await supervisor.stop()
    assert gone(second)
    assert "one ended with SIGKILL; starting it again" in out.getvalue()
    assert "hello from" in (tmp_path / "logs" / "one.log").read_text()


async def test_a_child_that_cannot_live_fails_the_start_with_its_words(
    stage: tuple[Supervisor, JobLog, io.StringIO],
) -> None:
    supervisor, *_ = stage
    command = [sys.executable, "-I", "-S", "-c", "raise SystemExit('no such world')"]
    supervisor.add(Program("node x", command, ready="http://127.0.0.1:1/"), stage=0)
    await supervisor.start_stage(0)
    with pytest.raises(SupervisorError, match=r"node x keeps ending[\s\S]*no such world"):
        await supervisor.until_ready(timeout=PATIENCE_S)


async def test_a_missing_program_is_named(
    stage: tuple[Supervisor, JobLog, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor, *_ = stage
    monkeypatch.setattr("bailiwick_lab.servers.supervisor.life_tie", lambda _number: [])
    supervisor.add(Program("x", ["/no/such/program"], ready="http://127.0.0.1:1/"), stage=0)
    with pytest.raises(SupervisorError, match="/no/such/program cannot be started"):
        await supervisor.start_stage(0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the tie is the Linux kernel's")
@pytest.mark.parametrize("with_setpriv", [True, False])
def test_children_die_with_a_killed_supervisor(tmp_path: Path, with_setpriv: bool) -> None:
    script = textwrap.dedent(
        f"""
        import asyncio, shutil, sys
        from pathlib import Path
        from bailiwick_lab.servers.joblog import JobLog
        from bailiwick_lab.servers.supervisor import Program, Supervisor
        if not {with_setpriv}:
            shutil.which = lambda *_: None
        async def main():
            supervisor = Supervisor(JobLog(Path(sys.argv[1])), on_change=lambda: None)
            child = Program("x", ["/bin/sleep", "3600"], ready="http://127.0.0.1:1/")
            supervisor.add(child, stage=0)
            await supervisor.start_stage(0)
            while b"sleep" not in Path(f"/proc/{{child.pid}}/cmdline").read_bytes()[:12]:
                await asyncio.sleep(0.01)
            print("pid", child.pid, flush=True)
            await asyncio.sleep(3600)
        asyncio.run(main())
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = 0
        for line in parent.stdout:
            if line.startswith("pid"):
                pid = int(line.split()[1])
                break
        parent.kill()
    assert pid > 0, "it says which process is the child"
    try:
        wait_until(lambda: gone(pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
