"""``cases.json`` of a channel: a provider's answers and callbacks as data, with their readings.

A body is written out, or is ``{"like": NAME, "with": {...}, "without": [...]}`` of one of the
``bodies``, and an instruction so of another; what is not JSON stands under ``text`` or ``base64``.
On other transports than HTTP a body is a message as the transport's module here packs it
(``wires``).
Names of instructions, results and callbacks are those of ``bailiwick.channels.contract``.
"""

import base64
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bailiwick.channels.blocks.iso8583.currencies import NUMBERS
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    Channel,
    Context,
    Instruction,
    Prepared,
    Profile,
    Refused,
    Reply,
    Resolve,
    Result,
    no_such_method,
)
from bailiwick_lab.channel_suite import wires
from bailiwick_lab.channel_suite.wires import http

S = TypeVar("S", bound=msgspec.Struct)
Pack = Callable[[Any], bytes]
"""A message of the cases to bytes."""
FILE = "cases.json"
JSON = {"content-type": "application/json"}


class BadCases(Exception):
    """A channel's cases cannot be used; the message names the place and the remedy."""


class Answer(msgspec.Struct, frozen=True):
    """A provider's answer, the instruction it answers, and the exact reading of it.

    ``way``: it answers a look-up of that way; else the instruction itself. A look-up may have a
    ``context`` of its own in the cases, which is then in the instruction here.
    """

    name: str
    to: str
    instruction: Instruction
    reply: Reply
    says: Result
    way: Resolve | None = None

    def read(self, channel: Channel, account: Account) -> Result:
        """Let the channel read it."""
        if self.way is None:
            return channel.parse(self.instruction, self.reply, account)
        return channel.parse_query(self.instruction, self.reply, self.way, account)


class Made(msgspec.Struct, frozen=True):
    """What comes of an instruction of which the provider is asked by the payer, and not by us."""

    name: str
    instruction: Instruction
    says: Result


class Callback(msgspec.Struct, frozen=True):
    """A genuine callback, and what it says: None for what is of no interest.

    Attributes:
        query: what stands behind the ``?`` of the address that it is sent to.
        headers: those that it has beside the usual and the signature.
        refused: a word of the reason for which it is refused all the same.
    """

    name: str
    body: bytes
    query: str = ""
    headers: dict[str, str] = {}
    says: CallbackEvent | None = None
    refused: str | None = None


class Preparing(msgspec.Struct, frozen=True):
    """A provider's answer to a preparation, and the exact reading of it; ``of``: which."""

    name: str
    of: str
    reply: Reply
    says: Prepared | Refused


class Approval(msgspec.Struct, frozen=True):
    """How an approved charge is answered: what stands for its amount, and where a request has it.

    Attributes:
        sent: a regular expression with one group, the amount in a request's body, or in its
            address.
        body: an answer with ``{sent}`` (a number), ``{sent_text}`` (a text), ``{currency}``,
            ``{currency_lower}`` and ``{currency_number}``; a text where it is not JSON.
        major: amounts are in units of the currency, with decimals, and not in minor ones.
    """

    sent: str
    body: Any
    major: bool = False
    status: int = 200
    headers: dict[str, str] = {}
    pack: Pack | None = None

    def filled(self, sent: str, currency: str) -> Reply:
        """The answer for an amount as the request had it."""
        text = self.body
        if not isinstance(text, str):
            text = json.dumps(text, separators=(",", ":")).replace('"{sent}"', sent)
        for name, value in (
            ("{sent}", sent),
            ("{sent_text}", sent),
            ("{currency}", currency),
            ("{currency_lower}", currency.lower()),
            ("{currency_number}", NUMBERS[currency]),
        ):
            text = text.replace(name, value)
        if self.pack is not None:
            return Reply(self.status, self.headers, self.pack(json.loads(text)))
        return Reply(self.status, {**JSON, **self.headers}, text.encode())


class Cases(msgspec.Struct, frozen=True):
    """All cases of a channel, read and checked.

    ``check``: the answer to the credential check that the provider gives where they hold.
    """

    account: Account
    instructions: dict[str, Instruction]
    answers: list[Answer]
    callbacks: list[Callback]
    made: list[Made]
    approval: Approval
    check: Reply
    preparations: list[Preparing] = []

    def of(self, name: str) -> Instruction:
        """An instruction by its name."""
        return self.instructions[name]


def load(folder: Path, profile: Profile) -> Cases:
    """The cases of the channel in this folder.

    Raises:
        BadCases: no file, no JSON, or something in it that is not known.
    """
    file = folder / FILE
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadCases(f"{file} is missing: it has the provider's answers as data") from None
    except ValueError as error:
        raise BadCases(f"{file} is no JSON: {error}") from None
    try:
        return _cases(data, profile)
    except (KeyError, TypeError, ValueError) as error:
        raise BadCases(f"{file}: {error}") from error


