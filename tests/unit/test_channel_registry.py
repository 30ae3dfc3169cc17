"""Channels are found: folders of ours, and modules that other distributions announce."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bailiwick.channels import registry
from bailiwick.channels.registry import BadChannel, channel, names

GOOD = """
from bailiwick.channels.stripe import StripeChannel
from msgspec.structs import replace

class Acme(StripeChannel):
    profile = replace(StripeChannel.profile, name="acme", title="Acme")

CHANNEL = Acme()
"""
Install = Callable[[str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution on the path that announces a channel: its name, its module, its text."""
    monkeypatch.syspath_prepend(str(tmp_path))
    channel.cache_clear()

    def made(name: str, module: str, text: str) -> None:
        (tmp_path / f"{module}.py").write_text(text)
        about = tmp_path / f"{module}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{name} = {module}\n")

    yield made
    channel.cache_clear()


def test_every_folder_is_a_channel_of_its_name() -> None:
    folders = {file.parent.name for file in registry.HERE.glob("*/__init__.py")}
    assert set(names()) == folders - registry.NO_CHANNELS
    for name in names():
        assert channel(name).profile.name == name
        assert channel(name) is channel(name)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(LookupError, match=", ".join(names())):
        channel("nonsense")
    for helper in registry.NO_CHANNELS:
        with pytest.raises(LookupError):
            channel(helper)


def test_another_distribution_s_channel(install: Install) -> None:
    install("acme", "acme_found", GOOD)
    assert "acme" in names()
    assert channel("acme").profile.title == "Acme"


def test_one_name_twice(install: Install) -> None:
    install("stripe", "acme_stripe", GOOD)
    with pytest.raises(BadChannel, match=r"'stripe'.*uninstall"):
        names()
    with pytest.raises(BadChannel, match="'acme_stripe'"):
        channel("nonsense")


@pytest.mark.parametrize("text", ["", GOOD.replace('"acme"', '"other"')])
def test_what_is_no_channel(install: Install, text: str) -> None:
    module = f"acme_bad_{len(text)}"
    install("acme", module, text)
    with pytest.raises(BadChannel, match=f"{module}.*CHANNEL.*'acme'"):
        channel("acme")
