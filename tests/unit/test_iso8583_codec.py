"""Fields, frames and codes of ISO 8583: published examples, and round trips of whatever fits."""

import contextlib
import string

import iso4217
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bailiwick.base.money import CURRENCIES
from bailiwick.channels.blocks.iso8583 import mac as macs
from bailiwick.channels.blocks.iso8583.codec import (
    Message,
    Unreadable,
    authentic,
    formats_of,
    mac_field,
    pack,
    unpack,
)
from bailiwick.channels.blocks.iso8583.currencies import CODES, NUMBERS
from bailiwick.channels.blocks.iso8583.dialect import Dialect, Framing, Mac
from bailiwick.channels.blocks.iso8583.framing import BadStream, Frames, framed
from bailiwick.channels.blocks.iso8583.tables import Format, format_of, standard
from tests.unit.iso8583_kit import ASCII, MAC_KEY, PACKED

HEX = Dialect(bitmap="hex", binary="hex")
MIXED = Dialect(digits="bcd", text="cp037", lengths="binary", mac=Mac("aes-cmac"))
EBCDIC = Dialect(digits="cp500", text="cp500", lengths="cp500", bitmap="hex", mac=Mac("x9.19"))
DIALECTS = {"ascii": ASCII, "packed": PACKED, "hex": HEX, "mixed": MIXED, "ebcdic": EBCDIC}
each_dialect = pytest.mark.parametrize("name", DIALECTS)


# --- published examples


def test_an_authorization_in_ascii() -> None:
    # https://github.com/moov-io/iso8583, message_test.go (Apache-2.0)
    data = b"01007000000000000000164242424242424242123456000000000100"
    told = Message("0100", {2: "4242424242424242", 3: "123456", 4: "000000000100"})
    assert unpack(HEX, data) == told
    assert pack(HEX, told) == data


def test_a_field_above_64_brings_the_second_bitmap() -> None:
    # The same handbook's message as below, in characters
    data = b"0800822000000000000004000000000000000501130427000005001"
    told = Message("0800", {7: "0501130427", 11: "000005", 70: "001"})
    assert unpack(HEX, data) == told
    assert pack(HEX, told) == data


def test_a_sign_on_s_answer_in_bcd_and_ebcdic() -> None:
    # https://stackoverflow.com/questions/11421574: fields 7, 11, 39 and 70, of a bank's handbook
    data = bytes.fromhex("0810822000000200000004000000000000000501130427000005F0F00001")
    told = Message("0810", {7: "0501130427", 11: "000005", 39: "00", 70: "001"})
    packed = Dialect(digits="bcd", text="cp500", lengths="bcd")
    assert unpack(packed, data) == told
    assert pack(packed, told) == data


def test_the_retail_mac() -> None:
    mac = Mac("x9.19")
    # ISO/IEC 9797-1:2011, annex B.4, data string 1
    key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    assert macs.mac_of(mac, key, b"Now is the time for all ").hex() == "a1c72e74ea3fa9b6"
    # Bouncy Castle, ISO9797Alg3MacTest
    key = bytes.fromhex("7CA110454A1A6E570131D9619DC1376E")
    assert macs.mac_of(mac, key, b"Hello World !!!!").hex() == "f09b856213bab83b"
    # padding method 1: zeros up to the block
    assert macs.mac_of(mac, key, b"Hello") == macs.mac_of(mac, key, b"Hello\0\0\0")


def test_aes_cmac() -> None:
    # RFC 4493, section 4, examples 2 and 3, of which the first eight bytes are sent
    mac, key = Mac("aes-cmac"), bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    text = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411"
    )
    assert macs.mac_of(mac, key, text[:16]).hex() == "070a16b46b4d4144"
    assert macs.mac_of(mac, key, text).hex() == "dfa66747de9ae630"


def test_currencies_have_the_standard_s_numbers() -> None:
    for each in iso4217.Currency:
        if each.code in CURRENCIES:
            assert NUMBERS[each.code] == f"{each.number:03d}"
    assert set(NUMBERS) == set(CURRENCIES)
    # The guilder of the Antilles and its successor have one number.
    assert [code for code, number in NUMBERS.items() if CODES[number] != code] == ["ANG"]


# --- round trips


def _value(form: Format) -> st.SearchStrategy[str]:
    least = form.most if form.fixed else 0
    most = form.most if form.fixed else min(form.most, 120)
    if form.kind == "b":
        return st.binary(min_size=most, max_size=most).map(lambda found: found.hex().upper())
    if form.kind == "n":
        return st.text("0123456789", min_size=least, max_size=most)
    if form.kind == "x+n":
        digits = st.text("0123456789", min_size=most - 1, max_size=most - 1)
        return st.builds(lambda sign, rest: sign + rest, st.sampled_from("CD"), digits)
    letters = string.ascii_letters + string.digits + string.punctuation + " "
    text = st.text(letters, max_size=most)
    return text.map(lambda found: found.rstrip(" ")) if form.fixed else text


def _messages(dialect: Dialect) -> st.SearchStrategy[Message]:
    forms = {n: form for n, form in formats_of(dialect).items() if n not in (64, 128)}
    numbers = st.lists(st.sampled_from(sorted(forms)), unique=True, max_size=8)
    fields = numbers.flatmap(
        lambda found: st.fixed_dictionaries({each: _value(forms[each]) for each in found})
    )
    types = st.sampled_from(["0100", "0110", "0200", "0210", "0421", "0430", "0800", "0810"])
    return st.builds(Message, types, fields)


