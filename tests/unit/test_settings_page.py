"""The settings' page says what the program reads, and layers go over each other as it says."""

import asyncio
import os
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from bailiwick.access.config import AccessSettings
from bailiwick.cli import access as access_command
from bailiwick.node.config import NodeSettings, callback_base
from bailiwick.runtime import notify
from bailiwick.runtime.settings import SettingsError, convert, describe, layered
from tools import settings_tables


def test_the_page_is_the_settings() -> None:
    page = settings_tables.PAGE.read_text(encoding="utf-8")
    assert settings_tables.filled(page) == page, "run tools/settings_tables.py"
    for name in settings_tables.KINDS:
        assert f"<!-- settings: {name} -->" in page


@pytest.mark.parametrize("name", settings_tables.KINDS)
def test_every_setting_says_what_it_means(name: str) -> None:
    for each in describe(settings_tables.KINDS[name]):
        assert each.meaning, f"{name}: {each.name} needs Meta(description=...)"
        assert "|" not in each.meaning + each.default


def test_every_setting_of_access_is_an_option() -> None:
    options = {name for parameter in access_command.command.params for name in parameter.opts}
    for each in describe(AccessSettings):
        assert "--" + each.name.replace("_", "-") in options


def test_options_go_over_variables_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "access.toml"
    file.write_text(
        'world = "world"\ninternal_secret_file = "/run/secret"\nlisten = "a:1"\n'
        'rate = 1\nregion = "file"\n'
    )
    found = layered(
        file,
        AccessSettings,
        {"listen": "c:3", "region": None, "shared_port": True, "rate": "7"},
        source="here",
        environ={"BAILIWICK_LISTEN": "b:2", "BAILIWICK_REGION": "environment"},
    )
    assert (found.listen, found.region, found.rate) == ("c:3", "environment", 7.0)
    assert found.shared_port
    assert found.world == str(tmp_path / "world")  # from the file's folder
    assert found.internal_secret_file == "/run/secret"


def test_a_file_named_elsewhere_counts_from_here() -> None:
    found = layered(
        None,
        AccessSettings,
        {"world": "world"},
        source="here",
        environ={"BAILIWICK_INTERNAL_SECRET_FILE": "secret"},
    )
    assert (found.world, found.internal_secret_file) == ("world", "secret")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ["here: world: is missing"]),
        ({"world": "w", "internal_secret_file": "s", "rate": "fast"}, ["--rate", "rate"]),
        ({"world": "w", "internal_secret_file": "s", "rate": "-1"}, ["--rate"]),
        ({"world": "w", "internal_secret_file": "s", "log_level": "loud"}, ["--log-level"]),
    ],
)
def test_problems_name_the_option(options: dict[str, str], words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        layered(None, AccessSettings, options, source="here", environ={})
    for word in words:
        assert word in str(caught.value)


def test_the_command_names_every_problem_and_ends(tmp_path: Path) -> None:
    arguments = ["--config", str(tmp_path / "none.toml"), "--check"]
    found = CliRunner().invoke(access_command.command, arguments)
    assert found.exit_code == 1
    assert "none.toml: cannot be read" in found.output


NODE = {
    "number": 1, "name": "europe", "listen": "127.0.0.1:9101", "dsn": "postgresql:///x",
    "world": "world", "internal_secret_file": "secret",
}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "base"),
    [
        ({}, "http://127.0.0.1:9101/v1/callbacks"),
        ({"tls_certificate": "x"}, "https://127.0.0.1:9101/v1/callbacks"),
        ({"public_url": "https://p/"}, "https://p/v1/callbacks"),
        ({"callback_listen": "10.0.0.1:9"}, "http://10.0.0.1:9/v1/callbacks"),
        (
            {"callback_listen": "10.0.0.1:9", "callback_certificate": "x"},
            "https://10.0.0.1:9/v1/callbacks",
        ),
        (
            {"callback_base": "https://a/v1/nodes/europe/callbacks/", "public_url": "https://p"},
            "https://a/v1/nodes/europe/callbacks",
        ),
    ],
)
def test_where_providers_call_back(more: dict[str, str], base: str) -> None:
    settings = convert({**NODE, **more}, NodeSettings, source="node.toml", environ={})
    assert callback_base(settings) == base


def test_a_service_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not notify.send("READY=1")
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert notify.send("READY=1")
        assert heard.recv(100) == b"READY=1"


async def test_and_hears_that_we_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0bailiwick-test-" + str(os.getpid()))
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@bailiwick-test-" + str(os.getpid()))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        async with notify.Service():
            told = [await asyncio.to_thread(heard.recv, 100) for _ in range(3)]
        assert told == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        monkeypatch.setenv("WATCHDOG_PID", "1")
        assert notify.watchdog_seconds() is None
