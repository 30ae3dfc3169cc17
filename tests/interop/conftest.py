"""One demo for all tests with foreign programs: three nodes, and a gateway to a foreign peer."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from bailiwick_lab.demo import world as demo_world
from bailiwick_lab.servers import engines
from tests.interop.kit import Books, Sink, merchant_server
from tests.interop.quirks import API_KEY, CALLBACK_SECRET, Quirks, quirks_proxy
from tests.interop.sdks import PROGRAMS

PEER_GATEWAY = "card-peer"
PEER_NODE = "americas"
PEER_COUNTRY = "CA"
QUIET_KEY = "sk_test_quietQuietQuietQuietQuietQuiet"
SWAMPED_KEY = "sk_test_swampedSwampedSwampedSwamped"
"""Of a merchant who is asked anything."""
LOCAL_KEY = "sk_test_localLocalLocalLocalLocalLocal"
"""Of one whose payers are in one country, if nobody says where they are."""
MERCHANTS = {"acct_quiet": QUIET_KEY, "acct_swamped": SWAMPED_KEY, "acct_local": LOCAL_KEY}


def keys_of(language: str) -> dict[str, str]:
    """The keys of the shop that is one SDK's alone, with the place DE: by what they are."""
    kinds = {"secret": "sk", "publishable": "pk", "restricted": "rk", "slow": "rk"}
    return {
        kind: f"{prefix}_test_{kind}{language.capitalize() * 4}Shop"
        for kind, prefix in kinds.items()
    }


RESTRICTED = 'permissions = { payment_intent = "read" }'
SHOPS = {language: keys_of(language) for language in PROGRAMS}

Demo = dict[str, Any]


@pytest.fixture(scope="session")
def cache() -> Path:
    """Where downloaded programs are kept between runs; no part of the repository."""
    folder = Path(__file__).resolve().parents[2] / ".cache" / "interop"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def quirks() -> Iterator[Quirks]:
    """The proxy in front of the peer; its gateway is connected before there is a peer."""
    with quirks_proxy() as proxy:
        yield proxy


@pytest.fixture(scope="session")
def demo(quirks: Quirks) -> Iterator[Demo]:
    """demo.json of a running demo. Canadian payments go over the gateway to the peer."""
    # Not pytest's folder: the database's user could not enter it when we are root.
    place = Path(tempfile.mkdtemp(prefix="bwi-"))
    place.chmod(0o755)
    data = place / "demo"
    _prepare(data, quirks.url)
    try:
        yield _demo("--background", "--data", str(data))
    finally:
        _demo("--stop", "--data", str(data))
        for cluster in data.glob("nodes/*/postgres"):
            engines.remove(cluster)
        shutil.rmtree(place, ignore_errors=True)


def _demo(*arguments: str) -> Demo:
    done = subprocess.run(
        [sys.executable, "-m", "bailiwick", "demo", "--json", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
        check=True,
    )
    said: Demo = json.loads(done.stdout)
    return said


def _prepare(data: Path, url: str) -> None:
    """Write the demo's files beforehand: with one gateway more, and three merchants more."""
    nodes = 3
    ports = demo_world.load_ports(data, nodes, 2, None)
    demo_world.write_world(data, nodes, ports)
    merchants = data / "world" / "merchants.toml"
    more = "".join(
        f"""
[[merchants]]
id = "{name}"
name = "{name}"
{'default_country = "US"' if key == LOCAL_KEY else ""}
[[merchants.keys]]
sha256 = "{hashlib.sha256(key.encode()).hexdigest()}"
kind = "secret"
mode = "test"
last4 = "{key[-4:]}"
"""
        for name, key in MERCHANTS.items()
    )
    demo_world.write(merchants, merchants.read_text() + more + "".join(map(_shop, SHOPS)))
    (region,) = (one for one in demo_world.regions(nodes) if one.name == PEER_NODE)
    file = demo_world.write_node(data, region, nodes, ports, "filled in at the start")
    gateway = f"""
[[gateways]]
name = "{PEER_GATEWAY}"
channel = "stripe"
kind = "foreign_platform"
base_url = "{url}"
mode = "test"
priority = 1
countries = ["{PEER_COUNTRY}"]
methods = ["card"]
[gateways.secrets]
api_key = "plain:{API_KEY}"
callback_secret = "plain:{CALLBACK_SECRET}"
"""
    demo_world.write(file, file.read_text() + gateway)


def _shop(language: str) -> str:
    """A merchant with a default place and keys of every kind."""
    lines = [
        "[[merchants]]", f'id = "acct_{language}"', f'name = "{language}"', 'default_country = "DE"'
    ]  # fmt: skip
    for name, key in SHOPS[language].items():
        kind = name if name != "slow" else "restricted"
        lines += [
            "[[merchants.keys]]",
            f'sha256 = "{hashlib.sha256(key.encode()).hexdigest()}"',
            f'kind = "{kind}"',
            'mode = "test"',
            f'last4 = "{key[-4:]}"',
            *([RESTRICTED] if kind == "restricted" else []),
            *(["rate_per_second = 1"] if name == "slow" else []),
        ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def client(demo: Demo) -> stripe.StripeClient:
    """The stock SDK: only key and address are ours."""
    return _client(demo, demo["secret_key"])


@pytest.fixture(scope="session")
def other(demo: Demo) -> stripe.StripeClient:
    """Another merchant."""
    return _client(demo, demo["other_secret_key"])


@pytest.fixture(scope="session")
def quiet(demo: Demo) -> stripe.StripeClient:
    """A merchant of whom only the tests of lists know."""
    return _client(demo, QUIET_KEY)


@pytest.fixture(scope="session")
def payer(demo: Demo) -> stripe.StripeClient:
    """A payer's browser: the publishable key."""
    return _client(demo, demo["publishable_key"])


def _client(demo: Demo, key: str) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": demo["base_url"]}, max_network_retries=2)


@pytest.fixture(scope="session")
def books(demo: Demo) -> Books:
    """The providers' own account."""
    return Books(demo["sandbox"]["books_url"])


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A merchant's server."""
    with merchant_server() as server:
        yield server
