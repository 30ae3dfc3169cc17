"""A channel to check: an installed one by its name, or one in a folder that is not installed."""

import importlib
import sys
import tomllib
from pathlib import Path

from bailiwick.channels import registry
from bailiwick_lab.channel_suite.subject import Subject, subject


class NoChannel(Exception):
    """There is no such channel; the message has the remedy."""


def found(name: str) -> Subject:
    """The channel of this name, or of the project in this folder (a path with ``/``).

    Raises:
        NoChannel: there is none, or what is there is none.
        BadCases: its cases cannot be used.
    """
    if "/" in name:
        return _project(Path(name))
    try:
        return subject(registry.channel(name), registry.folder(name))
    except LookupError as error:
        hint = f"; a folder is given with a slash: ./{name}" if Path(name).is_dir() else ""
        raise NoChannel(f"{error.args[0]}{hint}") from None
    except registry.BadChannel as error:
        raise NoChannel(str(error)) from None


def _project(folder: Path) -> Subject:
    name, module = announced(folder)
    source = folder / "src"
    sys.path.insert(0, str((source if source.is_dir() else folder).resolve()))
    importlib.invalidate_caches()
    try:
        made = importlib.import_module(module)
        channel = registry.checked(made, name, str(folder))
    except (ImportError, registry.BadChannel) as error:
        raise NoChannel(str(error)) from error
    return subject(channel, Path(str(made.__file__)).parent)


def announced(folder: Path) -> tuple[str, str]:
    """The name and the module of the channel that a project announces.

    Raises:
        NoChannel: it announces none, or several.
    """
    file = folder / "pyproject.toml"
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        points: dict[str, str] = project["entry-points"][registry.GROUP]
    except FileNotFoundError:
        raise NoChannel(f"{file} is missing: it announces the channel") from None
    except (KeyError, tomllib.TOMLDecodeError):
        raise NoChannel(
            f'{file} has no readable table [project.entry-points."{registry.GROUP}"]'
        ) from None
    if len(points) != 1:
        raise NoChannel(f"{file} announces {len(points)} channels: keep one a project")
    return next(iter(points.items()))
