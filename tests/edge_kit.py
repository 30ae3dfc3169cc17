"""Raw HTTP/1.1 against our listeners: bytes out, parsed answers back."""

import asyncio
import json
from typing import Any, NamedTuple

HOST = b"host: x\r\n"
UPGRADE = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Raw:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, port: int) -> "Raw":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> Answer:
        """The next answer that is no interim one; all of ours have a length."""
        while True:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
            top, *lines = head.decode("latin-1").strip().split("\r\n")
            status = int(top.split()[1])
            if status >= 200:
                break
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(status, headers, body)

    async def closed(self) -> bytes:
        """What still comes before the other side ends the connection."""
        self.writer.write_eof()
        try:
            return await asyncio.wait_for(self.reader.read(), 10)
        except ConnectionError:
            return b""

    def close(self) -> None:
        self.writer.close()


async def ask(port: int, data: bytes) -> Answer:
    """One request on a connection of its own."""
    raw = await Raw.to(port)
    try:
        raw.write(data)
        return await raw.answer()
    finally:
        raw.close()


async def refused(port: int, data: bytes) -> Answer:
    """One request that must be the last on its connection, and its only answer."""
    raw = await Raw.to(port)
    try:
        raw.write(data)
        answer = await raw.answer()
        assert answer.headers["connection"] == "close"
        assert await raw.closed() == b""
    finally:
        raw.close()
    return answer


def chunked(*parts: bytes) -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


# What two servers might read in two ways, as what stands after the request line. Each is refused
# by its status, and nothing behind it is read as a request.
AMBIGUOUS: dict[str, tuple[bytes, int]] = {
    "length and chunks": (
        b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(b"abc"), 400,
    ),
    "chunks and length": (
        b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n" + chunked(b"abc"), 400,
    ),
    "two lengths": (b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd", 400),
    "one length twice": (b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc", 400),
    "length in a list": (b"content-length: 3, 3\r\n\r\nabc", 400),
    "length with plus": (b"content-length: +3\r\n\r\nabc", 400),
    "length with minus": (b"content-length: -3\r\n\r\nabc", 400),
    "length in hex": (b"content-length: 0x3\r\n\r\nabc", 400),
    "length with underscore": (b"content-length: 1_0\r\n\r\nabcdefghij", 400),
    "length with a space": (b"content-length: 1 0\r\n\r\nabcdefghij", 400),
    "length empty": (b"content-length:\r\n\r\n", 400),
    "length of many noughts": (b"content-length: " + b"0" * 5000 + b"3\r\n\r\nabc", 400),
    "length of many nines": (b"content-length: " + b"9" * 40 + b"\r\n\r\nabc", 400),
    "gzip, chunked": (b"transfer-encoding: gzip, chunked\r\n\r\n" + chunked(b"abc"), 400),
    "gzip then chunked": (
        b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(b"abc"), 400,
    ),
    "chunked, identity": (b"transfer-encoding: chunked, identity\r\n\r\n" + chunked(b"abc"), 400),
    "chunked twice": (
        b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(b"abc"), 400,
    ),
    "identity": (b"transfer-encoding: identity\r\n\r\nabc", 400),
    "chunked in quotes": (b'transfer-encoding: "chunked"\r\n\r\n' + chunked(b"abc"), 400),
    "chunked, space behind": (b"transfer-encoding: chunked \r\n\r\n" + chunked(b"abc"), 400),
    "chunked after VT": (b"transfer-encoding: \x0bchunked\r\n\r\n" + chunked(b"abc"), 400),
    "folded": (b"x-a: b\r\n c\r\ncontent-length: 0\r\n\r\n", 400),
    "bare LF": (b"x-a: b\nx-c: d\r\ncontent-length: 0\r\n\r\n", 400),
    "bare CR": (b"x-a: b\rx-c: d\r\ncontent-length: 0\r\n\r\n", 400),
    "NUL": (b"x-a: b\0c\r\ncontent-length: 0\r\n\r\n", 400),
    "NUL in a name": (b"x\0a: b\r\ncontent-length: 0\r\n\r\n", 400),
    "space before the colon": (b"content-length : 3\r\n\r\nabc", 400),
    "no colon": (b"content-length\r\n\r\n", 400),
    "no name": (b": 3\r\n\r\n", 400),
    "chunk ends in LF": (b"transfer-encoding: chunked\r\n\r\n3\nabc\n0\n\n", 400),
    "chunk size with a space": (b"transfer-encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", 400),
    "chunk size 0x": (b"transfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size minus": (b"transfer-encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size too large": (b"transfer-encoding: chunked\r\n\r\n" + b"f" * 20 + b"\r\nabc", 400),
    "chunk longer than said": (b"transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 400),
    "trailer with a length": (
        b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\ncontent-length: 9\r\n\r\n", 400,
    ),
    "two hosts": (b"host: y\r\ncontent-length: 0\r\n\r\n", 400),
    "gzip": (b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc", 415),
    "gzip in white space": (b"content-encoding:\t gzip \t\r\ncontent-length: 3\r\n\r\nabc", 415),
    "br, then identity": (
        b"content-encoding: br\r\ncontent-encoding: identity\r\ncontent-length: 0\r\n\r\n", 415,
    ),
}  # fmt: skip

# Request lines of another version or none.
VERSIONS: dict[str, tuple[bytes, int]] = {
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/2.0": (b"GET /healthz HTTP/2.0\r\nhost: x\r\n\r\n", 505),
    "HTTP/2.0 kept": (b"GET /healthz HTTP/2.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /healthz HTTP/0.9\r\nhost: x\r\n\r\n", 505),
    "no version": (b"GET /healthz\r\n\r\n", 505),
    "HTTP/3.7": (b"GET /healthz HTTP/3.7\r\nhost: x\r\n\r\n", 505),
    "HTTP/1.2": (b"GET /healthz HTTP/1.2\r\nhost: x\r\n\r\n", 505),
    "HTTP/1.10": (b"GET /healthz HTTP/1.10\r\nhost: x\r\n\r\n", 400),
    "HTTP/1.0 in chunks": (
        b"POST /healthz HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(b"abc"), 400,
    ),
    "CONNECT": (b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", 400),
    "CONNECT with a body": (
        b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\ncontent-length: 3\r\n\r\nabc", 400,
    ),
}  # fmt: skip

# Other spellings of /healthz and of what lies beside it: none of them names anything.
TARGETS = (
    b"//healthz",
    b"/healthz/",
    b"/healthz//",
    b"/./healthz",
    b"/x/../healthz",
    b"/%2e/healthz",
    b"/x/%2E%2e/healthz",
    b"/x/.%2e/healthz",
    b"%2fhealthz",
    b"/%2Fhealthz",
    b"/x%2f..%2fhealthz",
    b"/healthz#x",
    b"*",
    b"ftp://x/healthz",
    b"foo://x/healthz",
    b"http://x//healthz",
    b"http://x",
)
