#!/usr/bin/env python3
"""Write the tables of docs/operating/settings.md from the settings themselves.

    .venv/bin/python tools/settings_tables.py

A test compares them, so that the page says what the program reads.
"""

import re
from pathlib import Path

import msgspec

from bailiwick.access.config import AccessSettings
from bailiwick.control.fleet import FleetNode, FleetSettings
from bailiwick.node.config import NodeSettings
from bailiwick.overview.config import OverviewSettings
from bailiwick.routing.settings import GatewaySettings
from bailiwick.runtime.settings import describe

PAGE = Path(__file__).parents[1] / "docs" / "operating" / "settings.md"
KINDS: dict[str, type[msgspec.Struct]] = {
    "access.toml": AccessSettings,
    "node.toml": NodeSettings,
    "gateways": GatewaySettings,
    "overview.toml": OverviewSettings,
    "fleet.toml": FleetSettings,
    "fleet-nodes": FleetNode,
}
_PLACE = re.compile(r"(?ms)^<!-- settings: (\S+) -->\n.*?^<!-- end of settings -->$")


def table(kind: type[msgspec.Struct]) -> str:
    """One Markdown table: name, default, meaning."""
    lines = ["| Name | Default | Meaning |", "|---|---|---|"]
    for each in describe(kind):
        default = "**required**" if each.required else each.default
        plain = each.required or default == "none"
        lines.append(f"| `{each.name}` | {default if plain else f'`{default}`'} | {each.meaning} |")
    return "\n".join(lines)


def filled(page: str) -> str:
    """The page with its tables as they should be."""

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- settings: {name} -->\n{table(KINDS[name])}\n<!-- end of settings -->"

    return _PLACE.sub(fill, page)


def main() -> None:
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
