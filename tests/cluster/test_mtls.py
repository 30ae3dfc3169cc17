"""A node behind mutual TLS, access with TLS on both sides, callbacks on a listener of their own.

The real processes as `deploy/` starts them: settings in files, certificates made by the command.
"""

import asyncio
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from chaos_kit import bailiwick
from cryptography import x509

from bailiwick.topology.merchants import key_hash
from bailiwick_lab.servers import engines
from bailiwick_lab.servers.engines import PostgresServer
from bailiwick_lab.servers.ports import free_port
from tests.waiting import PATIENCE_S

KEY = "sk_test_" + "a" * 32
NAMES = ("node", "callbacks", "access", "status", "sandbox")


def until(true: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Wait for something to become true; its value."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = true()
        except OSError:
            found = None
        if found:
            return found
        assert time.monotonic() < end, f"not in {seconds} s: {what}"
        time.sleep(0.05)


class Site:
    """The processes, and what a client, a provider and an intruder can do."""

    def __init__(self, place: Path, dsn: str) -> None:
        self.place = place
        self.pki = place / "pki"
        self.ports: dict[str, int] = {}
        for name in NAMES:
            self.ports[name] = free_port(self.ports.values())
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        bailiwick(
            "certificates", str(self.pki), "--server", "node=localhost,127.0.0.1",
            "--server", "site=localhost", "--client", "access",
        )  # fmt: skip
        self._write(dsn)

    def _write(self, dsn: str) -> None:
        api, callback = secrets.token_hex(16), secrets.token_hex(24)
        files = {
            "internal": secrets.token_hex(32),
            "world/topology.toml": f"""
                epoch = 1
                [[nodes]]
                number = 1
                name = "europe"
                url = "https://localhost:{self.ports["node"]}"
                title = "Europe"
                [[rules]]
                places = ["default"]
                nodes = ["europe"]
                residency = "free"
            """,
            "world/merchants.toml": f"""
                [[merchants]]
                id = "acct_demo"
                name = "Shop"
                [[merchants.keys]]
                sha256 = "{key_hash(KEY)}"
                kind = "secret"
                mode = "test"
            """,
            "sandbox.toml": f"""
                [server]
                journal = "books.jsonl"
                settle_ms = 50
                [[providers]]
                name = "bank"
                title = "Bank"
                kind = "large_domestic_bank"
                region = "europe"
                api_key = "{api}"
                callback_secret = "{callback}"
            """,
            "node.toml": f"""
                number = 1
                name = "europe"
                listen = "127.0.0.1:{self.ports["node"]}"
                dsn = "{dsn}"
                world = "world"
                internal_secret_file = "internal"
                tls_certificate = "pki/node.crt"
                tls_key = "pki/node.key"
                tls_client_ca = "pki/ca.crt"
                callback_listen = "127.0.0.1:{self.ports["callbacks"]}"
                resolve_every_ms = 60000
                [[gateways]]
                name = "bank"
                channel = "sandbox"
                kind = "large_domestic_bank"
                base_url = "http://127.0.0.1:{self.ports["sandbox"]}/bank"
                [gateways.secrets]
                api_key = "plain:{api}"
                callback_secret = "plain:{callback}"
            """,
            "access.toml": f"""
                world = "world"
                internal_secret_file = "internal"
                listen = "127.0.0.1:{self.ports["access"]}"
                status_listen = "127.0.0.1:{self.ports["status"]}"
                tls_certificate = "pki/site.crt"
                tls_key = "pki/site.key"
                node_ca = "pki/ca.crt"
                node_certificate = "pki/access.crt"
                node_key = "pki/access.key"
            """,
        }
        for name, text in files.items():
            file = self.place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def start(self, name: str, *command: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BAILIWICK_")}
        with (self.place / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", *command],
                cwd=self.place, env=environment, stdout=log, stderr=log,
            )  # fmt: skip

    def start_all(self) -> None:
        listen = f"127.0.0.1:{self.ports['sandbox']}"
        self.start(
            "sandbox", "bailiwick_sandbox", "--config", str(self.place / "sandbox.toml"),
            "--listen", listen,
        )  # fmt: skip
        self.start("node", "bailiwick", "node", "--config", str(self.place / "node.toml"))
        self.start("access", "bailiwick", "access", "--config", str(self.place / "access.toml"))
        base = f"http://127.0.0.1:{self.ports['callbacks']}"
        until(lambda: urllib.request.urlopen(f"{base}/readyz", timeout=60), "the node is ready")
        until(lambda: self.get("access", "/readyz", self.outside())[0] == 200, "access is ready")

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def outside(self) -> ssl.SSLContext:
        """A client that trusts the authority and has no certificate."""
        return ssl.create_default_context(cafile=str(self.pki / "ca.crt"))

    def inside(self) -> ssl.SSLContext:
        """The same with the certificate of access."""
        made = self.outside()
        made.load_cert_chain(self.pki / "access.crt", self.pki / "access.key")
        return made

    def get(self, name: str, path: str, context: ssl.SSLContext) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(
            "localhost", self.ports[name], timeout=60, context=context
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def pay(self, method: str = "pm_card_visa") -> Any:
        form = {
            "amount": "1999", "currency": "eur", "payment_method": method, "confirm": "true",
            "location[country]": "DE",
        }  # fmt: skip
        return self.call("POST", "/v1/payment_intents", urllib.parse.urlencode(form).encode())

    def call(self, method: str, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(
            f"https://localhost:{self.ports['access']}{path}",
            data=body, headers={"Authorization": f"Bearer {KEY}"}, method=method,
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60, context=self.outside()) as answer:
            return json.load(answer)

    def log(self, name: str) -> str:
        return (self.place / f"{name}.log").read_text()

    def serial(self, name: str) -> int:
        """Serial number of the certificate that a new connection is shown."""
        plain = socket.create_connection(("localhost", self.ports[name]), timeout=60)
        with self.inside().wrap_socket(plain, server_hostname="localhost") as sock:
            found = sock.getpeercert(binary_form=True)
        assert found is not None
        return x509.load_der_x509_certificate(found).serial_number


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    # Not pytest's folder: the database's user could not enter it when we are root.
    place = Path(tempfile.mkdtemp(prefix="bwtls-"))
    place.chmod(0o755)
    server = asyncio.run(PostgresServer.start(place / "postgres"))
    made = Site(place, server.tcp_dsn)
    try:
        try:
            made.start_all()
        except AssertionError as error:
            told = "\n".join(made.log(name)[-2_000:] for name in made.processes)
            raise AssertionError(f"{error}\n{told}") from None
        yield made
    finally:
        made.stop()
        asyncio.run(server.stop())
        engines.remove(place / "postgres")
        shutil.rmtree(place, ignore_errors=True)


def test_the_settings_are_checked_without_starting(site: Site) -> None:
    for command in ("node", "access"):
        shown = bailiwick(command, "--config", str(site.place / f"{command}.toml"), "--check")
        assert "fine" in shown


def test_a_payment_passes(site: Site) -> None:
    assert site.pay()["status"] == "succeeded"


def test_callbacks_come_by_their_own_door(site: Site) -> None:
    payment = site.pay("pm_sandbox_pending")
    assert payment["status"] == "processing"
    path = f"/v1/payment_intents/{payment['id']}"
    until(lambda: site.call("GET", path)["status"] == "succeeded", "the callback ended it")
    status, metrics = site.get("node", "/metrics", site.inside())
    assert status == 200
    assert b'bailiwick_node_callbacks_total{outcome="taken"} 1.0' in metrics


@pytest.mark.parametrize("path", ["/v1/payment_intents", "/usage", "/metrics", "/internal/crash"])
def test_nothing_else_is_behind_that_door(site: Site, path: str) -> None:
    base = f"http://127.0.0.1:{site.ports['callbacks']}"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{base}{path}", timeout=60)
    assert caught.value.code == 404


@pytest.mark.parametrize("path", ["/usage", "/healthz", "/v1/payment_intents"])
def test_without_a_certificate_the_node_says_nothing(site: Site, path: str) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        site.get("node", path, site.outside())
    until(lambda: "it showed no certificate" in site.log("node"), "the refusal is logged")
    _, metrics = site.get("node", "/metrics", site.inside())
    assert b'bailiwick_node_tls_refused{reason="no_certificate"}' in metrics
    assert "Traceback" not in site.log("node")


def test_access_shakes_hands_once(site: Site) -> None:
    """Kept connections: payments one after the other make no handshakes of their own. What access
    asks a node beside them may, now and then."""
    for _ in range(5):
        site.pay()
    pid = site.processes["node"].pid
    before = _established(pid, site.ports["node"])
    for _ in range(20):
        site.pay()
    assert len(_established(pid, site.ports["node"]) - before) < 5


def _established(pid: int, port: int) -> set[int]:
    """The remote ports of connections to a port of a process."""
    return {
        each.raddr.port
        for each in psutil.Process(pid).net_connections("tcp")
        if each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED
    }


@pytest.mark.parametrize("name", ["node", "access"])
def test_renewal_needs_no_restart(site: Site, name: str) -> None:
    certificate = {"node": "node", "access": "site"}[name]
    before = site.serial(name)
    bailiwick(
        "certificates", str(site.pki), "--server", f"{certificate}=localhost,127.0.0.1", "--renew"
    )
    site.processes[name].send_signal(signal.SIGHUP)
    until(lambda: site.serial(name) != before, "the new certificate is shown")
    assert site.pay()["status"] == "succeeded"


def test_a_node_that_refuses_access_is_named_in_readyz(site: Site) -> None:
    """Access with a stranger's certificate: no payment, and an operator sees why."""
    other = site.place / "other"
    bailiwick("certificates", str(other), "--client", "access")
    port = free_port(site.ports.values())
    status_port = free_port([port, *site.ports.values()])
    site.start(
        "stranger", "bailiwick", "access", "--config", str(site.place / "access.toml"),
        "--listen", f"127.0.0.1:{port}", "--status-listen", f"127.0.0.1:{status_port}",
        "--node-certificate", str(other / "access.crt"), "--node-key", str(other / "access.key"),
    )  # fmt: skip
    site.ports["stranger"] = port
    status, body = until(lambda: site.get("stranger", "/readyz", site.outside()), "it listens")
    assert (status, json.loads(body)) == (503, {"status": "no node answers"})
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(f"http://127.0.0.1:{status_port}/readyz", timeout=10)
    assert told.value.code == 503
    assert "refused our certificate" in json.load(told.value)["nodes"]["europe"]
    until(lambda: "tls_refused" in site.log("node"), "the node tells it too")
