"""What `deploy/` holds fits the program: commands, options, files and parameters exist."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from bailiwick.access.config import AccessSettings
from bailiwick.cli.main import bailiwick
from bailiwick.node.config import NodeSettings
from bailiwick.shell import binaries
from bailiwick.shell.settings import describe

REPO = Path(__file__).parents[2]
DEPLOY = REPO / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
BIN = "/opt/bailiwick/bin/"


def calls(path: Path) -> list[list[str]]:
    """The program's command lines in a unit."""
    found = []
    for line in path.read_text().splitlines():
        if match := re.match(rf"Exec\w+=({BIN}.*)", line):
            found.append(shlex.split(match[1]))
    assert found, path
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_call_what_exists(unit: Path) -> None:
    for program, *arguments in calls(unit):
        if program == f"{BIN}nats-server":
            assert (DEPLOY / "nats" / Path(arguments[1]).name).exists()
            continue
        assert program == f"{BIN}bailiwick"
        command = bailiwick.get_command(None, arguments[0])  # type: ignore[arg-type]
        assert command is not None, arguments
        options = {name for parameter in command.params for name in parameter.opts}
        assert {each for each in arguments if each.startswith("--")} <= options


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_hardened_and_come_back(unit: Path) -> None:
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit)
    service = parser["Service"]
    for name, value in {
        "NoNewPrivileges": "true", "ProtectSystem": "strict", "Restart": "on-failure",
        "LimitCORE": "0", "PrivateTmp": "true",
    }.items():  # fmt: skip
        assert service[name] == value, name
    assert service["User"] not in ("", "root")
    assert int(service["LimitNOFILE"]) >= 65_536
    assert "MemoryMax" in service
    if service.get("Type") == "notify":
        name = unit.name.removeprefix("bailiwick-").removesuffix(".service").rstrip("@")
        assert "bailiwick.shell.notify" in _sources(name)
        assert int(service["TimeoutStopSec"]) > 20  # HttpServer's grace


def _sources(name: str) -> str:
    place = REPO / "src" / "bailiwick" / "cli" / name
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = file.read_text()
    return text.replace("import http, notify, telemetry, tls", "bailiwick.shell.notify")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text().replace(f"{BIN}bailiwick", "/bin/true")
        text = text.replace(f"{BIN}nats-server", "/bin/true")
        (tmp_path / unit.name.replace("@", "@x")).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


# --- the container


def container() -> list[tuple[str, str]]:
    """(instruction, rest) of the container file, with continued lines joined."""
    text = (DEPLOY / "container" / "Containerfile").read_text()
    text = re.sub(r"(?m)^#.*\n", "", text)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [
        (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line)
    ]


def last_stage() -> list[tuple[str, str]]:
    found = container()
    begins = max(place for place, (word, _) in enumerate(found) if word == "FROM")
    return found[begins:]


def test_the_image_holds_no_more_than_it_needs() -> None:
    stage = dict(last_stage())
    assert stage["USER"] == "10001:10001"
    assert stage["ENTRYPOINT"] == '["bailiwick"]'
    assert "healthz" in stage["ENV"]
    assert "BAILIWICK_HEALTH_URL" in stage["HEALTHCHECK"]
    assert "pip uninstall" in stage["RUN"]
    for word, rest in container():
        if word == "COPY" and not rest.startswith("--from"):
            for name in rest.split()[:-1]:
                assert (REPO / name).exists(), name
        assert word in {
            "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "STOPSIGNAL",
            "HEALTHCHECK", "ENTRYPOINT", "CMD",
        }  # fmt: skip
    installs = [rest for word, rest in container() if word == "RUN" and "requirements" in rest]
    assert all("--require-hashes" in rest for rest in installs)
    assert installs


def test_the_images_variable_is_no_setting() -> None:
    names = {each.variable for kind in (AccessSettings, NodeSettings) for each in describe(kind)}
    assert "BAILIWICK_HEALTH_URL" not in names


# --- PostgreSQL


def parameters(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(re.fullmatch(r"(\w+) = (.+)", line).groups() for line in lines)  # type: ignore[union-attr, misc]


@pytest.mark.parametrize("name", ["primary.conf", "standby.conf"])
def test_postgresql_knows_every_parameter(name: str) -> None:
    server = binaries.find(binaries.server_user()).bin_dir / "postgres"
    told = subprocess.run(
        [server, "--describe-config"], capture_output=True, text=True, check=True
    ).stdout
    known = {line.split("\t")[0]: line.split("\t") for line in told.splitlines()}
    for parameter, value in parameters(DEPLOY / "postgresql" / name).items():
        assert parameter in known, parameter
        if known[parameter][3] == "BOOLEAN":
            assert value in ("on", "off")


def test_nothing_is_traded_for_speed() -> None:
    found = parameters(DEPLOY / "postgresql" / "primary.conf")
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert found[name] == "on"
    assert found["synchronous_standby_names"].startswith("'ANY 1 ")
    hba = (DEPLOY / "postgresql" / "pg_hba.conf").read_text()
    entries = [line.split() for line in hba.splitlines() if line and not line.startswith("#")]
    for kind, *_, method in entries:
        assert (kind, method) in {("local", "peer"), ("hostssl", "scram-sha-256")}
    names = set(re.findall(r"standby_\w", found["synchronous_standby_names"]))
    setup = (DEPLOY / "postgresql" / "setup.sql").read_text()
    assert names == set(re.findall(r"slot\('(standby_\w)'", setup))
