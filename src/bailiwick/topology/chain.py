"""The signed chain of epochs: envelopes, signatures, and who descends from whom. Pure.

An envelope is JSON: ``signed`` (a text, itself JSON with sorted names), ``key`` (the id of the
key that signed it) and ``signature`` (base64 of Ed25519 over the text's UTF-8 bytes). An
epoch's hash is the SHA-256 of that text. Each epoch names its parent's hash and those of up to
256 ancestors, so that a process that was away can tell descent from a fork by the newest
envelope alone.
"""

import base64
import binascii
import hashlib
import itertools
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FORMAT: Final = "bailiwick.world.1"
MOST_BYTES: Final = 32 << 20
MOST_EPOCH: Final = 2**53
MOST_ANCESTORS: Final = 256
MOST_EARLIER: Final = 256
MOST_NOTE: Final = 500
MOST_TRUST_BYTES: Final = 64 << 10
MOST_KEYS: Final = 32

Trust = Mapping[str, Ed25519PublicKey]
Judgement = Literal["new", "same", "older", "fork", "gap"]


class ChainError(Exception):
    """An envelope, key or trust file cannot be used; the message says why and what to do."""


class NotOurs(ChainError):
    """An envelope that may well be good, but that this host cannot judge: its key is not
    trusted here, or its format is a later version's."""


class EarlierTopology(msgspec.Struct, frozen=True):
    """A superseded topology as it stands in an envelope; see ``snapshot.Earlier``."""

    epoch: int
    superseded_ms: int
    topology: str
    defaults: dict[str, str] = {}


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed.

    Attributes:
        parent: hash of the previous epoch's signed text, "" for the first.
        ancestors: (epoch, hash), oldest first; the last one is the parent.
        issued_ms: wall clock of the publisher, never before the parent's.
        files: the world's files by name.
        earlier: topologies superseded within the retention of keys, the latest first.
    """

    format: str
    epoch: int
    parent: str
    ancestors: tuple[tuple[int, str], ...]
    issued_ms: int
    note: str
    files: dict[str, str]
    earlier: tuple[EarlierTopology, ...] = ()


class _Envelope(msgspec.Struct, frozen=True):
    signed: str
    key: str
    signature: str


class _Format(msgspec.Struct, frozen=True):
    format: str


class TrustedKey(msgspec.Struct, frozen=True):
    """A key in ``trust.json``; ``public`` is base64 of its 32 bytes."""

    id: str
    public: str
    name: str = ""


class _TrustFile(msgspec.Struct, frozen=True):
    keys: tuple[TrustedKey, ...]


class Link(msgspec.Struct, frozen=True):
    """One epoch of the chain, its signature checked."""

    signed: Signed
    hash: str
    key: str
    raw: bytes

    @property
    def epoch(self) -> int:
        return self.signed.epoch

    @property
    def files(self) -> dict[str, bytes]:
        """The world's files as bytes."""
        return {name: text.encode() for name, text in self.signed.files.items()}


# --- keys -----------------------------------------------------------------------------------


