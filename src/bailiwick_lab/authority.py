"""A private certificate authority in a folder: for trying out, for tests, and for the drill.

Its key lies unencrypted beside its certificate. For real use take the authority that your
organisation runs; what a certificate needs is the same: names or addresses of a server and
`serverAuth`, or `clientAuth` for a client.

Certificates are built here and not by trustme, whose every certificate is for servers and clients
alike: a node must refuse a server's certificate where it wants a client's.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

MOST_DAYS: Final = 3_650
MOST_HOSTS: Final = 100
Use = Literal["server", "client", "both"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
)
_SLACK = datetime.timedelta(minutes=5)  # clocks differ
_USES: Final = {
    "server": [ExtendedKeyUsageOID.SERVER_AUTH],
    "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
    "both": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
}


class AuthorityError(Exception):
    """A certificate cannot be made; the message has the remedy."""


class Authority:
    """The authority of a folder: `ca.crt` and `ca.key`, made if they are not there.

    Args:
        days: how long a new authority is valid.

    Raises:
        AuthorityError: half of the pair is missing, or it cannot be read or written.
    """

    def __init__(self, folder: Path, *, days: int = MOST_DAYS) -> None:
        self.folder = folder
        self.certificate_file = folder / "ca.crt"
        key_file = folder / "ca.key"
        there = [file.exists() for file in (self.certificate_file, key_file)]
        if any(there) and not all(there):
            raise AuthorityError(f"{folder}: only one of ca.crt and ca.key is there; restore both")
        self.made = not any(there)
        if self.made:
            self._make(key_file, _checked_days(days))
            return
        try:
            self._certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
            key = load_pem_private_key(key_file.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise AuthorityError(f"{folder}: ca.crt and ca.key cannot be used: {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AuthorityError(f"{key_file}: was not made by this command; use another folder")
        self._key = key

    def _make(self, key_file: Path, days: int) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = _subject("Bailiwick private authority")
        now = _now()
        self._certificate = (
            _begun(name, name, self._key.public_key(), now, now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        _write(self.folder, self.certificate_file, self._certificate, key_file, self._key)

    def issue(
        self, name: str, hosts: Sequence[str], use: Use, *, days: int = 30, renew: bool = False
    ) -> tuple[Path, Path]:
        """Make `<name>.crt` and `<name>.key`; returns their paths.

        Args:
            hosts: DNS names and IP addresses that a server is reached by.
            renew: replace the pair of that name.

        Raises:
            AuthorityError: the name is taken or not usable, a host is none, or it outlives us.
        """
        if not _NAME.fullmatch(name) or name == "ca":
            raise AuthorityError(f"{name!r}: a name has small letters, digits, '.', '_' and '-'")
        certificate_file, key_file = (self.folder / f"{name}.{end}" for end in ("crt", "key"))
        if not renew and (certificate_file.exists() or key_file.exists()):
            raise AuthorityError(f"{certificate_file} exists; say --renew, or use another name")
        if use != "client" and not hosts:
            raise AuthorityError(f"{name}: a server needs a DNS name or address, NAME=HOST,...")
        names = [_general(host) for host in hosts]
        if len(names) > MOST_HOSTS:
            raise AuthorityError(f"{name}: has {len(names)} hosts; at most {MOST_HOSTS}")
        now = _now()
        until = now + datetime.timedelta(days=_checked_days(days))
        if until > self._certificate.not_valid_after_utc:
            raise AuthorityError(
                f"{name}: would outlive the authority, which ends on "
                f"{self._certificate.not_valid_after_utc:%Y-%m-%d}; take fewer days or a new folder"
            )
        key = ec.generate_private_key(ec.SECP256R1())
        begun = (
            _begun(_subject(name), self._certificate.subject, key.public_key(), now, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_USES[use]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName(names or [x509.DNSName(name)]), critical=False
            )
        )
        made = begun.sign(self._key, hashes.SHA256())
        _write(self.folder, certificate_file, made, key_file, key)
        return certificate_file, key_file


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _checked_days(days: int) -> int:
    if not 1 <= days <= MOST_DAYS:
        raise AuthorityError(f"{days} days: must be from 1 to {MOST_DAYS}")
    return days


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    until: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(host: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(host))
    if not _HOST.fullmatch(host):
        raise AuthorityError(f"{host!r}: is neither a DNS name in small letters nor an IP address")
    return x509.DNSName(host)


def _write(
    folder: Path,
    certificate_file: Path,
    certificate: x509.Certificate,
    key_file: Path,
    key: ec.EllipticCurvePrivateKey,
) -> None:
    """Both files whole, the key first and for its owner alone."""
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text, mode in (
            (key_file, private, 0o600),
            (certificate_file, certificate.public_bytes(Encoding.PEM), 0o644),
        ):
            beside = file.with_name(file.name + ".new")
            beside.unlink(missing_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(text)
            beside.replace(file)
    except OSError as error:
        raise AuthorityError(f"{folder}: cannot be written: {error.strerror}") from None
