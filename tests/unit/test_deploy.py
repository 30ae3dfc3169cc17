"""What `deploy/` holds fits the program: commands, options, files and parameters exist."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from bailiwick.access.config import AccessSettings
from bailiwick.cli.main import bailiwick
from bailiwick.node.config import NodeSettings
from bailiwick.runtime.settings import describe
from bailiwick_lab.servers import binaries

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


HARDENING = {
    "NoNewPrivileges": "true", "ProtectSystem": "strict", "ReadOnlyPaths": "/etc/bailiwick",
    "ProtectHome": "true", "PrivateTmp": "true", "PrivateDevices": "true",
    "ProtectKernelTunables": "true", "ProtectKernelModules": "true", "ProtectKernelLogs": "true",
    "ProtectControlGroups": "true", "ProtectClock": "true", "ProtectHostname": "true",
    "ProtectProc": "invisible", "RemoveIPC": "true", "KeyringMode": "private",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX", "RestrictNamespaces": "true",
    "RestrictRealtime": "true", "RestrictSUIDSGID": "true", "LockPersonality": "true",
    "MemoryDenyWriteExecute": "true", "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service;~@privileged @resources",
    "SystemCallErrorNumber": "EPERM", "UMask": "0077", "LimitCORE": "0", "MemorySwapMax": "0",
    "LimitNOFILE": "65536", "TasksMax": "256", "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
}  # fmt: skip
"""What every unit says; a name that is there several times has its values joined."""
EXCEPTIONS = {
    # It may listen on port 443.
    "bailiwick-access@.service": {
        "CapabilityBoundingSet": "CAP_NET_BIND_SERVICE",
        "AmbientCapabilities": "CAP_NET_BIND_SERVICE",
    },
}
RUNS_AS = {
    "bailiwick-access@.service": "bailiwick-access",
    "bailiwick-node@.service": "bailiwick-node",
    "bailiwick-overview.service": "bailiwick-overview",
    "bailiwick-nats.service": "nats",
}


def service(unit: Path) -> dict[str, str]:
    """A unit's section [Service]; the values of a repeated name joined by semicolons."""
    found: dict[str, str] = {}
    section = re.split(r"(?m)^\[(\w+)\]$", unit.read_text())
    lines = dict(zip(section[1::2], section[2::2], strict=True))["Service"].splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[name] = f"{found[name]};{value}" if name in found else value
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_hardened_alike_and_come_back(unit: Path) -> None:
    found = service(unit)
    expected = HARDENING | EXCEPTIONS.get(unit.name, {})
    assert {name: found.get(name) for name in HARDENING} == expected
    assert found["Restart"] == "on-failure"
    assert "MemoryMax" in found
    assert not {"ReadWritePaths", "SupplementaryGroups"} & set(found)
    if found.get("Type") == "notify":
        name = unit.name.removeprefix("bailiwick-").removesuffix(".service").rstrip("@")
        assert re.search(
            r"from bailiwick\.runtime(?: import .*\bnotify\b|\.notify import)", _sources(name)
        )
        assert int(found["TimeoutStopSec"]) > 20  # HttpServer's grace


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_each_unit_has_a_user_a_state_and_secrets_of_its_own(unit: Path) -> None:
    found = service(unit)
    user = RUNS_AS[unit.name]
    assert (found["User"], found["Group"]) == (user, user)
    for state in found.get("StateDirectory", "").split():
        assert state.split("/")[0] == user
        assert found["StateDirectoryMode"] == "0700"
    own = f"/etc/bailiwick/{user.removeprefix('bailiwick-')}/"
    named = re.findall(r"/etc/bailiwick/\S+", " ".join(calls_text(unit)))
    assert named
    assert all(each.startswith(own) for each in named), named
    assert len(set(RUNS_AS.values())) == len(UNITS)


def calls_text(unit: Path) -> list[str]:
    found = service(unit)
    return [
        found[name] for name in ("ExecStart", "ExecStartPre", "EnvironmentFile") if name in found
    ]


def test_the_broker_s_configuration_names_its_own_files_alone() -> None:
    for name in ("hub.conf", "leaf.conf"):
        text = (DEPLOY / "nats" / name).read_text()
        assert all(
            each.startswith("nats/") for each in re.findall(r'"/etc/bailiwick/([^"]+)', text)
        )


SYSTEMD = DEPLOY / "systemd"


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd is not here")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_each_reads_its_own_settings_and_no_others(tmp_path: Path) -> None:
    etc = tmp_path / "etc" / "bailiwick"
    names = ("access", "node", "overview", "nats")
    for name in names:
        (etc / name / "pki").mkdir(parents=True)
        for file in (etc / name / "internal-secret", etc / name / "pki" / "key"):
            file.write_text("secret")
            file.chmod(0o600)
    root = f"--root={tmp_path}"
    subprocess.run(["systemd-sysusers", root, SYSTEMD / "sysusers.conf"], check=True, timeout=60)
    subprocess.run(
        ["systemd-tmpfiles", root, "--create", SYSTEMD / "tmpfiles.conf"], check=True, timeout=60
    )
    groups = {}
    for line in (tmp_path / "etc" / "passwd").read_text().splitlines():
        name, _, _, gid, *_, shell = line.split(":")
        groups[name] = int(gid)
        assert shell.endswith("nologin"), name
    assert set(RUNS_AS.values()) <= set(groups)
    for name in names:
        group = groups["nats" if name == "nats" else f"bailiwick-{name}"]
        for path, mode in {
            etc / name: 0o750, etc / name / "internal-secret": 0o640,
            etc / name / "pki": 0o750, etc / name / "pki" / "key": 0o640,
        }.items():  # fmt: skip
            found = path.stat()
            assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, group, mode), path
    assert etc.stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_them_little_exposed(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def _sources(name: str) -> str:
    place = REPO / "src" / "bailiwick" / "cli" / name
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return file.read_text()


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
    assert stage["USER"] == "10001:10001"  # of access; the others are named in its head
    for role, uid in (("access", 10001), ("node", 10002), ("overview", 10003)):
        assert re.search(rf"--uid {uid} \S+ .*bailiwick-{role}\b", stage["RUN"]), role
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
