"""Taste that is enforced: sizes of folders and modules, and a page of the path that is right."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
FOLDER_MODULES_MAX = 15
MODULE_LINES_MAX = 400
PACKAGES = ("bailiwick", "bailiwick_lab", "bailiwick_sandbox")


def modules(package: str) -> list[Path]:
    return [each for each in (SRC / package).rglob("*.py") if each.name != "__init__.py"]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_is_a_heap(package: str) -> None:
    folders: dict[Path, int] = {}
    for module in modules(package):
        folders[module.parent] = folders.get(module.parent, 0) + 1
    assert {str(each): n for each, n in folders.items() if n > FOLDER_MODULES_MAX} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_a_book(package: str) -> None:
    sizes = {str(each): len(each.read_text().splitlines()) for each in modules(package)}
    assert {name: lines for name, lines in sizes.items() if lines > MODULE_LINES_MAX} == {}


def test_the_path_names_what_is_there() -> None:
    page = (ROOT / "docs" / "path.md").read_text(encoding="utf-8")
    table, _, rest = page.partition("## Where is it decided?")
    rows = re.findall(r"^\| `([a-z]+/)` \|.*\| (.*) \|$", table, re.MULTILINE)
    named = {folder + name for folder, names in rows for name in re.findall(r"`([^`]+)`", names)}
    named |= set(re.findall(r"`([a-z_/]+\.(?:py|sql))`", rest))
    missing = {name for name in named if not (SRC / "bailiwick" / name).exists()}
    assert missing == set()
    folders = {each.parent.name + "/" for each in (SRC / "bailiwick").glob("*/__init__.py")}
    assert folders == {folder for folder, _ in rows}, "each folder has its line"
