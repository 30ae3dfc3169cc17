"""Run a module as a program, with its server on 127.0.0.1 where it asks for every address.

python loopback.py MODULE [ARGUMENT ...]
"""

import runpy
import socket
import sys
from typing import Any


class Loopback(socket.socket):
    """A socket that binds to loopback only."""

    def __init__(self, family: int = -1, *others: Any, **named: Any) -> None:
        if family == socket.AF_INET6 and not (named or others[2:]):
            family = socket.AF_INET
        super().__init__(family, *others, **named)

    def bind(self, address: Any) -> None:
        everywhere = isinstance(address, tuple) and address[0] in ("::", "0.0.0.0", "")
        super().bind(("127.0.0.1", address[1]) if everywhere else address)


if __name__ == "__main__":
    module = sys.argv[1]
    del sys.argv[0]
    socket.socket = Loopback  # type: ignore[misc]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
