"""Access tokens by client credentials: what is asked, and what of an answer is believed."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.channels.blocks.oauth import SECONDS_MAX, TOKEN, ClientCredentials, bearer
from bailiwick.channels.contract import Account, NotPrepared, Prepared, Refused, Reply

ACCOUNT = Account(
    "g", "https://provider.test/v1/", {"client_id": "me & you", "client_secret": "s:cr/t+ü"}
)
USUAL = ClientCredentials("Acme", "/oauth/token")
GRANT = {"grant_type": "client_credentials"}
GOOD: dict[str, Any] = {"access_token": "A1-._~+/x==", "token_type": "Bearer", "expires_in": 3600}


def reply(body: Any, status: int = 200) -> Reply:
    return Reply(status, {}, json.dumps(body).encode())


def test_by_basic() -> None:
    request = USUAL.request(ACCOUNT)
    assert (request.method, request.url) == ("POST", "https://provider.test/v1/oauth/token")
    scheme, _, shown = request.headers["authorization"].partition(" ")
    # RFC 6749 section 2.3.1: both are encoded as form values first.
    assert (scheme, base64.b64decode(shown)) == ("Basic", b"me+%26+you:s%3Acr%2Ft%2B%C3%BC")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.body == b"grant_type=client_credentials"


def test_by_body() -> None:
    by_body = ClientCredentials("Acme", "/t", shown="body", scope="pay refund")
    request = by_body.request(ACCOUNT)
    assert "authorization" not in request.headers
    told = {name: values for name, (values,) in parse_qs(request.body.decode()).items()}
    client = {"client_id": "me & you", "client_secret": "s:cr/t+ü"}
    assert told == {**GRANT, **client, "scope": "pay refund"}


def test_by_a_read_with_other_names_of_secrets() -> None:
    account = Account("g", "https://p.test", {"consumer_key": "k", "consumer_secret": "s"})
    block = ClientCredentials(
        "M", "/generate", client="consumer_key", secret="consumer_secret", method="GET"
    )
    request = block.request(account)
    assert (request.method, request.body) == ("GET", b"")
    parts = urlsplit(request.url)
    assert (parts.path, parts.query) == ("/generate", "grant_type=client_credentials")
    assert base64.b64decode(request.headers["authorization"].split()[1]) == b"k:s"


def test_the_example_of_the_standard() -> None:
    """RFC 6749 section 4.4.3."""
    body = {"access_token": "2YotnFZFEjr1zCsicMWpAA", "token_type": "example",
            "expires_in": 3600, "example_parameter": "example_value"}  # fmt: skip
    told = USUAL.read(reply(body))
    assert isinstance(told, Refused) and "no bearer's" in told.reason
    told = USUAL.read(reply({**body, "token_type": "bearer"}))
    assert told == Prepared({TOKEN: "2YotnFZFEjr1zCsicMWpAA"}, 3_600_000)


@pytest.mark.parametrize(
    ("change", "lasts_ms"),
    [
        ({}, 3_600_000),
        ({"token_type": "BEARER"}, 3_600_000),
        ({"expires_in": "3599"}, 3_599_000),
        ({"expires_in": 1}, 1_000),
        ({"expires_in": SECONDS_MAX}, SECONDS_MAX * 1_000),
    ],
)
def test_what_is_a_token(change: dict[str, Any], lasts_ms: int) -> None:
    assert USUAL.read(reply({**GOOD, **change})) == Prepared({TOKEN: "A1-._~+/x=="}, lasts_ms)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"access_token": ""}, "no access token"),
        ({"access_token": None}, "no access token"),
        ({"access_token": "two words"}, "no access token"),
        ({"access_token": "a\r\nx: y"}, "no access token"),
        ({"access_token": "a\n"}, "no access token"),
        ({"access_token": "a" * 8_193}, "no access token"),
        ({"token_type": None}, "no bearer's"),
        ({"token_type": "mac"}, "no bearer's"),
        ({"expires_in": None}, "expires_in"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": -1}, "expires_in"),
        ({"expires_in": SECONDS_MAX + 1}, "expires_in"),
        ({"expires_in": "soon"}, "expires_in"),
        ({"expires_in": "1e3"}, "expires_in"),
        ({"expires_in": "٣"}, "expires_in"),
        ({"expires_in": 1.5}, "no access token"),
        ({"expires_in": True}, "no access token"),
    ],
)
def test_what_is_none(change: dict[str, Any], reason: str) -> None:
    told = USUAL.read(reply({**GOOD, **change}))
    assert isinstance(told, Refused) and reason in told.reason
    assert "base_url" in told.remedy


def test_a_provider_that_says_less() -> None:
    short = ClientCredentials("M", "/t", typed=False, usual_s=60)
    assert short.read(reply({"access_token": "abc"})) == Prepared({TOKEN: "abc"}, 60_000)
    told = short.read(reply({"access_token": "abc", "token_type": "mac"}))
    assert isinstance(told, Refused), "what it says is heard all the same"


@pytest.mark.parametrize(
    ("status", "body", "reason", "remedy"),
    [
        (401, {"error": "invalid_client"}, "(401: invalid_client)", "secrets.client_secret"),
        (400, {"error": "invalid_scope"}, "(400: invalid_scope)", "secrets.client_id"),
        (401, "go away", "(401)", "secrets.client_id"),
        (401, {"error": "Bearer abc\n<script>"}, "(401)", "secrets.client_id"),
        (400, {}, "answered 400", "asked again"),
        (429, {"error": "slow_down"}, "answered 429", "asked again"),
        (500, GOOD, "answered 500", "asked again"),
        (302, {}, "answered 302", "asked again"),
    ],
)
def test_what_is_refused(status: int, body: Any, reason: str, remedy: str) -> None:
    told = USUAL.read(reply(body, status))
    assert isinstance(told, Refused) and told.reason.startswith("Acme ")
    assert reason in told.reason and remedy in told.remedy


@given(st.integers(0, 999), st.binary() | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.dictionaries(st.sampled_from([*GOOD, "error"]), inner),
).map(lambda found: json.dumps(found).encode()))  # fmt: skip
def test_nothing_raises(status: int, body: bytes) -> None:
    told = USUAL.read(Reply(status, {}, body))
    assert isinstance(told, Prepared | Refused)
    assert status == 200 or isinstance(told, Refused)


def test_the_token_is_shown_and_hidden() -> None:
    with pytest.raises(NotPrepared, match="token is not prepared"):
        bearer(ACCOUNT)
    account = Account("g", "https://p.test", {}, prepared={"token": {TOKEN: "sesame"}})
    assert bearer(account)["authorization"] == "Bearer sesame"
    assert "sesame" not in repr(account)
    told = USUAL.read(reply(GOOD))
    assert GOOD["access_token"] not in repr(told)
