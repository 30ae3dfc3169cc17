"""TLS of servers and of the hop: who gets in, what is said of who does not, and renewal."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from bailiwick.access.nodes.forward import HopError, HopLimits, NodeClient
from bailiwick.runtime import tls
from bailiwick.runtime.settings import SettingsError
from bailiwick.wire.server import HttpServer
from bailiwick_lab.authority import Authority, AuthorityError
from tests.waiting import PATIENCE_S, until

SERVER = ("tls_certificate", "tls_key", "tls_client_ca")
CLIENT = ("node_ca", "node_certificate", "node_key")
LIMITS = HopLimits(connect_seconds=PATIENCE_S, total_seconds=PATIENCE_S)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of one authority, and of a stranger."""
    folder: Path = tmp_path_factory.mktemp("tls")
    ours = Authority(folder)
    ours.issue("node", ["localhost", "127.0.0.1"], "server")
    ours.issue("elsewhere", ["elsewhere.example"], "server")
    ours.issue("access", [], "client")
    Authority(folder / "other").issue("access", [], "client")
    return folder


def server_side(place: Path, name: str = "node", *, mutual: bool = True) -> tls.Incoming:
    made = tls.incoming(
        str(place / f"{name}.crt"),
        str(place / f"{name}.key"),
        str(place / "ca.crt") if mutual else "",
        fields=SERVER,
    )
    assert made is not None
    return made


def client_side(place: Path, name: str | None = "access", ca: str = "ca.crt") -> tls.Outgoing:
    certificate, key = (f"{place / name}.{end}" if name else "" for end in ("crt", "key"))
    made = tls.outgoing(str(place / ca), certificate, key, fields=CLIENT)
    assert made is not None
    return made


