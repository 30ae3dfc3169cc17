"""`bailiwick channel`: list, check, record and new; a channel by a package of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bailiwick import channels
from bailiwick.channels import registry
from bailiwick_lab.commands import channel as commands

REPO = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPO / "src")}


def run(*words: str) -> Result:
    return CliRunner().invoke(commands.command, words, prog_name="bailiwick channel")


def apart(folder: Path, *words: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{path}{os.pathsep}{REPO / 'src'}"}
    return subprocess.run(
        [sys.executable, "-m", "bailiwick", "channel", *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which channels are looked for, as in this one's."""
    monkeypatch.setattr(registry, "HERE", tmp_path / "channels")
    monkeypatch.setattr(channels, "__path__", [str(tmp_path / "channels"), *channels.__path__])
    (tmp_path / "channels").mkdir()
    registry.channel.cache_clear()
    return tmp_path / "channels"


@pytest.mark.parametrize("verb", ["list", "check", "record", "new"])
def test_every_verb_s_help_has_an_example(verb: str) -> None:
    said = run(verb, "--help")
    assert said.exit_code == 0
    assert f"\n  bailiwick channel {verb}" in said.output


def test_list() -> None:
    rows = {row["name"]: row for row in json.loads(run("list", "--json").output)}
    assert set(rows) == set(registry.names())
    for name, row in rows.items():
        profile = registry.channel(name).profile
        assert (row["title"], row["methods"]) == (profile.title, list(profile.methods))
        assert row["from"] == registry.source(name)
        assert f"{name} " in run("list").output


@pytest.mark.parametrize("name", registry.names())
def test_what_is_here_is_green(name: str) -> None:
    said = json.loads(run("check", name, "--no-judges", "--json").output)
    assert said["ok"] and said["judges"] is None
    assert len(said["checks"]) > 40
    assert all(each == {"name": each["name"], "ok": True, "seen": None} for each in said["checks"])


def test_a_new_one_is_green_at_once(elsewhere: Path) -> None:
    said = run("new", "first_pay")
    assert said.exit_code == 0, said.output
    assert {each.name for each in (elsewhere / "first_pay").iterdir() if each.is_file()} == {
        "__init__.py", "cases.json", "page.md", "transcript.json",
    }  # fmt: skip
    said = run("check", "first_pay")
    assert said.exit_code == 0, said.output
    assert "red  " not in said.output
    assert "none of them red" in said.output
    text = (elsewhere / "first_pay" / "__init__.py").read_text()
    assert "acme" not in text.lower()
    assert 'title="First Pay"' in text


def test_a_broken_one_is_red_and_says_what_was_seen(elsewhere: Path) -> None:
    run("new", "second_pay")
    cases = elsewhere / "second_pay" / "cases.json"
    cases.write_text(cases.read_text().replace("back?a=1", "back?a=2"))
    said = run("check", "second_pay")
    assert said.exit_code == 1
    assert "red    transcripts: what is on the wire is as recorded" in said.output
    assert "request.body was" in said.output
    assert "red    answers" not in said.output
    found: dict[str, Any] = json.loads(run("check", "second_pay", "--json").output)
    assert not found["ok"]
    assert run("record", "second_pay").exit_code == 0
    assert run("check", "second_pay").exit_code == 0
    cases.write_text("{")
    said = run("check", "second_pay")
    assert said.exit_code == 1
    assert "cases.json is no JSON" in said.output


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("sandbox", "already"),
        ("contract", "already"),
        ("class", "no name"),
        ("Acme", "no name"),
        ("9pay", "no name"),
        ("a__b", "no name"),
        ("../x", "no name"),
        ("x" * 33, "no name"),
    ],
)
def test_names_that_are_refused(name: str, why: str, tmp_path: Path) -> None:
    for words in (("new", name), ("new", name, "--folder", str(tmp_path / "there"))):
        said = run(*words)
        assert said.exit_code == 1
        assert why in said.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    said = run("new", "third_pay", "--folder", str(tmp_path), "--json")
    assert said.exit_code == 1
    assert "is not empty" in json.loads(said.output)["error"]
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("name", "why"),
    [("nonsense", "bank_ascii, bank_packed, "), ("./nowhere", "pyproject.toml is missing")],
)
def test_what_is_not_there(name: str, why: str, tmp_path: Path) -> None:
    for verb in ("check", "record"):
        said = run(verb, name)
        assert said.exit_code == 1
        assert why in said.output


def test_a_package_of_its_own_is_found_once_it_is_installed(tmp_path: Path) -> None:
    """Made, checked, judged, built, installed and used: outside this repository throughout."""
    made = apart(tmp_path, "new", "far_pay", "--folder", "far")
    assert made.returncode == 0, made.stderr
    judges = tmp_path / "far" / "tests"
    judges.mkdir()
    judge = judges / "test_far_pay.py"
    judge.write_text("def test_it() -> None:\n    assert True\n")
    checked = apart(tmp_path, "check", "./far", "--json")
    assert checked.returncode == 0, checked.stdout
    assert "1 passed" in json.loads(checked.stdout)["judges"]["said"]
    judge.write_text("def test_it() -> None:\n    assert False\n")
    checked = apart(tmp_path, "check", "./far")
    assert checked.returncode == 1
    assert "FAILED" in checked.stdout

    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=tmp_path / "far", check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    there = str(tmp_path / "installed")
    install = ["uv", "pip", "install", "--quiet", "--no-deps", "--offline", "--target", there]
    command = [sys.executable, "-m", *install, "--python", sys.executable, str(wheel)]
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    listed = json.loads(apart(tmp_path, "list", "--json", path=there).stdout)
    (row,) = [each for each in listed if each["name"] == "far_pay"]
    assert row["from"] == "bailiwick-far-pay"
    checked = apart(tmp_path, "check", "far_pay", "--json", path=there)
    assert checked.returncode == 0, checked.stdout
    assert str(json.loads(checked.stdout)["folder"]).startswith(there)


def test_the_wheel_has_what_a_channel_brings(tmp_path: Path) -> None:
    from zipfile import ZipFile

    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPO, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(ZipFile(wheel).namelist())
    for name in registry.names():
        for file in ("cases.json", "transcript.json", "page.md"):
            assert f"bailiwick/channels/{name}/{file}" in packed
    for file in (REPO / "src" / "bailiwick_lab" / "channel_suite" / "skeleton").glob("*.txt"):
        assert f"bailiwick_lab/channel_suite/skeleton/{file.name}" in packed
