"""Credentials at rest: what opens them, what does not, and where the key comes from."""

import base64
import os
import sys
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as some

from bailiwick.base.errors import ApiError
from bailiwick.interlink.gateway_commands import GatewayQuestion, hidden, revealed
from bailiwick.node.gateways import node_key
from bailiwick.node.gateways.envelope import (
    NodeKey,
    NodeKeys,
    WrongKey,
    rewrap,
    seal,
    unseal,
)
from bailiwick.node.gateways.node_key import node_keys
from bailiwick.runtime.settings import SettingsError

RAW = bytes(range(32))
TEXT = base64.b64encode(RAW).decode()
VALUES = {"api_key": "sk_live_of_the_bank", "callback_secret": "whsec_of_the_bank"}


def keys(*raws: bytes) -> NodeKeys:
    return NodeKeys(tuple(NodeKey(raw) for raw in raws))


@given(some.dictionaries(some.text(), some.text()))
def test_what_is_sealed_is_opened_and_cannot_be_read(values: dict[str, str]) -> None:
    mine = keys(RAW)
    sealed = seal(values, mine.all[0], 1, "bank")
    assert unseal(sealed, mine, 1, "bank") == values
    for value in values.values():
        if len(value.encode()) > 4:
            assert value.encode() not in sealed.credentials + sealed.wrapped_key


def test_it_is_aes_256_gcm_as_anybody_else_has_it() -> None:
    """Opened here by the library alone, along the documented form."""
    sealed = seal(VALUES, NodeKey(RAW), 7, "bank")
    place = b"bailiwick gateway credentials 1|7|bank"
    wrapped = sealed.wrapped_key
    data_key = AESGCM(RAW).decrypt(wrapped[:12], wrapped[12:], place + b"|key")
    plain = AESGCM(data_key).decrypt(
        sealed.credentials[:12], sealed.credentials[12:], place + b"|values"
    )
    assert msgspec.json.decode(plain) == VALUES


def test_no_two_are_alike() -> None:
    one, other = (seal(VALUES, NodeKey(RAW), 1, "bank") for _ in range(2))
    assert one.wrapped_key != other.wrapped_key and one.credentials != other.credentials


@pytest.mark.parametrize(("node", "gateway"), [(2, "bank"), (1, "bank-2")])
def test_it_is_good_in_its_own_row_alone(node: int, gateway: str) -> None:
    sealed = seal(VALUES, NodeKey(RAW), 1, "bank")
    with pytest.raises(WrongKey, match="altered"):
        unseal(sealed, keys(RAW), node, gateway)
    with pytest.raises(WrongKey, match="altered"):
        rewrap(sealed, keys(os.urandom(32), RAW), node, gateway)


@pytest.mark.parametrize("part", ["wrapped_key", "credentials"])
def test_a_bit_that_is_turned_is_seen(part: str) -> None:
    sealed = seal(VALUES, NodeKey(RAW), 1, "bank")
    whole = getattr(sealed, part)
    for place in range(len(whole)):
        altered = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        with pytest.raises(WrongKey):
            unseal(msgspec.structs.replace(sealed, **{part: altered}), keys(RAW), 1, "bank")


def test_a_wrong_key_is_named() -> None:
    other = os.urandom(32)
    sealed = seal(VALUES, NodeKey(other), 1, "bank")
    with pytest.raises(WrongKey) as said:
        unseal(sealed, keys(RAW), 1, "bank")
    assert NodeKey(other).id in str(said.value) and NodeKey(RAW).id in str(said.value)
    with pytest.raises(WrongKey, match="here is none"):
        unseal(sealed, NodeKeys(), 1, "bank")


def test_another_key_takes_it_over() -> None:
    new = os.urandom(32)
    sealed = seal(VALUES, NodeKey(RAW), 1, "bank")
    wrapped = rewrap(sealed, keys(new, RAW), 1, "bank")
    assert wrapped.node_key == NodeKey(new).id and wrapped.credentials == sealed.credentials
    assert unseal(wrapped, keys(new), 1, "bank") == VALUES
    with pytest.raises(WrongKey):
        unseal(wrapped, keys(RAW), 1, "bank")


