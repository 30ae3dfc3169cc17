"""New events, found by asking for those of the last minute; each is posted once."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from bailiwick.cli.client import Target
from bailiwick.delivery.event_types import known, matching
from bailiwick.delivery.webhooks import USER_AGENT, signatures

TIMEOUT_S = 15.0
OVERLAP_S = 60
"""Events are asked for from so long before the newest that was seen: over several nodes they do not
become visible in the order of their times."""
PAGE = 100


class Unusable(Exception):
    """It cannot go on; says why, and what to do."""


class Silent(Exception):
    """No answer for the moment."""


class Happened(NamedTuple):
    """An event, and how the server on this machine answered; ``about``: the object's id."""

    event: str
    type: str
    about: str
    created: int
    status: int | None
    failure: str | None
    duration_ms: int


def secret_of(key: str) -> str:
    """The signing secret of what is forwarded with this API key: the same at each run, and of no
    endpoint."""
    digest = hmac.new(key.encode(), b"bailiwick listen", hashlib.sha256).hexdigest()
    return "whsec_" + digest[:48]


class _Peer:
    """One HTTP server, its connection kept alive."""

    def __init__(self, url: str, what: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise Unusable(f"{what} {url!r} must be like http://localhost:3000/hooks")
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self.url = url
        self.path = parts.path or "/"
        if parts.query:
            self.path += f"?{parts.query}"
        self._connection = kind(parts.hostname, port, timeout=TIMEOUT_S)

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Status and body. Raises Silent."""
        for last in (False, True):
            fresh = self._connection.sock is None
            try:
                self._connection.request(method, path, body, headers)
                answer = self._connection.getresponse()
                return answer.status, answer.read()
            except TimeoutError:
                self._connection.close()
                raise Silent(f"none within {TIMEOUT_S:.0f} s") from None
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                # One that was kept alive may have been closed meanwhile; that is no answer yet.
                reused = isinstance(error, http.client.RemoteDisconnected) and not fresh
                if last or not reused:
                    raise Silent(str(error) or type(error).__name__) from None
        raise AssertionError


class Listener:
    """Asks for events and forwards the new ones.

    Raises (all methods):
        Unusable: wrong address, key or type.
    """

    def __init__(self, api: Target, forward_to: str | None, types: Sequence[str]) -> None:
        self._api = _Peer(api.base_url, "--base-url")
        self._key = api.key
        self._secret = secret_of(api.key)
        self._sink = None if forward_to is None else _Peer(forward_to, "--forward-to")
        self._types: set[str] | None = None
        if types:
            self._types = set()
            for each in types:
                some = set(matching(each)) & known()
                if not some:
                    raise Unusable(f"no event type is called {each!r}")
                self._types |= some
        self._since_s = 0
        self._newest_s = 0
        self._seen: dict[str, int] = {}
        self._words: list[str] = []
        self._trouble = ""

    def begin(self) -> None:
        """Take note of what has happened already. Raises Unusable also when there is no answer."""
        try:
            newest = self._page({"limit": "1"})["data"]
            if newest:
                self._since_s = self._newest_s = int(newest[0]["created"])
                self._take(list(self._new()))
        except Silent as error:
            raise Unusable(f"no answer from {self._api.url}: {error}") from None

    def step(self) -> Iterator[Happened]:
        """Forward what is new, the oldest first."""
        try:
            found = sorted(self._new(), key=lambda each: str(each["id"]))
        except Silent as error:
            self._say(f"no answer from {self._api.url}: {error}; asking again")
            return
        for each in found:
            self._take([each])
            if self._types is None or each["type"] in self._types:
                yield self._forward(each)
        self._forget()

    def words(self) -> list[str]:
        """What there is to say since the last time."""
        said, self._words = self._words, []
        return said

    def _say(self, word: str) -> None:
        if word and word != self._trouble:
            self._words.append(word)
        self._trouble = word

    def _new(self) -> Iterator[dict[str, Any]]:
        """Events that were not seen yet, newest first."""
        since_s = max(self._since_s, self._newest_s - OVERLAP_S)
        query = {"limit": str(PAGE), "created[gte]": str(since_s)}
        while True:
            page = self._page(query)
            yield from (each for each in page["data"] if each["id"] not in self._seen)
            if not page["has_more"]:
                return
            query["starting_after"] = page["data"][-1]["id"]

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        path = "/v1/events?" + urlencode({**query, "partial": "allow"})
        status, raw = self._api.ask("GET", path, {"Authorization": f"Bearer {self._key}"})
        try:
            page = json.loads(raw)
        except ValueError:
            raise Silent(f"{status} without JSON") from None
        if status >= 500 or status == 429:
            raise Silent(f"{status} {page.get('error', {}).get('message', '')}")
        if status != 200:
            raise Unusable(f"{status}: {page.get('error', {}).get('message', 'no message')}")
        holes = [*page.get("unavailable_nodes", []), *page.get("nodes_of_other_regions", [])]
        self._say(f"events of these nodes are missing for now: {', '.join(holes)}" if holes else "")
        return dict(page)

    def _take(self, events: Sequence[dict[str, Any]]) -> None:
        for each in events:
            self._seen[each["id"]] = int(each["created"])
            self._newest_s = max(self._newest_s, int(each["created"]))

    def _forget(self) -> None:
        """Let go of ids that are not asked for any more."""
        oldest = self._newest_s - OVERLAP_S
        if any(created < oldest for created in self._seen.values()):
            self._seen = {name: at for name, at in self._seen.items() if at >= oldest}

    def _forward(self, event: dict[str, Any]) -> Happened:
        about = str(event.get("data", {}).get("object", {}).get("id", ""))
        name, type_, created = str(event["id"]), str(event["type"]), int(event["created"])
        if self._sink is None:
            return Happened(name, type_, about, created, None, None, 0)
        body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
        headers = signatures([self._secret], name, body, int(time.time()))
        headers |= {"Content-Type": "application/json", "User-Agent": USER_AGENT}
        began, status, failure = time.perf_counter(), None, None
        try:
            status, _ = self._sink.ask("POST", self._sink.path, headers, body)
        except Silent as error:
            failure = str(error)
        took_ms = int((time.perf_counter() - began) * 1000)
        return Happened(name, type_, about, created, status, failure, took_ms)
