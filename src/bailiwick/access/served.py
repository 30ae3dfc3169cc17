"""The routes of the API's resources at access, made from what each resource declares."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import falcon.asgi

from bailiwick.access import browser
from bailiwick.access.fanout import balance, everywhere, lists, search, stream
from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound, receive, target_of
from bailiwick.access.naming import missing, named
from bailiwick.access.nodes.hop import give, require_region, send_home
from bailiwick.access.payments import Ask, Create
from bailiwick.access.uploads import Download, Upload
from bailiwick.base.errors import ApiError
from bailiwick.interlink import event_stream
from bailiwick.interlink.resource import (
    ById,
    ByParam,
    Everywhere,
    Located,
    Merged,
    OfWorld,
    Path,
    Placed,
    Refused,
    Resource,
    Searched,
    Summed,
    Uploaded,
)
from bailiwick.topology.topology import Node
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import parse_body, parse_form
from bailiwick.wire.protocol import read_body

Request = falcon.asgi.Request
Response = falcon.asgi.Response
Answering = Callable[..., Awaitable[None]]


class Served:
    """What answers at one path: Falcon finds a responder for each method."""

    on_options: Answering


def mount(app: Any, front: Front, every: list[Resource]) -> None:
    """Serve the paths of resources."""
    prefixes = "|".join(name for each in every for name in (each.prefix, *each.older) if name)
    shapes = re.compile(rf"(?:{prefixes})_[A-Za-z0-9_]{{1,255}}")
    for resource in every:
        for path in resource.paths:
            app.add_route(path.template, _served(front, resource, path, shapes))


def _served(front: Front, of: Resource, path: Path, shapes: re.Pattern[str]) -> Served:
    made = Served()
    for method, where in path.methods.items():
        answering = _answering(front, of, where, public=method in path.public)
        # What lives everywhere has no routes beside its ids: it says itself that there is none.
        if "{" in path.template and not isinstance(where, Refused | Everywhere):
            answering = _of_ids(answering, shapes)
        setattr(made, f"on_{method.lower()}", answering)
    if path.public:
        made.on_options = _preflight(path)
    return made


def _of_ids(answering: Answering, shapes: re.Pattern[str]) -> Answering:
    """The same for what looks like an id of ours or of Stripe's; anything else is the name of a
    route that there is not, such as ``/v1/refunds/search``."""

    async def answer(request: Request, response: Response, **named: str) -> None:
        for identifier in named.values():
            if shapes.fullmatch(identifier) is None:
                raise falcon.HTTPRouteNotFound
        await answering(request, response, **named)

    return answer


def _preflight(path: Path) -> Answering:
    shared = path.public[0]
    others = [method for method in path.methods if method != shared]

    async def on_options(request: Request, response: Response, **_: str) -> None:
        browser.preflight(response, shared, *others)

    return on_options


def _answering(front: Front, of: Resource, where: object, *, public: bool) -> Answering:
    """Who answers requests of one method."""
    match where:
        case ById():
            return _by_id(front, where, public=public)
        case ByParam():
            return _by_param(front, where)
        case Uploaded():
            return Upload(front, where).on_post
        case Placed():
            return Create(front, moves=where.moves, always=where.always).on_post
        case Located():
            return Ask(front, public=public).on_get
        case Merged():
            return _merged(front, streamed=where.streamed)
        case Summed():
            return _summed(front)
        case Searched():
            return _searched(front)
        case Everywhere():
            return _everywhere(front, of, where.action)
        case OfWorld():
            return _of_world(front, where)
        case Refused():
            return _refused(front, where)
        case _:
            raise TypeError(f"nobody knows where {where!r} is")


def _by_id(front: Front, where: ById, *, public: bool) -> Answering:
    if where.answer_bytes:
        return Download(front, where).on_get

    async def answer(request: Request, response: Response, identifier: str, **_: str) -> None:
        inbound = receive(front, request, response, public=public)
        node = front.node_for(identifier, where.prefix, where.object)
        await _forward(front, request, response, node, inbound, identifier)

    return answer


async def _forward(
    front: Front,
    request: Request,
    response: Response,
    node: Node,
    inbound: Inbound,
    identifier: str,
) -> None:
    """Forward as it is, to the node of what the request is about."""
    await require_region(front, node, inbound, identifier)
    body = b"" if request.method == "GET" else await read_body(request)
    target = target_of(request)
    give(response, await send_home(front, node, inbound, request.method, target, body))


def _by_param(front: Front, where: ByParam) -> Answering:
    async def answer(request: Request, response: Response) -> None:
        inbound = receive(front, request, response)
        body = await read_body(request)
        params = parse_body(request.content_type, body)
        found = named(front, where.names, params)
        if found is None:
            raise missing(where.names)
        node, identifier = found
        await require_region(front, node, inbound, identifier)
        target = target_of(request)
        give(response, await send_home(front, node, inbound, request.method, target, body))

    return answer


def _merged(front: Front, *, streamed: bool) -> Answering:
    async def answer(request: Request, response: Response) -> None:
        inbound = receive(front, request, response)
        if streamed and event_stream.wanted(request.get_header("Accept")):
            await stream.stream_all(front, inbound, request, response)
        else:
            await lists.list_all(front, inbound, request, response)

    return answer


def _summed(front: Front) -> Answering:
    async def answer(request: Request, response: Response) -> None:
        await balance.add_up(front, receive(front, request, response), request, response)

    return answer


def _searched(front: Front) -> Answering:
    async def answer(request: Request, response: Response) -> None:
        await search.search_all(front, receive(front, request, response), request, response)

    return answer


def _of_world(front: Front, where: OfWorld) -> Answering:
    async def answer(request: Request, response: Response, identifier: str | None = None) -> None:
        inbound = receive(front, request, response)
        query = parse_form(request.scope["query_string"])
        json_answer(response, where.show(inbound.principal, identifier, query))

    return answer


def _refused(front: Front, where: Refused) -> Answering:
    async def answer(request: Request, response: Response, **_: str) -> None:
        receive(front, request, response)
        raise ApiError.invalid(where.remedy)

    return answer


def _everywhere(front: Front, of: Resource, action: str) -> Answering:
    async def answer(request: Request, response: Response, identifier: str | None = None) -> None:
        inbound = receive(front, request, response)
        if request.method == "GET":
            query = request.scope["query_string"]
            await everywhere.read(front, of, inbound, response, identifier, query)
            return
        body = await read_body(request)
        if identifier is None:
            await everywhere.create(front, of, inbound, response, body)
        elif action:
            await everywhere.act(front, of, inbound, response, action, identifier, body)
        else:
            await everywhere.change(front, of, inbound, response, request.method, identifier, body)

    return answer
