"""The test suite of stripe-python itself, from its source package, against the product.

It is written for stripe-mock, which answers everything. What its tests ask is recorded with the
product's answers. A request about a resource of ours is understood: done, or refused for the
placeholder that stands in it or for the state of what it names. What else it asks is in the page
``docs/sdk-suite.md``, with the reason.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

from bailiwick import resources
from bailiwick.interlink.resource import Refused
from tests.interop.conftest import LOCAL_KEY, Demo
from tests.interop.recording import Asked, Said, recording
from tests.sdk_page import first, ours, table

HERE = Path(__file__).parent
LOCK = HERE / "stripe_suite.lock"
SUITE = ("tests/test_generated_examples.py", "tests/api_resources")
LEAST = 0.95
Recorded = dict[Asked, Said]


@pytest.fixture(scope="module")
def suite(cache: Path) -> Path:
    """The unpacked source package, beside an environment that holds what its tests need."""
    folder = cache / "stripe-suite"
    installed = folder / "installed"
    if not installed.exists() or installed.read_bytes() != LOCK.read_bytes():
        shutil.rmtree(folder, ignore_errors=True)
        python = folder / "bin" / "python"
        tool = uv.find_uv_bin()
        run([tool, "--quiet", "venv", "--python", sys.executable, str(folder)])
        locked = ["--require-hashes", "-r", str(LOCK)]
        run([tool, "--quiet", "pip", "install", "--python", str(python), *locked])
        only = folder / "source.lock"
        only.write_text(
            "stripe==" + LOCK.read_text().partition("\nstripe==")[2].partition("    #")[0]
        )
        fetch = "download --quiet --no-deps --no-build-isolation --no-binary stripe".split()
        run([str(python), "-m", "pip", *fetch, "--require-hashes", "-r", str(only), "-d", folder])
        (archive,) = folder.glob("stripe-*.tar.gz")
        with tarfile.open(archive) as source:
            source.extractall(folder / "source", filter="data")
        installed.write_bytes(LOCK.read_bytes())
    (unpacked,) = (folder / "source").iterdir()
    return unpacked


def run(command: list[object]) -> None:
    subprocess.run([str(part) for part in command], check=True, timeout=600)


@pytest.fixture(scope="module")
def recorded(suite: Path, demo: Demo) -> Recorded:
    """What the suite asked, and what it was told."""
    python = suite.parents[1] / "bin" / "python"
    with recording(demo["base_url"], LOCAL_KEY) as (url, found):
        host, _, port = url.removeprefix("http://").partition(":")
        done = subprocess.run(
            [python, "-m", "pytest", "-q", "-n", "2", "--tb=no", *SUITE],
            cwd=suite,
            env={
                **os.environ,
                "STRIPE_MOCK_HOST": host,
                "STRIPE_MOCK_PORT": port,
                "PYTHONPATH": "",
            },
            stdout=subprocess.PIPE,
            text=True,
            timeout=1200,
        )
    assert done.returncode in (0, 1), done.stdout[-2000:]  # 1: what it expects is stripe-mock's
    found.pop(Asked("GET", "/", b""), None)
    return found


REFUSED = [
    (method, re.compile(re.sub(r"{\w+}", "[^/]+", path.template)))
    for each in resources.every()
    for path in each.paths
    for method, where in path.methods.items()
    if isinstance(where, Refused)
]


def refused(asked: Asked) -> bool:
    """Whether a resource of ours declares that it does not do that, and what to do instead."""
    return any(m == asked.method and it.fullmatch(asked.path) for m, it in REFUSED)


def understood(asked: Asked, said: Said) -> bool:
    """Done; or refused for a placeholder or a state, not for the route or a parameter."""
    if said.status < 300:
        return True
    error = json.loads(said.body)["error"]
    if error.get("code") in ("resource_missing", "account_invalid"):
        return bool(re.search(r"'[a-z_]+(_x+|_123|_xyz|_card_visa)'|'foo'", error["message"]))
    if error.get("code") == "api_version_unsupported":
        return "'foo'" in error["message"]
    return error.get("code") in STATES


STATES = {"payment_intent_unexpected_state", "charge_already_refunded", "no_account"}


def counted(recorded: Recorded) -> Iterator[tuple[Asked, Said]]:
    """What is about a resource that is served, and not refused as a whole."""
    yield from ((a, s) for a, s in recorded.items() if first(a.path) in ours() and not refused(a))


def test_the_suite_was_recorded(recorded: Recorded) -> None:
    assert len(recorded) > 500
    assert len(list(counted(recorded))) > 50


def test_its_requests_about_our_resources_are_understood(recorded: Recorded) -> None:
    kept = dict(counted(recorded))
    odd = {shown(asked): said for asked, said in kept.items() if not understood(asked, said)}
    print(f"{len(kept) - len(odd)} of {len(kept)} requests understood")
    told = "\n".join(f"{asked}: {said.status} {said.body[:300]!r}" for asked, said in odd.items())
    assert len(odd) <= (1 - LEAST) * len(kept), told
    assert set(odd) == set(table("Not understood")), told


def shown(asked: Asked) -> str:
    """A request as the page writes it."""
    return f"{asked.method} {asked.target} {asked.body.decode('latin-1')}".strip()


def test_nothing_breaks_and_no_key_is_asked_for(recorded: Recorded) -> None:
    broken = [(a.method, a.target, s.status) for a, s in recorded.items() if s.status in (401, 500)]
    assert not broken


def test_what_is_refused_says_what_to_do(recorded: Recorded) -> None:
    told = [s for a, s in recorded.items() if refused(a)]
    assert told and all(s.status == 400 for s in told)
    assert all(len(json.loads(s.body)["error"]["message"]) > 40 for s in told)


def test_what_is_left_out_is_in_the_page(recorded: Recorded) -> None:
    asked = {first(a.path) for a in recorded} - ours()
    assert set(table("Left out")) == asked
