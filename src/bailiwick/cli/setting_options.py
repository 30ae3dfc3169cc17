"""Settings of a process as options of its command."""

from __future__ import annotations

import click
import msgspec

from bailiwick.runtime.settings import describe


def setting_options(kind: type[msgspec.Struct]) -> list[click.Parameter]:
    """One option for each setting: none can be forgotten, and their words are the same."""
    made: list[click.Parameter] = []
    for each in describe(kind):
        name = each.name.replace("_", "-")
        shown = f" [{each.variable}{'' if each.required else f'; default {each.default}'}]"
        made.append(
            click.Option(
                [f"--{name}/--no-{name}" if each.flag else f"--{name}"],
                default=None,
                type=None if each.flag else str,
                metavar=None if each.flag else ("PATH" if each.file else "VALUE"),
                help=each.meaning.replace("`", "") + shown,
            )
        )
    return made
