"""The channels of this installation, by the name that a gateway's configuration gives.

A channel is a folder beside this file, or a module of another distribution that announces it under
the entry point group ``bailiwick.channels`` by the channel's name. Its ``CHANNEL`` is one object
that does what ``contract.Channel`` says. Nothing lists channels; one that no gateway uses is not
imported.
"""

import functools
import importlib
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from bailiwick.channels.contract import Channel, Prepares

GROUP = "bailiwick.channels"
HERE = Path(__file__).parent
NO_CHANNELS = frozenset({"blocks", "contract", "transports"})
"""What channels are made of stands beside them."""


class BadChannel(Exception):
    """An installed channel that is none; the message says which distribution to mend."""


@functools.cache
def channel(name: str) -> Channel:
    """The channel of this name.

    Raises:
        LookupError: unknown name; the message lists the known ones.
        BadChannel: what another distribution announces is no channel of this name.
    """
    if name in _folders():
        return checked(importlib.import_module(f"{__package__}.{name}"), name, "this distribution")
    if (announced := _announced().get(name)) is not None:
        return checked(announced.load(), name, source(name))
    known = ", ".join(names())
    raise LookupError(f"unknown channel {name[:64]!r}: use one of {known}")


def names() -> list[str]:
    """Every channel of this installation, by name."""
    return sorted({*_folders(), *_announced()})


def folder(name: str) -> Path:
    """Where a channel lies, with its cases and its page.

    Raises:
        LookupError: unknown name.
        BadChannel: as ``channel``.
    """
    channel(name)
    if name in _folders():
        return HERE / name
    return Path(str(sys.modules[_announced()[name].module].__file__)).parent


def _folders() -> set[str]:
    found = {file.parent.name for file in HERE.glob("*/__init__.py")}
    return found - NO_CHANNELS


def _announced() -> dict[str, EntryPoint]:
    """Those of other distributions; none takes the name of another.

    Raises:
        BadChannel: two have one name.
    """
    found: dict[str, EntryPoint] = {}
    for each in entry_points(group=GROUP):
        if each.name in found or each.name in _folders():
            raise BadChannel(
                f"two channels are called {each.name!r}, one of them {each.value!r}: "
                "uninstall the distribution of one"
            )
        found[each.name] = each
    return found


def source(name: str) -> str:
    """Which distribution a channel comes from.

    Raises:
        BadChannel: two have one name.
    """
    found = _announced().get(name)
    if found is None:
        return "this distribution"
    return found.dist.name if found.dist is not None else found.value


def checked(module: ModuleType, name: str, by: str) -> Channel:
    """The channel of a module.

    Raises:
        BadChannel: it has none of this name; ``by``: which distribution is to be mended.
    """
    found: Channel | None = getattr(module, "CHANNEL", None)
    if found is None or found.profile.name != name:
        raise BadChannel(
            f"{module.__name__} of {by} has no CHANNEL whose profile is called {name!r}: "
            "mend it, or uninstall that distribution"
        )
    if found.profile.preparations and not isinstance(found, Prepares):
        raise BadChannel(
            f"{module.__name__} of {by} declares preparations, and cannot prepare: mend it "
            "(contract.Prepares), or uninstall that distribution"
        )
    return found
