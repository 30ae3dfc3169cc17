"""What is read: each case exactly, and nothing definite from what is not."""

import re

import msgspec

from bailiwick.channels.contract import TURNED_AWAY, Operation, Outcome, Reply, of_same
from bailiwick_lab.channel_suite.subject import Subject, require, spelt

INDEFINITE = (408, *range(500, 512), 599, 100, 101, 301, 307)
PARTIAL = (204, 206)
"""These have no whole body: definite only where a case of the channel says so."""
REFUSALS = (400, 401, 402, 403, 404, 409, 422, 429)
NOT_ITS_WORDS = (b"", b"{}", b"[]", b"<html></html>", b'{"error":null}', b'{"error":"no"}')
DEEP = (b"[" * 200_000, b'{"a":' * 200_000, b'{"error":' * 100_000, b"<a>" * 100_000)


def check_each_case_is_read_exactly(it: Subject) -> None:
    for case in it.cases.answers:
        told = case.read(it.channel, it.cases.account)
        require(told == case.says, f"{case.name}: read {told}, expected {case.says}")


def check_an_answer_that_is_not_signed_says_nothing(it: Subject) -> None:
    """Where the provider signs them: not as it is, nor with what another has signed."""
    if it.profile.answers is None:
        return
    cases = [
        case
        for case in it.cases.answers
        if case.says.outcome is not Outcome.UNKNOWN or case.says.not_found
    ]
    signed = [it.sent(case) for case in cases]
    for case, other in zip(cases, [*signed[1:], *signed[:1]], strict=True):
        genuine = it.sent(case)
        require(genuine != case.reply, f"{case.name}: it is not signed")
        for reply in (case.reply, *_mixed(genuine, other)):
            told = msgspec.structs.replace(case, reply=reply).read(it.bare, it.cases.account)
            what = f"{case.name}: not signed, and {told.outcome}"
            require(told.outcome is Outcome.UNKNOWN and not told.not_found, what)


def _mixed(genuine: Reply, other: Reply) -> list[Reply]:
    """An answer with its last digit changed, and with the signature of another."""
    mixed = [Reply(genuine.status, genuine.headers, _another_digit(genuine.body))]
    if genuine.headers != other.headers:
        mixed.append(Reply(genuine.status, other.headers, genuine.body))
    return mixed


def _another_digit(body: bytes) -> bytes:
    at = max(body.rfind(b"%d" % each) for each in range(10))
    return body[:at] + (b"1" if body[at : at + 1] != b"1" else b"2") + body[at + 1 :]


def check_nothing_but_a_definite_answer_is_definite(it: Subject) -> None:
    bodies = [b"", b"{}", *(case.reply.body for case in it.cases.answers)]
    definite = {
        case.reply.status for case in it.cases.answers if case.says.outcome is not Outcome.UNKNOWN
    }
    statuses = [*INDEFINITE, *(each for each in PARTIAL if each not in definite)]
    for operation in it.profile.resolve:
        order = it.instruction(operation)
        for status in statuses:
            for body in bodies:
                told = it.channel.parse(order, Reply(status, {}, body), it.cases.account)
                require(told.outcome is Outcome.UNKNOWN, f"{operation}: {status} is {told.outcome}")
                require(not told.not_found, f"{operation}: {status} is not found")


def check_a_refusal_without_the_provider_s_words_is_unknown(it: Subject) -> None:
    for operation in it.profile.resolve:
        order = it.instruction(operation)
        for status in REFUSALS:
            for body in NOT_ITS_WORDS:
                told = it.channel.parse(order, Reply(status, {}, body), it.cases.account)
                what = f"{operation}: {status} with {body!r} is {told.outcome}"
                require(told.outcome is Outcome.UNKNOWN, what)


def check_what_was_turned_away_is_told_from_a_decline(it: Subject) -> None:
    """A repeat that was not looked at must not end what was sent before."""
    for case in it.cases.answers:
        if case.way is None and case.reply.status in (401, 429):
            told = case.read(it.channel, it.cases.account)
            if told.outcome is Outcome.DECLINED:
                word = told.detail in TURNED_AWAY
                require(word, f"{case.name}: {case.reply.status} has the detail {told.detail!r}")


def check_a_refused_query_says_nothing_of_the_operation(it: Subject) -> None:
    """But for the very answers by which the provider says that it knows no such operation."""
    own = {(case.way, case.reply.status, case.reply.body) for case in it.cases.answers if case.way}
    for way in it.looked_up_by():
        for case in it.cases.answers:
            for status in (400, 401, 402, 403, 409, 422, 429, 500, 503):
                if (way, status, case.reply.body) in own:
                    continue
                reply = Reply(status, {}, case.reply.body)
                told = it.channel.parse_query(case.instruction, reply, way, it.cases.account)
                what = f"{case.name}: a query's {status} is {told.outcome}"
                require(told.outcome is Outcome.UNKNOWN and not told.not_found, what)


def check_only_a_look_up_finds_nothing(it: Subject) -> None:
    for case in it.cases.answers:
        if case.way is not None:
            told = it.channel.parse(case.instruction, case.reply, it.cases.account)
            require(not told.not_found, f"{case.name}: an operation's own answer is 'not found'")


def check_deep_nesting_is_only_unreadable(it: Subject) -> None:
    for operation in it.profile.resolve:
        order = it.instruction(operation)
        for body in DEEP:
            for status in (200, 400, 404):
                reply, what = Reply(status, {}, body), f"{operation}: {body[:9]!r} over and over"
                told = it.channel.parse(order, reply, it.cases.account)
                require(told.outcome is Outcome.UNKNOWN, f"{what} is {told.outcome}")
                for way in it.looked_up_by():
                    told = it.channel.parse_query(order, reply, way, it.cases.account)
                    require(told.outcome is Outcome.UNKNOWN, f"{what} is {told.outcome}")


def check_what_is_told_of_another_object_decides_nothing(it: Subject) -> None:
    for case in it.cases.answers:
        told = case.read(it.channel, it.cases.account)
        if told.provider_ref is None:
            continue
        strange = of_same("another", told)
        require(strange.outcome is Outcome.UNKNOWN, f"{case.name}: of another object")
        require(strange.provider_ref is None, f"{case.name}: the known id would be lost")


def check_our_reference_is_compared(it: Subject) -> None:
    """An approval that carries our reference is none of another operation of ours; one that carries
    the charge's, none of a void of another charge."""
    for case in it.cases.answers:
        order, own = case.instruction, [case.instruction.reference]
        if it.profile.reversal and order.operation is Operation.VOID and order.charge_reference:
            own.append(order.charge_reference)
        for reference in own:
            body = re.sub(spelt(reference).encode(), b"bw_of_another", case.reply.body)
            if case.says.outcome is not Outcome.APPROVED or body == case.reply.body:
                continue
            reply = Reply(case.reply.status, case.reply.headers, body)
            told = msgspec.structs.replace(case, reply=reply).read(it.channel, it.cases.account)
            what = f"{case.name}: another's reference is approved"
            require(told.outcome is Outcome.UNKNOWN, what)
