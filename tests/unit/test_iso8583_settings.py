"""What a gateway to a bank must be told, what the sandbox's hosts must, and numbers of messages."""

from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base.sequence import Sequence
from bailiwick.channels.transports import open_transport, schemes
from bailiwick.node.config import load
from bailiwick.runtime.settings import SettingsError
from bailiwick_sandbox.config import (
    Config,
    ConfigError,
    HostConfig,
    ProviderConfig,
    render,
)
from bailiwick_sandbox.config import load as load_sandbox
from tests.unit.iso8583_kit import MAC_KEY, OPTIONS


@given(st.lists(st.integers(0, 3), min_size=1, max_size=200))
def test_numbers_rise_whatever_the_clock_does(steps: list[int]) -> None:
    sequence, now, seen = Sequence(), 1_790_000_000_000, []
    for step in steps:
        now += step - 1  # a clock that is set back, too
        seen.append(sequence.next(now))
        assert seen[-1] >= now
    assert seen == sorted(set(seen))


def test_a_process_that_begins_anew_goes_on_above() -> None:
    first, now = Sequence(), 1_790_000_000_000
    given = [first.next(now + each) for each in range(0, 1_000, 2)]
    assert Sequence().next(now + 1_001) > max(given)


def node_toml(folder: Path, **changes: Any) -> Path:
    """Settings of a node with a gateway to a bank."""
    gateway = {"name": "bank", "channel": "bank_packed", "kind": "large_domestic_bank",
               "base_url": "tcp://bank.test:7000", "options": OPTIONS,
               "secrets": {"mac_key": f"plain:{MAC_KEY}"}, **changes}  # fmt: skip
    (folder / "secret").write_text("s" * 40)
    (folder / "world").mkdir(exist_ok=True)
    file = folder / "node.toml"
    settings = {
        "name": "europe", "number": 1, "dsn": "postgresql://x", "world": "world",
        "internal_secret_file": "secret", "listen": "127.0.0.1:1", "gateways": [gateway],
    }  # fmt: skip
    file.write_text(tomlkit.dumps(settings))
    return file


def test_a_gateway_to_a_bank(tmp_path: Path) -> None:
    account = load(node_toml(tmp_path)).accounts["bank"]
    assert account.options == OPTIONS
    assert account.base_url == "tcp://bank.test:7000"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"options": {**OPTIONS, "terminal": ""}}, "options: terminal missing"),
        ({"options": {}}, "acquirer, terminal, merchant missing"),
        ({"options": {**OPTIONS, "colour": "red"}}, r"options\.colour: .*remove it"),
        ({"secrets": {}}, "mac_key missing"),
        ({"base_url": "https://bank.test"}, r"base_url: must begin with tls:// or tcp://"),
        ({"channel": "sandbox", "base_url": "tcp://bank.test:1", "options": {},
          "secrets": {"api_key": "plain:12345678", "callback_secret": "plain:12345678"}},
         r"must begin with https:// or http://"),
        ({"mode": "live"}, "live mode needs tls"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        load(node_toml(tmp_path, **changes))


def test_transports_are_found_by_their_names() -> None:
    assert schemes("http") == ("http", "https")
    assert schemes("iso8583") == ("tcp", "tls")
    with pytest.raises(ValueError, match="no transport"):
        open_transport("pigeon", limit=1, secrets=())


def provider(**host: Any) -> ProviderConfig:
    return ProviderConfig(
        "hansa-bank", "Hansa", "large_domestic_bank", "key_12345", "secret_12345",
        iso8583=HostConfig(**{"listen": "127.0.0.1:0", **host}),
    )  # fmt: skip


def test_the_sandbox_s_settings_come_back(tmp_path: Path) -> None:
    config = Config([provider(style="packed", mac_key=MAC_KEY)])
    file = tmp_path / "sandbox.toml"
    file.write_text(render(config))
    assert load_sandbox(file) == config


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ({"listen": "here"}, "iso8583.listen"),
        ({"listen": "127.0.0.1:70000"}, "iso8583.listen"),
        ({"mac_key": "00"}, "iso8583.mac_key: must be 32"),
        ({"style": "packed"}, "iso8583.mac_key: is missing"),
    ],
)
def test_a_host_that_cannot_be_is_named(tmp_path: Path, host: dict[str, Any], told: str) -> None:
    file = tmp_path / "sandbox.toml"
    file.write_text(render(Config([provider(**host)])))
    with pytest.raises(ConfigError, match=told):
        load_sandbox(file)
