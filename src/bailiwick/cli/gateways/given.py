"""What a command's options say of a gateway's settings and secrets."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from bailiwick.routing.settings import GatewaySettings
from bailiwick.runtime.settings import SettingsError, field_value, secret


def of_file(path: Path | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings and secrets of a file. Exits with the remedy."""
    if path is None:
        return {}, {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from None
    known = table.pop("secrets", {})
    if not isinstance(known, dict):
        raise click.ClickException(f"{path}: secrets: must be a table of names")
    return table, {
        name: _secret(name, str(where), path.resolve().parent) for name, where in known.items()
    }


def settings(given: tuple[str, ...]) -> dict[str, Any]:
    """Settings by their names. Exits with the remedy."""
    found: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals:
            raise click.ClickException(f"--set {each}: write FIELD=VALUE")
        try:
            found[name] = field_value(GatewaySettings, name, text)
        except SettingsError as error:
            raise click.ClickException(f"--set {error}") from None
    return found


def secrets(given: tuple[str, ...]) -> dict[str, str]:
    """Secrets by their names: read where they are, or asked for. Exits with the remedy."""
    found = {}
    for each in given:
        name, equals, where = each.partition("=")
        if equals:
            found[name] = _secret(name, where, Path())
        else:
            found[name] = click.prompt(name, hide_input=True, err=True)
    return found


def _secret(name: str, where: str, base: Path) -> str:
    try:
        return secret(where, base=base, field=f"secret {name}")
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
