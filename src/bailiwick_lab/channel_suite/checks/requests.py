"""What is sent: same bytes for same input, secrets where they belong, ids in their place."""

import re
from collections.abc import Iterator
from contextlib import suppress

from msgspec.structs import replace

from bailiwick.channels.contract import (
    CannotExpress,
    Instruction,
    Operation,
    Outcome,
    Reply,
    Request,
    Resolve,
)
from bailiwick_lab.channel_suite import wires
from bailiwick_lab.channel_suite.cases import Answer
from bailiwick_lab.channel_suite.subject import NOW_MS, Failed, Subject, require, spelt

_BREAKING = "x/../y?z#w&v=1\r\nh: i"


def _each(it: Subject) -> Iterator[tuple[Instruction, Request]]:
    for order in it.cases.instructions.values():
        if order.operation in it.profile.resolve:
            made = it.channel.request(order, it.cases.account)
            if isinstance(made, Request):
                yield order, made


def check_what_is_made_without_asking_is_made_exactly(it: Subject) -> None:
    for case in it.cases.made:
        told = it.channel.request(case.instruction, it.cases.account)
        require(told == case.says, f"{case.name}: made {told}, expected {case.says}")
    made = [case.instruction for case in it.cases.made]
    for name, order in it.cases.instructions.items():
        asks = isinstance(it.channel.request(order, it.cases.account), Request)
        require(asks or order in made, f"{name}: nothing is asked, and no case says what is made")


def check_same_input_same_bytes(it: Subject) -> None:
    base = it.cases.account.base_url.rstrip("/")
    for order, request in _each(it):
        again = it.asked(order)
        require(request == again, f"{order.operation}: two requests differ")
        require(request.url.startswith(base + "/"), f"{order.operation}: not at {base}")


def check_the_base_url_may_end_in_a_slash(it: Subject) -> None:
    account = replace(it.cases.account, base_url=it.cases.account.base_url.rstrip("/") + "/")
    for order, request in _each(it):
        url = it.asked(order, account).url
        require(url == request.url, f"{order.operation}: {url}")


def check_the_reference_is_carried(it: Subject) -> None:
    for order, request in _each(it):
        if Resolve.REPLAY not in it.profile.ways(order):
            continue
        body = request.body.decode(errors="replace")
        require(
            carries(order.key, f"{body}{request.headers}{request.url}"),
            f"{order.operation}: a replay could not be recognised, our reference is not in it",
        )


def check_secrets_stand_in_no_address_or_body(it: Subject) -> None:
    for order, request in _each(it):
        for secret in it.secrets():
            require(secret not in request.url, f"{order.operation}: a secret in the address")
            require(secret.encode() not in request.body, f"{order.operation}: a secret in the body")
            require(secret not in repr(request), f"{order.operation}: a secret in repr()")


def check_queries_exist_for_declared_ways_and_only_read(it: Subject) -> None:
    for operation, ways in it.profile.resolve.items():
        order = it.instruction(operation)
        order = replace(order, provider_ref=order.provider_ref or it.known_id(operation))
        for way in Resolve:
            request = it.channel.query(order, it.cases.account, way)
            readable = way in ways and way in (Resolve.REFERENCE, Resolve.PROVIDER_ID)
            require((request is not None) == readable, f"{operation} by {way}: a query or none")
            if request is None:
                continue
            again = it.channel.query(order, it.cases.account, way)
            require(request == again, f"{operation} by {way}: two queries differ")
            if request.method == "GET":
                require(request.body == b"", f"{operation} by {way}: a GET with a body")
            acts = it.asked(it.instruction(operation))
            same = (request.method, request.url, request.body) == (
                acts.method,
                acts.url,
                acts.body,
            )
            require(not same, f"{operation} by {way}: the query is the operation itself")


def check_queries_name_what_is_looked_for(it: Subject) -> None:
    """By our reference, or by the provider's id, whichever the way says."""
    for operation, ways in it.profile.resolve.items():
        order, known = it.instruction(operation), it.known_id(operation)
        if Resolve.REFERENCE in ways:
            asked = _asked(it, order, Resolve.REFERENCE)
            named = carries(order.reference, asked) or _listed(it, order, asked)
            named = named or _a_state_of_the_charge(it, order, asked)
            require(named, f"{operation} by reference: {order.reference} is not in {asked!r}")
        if Resolve.PROVIDER_ID in ways:
            asked = _asked(it, replace(order, provider_ref=known), Resolve.PROVIDER_ID)
            require(known in asked, f"{operation} by provider_id: {known} is not in {asked!r}")


def _listed(it: Subject, order: Instruction, asked: str) -> bool:
    """Whether it lists what was done to the charge, and our reference tells there which it is."""
    charge = [each for each in (order.charge_reference, order.provider_ref) if each is not None]
    told = _told_as(order.reference, it, order)
    return bool(told) and all(told) and any(carries(each, asked) for each in charge)


