"""Requests signed in ``authorization``, answers and callbacks in headers of their own, each over a
few lines and the body; and callbacks whose object is sealed. Pure.

The scheme of WeChat Pay's API v3, and of others that took it over. Sources:
https://pay.weixin.qq.com/doc/v3/merchant/4012365870 (signatures), 4012071382 (sealed objects).
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from bailiwick.channels.blocks import parsing, requests
from bailiwick.channels.blocks.parsing import Id
from bailiwick.channels.blocks.signatures import SIGNATURE_WINDOW_S
from bailiwick.channels.blocks.signing import canonical, certificates, encryption, rsa
from bailiwick.channels.blocks.signing.encryption import Sealed
from bailiwick.channels.contract import (
    Account,
    BadSecret,
    CallbackRefused,
    CannotExpress,
    Context,
    Notice,
    NotPrepared,
    Prepared,
    Refused,
    Reply,
    Request,
    Result,
    unknown,
)

PUBLIC_KEY, PUBLIC_KEY_ID = "public_key", "public_key_id"
"""The secret, and the option, of a provider that signs by a key of its own, and by no certificate:
that key, and its name."""
_PROVIDER = "provider_private_key"  # of a test's account alone
_HEADERS = {"accept": "application/json", "user-agent": "bailiwick"}
_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)
T = TypeVar("T")


class Note(msgspec.Struct, frozen=True):
    """A callback, with its object sealed."""

    id: Id
    event_type: str
    resource: Sealed


class _Certificate(msgspec.Struct, frozen=True):
    encrypt_certificate: Sealed


class _Certificates(msgspec.Struct, frozen=True):
    data: list[_Certificate]


class SignedLines(msgspec.Struct, frozen=True):
    """What one provider makes of the scheme.

    Attributes:
        title: the provider's name.
        scheme: the name of the signature, as both sides tell it.
        prefix: how the names of the provider's headers begin.
        owner, number: the gateway's options that say who asks, and by which certificate.
        seal: the secret by which objects are sealed.
        certificates: the preparation with the provider's certificates; ``lasts_ms``: when to ask
            for them again.
    """

    title: str
    scheme: str
    prefix: str
    owner: str = "mchid"
    number: str = "serial_no"
    seal: str = "api_v3_key"
    certificates: str = "certificates"
    lasts_ms: int = 12 * 3_600_000  # https://pay.weixin.qq.com/doc/v3/merchant/4012551764

    @property
    def signature(self) -> str:
        """The name of the header with a signature."""
        return f"{self.prefix}signature"

    def get(self, account: Account, path: str, context: Context | None) -> Request:
        """A signed request that only reads. Raises CannotExpress, BadSecret."""
        return self.signed(requests.get(account, path, _HEADERS), account, context)

    def post(
        self, account: Account, path: str, context: Context | None, body: Mapping[str, Any]
    ) -> Request:
        """A signed request, of what of the body has a value. Raises CannotExpress, BadSecret."""
        known = {name: value for name, value in body.items() if value is not None}
        made = requests.post_json(account, path, _HEADERS, known)
        return self.signed(made, account, context)

    def signed(self, request: Request, account: Account, context: Context | None) -> Request:
        """The request with its ``authorization``, the same for the same context. Raises
        CannotExpress (there is no context), BadSecret."""
        moment, nonce = self.moment(context)
        told = (request.method, canonical.target(request.url), moment, nonce, request.body)
        credentials = canonical.credentials(
            self.scheme,
            mchid=account.options.get(self.owner, ""),
            nonce_str=nonce,
            signature=rsa.sign(account, "private_key", canonical.lines(*told)),
            timestamp=moment,
            serial_no=account.options.get(self.number, ""),
        )
        headers = {**request.headers, "authorization": credentials}
        if account.options.get(PUBLIC_KEY_ID):
            headers[f"{self.prefix}serial"] = account.options[PUBLIC_KEY_ID]
        return msgspec.structs.replace(request, headers=headers)

    def moment(self, context: Context | None) -> tuple[str, str]:
        """The time, in seconds, and the number of a signature. Raises CannotExpress."""
        if context is None:
            raise CannotExpress(f"A request to {self.title} has its time, and there is none.")
        return str(context.instant_ms // 1000), f"{context.sequence:032x}"

    def check_keys(self, account: Account) -> None:
        """Refuse secrets that cannot be. Raises BadSecret."""
        keys = (account.secrets.get(PUBLIC_KEY), account.options.get(PUBLIC_KEY_ID))
        if any(keys) and not all(keys):
            raise BadSecret(
                f"secrets.{PUBLIC_KEY} and options.{PUBLIC_KEY_ID} go together: give both"
            )
        encryption.opened(account, self.seal, "", "", "")

    def problem(self, reply: Reply, account: Account, known: bool) -> str | None:
        """What is wrong, by the signed answer to the credential check; None: nothing.

        Args:
            known: it says what the provider says where the credentials hold.
        """
        if reply.status not in (401, 403) and not Answers(self).is_signed(reply, account, None):
            own = f"secrets.{PUBLIC_KEY} and options.{PUBLIC_KEY_ID}"
            correct = own if PUBLIC_KEY in account.secrets else "base_url"
            return f"The answer is not signed by {self.title}: correct {correct}"
        problem = requests.credential_problem(self.title, reply, "private_key")
        return None if known and reply.status not in (401, 403) else problem

    def ask(self, account: Account, now_ms: int) -> Request:
        """Asks for the provider's certificates. Raises BadSecret."""
        return self.get(account, "/v3/certificates", Context(now_ms, now_ms))

    def brought(self, reply: Reply, account: Account, now_ms: int) -> Prepared | Refused:
        """Those certificates; they are believed by their seal."""
        if reply.status != 200:
            fit = f"secrets.private_key, options.{self.number} and options.{self.owner} fit"
            return Refused(f"{self.title} answered {reply.status}", f"see that {fit} together")
        told = parsing.decode(reply.body, _Certificates)
        if told is None:
            return Refused("certificates cannot be read", f"see that base_url is {self.title}'s")
        try:
            opened = [each.encrypt_certificate.opened(account, self.seal) for each in told.data]
        except BadSecret as bad:
            return Refused("certificates cannot be opened", str(bad))
        return certificates.brought(opened, now_ms, self.seal, self.lasts_ms)

    def sent_ms(
        self, headers: Mapping[str, str], body: bytes, account: Account, now_ms: int | None
    ) -> int:
        """When the provider signed it.

        Args:
            now_ms: when the key has to be good; None: at that time.

        Raises:
            CallbackRefused: it did not.
            NotPrepared: by a certificate that is not there.
        """
        names = ("timestamp", "nonce", "signature-type", "signature")
        told = (parsing.header(headers, f"{self.prefix}{each}") for each in names)
        moment, nonce, kind, signature = told
        if moment is None or nonce is None or _SECONDS.fullmatch(moment) is None:
            raise CallbackRefused("it is not signed")
        if kind not in (None, self.scheme):
            raise CallbackRefused("it is signed in another way than by RSA")
        told_ms = int(moment) * 1000
        key = self._key(headers, account, told_ms if now_ms is None else now_ms)
        text = canonical.lines(moment, nonce.encode("utf-8", "replace"), body)
        if not rsa.fits(key, text, signature):
            raise CallbackRefused("the signature does not fit the body")
        return told_ms

    def _key(self, headers: Mapping[str, str], account: Account, at_ms: int) -> RSAPublicKey:
        serial = parsing.header(headers, f"{self.prefix}serial")
        if PUBLIC_KEY not in account.secrets:
            return certificates.key(account, self.certificates, serial, at_ms)
        if not serial or serial != account.options.get(PUBLIC_KEY_ID):
            raise CallbackRefused(f"it is signed by another key than options.{PUBLIC_KEY_ID}")
        try:
            return rsa.public_key(account, PUBLIC_KEY)
        except BadSecret as bad:
            raise CallbackRefused(str(bad)) from None

    def headers(self, body: bytes, account: Account, now_ms: int) -> dict[str, str]:
        """What stands beside such a body of the provider's, for tests and simulators.

        Raises:
            ValueError: there is no key for it.
        """
        known = iter(account.prepared.get(self.certificates, {}))
        serial = account.options.get(PUBLIC_KEY_ID) or next(known, None)
        if serial is None:
            raise ValueError("there is no certificate whose number could be told")
        moment, nonce = str(now_ms // 1000), hashlib.sha256(body).hexdigest()[:32]
        told = {
            "timestamp": moment,
            "nonce": nonce,
            "serial": serial,
            "signature-type": self.scheme,
            "signature": rsa.sign(account, _PROVIDER, canonical.lines(moment, nonce, body)),
        }
        return {f"{self.prefix}{name}": value for name, value in told.items()}


class Answers(msgspec.Struct, frozen=True):
    """Signed answers; see ``AnswerScheme``."""

    by: SignedLines

    def is_signed(self, reply: Reply, account: Account, context: Context | None) -> bool:
        """Whether the provider has signed it, and not before it was asked (``context``): an old
        answer to a look-up would be genuine, and wrong."""
        asked_ms = None if context is None else context.instant_ms
        try:
            told_ms = self.by.sent_ms(reply.headers, reply.body, account, asked_ms)
        except (CallbackRefused, NotPrepared):
            return False
        return asked_ms is None or told_ms >= asked_ms - SIGNATURE_WINDOW_S * 1000

    def told(
        self, reply: Reply, account: Account, context: Context | None, kind: type[T]
    ) -> T | Result | None:
        """What the provider has answered; None: nothing, which is an answer too. Or what an answer
        says that it has not signed, or that cannot be read; of a request with a wrong signature it
        signs none."""
        silent = parsing.not_answered(reply)
        if not self.is_signed(reply, account, context):
            unsigned = {200: "not_signed", 204: "not_signed", 401: "credentials"}
            return unknown(unsigned.get(reply.status, silent))
        found = parsing.decode(reply.body, kind)
        return unknown(silent) if found is None and reply.body else found

    def sign(self, reply: Reply, account: Account, now_ms: int) -> Reply:
        """See ``AnswerScheme``."""
        if self.by.signature in reply.headers:
            return reply
        headers = {**reply.headers, **self.by.headers(reply.body, account, now_ms)}
        return msgspec.structs.replace(reply, headers=headers)


class Callbacks(msgspec.Struct, frozen=True):
    """Signed callbacks, with a sealed object; see ``CallbackScheme``."""

    by: SignedLines

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        """Its ``resource`` is sealed here, if it is an object as it is in cases."""
        body = self._sealed(notice.body, account)
        headers = {**notice.headers, **self.by.headers(body, account, now_ms)}
        return msgspec.structs.replace(notice, headers=headers, body=body)

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """See ``CallbackScheme``. Raises NotPrepared, too."""
        told_ms = self.by.sent_ms(notice.headers, notice.body, account, now_ms)
        return abs(now_ms - told_ms) <= SIGNATURE_WINDOW_S * 1000

    def opened(self, notice: Notice, account: Account, kind: type[T]) -> tuple[Note, T]:
        """A callback that was checked, and its object, which names its owner. Raises
        CallbackRefused."""
        note = parsing.demand(notice.body, Note)
        try:
            opened = note.resource.opened(account, self.by.seal)
        except BadSecret as bad:
            raise CallbackRefused(str(bad)) from None
        if opened is None:
            raise CallbackRefused(f"it is not sealed by secrets.{self.by.seal}")
        found = parsing.demand(opened, kind)
        if getattr(found, self.by.owner) != account.options.get(self.by.owner):
            raise CallbackRefused(f"it is for another {self.by.owner}")
        return note, found

    def _sealed(self, body: bytes, account: Account) -> bytes:
        found = parsing.decode(body, dict[str, msgspec.Raw]) or {}
        text = bytes(found.get("resource", b""))
        plain = parsing.decode(text, dict[str, msgspec.Raw])
        if plain is None or "ciphertext" in plain:
            return body
        kind = "refund" if "out_refund_no" in plain else "transaction"
        sealed = Sealed.of(account, self.by.seal, kind, text)
        return msgspec.json.encode({**found, "resource": sealed})
