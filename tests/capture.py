"""What really travelled: packets of interfaces, put together to the streams that they carried.

With AF_PACKET sockets, so Linux and the right to open them (CAP_NET_RAW); no other program.
"""

import contextlib
import ctypes
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import NamedTuple

_ALL, _OUTGOING = 0x0003, 4  # linux/if_ether.h, linux/if_packet.h
_STATISTICS, _ATTACH_FILTER, _BUFFER_FORCE = 6, 26, 33
_SOL_PACKET = 263
_BUFFER = 32 << 20
_FRAME_MAX = 1 << 18
_TCP = 6


class Stream(NamedTuple):
    """One direction of a connection."""

    source: str
    source_port: int
    target: str
    target_port: int


class Packet(NamedTuple):
    """What matters of an IP packet; of what is no TCP, ``data`` is all of it."""

    stream: Stream
    sequence: int | None
    data: bytes


def parse(frame: bytes) -> Packet | None:
    """An IPv4 packet; None for what is none (neighbour look-ups, IPv6 of the link)."""
    if len(frame) < 20 or frame[0] >> 4 != 4:
        return None
    header = (frame[0] & 15) * 4
    # Packets that the kernel has not cut up yet may be longer than they can say.
    length = struct.unpack_from("!H", frame, 2)[0] or len(frame)
    body = frame[header:length]
    source, target = socket.inet_ntoa(frame[12:16]), socket.inet_ntoa(frame[16:20])
    if frame[9] != _TCP or len(body) < 20:
        ports = struct.unpack_from("!HH", body) if len(body) >= 4 else (0, 0)
        return Packet(Stream(source, ports[0], target, ports[1]), None, body)
    source_port, target_port, sequence = struct.unpack_from("!HHI", body)
    data = body[(body[12] >> 4) * 4 :]
    first = bool(body[13] & 2)  # SYN takes a number of its own
    stream = Stream(source, source_port, target, target_port)
    return Packet(stream, (sequence + first) % 2**32, data)


def together(packets: Iterable[Packet]) -> dict[Stream, list[bytes]]:
    """What each stream carried: a list with one item, or more where something was not seen."""
    parts: dict[Stream, dict[int, bytes]] = {}
    loose: dict[Stream, list[bytes]] = {}
    begun: dict[Stream, int] = {}
    for stream, sequence, data in packets:
        if sequence is None:
            loose.setdefault(stream, []).append(data)
        elif data:
            base = begun.setdefault(stream, sequence)
            at = (sequence - base + 2**31) % 2**32 - 2**31
            known = parts.setdefault(stream, {})
            if len(known.get(at, b"")) < len(data):
                known[at] = data
    found = {stream: _joined(known) for stream, known in parts.items()}
    for stream, alone in loose.items():
        found[stream] = found.get(stream, []) + alone
    return found


def _joined(parts: dict[int, bytes]) -> list[bytes]:
    found: list[bytearray] = []
    end = None
    for at in sorted(parts):
        data = parts[at]
        if end is None or at > end:
            found.append(bytearray(data))
            end = at + len(data)
        elif at + len(data) > end:
            found[-1] += data[end - at :]
            end = at + len(data)
    return [bytes(each) for each in found]


class Capture:
    """Sockets on interfaces, and a thread that empties them."""

    def __init__(self) -> None:
        self._sockets: list[tuple[socket.socket, bool]] = []
        self._frames: list[bytes] = []
        self._lost = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def add(
        self,
        interface: str,
        *,
        within: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
        network: str = "",
    ) -> None:
        """Listen on an interface: of ``within``'s network namespace, and only to what is from
        or to ``network`` (as in 10.0.0.0/8). Raises PermissionError."""
        with within():
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        if network:
            _filter(opened, network)
        try:
            opened.setsockopt(socket.SOL_SOCKET, _BUFFER_FORCE, _BUFFER)
        except PermissionError:  # CAP_NET_ADMIN; without it as much as the system grants
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        with within():
            opened.bind((interface, _ALL))
        opened.setblocking(False)
        # On the loopback interface whatever is sent is received as well.
        self._sockets.append((opened, interface != "lo"))

    def start(self) -> None:
        """Begin to read."""
        self._thread = threading.Thread(target=self._read, daemon=True, name="capture")
        self._thread.start()

    def close(self) -> None:
        """End the thread and the sockets."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10)
        for opened, _ in self._sockets:
            opened.close()

    @property
    def lost(self) -> int:
        """Packets that came faster than they were read: nothing is proven with any."""
        for opened, _ in self._sockets:
            # Reading resets them.
            told = opened.getsockopt(_SOL_PACKET, _STATISTICS, 8)
            self._lost += struct.unpack("II", told)[1]
        return self._lost

    def streams(self) -> dict[Stream, list[bytes]]:
        """All that was carried so far."""
        found = (parse(frame) for frame in list(self._frames))
        return together(packet for packet in found if packet is not None)

    def _read(self) -> None:
        waiting = select.poll()
        named = {opened.fileno(): (opened, outgoing) for opened, outgoing in self._sockets}
        for number in named:
            waiting.register(number, select.POLLIN)
        while not self._stopping.is_set():
            for number, _ in waiting.poll(100):
                opened, outgoing = named[number]
                with contextlib.suppress(OSError):
                    while True:
                        frame, address = opened.recvfrom(_FRAME_MAX)
                        if outgoing or address[2] != _OUTGOING:
                            self._frames.append(frame)


class _Filter(ctypes.Structure):
    _fields_ = (("count", ctypes.c_ushort), ("code", ctypes.c_void_p))


def _filter(opened: socket.socket, network: str) -> None:
    """Have the kernel drop what is neither from nor to an IPv4 network (classic BPF)."""
    name, _, bits = network.partition("/")
    mask = (0xFFFFFFFF << (32 - int(bits))) & 0xFFFFFFFF
    wanted = struct.unpack("!I", socket.inet_aton(name))[0] & mask
    load, mask_it, equal, end = 0x20, 0x54, 0x15, 0x06
    program = [
        (load, 0, 0, 12), (mask_it, 0, 0, mask), (equal, 3, 0, wanted),  # the source
        (load, 0, 0, 16), (mask_it, 0, 0, mask), (equal, 0, 1, wanted),  # the target
        (end, 0, 0, _FRAME_MAX), (end, 0, 0, 0),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    told = _Filter(len(program), ctypes.addressof(code))
    opened.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, bytes(told))
