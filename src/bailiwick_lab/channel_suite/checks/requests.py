"""What is sent: same bytes for same input, secrets where they belong, ids in their place."""

from collections.abc import Iterator

from msgspec.structs import replace

from bailiwick.channels.contract import (
    CannotExpress,
    Instruction,
    Operation,
    Reply,
    Request,
    Resolve,
)
from bailiwick_lab.channel_suite.subject import Failed, Subject, require

_BREAKING = "x/../y?z#w&v=1\r\nh: i"


def _each(it: Subject) -> Iterator[tuple[Instruction, Request]]:
    for operation in it.profile.resolve:
        order = it.instruction(operation)
        yield order, it.channel.request(order, it.cases.account)


def _secrets(it: Subject) -> list[str]:
    return [text for text in it.cases.account.secrets.values() if text]


def check_same_input_same_bytes(it: Subject) -> None:
    for order, request in _each(it):
        again = it.channel.request(order, it.cases.account)
        require(request == again, f"{order.operation}: two requests differ")
        base = it.cases.account.base_url
        require(request.url.startswith(base + "/"), f"{order.operation}: not at {base}")


def check_the_reference_is_carried(it: Subject) -> None:
    for order, request in _each(it):
        if Resolve.REPLAY not in it.profile.resolve[order.operation]:
            continue
        carried = request.body + str(request.headers).encode() + request.url.encode()
        require(
            order.reference.encode() in carried,
            f"{order.operation}: a replay could not be recognised, our reference is not in it",
        )


def check_secrets_stand_in_no_address_or_body(it: Subject) -> None:
    for order, request in _each(it):
        for secret in _secrets(it):
            require(secret not in request.url, f"{order.operation}: a secret in the address")
            require(secret.encode() not in request.body, f"{order.operation}: a secret in the body")
            require(secret not in repr(request), f"{order.operation}: a secret in repr()")


def check_queries_exist_for_declared_ways_and_only_read(it: Subject) -> None:
    for operation, ways in it.profile.resolve.items():
        order = it.instruction(operation)
        known = order.provider_ref or _known(it, operation)
        order = replace(order, provider_ref=known)
        for way in Resolve:
            request = it.channel.query(order, it.cases.account, way)
            readable = way in ways and way in (Resolve.REFERENCE, Resolve.PROVIDER_ID)
            require((request is not None) == readable, f"{operation} by {way}: a query or none")
            if request is not None and request.method == "GET":
                require(request.body == b"", f"{operation} by {way}: a GET with a body")


def _known(it: Subject, operation: Operation) -> str:
    found = (each.says.provider_ref for each in it.answers_to(operation))
    return next((each for each in found if each), "id_1")


def check_no_query_by_an_id_that_is_not_known(it: Subject) -> None:
    order = replace(it.instruction(Operation.CHARGE), provider_ref=None)
    found = it.channel.query(order, it.cases.account, Resolve.PROVIDER_ID)
    require(found is None, "asks for a charge whose id is not known")


def check_nothing_acts_on_a_charge_that_is_not_known(it: Subject) -> None:
    for operation in (Operation.CAPTURE, Operation.VOID, Operation.REFUND):
        order = replace(it.instruction(operation), provider_ref=None)
        try:
            it.channel.request(order, it.cases.account)
        except CannotExpress:
            continue
        raise Failed(f"a {operation} of a charge whose id is not known was built")


def check_operations_it_lacks_are_not_built(it: Subject) -> None:
    for operation in set(Operation) - set(it.profile.resolve):
        order = Instruction(operation, "ref_1", 1000, "EUR", provider_ref="id_1")
        try:
            it.channel.request(order, it.cases.account)
        except CannotExpress:
            continue
        raise Failed(f"a {operation} was built, which the profile does not declare")


def check_ids_cannot_leave_their_place_in_an_address(it: Subject) -> None:
    for operation in it.profile.resolve:
        order = it.instruction(operation)
        if order.provider_ref is None:
            continue
        try:
            url = it.channel.request(replace(order, provider_ref=_BREAKING), it.cases.account).url
        except CannotExpress:
            continue
        require("/../" not in url and "#" not in url, f"{operation}: an id breaks out of {url}")
        require("\n" not in url and "?z" not in url, f"{operation}: an id breaks out of {url}")


def check_credentials_are_proved_without_harm(it: Subject) -> None:
    it.channel.check(it.cases.account)
    for status in (401, 403):
        told = it.channel.parse_check(Reply(status, {}, b""))
        require(told is not None and "secrets." in told, f"{status}: which secret is to be mended?")
    require("503" in str(it.channel.parse_check(Reply(503, {}, b""))), "503: says nothing of it")
