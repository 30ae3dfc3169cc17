"""The search for canaries and the putting together of packets: they must not miss anything."""

import base64
import gzip
import json
import os
import socket
import struct
import urllib.parse
import zlib
from collections.abc import Callable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.canaries import Canaries
from tests.capture import Capture, Packet, Stream, parse, together

SHAPES: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "capitals": bytes.upper,
    "hex": lambda data: data.hex().encode(),
    "HEX": lambda data: data.hex().upper().encode(),
    "bytea": lambda data: b"\\x" + data.hex().encode(),
    "form": lambda data: urllib.parse.urlencode({"a b": data.decode("latin-1")}).encode(),
    "percent": lambda data: b"".join(b"%%%02X" % byte for byte in data),
    "json": lambda data: json.dumps({"é": data.decode("latin-1")}).encode(),
    "json escapes": lambda data: b"".join(b"\\u%04x" % byte for byte in data),
    "utf-16": lambda data: data.decode("latin-1").encode("utf-16-le"),
    "base64": base64.b64encode,
    "base64 for addresses": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zlib, cut off": lambda data: zlib.compress(data + os.urandom(9_000))[:-2_000],
    "base64 of gzip": lambda data: base64.b64encode(gzip.compress(data)),
    "base64 of zlib": lambda data: base64.b64encode(zlib.compress(data)),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("before", range(4))
def test_words_are_found_in_every_shape(name: str, before: int) -> None:
    canaries = Canaries()
    word = canaries("metadata").encode()
    canaries("description")
    data = b"\xffnoise " * 40 + SHAPES[name](b"a" * before + word + b"b") + b" noise\0" * 40
    assert canaries.fields_in(data) == {"metadata"}, name
    assert Canaries().fields_in(data) == set()


def test_addresses_and_points_are_found() -> None:
    canaries = Canaries()
    said = json.dumps({"ip": canaries.ip, "at": [float(canaries.latitude)]}).encode()
    assert canaries.fields_in(said) == {"ip_address", "latitude"}
    assert canaries.fields_in(canaries.coordinates.encode()) == {"latitude", "longitude"}
    assert canaries.fields_in(struct.pack("!d", float(canaries.longitude))) == {"longitude"}


def test_half_a_word_is_found_too() -> None:
    canaries = Canaries()
    found = canaries.find(b"x" + canaries("note")[:-2].encode())
    assert [(hit.field, hit.shape) for hit in found] == [("(cut off)", "plain")]


STREAM = Stream("10.0.0.1", 4000, "10.0.0.2", 80)


@given(some.integers(0, 2**32 - 1), some.lists(some.binary(min_size=1, max_size=5), max_size=4))
def test_streams_are_put_together_in_any_order(first: int, parts: list[bytes]) -> None:
    packets, at = [], first
    for part in parts:
        packets.append(Packet(STREAM, at % 2**32, part))
        at += len(part)
    again = [Packet(STREAM, first, b"".join(parts)[:3])] if parts else []
    for order in permutations(packets):
        found = together([*order, *again])
        assert found == ({STREAM: [b"".join(parts)]} if parts else {})


def test_what_was_not_seen_stays_apart() -> None:
    found = together([Packet(STREAM, 10, b"abc"), Packet(STREAM, 20, b"xyz"),
                      Packet(STREAM, None, b"datagram")])  # fmt: skip
    assert found == {STREAM: [b"abc", b"xyz", b"datagram"]}


def test_packets_are_read() -> None:
    tcp = struct.pack("!HHIIBBHHH", 4000, 80, 7, 0, 5 << 4, 2, 0, 0, 0) + b"hello"
    ends = socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2")
    frame = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + ends + tcp
    assert parse(frame + b"padding") == Packet(STREAM, 8, b"hello")
    datagram = struct.pack("!HHHH", 4000, 80, 8 + 2, 0) + b"hi"
    frame = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0) + ends
    assert parse(frame + datagram) == Packet(STREAM, None, datagram)
    assert parse(b"\x60" + bytes(60)) is None
    assert parse(b"") is None


def test_the_loopback_interface_is_heard_and_filtered() -> None:
    capture = Capture()
    try:
        capture.add("lo", network="127.99.7.0/24")
    except PermissionError:
        pytest.skip("this user may not capture packets")
    capture.start()
    try:
        for address in ("127.99.7.1", "127.99.8.1"):
            with socket.create_server((address, 0)) as server:
                client = socket.create_connection(server.getsockname())
                taken, _ = server.accept()
                client.sendall(b"to " + address.encode())
                while len(taken.recv(100)) < 13:
                    pass
                client.close()
                taken.close()
        for _ in range(100):
            carried = [data for parts in capture.streams().values() for data in parts]
            if carried:
                break
            capture._stopping.wait(0.05)
        assert carried == [b"to 127.99.7.1"]
        assert capture.lost == 0
    finally:
        capture.close()
