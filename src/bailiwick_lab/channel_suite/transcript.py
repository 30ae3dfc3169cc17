"""``transcript.json`` of a channel: the bytes on the wire of every case, redacted.

Each case is played over loopback through the real transport, with the account of the cases. What
is kept is what the transport's recorder hands out, and what the channel read.
"""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from bailiwick.channels.contract import Account, Request
from bailiwick.channels.transports.http import HttpTransport
from bailiwick_lab.channel_suite.cases import Answer
from bailiwick_lab.channel_suite.subject import Subject, require
from bailiwick_lab.servers.scripted import ScriptedServer

FILE = "transcript.json"


def record(it: Subject) -> Path:
    """Write the channel's transcript anew.

    Raises:
        Failed: a case cannot be played.
    """
    path = it.folder / FILE
    path.write_text(text(it), encoding="utf-8")
    return path


def text(it: Subject) -> str:
    """The transcript as it is to be."""
    played = asyncio.run(play(it))
    return json.dumps(played, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


async def play(it: Subject) -> list[dict[str, Any]]:
    """Every case, in order: the request as it arrived, the answer, and how it was read.

    Raises:
        Failed: a case cannot be played.
    """
    kept: list[dict[str, object]] = []
    answers = it.cases.answers
    parts = urlsplit(it.cases.account.base_url)
    origin = f"{parts.scheme}://{parts.netloc}"
    async with ScriptedServer(*(_wire(case) for case in answers)) as server:
        there = f"http://127.0.0.1:{server.port}"
        base_url = it.cases.account.base_url.replace(origin, there)
        account = replace(it.cases.account, base_url=base_url)
        transport = HttpTransport(recorder=kept.append, secrets=tuple(it.secrets()))
        try:
            for case in answers:
                done = await transport.exchange(_request(it, case, account), it.profile, None)
                require(done.reply is not None, f"{case.name}: no answer arrived: {done.error}")
        finally:
            await transport.close()
    text = json.dumps(kept).replace(there, origin)
    return [
        {"case": case.name, **told, "result": json.loads(msgspec.json.encode(case.says))}
        for case, told in zip(answers, json.loads(text), strict=True)
    ]


def _request(it: Subject, case: Answer, account: Account) -> Request:
    order = case.instruction
    if case.way is None:
        return it.channel.request(order, account)
    known = order.provider_ref or case.says.provider_ref or it.known_id(order.operation)
    asked = it.channel.query(replace(order, provider_ref=known), account, case.way)
    require(asked is not None, f"{case.name}: there is no query by {case.way}")
    assert asked is not None
    return asked


def _wire(case: Answer) -> bytes:
    """The case's answer as bytes of HTTP."""
    reply = case.reply
    lines = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
    head = f"HTTP/1.1 {reply.status} Word\r\n{lines}content-length: {len(reply.body)}\r\n\r\n"
    return head.encode() + reply.body
