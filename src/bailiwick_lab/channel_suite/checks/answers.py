"""What is read: each case exactly, and nothing definite from what is not."""

from bailiwick.channels.contract import (
    Exchange,
    Operation,
    Outcome,
    Phase,
    Reply,
    Resolve,
    of_same,
    read,
)
from bailiwick_lab.channel_suite.subject import Subject, require

INDEFINITE = (408, *range(500, 512), 599, 100, 101, 301, 307)
REFUSALS = (400, 401, 402, 403, 404, 409, 422, 429)
NOT_ITS_WORDS = (b"", b"{}", b"[]", b"<html></html>", b'{"error":null}', b'{"error":"no"}')


def check_each_case_is_read_exactly(it: Subject) -> None:
    for case in it.cases.answers:
        told = case.read(it.channel)
        require(told == case.says, f"{case.name}: read {told}, expected {case.says}")


def check_nothing_but_a_definite_answer_is_definite(it: Subject) -> None:
    bodies = [b"", b"{}", *(case.reply.body for case in it.cases.answers)]
    for operation in it.profile.resolve:
        order = it.instruction(operation)
        for status in INDEFINITE:
            for body in bodies:
                told = it.channel.parse(order, Reply(status, {}, body))
                require(told.outcome is Outcome.UNKNOWN, f"{operation}: {status} is {told.outcome}")
                require(not told.not_found, f"{operation}: {status} is not found")


def check_a_refusal_without_the_provider_s_words_is_unknown(it: Subject) -> None:
    for operation in it.profile.resolve:
        order = it.instruction(operation)
        for status in REFUSALS:
            for body in NOT_ITS_WORDS:
                told = it.channel.parse(order, Reply(status, {}, body))
                what = f"{operation}: {status} with {body!r} is {told.outcome}"
                require(told.outcome is Outcome.UNKNOWN, what)


def check_a_refused_query_says_nothing_of_the_operation(it: Subject) -> None:
    for way in (Resolve.REFERENCE, Resolve.PROVIDER_ID):
        for case in it.cases.answers:
            for status in (400, 401, 402, 403, 409, 422, 429, 500, 503):
                reply = Reply(status, {}, case.reply.body)
                told = it.channel.parse_query(case.instruction, reply, way)
                what = f"{case.name}: a query's {status} is {told.outcome}"
                require(told.outcome is Outcome.UNKNOWN and not told.not_found, what)


def check_what_is_told_of_another_object_decides_nothing(it: Subject) -> None:
    for case in it.cases.answers:
        told = case.read(it.channel)
        if told.provider_ref is None:
            continue
        strange = of_same("another", told)
        require(strange.outcome is Outcome.UNKNOWN, f"{case.name}: of another object")
        require(strange.provider_ref is None, f"{case.name}: the known id would be lost")


def check_no_approval_without_its_amount(it: Subject) -> None:
    """Whatever is approved, with the currency or the amount taken away it no longer is."""
    for case in it.cases.answers:
        order = case.instruction
        if case.says.outcome is not Outcome.APPROVED or case.way is not None:
            continue
        if order.operation in (Operation.SETUP, Operation.CONCEDE):
            continue
        code = order.currency.encode()
        for old, new in (
            (b'"' + code + b'"', b'"XAU"'),
            (b'"' + code.lower() + b'"', b'"xau"'),
            (b'"amount', b'"was'),
        ):
            body = case.reply.body.replace(old, new)
            if body != case.reply.body:
                told = read(it.channel, order, Exchange(Phase.ANSWERED, Reply(200, {}, body)))
                require(told.outcome is Outcome.UNKNOWN, f"{case.name}: approved with {new!r}")
