"""The sandbox's access tokens: got by the API key, good for a while, and gone when they end."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bailiwick_sandbox.config import Config, ConfigError, load, render
from tests.unit.test_sandbox_process import BANK, Json, Sandbox
from tests.waiting import PATIENCE_S, wait_until

LASTS_MS = {BANK: 3_600_000, "sepa-pay": 1}


class Tokens(Sandbox):
    """A sandbox of which two providers want tokens; the others take their key."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.stop()
        providers = [
            msgspec.structs.replace(each, token_lasts_ms=LASTS_MS.get(each.name, 0))
            for each in self.config.providers
        ]
        self.path.write_text(render(Config(providers, self.config.server)))
        self.start()

    def ask(self, method: str, path: str, shown: str, body: bytes = b"") -> tuple[int, Json]:
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Authorization": shown})
            response = connection.getresponse()
            told: Json = json.loads(response.read())
            return response.status, told

    def granted(
        self, secret: str = "", grant: bytes = b"client_credentials", name: str = BANK
    ) -> tuple[int, Json]:
        client = base64.b64encode(f"{name}:{secret or self.keys[name]}".encode()).decode()
        return self.ask("POST", f"/{name}/oauth/token", f"Basic {client}", b"grant_type=" + grant)

    def account(self, token: str, name: str = BANK) -> int:
        return self.ask("GET", f"/{name}/account", f"Bearer {token}")[0]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tokens]:
    made = Tokens(tmp_path_factory.mktemp("tokens"))
    yield made
    assert made.stop() == 0


def test_a_token_is_good_until_it_ends(bank: Tokens) -> None:
    status, told = bank.granted()
    assert (status, told["token_type"], told["expires_in"]) == (200, "Bearer", 3_600)
    token = told["access_token"]
    assert bank.account(token) == 200
    assert bank.granted()[1]["access_token"] != token
    assert bank.account(token) == 200, "as good as the newer one"
    _, told = bank.granted(name="sepa-pay")
    assert told["expires_in"] == 1
    wait_until(lambda: bank.account(told["access_token"], "sepa-pay") == 401)


def test_the_key_gets_a_token_and_nothing_else(bank: Tokens) -> None:
    assert bank.account(bank.keys[BANK]) == 401
    assert bank.granted("another-key-0001") == (401, {"error": "invalid_client"})
    assert bank.granted(grant=b"password") == (400, {"error": "unsupported_grant_type"})
    assert bank.ask("GET", f"/{BANK}/oauth/token", "Bearer x")[0] == 401
    token = bank.granted()[1]["access_token"]
    other = next(name for name in bank.keys if name not in LASTS_MS)
    assert bank.ask("GET", f"/{other}/account", f"Bearer {token}")[0] == 401
    assert bank.ask("GET", f"/{other}/account", f"Bearer {bank.keys[other]}")[0] == 200
    assert bank.call("POST", f"/{other}/oauth/token", b"")[0] == 404


def test_all_are_ended_at_once(bank: Tokens) -> None:
    tokens = [bank.granted()[1]["access_token"] for _ in range(2)]
    assert bank.call("DELETE", "/tokens")[1]["removed"] >= 2
    assert [bank.account(each) for each in tokens] == [401, 401]
    assert bank.call("GET", "/tokens")[0] == 405


@pytest.mark.parametrize(
    ("kind", "status"),
    [("error_500_before", 500), ("credentials_revoked", 401), ("rate_limited", 429)],
)
def test_its_faults(bank: Tokens, kind: str, status: int) -> None:
    before = bank.call("GET", "/books")[1]["calls"][BANK].get("token", 0)
    bank.fault("token", kind)
    assert bank.granted()[0] == status
    assert bank.granted()[0] == 200
    assert bank.call("GET", "/books")[1]["calls"][BANK]["token"] == before + 2


def test_what_lasts_less_than_nothing_is_refused(bank: Tokens, tmp_path: Path) -> None:
    path = tmp_path / "sandbox.toml"
    provider = msgspec.structs.replace(bank.config.providers[0], token_lasts_ms=-1)
    path.write_text(render(Config([provider])))
    with pytest.raises(ConfigError, match=r"providers\[0\]\.token_lasts_ms: must be 0 or more"):
        load(path)
