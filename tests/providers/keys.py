"""Keys of the tests, and signatures by them: made without anything that is under test."""

import base64
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID


class Keys(NamedTuple):
    """An RSA key and its public half, as PEM."""

    private: str
    public: str

    @classmethod
    def made(cls) -> "Keys":
        key = rsa.generate_private_key(65537, 2048)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return cls(private.decode(), public_pem(key.public_key()))

    def public_half(self) -> str:
        """The public half, where only the private one is known."""
        key = serialization.load_pem_private_key(self.private.encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return public_pem(key.public_key())

    def sign(self, data: bytes) -> str:
        key = serialization.load_pem_private_key(self.private.encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return base64.b64encode(key.sign(data, padding.PKCS1v15(), hashes.SHA256())).decode()


def certificate(keys: Keys, number: int, years: tuple[int, int] = (2020, 2040)) -> str:
    """A certificate of such a key, as PEM, with this serial number, good between the years."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Provider of the tests")])
    key = serialization.load_pem_private_key(keys.private.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    first, last = (datetime(year, 1, 1, tzinfo=UTC) for year in years)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), number, first, last)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    return made.decode()


def public_pem(key: rsa.RSAPublicKey) -> str:
    """A public key as PEM."""
    made = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return made.decode()


def is_signed(public: str, data: bytes, signature: str) -> bool:
    """Whether the owner of a public key has signed this."""
    key = serialization.load_pem_public_key(public.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        key.verify(base64.b64decode(signature), data, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
