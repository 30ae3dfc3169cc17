"""Who may change how the sandbox behaves: programs and its own pages, not any page that a
browser on the same machine happens to show.

A page of another origin can send a form without asking first, and reach loopback under a name of
its own (DNS rebinding). It cannot send JSON unasked, nor hide where it comes from.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from bailiwick_sandbox.bank.records import Refusal
from bailiwick_sandbox.web.exchange import Scope

_OWN_SITES = (None, b"same-origin", b"none")


def refuse_other_origins(scope: Scope) -> None:
    """Raises Refusal 403 for what a page of another origin has sent, 415 for a body that such a
    page could send without asking."""
    refuse_other_pages(scope)
    kind = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if scope["method"] == "POST" and kind != b"application/json":
        raise Refusal(415, "content_type", "Must be application/json.", "Content-Type")


def refuse_other_pages(scope: Scope, public_url: str = "") -> None:
    """Raises Refusal 403 for what a page of another origin has sent, that of ``public_url`` not
    counted."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    scheme = str(scope.get("scheme", "http")).encode()
    own = {b"%b://%b" % (scheme, headers.get(b"host", b"").lower())}
    if public_url:
        public = urlsplit(public_url)
        own.add(f"{public.scheme}://{public.netloc}".lower().encode())
    if origin is not None and origin.lower() not in own:
        raise Refusal(403, "foreign_origin", "Pages of another origin may not do this.", "Origin")
    if headers.get(b"sec-fetch-site") not in _OWN_SITES:
        raise Refusal(
            403, "foreign_origin", "Pages of another origin may not do this.", "Sec-Fetch-Site"
        )


def refuse_other_hosts(scope: Scope, public_url: str) -> None:
    """Raises Refusal 403 for a Host that is no IP address, not localhost and not the name in
    ``public_url``: such a name may be made to mean this machine by anyone."""
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name = ""
    if name in ("localhost", (urlsplit(public_url).hostname or "localhost")):
        return
    try:
        ipaddress.ip_address(name)
    except ValueError:
        raise Refusal(
            403,
            "foreign_host",
            "Must be an IP address, localhost or the name in server.public_url.",
            "Host",
        ) from None
