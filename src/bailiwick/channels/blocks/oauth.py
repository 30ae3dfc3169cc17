"""Access tokens by client credentials (OAuth 2, RFC 6749 section 4.4): a preparation. Pure."""

import re
from base64 import b64encode
from typing import Literal
from urllib.parse import quote_plus, urlencode

import msgspec

from bailiwick.channels.blocks import parsing, requests
from bailiwick.channels.contract import Account, Prepared, Refused, Reply, Request

TOKEN = "access_token"
"""The name of the value that such a preparation has."""
SECONDS_MAX = 366 * 86_400

_GRANT = {"grant_type": "client_credentials"}
_TEXT = re.compile(r"[A-Za-z0-9._~+/-]{1,8192}=*")  # RFC 6750 section 2.1
_SECONDS = re.compile(r"[0-9]{1,9}")


class Granted(msgspec.Struct, frozen=True):
    """A token as RFC 6749 section 5.1 has it; some providers write the seconds as a text."""

    access_token: str
    token_type: str | None = None
    expires_in: int | str | None = None


class Failure(msgspec.Struct, frozen=True):
    """The body of a refusal, section 5.2."""

    error: str


class ClientCredentials(msgspec.Struct, frozen=True):
    """How a provider gives tokens to who shows a client's id and secret.

    Attributes:
        who: the provider, as operators know it.
        path: of its token endpoint, at the account's address.
        client, secret: the names of the gateway's secrets.
        shown: in the header (``basic``) or in the form (``body``), section 2.3.1.
        method: ``GET``, where it wants the grant in the address.
        scope: what is asked for, if it must be said.
        typed: the answer has to say that the token is a bearer's.
        usual_s: how long a token lasts whose answer does not say so; None: it has to.
    """

    who: str
    path: str
    client: str = "client_id"
    secret: str = "client_secret"
    shown: Literal["basic", "body"] = "basic"
    method: Literal["POST", "GET"] = "POST"
    scope: str = ""
    typed: bool = True
    usual_s: int | None = None

    def request(self, account: Account) -> Request:
        """The request for a token."""
        form = {**_GRANT, **({"scope": self.scope} if self.scope else {})}
        client, secret = (account.secrets.get(each, "") for each in (self.client, self.secret))
        headers = {"accept": "application/json"}
        if self.shown == "basic":
            shown = f"{quote_plus(client)}:{quote_plus(secret)}".encode()
            headers["authorization"] = f"Basic {b64encode(shown).decode()}"
        else:
            form |= {"client_id": client, "client_secret": secret}
        url = requests.at(account, self.path)
        if self.method == "GET":
            return Request("GET", f"{url}?{urlencode(form)}", headers)
        headers["content-type"] = "application/x-www-form-urlencoded"
        return Request("POST", url, headers, urlencode(form).encode())

    def read(self, reply: Reply) -> Prepared | Refused:
        """The token in an answer, called ``TOKEN``; nothing that is not exactly one."""
        if reply.status != 200:
            return self._refused(reply)
        found = parsing.decode(reply.body, Granted)
        kind = None if found is None else found.token_type
        if found is None or _TEXT.fullmatch(found.access_token) is None:
            return self._unreadable("no access token")
        if (kind or "").lower() != "bearer" and (self.typed or kind is not None):
            return self._unreadable("a token that is no bearer's")
        seconds = self.usual_s if found.expires_in is None else _seconds(found.expires_in)
        if seconds is None or not 0 < seconds <= SECONDS_MAX:
            return self._unreadable("a token without a sound expires_in")
        return Prepared({TOKEN: found.access_token}, seconds * 1_000)

    def _refused(self, reply: Reply) -> Refused:
        failure = parsing.decode(reply.body, Failure)
        word = None if failure is None else parsing.word(failure.error)
        if reply.status in (401, 403) or (reply.status == 400 and word is not None):
            said = f": {word}" if word else ""
            return Refused(
                f"{self.who} refused the client credentials ({reply.status}{said})",
                f"correct secrets.{self.client} and secrets.{self.secret} of the gateway",
            )
        return Refused(
            f"{self.who} answered {reply.status} instead of a token",
            "it is asked again; if that goes on, check base_url",
        )

    def _unreadable(self, what: str) -> Refused:
        return Refused(f"{self.who} answered with {what}", "check base_url")


def bearer(account: Account, name: str = "token") -> dict[str, str]:
    """Headers that authenticate by the token of the preparation of this name.

    Raises:
        NotPrepared: there is none.
    """
    token = account.need(name)[TOKEN]
    return {"authorization": f"Bearer {token}", "accept": "application/json"}


def _seconds(told: int | str) -> int | None:
    if isinstance(told, int):
        return told
    return int(told) if _SECONDS.fullmatch(told) else None
