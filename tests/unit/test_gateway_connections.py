"""Connections of a gateway as its settings secure them: client certificates, authorities of one's
own, a forward proxy; what cannot be is refused when the gateway is set up."""

import asyncio
import base64
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import uvloop

from bailiwick.channels.contract import Account, Exchange, Phase, Request
from bailiwick.channels.transports import open_transport
from bailiwick.channels.transports.secured import Secured
from bailiwick.node.config import load
from bailiwick.routing.gateways import Gateways
from bailiwick.runtime import tls
from bailiwick.runtime.settings import SettingsError
from bailiwick.wire.tunnel import Proxy
from bailiwick_lab.authority import Authority
from bailiwick_lab.servers.scripted import ScriptedServer
from tests.unit.iso8583_kit import MAC_KEY, OPTIONS
from tests.unit.transport_kit import HASTY_CONNECT, OK, PATIENT, answered, fresh
from tests.waiting import until

SECRETS = {"api_key": "plain:12345678", "callback_secret": "plain:12345678"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of a provider's authority, and of a stranger's."""
    folder: Path = tmp_path_factory.mktemp("provider")
    provider = Authority(folder)
    provider.issue("provider", ["localhost", "127.0.0.1"], "server")
    provider.issue("node", [], "client")
    Authority(folder / "other").issue("node", [], "client")
    return folder


def settings(folder: Path, place: Path, **gateway: Any) -> Path:
    """A node's settings with one gateway, whose certificates lie in ``pki`` beside them."""
    (folder / "secret").write_text("s" * 40)
    (folder / "world").mkdir(exist_ok=True)
    if not (folder / "pki").exists():
        (folder / "pki").symlink_to(place)
    told = {"name": "bank", "channel": "sandbox", "kind": "large_domestic_bank",
            "base_url": "https://localhost:1", "secrets": SECRETS, **gateway}  # fmt: skip
    file = folder / "node.toml"
    file.write_text(tomlkit.dumps({
        "name": "europe", "number": 1, "dsn": "postgresql://x", "world": "world",
        "internal_secret_file": "secret", "listen": "127.0.0.1:1", "gateways": [told],
    }))  # fmt: skip
    return file


MUTUAL = {
    "tls_ca": "file:pki/ca.crt",
    "tls_certificate": "file:pki/node.crt",
    "tls_key": "file:pki/node.key",
}


def secured(folder: Path, place: Path, **gateway: Any) -> Secured:
    return load(settings(folder, place, **gateway)).secured["bank"]


def demanding(place: Path) -> ssl.SSLContext:
    """A provider that talks to nobody without a certificate of its authority."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(place / "provider.crt", place / "provider.key")
    made.load_verify_locations(place / "ca.crt")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def order(port: int, host: str = "localhost") -> Request:
    return Request("POST", f"https://{host}:{port}/charges", {}, b"{}")


async def asked(by: Secured, port: int) -> Exchange:
    """One exchange with a provider there, over connections of its own."""
    transport = open_transport("http", limit=2, secrets=(), secured=by)
    try:
        return await transport.exchange(order(port), PATIENT, fresh())
    finally:
        await transport.close()


# Client certificates and authorities


async def test_the_provider_is_shown_who_asks(tmp_path: Path, place: Path) -> None:
    ours = secured(tmp_path, place, **MUTUAL)
    async with ScriptedServer(OK, tls=demanding(place)) as server:
        assert (await asked(ours, server.port)).phase is Phase.ANSWERED
        assert server.requests == 1
        nobody = await asked(secured(tmp_path, place, tls_ca=MUTUAL["tls_ca"]), server.port)
        assert nobody.reply is None
        unknown = await asked(Secured(), server.port)
        assert unknown == Exchange(Phase.UNSENT, None, "tls"), "the system does not know it"
        other = {**MUTUAL, "tls_certificate": "file:pki/other/node.crt",
                 "tls_key": "file:pki/other/node.key"}  # fmt: skip
        stranger = await asked(secured(tmp_path, place, **other), server.port)
        assert stranger.reply is None
        assert server.requests == 1


async def test_what_is_in_the_environment_does_as_well(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, file in (("A", "ca.crt"), ("B", "node.crt"), ("C", "node.key")):
        monkeypatch.setenv(name, (place / file).read_text())
    ours = secured(tmp_path, place, tls_ca="env:A", tls_certificate="env:B", tls_key="env:C")
    async with ScriptedServer(OK, tls=demanding(place)) as server:
        assert (await asked(ours, server.port)).phase is Phase.ANSWERED


async def test_a_gateway_opens_with_it(tmp_path: Path, place: Path) -> None:
    async with ScriptedServer(OK, tls=demanding(place)) as server:
        url = f"https://localhost:{server.port}"
        for told, opens in ((MUTUAL, True), ({"tls_ca": MUTUAL["tls_ca"]}, False)):
            loaded = load(settings(tmp_path, place, base_url=url, **told))
            gateways = Gateways(
                loaded.settings.gateways, loaded.accounts, "http://node", secured=loaded.secured
            )
            await gateways.connect()
            usage = gateways.all()[0].usage
            await gateways.close()
            assert (usage == "open") is opens, usage


async def test_what_a_gateway_prepares_is_asked_for_with_it_too(
    tmp_path: Path, place: Path
) -> None:
    told = b'{"access_token": "held_0123456789", "token_type": "bearer", "expires_in": 60}'
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
    async with ScriptedServer(head % len(told) + told, OK, tls=demanding(place)) as server:
        tokens = {"client_id": "plain:bank", "client_secret": "plain:12345678",
                  "callback_secret": "plain:12345678"}  # fmt: skip
        url = f"https://localhost:{server.port}"
        loaded = load(settings(
            tmp_path, place, channel="sandbox_oauth", base_url=url, secrets=tokens, **MUTUAL
        ))  # fmt: skip
        gateways = Gateways(
            loaded.settings.gateways, loaded.accounts, "http://node", secured=loaded.secured
        )
        await gateways.connect()
        assert gateways.all()[0].usage == "open"
        await gateways.close()
        assert server.heads[0].startswith(b"POST /oauth/token ")
        assert all(
            b"authorization: Bearer held_0123456789\r\n" in each for each in server.heads[1:]
        )


async def test_a_renewed_certificate_is_shown_without_a_restart(
    tmp_path: Path, place: Path
) -> None:
    for name in ("node.crt", "node.key"):
        (tmp_path / name).write_bytes((place / "other" / name).read_bytes())
    mine = {**MUTUAL, "tls_certificate": "file:node.crt", "tls_key": "file:node.key"}
    ours = secured(tmp_path, place, **mine)
    assert ours.tls is not None
    async with ScriptedServer(OK, tls=demanding(place)) as server:
        assert (await asked(ours, server.port)).reply is None
        (tmp_path / "node.crt").write_bytes((place / "node.crt").read_bytes())
        assert not ours.tls.check(force=True), "half of a pair: the old one stays"
        (tmp_path / "node.key").write_bytes((place / "node.key").read_bytes())
        assert ours.tls.check(force=True)
        assert (await asked(ours, server.port)).phase is Phase.ANSWERED


OLD = 4_000 * 86_400


@pytest.mark.parametrize(
    ("told", "later_s", "words"),
    [
        ({"tls_certificate": "file:pki/no.crt"}, 0, ["tls_certificate", "no.crt", "be read"]),
        ({"tls_certificate": "file:pki/node.key"}, 0, ["tls_certificate", "no PEM certificate"]),
        ({"tls_key": "file:pki/node.crt"}, 0, ["tls_key", "no PEM key; put the private key there"]),
        ({"tls_key": "file:pki/other/node.key"}, 0, ["tls_key", "not belong", "give the pair"]),
        ({"tls_key": "file:locked.key"}, 0, ["tls_key", "encrypted"]),
        ({"tls_key": ""}, 0, ["tls_key: is missing", "tls_certificate needs it"]),
        ({"tls_certificate": ""}, 0, ["tls_certificate: is missing", "tls_key needs it"]),
        ({"tls_ca": "file:pki/node.key"}, 0, ["tls_ca", "no PEM certificate"]),
        ({"tls_ca": "file:pki/no.crt"}, 0, ["tls_ca", "cannot be read"]),
        ({}, 400 * 86_400, ["tls_certificate", "expired", "renew"]),
        ({"tls_certificate": "", "tls_key": ""}, OLD, ["tls_ca", "expired", "renew"]),
        ({"tls_key": "env:NO_SUCH_VARIABLE"}, 0, ["tls_key", "NO_SUCH_VARIABLE", "set it"]),
        ({"tls_key": "pki/node.key"}, 0, ["tls_key", "env:NAME or file:PATH"]),
        ({"tls_key": "plain:x"}, 0, ["tls_key", "env:NAME or file:PATH"]),
        ({"base_url": "http://localhost:1"}, 0, ["tls_ca: is for https", "base_url"]),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(
    tmp_path: Path, place: Path, told: dict[str, Any], later_s: int, words: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key((place / "node.key").read_bytes(), None)
    locked = key.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"x")
    )
    (tmp_path / "locked.key").write_bytes(locked)
    now = tls.time.time()
    monkeypatch.setattr(tls.time, "time", lambda: now + later_s)
    with pytest.raises(SettingsError) as refused:
        load(settings(tmp_path, place, **{**MUTUAL, **told}))
    for word in ("gateways[0].", *words):
        assert word in str(refused.value)
    assert "PRIVATE" not in str(refused.value)


def test_a_bank_over_iso_8583_takes_them_too(tmp_path: Path, place: Path) -> None:
    bank = {"channel": "bank_packed", "base_url": "tls://bank.test:7000", "options": OPTIONS,
            "secrets": {"mac_key": f"plain:{MAC_KEY}"}}  # fmt: skip
    assert secured(tmp_path, place, **bank, **MUTUAL).tls is not None
    with pytest.raises(SettingsError, match=r"tls_ca: is for tls; begin base_url with it"):
        secured(tmp_path, place, **{**bank, "base_url": "tcp://bank.test:1"}, **MUTUAL)
    with pytest.raises(SettingsError, match=r"proxy: is for channels over https; remove it"):
        secured(tmp_path, place, **bank, proxy="http://proxy.test:1")


# A forward proxy


OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Way:
    """A forward proxy: passes on what is asked for with CONNECT, or does as it is told."""

    def __init__(self, says: bytes | None = OPENED) -> None:
        self.says = says
        self.heads: list[bytes] = []
        self.port = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Way"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            if self.says is None:
                await asyncio.Event().wait()
            assert self.says is not None
            writer.write(self.says)
            if self.says != OPENED:
                return
            host, _, port = self.heads[-1].split()[1].decode().rpartition(":")
            back, on = await asyncio.open_connection(host, int(port))
            await asyncio.gather(self._pass(reader, on), self._pass(back, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()


async def through(place: Path, folder: Path) -> None:
    """Kept connections, each through the proxy once; whom we speak with is proved behind it."""
    ours = secured(folder, place, **MUTUAL)
    async with ScriptedServer(OK, tls=demanding(place)) as server, Way().open() as way:
        by = Secured(ours.tls, Proxy("127.0.0.1", way.port, "me:sesame"))
        transport: Any = open_transport("http", limit=2, secrets=(), secured=by)
        for _ in range(3):
            await answered(transport, order(server.port))
        await transport.close()
        assert (server.requests, len(way.heads)) == (3, 1)
        shown = base64.b64encode(b"me:sesame").decode()
        where = f"localhost:{server.port}"
        assert way.heads == [
            f"CONNECT {where} HTTP/1.1\r\nhost: {where}\r\n"
            f"proxy-authorization: Basic {shown}\r\n\r\n".encode()
        ]
        assert all(b"sesame" not in head and b"Basic" not in head for head in server.heads)
        strange = Secured(None, by.proxy)
        done = await asked(strange, server.port)
        assert done == Exchange(Phase.UNSENT, None, "tls"), "the proxy vouches for nobody"


async def test_through_a_proxy(tmp_path: Path, place: Path) -> None:
    await through(place, tmp_path)


@pytest.mark.parametrize(
    ("says", "word"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "proxy_refused"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "proxy_refused"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "proxy_refused"),
        (b"SSH-2.0-x\r\n\r\n", "proxy_refused"),
        (b"", "proxy_refused"),
        (b"HTTP/1.1 200 OK\r\nx: ", "proxy_refused"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}", "proxy_refused"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 20_000, "proxy_refused"),
    ],
)  # fmt: skip
async def test_a_proxy_that_will_not(tmp_path: Path, place: Path, says: bytes, word: str) -> None:
    ours = secured(tmp_path, place, **MUTUAL)
    async with ScriptedServer(OK, tls=demanding(place)) as server, Way(says).open() as way:
        done = await asked(Secured(ours.tls, Proxy("127.0.0.1", way.port)), server.port)
        assert done == Exchange(Phase.UNSENT, None, word)
        assert b"proxy-authorization" not in way.heads[0]
        assert server.requests == 0


async def test_a_proxy_that_is_not_there_or_says_nothing(place: Path, tmp_path: Path) -> None:
    ours = secured(tmp_path, place, **MUTUAL)
    async with Way(None).open() as way:
        by = Secured(ours.tls, Proxy("127.0.0.1", way.port))
        transport = open_transport("http", limit=1, secrets=(), secured=by)
        done = await transport.exchange(order(1), HASTY_CONNECT, fresh())
        assert done == Exchange(Phase.UNSENT, None, "connect_timeout")
        again = asyncio.ensure_future(transport.exchange(order(1), PATIENT, fresh()))
        await until(lambda: len(way.heads) == 2)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)
        way.says = b"HTTP/1.1 503 No\r\n\r\n"
        done = await transport.exchange(order(1), PATIENT, fresh())
        assert done.error == "proxy_refused", "its place in the pool is free again"
        await transport.close()
    assert await asked(by, 1) == Exchange(Phase.UNSENT, None, "proxy")
    nowhere = Secured(ours.tls, Proxy("no-such-host.invalid", 1))
    assert await asked(nowhere, 1) == Exchange(Phase.UNSENT, None, "proxy")


@pytest.mark.parametrize("case", [through, test_a_proxy_that_is_not_there_or_says_nothing])
async def test_uvloop_behaves_alike(
    place: Path, tmp_path: Path, case: Callable[[Path, Path], Any]
) -> None:
    """The node runs on uvloop, whose transports and TLS are not asyncio's."""
    await asyncio.to_thread(uvloop.run, case(place, tmp_path))


def test_a_proxy_s_settings(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOWN", "me:sesame")
    told = {"proxy": "http://proxy.test:3128", "proxy_credentials": "env:SHOWN"}
    found = secured(tmp_path, place, **told)
    assert found.proxy == Proxy("proxy.test", 3128, "me:sesame")
    assert "sesame" not in f"{found!r}"
    monkeypatch.setenv("BAD", "sesame")
    for wrong, words in (
        ({**told, "proxy": "https://proxy.test"}, "must begin with http://"),
        ({**told, "proxy": "http://me:sesame@proxy.test"}, "write http://HOST:PORT"),
        ({**told, "proxy": "proxy.test:1"}, "write http://HOST:PORT"),
        ({**told, "proxy": ""}, "proxy: is missing; proxy_credentials are for it"),
        ({**told, "proxy_credentials": "env:BAD"}, "must be USER:PASSWORD"),
        ({**told, "proxy_credentials": "sesame"}, "env:NAME or file:PATH"),
        ({**told, "base_url": "http://localhost:1"}, "proxy: is for https"),
    ):
        with pytest.raises(SettingsError) as refused:
            secured(tmp_path, place, **wrong)
        assert words in str(refused.value) and "sesame" not in str(refused.value)


def test_an_account_says_nothing_of_it(tmp_path: Path, place: Path) -> None:
    loaded = load(settings(tmp_path, place, **MUTUAL))
    assert isinstance(loaded.accounts["bank"], Account)
    assert loaded.secured["bank"].proxy is None
    assert os.fspath(place) not in repr(loaded.accounts)