def key_id(public: Ed25519PublicKey) -> str:
    """A key's id: the first 16 hexadecimal digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def new_key() -> bytes:
    """A new signing key as PEM (PKCS 8, not encrypted: keep the file to its owner)."""
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def read_key(pem: bytes) -> Ed25519PrivateKey:
    """A signing key from its PEM. Raises ChainError."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ChainError(f"is no signing key (PEM, not encrypted): {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ChainError("is a key, but not an Ed25519 one; make one with `topology keygen`")
    return key


def parse_trust(raw: bytes) -> dict[str, Ed25519PublicKey]:
    """The keys of a ``trust.json``. Raises ChainError."""
    if len(raw) > MOST_TRUST_BYTES:
        raise ChainError(f"trust.json: is {len(raw)} bytes; at most {MOST_TRUST_BYTES} are allowed")
    try:
        found = msgspec.json.decode(raw, type=_TrustFile).keys
    except msgspec.DecodeError as error:
        raise ChainError(f"trust.json: {error}; correct it") from None
    if not 1 <= len(found) <= MOST_KEYS:
        raise ChainError(f"trust.json: keys: must be 1 to {MOST_KEYS}, not {len(found)}")
    trust = {}
    for each in found:
        try:
            public = Ed25519PublicKey.from_public_bytes(
                base64.b64decode(each.public, validate=True)
            )
        except (ValueError, binascii.Error):
            raise ChainError(f"trust.json: key {each.id}: public is no Ed25519 key") from None
        if key_id(public) != each.id:
            raise ChainError(f"trust.json: key {each.id}: the id must be {key_id(public)}")
        trust[each.id] = public
    return trust


def trust_text(keys: Iterable[tuple[Ed25519PublicKey, str]]) -> bytes:
    """A ``trust.json`` of public keys and their names."""
    found = tuple(
        TrustedKey(key_id(key), base64.b64encode(key.public_bytes_raw()).decode(), name)
        for key, name in keys
    )
    return msgspec.json.format(msgspec.json.encode(_TrustFile(found))) + b"\n"


# --- envelopes ------------------------------------------------------------------------------


def seal(signed: Signed, key: Ed25519PrivateKey) -> Link:
    """Sign an epoch. Raises ChainError when the envelope gets too large."""
    _require_sound(signed)
    text = msgspec.json.encode(signed, order="sorted")
    signature = base64.b64encode(key.sign(text)).decode()
    identity = key_id(key.public_key())
    raw = msgspec.json.encode(_Envelope(text.decode(), identity, signature)) + b"\n"
    if len(raw) > MOST_BYTES:
        raise ChainError(f"the envelope has {len(raw)} bytes; at most {MOST_BYTES} are allowed")
    return Link(signed, _hash(text), identity, raw)


def unseal(raw: bytes, trust: Trust) -> Link:
    """Check an envelope's signature and form.

    Raises:
        NotOurs: it cannot be judged by this host; it may be good.
        ChainError: it is none, or a bad one.
    """
    if len(raw) > MOST_BYTES:
        raise ChainError(f"has {len(raw)} bytes; at most {MOST_BYTES} are allowed")
    try:
        envelope = msgspec.json.decode(raw, type=_Envelope)
        signature = base64.b64decode(envelope.signature, validate=True)
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError):
        raise ChainError("is no envelope of an epoch, or a torn one") from None
    public = trust.get(envelope.key)
    if public is None:
        raise NotOurs(
            f"is signed by key {envelope.key[:64]}, which trust.json does not list; add it there "
            "if it is yours"
        )
    text = envelope.signed.encode()
    try:
        public.verify(signature, text)
    except InvalidSignature:
        raise ChainError(f"does not bear a valid signature of key {envelope.key}") from None
    try:
        form = msgspec.json.decode(text, type=_Format).format
        if form != FORMAT:
            raise NotOurs(f"has the format {form[:64]!r}, this version knows {FORMAT}; upgrade")
        signed = msgspec.json.decode(text, type=Signed)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ChainError(f"is signed, but not an epoch: {error}") from None
    _require_sound(signed)
    return Link(signed, _hash(text), envelope.key, raw)


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _require_sound(signed: Signed) -> None:
    epochs = [*(epoch for epoch, _ in signed.ancestors), signed.epoch]
    last = signed.ancestors[-1] if signed.ancestors else (0, "")
    wrong = (
        not 1 <= signed.epoch <= MOST_EPOCH
        or len(signed.ancestors) > MOST_ANCESTORS
        or any(low >= high for low, high in itertools.pairwise(epochs))
        or last[1] != signed.parent
    )
    if wrong:
        raise ChainError("is signed, but its epoch, parent and ancestors contradict each other")
    if len(signed.note) > MOST_NOTE:
        raise ChainError(f"note: at most {MOST_NOTE} characters are allowed")
    if len(signed.earlier) > MOST_EARLIER:
        raise ChainError(
            f"more than {MOST_EARLIER} topologies were superseded within key_retention_hours; "
            "wait, or lower that in topology.toml"
        )


# --- descent --------------------------------------------------------------------------------


def judge(known: Link | None, other: Link) -> Judgement:
    """What an envelope is to the one in use.

    ``new``: descends from it. ``older``: an ancestor of it. ``fork``: another history.
    ``gap``: so much newer that its ancestors no longer reach back to it.
    """
    if known is None:
        return "new"
    if other.epoch == known.epoch:
        return "same" if other.hash == known.hash else "fork"
    low, high = sorted((known, other), key=lambda link: link.epoch)
    ancestors = dict(high.signed.ancestors)
    if ancestors.get(low.epoch) == low.hash:
        return "new" if high is other else "older"
    if ancestors and low.epoch < min(ancestors) and len(ancestors) == MOST_ANCESTORS:
        return "gap" if high is other else "older"
    return "fork"


def why_not(judgement: Judgement, known: Link, other: Link) -> str:
    """A judgement other than ``new`` and ``same`` in words, with the remedy."""
    if judgement == "older":
        return f"epoch {other.epoch} is lower than {known.epoch}, in use here"
    if judgement == "gap":
        return (
            f"epoch {other.epoch} is more than {MOST_ANCESTORS} epochs after {known.epoch}, in "
            "use here: install one in between first (topology install FILE)"
        )
    return (
        f"fork: epoch {other.epoch} ({other.hash[:12]}) does not descend from epoch "
        f"{known.epoch} ({known.hash[:12]}), in use here; find out who signed it, and "
        "let the right one win (topology push --force)"
    )


def successor(
    parent: Link | None,
    files: Mapping[str, bytes],
    *,
    now_ms: int,
    note: str = "",
    earlier: tuple[EarlierTopology, ...] = (),
    first: int = 1,
) -> Signed:
    """The next epoch, not yet signed; ``first`` is its number if there is no parent.

    Raises ChainError when a file is not UTF-8.
    """
    try:
        texts = {name: raw.decode() for name, raw in files.items()}
    except UnicodeDecodeError as error:
        raise ChainError(f"a file of the world is not UTF-8: {error}") from None
    ancestors: tuple[tuple[int, str], ...] = ()
    if parent is not None:
        ancestors = (*parent.signed.ancestors, (parent.epoch, parent.hash))[-MOST_ANCESTORS:]
    return Signed(
        format=FORMAT,
        epoch=first if parent is None else parent.epoch + 1,
        parent="" if parent is None else parent.hash,
        ancestors=ancestors,
        # A publisher whose clock is behind must not make an epoch older than its parent.
        issued_ms=now_ms if parent is None else max(now_ms, parent.signed.issued_ms),
        note=note,
        files=texts,
        earlier=earlier,
    )
