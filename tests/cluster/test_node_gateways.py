"""An operator's commands on the gateways of a node that runs, over a demo."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos_kit import Chaos, bailiwick

NODE = "europe"


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    data: Path = tmp_path_factory.mktemp("gateways")
    bailiwick("demo", "--background", "--data", str(data), "--nodes", "2", "--access", "1")
    made = Chaos(data)
    try:
        yield made
        assert made.check()["violations"] == 0
    finally:
        bailiwick("demo", "--stop", "--data", str(data))


def gateways(chaos: Chaos, verb: str, *words: str) -> dict[str, Any]:
    """`bailiwick node gateways ...`, carried out; its answer."""
    yes = [] if verb in ("list", "show") else ["--yes", "--by", "olga"]
    said = bailiwick(
        "node", "gateways", verb, NODE, *words, *yes, "--json", "--data", str(chaos.data)
    )
    found: dict[str, Any] = json.loads(said)
    return found


def plainly(chaos: Chaos, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """The same as a person sees it."""
    return subprocess.run(
        [sys.executable, "-m", "bailiwick", "node", "gateways", *words, "--data", str(chaos.data)],
        input=typed, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def paid_at(chaos: Chaos) -> str:
    form = {
        "amount": "500", "currency": "eur", "payment_method": "pm_card_visa", "confirm": "true",
        "location[country]": "DE",
    }  # fmt: skip
    answer = chaos.post(f"{chaos.demo['base_url']}/v1/payment_intents", form)
    return str(answer["routing"]["gateway"])


def test_the_whole_life_of_a_gateway(chaos: Chaos, tmp_path: Path) -> None:
    listed = gateways(chaos, "list")["gateways"]
    first = paid_at(chaos)
    known = next(each for each in listed if each["name"] == first)
    keys = json.loads((chaos.data / "secrets" / "providers.json").read_text())[first]
    for name, value in keys.items():
        (tmp_path / name).write_text(value)
    file = tmp_path / "new.toml"
    settings = known["settings"]
    lines = [
        f'channel = "{settings["channel"]}"', f'kind = "{settings["kind"]}"',
        f'base_url = "{settings["base_url"]}"', f'vault = "{first}"', "priority = 500",
        "[secrets]", *(f'{name} = "file:{name}"' for name in keys),
    ]  # fmt: skip
    file.write_text("\n".join(lines) + "\n")

    added = gateways(chaos, "add", "new-bank", "--from", str(file))
    assert (added["usage"], added["version"], added["changes"][0]["by"]) == ("open", 1, "olga")
    assert not any(value in json.dumps(added) for value in keys.values())
    for each in listed:
        gateways(chaos, "disable", each["name"])
    assert paid_at(chaos) == "new-bank"
    changed = gateways(
        chaos, "change", "new-bank", "--set", "priority=3", "--set", 'methods=["card"]'
    )
    assert changed["settings"]["priority"] == 3 and changed["version"] == 2
    given = [word for name in keys for word in ("--secret", f"{name}=file:{tmp_path / name}")]
    assert gateways(chaos, "credentials", "new-bank", *given, "--same-account")["version"] == 3
    assert gateways(chaos, "rotate-key")["wrapped"] == []
    for each in listed:
        gateways(chaos, "enable", each["name"])
    assert gateways(chaos, "drain", "new-bank")["drained"]
    assert paid_at(chaos) == first
    assert gateways(chaos, "show", "new-bank")["state"] == "draining"


def test_what_people_see(chaos: Chaos) -> None:
    name = gateways(chaos, "list")["gateways"][0]["name"]
    shown = plainly(chaos, "list", NODE)
    assert shown.returncode == 0 and name in shown.stdout and "enabled" in shown.stdout
    before = gateways(chaos, "show", name)["version"]
    asked = plainly(chaos, "change", NODE, name, "--set", "priority=4", typed="n\n")
    assert asked.returncode == 1 and gateways(chaos, "show", name)["version"] == before
    done = plainly(chaos, "change", NODE, name, "--set", "priority=4", typed="y\n")
    assert done.returncode == 0 and "priority = 4" in done.stdout
    assert "changed by" in plainly(chaos, "show", NODE, name).stdout
    for words, said in (
        (("show", NODE, "nobody"), "No such gateway: 'nobody'"),
        (("show", "nowhere", name), "has no node 'nowhere'"),
        (("change", NODE, name, "--set", "prioritie=4", "--yes"), "did you mean priority?"),
        (("change", NODE, name, "--set", "base_url=http://x", "--yes"), "stays as it is"),
        (("change", NODE, name, "--yes"), "Nothing is to be changed"),
        (("add", NODE, name, "--yes"), f"There is a gateway '{name}'"),
        (("credentials", NODE, name, "--secret", "api_key=env:NO", "--yes"), "--same-account"),
        (("credentials", NODE, name, "--secret", "api_key=env:NO", "--same-account", "--yes"),
         "the environment has no NO"),
        (("drain", NODE, name, "--json"), "--json does not ask"),
    ):  # fmt: skip
        refused = plainly(chaos, *words)
        assert refused.returncode != 0 and said in refused.stderr, (words, refused)
    shown = plainly(chaos, "add", "--help")
    assert all(each in shown.stdout for each in ("--from", "--secret", "--set", "--unchecked"))
