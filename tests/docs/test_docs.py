"""Everything the README and the pages tell a reader to run is run here, and settings shown
are read by the product's own parsers."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bailiwick.access.config import AccessSettings
from bailiwick.channels import registry
from bailiwick.channels.blocks.tables import Tables
from bailiwick.checker import inside, providers
from bailiwick.checker.kinds import erasures, records, told
from bailiwick.cli.main import COMMANDS, bailiwick
from bailiwick.cli.reviews import REMEDIES
from bailiwick.control.fleet import FleetSettings
from bailiwick.delivery.event_types import known, own
from bailiwick.node import config as node_config
from bailiwick.node.config import NodeSettings
from bailiwick.orders.transition import SUSPICIOUS
from bailiwick.overview.config import OverviewSettings
from bailiwick.overview.questions import FindPayments, FindTotals
from bailiwick.resources.customers.params import ListCustomers
from bailiwick.resources.events.params import ListEvents
from bailiwick.resources.payment_methods.params import ListMethods
from bailiwick.resources.payments.params import ListPayments
from bailiwick.resources.refunds.params import ListRefunds
from bailiwick.routing.settings import GatewaySettings
from bailiwick.runtime import settings, telemetry
from bailiwick.serving.params import ListQuery
from bailiwick.topology import merchants as merchants_file
from bailiwick.topology import topology as topology_file
from bailiwick.topology.routes import reading as routing_file
from bailiwick_lab.authority import Authority
from bailiwick_lab.servers import binaries, engines
from bailiwick_sandbox import config as sandbox_config
from tests.docs import snippets
from tests.docs.snippets import REPO, Block

PAGES = snippets.pages()
NAMES = [str(page.relative_to(REPO)) for page in PAGES]
RUN = {"console", "sh", "python"}
READ = {"toml", "json"}


class Place:
    """A folder like a checkout in which the demo runs, and the reader's shell in it."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.variables = variables

    def shell(self, state: Path, command: str) -> tuple[int, str]:
        """Run a command with what earlier commands of the page have set."""
        script = (
            f"set -a; [ -e {state} ] && . {state}; set -o pipefail\n{command}\n"
            f"status=$?; export -p > {state}; exit $status"
        )
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        return done.returncode, done.stdout

    def environment(self) -> dict[str, str]:
        # The clients that come with the demo's own servers: psql, pg_dump and their like.
        server = binaries.find(binaries.server_user()).bin_dir
        path = os.pathsep.join([str(Path(sys.executable).parent), str(server), os.environ["PATH"]])
        plain = {"PATH": path, "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
        return {**os.environ, **plain, **self.variables}


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    # Not pytest's tmp_path: the database's user could not enter it when we are root.
    folder = Path(tempfile.mkdtemp(prefix="bwdocs-"))
    folder.chmod(0o755)
    data = folder / "demo-data"
    for name in ("docs", "src"):
        (folder / name).symlink_to(REPO / name)
    call = [sys.executable, "-m", "bailiwick", "demo", "--json", "--data", str(data)]
    port = ["--port", str(_free_port())]
    try:
        subprocess.run(
            [*call, "--background", "--overview", *port],
            check=True,
            timeout=600,
            stdout=subprocess.DEVNULL,
        )
        told = subprocess.run(
            [sys.executable, "docs/env.py"], cwd=folder, capture_output=True, text=True, check=True
        )
        variables = dict(re.findall(r"^export (\w+)='?(.*?)'?$", told.stdout, re.MULTILINE))
        yield Place(folder, variables)
    finally:
        subprocess.run([*call, "--stop"], check=False, timeout=600, stdout=subprocess.DEVNULL)
        for cluster in (*data.glob("nodes/*/postgres"), *data.glob("overview/postgres")):
            engines.remove(cluster)
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    from bailiwick_lab.servers.ports import free_port

    return free_port()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_block_is_tested_somehow(page: Path) -> None:
    for block in snippets.blocks(page):
        assert block.language in RUN | READ | {"text", "mermaid"}, (
            f"{block.place}: {block.language!r}"
        )
        if by := block.notes.get("run"):
            listed = snippets.RUN_BY[by]
            lines = [line for line in block.text.splitlines() if line and line[0] != "#"]
            assert set(lines) <= listed, f"{block.place}: not in the list of what is run {by}"


RUNNABLE = [page for page in PAGES if any(b.language in RUN for b in snippets.blocks(page))]


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.stem)
def test_the_blocks_run(page: Path, place: Place) -> None:
    found = [each for each in snippets.blocks(page) if each.language in RUN]
    state = place.folder / f"state-{page.stem}"
    namespace: dict[str, Any] = {"__name__": "__docs__"}
    for block in found:
        if "run" in block.notes:
            continue
        if block.language == "python":
            _run_python(block, namespace, place)
        else:
            _run_shell(block, state, place)


