"""A bank of one's own over ISO 8583: it signs on whoever connects, and answers as it is told."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

from bailiwick.channels.blocks.iso8583.codec import Message, pack, unpack
from bailiwick.channels.blocks.iso8583.dialect import Dialect
from bailiwick.channels.blocks.iso8583.framing import Frames, framed

Answer = bytes | None
"""A message, or silence."""
Answering = Callable[[Message, bytes], Answer]
"""The request, as it is read and as it came, to its answer."""


def like(dialect: Dialect, code: str, key: bytes | None = None, **changes: str | None) -> Answering:
    """An answer with the request's own fields, and this code in field 39; ``f38="..."`` adds one,
    None takes one away. ``key``: it is authenticated by that."""

    def answer(request: Message, data: bytes) -> bytes:
        fields = {**request.fields, 39: code}
        for name, value in changes.items():
            fields.pop(int(name[1:]), None)
            if value is not None:
                fields[int(name[1:])] = value
        kind = f"{request.type[:2]}{int(request.type[2]) + 1}0"
        return pack(dialect, Message(kind, _without_code(fields)), key)

    return answer


def _without_code(fields: dict[int, str]) -> dict[int, str]:
    return {number: value for number, value in fields.items() if number not in (64, 128)}


class ScriptedBank:
    """Answers messages in order, by the last of ``answers`` for ever.

    Attributes:
        heard: messages that came, but those about the connection.
        network: codes in field 70 of those.
        signs_on, echoes: the code that a sign-on or an echo is answered with; None for silence.
        connections: accepted so far.
        writers: the connections, as long as they are open, in that order.
    """

    def __init__(self, dialect: Dialect, *answers: Answering, tls: Any = None) -> None:
        self._dialect = dialect
        self._tls = tls
        self._answers = list(answers) or [like(dialect, "00")]
        self.heard: list[Message] = []
        self.network: list[str] = []
        self.signs_on: str | None = "00"
        self.echoes: str | None = "00"
        self.connections = 0
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, backlog=1024, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'tls' if self._tls else 'tcp'}://127.0.0.1:{self.port}"

    def then(self, *answers: Answering) -> None:
        """Answer so from now on."""
        self._answers = list(answers)

    def say(self, message: bytes, connection: int = -1) -> None:
        """Send something that nobody asked for."""
        self.writers[connection].write(framed(self._dialect.framing, message))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        frames = Frames(self._dialect.framing)
        try:
            while data := await reader.read(65_536):
                for each in frames.feed(data):
                    self._take(each, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self.writers.remove(writer)
            writer.close()

    def _take(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        message = unpack(self._dialect, data)
        if message.type.startswith("08"):
            answer = self._about_the_connection(message)
        else:
            self.heard.append(message)
            answering = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            answer = answering(message, data)
        if answer is not None and not writer.is_closing():
            writer.write(framed(self._dialect.framing, answer))

    def _about_the_connection(self, message: Message) -> bytes | None:
        what = message.fields.get(70, "")
        if message.type == "0810":
            self.network.append(f"answered {what}")
            return None
        self.network.append(what)
        if what == self._dialect.sign_off:
            return None
        code = self.signs_on if what == self._dialect.sign_on else self.echoes
        return None if code is None else like(self._dialect, code)(message, b"")
