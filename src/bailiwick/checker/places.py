"""Where to read: from a demo's folder, or named one by one."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec


class PlaceError(Exception):
    """There is nothing to read; the message has the remedy."""


class NodePlace(msgspec.Struct, frozen=True):
    """One node's database, and which provider in the books each of its gateways leads to.

    ``providers`` is None where the node's settings are not at hand, and has None for a gateway
    whose provider keeps no books that we can read.
    """

    name: str
    dsn: str
    providers: dict[str, str | None] | None = None


class Places(msgspec.Struct, frozen=True):
    """Everything that is read."""

    nodes: list[NodePlace]
    books_url: str


def from_folder(data: Path) -> Places:
    """What a demo's folder says. Raises PlaceError."""
    nodes, books = _demo(data)
    found = [NodePlace(each["name"], each["dsn"], _providers(each.get("config"))) for each in nodes]
    return Places(found, books)


def _demo(data: Path) -> tuple[list[dict[str, Any]], str]:
    try:
        demo = json.loads((data / "demo.json").read_text(encoding="utf-8"))
        nodes, books_url = demo["nodes"], demo["sandbox"]["books_url"]
        down = [each["name"] for each in nodes if each["dsn"] is None]
    except FileNotFoundError:
        raise PlaceError(
            f"no demo runs in {data}: start one with 'bailiwick demo', name its folder with "
            "--data, or give --dsn and --books"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlaceError(
            f"{data / 'demo.json'} cannot be read ({type(error).__name__}); restart the demo"
        ) from None
    if down:
        raise PlaceError(
            f"the database of {', '.join(down)} does not run: without it nothing holds"
        )
    return nodes, books_url


def named(dsns: tuple[str, ...], books_url: str) -> Places:
    """Databases given as ``NAME=DSN``. Raises PlaceError."""
    nodes = []
    for each in dsns:
        name, _, dsn = each.partition("=")
        if not dsn or "://" in name:
            raise PlaceError(f"--dsn {each.split('@')[-1]!r} must be like apac=postgresql://...")
        nodes.append(NodePlace(name, dsn))
    return Places(nodes, books_url)


def _providers(config: str | None) -> dict[str, str | None] | None:
    """Gateway -> the last segment of its base URL, which names the provider in the books."""
    if config is None:
        return None
    try:
        settings = tomllib.loads(Path(config).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlaceError(f"{config} cannot be read: {error}") from None
    return {
        gateway["name"]: _last_segment(gateway.get("base_url", ""))
        if gateway.get("channel") == "sandbox"
        else None
        for gateway in settings.get("gateways", [])
    }


def _last_segment(url: str) -> str:
    return urlsplit(url).path.rstrip("/").rpartition("/")[2]
