"""A site on hosts of its own, its packets captured, and the search for canaries outside a region.

The strict place is India, the demo's: its home is ``apac``, and no other node may have it. What
its payers and merchants write may be at that node with its database, at the access process of
that region, at the client and at the provider. It is looked for everywhere else.
"""

import asyncio
import contextlib
import http.client
import http.server
import json
import shutil
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from bailiwick_lab.drill.hosts import folders
from bailiwick_lab.drill.hosts.cluster import (
    ACCESSES,
    BROKERS,
    CLIENT,
    PROVIDERS,
    Cluster,
    host_names,
)
from bailiwick_lab.drill.hosts.namespaces import why_not
from bailiwick_lab.drill.hosts.network import Bridged, Loopback, Network
from bailiwick_lab.drill.hosts.units import Pair, Unit
from bailiwick_lab.servers.joblog import JobLog
from bailiwick_lab.servers.ports import free_port
from bailiwick_lab.servers.supervisor import Program
from tests.canaries import Canaries, Hit
from tests.capture import Capture, Stream
from tests.waiting import until

HOME, HERE, ELSEWHERE = "apac", ACCESSES[0], ACCESSES[1]
OVERVIEW, CONTROL = "overview", "control"
OTHERS = ("europe", "americas", ELSEWHERE, OVERVIEW, *BROKERS)
REGION = frozenset({HOME, HERE, PROVIDERS, CLIENT, CONTROL, ""})
"""Hosts between which the strict place's content may travel; "": an end that cannot be told."""
_TOKEN = "operators-of-the-residency-test"
_FILE_MAX = 1 << 30
_CLOCK_S = 2.0  # files' times come from a coarser clock


class Leak(NamedTuple):
    """A canary where it has no business to be."""

    where: str
    hit: Hit


class Answer(NamedTuple):
    """What the client was told."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> dict[str, Any]:
        """The body, decoded."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class _Cluster(Cluster):
    """One access process stands in the region and one elsewhere; nodes publish their events."""

    def _environ(self, host: str) -> dict[str, str]:
        regions = {HERE: HOME, ELSEWHERE: "europe"}
        more = (
            {"BAILIWICK_REGION": regions[host]} if host in regions else {"BAILIWICK_EVENTS": "true"}
        )
        return {**super()._environ(host), **more}


