"""Publish, install and read signed epochs; what the commands do, without their words.

Compare-and-swap twice: at the broker, on the sequence of the epoch before, and on disk, by
making a file that must not exist. The broker comes first, so that an epoch that lost there
was never seen by anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.bus.client import Bus, BusConflict, BusError, BusUnavailable
from bailiwick.bus.security import Security
from bailiwick.control.signing_keys import PublishError, make_key, signing_key
from bailiwick.topology import chain, snapshot
from bailiwick.topology.chain import ChainError, Link, NotOurs
from bailiwick.topology.epochs import TRUST, Epochs
from bailiwick.topology.feed import ensure_stream, newest, push, unpack
from bailiwick.topology.snapshot import World, WorldError
from bailiwick.topology.succession import next_epoch, without_epoch

__all__ = [
    "PublishError", "Published", "base_of", "connection", "head_of", "initialise", "install",
    "make_key", "now_ms", "publish", "push_head", "read_epoch", "roll_back", "set_base",
    "signing_key",
]  # fmt: skip

BASED_ON: Final = "based-on"
CONNECT_S: Final = 5.0
_EPOCH = re.compile(r"(?m)^[ \t]*epoch[ \t]*=[ \t]*(\d+)")


class Published(msgspec.Struct, frozen=True):
    """The outcome; ``changed`` is false when the files were those in force already."""

    link: Link
    world: World
    changed: bool
    pushed: bool


# --- on disk --------------------------------------------------------------------------------


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def head_of(directory: Path, trust: Path | None = None) -> Link:
    """The epoch in force in a directory; ``trust``: as for ``Epochs``. Raises PublishError."""
    link = _head(directory, trust)
    if link is None:
        raise PublishError(f"{directory} holds no signed epoch; start one with: topology init")
    return link


def _head(directory: Path, trust: Path | None = None) -> Link | None:
    epochs = Epochs(directory, trust)
    if not epochs.numbers():
        return None
    try:
        return epochs.head().link
    except ChainError as error:
        raise PublishError(f"{directory}: {error}") from None


def initialise(
    directory: Path, key: Ed25519PrivateKey, *, note: str = "", key_name: str = ""
) -> Link:
    """Begin a chain with the files in a directory. Raises PublishError and WorldError."""
    epochs = Epochs(directory)
    if epochs.numbers():
        raise PublishError(f"{directory} holds signed epochs already; use: topology publish")
    files = snapshot.read_files(directory)
    # A directory that was used unsigned goes on counting: processes know its number. From now
    # on the chain counts.
    written = files["topology.toml"]
    found = _EPOCH.search(written.decode(errors="replace"))
    first = max(1, int(found[1])) if found else 1
    files["topology.toml"] = without_epoch(written)
    signed, _ = next_epoch(None, files, now_ms=now_ms(), note=note, first=first)
    link = _sealed(signed, key)
    trust = directory / TRUST
    if not trust.exists():
        _write(trust, chain.trust_text([(key.public_key(), key_name)]))
    _require_trusted(epochs, key)
    _store(epochs, link)
    if files["topology.toml"] != written:
        _write(directory / "topology.toml", files["topology.toml"])
    set_base(directory, link.epoch)
    return link


def _require_trusted(epochs: Epochs, key: Ed25519PrivateKey) -> None:
    identity = chain.key_id(key.public_key())
    try:
        if identity not in epochs.trust():
            raise PublishError(
                f"trust.json does not list this key ({identity}); nobody would take the epoch up"
            )
    except ChainError as error:
        raise PublishError(str(error)) from None


def _sealed(signed: chain.Signed, key: Ed25519PrivateKey) -> Link:
    try:
        return chain.seal(signed, key)
    except ChainError as error:
        raise PublishError(str(error)) from None


def _store(epochs: Epochs, link: Link) -> None:
    try:
        epochs.store(link)
    except ChainError as error:
        raise PublishError(f"nothing was published: {error}") from None


def _write(path: Path, raw: bytes) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.new")
    partial.write_bytes(raw)
    partial.replace(path)


def set_base(directory: Path, epoch: int) -> None:
    """Note on which epoch the working copies are based."""
    _write(directory / BASED_ON, b"%d\n" % epoch)


def base_of(directory: Path) -> int | None:
    """The epoch that the working copies are based on, None when nobody noted it."""
    try:
        return int((directory / BASED_ON).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def install(directory: Path, raw: bytes, trust: Path | None = None) -> tuple[Link, bool]:
    """Put an envelope into a directory; (it, whether it is new there). Raises PublishError."""
    epochs = Epochs(directory, trust)
    try:
        link = chain.unseal(raw, epochs.trust())
        known = _head(directory, trust)
        judgement = chain.judge(known, link)
        if known is not None and judgement not in ("new", "same"):
            raise PublishError(chain.why_not(judgement, known, link))
        snapshot.of_link(link)
        epochs.store(link)
    except ChainError as error:
        raise PublishError(f"not installed: {error}") from None
    return link, judgement == "new"


# --- publishing -----------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def connection(nats: list[str], security: Security) -> AsyncIterator[Bus | None]:
    """A connected bus, or None when no addresses are given. Raises PublishError."""
    if not nats:
        yield None
        return
    try:
        bus = Bus(nats, "bailiwick topology", security=security)
    except BusError as error:
        raise PublishError(str(error)) from None
    try:
        if not await bus.start(wait_s=CONNECT_S):
            raise PublishError(
                f"nothing was done: no NATS server answers at {', '.join(bus.addresses)}. Without "
                "--nats this host's processes take the epoch from its folder and bring it to the "
                "broker later"
            )
        yield bus
    finally:
        await bus.close()


async def publish(
    directory: Path,
    key: Ed25519PrivateKey,
    bus: Bus | None,
    *,
    files: Mapping[str, bytes] | None = None,
    note: str = "",
    expect: int | None = None,
) -> Published:
    """Sign the next epoch and publish it; by default the working copies.

    Raises PublishError and WorldError.
    """
    epochs = Epochs(directory)
    _require_trusted(epochs, key)
    head = head_of(directory)
    sequence = 0
    if bus is not None:
        head, sequence = await _agree(epochs, head, bus)
    _require_base(directory, head, expect, working=files is None)
    wanted = snapshot.read_files(directory) if files is None else files
    if dict(wanted) == head.files:
        return Published(head, snapshot.of_link(head), False, bus is not None)
    try:
        signed, world = next_epoch(head, wanted, now_ms=now_ms(), note=note)
    except ChainError as error:
        raise PublishError(str(error)) from None
    link = _sealed(signed, key)
    if bus is not None:
        await _push(bus, link, sequence)
    _store(epochs, link)
    if files is None:
        set_base(directory, link.epoch)
    return Published(link, world, True, bus is not None)


def _require_base(directory: Path, head: Link, expect: int | None, *, working: bool) -> None:
    if expect is not None:
        if expect != head.epoch:
            raise PublishError(
                f"epoch {head.epoch} is in force, not {expect}; see what it changed with: "
                f"topology diff {expect} {head.epoch}"
            )
        return
    base = base_of(directory)
    if working and base is not None and base != head.epoch:
        raise PublishError(
            f"the files in {directory} are based on epoch {base}, but {head.epoch} is in force: "
            f"see `topology diff {base} {head.epoch}`, bring them together, then publish with "
            f"--expect {head.epoch}"
        )


async def _agree(epochs: Epochs, head: Link, bus: Bus) -> tuple[Link, int]:
    """Let disk and broker hold the same newest epoch; it, and its sequence at the broker."""
    try:
        await ensure_stream(bus)
        message = await newest(bus)
        if message is None:
            await push(bus, head, 0)
            message = await newest(bus)
        if message is None:
            raise PublishError("nothing was published: the broker did not keep what was stored")
        try:
            link = chain.unseal(unpack(message.data), epochs.trust())
            judgement = chain.judge(head, link)
        except NotOurs as error:
            raise PublishError(f"nothing was published: the broker's epoch {error}") from None
        except ChainError:
            link, judgement = head, "older"
        if judgement == "new":
            epochs.store(link)
            return link, message.sequence
        if judgement == "older":
            return head, await push(bus, head, message.sequence)
        if judgement != "same":
            raise PublishError(f"nothing was published: {chain.why_not(judgement, head, link)}")
        return head, message.sequence
    except BusConflict:
        raise PublishError(
            "nothing was published: another epoch came in at the same moment; look and repeat"
        ) from None
    except (BusError, ChainError) as error:
        raise PublishError(f"nothing was published: {error}") from None


async def _push(bus: Bus, link: Link, after: int) -> None:
    try:
        await push(bus, link, after)
    except BusConflict:
        raise PublishError(
            "nothing was published: somebody else published at the same moment and won. See "
            "`topology history`, bring your change together with theirs, and publish again"
        ) from None
    except BusUnavailable:
        # It may have been stored although its answer was lost: look.
        await asyncio.sleep(0.2)
        try:
            message = await newest(bus)
        except BusError:
            message = None
        if message is None or unpack(message.data) != link.raw:
            raise PublishError(
                f"it is not known whether epoch {link.epoch} was published: the broker did not "
                "answer. See `topology history --nats ...` before you try again"
            ) from None
    except BusError as error:
        raise PublishError(f"nothing was published: {error}") from None


async def roll_back(
    directory: Path,
    key: Ed25519PrivateKey,
    bus: Bus | None,
    epoch: int,
    *,
    note: str = "",
    merchants: Literal["refuse", "keep", "restore"] = "refuse",
) -> Published:
    """Publish an earlier epoch's files as the next epoch. Raises PublishError and WorldError.

    The working copies follow, unless they hold changes that were never published.
    ``merchants``: what to do if that would make revoked keys valid again.
    """
    old = read_epoch(directory, epoch)
    before = head_of(directory)
    if epoch == before.epoch:
        raise PublishError(f"epoch {epoch} is the one in force; name an earlier one")
    files = {**old.files, "topology.toml": without_epoch(old.files["topology.toml"])}
    if merchants == "keep":
        files["merchants.toml"] = before.files["merchants.toml"]
    valid = snapshot.of_link(before).merchants.by_hash
    revoked = [each for each in snapshot.of_link(old).merchants.by_hash if each not in valid]
    if revoked and merchants == "refuse":
        raise PublishError(
            f"{len(revoked)} API keys of epoch {epoch} are not valid today; say whether today's "
            "merchants stay (--merchants keep) or those keys become valid again (--merchants "
            "restore)"
        )
    return await publish_over(
        directory, key, bus, before, files, note=note or f"rollback to epoch {epoch}"
    )


async def publish_over(
    directory: Path,
    key: Ed25519PrivateKey,
    bus: Bus | None,
    before: Link,
    files: Mapping[str, bytes],
    *,
    note: str,
) -> Published:
    """Publish files that were made of the epoch in force, if it still is.

    The working copies follow, unless they hold changes that were never published.
    Raises PublishError and WorldError.
    """
    clean = _working_copies(directory) in (None, before.files)
    done = await publish(directory, key, bus, files=files, note=note, expect=before.epoch)
    if clean:
        for name, raw in files.items():
            _write(directory / name, raw)
        for name in snapshot.OPTIONAL - files.keys():
            (directory / name).unlink(missing_ok=True)
        set_base(directory, done.link.epoch)
    return done


def _working_copies(directory: Path) -> dict[str, bytes] | None:
    try:
        return snapshot.read_files(directory)
    except WorldError:
        return None


def read_epoch(directory: Path, epoch: int, trust: Path | None = None) -> Link:
    """One epoch of a directory. Raises PublishError."""
    epochs = Epochs(directory, trust)
    if epoch not in epochs.numbers():
        raise PublishError(f"{directory} holds no epoch {epoch}; see: topology history")
    try:
        return epochs.read(epoch, epochs.trust())
    except ChainError as error:
        raise PublishError(str(error)) from None


async def push_head(
    directory: Path, bus: Bus, *, force: bool = False, trust: Path | None = None
) -> tuple[Link, bool]:
    """Bring a broker that is behind, or was wiped, up to date; (the newest epoch, whether the
    broker lacked it). ``force``: also over a fork or another key's epoch. Raises PublishError.
    """
    epochs, head = Epochs(directory, trust), head_of(directory, trust)
    try:
        await ensure_stream(bus)
        message = await newest(bus)
        before = unpack(message.data) if message is not None else b""
        if force and before != head.raw:
            await push(bus, head, message.sequence if message is not None else 0)
            return head, True
    except BusError as error:
        raise PublishError(str(error)) from None
    link, _ = await _agree(epochs, head, bus)
    return link, before != link.raw and link is head