def _cases(data: dict[str, Any], profile: Profile) -> Cases:
    known = {"about", "account", "instructions", "bodies", "answers", "callbacks", "approval"}
    _only(data, known | {"check", "judges", "made", "preparations"})
    bodies: dict[str, Any] = data.get("bodies", {})
    orders = data["instructions"]
    wanted = {name: _instruction(name, _expanded(each, orders)) for name, each in orders.items()}
    approval = data["approval"]
    approval = {**approval, "body": _expanded(approval["body"], bodies)}
    re.compile(approval["sent"])
    account = _struct(Account, {"gateway": "gateway-1", **data["account"]}, "account")
    wire = wires.of(profile)
    reads = Bodies(bodies, partial(wire.packed, profile, account), wire.status)
    usual = {"body": {}} if wire.status is not None else {"status": 200, "body": {}}
    return Cases(
        account,
        wanted,
        [_answer(each, wanted, reads) for each in data["answers"]],
        [_callback(each, reads) for each in data.get("callbacks", [])],
        [_made(each, wanted) for each in data.get("made", [])],
        _approval(approval, reads),
        reads.reply({**usual, **data.get("check", {})}, "check"),
        # They are asked for over HTTP, whatever the channel's own transport is.
        _preparings(data, Bodies(bodies, partial(http.WIRE.packed, profile, account), None)),
    )


def _approval(data: dict[str, Any], reads: "Bodies") -> Approval:
    _only(data, {each.name for each in msgspec.structs.fields(Approval)} - {"pack"}, "approval")
    if reads.status is None:
        return Approval(**data)
    return Approval(**{"status": reads.status, **data}, pack=reads.pack)


def _instruction(name: str, found: dict[str, Any]) -> Instruction:
    renamed = {each.name: each.encode_name for each in msgspec.structs.fields(Instruction)}
    _only(found, set(renamed), f"instructions.{name}")
    given = {renamed[key]: value for key, value in found.items()}
    for paper in given.get("files", {}).values():
        paper["content"] = base64.b64encode(paper.get("content", "").encode()).decode()
    return msgspec.convert(given, Instruction)


_REPLY = {"status", "headers", "body", "text", "base64"}


class Bodies:
    """Reads what stands for an answer; ``pack`` makes bytes of a message, ``status``: of those that
    have none."""

    def __init__(self, known: dict[str, Any], pack: Pack, status: int | None) -> None:
        self._known = known
        self.pack = pack
        self.status = status

    def reply(self, data: dict[str, Any], where: str) -> Reply:
        """A whole answer."""
        _only(data, _REPLY, where)
        if self.status is not None:
            return Reply(self.status, {}, self.body(data))
        return Reply(data["status"], {**JSON, **data.get("headers", {})}, self.body(data))

    def body(self, data: dict[str, Any]) -> bytes:
        """What is in it."""
        if "text" in data:
            return str(data["text"]).encode()
        if "base64" in data:
            return base64.b64decode(data["base64"], validate=True)
        return self.pack(_expanded(data["body"], self._known))


def _answer(data: dict[str, Any], wanted: dict[str, Instruction], reads: Bodies) -> Answer:
    where = f"answers.{data.get('name')}"
    _only(data, {"name", "to", "way", "context", "says", *_REPLY}, where)
    says = data["says"]
    order = wanted[data["to"]]
    if "context" in data:
        order = msgspec.structs.replace(order, context=_struct(Context, data["context"], where))
    told = no_such_method() if says == "no_such_method" else _struct(Result, says, where)
    return Answer(
        data["name"],
        data["to"],
        order,
        reads.reply({key: data[key] for key in _REPLY & set(data)}, where),
        told,
        Resolve(data["way"]) if "way" in data else None,
    )


def _made(data: dict[str, Any], wanted: dict[str, Instruction]) -> Made:
    where = f"made.{data.get('name')}"
    _only(data, {"name", "to", "says"}, where)
    return Made(data["name"], wanted[data["to"]], _struct(Result, data["says"], where))


def _callback(data: dict[str, Any], reads: Bodies) -> Callback:
    where = f"callbacks.{data.get('name')}"
    _only(data, {"name", "query", "headers", "body", "text", "base64", "says", "refused"}, where)
    says = data.get("says")
    event = None if says is None else _struct(CallbackEvent, says, where)
    more = {key: data[key] for key in ("query", "headers", "refused") if key in data}
    return Callback(data["name"], reads.body(data), says=event, **more)


def _preparings(data: dict[str, Any], reads: Bodies) -> list[Preparing]:
    return [_preparing(each, reads) for each in data.get("preparations", [])]


def _preparing(data: dict[str, Any], reads: Bodies) -> Preparing:
    where = f"preparations.{data.get('name')}"
    _only(data, {"name", "of", "says", "refused", *_REPLY}, where)
    says: Prepared | Refused
    if "says" in data:
        says = _struct(Prepared, data["says"], where)
    else:
        says = _struct(Refused, data["refused"], where)
    reply = reads.reply({key: data[key] for key in _REPLY & set(data)}, where)
    return Preparing(data["name"], data["of"], reply, says)


def _expanded(found: Any, bodies: dict[str, Any]) -> Any:
    if isinstance(found, list):
        return [_expanded(each, bodies) for each in found]
    if not isinstance(found, dict):
        return found
    if "like" not in found:
        return {key: _expanded(value, bodies) for key, value in found.items()}
    whole = {**_expanded(bodies[found["like"]], bodies), **_expanded(found.get("with", {}), bodies)}
    return {key: value for key, value in whole.items() if key not in found.get("without", [])}


def _struct(kind: type[S], data: dict[str, Any], where: str) -> S:
    known = {each.encode_name: each.type for each in msgspec.structs.fields(kind)}
    _only(data, set(known), where)
    return msgspec.convert(data, kind)


def _only(data: dict[str, Any], known: set[str], where: str = "the document") -> None:
    strange = sorted(set(data) - known)
    if strange:
        raise ValueError(f"{where} has {strange[0]!r}; known are {', '.join(sorted(known))}")