class Site:
    """A server that counts what reaches it, and clients of it."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.served = 0
        self.clients: list[NodeClient] = []

    def client(self, trust: tls.Outgoing, host: str = "localhost") -> NodeClient:
        made = NodeClient(f"https://{host}:{self.server.port}", LIMITS, tls=trust)
        self.clients.append(made)
        return made

    async def ask(self, client: NodeClient) -> int:
        return (await client.request("POST", b"/x", body=b"x")).status

    async def refused(self, client: NodeClient) -> HopError:
        with pytest.raises(HopError) as caught:
            await self.ask(client)
        return caught.value


@asynccontextmanager
async def listening(incoming: tls.Incoming) -> AsyncIterator[Site]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        site.served += 1
        await receive()
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length", b"2")]})  # fmt: skip
        await send({"type": "http.response.body", "body": scope["scheme"].encode()[:2]})

    server = HttpServer(app, tls=incoming, grace_s=PATIENCE_S)
    site = Site(server)
    await server.start()
    try:
        yield site
    finally:
        for client in site.clients:
            client.close()
        await asyncio.sleep(0)
        await server.stop()


# --- who gets in; each case on asyncio and on uvloop


async def known_clients_get_in_and_stay(place: Path) -> None:
    async with listening(server_side(place)) as site:
        client = site.client(client_side(place))
        for _ in range(5):
            assert await site.ask(client) == 200
        assert (client.open_connections, site.server.connections, site.served) == (1, 1, 5)


async def no_certificate_no_service(place: Path) -> None:
    before = tls.REFUSED["no_certificate"]
    async with listening(server_side(place)) as site:
        error = await site.refused(site.client(client_side(place, None)))
        assert "refused our certificate" in error.reason
        assert error.phase == "sent"  # TLS 1.3: it was written before the refusal was heard
        await until(lambda: tls.REFUSED["no_certificate"] == before + 1)
        assert site.served == 0


async def a_strangers_certificate_is_none(place: Path) -> None:
    before = tls.REFUSED["unknown_authority"]
    async with listening(server_side(place)) as site:
        trust = tls.outgoing(
            str(place / "ca.crt"),
            str(place / "other" / "access.crt"),
            str(place / "other" / "access.key"),
            fields=CLIENT,
        )
        assert trust is not None
        await site.refused(site.client(trust))
        await until(lambda: tls.REFUSED["unknown_authority"] == before + 1)
        assert site.served == 0


async def a_servers_certificate_opens_no_door(place: Path) -> None:
    before = tls.REFUSED["wrong_purpose"]
    async with listening(server_side(place)) as site:
        await site.refused(site.client(client_side(place, "elsewhere")))
        await until(lambda: tls.REFUSED["wrong_purpose"] == before + 1)
        assert site.served == 0


async def the_node_must_be_the_one_that_was_called(place: Path) -> None:
    before = tls.REFUSED["wrong_name"]
    async with listening(server_side(place, "elsewhere")) as site:
        error = await site.refused(site.client(client_side(place)))
        assert (error.phase, site.served) == ("unsent", 0)
        assert "hostname mismatch" in error.reason
        await until(lambda: tls.REFUSED["wrong_name"] == before + 1)


async def the_node_must_be_of_our_authority(place: Path) -> None:
    async with listening(server_side(place, mutual=False)) as site:
        error = await site.refused(site.client(client_side(place, None, "other/ca.crt")))
        assert (error.phase, site.served) == ("unsent", 0)


async def plain_http_gets_nothing(place: Path) -> None:
    before = tls.REFUSED["not_tls"]
    async with listening(server_side(place, mutual=False)) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert not (await reader.read()).startswith(b"HTTP")
        writer.close()
        await until(lambda: tls.REFUSED["not_tls"] == before + 1)
        assert site.served == 0


async def old_versions_are_refused(place: Path) -> None:
    async with listening(server_side(place, mutual=False)) as site:
        old = ssl.create_default_context(cafile=str(place / "ca.crt"))
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            old.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("localhost", site.server.port, ssl=old)


async def large_bodies_pass_whole(place: Path) -> None:
    async with listening(server_side(place)) as site:
        client = site.client(client_side(place))
        answer = await client.request("POST", b"/x", body=b"x" * 200_000)
        assert answer.body == b"ht"


async def renewed_files_are_taken_up(place: Path) -> None:
    folder = place / f"renewed-{type(asyncio.get_running_loop()).__module__}"
    ours = Authority(folder)
    ours.issue("node", ["localhost"], "server", days=5)
    ours.issue("access", [], "client")
    incoming, trust = server_side(folder), client_side(folder)
    async with listening(incoming) as site:
        first = site.client(trust)
        assert await site.ask(first) == 200
        ends = incoming.expires
        ours.issue("node", ["localhost"], "server", days=9, renew=True)
        assert incoming.check()
        assert not incoming.check()
        assert incoming.expires > ends
        assert await site.ask(first) == 200  # the connection that was open goes on
        assert site.server.connections == 1
        assert await site.ask(site.client(trust)) == 200
        # Another authority for clients from now on: the old certificate is none any more.
        (folder / "ca.crt").write_bytes((place / "other" / "ca.crt").read_bytes())
        assert incoming.check()
        later = tls.outgoing(str(folder / "ca.crt"), "", "", fields=CLIENT)
        assert later is not None
        await site.refused(site.client(client_side(place)))


CASES: list[Callable[[Path], Awaitable[None]]] = [
    known_clients_get_in_and_stay,
    no_certificate_no_service,
    a_strangers_certificate_is_none,
    a_servers_certificate_opens_no_door,
    the_node_must_be_the_one_that_was_called,
    the_node_must_be_of_our_authority,
    plain_http_gets_nothing,
    old_versions_are_refused,
    large_bodies_pass_whole,
    renewed_files_are_taken_up,
]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_tls(case: Callable[[Path], Any], loop: str, place: Path) -> None:
    (uvloop.run if loop == "uvloop" else asyncio.run)(case(place))


# --- files


def test_half_a_pair_changes_nothing(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    ours.issue("node", ["localhost"], "server")
    ours.issue("next", ["localhost"], "server")
    incoming = server_side(tmp_path)
    before = incoming.context.latest
    (tmp_path / "node.key").write_bytes((tmp_path / "next.key").read_bytes())
    assert not incoming.check()
    assert incoming.context.latest is before
    (tmp_path / "node.crt").write_bytes((tmp_path / "next.crt").read_bytes())
    assert incoming.check()
    assert incoming.context.latest is not before


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("node.crt", ""), ["tls_key", "missing", "tls_certificate needs it"]),
        (("", "node.key"), ["tls_certificate", "missing"]),
        (("no.crt", "node.key"), ["tls_certificate", "no.crt", "cannot be read"]),
        (("node.key", "node.key"), ["tls_certificate", "no PEM certificate"]),
        (("node.crt", "access.key"), ["does not belong"]),
        (("node.crt", "locked.key"), ["encrypted"]),
        (("old.crt", "node.key"), ["tls_certificate", "expired", "renew"]),
    ],
)
def test_unusable_files_are_named_with_the_remedy(
    place: Path, files: tuple[str, str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key((place / "node.key").read_bytes(), None)
    locked = key.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"x")
    )
    (place / "locked.key").write_bytes(locked)
    if files[0] == "old.crt":
        (place / "old.crt").write_bytes((place / "node.crt").read_bytes())
        now = tls.time.time()
        monkeypatch.setattr(tls.time, "time", lambda: now + 400 * 86_400)
    with pytest.raises(SettingsError) as caught:
        tls.incoming(*(str(place / name) if name else "" for name in files), fields=SERVER)
    for word in words:
        assert word in str(caught.value)


def test_nothing_set_is_no_tls() -> None:
    assert tls.incoming("", "", fields=SERVER) is None
    assert tls.outgoing("", "", "", fields=CLIENT) is None


def test_what_both_sides_insist_on(place: Path) -> None:
    server, client = server_side(place).context.latest, client_side(place).context.latest
    assert server.verify_mode is client.verify_mode is ssl.CERT_REQUIRED
    assert client.check_hostname
    for each in (server, client):
        assert each.minimum_version is ssl.TLSVersion.TLSv1_2
        for cipher in each.get_ciphers():
            assert cipher["name"].startswith(("TLS_", "ECDHE-")), cipher["name"]
            assert "CBC" not in cipher["name"]
    assert server.num_tickets == 0


def test_equal_refusals_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(tls.log, "warning", lambda event, **fields: lines.append(fields))
    monkeypatch.setattr(tls, "_said", {})
    error = ssl.SSLError(1, "x")
    for _ in range(5):
        tls.note(error, inbound=True, host=None)
    assert len(lines) == 1


# --- the private authority


def test_keys_are_private_and_nothing_is_overwritten(tmp_path: Path) -> None:
    ours = Authority(tmp_path / "new")
    certificate, key = ours.issue("node", ["localhost"], "server")
    assert key.stat().st_mode & 0o077 == 0
    assert (tmp_path / "new" / "ca.key").stat().st_mode & 0o077 == 0
    before = certificate.read_bytes()
    with pytest.raises(AuthorityError, match="--renew"):
        ours.issue("node", ["localhost"], "server")
    assert certificate.read_bytes() == before
    again = Authority(tmp_path / "new")
    assert not again.made
    again.issue("node", ["localhost"], "server", renew=True)
    assert certificate.read_bytes() != before


@pytest.mark.parametrize(
    ("name", "hosts", "days", "words"),
    [
        ("ca", ["x"], 1, "a name has"),
        ("../x", ["x"], 1, "a name has"),
        ("node", [], 1, "needs a DNS name"),
        ("node", ["x y"], 1, "neither a DNS name"),
        ("node", ["x" * 300], 1, "neither a DNS name"),
        ("node", ["x"] * 101, 1, "at most 100"),
        ("node", ["x"], 0, "1 to 3650"),
        ("node", ["x"], 40, "outlive"),
    ],
)
def test_what_is_not_made(
    tmp_path: Path, name: str, hosts: list[str], days: int, words: str
) -> None:
    ours = Authority(tmp_path, days=30)
    with pytest.raises(AuthorityError, match=words):
        ours.issue(name, hosts, "server", days=days)
    assert sorted(os.listdir(tmp_path)) == ["ca.crt", "ca.key"]
