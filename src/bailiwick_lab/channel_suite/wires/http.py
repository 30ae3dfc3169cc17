"""What the suite must know of HTTP: bodies are JSON."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from bailiwick.channels.contract import Account, Profile, Reply
from bailiwick.channels.transports.http import HttpTransport
from bailiwick_lab.channel_suite.wires import Build
from bailiwick_lab.servers.scripted import ScriptedServer

if TYPE_CHECKING:
    from bailiwick_lab.channel_suite.subject import Subject

VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    2**63,
    10**30,
    "",
    "x",
    "\x00",
    "\ud800",
    [],
    {},
    [{}],
    "succeeded",
)


class Http:
    """See ``Wire``."""

    status = None

    def packed(self, profile: Profile, account: Account, message: dict[str, Any]) -> bytes:
        return json.dumps(message, separators=(",", ":")).encode()

    def legible(self, profile: Profile, data: bytes) -> str:
        return data.decode(errors="replace")

    def parts(self, profile: Profile, account: Account, body: bytes) -> Iterator[bytes]:
        """A JSON answer with any one of its members or items replaced by each of the values."""
        try:
            data = json.loads(body)
        except ValueError:
            return
        for inside in list(_containers(data)):
            for place in list(inside) if isinstance(inside, dict) else range(len(inside)):
                before = inside[place]
                for value in VALUES:
                    inside[place] = value
                    yield json.dumps(data).encode("utf-8", "surrogatepass")
                inside[place] = before

    def refused(self, profile: Profile, account: Account) -> list[Reply]:
        return [Reply(status, {}, b"") for status in (401, 403)]

    async def play(self, it: "Subject", build: Build) -> list[dict[str, object]]:
        kept: list[dict[str, object]] = []
        answers = it.cases.answers
        parts = urlsplit(it.cases.account.base_url)
        origin = f"{parts.scheme}://{parts.netloc}"
        async with ScriptedServer(*(_wire(it.sent(case.reply)) for case in answers)) as server:
            there = f"http://127.0.0.1:{server.port}"
            base_url = it.cases.account.base_url.replace(origin, there)
            account = replace(it.cases.account, base_url=base_url)
            transport = HttpTransport(recorder=kept.append, secrets=tuple(it.secrets()))
            try:
                for case in answers:
                    done = await transport.exchange(build(it, case, account), it.profile, None)
                    it.require_answer(case.name, done)
            finally:
                await transport.close()
        told: list[dict[str, object]] = json.loads(json.dumps(kept).replace(there, origin))
        return told


WIRE = Http()


def _containers(data: Any) -> Iterator[Any]:
    if isinstance(data, (dict, list)):
        yield data
        for each in data.values() if isinstance(data, dict) else data:
            yield from _containers(each)


def _wire(reply: Reply) -> bytes:
    """An answer as bytes of HTTP."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
    head = f"HTTP/1.1 {reply.status} Word\r\n{lines}content-length: {len(reply.body)}\r\n\r\n"
    return head.encode() + reply.body