def test_a_key_shows_nothing_of_itself() -> None:
    key = NodeKey(RAW)
    assert TEXT not in repr(key) and RAW.hex() not in repr((key, keys(RAW), vars(key)))


# --- where it comes from


def test_it_is_read_of_a_file_the_environment_or_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(TEXT + "\n")
    monkeypatch.setenv("THE_NODE_KEY", TEXT)
    script = f"{sys.executable} -c 'print(open(\"key\").read())'"
    for place in ("file:key", "env:THE_NODE_KEY", f"command:{script}"):
        found = node_keys(place, [], tmp_path)
        assert found.current is not None and found.current.id == NodeKey(RAW).id
    assert node_keys("", [], tmp_path).current is None


def test_earlier_ones_open_and_do_not_seal(tmp_path: Path) -> None:
    new = os.urandom(32)
    (tmp_path / "old").write_text(TEXT)
    (tmp_path / "new").write_text(base64.b64encode(new).decode())
    found = node_keys("file:new", ["file:old", "file:new"], tmp_path)
    assert [each.id for each in found.all] == [NodeKey(new).id, NodeKey(RAW).id]
    assert unseal(seal(VALUES, NodeKey(RAW), 1, "bank"), found, 1, "bank") == VALUES


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("plain:" + TEXT, "write file:PATH, env:NAME or command:"),
        (TEXT, "write file:PATH"),
        ("file:nowhere", "cannot be read"),
        ("file:short", "32 bytes in base64"),
        ("command:", "the command is missing"),
        ("command:'", "cannot be read"),
        ("command:/no/such/program", "cannot be run"),
        (f"command:{sys.executable} -c 'raise SystemExit(3)'", "ended with status 3"),
        (f"command:{sys.executable} -c 'print(1)'", "32 bytes in base64"),
    ],
)
def test_what_is_no_key_is_refused_by_name(tmp_path: Path, reference: str, said: str) -> None:
    (tmp_path / "short").write_text("c2hvcnQ=")
    with pytest.raises(SettingsError) as refused:
        node_keys(reference, [], tmp_path)
    assert str(refused.value).startswith("credentials_key: ") and said in str(refused.value)
    assert TEXT not in str(refused.value) and "c2hvcnQ" not in str(refused.value)
    (tmp_path / "good").write_text(TEXT)
    with pytest.raises(SettingsError, match=r"^credentials_keys_earlier\[0\]: "):
        node_keys("file:good", [reference], tmp_path)


def test_earlier_ones_need_one_that_seals(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"credentials_key: is missing"):
        node_keys("", ["file:old"], tmp_path)


def test_a_command_that_hangs_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_key, "COMMAND_S", 0.2)
    hangs = f"command:{sys.executable} -c 'import time; time.sleep(1000)'"
    with pytest.raises(SettingsError, match="did not end within"):
        node_keys(hangs, [], tmp_path)


def test_a_command_gets_no_shell(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        node_keys("command:true; touch made", [], tmp_path)
    assert not (tmp_path / "made").exists()


# --- on their way


def asked(**values: object) -> GatewayQuestion:
    given = {"node": 1, "at_ms": 5, "asker": "a" * 16, "count": 1, "gateway": "bank", **values}
    return GatewayQuestion(verb="credentials", **given)  # type: ignore[arg-type]


def test_they_travel_unread_and_are_good_in_one_question() -> None:
    question = asked()
    carried = hidden(b"shared", question, "bank", VALUES)
    assert "sk_live" not in carried and b"sk_live" not in base64.b64decode(carried)
    whole = msgspec.structs.replace(question, secrets=carried)
    assert revealed(b"shared", whole) == VALUES
    for other in ({"count": 2}, {"gateway": "bank-2"}, {"node": 2}, {"at_ms": 6}):
        with pytest.raises(ApiError, match="cannot be read"):
            revealed(b"shared", asked(**other, secrets=carried))
    with pytest.raises(ApiError, match="cannot be read"):
        revealed(b"another", whole)
    with pytest.raises(ApiError, match="cannot be read"):
        revealed(b"shared", asked(secrets="*"))
