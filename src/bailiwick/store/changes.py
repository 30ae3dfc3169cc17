"""Versions of rows of which each node has all; see ``interlink.copies``."""

from bailiwick.base.clock import now_ms
from bailiwick.base.ids import new_token
from bailiwick.interlink.copies import version_at


def change() -> int:
    """The version of a change that is made now."""
    return version_at(now_ms(), new_token())
