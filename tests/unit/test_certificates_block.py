"""Certificates by serial number, and what is sealed with AES-256-GCM."""

import base64
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from bailiwick.channels.blocks.signing import certificates, encryption
from bailiwick.channels.contract import Account, BadSecret, CallbackRefused, NotPrepared

NOW_MS = 1_790_000_000_000
NOW = datetime.datetime.fromtimestamp(NOW_MS / 1_000, datetime.UTC)
DAY = datetime.timedelta(days=1)
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, 2_048)


def made(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, serial: int, begins: int, ends: int
) -> str:
    """A certificate that is good between these days from now."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "platform")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(NOW + begins * DAY)
        .not_valid_after(NOW + ends * DAY)
    )
    return built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def account(*texts: str) -> Account:
    found = certificates.by_serial(texts, NOW_MS)
    assert found is not None
    return Account("g", "https://p.test", {}, prepared={"certificates": found})


def test_several_are_good_at_a_time(key: rsa.RSAPrivateKey) -> None:
    second = rsa.generate_private_key(65_537, 2_048)
    both = account(made(key, 0xA1B2, -300, 10), made(second, 0xC3, -1, 300))
    assert set(both.prepared["certificates"]) == {"A1B2", "C3"}
    for serial, of in (("A1B2", key), ("a1b2", key), ("00A1B2", key), ("C3", second)):
        found = certificates.key(both, "certificates", serial, NOW_MS)
        assert found.public_numbers() == of.public_key().public_numbers()


def test_one_that_is_not_there_is_asked_for(key: rsa.RSAPrivateKey) -> None:
    there = account(made(key, 0xA1, -1, 1))
    for serial in ("A2", "A", "F" * 40):
        with pytest.raises(NotPrepared, match="certificates"):
            certificates.key(there, "certificates", serial, NOW_MS)
    with pytest.raises(NotPrepared):
        certificates.key(Account("g", "", {}), "certificates", "A1", NOW_MS)
    for malformed in (None, "", "G1", "A1 ", "A1\n", "F" * 41, "-A1", "٣"):
        with pytest.raises(CallbackRefused, match="serial number"):
            certificates.key(there, "certificates", malformed, NOW_MS)


def test_none_is_good_before_or_after_its_time(key: rsa.RSAPrivateKey) -> None:
    there = account(made(key, 0xA1, -1, 1), made(key, 0xB2, 2, 3))
    certificates.key(there, "certificates", "A1", NOW_MS)
    for serial, now_ms in (("A1", NOW_MS + DAY_MS), ("A1", NOW_MS - 2 * DAY_MS), ("B2", NOW_MS)):
        with pytest.raises(NotPrepared):
            certificates.key(there, "certificates", serial, now_ms)
    certificates.key(there, "certificates", "B2", NOW_MS + 2 * DAY_MS)


def test_what_is_kept(key: rsa.RSAPrivateKey) -> None:
    good, over = made(key, 1, -1, 1), made(key, 2, -3, -1)
    assert certificates.by_serial([good, over], NOW_MS) == {"1": good}
    curve = made(ec.generate_private_key(ec.SECP256R1()), 3, -1, 1)
    weak = made(rsa.generate_private_key(65_537, 1_024), 3, -1, 1)
    broken = (good[:-60], "", "x", "\ud800", good.replace("M", "!", 3))
    for strange in (curve, weak, *broken):
        assert certificates.by_serial([good, strange], NOW_MS) is None
    many = [made(key, serial, -1, 1) for serial in range(1, certificates.MOST + 2)]
    assert certificates.by_serial(many[1:], NOW_MS) is not None
    assert certificates.by_serial(many, NOW_MS) is None


# Test case 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega), with which GCM was
# proposed: its key and nonce are no texts, so that the cipher alone is held against it.
KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
ASSOCIATED = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
PLAIN = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
SEALED = bytes.fromhex(
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
    "76fc6ece0f4e1768cddf8853bb2d551b"
)


def sealing(key: str) -> Account:
    return Account("g", "https://p.test", {"v3_key": key})


OURS = sealing("0123456789abcdef0123456789ABCDEF")


def test_the_cipher_is_the_published_one() -> None:
    assert AESGCM(KEY).decrypt(NONCE, SEALED, ASSOCIATED) == PLAIN


def test_what_was_sealed_is_opened() -> None:
    sealed = encryption.seal(OURS, "v3_key", "61f9c719728a", "certificate", b"hello")
    # The same by the cipher alone: the tag stands behind the text, key and nonce are their letters.
    mine = AESGCM(OURS.secrets["v3_key"].encode())
    assert base64.b64decode(sealed) == mine.encrypt(b"61f9c719728a", b"hello", b"certificate")
    assert encryption.opened(OURS, "v3_key", "61f9c719728a", "certificate", sealed) == b"hello"


def test_nothing_else_is_opened() -> None:
    nonce, about = "61f9c719728a", "certificate"
    sealed = encryption.seal(OURS, "v3_key", nonce, about, b"hello")
    other = sealing("0123456789abcdef0123456789ABCDEf")
    assert encryption.opened(other, "v3_key", nonce, about, sealed) is None
    for wrong in ("61f9c719728b", "", "61f9c719728", "61f9c719728aa", "ü" * 12, "\ud800" * 12):
        assert encryption.opened(OURS, "v3_key", wrong, about, sealed) is None
    for wrong in ("", "certificates", "\ud800"):
        assert encryption.opened(OURS, "v3_key", nonce, wrong, sealed) is None
    for wrong in ("", "x", "ü", sealed[:-4], sealed[4:], sealed + "\n", "A" * 2**21):
        assert encryption.opened(OURS, "v3_key", nonce, about, wrong) is None


@pytest.mark.parametrize("key", ["", "short", "x" * 31, "x" * 33, "ü" * 32])
def test_a_key_of_another_length_is_named(key: str) -> None:
    with pytest.raises(BadSecret, match=r"secrets\.v3_key must have 32"):
        encryption.opened(sealing(key), "v3_key", "61f9c719728a", "", "")
