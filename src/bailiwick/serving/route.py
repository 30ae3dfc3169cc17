"""What all routes share: who asks, what for and under which key; admitted, done once, answered."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar, cast

import falcon.asgi
import msgspec

from bailiwick.admission.load import Overloaded
from bailiwick.base.cards import is_card_key, maybe_card
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.keys import check_key, fresh_key, of_payer, request_hash
from bailiwick.base.objects import Object
from bailiwick.idempotency.requests import Answer, IdempotentRequest, Refused
from bailiwick.interlink import head
from bailiwick.interlink.authenticate import authenticate, check_secret
from bailiwick.interlink.refusals import NO_GATEWAY, stored
from bailiwick.interlink.resource import OfWorld, Path, Resource
from bailiwick.interlink.resource import Refused as RefusedThere
from bailiwick.runtime.telemetry import Metrics
from bailiwick.serving.card_check import refuse_cards
from bailiwick.serving.context import NodeContext
from bailiwick.serving.params import Delete, Retrieve
from bailiwick.topology.merchants import Principal
from bailiwick.wire.answers import error_answer, json_answer
from bailiwick.wire.forms import Params, parse_body, parse_form, struct_from
from bailiwick.wire.protocol import read_body

Request = falcon.asgi.Request
Response = falcon.asgi.Response
T = TypeVar("T", bound=msgspec.Struct)


class Expanding(Protocol):
    """A request that may ask for objects in the place of ids."""

    @property
    def expand(self) -> list[str]:
        """What to expand."""


W = TypeVar("W", bound=Expanding)
METRICS = Metrics()
"""Of the node; see ``node.metrics``."""
REFUSED = METRICS.counter(
    "node_refused_total", "New payments refused by tombstone, by reason.", ["reason"]
)
Mounted = tuple[str, object, str]
"""Where a route goes: its template, who answers, and the suffix of their methods, or none."""
_VERSION = head.VERSION.lower()
_REFUSED_CHARS_MAX = 4_096
"""How much of a request that is wrong anyway is searched for a card number, to tell that first."""


Undone = Mapping[str, str]
"""Parameters of the format that are not done here, and what to do instead."""


async def parameters(
    request: Request, kind: type[T], undone: Undone | None = None
) -> tuple[Params, T]:
    """The parameters of a body, raw and typed: names and lengths are checked, texts not yet read.

    Raises:
        ApiError: 400 naming the field; for a card number where none is expected, and for what is
            ``undone``, what to do instead.
    """
    params = parse_body(request.content_type, await read_body(request))
    return params, typed(params, kind, undone)


def typed(params: Params, kind: type[T], undone: Undone | None = None) -> T:
    """Raw parameters as typed ones; the same errors."""
    try:
        for name in undone or ():
            if undone and _given(params, name):
                raise ApiError.invalid(
                    f"{name} is not supported: {undone[name]}.",
                    param=name,
                    code="parameter_unsupported",
                )
        return struct_from(params, kind)
    except ApiError:
        refuse_cards(params, chars_max=_REFUSED_CHARS_MAX)
        raise


def _given(params: Params, name: str) -> bool:
    """Whether there is a parameter of this name, such as ``evidence[receipt]``."""
    outer, _, inner = name.rstrip("]").partition("[")
    found = params.get(outer)
    return isinstance(found, dict) and inner in found if inner else outer in params


async def checked(
    request: Request, kind: type[T], undone: Undone | None = None
) -> tuple[Params, T]:
    """The same, without card numbers. Raises ApiError."""
    params, wish = await parameters(request, kind, undone)
    check_cards(params)
    return params, wish


def check_cards(params: Params) -> None:
    """Refuse card numbers in parameters that are as long as they may be. Raises ApiError."""
    if params and maybe_card(str(params)):
        refuse_cards(params)


def query(request: Request) -> Params:
    """The parameters of a query string. Raises ApiError."""
    return parse_form(request.query_string.encode("latin-1")) if request.query_string else {}


async def check_bare(request: Request) -> None:
    """Refuse what a request to delete cannot carry, in its address or its body. Raises ApiError."""
    _, wish = await checked(request, Delete)
    for found in (wish, struct_from(query(request), Delete)):
        check_expand(found.expand, NOTHING)


def principal(request: Request, node: NodeContext, *, public: bool = False) -> Principal:
    """On whose behalf a request comes; ``public``: a publishable key will do.

    Raises:
        ApiError: 401 without a known key, 403 for a publishable one where it may not be used and
            for a restricted one without the permission,
            400 for a version that is not rendered and for another account than the key's.
    """
    headers = request.headers
    who = getattr(request.context, "who", None)
    if who is None:
        header = headers.get("authorization")
        who = authenticate(header, node.world.merchants, public=public)
    elif not public:
        check_secret(who)
    if who.grants is not None:
        asked_for = request.query_string.encode("latin-1")
        node.permissions.require(who, request.uri_template or "", request.method, asked_for)
        request.context.permissions = node.permissions
    head.check_account(headers)
    head.version_of(who, headers.get(_VERSION))
    return who


def asked(
    request: Request,
    who: Principal,
    operation: str,
    target: str,
    params: Params,
    expand: list[str],
) -> IdempotentRequest:
    """The identity of an idempotent request; without a key it gets one of its own.

    The keys of a publishable key are those of the payer of one payment: nobody else's request is
    taken for a repetition of theirs, and they use up no key of the merchant's server.

    Raises:
        ApiError: 400, the key is none (see ``check_key``), or holds a card number. 403, a
            restricted key may not read what is to be expanded.
    """
    if who.grants is not None:
        request.context.permissions.require_expand(who, expand)
    headers = request.headers
    key = headers.get("idempotency-key")
    if key is None:
        key = fresh_key(now_ms())
    else:
        check_key(key)
        if is_card_key(key):
            raise ApiError.invalid(
                "Idempotency-Key holds a card number: make it of something else, such as a UUID.",
                param="Idempotency-Key",
                code="idempotency_key_invalid",
            )
        if who.kind != "secret":
            key = of_payer(target, key)
    return IdempotentRequest(
        who.merchant,
        who.livemode,
        key,
        request_hash(operation, target, params),
        operation,
        expand,
        headers.get("request-id", ""),
        region(request),
    )


def region(request: Request) -> int:
    """In whose region the access process stands that asks; 0 where none was told."""
    text = request.headers.get("bailiwick-region", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0


NOTHING: frozenset[str] = frozenset()
"""What can be expanded where nothing can."""


def check_expand(expand: list[str], allowed: frozenset[str]) -> None:
    """Refuse what cannot be expanded. Raises ApiError (400)."""
    for wish in expand:
        if wish not in allowed:
            able = ", ".join(sorted(allowed)) or "nothing here"
            raise ApiError.invalid(
                f"This property cannot be expanded ({wish}). You can expand: {able}.",
                param="expand",
            )


class _OfKind(msgspec.Struct):
    object: str


class Route:
    """What all routes share: admission, the usage report, refusals."""

    def __init__(self, node: NodeContext) -> None:
        self.node = node

    async def identified(
        self,
        request: Request,
        of: Resource,
        kind: type[W],
        operation: str,
        target: str,
        undone: Undone | None = None,
    ) -> tuple[IdempotentRequest, W]:
        """The identity of a POST that needs a secret key, and what it carries, checked.

        ``of``: whose object the answer shows. Raises ApiError.
        """
        who = principal(request, self.node)
        params, wish = await checked(request, cast(Any, kind), undone)
        self.node.expansion.wished(wish.expand, of.object)
        return asked(request, who, operation, target, params, wish.expand), wish

    async def answer(
        self,
        response: Response,
        asked: IdempotentRequest,
        work: Callable[[], Awaitable[Answer]],
        shed: Callable[[str], Awaitable[Answer]] | None = None,
        *,
        seen_room: bool = False,
    ) -> None:
        """Do an idempotent request once and answer it.

        ``shed``: for new payments, what to do instead when ``Load.refusal`` says why.
        """
        load = self.node.load

        async def admitted() -> Answer:
            if shed is None:
                load.check_reserve()
            elif (reason := load.refusal(seen_room=seen_room)) is not None:
                return await shed(reason)
            with load.working(new=shed is not None):
                return await work()

        failed = False
        try:
            answer = await self.node.machine.keys.once(asked, admitted)
        except Refused as refused:
            self._refuse(response, asked, refused.reason)
            return
        except ApiError as error:
            ours = not isinstance(error, Overloaded) and error.code != NO_GATEWAY
            failed = error.status >= 500 and ours
            raise
        except Exception:
            failed = True
            raise
        finally:
            load.ended(failed)
        body = bytes(answer.body)
        if asked.expand and answer.status == 200:
            body = await self._expanded(asked, body)
        response.status = answer.status
        response.content_type = "application/json"
        response.data = body
        if answer.replayed:
            response.set_header("Idempotent-Replayed", "true")
        if answer.status >= 400:
            response.set_header("Stripe-Should-Retry", "false")

    async def _expanded(self, asked: IdempotentRequest, body: bytes) -> bytes:
        """An answer with what is not kept in it, but was asked to be expanded."""
        kind = msgspec.json.decode(body, type=_OfKind).object
        wished = self.node.expansion.wished(asked.expand, kind)
        return await wished.filled(self.node.store, asked, asked.region, body)

    def _refuse(self, response: Response, asked: IdempotentRequest, reason: str) -> None:
        """A tombstone is committed: the answer carries the proof."""
        node, said = self.node, stored(reason, self.node.world.epoch)
        REFUSED.labels(reason=said.reason).inc()
        error = ApiError.unavailable(
            f"Node '{node.name}' refused this payment ({said.reason}) and will not take "
            "this key again: it may be sent to another node.",
            code=f"node_{said.reason}",
        )
        error_answer(response, error)
        token = node.refusals.token(node.number, said, asked.named)
        response.set_header("Bailiwick-Refusal", token)


async def show(
    node: NodeContext, request: Request, response: Response, who: Principal, it: Object
) -> None:
    """Answer a GET with one object, and with what is to be expanded in it.

    Raises:
        ApiError: 400, something that cannot be expanded.
    """
    given = query(request).get("expand")
    if given is not None:
        expand = struct_from({"expand": given}, Retrieve).expand
        wished = node.expansion.wished(expand, it["object"])
        await wished.fill(node.store, who, region(request), [it])
    json_answer(response, it)


class Reader(Route):
    """A GET of one thing."""

    def __init__(self, node: NodeContext, read: Callable[..., Awaitable[Any]]) -> None:
        super().__init__(node)
        self._read = read

    async def on_get(self, request: Request, response: Response, **named: str) -> None:
        """Retrieve."""
        who = principal(request, self.node)
        params = query(request)
        shown = await self._read(self.node, who, *named.values(), params)
        await show(self.node, request, response, who, shown)


class Refusing(Route):
    """A path of which some methods are refused, with the remedy that its resource declares."""

    def __init__(self, node: NodeContext, path: Path) -> None:
        super().__init__(node)
        for method, where in path.methods.items():
            if isinstance(where, RefusedThere):
                setattr(self, f"on_{method.lower()}", self._refusing(where))

    def _refusing(self, where: RefusedThere) -> Callable[..., Awaitable[None]]:
        async def refuse(request: Request, response: Response, **_: str) -> None:
            principal(request, self.node)
            raise ApiError.invalid(where.remedy)

        return refuse


class FromWorld(Refusing):
    """A path whose object the World says, as its resource declares."""

    def __init__(self, node: NodeContext, path: Path) -> None:
        super().__init__(node, path)
        where = path.methods["GET"]
        assert isinstance(where, OfWorld), "it is mounted for that"
        self._show = where.show

    async def on_get(self, request: Request, response: Response, **named: str) -> None:
        """Retrieve."""
        who = principal(request, self.node)
        json_answer(response, self._show(who, named.get("identifier"), query(request)))


def refusals(node: NodeContext, of: Resource) -> Iterable[Mounted]:
    """The paths of a resource of which every method is refused: nobody else serves them."""
    for path in of.paths:
        if all(isinstance(where, RefusedThere) for where in path.methods.values()):
            yield path.template, Refusing(node, path), ""
