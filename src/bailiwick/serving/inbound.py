"""What the node reads of a request: who asks, what for, and under which key."""

from typing import TypeVar

import falcon.asgi
import msgspec

from bailiwick.base.cards import is_card_key, maybe_card
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.keys import check_key, fresh_key, of_payer, request_hash
from bailiwick.idempotency.requests import IdempotentRequest
from bailiwick.interlink.authenticate import authenticate
from bailiwick.serving.card_check import refuse_cards
from bailiwick.serving.context import NodeContext
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, parse_body, parse_form, struct_from
from bailiwick.wire.protocol import read_body

T = TypeVar("T", bound=msgspec.Struct)


_REFUSED_CHARS_MAX = 4_096
"""How much of a request that is wrong anyway is searched for a card number, to tell that first."""


async def parameters(request: falcon.asgi.Request, kind: type[T]) -> tuple[Params, T]:
    """The parameters of a body, raw and typed: names and lengths are checked, texts not yet read.

    Raises:
        ApiError: 400 naming the field; for a card number where none is expected, what to send
            instead.
    """
    params = parse_body(request.content_type, await read_body(request))
    try:
        return params, struct_from(params, kind)
    except ApiError:
        refuse_cards(params, chars_max=_REFUSED_CHARS_MAX)
        raise


async def checked(request: falcon.asgi.Request, kind: type[T]) -> tuple[Params, T]:
    """The same, without card numbers. Raises ApiError."""
    params, wish = await parameters(request, kind)
    check_cards(params)
    return params, wish


def check_cards(params: Params) -> None:
    """Refuse card numbers in parameters that are as long as they may be. Raises ApiError."""
    if params and maybe_card(str(params)):
        refuse_cards(params)


def query(request: falcon.asgi.Request) -> Params:
    """The parameters of a query string. Raises ApiError."""
    return parse_form(request.query_string.encode("latin-1")) if request.query_string else {}


def principal(
    request: falcon.asgi.Request, node: NodeContext, *, public: bool = False
) -> Principal:
    """On whose behalf a request comes; ``public``: a publishable key will do.

    Raises:
        ApiError: 401 without a known key, 403 for a publishable one where it may not be used.
    """
    header = request.get_header("Authorization")
    return authenticate(header, node.world.merchants, public=public)


def asked(
    request: falcon.asgi.Request,
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
        ApiError: 400, the key is none (see ``check_key``), or holds a card number.
    """
    key = request.get_header("Idempotency-Key")
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
        request.get_header("request-id") or "",
    )


def region(request: falcon.asgi.Request) -> int:
    """In whose region the access process stands that asks; 0 where none was told."""
    text = request.get_header("Bailiwick-Region") or ""
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
