"""Access tokens that end: for providers whose API key is shown to get one, and nowhere else."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote_plus

from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.faults import Fault
from bailiwick_sandbox.operations import Done
from bailiwick_sandbox.web.exchange import Exchange, answer

if TYPE_CHECKING:
    from bailiwick_sandbox.service import Service

PATH = ["oauth", "token"]
_GRANT = ["client_credentials"]
_BEARER = b"Bearer "


class TokenDesk:
    """The tokens of a service's providers, by OAuth 2 client credentials (RFC 6749 section 4.4):
    the client's id is the provider's name, its secret the API key."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._until: dict[tuple[str, str], float] = {}

    async def grant(self, exchange: Exchange, ledger: Ledger, shown: bytes, body: bytes) -> None:
        """POST /{provider}/oauth/token; ``shown``: the header that authenticates."""
        act = partial(self._grant, ledger, shown, body)
        await self._service.perform(exchange, ledger, "token", act, None)

    def _grant(self, ledger: Ledger, shown: bytes, body: bytes, fault: Fault | None) -> Done:
        provider = ledger.provider
        client = f"{quote_plus(provider.name)}:{quote_plus(provider.api_key)}".encode()
        if not hmac.compare_digest(shown, b"Basic " + base64.b64encode(client)):
            return Done(answer({"error": "invalid_client"}, 401), None)
        if parse_qs(body.decode("latin-1")).get("grant_type") != _GRANT:
            return Done(answer({"error": "unsupported_grant_type"}, 400), None)
        token, lasts_s = secrets.token_urlsafe(24), provider.token_lasts_ms / 1_000
        now = time.monotonic()
        self._until = {each: until for each, until in self._until.items() if until > now}
        self._until[ledger.name, token] = now + lasts_s
        granted = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": max(1, int(lasts_s)),
        }
        return Done(answer(granted), None)

    def good(self, ledger: Ledger, shown: bytes) -> bool:
        """Whether a header shows a token of this provider that has not ended."""
        if not shown.startswith(_BEARER):
            return False
        token = shown.removeprefix(_BEARER).decode("latin-1")
        return self._until.get((ledger.name, token), 0.0) > time.monotonic()

    def revoke(self) -> int:
        """End all tokens; returns how many there were."""
        ended = len(self._until)
        self._until.clear()
        return ended
