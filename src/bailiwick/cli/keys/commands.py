"""``bailiwick keys``: list, make, roll, revoke."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from bailiwick import resources
from bailiwick.base.versions import VERSIONS
from bailiwick.bus.client import Bus
from bailiwick.cli.topology.options import KEY, TRUST, WORLD, in_json, nats, over_bus, told
from bailiwick.control import publishing
from bailiwick.control.api_keys import OVERLAP_MOST_S, Desk, Found, Made, Wish, find
from bailiwick.control.publishing import PublishError
from bailiwick.geo.places import nearest
from bailiwick.interlink.permissions import Permissions
from bailiwick.topology import snapshot
from bailiwick.topology.merchants import MOST_RATE

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"(\d{1,9})([smhd])")
_MERCHANT = click.option("--merchant", metavar="ACCT", default="", help="Whose: acct_...")


@click.group("keys")
def command() -> None:
    """API keys of merchants. Every change is published as an epoch of its own."""


@command.command("list")
@WORLD
@TRUST
@_MERCHANT
@in_json
def list_keys(world: Path, trust: Path | None, merchant: str) -> dict[str, Any]:
    """List the keys of the epoch in force: what they may do and until when, never themselves."""
    merchants = snapshot.of_link(publishing.head_of(world, trust)).merchants
    now_ms = time.time_ns() // 1_000_000
    keys = [
        Found(sha256, it)
        for sha256, it in merchants.by_hash.items()
        if merchant in ("", it.merchant.id)
    ]
    shown = [_about(each, now_ms) for each in keys]
    lines = [
        f"{each['merchant']}  {each['kind']:<11} {each['mode']}  ...{each['last4'] or '????'}  "
        f"{each['sha256'][:12]}{_more(each)}"
        for each in shown
    ]
    return {"keys": shown, "lines": lines or ["No keys."]}


@command.command()
@click.argument("merchant", metavar="ACCT")
@WORLD
@KEY
@nats
@click.option("--kind", type=click.Choice(["secret", "publishable", "restricted"]), required=True)
@click.option("--mode", type=click.Choice(["test", "live"]), required=True)
@click.option(
    "--allow", multiple=True, metavar="RESOURCE=read|write",
    help="Of a restricted key: what it may do; may be given several times. Who may write may read.",
)  # fmt: skip
@click.option(
    "--api-version", type=click.Choice(list(VERSIONS)), help="Of requests that name none."
)
@click.option(
    "--rate", type=click.IntRange(1, MOST_RATE), metavar="N",
    help="Requests per second with this key; by default as many as its merchant may send.",
)  # fmt: skip
@click.option("--expires-in", metavar="SPAN", help="It counts no longer than this: 90d, 12h, 30m.")
@in_json
def make(
    merchant: str, world: Path, key: Path, kind: str, mode: str, allow: tuple[str, ...],
    api_version: str | None, rate: int | None, expires_in: str | None, **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """Make a key and publish it. It is printed this once and kept nowhere."""
    if (kind == "restricted") != bool(allow):
        raise PublishError("--allow goes with --kind restricted: it is what that key may do")
    more: dict[str, str | int] = {} if api_version is None else {"api_version": api_version}
    if rate is not None:
        more["rate_per_second"] = rate
    if expires_in is not None:
        more["expires_at"] = int(time.time()) + _seconds(expires_in, "--expires-in")
    wish = Wish(merchant, kind, mode == "live", _permissions(allow), more)
    return _made(world, key, options, lambda desk: desk.make(wish))


@command.command()
@click.argument("mark")
@WORLD
@KEY
@nats
@_MERCHANT
@click.option(
    "--overlap", default="0s", show_default=True, metavar="SPAN",
    help="For so long the old key goes on counting: up to 7d. 0s: it is revoked at once.",
)  # fmt: skip
@in_json
def roll(
    mark: str, world: Path, key: Path, merchant: str, overlap: str, **options: Any
) -> dict[str, Any]:
    """Make a key that may do the same as another, and end that one.

    MARK: the old key's last four characters, or the beginning of its SHA-256.
    """
    seconds = _seconds(overlap, "--overlap", OVERLAP_MOST_S)
    now = int(time.time())
    return _made(
        world, key, options,
        lambda desk: desk.roll(mark, merchant=merchant, overlap_s=seconds, now_s=now),
    )  # fmt: skip


@command.command()
@click.argument("mark")
@WORLD
@KEY
@nats
@_MERCHANT
@in_json
def revoke(mark: str, world: Path, key: Path, merchant: str, **options: Any) -> dict[str, Any]:
    """Revoke a key: every connected process refuses it within a second.

    MARK: its last four characters, or the beginning of its SHA-256.
    """
    signing = publishing.signing_key(key)
    before = snapshot.of_link(publishing.head_of(world))
    find(before.merchants, mark, merchant)

    async def use(bus: Bus | None) -> Any:
        return await Desk(world, signing, bus).revoke(mark, merchant=merchant)

    old, done = over_bus(options, use)
    return {**told(done, before), "revoked": old.sha256}


def _made(
    world: Path,
    key: Path,
    options: dict[str, Any],
    what: Callable[[Desk], Coroutine[Any, Any, Made]],
) -> dict[str, Any]:
    signing = publishing.signing_key(key)
    before = snapshot.of_link(publishing.head_of(world))
    made = over_bus(options, lambda bus: what(Desk(world, signing, bus)))
    answer = told(made.done, before)
    lines = [f"The key, shown this once: {made.key}", *answer["lines"]]
    return {**answer, "secret": made.key, "sha256": made.sha256, "lines": lines}


def _permissions(allow: tuple[str, ...]) -> dict[str, str]:
    """What ``--allow`` says. Raises PublishError."""
    known = Permissions(resources.every()).objects
    found: dict[str, str] = {}
    for each in allow:
        name, _, verb = each.partition("=")
        if name not in known:
            guess = nearest(name, sorted(known))
            hint = f"; did you mean '{guess}'?" if guess else ""
            raise PublishError(f"--allow {each}: no resource has this name{hint}")
        if verb not in ("read", "write"):
            raise PublishError(f"--allow {each}: write {name}=read or {name}=write")
        if name in found:
            raise PublishError(f"--allow {each}: {name} is named twice")
        found[name] = verb
    return found


def _seconds(span: str, option: str, most: int = 3650 * 86_400) -> int:
    """Seconds of ``30m``. Raises PublishError."""
    found = _SPAN.fullmatch(span)
    seconds = int(found[1]) * _UNITS[found[2]] if found else most + 1
    if seconds > most:
        raise PublishError(
            f"{option}: write a span such as 30m, 12h or 7d, {most // 86_400}d at most"
        )
    return seconds


def _about(each: Found, now_ms: int) -> dict[str, Any]:
    it = each.it
    return {
        "merchant": it.merchant.id, "kind": each.kind, "mode": "live" if it.livemode else "test",
        "last4": it.last4, "sha256": each.sha256, "api_version": it.api_version,
        "rate_per_second": it.rate_per_second or None,
        "permissions": it.grants if it.grants is None else dict(it.grants),
        "expires_at": it.expires_ms // 1000 or None,
        "expired": bool(it.expires_ms) and it.expires_ms <= now_ms,
    }  # fmt: skip


def _more(key: dict[str, Any]) -> str:
    said = ""
    if key["permissions"] is not None:
        said += "  " + (", ".join(f"{k}={v}" for k, v in key["permissions"].items()) or "nothing")
    if key["expires_at"]:
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(key["expires_at"]))
        said += f"  {'expired' if key['expired'] else 'until'} {end}"
    return said