class Site:
    """The cluster, an overview, a merchant's server, and what all of them say and keep."""

    def __init__(self, folder: Path, network: Network, log: JobLog) -> None:
        self.folder = folder
        self.network = network
        self.log = log
        self.cluster = _Cluster(folder, network, log, replicate=False)
        self.capture: Capture | None = None
        self.why_blind = ""
        self.received: list[bytes] = []
        self.echoed: dict[str, bytes] = {}
        self._overview: Unit | None = None
        self._overview_base = Pair(
            network, OVERVIEW, (OVERVIEW, OVERVIEW), folder / "databases" / OVERVIEW, free_port()
        )
        self._merchant: http.server.ThreadingHTTPServer | None = None

    # --- life -----------------------------------------------------------------------------

    async def start(self) -> None:
        """Everything, the capture first."""
        self._listen()
        await self.cluster.start()
        await self._overview_base.start(replicate=False)
        await self._start_overview()
        self._start_merchant()

    def _listen(self) -> None:
        capture = Capture()
        try:
            if self.network.mode == "namespaces":
                for name in (*OTHERS, HOME):
                    for interface in ("eth0", "lo"):
                        capture.add(interface, within=lambda name=name: self.network.entered(name))
            else:
                network = self.network.host(HOME).address.rpartition(".")[0]
                capture.add("lo", network=f"{network}.0/24")
        except PermissionError:
            self.why_blind = "this user may not capture packets"
            capture.close()
            return
        capture.start()
        self.capture = capture

    async def _start_overview(self) -> None:
        token = self.folder / "secrets" / "operator"
        token.write_text(_TOKEN)
        listen = f"{self.network.host(OVERVIEW).address}:{free_port()}"
        program = Program(
            OVERVIEW,
            [sys.executable, "-P", "-m", "bailiwick", "overview", "--listen", listen,
             "--operator-token-file", str(token)],
            ready=f"http://{listen}/readyz",
            environ={
                "BAILIWICK_DSN": self._overview_base.dsn,
                "BAILIWICK_NATS": " ".join(self.cluster.nats),
            },
        )  # fmt: skip
        port = int(listen.rpartition(":")[2])
        self._overview = Unit(self.network, OVERVIEW, program, port=port, log=self.log)
        await self._overview.start()
        await self._overview.until_ready()

    def _start_merchant(self) -> None:
        received, answers = self.received, self.answers

        class Merchant(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = self.rfile.read(int(self.headers["Content-Length"]))
                received.append(told)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(answers(told))

            def log_message(self, *_: object) -> None: ...

        with self.network.entered(CLIENT):
            address = (self.network.host(CLIENT).address, 0)
            self._merchant = http.server.ThreadingHTTPServer(address, Merchant)
        threading.Thread(target=self._merchant.serve_forever, daemon=True).start()

    def answers(self, told: bytes) -> bytes:
        """What the merchant's server says to an event: words for those whose mark it has."""
        return b"".join(said for mark, said in self.echoed.items() if mark.encode() in told)

    @property
    def webhook_url(self) -> str:
        """Where the merchant listens."""
        assert self._merchant is not None
        return f"http://{self.network.host(CLIENT).address}:{self._merchant.server_port}/hook"

    async def stop(self) -> None:
        """All of it."""
        if self._overview is not None:
            await self._overview.stop()
        await self.cluster.stop()
        await self._overview_base.stop()
        if self._merchant is not None:
            self._merchant.shutdown()
            self._merchant.server_close()
        if self.capture is not None:
            self.capture.close()

    # --- what a client does ---------------------------------------------------------------

    async def ask(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        *,
        at: str = HERE,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A request of the merchant's, from the client's host."""
        assert self.cluster.merchant is not None
        given = {
            "Authorization": f"Bearer {self.cluster.merchant.secret}",
            "Content-Type": "application/x-www-form-urlencoded",
            **(headers or {}),
        }
        body = urllib.parse.urlencode(form or {})
        return await self.call(self.cluster.access[at].url + path, method, body, given)

    async def call(
        self,
        url: str,
        method: str = "GET",
        body: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any request from the client's host."""
        parts = urllib.parse.urlsplit(url)
        assert parts.hostname is not None
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))

        def ask() -> Answer:
            connection.request(method, target, body or None, dict(headers or {}))
            found = connection.getresponse()
            return Answer(found.status, found.read(), {k.lower(): v for k, v in found.getheaders()})

        try:
            with self.network.entered(CLIENT):
                connection.connect()
            # Not here: on loopback, what lies between access and nodes runs on our own loop.
            return await asyncio.to_thread(ask)
        finally:
            connection.close()

    # --- what is where --------------------------------------------------------------------

    def streams(self, allowed: frozenset[str] = REGION) -> list[tuple[str, list[bytes]]]:
        """What was carried between hosts that are not all among ``allowed``."""
        if self.capture is None:
            return []
        names = {
            self.network.host(name).address: name for name in (*host_names(), OVERVIEW, CONTROL)
        }
        found = []
        for stream, parts in self.capture.streams().items():
            ends = {names.get(stream.source, ""), names.get(stream.target, "")}
            if not ends <= allowed:
                found.append((_shown(stream, names), parts))
        return found

    def on_the_wire(self, canaries: Canaries, allowed: frozenset[str] = REGION) -> list[Leak]:
        """Canaries in packets."""
        return [
            Leak(f"packets {name}", hit)
            for name, parts in self.streams(allowed)
            for part in parts
            for hit in canaries.find(part)
        ]

    def on_disk(self, canaries: Canaries, *, home: str | None = HOME) -> list[Leak]:
        """Canaries in files: of brokers, databases, hosts, and all logs. Not in the home's own
        database and the provider's books."""
        may = {self.folder / "sandbox"}
        if home is not None:
            may.add(self.folder / "databases" / home)
        found = []
        for file in sorted(self.folder.rglob("*")):
            if may & {file, *file.parents} or not file.is_file() or file.is_symlink():
                continue
            with contextlib.suppress(FileNotFoundError):
                told = file.stat()
                if told.st_mtime < canaries.made - _CLOCK_S:
                    continue  # nobody has written to it since there are such words
                assert told.st_size < _FILE_MAX, f"{file} is too large to be searched"
                name = f"file {file.relative_to(self.folder)}"
                found += [Leak(name, hit) for hit in canaries.find(file.read_bytes())]
        return found

    async def in_tables(self, canaries: Canaries, database: str) -> list[Leak]:
        """Canaries in any column of any table of a database."""
        dsn = self._overview_base.dsn if database == OVERVIEW else self.dsn(database)
        connection = await asyncpg.connect(dsn)
        try:
            tables = await connection.fetch(
                "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema"
                " NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'"
            )
            assert len(tables) >= 3
            found = []
            for schema, table in tables:
                rows = await connection.fetch(f'SELECT t::text FROM "{schema}"."{table}" t')
                text = "\n".join(row[0] for row in rows).encode()
                name = f"table {table} of {database}"
                found += [Leak(name, hit) for hit in canaries.find(text)]
            return found
        finally:
            await connection.close()

    def dsn(self, node: str) -> str:
        """A node's database."""
        return self.cluster.databases[node].dsn

    def in_metrics(self, canaries: Canaries) -> list[Leak]:
        """Canaries in what processes tell whoever watches them, the home's own included."""
        found = []
        for unit in (*self.cluster.access.values(), *self.cluster.nodes.values(), self._overview):
            assert unit is not None
            if unit.pid is None:
                continue
            with urllib.request.urlopen(f"{unit.status_url}/metrics", timeout=60) as answer:
                text = answer.read()
            assert b"bailiwick_" in text
            found += [Leak(f"metrics of {unit.name}", hit) for hit in canaries.find(text)]
        return found

    async def everywhere(
        self,
        canaries: Canaries,
        *,
        allowed: frozenset[str] = REGION,
        home: str | None = HOME,
    ) -> list[Leak]:
        """Every canary outside the region. ``home``: the one node that may have them."""
        databases = {*self.cluster.nodes, OVERVIEW} - {home}
        found = [each for name in databases for each in await self.in_tables(canaries, name)]
        found += self.in_metrics(canaries)
        found += self.on_disk(canaries, home=home)
        found += self.on_the_wire(canaries, allowed)
        if self.capture is not None:
            assert self.capture.lost == 0, "packets came too fast to be captured: nothing is proven"
        return found

    async def overview_has(self, payments: list[str]) -> None:
        """Wait until the overview knows these payments to their newest event."""
        assert self._overview is not None
        headers = {"Authorization": f"Bearer {_TOKEN}"}

        async def known() -> bool:
            for identifier in payments:
                url = f"{self._overview.url}/overview/payments?id={identifier}"
                request = urllib.request.Request(url, headers=headers)
                with urllib.request.urlopen(request, timeout=60) as told:
                    rows = json.load(told)["data"]
                answer = await self.ask("GET", f"/v1/payment_intents/{identifier}")
                state = answer.json["status"]
                if not rows or rows[0]["state"] != state or rows[0]["seen"] < rows[0]["highest"]:
                    return False
            return True

        await until(known)


def _shown(stream: Stream, names: Mapping[str, str]) -> str:
    source = names.get(stream.source, stream.source)
    target = names.get(stream.target, stream.target)
    return f"{source}:{stream.source_port} -> {target}:{stream.target_port}"


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Site]:
    """A site, taken down however the block ends."""
    folder = folders.make()
    names = [*host_names(), OVERVIEW]
    network: Network = Loopback(names) if why_not() else Bridged(names)
    with Path("/dev/null").open("w") as silent:
        log = JobLog(folder / "logs", stream=silent)
        site = Site(folder, network, log)
        try:
            await site.start()
            yield site
        finally:
            try:
                await site.stop()
            finally:
                await network.close()
                log.close()
                with contextlib.suppress(Exception):
                    folders.remove(folder)
                shutil.rmtree(folder, ignore_errors=True)
