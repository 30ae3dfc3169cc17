"""What a browser on a merchant's page may ask and read: cross-origin sharing (the Fetch standard,
https://fetch.spec.whatwg.org/#http-cors-protocol) on the routes that take a publishable key.

A publishable key is in every payer's browser, so any page may use it: the origin is ``*``, and
there are no cookies to be allowed (``Access-Control-Allow-Credentials`` is never sent). A secret
key has no business in a browser: what is answered to it cannot be read by one.
"""

import falcon.asgi

_MAX_AGE_S = 7200
"""How long a browser may remember a preflight; Chromium keeps none longer."""

_SENT = (
    "authorization, content-type, idempotency-key, stripe-account, stripe-version, traceparent, "
    "x-stripe-client-telemetry, x-stripe-client-user-agent"
)
_READ = (
    "request-id, idempotent-replayed, stripe-should-retry, retry-after, ratelimit, ratelimit-policy"
)


def share(response: falcon.asgi.Response) -> None:
    """Let the page read this answer."""
    response.set_header("access-control-allow-origin", "*")
    response.set_header("access-control-expose-headers", _READ)


def preflight(response: falcon.asgi.Response, shared: str, *others: str) -> None:
    """Answer OPTIONS of a route that pages may ask with the method ``shared``; ``others``: what
    else a server may do there."""
    response.status = 204
    response.set_header("allow", ", ".join((shared, *others, "OPTIONS")))
    response.set_header("access-control-allow-origin", "*")
    response.set_header("access-control-allow-methods", shared)
    response.set_header("access-control-allow-headers", _SENT)
    response.set_header("access-control-max-age", str(_MAX_AGE_S))
