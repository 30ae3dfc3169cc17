"""JSON answers and errors of a Falcon application, in the one shape that clients know."""

from typing import Any

import falcon
import falcon.asgi
import msgspec

from bailiwick.base.cards import maybe_card, without_cards
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_request_id
from bailiwick.runtime import telemetry
from bailiwick.wire.heads import unrecognized
from bailiwick.wire.nearest import Nearest

log = telemetry.logger()
_encode = msgspec.json.Encoder().encode


def json_answer(response: falcon.asgi.Response, value: Any, status: int = 200) -> None:
    """Answer with a JSON document."""
    response.status = status
    response.content_type = "application/json"
    response.data = _encode(value)


def error_answer(response: falcon.asgi.Response, error: ApiError) -> None:
    """Answer with an error: body, ``Stripe-Should-Retry`` and the error's own headers.

    A ``request-id`` that the handler has set already is kept.
    """
    if response.get_header("request-id") is None:
        response.set_header("request-id", new_request_id())
    response.set_header("stripe-should-retry", "true" if error.retry else "false")
    for name, value in error.headers.items():
        response.set_header(name, value)
    body = error.body()
    # Messages name what was sent: a country, an id, a name. None of them is repeated as a card.
    for name in ("message", "param"):
        if name in body["error"] and maybe_card(body["error"][name]):
            body["error"][name] = without_cards(body["error"][name])
    json_answer(response, body, error.status)


def from_http_error(
    error: falcon.HTTPError, request: falcon.asgi.Request, nearest: Nearest | None = None
) -> ApiError:
    """Falcon's own refusals (unknown route, wrong method, bad header) in our shape."""
    status = int(error.status_code)
    if status == 404:
        near = None if nearest is None else nearest.of(request.method, request.path)
        return unrecognized(request.method, request.path, near)
    message = error.description or error.title or "The request is not valid."
    headers = {k: v for k, v in dict(error.headers or {}).items() if k.lower() == "allow"}
    if status == 405:
        message = f"{request.method} is not possible on this URL.{_possible(headers)}"
    if status >= 500:
        return ApiError.defect()
    fault = ApiError.invalid(message, code=None, status=status)
    fault.headers = headers
    return fault


def _possible(headers: dict[str, str]) -> str:
    """What the header Allow says, in words."""
    allowed = ", ".join(headers.values()).split(", ")
    methods = sorted(each for each in allowed if each and each != "OPTIONS")
    return f" Possible: {', '.join(methods)}." if methods else ""


async def _on_api_error(
    request: falcon.asgi.Request,
    response: falcon.asgi.Response,
    error: ApiError,
    params: dict[str, Any],
) -> None:
    error_answer(response, error)


async def _on_defect(
    request: falcon.asgi.Request,
    response: falcon.asgi.Response,
    error: Exception,
    params: dict[str, Any],
) -> None:
    error_answer(response, ApiError.defect())
    log.error(
        "defect",
        error=error,
        request_id=response.get_header("request-id"),
        method=request.method,
        route=request.uri_template,
    )


def install_errors(app: Any, nearest: Nearest | None = None) -> None:
    """Make an application answer every error in our shape. ``nearest``: its routes, of which one
    that may be meant is named to who asks for none of them."""

    async def on_http_error(
        request: falcon.asgi.Request,
        response: falcon.asgi.Response,
        error: falcon.HTTPError,
        params: dict[str, Any],
    ) -> None:
        error_answer(response, from_http_error(error, request, nearest))

    app.add_error_handler(Exception, _on_defect)
    app.add_error_handler(falcon.HTTPError, on_http_error)
    app.add_error_handler(ApiError, _on_api_error)
