"""Demos that the cluster tests share: starting one takes seconds, so there are few."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos_kit import Chaos, bailiwick


@pytest.fixture(scope="session")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    """A demo of three nodes and two access processes whose processes tests may kill."""
    data: Path = tmp_path_factory.mktemp("chaos")
    bailiwick(
        "demo", "--background", "--data", str(data), "--nodes", "3", "--access", "2",
        BAILIWICK_CRASH_POINTS="1",
    )  # fmt: skip
    try:
        yield Chaos(data)
    finally:
        bailiwick("demo", "--stop", "--data", str(data))
