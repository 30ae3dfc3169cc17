"""A merchant's server as bad as can be, as a process of its own: it fails, is slow, and is killed.

Half of all requests fail: with an error, with half an answer, or with none. Good answers come after
a random while, so that requests that came one after another are answered in another order. What it
has seen is in a file before it answers: a line a request, ``ok`` or ``no``, the endpoint, the
object, its sequence and the event.
"""

import asyncio
import json
import os
import random
import sys


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: int, chance: random.Random
) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            named = {name.lower(): value for name, value in fields.items()}
            event = json.loads(await reader.readexactly(int(named["content-length"])))
            good = chance.random() < 0.5
            to, about = head.split(" ")[1], event["payment"] or "none"
            said = "ok" if good else "no"
            line = f"{said} {to} {about} {event['sequence']} {event['id']}\n"
            os.write(log, line.encode("ascii"))
            await asyncio.sleep(chance.random() ** 4 * 0.2)
            if not good and not _failed(writer, chance.choice(["500", "302", "half", "none"])):
                return
            if good:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _failed(writer: asyncio.StreamWriter, how: str) -> bool:
    """Fail in one way; whether the connection can still be used."""
    if how in ("500", "302"):
        writer.write(f"HTTP/1.1 {how} X\r\ncontent-length: 2\r\n\r\nno".encode("ascii"))
        return True
    if how == "half":
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-le")
    return False


async def main(port: int, path: str, seed: int) -> None:
    """Serve until it is killed."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    chance = random.Random(seed)
    server = await asyncio.start_server(
        lambda reader, writer: _serve(reader, writer, log, chance), "127.0.0.1", port, backlog=1024
    )
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
