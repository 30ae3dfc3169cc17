"""The types of events that can be subscribed to and asked for: those of the format, and ours. Pure
but for the table, which is read once.

``enabled_events`` of an endpoint takes names, and ``*`` for all but those that must be named:
https://docs.stripe.com/api/webhook_endpoints/create. Only a list's ``type`` takes a group of them,
with ``*`` as a wildcard: https://docs.stripe.com/api/events/list.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

OURS = "bailiwick."
"""How names of our own types begin. They must be named: ``*`` does not mean them."""
ALL = "*"


@cache
def own() -> frozenset[str]:
    """Our types: a resource that has some names them in ``own_events.txt`` in its folder."""
    folders = (each for each in files("bailiwick.resources").iterdir() if each.is_dir())
    named = (each / "own_events.txt" for each in folders)
    found = " ".join(each.read_text(encoding="utf-8") for each in named if each.is_file())
    return frozenset(found.split())


@cache
def known() -> frozenset[str]:
    """All types, ours included."""
    text = (files("bailiwick.data") / "event_types.txt").read_text(encoding="utf-8")
    return own() | frozenset(text.split())


def covers(wanted: Iterable[str], event_type: str) -> bool:
    """Whether a subscription to these names is one to a type."""
    return event_type in wanted or (ALL in wanted and not event_type.startswith(OURS))


def problem(name: str) -> str | None:
    """Why a name cannot be subscribed to, with the nearest one that can; None when it can."""
    if name == ALL or name in known():
        return None
    if "*" in name:
        family = name.partition("*")[0]
        some = sorted(each for each in known() if each.startswith(family))[:3] if family else []
        hint = f" such as {', '.join(some)}" if some else ""
        return f"Groups of event types are not taken here: name each type{hint}, or * for all."
    near = get_close_matches(name[:100], sorted(known()), n=1, cutoff=0.6)
    return f"Unknown event type: {name[:80]}.{f' Did you mean {near[0]}?' if near else ''}"


def matching(pattern: str) -> list[str]:
    """The known types that a name with wildcards stands for; the name itself where it has none.

    Only ``*`` is a wildcard.
    """
    if "*" not in pattern:
        return [pattern]
    plain = pattern.replace("[", "[[]").replace("?", "[?]")
    return sorted(each for each in known() if fnmatchcase(each, plain))
