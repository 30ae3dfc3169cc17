"""Preparations: obtained by requests that move nothing, read exactly, and shown to nobody else."""

import base64
import json
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec.structs import replace

from bailiwick.channels.blocks.redact import SECRET_HEADERS
from bailiwick.channels.contract import (
    Account,
    CannotExpress,
    NotPrepared,
    Outcome,
    Prepared,
    Prepares,
    Refused,
    Reply,
    Request,
)
from bailiwick_lab.channel_suite.checks.anything import SEED, spoiled
from bailiwick_lab.channel_suite.subject import NOT_BELIEVED, NOW_MS, Failed, Subject, require

ROUNDS = 400
TEXT_CHARS_MAX = 200
VALUE_CHARS_MIN = 8
_MARK = "<Zeugma>"
_STATUSES = (200, 200, 200, 201, 204, 206, 400, 401, 403, 404, 429, 500, *range(0, 1000, 7))


def check_what_is_declared_is_there(it: Subject) -> None:
    """With made-up values in the account, and cases of an answer that gives some and of one that
    does not."""
    names = it.profile.preparations
    require(len(set(names)) == len(names), "a preparation is declared twice")
    require(isinstance(it.bare, Prepares) or not names, "it has no functions to prepare")
    told = set(it.cases.account.prepared)
    require(told == set(names), f"prepared of the cases' account has {sorted(told)}")
    for name in names:
        values = it.cases.account.prepared[name].values()
        long = bool(values) and all(len(each) >= VALUE_CHARS_MIN for each in values)
        require(long, f"the cases' account has no {name} of {VALUE_CHARS_MIN} characters or more")
        seen = {type(case.says) for case in it.cases.preparations if case.of == name}
        for kind, what in ((Prepared, "gives"), (Refused, "refuses")):
            require(kind in seen, f"no case of an answer that {what} {name}")
    strange = {case.of for case in it.cases.preparations} - set(names)
    require(not strange, f"a case is of {', '.join(sorted(strange))}, which is not declared")


def check_each_case_is_read_exactly(it: Subject) -> None:
    for case in it.cases.preparations:
        told = it.prepares.prepared(case.of, case.reply, it.cases.account, NOW_MS)
        # What they hold is in no repr: names alone are told here.
        require(told == case.says, f"{case.name}: read {told!r}, expected {case.says!r}")


def check_they_are_asked_for_in_order_and_the_same_each_time(it: Subject) -> None:
    for name, account in _in_order(it):
        try:
            request = it.prepares.prepare(name, account, NOW_MS)
        except NotPrepared as lacks:
            raise Failed(f"{name} needs {lacks.name}, which does not come before it") from None
        again = it.prepares.prepare(name, account, NOW_MS)
        require(request == again, f"{name}: two requests differ")
        for secret in it.secrets():
            for spelt in (secret, quote(secret, safe="")):
                require(spelt not in request.url, f"{name}: a secret in the address")
            require(secret not in repr(request), f"{name}: a secret in repr()")


def check_they_move_no_money(it: Subject) -> None:
    """A preparation is asked for when nobody has paid, and as often as the node likes."""
    acts = {(made.method, _place(made)) for what, made in _requests(it) if what not in ("check",)}
    for name, account in _in_order(it):
        request = it.prepares.prepare(name, account, NOW_MS)
        place = (request.method, _place(request))
        require(place not in acts, f"{name} is asked for by {place[0]} {place[1]}, an operation")


def check_what_is_prepared_authenticates_and_nothing_else(it: Subject) -> None:
    """A repeat has the same bytes but for the credential, however old what it replays is."""
    hidden = {"authorization", *(name.lower() for name in it.profile.secret_headers)}
    allowed = ", ".join(sorted(hidden))
    for what, request in _requests(it):
        for value in it.prepared():
            forms = {value, quote(value, safe=""), base64.b64encode(value.encode()).decode()}
            open_parts = [request.method, request.url, request.body.decode(errors="replace")]
            open_parts += [text for name, text in request.headers.items() if name not in hidden]
            for form in forms:
                seen = any(form in part for part in open_parts)
                require(not seen, f"{what}: what is prepared stands elsewhere than in {allowed}")


def check_nothing_is_sent_without_what_it_needs(it: Subject) -> None:
    """The same request, or none: never one with an empty credential."""
    bare = replace(it.cases.account, prepared={})
    made, without = dict(_requests(it)), dict(_requests(it, bare))
    for what, request in without.items():
        require(request == made[what], f"{what}: built without what it needs: raise NotPrepared")


def check_nothing_is_read_by_what_is_not_there(it: Subject) -> None:
    """A callback without what its check needs waits, and such an answer decides nothing; or they
    mean what they mean with it."""
    bare = replace(it.cases.account, prepared={})
    for case in it.cases.callbacks:
        told = None
        with suppress(*NOT_BELIEVED):
            told = it.channel.callback(it.signed(case), bare, NOW_MS)
        require(told in (None, case.says), f"{case.name}: read {told} without what it needs")
    for answer in it.cases.answers:
        found = answer.read(it.channel, bare)
        right = found == answer.says or found.outcome is Outcome.UNKNOWN
        require(right, f"{answer.name}: read {found} without what it needs")


