"""The page about the SDK's own test suite: what it says is left out."""

import re
from pathlib import Path

from bailiwick import resources

PAGE = Path(__file__).parents[1] / "docs" / "sdk-suite.md"


def table(heading: str) -> dict[str, str]:
    """The rows of the table under a heading, and why each is there."""
    part = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", part, re.MULTILINE))


def first(path: str) -> str:
    """What a path is about: its first part; helpers for tests by their second."""
    parts = path.split("/")
    return "/".join(parts[: 4 if parts[2:3] == ["test_helpers"] else 3])


def ours() -> set[str]:
    """What is served."""
    return {first(path.template) for each in resources.every() for path in each.paths}
