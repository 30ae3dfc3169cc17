"""Worlds small enough to read, signed as a chain."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.topology import chain
from bailiwick.topology.chain import Link
from bailiwick.topology.epochs import Epochs
from bailiwick.topology.succession import next_epoch

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TRUST = chain.parse_trust(chain.trust_text([(KEY.public_key(), "test")]))
HOUR_MS = 3_600_000
START_MS = 1_800_000_000_000


def topology(home: str = "europe", *, more: str = "") -> bytes:
    """Two nodes; everybody goes to one of them."""
    other = {"europe": "apac", "apac": "europe"}[home]
    return f"""
{more}
[[nodes]]
number = 1
name = "apac"
url = "http://127.0.0.1:1"
[[nodes]]
number = 2
name = "europe"
url = "http://127.0.0.1:2"
[[rules]]
places = ["default"]
nodes = ["{home}", "{other}"]
residency = "prefer"
""".encode()


def merchants(country: str = "DE", *keys: str) -> bytes:
    lines = [f'[[merchants]]\nid = "acct_a"\nname = "A"\ndefault_country = "{country}"']
    lines += [
        f'[[merchants.keys]]\nsha256 = "{key * 64}"\nkind = "secret"\nmode = "test"'
        for key in keys or ("a",)
    ]
    return "\n".join(lines).encode()


def files(home: str = "europe", country: str = "DE", *keys: str) -> dict[str, bytes]:
    return {"topology.toml": topology(home), "merchants.toml": merchants(country, *keys)}


def link(
    parent: Link | None,
    home: str = "europe",
    country: str = "DE",
    *keys: str,
    at_ms: int = START_MS,
    key: Ed25519PrivateKey = KEY,
    note: str = "",
) -> Link:
    """The next epoch after ``parent``."""
    signed, _ = next_epoch(parent, files(home, country, *keys), now_ms=at_ms, note=note)
    return chain.seal(signed, key)


def signed_folder(directory: Path, *links: Link) -> Epochs:
    """A world directory that trusts ``KEY`` and holds these epochs."""
    (directory / "trust.json").write_bytes(chain.trust_text([(KEY.public_key(), "test")]))
    epochs = Epochs(directory)
    for each in links:
        epochs.store(each)
    return epochs
