"""``bailiwick keys``: API keys of merchants, each change published as an epoch of its own."""

from bailiwick.cli.keys.commands import command

__all__ = ["command"]
