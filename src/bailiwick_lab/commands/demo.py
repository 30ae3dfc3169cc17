"""`bailiwick demo`: nodes with their databases, access processes and a sandbox, supervised.

This file is the command line; what runs is in `demo_run`, the files in `demo_world`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

from bailiwick_lab.demo.lock import DemoLock, running_pid

_STOP_PATIENCE_S = 180.0


@click.command("demo")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-data"),
    show_default=True,
    metavar="DIR",
    help="Where everything is kept between starts.",
)
@click.option("--background", is_flag=True, help="Return once everything answers.")
@click.option("--stop", is_flag=True, help="Stop the demo that runs on this folder.")
@click.option("--remove", is_flag=True, help="Stop it and delete its folder.")
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="Port of the API.")
@click.option("--nodes", type=click.IntRange(1, 6), metavar="N", help="How many nodes (3).")
@click.option("--access", type=click.IntRange(1, 16), metavar="N", help="Access processes (2).")
@click.option("--overview", is_flag=True, help="Run the overview over all nodes too.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text for people.")
@click.option("--ready-fd", type=int, hidden=True)
def command(
    data: Path,
    background: bool,
    stop: bool,
    remove: bool,
    port: int | None,
    nodes: int | None,
    access: int | None,
    overview: bool,
    as_json: bool,
    ready_fd: int | None,
) -> None:
    """Run the whole system on this machine: nodes with their own PostgreSQL servers, access
    processes, and a sandbox of payment providers.

    Ctrl-C stops everything. Data, keys and ports are kept for the next start.
    """
    data = data.absolute()
    if remove:
        _remove(data, as_json)
    elif stop:
        _stop(data, as_json)
    elif background:
        _background(data, port, nodes, access, overview, as_json)
    else:
        _foreground(data, port, nodes, access, overview, as_json, ready_fd)


def _foreground(
    data: Path,
    port: int | None,
    nodes: int | None,
    access: int | None,
    overview: bool,
    as_json: bool,
    ready_fd: int | None,
) -> None:
    from bailiwick_lab.demo import run as demo_run

    try:
        demo_run.run(
            data,
            port=port,
            nodes=nodes,
            accesses=access,
            overview=overview,
            as_json=as_json,
            ready_fd=ready_fd,
        )
    except demo_run.DemoError as error:
        if ready_fd is not None:
            demo_run.tell(ready_fd, {"error": str(error)})
        _fail(str(error), as_json)


def _background(
    data: Path,
    port: int | None,
    nodes: int | None,
    access: int | None,
    overview: bool,
    as_json: bool,
) -> None:
    pid = running_pid(data)
    if pid is not None:
        _fail(DemoLock.refusal(data, pid), as_json)
    reader, writer = os.pipe()
    arguments = [sys.executable, "-P", "-m", "bailiwick", "demo", "--data", str(data)]
    for name, value in (("--port", port), ("--nodes", nodes), ("--access", access)):
        if value is not None:
            arguments += [name, str(value)]
    if overview:
        arguments.append("--overview")
    logs = data / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "supervisor.err").open("ab") as crash:
        child = subprocess.Popen(
            [*arguments, "--json", "--ready-fd", str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=crash,
            pass_fds=(writer,),
            start_new_session=True,
        )
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as stream:
            said = stream.read()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGTERM)
        child.wait()
        raise
    answer: dict[str, Any] = msgspec.json.decode(said) if said.strip() else {}
    if "base_url" not in answer:
        child.wait()
        _fail(answer.get("error") or f"the demo ended; see {logs}/supervisor.err", as_json)
    if as_json:
        click.echo(msgspec.json.encode(answer).decode())
    else:
        from bailiwick_lab.demo.text import summary

        click.echo(summary(answer, data, background=True))


def _stop(data: Path, as_json: bool) -> None:
    was_running = _stopped(data, as_json)
    if as_json:
        click.echo(msgspec.json.encode({"stopped": was_running}).decode())
    else:
        click.echo("The demo is stopped." if was_running else f"No demo runs on {data}.")


def _stopped(data: Path, as_json: bool) -> bool:
    """Stop what runs on the folder; true when something did."""
    pid = running_pid(data)
    if pid is None:
        return False
    deadline = time.monotonic() + _STOP_PATIENCE_S
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError:
        _fail(f"process {pid}, which runs the demo, belongs to another user", as_json)
    while running_pid(data) is not None:
        if time.monotonic() > deadline:
            _fail(f"the demo (process {pid}) did not stop in time; try again", as_json)
        time.sleep(0.05)
    return True


def _remove(data: Path, as_json: bool) -> None:
    from bailiwick_lab.servers import engines

    _stopped(data, as_json)
    known = (data / "ports.json").exists() or not data.exists() or not any(data.iterdir())
    if not known:
        _fail(f"{data} does not look like a demo's folder; it is left alone", as_json)
    existed = data.exists()
    try:
        for folder in (*data.glob("nodes/*/postgres"), *data.glob("overview/postgres")):
            engines.remove(folder)
    except engines.EngineError as error:
        _fail(str(error), as_json)
    shutil.rmtree(data, ignore_errors=True)
    if as_json:
        click.echo(msgspec.json.encode({"removed": existed}).decode())
    elif existed:
        click.echo(f"{data} is removed.")


def _fail(message: str, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(msgspec.json.encode({"error": message}).decode())
        sys.exit(1)
    raise click.ClickException(message)
