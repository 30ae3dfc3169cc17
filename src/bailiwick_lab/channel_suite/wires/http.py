"""What the suite must know of HTTP: bodies are JSON."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from bailiwick.channels.contract import Account, Profile, Reply
from bailiwick.channels.transports.http import HttpTransport
from bailiwick_lab.channel_suite.wires import Step
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

    async def play(self, it: "Subject", steps: Sequence[Step]) -> list[dict[str, object]]:
        kept: list[dict[str, object]] = []
        async with ScriptedServer(*(_wire(step.reply) for step in steps)) as server:
            there = f"http://127.0.0.1:{server.port}"
            transport = HttpTransport(recorder=kept.append, secrets=tuple(it.secrets()))
            try:
                for step in steps:
                    # Its own addresses, whichever they are, stand for the server's here.
                    request = step.build(it.cases.account)
                    own = _origin(request.url)
                    here = replace(request, url=request.url.replace(own, there, 1))
                    done = await transport.exchange(here, it.profile, None)
                    it.require_answer(step.name, done)
                    kept[-1] = json.loads(json.dumps(kept[-1]).replace(there, own))
            finally:
                await transport.close()
        return kept


WIRE = Http()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


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
