"""Demos that the cluster tests share: starting one takes seconds, so there are few."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos_kit import Chaos, bailiwick

from bailiwick_lab.servers import engines


@pytest.fixture(scope="session")
def demo() -> Iterator[dict[str, Any]]:
    """demo.json of a running demo: three nodes, two access processes.

    Its processes stay up for the whole session and its books stay right: a test that breaks
    something puts it back. ``demo["data"]`` is its folder. It is stopped and removed at the end,
    also when starting it failed half-way.
    """
    # Not pytest's folder: the database's user could not enter it when we are root.
    place = Path(tempfile.mkdtemp(prefix="bwc-"))
    place.chmod(0o755)
    data = place / "demo"
    try:
        started = bailiwick(
            "demo", "--background", "--json", "--data", str(data), "--nodes", "3", "--access", "2"
        )
        yield json.loads(started)
    finally:
        try:
            bailiwick("demo", "--stop", "--data", str(data))
        finally:
            for cluster in data.glob("nodes/*/postgres"):
                engines.remove(cluster)
            shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    """A demo of three nodes and two access processes whose processes tests may kill."""
    data: Path = tmp_path_factory.mktemp("chaos")
    bailiwick(
        "demo", "--background", "--data", str(data), "--nodes", "3", "--access", "2",
        BAILIWICK_CRASH_POINTS="1", BAILIWICK_EVENTS="true",
    )  # fmt: skip
    try:
        yield Chaos(data)
    finally:
        bailiwick("demo", "--stop", "--data", str(data))