def _a_state_of_the_charge(it: Subject, order: Instruction, asked: str) -> bool:
    """Whether it asks for the charge by our reference, and a void is a state of it, told under that
    reference: one that is done is told from one that is not. Of a charge that never came to be
    there is nothing to tell, where that is a definite answer."""
    charge = order.charge_reference if order.operation is Operation.VOID else None
    if charge is None or not it.profile.reversal or not carries(charge, asked):
        return False
    ends = {each.says.outcome for each in _by_reference(it, order)}
    return any(_told_as(charge, it, order)) and len(ends) > 1


def _told_as(reference: str, it: Subject, order: Instruction) -> list[bool]:
    """Of each case in which it is found done: whether that is told under a reference."""
    return [
        carries(reference, case.reply.body.decode(errors="replace"))
        for case in _by_reference(it, order)
        if case.says.outcome is Outcome.APPROVED
    ]


def _by_reference(it: Subject, order: Instruction) -> list[Answer]:
    """The cases of look-ups of such an operation by our reference."""
    return [each for each in it.answers_to(order.operation) if each.way is Resolve.REFERENCE]


def carries(reference: str, text: str) -> bool:
    """Whether one of our references is in a text, however it is spelt."""
    return re.search(spelt(reference), text) is not None


def _asked(it: Subject, order: Instruction, way: Resolve) -> str:
    request = it.channel.query(order, it.cases.account, way)
    return "" if request is None else request.url + request.body.decode(errors="replace")


def check_no_query_by_an_id_that_is_not_known(it: Subject) -> None:
    order = replace(it.instruction(Operation.CHARGE), provider_ref=None)
    found = it.channel.query(order, it.cases.account, Resolve.PROVIDER_ID)
    require(found is None, "asks for a charge whose id is not known")


def check_nothing_acts_on_a_charge_that_is_not_known(it: Subject) -> None:
    for operation in it.among(
        Operation.INCREMENT, Operation.CAPTURE, Operation.VOID, Operation.REFUND
    ):
        order = replace(it.instruction(operation), provider_ref=None, charge_reference=None)
        try:
            it.channel.request(order, it.cases.account)
        except CannotExpress:
            continue
        raise Failed(f"a {operation} of a charge whose id is not known was built")


def check_operations_it_lacks_are_not_built(it: Subject) -> None:
    charge = it.instruction(Operation.CHARGE)
    for operation in set(Operation) - set(it.profile.resolve):
        order = replace(charge, operation=operation, provider_ref=it.known_id(Operation.CHARGE))
        try:
            it.channel.request(order, it.cases.account)
        except CannotExpress:
            continue
        raise Failed(f"a {operation} was built, which the profile does not declare")


def check_nothing_is_held_where_there_are_no_holds(it: Subject) -> None:
    if it.profile.manual_capture:
        return
    order = replace(it.instruction(Operation.CHARGE), automatic=False)
    try:
        it.channel.request(order, it.cases.account)
    except CannotExpress:
        return
    raise Failed("a hold was built, which would take the money: profile.manual_capture is false")


def check_ids_cannot_leave_their_place_in_an_address(it: Subject) -> None:
    for operation in it.profile.resolve:
        order = replace(it.instruction(operation), provider_ref=_BREAKING)
        asked = [it.channel.query(order, it.cases.account, way) for way in it.looked_up_by()]
        with suppress(CannotExpress):
            asked.append(it.asked(order))
        for url in (each.url for each in asked if each is not None):
            require("/../" not in url and "#" not in url, f"{operation}: an id breaks out of {url}")
            require(
                "\n" not in url and "?z" not in url and "&v=" not in url,
                f"{operation}: an id breaks out of {url}",
            )


def check_credentials_are_proved_without_harm(it: Subject) -> None:
    request = it.channel.check(it.cases.account, NOW_MS)
    for order, acts in _each(it):
        same = (request.method, request.url, request.body) == (acts.method, acts.url, acts.body)
        require(not same, f"the credential check is a {order.operation}")
    told = it.channel.parse_check(it.cases.check, it.cases.account)
    require(told is None, f"where the credentials hold it says: {told}")
    for reply in wires.of(it.profile).refused(it.profile, it.cases.account):
        told = it.channel.parse_check(reply, it.cases.account)
        what = f"{reply.status} {reply.body!r}"
        require(told is not None, f"{what}: the credentials hold")
        named = not it.profile.secrets or "secrets." in str(told)
        require(named, f"{what}: which secret is to be mended?")
    told = it.channel.parse_check(Reply(503, {}, b""), it.cases.account)
    require(told is not None, "503: the credentials hold")
    if it.profile.transport == "http":
        require("503" in str(told), "503: says nothing of it")
