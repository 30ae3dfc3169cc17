"""Bodies of several parts: what is read, and all that is refused; how many are held at once."""

import random

import pytest

from bailiwick.base.errors import ApiError
from bailiwick.wire.limits import BODY_BYTES_MAX
from bailiwick.wire.uploads import multipart
from bailiwick.wire.uploads.multipart import Part
from bailiwick.wire.uploads.room import Room

TYPE = "multipart/form-data; boundary=xyz"
TEXT = b'--xyz\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
FILE = (
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
    b"Content-Type: application/pdf\r\n\r\n%b\r\n"
)
END = b"--xyz--\r\n"


def test_texts_and_files_are_told_apart() -> None:
    content = b"%PDF\r\n--xy\r\n\r\n--\0\xff"
    body = TEXT % (b"purpose", b"dispute_evidence") + TEXT % (b"location[country]", "Ü".encode())
    params, files = multipart.parse(TYPE, body + FILE % content + END)
    assert params == {"purpose": "dispute_evidence", "location": {"country": "Ü"}}
    assert files == {"file": Part("a.pdf", "application/pdf", content)}
    assert "PDF" not in repr(files)
    assert multipart.parse(TYPE, TEXT % (b"a", b"") + b"--xyz--") == ({"a": ""}, {})
    assert multipart.parse("application/json", b'{"a": "b"}') == ({"a": "b"}, {})
    assert multipart.parse(None, b"a=b") == ({"a": "b"}, {})


@pytest.mark.parametrize(
    "said",
    [
        'multipart/form-data; boundary="xyz"',
        "Multipart/Form-Data; Boundary=xyz",
        "multipart/form-data; charset=utf-8; boundary=xyz",
        "multipart/form-data;boundary=xyz; charset=utf-8",
    ],
)
def test_boundaries_as_clients_write_them(said: str) -> None:
    assert multipart.parse(said, TEXT % (b"a", b"b") + END) == ({"a": "b"}, {})


ONE = TEXT % (b"a", b"b")
REFUSED = {
    "nothing": b"",
    "no end": ONE,
    "broke off": ONE[:-4],
    "no part's head": b"--xyz\r\n\r\nb\r\n" + END,
    "a preamble": b"hello\r\n" + ONE + END,
    "an epilogue": ONE + END + b"more",
    "another boundary": ONE.replace(b"xyz", b"xyz2") + END,
    "a boundary's line goes on": ONE.replace(b"--xyz\r\n", b"--xyz \r\n") + END,
    "no name": ONE.replace(b'; name="a"', b"") + END,
    "no disposition": ONE.replace(b"Content-Disposition", b"X") + END,
    "another disposition": ONE.replace(b"form-data", b"attachment") + END,
    "a star": ONE.replace(b'name="a"', b"name=\"a\"; filename*=UTF-8''x") + END,
    "a folded line": ONE.replace(b"; name", b";\r\n name") + END,
    "a bare line feed": ONE.replace(b'"a"\r\n', b'"a"\nX: y\r\n') + END,
    "a header twice": ONE.replace(b'"a"\r\n', b'"a"\r\ncontent-disposition: x\r\n') + END,
    "another encoding": ONE.replace(b'"a"', b'"a"\r\ncontent-transfer-encoding: base64') + END,
    "a name twice": ONE + ONE + END,
    "a file twice": FILE % b"x" + FILE % b"y" + END,
    "a file and a text": FILE % b"x" + TEXT % (b"file", b"x") + END,
    "no UTF-8": TEXT % (b"a", b"\xff") + END,
    "a NUL": TEXT % (b"a", b"\0") + END,
    "a long text": TEXT % (b"a", b"x" * 5_001) + END,
    "a long head": ONE.replace(b'"a"', b'"a"; x="' + b"x" * 5_000 + b'"') + END,
    "many parts": b"".join(TEXT % (b"a%d" % n, b"b") for n in range(51)) + END,
    "brackets": TEXT % (b"a[", b"b") + END,
}  # fmt: skip


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        multipart.parse(TYPE, body)
    assert refused.value.status in (400, 413)


@pytest.mark.parametrize(
    "said",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=a b"],
)
def test_no_boundary(said: str) -> None:  # fmt: skip
    with pytest.raises(ApiError, match="boundary"):
        multipart.parse(said, ONE + END)


def test_what_is_no_file_is_no_larger_than_elsewhere() -> None:
    with pytest.raises(ApiError) as refused:
        multipart.parse(None, b"a=" + b"x" * BODY_BYTES_MAX)
    assert refused.value.status == 413
    many = b"".join(TEXT % (b"a%d" % n, b"x" * 4_000_000) for n in range(2))
    with pytest.raises(ApiError) as refused:
        multipart.parse(TYPE, many + END)
    assert refused.value.status == 413


def test_whatever_is_in_a_file_comes_out_again() -> None:
    chance = random.Random(7)
    pieces = [b"\r\n", b"--", b"-", b"xyz", b"xy", b"\r", b"\n", b"--xyz", b"\0", b'name="file"']
    for _ in range(2_000):
        content = b"".join(chance.choices(pieces, k=chance.randrange(8)))
        whole = FILE % content + END
        if whole.count(b"\r\n--xyz") > 1 or content.startswith(b"--xyz"):
            continue
        assert multipart.parse(TYPE, whole)[1]["file"].content == content


def test_there_is_room_for_some_at_once_and_for_everybody() -> None:
    room = Room(at_once=3, of_one=2)
    with room.one("a"), room.one("a"):
        with pytest.raises(ApiError) as refused:
            room.one("a").__enter__()
        assert (refused.value.status, refused.value.retry) == (429, True)
        with room.one("b"), pytest.raises(ApiError):
            room.one("c").__enter__()
        with room.one("c"):
            pass
    with room.one("a"), room.one("a"), room.one("b"):
        pass
