"""``transcript.json`` of a channel: the bytes on the wire of every case, redacted.

Each case is played over loopback through the real transport, with the account of the cases. What
is kept is what the transport's recorder hands out, and what the channel read.
"""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from bailiwick.channels.blocks.redact import REMOVED
from bailiwick.channels.contract import Account, Prepared, Refused, Request, Result
from bailiwick_lab.channel_suite import wires
from bailiwick_lab.channel_suite.cases import Answer
from bailiwick_lab.channel_suite.subject import NOW_MS, Subject, require
from bailiwick_lab.channel_suite.wires import Step, http

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
    steps = [
        Step(case.name, it.sent(case), partial(_request, it, case)) for case in it.cases.answers
    ]
    told = await wires.of(it.profile).play(it, steps)
    played = [
        {"case": case.name, **each, "result": _read(case.says)}
        for case, each in zip(it.cases.answers, told, strict=True)
    ]
    return played + await _preparations(it)


async def _preparations(it: Subject) -> list[dict[str, Any]]:
    cases = it.cases.preparations
    if not cases:
        return []
    steps = [Step(case.name, case.reply, partial(_preparing, it, case.of)) for case in cases]
    told = await http.WIRE.play(it, steps)
    return [
        {"case": case.name, **each, "result": _shown(case.says)}
        for case, each in zip(cases, told, strict=True)
    ]


def _preparing(it: Subject, name: str, account: Account) -> Request:
    return it.prepares.prepare(name, account, NOW_MS)


def _shown(says: Prepared | Refused) -> dict[str, Any]:
    if isinstance(says, Refused):
        return {"reason": says.reason, "remedy": says.remedy}
    return {"values": dict.fromkeys(says.values, REMOVED), "lasts_ms": says.lasts_ms}


def _read(result: Result) -> dict[str, Any]:
    """A reading; what belongs to steps is there only where there is one."""
    told: dict[str, Any] = json.loads(msgspec.json.encode(result))
    return {name: told[name] for name in told if told[name] or name not in ("step", "kept")}


def _request(it: Subject, case: Answer, account: Account) -> Request:
    order = case.instruction
    if case.way is None:
        return it.asked(order, account)
    known = order.provider_ref or case.says.provider_ref or it.known_id(order.operation)
    asked = it.channel.query(replace(order, provider_ref=known), account, case.way)
    require(asked is not None, f"{case.name}: there is no query by {case.way}")
    assert asked is not None
    return asked