def check_any_answer_is_read_without_a_fault(it: Subject) -> None:
    chance = random.Random(SEED)
    good = {case.reply.status for case in it.cases.preparations if _gives(case.says)}
    for name in it.profile.preparations:
        bodies = [case.reply.body for case in it.cases.preparations if case.of == name]
        deep = [b"[" * 200_000, b'{"a":' * 200_000, b""]
        for number in range(ROUNDS):
            body = deep[number] if number < len(deep) else spoiled(chance, chance.choice(bodies))
            reply = Reply(chance.choice(_STATUSES), {}, body)
            told = it.prepares.prepared(name, reply, it.cases.account, NOW_MS)
            what = f"{name}: {reply.status} {body[:80]!r}"
            if isinstance(told, Prepared):
                require(reply.status in good, f"{what} gave something")
                require(told.lasts_ms > 0 and bool(told.values), f"{what} gave nothing good")
                require(all(told.values.values()), f"{what} gave an empty value")
            else:
                _sayable(it, told, what)


def check_refusals_name_the_remedy(it: Subject) -> None:
    for case in it.cases.preparations:
        if isinstance(case.says, Refused):
            _sayable(it, case.says, case.name)
            reply = replace(case.reply, body=_marked(case.reply.body))
            told = it.prepares.prepared(case.of, reply, it.cases.account, NOW_MS)
            echoed = _MARK in repr(told)
            require(not echoed, f"{case.name}: the provider's own text is told: {told!r}")
    for name in it.profile.preparations:
        told = it.prepares.prepared(name, Reply(401, {}, b""), it.cases.account, NOW_MS)
        named = isinstance(told, Refused) and ("secrets." in told.remedy or not it.profile.secrets)
        require(named, f"{name}: 401: which secret is to be mended?")


def check_what_is_prepared_is_in_no_word(it: Subject) -> None:
    for text in (repr(it.cases.account), *(repr(case.says) for case in it.cases.preparations)):
        require(not any(value in text for value in it.prepared()), f"what is prepared is in {text}")
    known = SECRET_HEADERS.union(name.lower() for name in it.profile.secret_headers)
    for name, account in _in_order(it):
        request = it.prepares.prepare(name, account, NOW_MS)
        for header, value in request.headers.items():
            held = any(secret in value for secret in it.secrets())
            require(not held or header.lower() in known, f"secret_headers lacks {header.lower()}")


def _in_order(it: Subject) -> Iterator[tuple[str, Account]]:
    """Each preparation with the account as it is when it is first asked for."""
    have: dict[str, dict[str, str]] = {}
    for name in it.profile.preparations:
        yield name, replace(it.cases.account, prepared=dict(have))
        have[name] = it.cases.account.prepared.get(name, {})


def _requests(it: Subject, account: Account | None = None) -> Iterator[tuple[str, Request]]:
    """All that can be built of the cases: operations, look-ups, the credential check."""
    account = account or it.cases.account
    with suppress(NotPrepared):
        yield "check", it.channel.check(account, NOW_MS)
    for name, order in it.cases.instructions.items():
        if order.operation not in it.profile.resolve:
            continue
        with suppress(NotPrepared, CannotExpress):
            made = it.channel.request(order, account)
            if isinstance(made, Request):
                yield name, made
        known = replace(order, provider_ref=order.provider_ref or it.known_id(order.operation))
        for way in it.looked_up_by():
            with suppress(NotPrepared):
                asked = it.channel.query(known, account, way)
                if asked is not None:
                    yield f"{name} by {way}", asked


def _marked(body: bytes) -> bytes:
    """An answer in which each text is another, of a provider's own."""
    try:
        return json.dumps(_with_mark(json.loads(body))).encode()
    except ValueError:
        return body


def _with_mark(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _with_mark(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_with_mark(each) for each in data]
    return _MARK if isinstance(data, str) else data


def _place(request: Request) -> str:
    return urlsplit(request.url)._replace(query="", fragment="").geturl()


def _gives(says: Prepared | Refused) -> bool:
    return isinstance(says, Prepared)


def _sayable(it: Subject, told: object, what: str) -> None:
    """A sentence of the channel's own for operators, which may be logged and shown."""
    if not isinstance(told, Refused):
        raise Failed(f"{what} was read as {told!r}")
    for text in (told.reason, told.remedy):
        fit = 0 < len(text) <= TEXT_CHARS_MAX and text.isprintable()
        require(fit, f"{what}: {text[:TEXT_CHARS_MAX]!r} is no sentence for operators")
        require(not any(each in text for each in it.secrets()), f"{what}: a secret is in its words")
