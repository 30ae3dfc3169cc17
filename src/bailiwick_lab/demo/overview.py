"""The demo's overview: a process with a database server of its own, only when asked for."""

from __future__ import annotations

import secrets
from pathlib import Path

from bailiwick_lab.demo import world as demo_world
from bailiwick_lab.servers.ports import free_port
from bailiwick_lab.servers.supervisor import Database, Program, SupervisorError


class DemoOverview:
    """What the demo starts and tells of its overview."""

    def __init__(self, data: Path, ports: demo_world.Ports) -> None:
        ports.overview = ports.overview or free_port(ports.all())
        ports.overview_postgres = ports.overview_postgres or free_port(ports.all())
        demo_world.write_ports(data, ports)
        self._token_file = data / "secrets" / "operator"
        demo_world.write(self._token_file, secrets.token_hex(32) + "\n", keep=True)
        self._url = demo_world.local_url(ports.overview)
        self._listen = f"127.0.0.1:{ports.overview}"
        self.database = Database(
            "postgres overview", data / "overview" / "postgres", port=ports.overview_postgres
        )
        self._program: Program | None = None

    def program(self, command: list[str], environ: dict[str, str]) -> Program:
        """The process, once its database runs. Raises SupervisorError."""
        server = self.database.server
        if server is None:
            raise SupervisorError("the database of the overview does not run")
        self._program = Program(
            "overview",
            [*command, "--listen", self._listen, "--operator-token-file", str(self._token_file)],
            ready=self._url + "/readyz",
            environ={**environ, "BAILIWICK_DSN": server.dsn},
        )
        return self._program

    def state(self) -> dict[str, object]:
        """What `demo.json` says of it."""
        server = self.database.server
        return {
            "url": self._url,
            "token": self._token_file.read_text(encoding="ascii").strip(),
            "pid": self._program.pid if self._program else None,
            "dsn": server.dsn if server else None,
            "postgres_pid": self.database.pid,
        }
