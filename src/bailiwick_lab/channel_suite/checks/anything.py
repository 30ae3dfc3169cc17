"""Whatever a provider answers: no fault, no success out of nothing, and texts that can be kept."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from bailiwick.channels.contract import (
    Action,
    Exchange,
    Outcome,
    Phase,
    Reply,
    Resolve,
    Result,
    read,
)
from bailiwick_lab.channel_suite import wires
from bailiwick_lab.channel_suite.cases import Callback
from bailiwick_lab.channel_suite.subject import NOT_BELIEVED, NOW_MS, Failed, Subject, require
from bailiwick_lab.channel_suite.wires.http import VALUES

ROUNDS = 400
SEED = 20
_STATUSES = (200, 200, 200, 201, 202, 400, 402, 404, 409, 422, 429, 500, *range(0, 1000, 7))


def spoiled(chance: random.Random, body: bytes) -> bytes:
    """A real answer with one of its values replaced, or with bytes of it broken, or none at all."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(200))
    if chance.random() < 0.2:
        return json.dumps(_made_up(chance, _names(body))).encode("utf-8", "surrogatepass")
    if not body or chance.random() < 0.4:
        broken = bytearray(body or b"{}")
        for _ in range(chance.randint(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        return bytes(broken)
    try:
        data = json.loads(body)
    except ValueError:
        return body
    _replace_one(chance, data)
    return json.dumps(data).encode("utf-8", "surrogatepass")


def _names(body: bytes) -> list[str]:
    """The names of members anywhere in an answer."""
    found = re.findall(rb'"([A-Za-z_]\w*)":', body)
    return sorted({name.decode() for name in found}) or ["id", "status", "amount", "error"]


def _made_up(chance: random.Random, names: list[str], depth: int = 3) -> Any:
    """Any JSON, with names that mean something."""
    if depth == 0 or chance.random() < 0.3:
        return chance.choice(VALUES)
    if chance.random() < 0.2:
        return [_made_up(chance, names, depth - 1) for _ in range(chance.randrange(4))]
    chosen = chance.sample(names, chance.randint(0, min(8, len(names))))
    return {name: _made_up(chance, names, depth - 1) for name in chosen}


def _replace_one(chance: random.Random, data: Any) -> None:
    target = data
    while isinstance(target, (dict, list)) and target:
        places = sorted(target) if isinstance(target, dict) else list(range(len(target)))
        key = chance.choice(places)
        inner = target[key]
        if not isinstance(inner, (dict, list)) or not inner or chance.random() < 0.3:
            target[key] = chance.choice(VALUES)
            return
        target = inner


def _replies(it: Subject) -> Iterator[tuple[random.Random, Reply]]:
    chance = random.Random(SEED)
    bodies = [case.reply.body for case in it.cases.answers]
    for _ in range(ROUNDS):
        body = spoiled(chance, chance.choice(bodies))
        yield chance, Reply(chance.choice(_STATUSES), {}, body)


def check_any_answer_is_read_without_a_fault(it: Subject) -> None:
    operations = list(it.profile.resolve)
    definite = {
        case.reply.status for case in it.cases.answers if case.says.outcome is Outcome.APPROVED
    }
    for chance, reply in _replies(it):
        order = it.instruction(chance.choice(operations))
        way = chance.choice(list(Resolve))
        for told in (
            it.channel.parse(order, reply, it.cases.account),
            it.channel.parse_query(order, reply, way, it.cases.account),
        ):
            _storable(told, reply)
        agreed = read(it.channel, order, Exchange(Phase.ANSWERED, reply), it.cases.account)
        if agreed.outcome is Outcome.APPROVED:
            less = it.profile.partial_approval and 0 < (agreed.amount or 0) < order.amount
            right = agreed.currency == order.currency and (agreed.amount == order.amount or less)
            right = right and reply.status in definite
            require(right, f"{reply.status} {reply.body!r} is {agreed}")


def check_each_part_of_an_answer_may_be_anything(it: Subject) -> None:
    for case in it.cases.answers:
        for body in wires.of(it.profile).parts(it.profile, it.cases.account, case.reply.body):
            reply = replace(case.reply, body=body)
            told = replace(case, reply=reply).read(it.channel, it.cases.account)
            _storable(told, reply)


def check_any_callback_is_read_or_refused(it: Subject) -> None:
    chance = random.Random(SEED)
    cases = it.cases.callbacks or [Callback("none", b"{}")]
    for _ in range(ROUNDS):
        case = chance.choice(cases)
        body = spoiled(chance, case.body)
        try:
            notice = it.signed(replace(case, body=body))
            told = it.channel.callback(notice, it.cases.account, NOW_MS)
        except NOT_BELIEVED:
            continue
        if told is not None and told.result is not None:
            _storable(told.result, Reply(200, {}, body))


def _of_action(action: Action | None) -> list[str | None]:
    if action is None:
        return []
    named = [*action.account.items(), *action.parameters.items()]
    require(len(named) <= 64, f"an action of {len(named)} parts")
    parts = [text for pair in named for text in pair]
    return [action.url, action.text, action.number, action.reference, *parts]


def _storable(told: Result, reply: Reply) -> None:
    """Texts that PostgreSQL and JSON take, of bounded length; amounts that fit a bigint."""
    if not isinstance(told, Result):
        raise Failed(f"{reply.body!r} was read as {told!r}")
    texts = (told.provider_ref, told.code, told.decline_code, told.message)
    for text in (*texts, told.detail, told.agreement, *_of_action(told.action)):
        if text is None:
            continue
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Failed(f"{reply.body!r} gave a text that cannot be kept: {text!r}") from None
        require(0 < len(text) <= 2048 and "\x00" not in text, f"{reply.body!r} gave {text!r}")
    require(told.amount is None or 0 <= told.amount < 2**63, f"{reply.body!r} gave {told.amount}")
    code = told.currency is None or re.fullmatch(r"[A-Z]{3}", told.currency) is not None
    require(code, f"{reply.body!r} gave {told.currency!r}")
