"""A real NATS server on a port of its own, which tests may stop, start and wipe."""

import shutil
import subprocess
from pathlib import Path

import msgspec

from bailiwick_lab.servers import broker
from bailiwick_lab.servers.broker import BrokerSettings
from bailiwick_lab.servers.ports import free_port
from tests.waiting import until


class Server:
    """One server; the folder is its own."""

    def __init__(self, folder: Path, **options: object) -> None:
        settings = BrokerSettings(
            name="test", folder=folder / "streams", port=free_port(), user="u", password="p"
        )
        self.settings = msgspec.structs.replace(settings, **options)
        self._config = folder / "nats.conf"
        self._log = folder / "nats.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.settings.url

    async def start(self) -> None:
        broker.write_config(self.settings, self._config)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [broker.find(), "-c", self._config], stdout=log, stderr=log
            )
        await until(self._answers)

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        return await broker.answers(self.settings.host, self.settings.port)

    def stop(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wipe(self) -> None:
        shutil.rmtree(self.settings.folder)
