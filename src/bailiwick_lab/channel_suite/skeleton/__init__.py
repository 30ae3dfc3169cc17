"""A new channel: a made-up provider's, whole and green, to be turned into a real one."""

import keyword
import re
from collections.abc import Iterator
from pathlib import Path

from bailiwick.channels import registry

HERE = Path(__file__).parent
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
NAME_CHARS_MAX = 32
_FILES = {
    "channel.py.txt": "__init__.py",
    "cases.json.txt": "cases.json",
    "page.md.txt": "page.md",
}


class CannotMake(Exception):
    """A channel of this name, or in this place, cannot be made; the message has the remedy."""


def make(name: str, project: Path | None = None) -> Path:
    """Write the skeleton of a channel; gives its folder.

    Args:
        project: a folder for a distribution of its own; none: beside the channels of this one.

    Raises:
        CannotMake: a name that is none or is taken, or a folder that has something in it.
    """
    _check(name)
    folder = registry.HERE / name if project is None else project / "src" / f"bailiwick_{name}"
    for place in (folder, project):
        if place is not None and place.exists() and any(place.iterdir()):
            raise CannotMake(f"{place} is not empty: give another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for template, text in _texts(name):
            (folder / _FILES[template]).write_text(text, encoding="utf-8")
        if project is not None:
            announced = named(name, (HERE / "pyproject.toml.txt").read_text(encoding="utf-8"))
            (project / "pyproject.toml").write_text(announced, encoding="utf-8")
    except OSError as error:
        raise CannotMake(f"{error}: give a folder that can be written, with --folder") from None
    return folder


def named(name: str, text: str) -> str:
    """A text about ``acme`` as one about a channel of this name."""
    words = name.split("_")
    title = " ".join(word.capitalize() for word in words)
    for old, new in (
        ("AcmeChannel", f"{title.replace(' ', '')}Channel"),
        ("Acme", title),
        ("ACME", name.upper()),
        ("bailiwick-acme", f"bailiwick-{'-'.join(words)}"),
        ("acme-", f"{'-'.join(words)}-"),
        ("acme", name),
    ):
        text = text.replace(old, new)
    return text


def _texts(name: str) -> Iterator[tuple[str, str]]:
    for template in _FILES:
        yield template, named(name, (HERE / template).read_text(encoding="utf-8"))


def _check(name: str) -> None:
    if NAME.fullmatch(name) is None or keyword.iskeyword(name) or len(name) > NAME_CHARS_MAX:
        raise CannotMake(
            f"{name[:64]!r} is no name for a channel: use lower-case letters, digits and single _, "
            f"a letter first, {NAME_CHARS_MAX} characters at most"
        )
    if name in registry.names() or name in registry.NO_CHANNELS:
        raise CannotMake(f"there is a channel {name!r} already: choose another name")
