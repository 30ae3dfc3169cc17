"""Canonical texts and signatures of RSA: published vectors, keys in every form, and what fits."""

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bailiwick.channels.blocks.signing import canonical
from bailiwick.channels.blocks.signing import rsa as block
from bailiwick.channels.contract import Account, BadSecret

# RFC 7515 appendix A.2: key, text and signature.
P = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc"  # noqa: E501
Q = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc"  # noqa: E501
D = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ"  # noqa: E501
SIGNATURE = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"  # noqa: E501
TEXT = (
    b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl"
    b"LmNvbS9pc19yb290Ijp0cnVlfQ"
)


def number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def standard(text: str) -> str:
    """base64url as plain base64."""
    return base64.b64encode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))).decode()


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    p, q, d = number(P), number(Q), number(D)
    public = rsa.RSAPublicNumbers(65_537, p * q)
    parts = (rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
    return rsa.RSAPrivateNumbers(p, q, d, *parts, public).private_key()


def of(text: str) -> Account:
    return Account("g", "https://p.test", {"key": text})


def private(key: rsa.RSAPrivateKey, kind: PrivateFormat, *, bare: bool = False) -> str:
    made = key.private_bytes(Encoding.DER if bare else Encoding.PEM, kind, NoEncryption())
    return base64.b64encode(made).decode() if bare else made.decode()


def public(key: rsa.RSAPrivateKey, kind: PublicFormat, *, bare: bool = False) -> str:
    made = key.public_key().public_bytes(Encoding.DER if bare else Encoding.PEM, kind)
    return base64.b64encode(made).decode() if bare else made.decode()


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("kind", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_signed_as_published(key: rsa.RSAPrivateKey, kind: PrivateFormat, bare: bool) -> None:
    text = private(key, kind, bare=bare)
    for written in (text, f"\n{text}\n  "):
        assert block.sign(of(written), "key", TEXT) == standard(SIGNATURE)
    if bare:
        wrapped = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
        assert block.sign(of(wrapped), "key", TEXT) == standard(SIGNATURE)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("kind", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_fits_as_published(key: rsa.RSAPrivateKey, kind: PublicFormat, bare: bool) -> None:
    found = block.public_key(of(public(key, kind, bare=bare)), "key")
    good = standard(SIGNATURE)
    assert block.fits(found, TEXT, good)
    assert not block.fits(found, TEXT + b" ", good)
    for other in (None, "", "x", SIGNATURE, good[:-4], good + "AAAA", good + "\n", "ü"):
        assert not block.fits(found, TEXT, other)
    changed = bytearray(base64.b64decode(good))
    changed[-1] ^= 1
    assert not block.fits(found, TEXT, base64.b64encode(changed).decode())


def test_another_program_finds_it_good(key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(public(key, PublicFormat.SubjectPublicKeyInfo))
    text = canonical.lines("POST", "/v3/pay?x=1", "1790000000", "nonce", '{"a":"ü"}')
    made = block.sign(of(private(key, PrivateFormat.PKCS8)), "key", text)
    (tmp_path / "signature").write_bytes(base64.b64decode(made))
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature"]
    done = subprocess.run(command, cwd=tmp_path, input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"Verified OK\n")


def test_what_is_no_key_is_named_and_not_shown(key: rsa.RSAPrivateKey) -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"sesame")
    ).decode()
    other = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    good = private(key, PrivateFormat.PKCS8)
    for text in ("", "hush-hush", locked, other, good[:-40], good.replace("M", "!", 5)):
        with pytest.raises(BadSecret, match=r"secrets\.key is no private key") as refused:
            block.sign(of(text), "key", b"")
        assert "hush" not in str(refused.value)
    with pytest.raises(BadSecret, match=r"secrets\.key is no public key"):
        block.public_key(of(good), "key")
    with pytest.raises(BadSecret, match=r"secrets\.nothing is no"):
        block.sign(of(good), "nothing", b"")


def test_a_weak_key_is_refused() -> None:
    weak = rsa.generate_private_key(65_537, 1_024)
    with pytest.raises(BadSecret, match="1024 bits: use one of 2048"):
        block.sign(of(private(weak, PrivateFormat.PKCS8)), "key", b"")
    assert not block.sound(weak.public_key())


def test_texts() -> None:
    assert canonical.lines("GET", b"\xff", "") == b"GET\n\xff\n\n"
    given = {"b": "2", "a": "1 & ü", "sign": "x", "empty": "", "C": "3"}
    assert canonical.pairs(given, without=("sign",)) == "C=3&a=1 & ü&b=2".encode()
    assert canonical.target("https://p.test/v3/a%2Fb?x=%5B1%5D") == "/v3/a%2Fb?x=%5B1%5D"
    assert canonical.target("https://p.test") == "/"
    assert canonical.target("https://p.test?x=1") == "/?x=1"
    made = canonical.credentials("WECHATPAY2-SHA256-RSA2048", mchid="1900", nonce_str="n")
    assert made == 'WECHATPAY2-SHA256-RSA2048 mchid="1900",nonce_str="n"'
    for bad in ('a"', "a\\", "a\nb"):
        with pytest.raises(ValueError, match="nonce"):
            canonical.credentials("X", nonce=bad)