def _run_shell(block: Block, state: Path, place: Place) -> None:
    for command in snippets.commands(block):
        status, got = place.shell(state, command.text)
        where = f"{block.place}\n$ {command.text}\n{got}"
        assert status == 0, f"status {status} at {where}"
        if command.shown.strip():
            assert snippets.fits(command.shown, got), f"another output at {where}"


def _run_python(block: Block, namespace: dict[str, Any], place: Place) -> None:
    said = io.StringIO()
    before, folder = dict(os.environ), Path.cwd()
    try:
        os.environ.update(place.variables)
        os.chdir(place.folder)
        with contextlib.redirect_stdout(said):
            exec(compile(block.text, block.place, "exec"), namespace)
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)
    shown = snippets.printed(block.text)
    if shown:
        assert snippets.fits(shown, said.getvalue()), f"{block.place}\n{said.getvalue()}"


# --- settings and other data shown ----------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_data_shown_is_valid(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in snippets.blocks(page):
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            _read_toml(block, tmp_path, monkeypatch)


def _read_toml(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = block.notes.get("parse")
    assert kind, f"{block.place}: say which file it is: <!-- parse: node.toml -->"
    raw = block.text.encode()
    if kind == "topology.toml":
        topology_file.parse(raw)
    elif kind == "merchants.toml":
        merchants_file.parse(raw)
    elif kind == "routing.toml":
        routing_file.parse(raw, merchants={"acct_shop"}, groups={"eea": frozenset({"DE"})})
    elif kind == "pyproject.toml":
        assert set(tomllib.loads(block.text)["project"]["entry-points"]) == {registry.GROUP}
    elif kind == "codes.toml":
        (folder / kind).write_bytes(raw)
        known = Tables.beside(str(folder / "__init__.py"))
        assert {"charges", "reasons"} <= set(known.words)
        assert known.shapes
    elif kind == "sandbox.toml":
        file = folder / "sandbox.toml"
        file.write_bytes(raw)
        sandbox_config.load(file)
    elif kind == "access.toml":
        settings.convert(tomllib.loads(block.text), AccessSettings, source=kind, environ={})
    elif kind == "overview.toml":
        settings.convert(tomllib.loads(block.text), OverviewSettings, source=kind, environ={})
    elif kind == "fleet.toml":
        settings.convert(tomllib.loads(block.text), FleetSettings, source=kind, environ={})
    elif kind == "settings of node.toml":  # those alone: the files they name are not here
        settings.convert(tomllib.loads(block.text), NodeSettings, source=kind, environ={})
    elif kind == "node.toml":
        _load_node(block.text, folder, monkeypatch)
    else:
        assert kind == "gateways of node.toml", f"{block.place}: {kind}"
        head = (
            'number = 1\nname = "here"\nlisten = "127.0.0.1:9101"\ndsn = "postgresql:///x"\n'
            'world = "world"\ninternal_secret_file = "internal"\n'
        )
        _load_node(head + block.text, folder, monkeypatch)


def _load_node(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load settings whose secrets are made up where they point."""
    for name in re.findall(r'"env:([A-Z0-9_]+)"', text):
        monkeypatch.setenv(name, "whsec_made_up:for_the_test")
    for name in [*re.findall(r'"file:([^"]+)"', text), *_internal(text)]:
        path = folder / name
        text = text.replace(f'"file:{name}"', f'"file:{path}"')
        if not path.is_absolute() or str(path).startswith(str(folder)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_made_up(path, folder))
        else:
            inside = folder / path.name
            inside.write_text("made up")
            text = text.replace(str(path), str(inside))
    file = folder / "node.toml"
    file.write_text(text)
    loaded = node_config.load(file)
    assert loaded.settings.gateways is not None


def _made_up(path: Path, folder: Path) -> bytes:
    """A secret, or a certificate or key of one pair, as its name says."""
    if path.suffix not in (".crt", ".key"):
        return b"made up"
    place = folder / "authority"
    if not place.exists():
        Authority(place).issue("client", [], "client")
    name = "ca" if path.stem.endswith("authority") else "client"
    return (place / f"{name}{path.suffix}").read_bytes()


def _internal(text: str) -> list[str]:
    name = tomllib.loads(text)["internal_secret_file"]
    return [str(name)]


# --- the pages say all there is ---------------------------------------------------------------


def text_of(name: str) -> str:
    return (REPO / "docs" / name).read_text(encoding="utf-8")


def test_every_setting_is_in_the_reference() -> None:
    page = text_of("operating/settings.md")
    for kind in (NodeSettings, GatewaySettings):
        for one in msgspec.structs.fields(kind):
            assert f"`{one.encode_name}`" in page, f"{kind.__name__}.{one.encode_name}"
    access = bailiwick.get_command(None, "access")  # type: ignore[arg-type]
    assert access is not None
    for parameter in access.params:
        names = [parameter.name, *parameter.opts]
        assert any(f"`{name}`" in page for name in names), parameter.name


def test_every_command_is_described() -> None:
    everything = " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name in COMMANDS:
        assert bailiwick.get_command(None, name) is not None, name  # type: ignore[arg-type]
        assert f"bailiwick {name}" in everything, name


def test_the_metrics_in_the_reference_exist(place: Place) -> None:
    from urllib.request import urlopen

    page = text_of("operate.md")
    told = set(re.findall(r"`(bailiwick_[a-z_]+)`", page))
    there = set()
    for url in (place.variables["STATUS_URL"], place.variables["NODE_URL"]):
        with urlopen(f"{url}/metrics", timeout=60) as response:
            there |= set(re.findall(r"^# TYPE (bailiwick_[a-z_]+)", response.read().decode(), re.M))
    assert told == there


def test_the_overview_s_metrics_and_parameters_are_in_its_page(place: Place) -> None:
    from urllib.request import urlopen

    page = text_of("overview.md")
    with urlopen(f"{place.variables['OVERVIEW_URL']}/metrics", timeout=60) as response:
        there = set(re.findall(r"^# TYPE (bailiwick_[a-z_]+)", response.read().decode(), re.M))
    told = set(re.findall(r"`(bailiwick_overview_[a-z_]+)`", page))
    assert told == there
    for kind, route in ((FindPayments, "payments"), (FindTotals, "totals")):
        row = next(line for line in page.splitlines() if line.startswith(f"| `/overview/{route}`"))
        for one in msgspec.structs.fields(kind):
            assert f"`{one.encode_name}`" in row, one.name


def test_every_log_field_is_in_the_reference() -> None:
    page = text_of("operate.md")
    for name in telemetry.FIELDS:
        assert f"`{name}`" in page, name


def test_every_crash_point_is_described() -> None:
    page = text_of("path.md")
    for file in (REPO / "src" / "bailiwick").rglob("*.py"):
        for name in re.findall(r'crash_point\("([a-z.]+)"\)', file.read_text(encoding="utf-8")):
            assert f"`{name}`" in page, name


def test_every_event_type_is_described() -> None:
    page = text_of("api.md")
    folder = REPO / "src" / "bailiwick" / "resources"
    source = "\n".join(file.read_text(encoding="utf-8") for file in folder.rglob("*.py"))
    for name in own() | {each for each in known() if f'"{each}"' in source}:
        family, _, last = name.rpartition(".")
        assert f"`{name}`" in page or (family in page and f"`.{last}`" in page), name


def test_every_invariant_and_review_reason_is_described() -> None:
    page = text_of("check.md")
    for each in (
        *inside.INSIDE,
        *records.RECORDS,
        *told.TOLD,
        *erasures.ERASURES,
        *providers.BETWEEN,
    ):
        assert f"`{each.__name__}`" in page, each.__name__
    for reason in SUSPICIOUS | set(REMEDIES):
        assert f"`{reason}`" in text_of("operate.md"), reason
    source = REPO / "src" / "bailiwick"
    opened = "\n".join(file.read_text(encoding="utf-8") for file in source.rglob("*.py"))
    assert set(re.findall(r'"review_open",[^)]*?"([a-z_]+)"', opened)) <= set(REMEDIES)


def test_every_list_filter_is_described() -> None:
    page = text_of("api.md").partition("## Lists")[2].partition("\n## ")[0]
    kinds: dict[str, type[ListQuery]] = {
        "payments": ListPayments,
        "customers": ListCustomers,
        "payment methods": ListMethods,
        "refunds": ListRefunds,
        "events": ListEvents,
    }
    common = {field.name for field in msgspec.structs.fields(ListQuery)} - {"created"}
    for title, kind in kinds.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {title} |"))
        told = set(re.findall(r"`([a-z_]+)(?:\[\])?`", row))
        assert told == {field.name for field in msgspec.structs.fields(kind)} - common, title


def test_every_timed_step_is_described() -> None:
    page = text_of("api.md")
    for file in (REPO / "src" / "bailiwick").rglob("*.py"):
        for name in re.findall(r'timing\.mark\("([a-z]+)"\)', file.read_text(encoding="utf-8")):
            assert f"`{name}`" in page, name


# --- links, words, and the build --------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        file = target.partition("#")[0]
        assert (page.parent / file).exists(), f"{page.name}: {target}"


UNWANTED = {
    r"\bhealth of\b": "usage state of",
    r"\bcolou?red\b|\bcolor\b": "colour",
    r"\bbehavior\b": "behaviour",
    r"\blicense\b": "licence (the noun)",
    r"\bteh\b|\b[Rr]eciev|\boccured\b|\b[Ss]eperat|\bneccess|\b(the|a|is|of|to) \1\b": "spelling",
    r"\bfail-?over\b": "cascade, or the next node",
    r"\bmaster\b|\bslave\b": "primary, standby",
}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_words(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"`[^`]*`|\]\([^)]*\)", "", text)
    for pattern, instead in UNWANTED.items():
        found = re.search(pattern, text)
        assert found is None, f"{page.name}: {found and found[0]!r}: {instead}"


def test_the_documentation_builds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", "docs", str(tmp_path)],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
