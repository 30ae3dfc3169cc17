"""`bailiwick sandbox`: registers the sandbox's own command, the only tie between the two."""

from bailiwick_sandbox.cli import command

__all__ = ["command"]