@each_dialect
@settings(max_examples=60)
@given(data=st.data())
def test_what_fits_comes_back(name: str, data: st.DataObject) -> None:
    dialect = DIALECTS[name]
    message = data.draw(_messages(dialect))
    packed = pack(dialect, message)
    assert unpack(dialect, packed) == message
    assert pack(dialect, unpack(dialect, packed)) == packed


@each_dialect
@settings(max_examples=60)
@given(data=st.data())
def test_a_code_holds_for_the_whole_message_and_nothing_else(
    name: str, data: st.DataObject
) -> None:
    dialect = DIALECTS[name]
    dialect = dialect if dialect.mac else replace(dialect, mac=Mac("x9.19"))
    key = macs.key_of(dialect.mac or Mac("x9.19"), MAC_KEY)
    message = data.draw(_messages(dialect))
    packed = pack(dialect, message, key)
    assert authentic(dialect, packed, key)
    assert not authentic(dialect, packed, key[::-1])
    assert unpack(dialect, packed).fields[mac_field(message)]
    at = data.draw(st.integers(0, len(packed) - 1))
    changed = bytearray(packed)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(Unreadable):
        assert not authentic(dialect, bytes(changed), key)


@each_dialect
@settings(max_examples=300)
@given(data=st.data())
def test_whatever_bytes_come_nothing_but_unreadable_is_raised(
    name: str, data: st.DataObject
) -> None:
    dialect = DIALECTS[name]
    packed = pack(dialect, data.draw(_messages(dialect)))
    cut = data.draw(st.integers(0, len(packed)))
    for bad in (data.draw(st.binary(max_size=200)), packed[:cut], packed + b"0"):
        try:
            message = unpack(dialect, bad)
        except Unreadable:
            continue
        assert unpack(dialect, pack(dialect, message)) == message


@pytest.mark.parametrize(
    ("fields", "which"),
    [
        ({4: "12 4"}, "4"),
        ({4: "1234567890123"}, "4"),
        ({32: "123456789012"}, "32"),
        ({41: "ÄÖ"}, "41"),
        ({52: "12"}, "52"),
        ({65: "1"}, "65"),
        ({28: "E00000001"}, "28"),
    ],
)
def test_what_does_not_fit_is_named(fields: dict[int, str], which: str) -> None:
    for dialect in DIALECTS.values():
        with pytest.raises(ValueError, match=rf"field {which}\b"):
            pack(dialect, Message("0200", fields))


def test_letters_in_packed_digits_are_no_number() -> None:
    packed = pack(PACKED, Message("0200", {4: "000000000123"}))
    with pytest.raises(Unreadable):
        unpack(PACKED, packed.replace(bytes.fromhex("0123"), bytes.fromhex("0AB3")))


def test_the_table_is_whole() -> None:
    assert set(standard()) == set(range(2, 129)) - {65}
    assert format_of("n ..11") == Format("n", 11, 2)
    with pytest.raises(ValueError, match="format"):
        format_of("q 3")


@pytest.mark.parametrize("secret", ["", "00", "zz" * 16, "00" * 24])
def test_a_key_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match=r"secrets\.mac_key"):
        macs.key_of(Mac("x9.19"), secret)


# --- frames

FRAMINGS = [
    Framing(),
    Framing(size=4, coding="ascii"),
    Framing(coding="bcd", tpdu="6000030000"),
    Framing(size=4, inclusive=True),
]


@pytest.mark.parametrize("framing", FRAMINGS)
@given(data=st.data())
def test_messages_come_out_as_they_went_in(framing: Framing, data: st.DataObject) -> None:
    messages = data.draw(st.lists(st.binary(min_size=1, max_size=300), max_size=4))
    stream = b"".join(framed(framing, each) for each in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    frames, found = Frames(framing), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += frames.feed(stream[start:end])
    assert found == messages


def test_lengths_as_they_are_written() -> None:
    assert framed(Framing(), b"abc") == b"\0\3abc"
    assert framed(Framing(size=4, coding="ascii"), b"abc") == b"0003abc"
    assert framed(Framing(coding="bcd"), b"x" * 123)[:2] == bytes.fromhex("0123")
    assert framed(Framing(inclusive=True), b"abc") == b"\0\5abc"
    assert framed(Framing(tpdu="6000010002"), b"a") == bytes.fromhex("0006600001000261")


@pytest.mark.parametrize(
    ("framing", "stream"),
    [
        (Framing(size=4, coding="ascii"), b"00x1"),
        (Framing(coding="bcd"), b"\x0a\x00"),
        (Framing(bytes_max=10), b"\0\x0b"),
        (Framing(inclusive=True), b"\0\1"),
        (Framing(tpdu="6000010002"), b"\0\4"),
    ],
)
def test_a_length_that_is_none_ends_the_stream(framing: Framing, stream: bytes) -> None:
    with pytest.raises(BadStream):
        Frames(framing).feed(stream)


def test_no_message_is_longer_than_the_most() -> None:
    with pytest.raises(ValueError, match="too long"):
        framed(Framing(bytes_max=10), b"x" * 11)
