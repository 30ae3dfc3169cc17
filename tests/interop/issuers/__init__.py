"""Issuer hosts that nobody here wrote, as programs of their own.

``iso8583sim`` (https://pypi.org/project/iso8583sim) writes in ASCII. It answers by rules, and knows
nothing of what it said before. jPOS (https://jpos.org) packs: ``Issuer.java`` puts its parts
together and keeps what it holds. It is tried where ``java`` and ``mvn`` are installed, on Debian by
``apt-get install default-jdk-headless maven``. Each comes once from its language's registry, in the
version and with the digests that stand here.
"""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import uv

from bailiwick_lab.servers.ports import free_port
from tests.postgres.banks_kit import MAC_KEY
from tests.waiting import PATIENCE_S, wait_until

HERE = Path(__file__).parent
LOCK = HERE / "iso8583sim.lock"
JARS = {
    "bcprov-lts8on-2.73.6.jar": "3acb42a8c1c548567a3e95fd88cea33cc14da86d2ca1f7476eeb8e7be122c5db",
    "jdom2-2.0.6.1.jar": "0b20f45e3a0fd8f0d12cdc5316b06776e902b1365db00118876f9175c60f302c",
    "jpos-2.1.10.jar": "59beb854ef9ec44712ee5416aad5a0364b52e378d11a97ae2e39b4c33ec7c167",
    "slf4j-api-1.7.32.jar": "3624f8474c1af46d75f98bc097d7864a323c81b3808aa43689a6e1c601c027be",
}
DECLINED, SILENT, CLOSED = 100_000, 666, 667
"""Amounts: so much and more is declined (51); taken, and not answered; taken, and closed."""
_RULES = {
    "rules": [
        {"match": {"mti": ["0100", "0200"], "amount_gt": DECLINED - 1}, "respond": "51"},
        {"match": {"mti": ["0100", "0200"], "fields": {"4": f"{SILENT:012d}"}}, "action": "drop"},
        {"match": {"mti": ["0100", "0200"], "fields": {"4": f"{CLOSED:012d}"}}, "action": "close"},
        {"match": {}, "respond": "00"},
    ]
}
PEERS = ["iso8583sim", *(["jpos"] if shutil.which("java") and shutil.which("mvn") else [])]
CHANNELS = {"iso8583sim": "bank_ascii", "jpos": "bank_packed"}
MAC_KEYS = {"iso8583sim": None, "jpos": MAC_KEY}


class Issuer:
    """One of them, running. ``lines``: what it has printed."""

    def __init__(self, name: str, cache: Path, folder: Path) -> None:
        self.name = name
        self.channel = CHANNELS[name]
        self.mac_key = MAC_KEYS[name]
        self.lines: list[str] = []
        port = free_port([])
        self.url = f"tcp://127.0.0.1:{port}"
        with (cache / f"{name}.lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # another worker's tests bring it at the same time
            command = COMMANDS[name](cache, folder, port)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(self._listens)

    def _listens(self) -> bool:
        assert self._process.poll() is None, f"{self.name} has ended: {self.lines}"
        return any("listening" in line for line in self.lines)

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.lines.extend(iter(self._process.stdout.readline, ""))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


def _iso8583sim(cache: Path, folder: Path, port: int) -> list[str]:
    place = cache / "iso8583sim"
    python, installed, lock = place / "bin" / "python", place / "installed", LOCK.read_bytes()
    if not installed.exists() or installed.read_bytes() != lock:
        shutil.rmtree(place, ignore_errors=True)
        tool = uv.find_uv_bin()
        for command in (
            ["venv", "--python", sys.executable, str(place)],
            ["pip", "install", "--python", str(python), "--require-hashes", "-r", str(LOCK)],
        ):
            subprocess.run([tool, "--quiet", *command], check=True, timeout=600)
        installed.write_bytes(lock)
    rules = folder / "rules.json"
    rules.write_text(json.dumps(_RULES), encoding="utf-8")
    program = place / "bin" / "iso8583sim"
    return [str(program), "serve", "--port", str(port), "--rules", str(rules)]


def _jpos(cache: Path, folder: Path, port: int) -> list[str]:
    place = cache / "jpos"
    place.mkdir(exist_ok=True)
    if not all((place / name).exists() for name in JARS):
        command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml")]
        copied = ["dependency:copy-dependencies", f"-DoutputDirectory={place}"]
        subprocess.run([*command, *copied], check=True, timeout=1200)
    for name, digest in JARS.items():
        assert hashlib.sha256((place / name).read_bytes()).hexdigest() == digest, name
    path = ":".join(str(place / name) for name in JARS)
    return ["java", "-cp", path, str(HERE / "Issuer.java"), str(port), MAC_KEY]


COMMANDS: dict[str, Callable[[Path, Path, int], list[str]]] = {
    "iso8583sim": _iso8583sim,
    "jpos": _jpos,
}
