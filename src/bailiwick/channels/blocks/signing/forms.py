"""Requests and callbacks as signed forms, and answers in JSON with a signed member. Pure.

The scheme of Alipay's gateway, and of others that took it over. Source:
https://opendocs.alipay.com/common/02khjm (requests) and 02mse7 (answers, callbacks).
"""

import json
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec

from bailiwick.channels.blocks import parsing, requests, times
from bailiwick.channels.blocks.signatures import SIGNATURE_WINDOW_S
from bailiwick.channels.blocks.signing import canonical, rsa
from bailiwick.channels.contract import (
    Account,
    BadSecret,
    CallbackRefused,
    CannotExpress,
    Context,
    Notice,
    Reply,
    Request,
    Result,
    unknown,
)

TYPE = "application/x-www-form-urlencoded; charset=utf-8"
T = TypeVar("T")
_QUERY_CHARS_MAX = 2_000
_WRONG = {"isv.invalid-signature": "private_key", "isv.invalid-app-id": "app"}
_Members = dict[str, msgspec.Raw]


def signed(given: Mapping[str, str | None], account: Account, secret: str = "private_key") -> str:
    """The parameters that have a value, with their ``sign``, as a form. Raises BadSecret."""
    known = {name: value for name, value in given.items() if value}
    return urlencode({**known, "sign": rsa.sign(account, secret, canonical.pairs(known))})


class SignedMember(msgspec.Struct, frozen=True):
    """Answers whose one member is signed, as it is written, by the ``sign`` beside it.

    Attributes:
        suffix: how the member's name ends.
        public_key: the name of the gateway's secret that is the provider's key.
        private_key: of a test's account alone: the provider's key to sign with.
    """

    suffix: str
    public_key: str
    private_key: str = "provider_private_key"

    def read(self, reply: Reply, account: Account, name: str) -> bytes | None:
        """The member of this name, or None where the provider has not signed it. Some sign it as it
        was before slashes were escaped."""
        found: _Members = parsing.decode(reply.body, _Members) or {}
        told = bytes(found.get(name, b""))
        signature = parsing.decode(bytes(found.get("sign", b"")), str)
        try:
            key = rsa.public_key(account, self.public_key)
        except BadSecret:
            return None
        texts = (told, told.replace(b"\\/", b"/"))
        known = any(rsa.fits(key, each, signature) for each in texts)
        return told if told and known else None

    def sign(self, reply: Reply, account: Account, now_ms: int) -> Reply:
        """See ``AnswerScheme``."""
        found: _Members = parsing.decode(reply.body, _Members) or {}
        name = next((each for each in found if each.endswith(self.suffix)), None)
        if name is None or "sign" in found:
            return reply
        told = bytes(found[name])
        signature = msgspec.json.encode(rsa.sign(account, self.private_key, told))
        body = b'{%s:%s,"sign":%s}' % (msgspec.json.encode(name), told, signature)
        return msgspec.structs.replace(reply, body=body)


class _Refusal(msgspec.Struct, frozen=True):
    sub_code: str = ""


class Gateway(msgspec.Struct, frozen=True):
    """One address that is called by signed forms, and answers in one signed member.

    Attributes:
        title: the provider's name.
        path: of the address.
        prefix: how the names of all methods begin.
        hours: see ``SignedForm``.
        app: the gateway's option that says who calls.
        answers: how it signs.
    """

    title: str
    path: str
    prefix: str
    hours: int
    app: str
    answers: SignedMember

    def form(
        self,
        account: Account,
        context: Context | None,
        method: str,
        content: Mapping[str, object],
        **urls: str | None,
    ) -> str:
        """A call of a method. Raises CannotExpress (there is no context), BadSecret."""
        if context is None:
            raise CannotExpress(f"A request to {self.title} has its time, and there is none.")
        given: dict[str, str | None] = {
            self.app: account.options.get(self.app),
            "method": self.prefix + method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": times.clock(context.instant_ms, self.hours),
            "version": "1.0",
            "biz_content": json.dumps(content, ensure_ascii=False, separators=(",", ":")),
            **urls,
        }
        return signed(given, account)

    def call(self, account: Account, form: str) -> Request:
        """The request with such a form."""
        headers = {"accept": "application/json", "content-type": TYPE}
        return Request("POST", requests.at(account, self.path), headers, form.encode())

    def ask(
        self,
        account: Account,
        context: Context | None,
        method: str,
        content: Mapping[str, object],
    ) -> Request:
        """A call that only reads. Raises CannotExpress, BadSecret."""
        return self.call(account, self.form(account, context, method, content))

    def told(self, reply: Reply, account: Account, method: str, kind: type[T]) -> T | Result:
        """What was answered to a method; or what an answer says that is not signed."""
        if reply.status != 200:
            return unknown(parsing.not_answered(reply))
        name = f"{self.prefix}{method}".replace(".", "_")
        body = self.answers.read(reply, account, f"{name}{self.answers.suffix}")
        found = None if body is None else parsing.decode(body, kind)
        return unknown("not_signed") if found is None else found

    def page(self, account: Account, form: str) -> str:
        """Where the payer's browser makes the call. Raises CannotExpress: that is too long."""
        if len(form) > _QUERY_CHARS_MAX:
            raise CannotExpress(
                f"{self.title}'s page would have too long an address; nothing was sent. Shorten "
                "it.",
                param="return_url",
            )
        return requests.at(account, f"{self.path}?{form}")

    def problem(self, reply: Reply, account: Account) -> str:
        """What is wrong, by an answer to the credential check that the provider has not signed, or
        that is not what it says where they hold."""
        members = parsing.decode(reply.body, dict[str, _Refusal | str]) or {}
        codes = [each.sub_code for each in members.values() if isinstance(each, _Refusal)]
        wrong = next((_WRONG[each] for each in codes if each in _WRONG), None)
        if wrong is not None:
            name = "secrets.private_key" if wrong == "private_key" else f"options.{self.app}"
            also = f"options.{self.app}" if wrong == "private_key" else "secrets.private_key"
            return f"{self.title} refused {name} of the gateway: correct it, and {also}"
        unsigned = f"The answer is not signed by secrets.{self.answers.public_key}: correct it"
        known = requests.credential_problem(self.title, reply, "private_key")
        return unsigned if known is None else known


class SignedForm(msgspec.Struct, frozen=True):
    """Callbacks that are a form, signed in it by RSA2, with the time at which they were sent.

    Attributes:
        app: the field, and the gateway's option, that says whose it is.
        hours: how far east of Greenwich their clock is.
        public_key, private_key: see ``SignedMember``.
        sent: the field with the time.
    """

    app: str
    hours: int
    public_key: str
    private_key: str = "provider_private_key"
    sent: str = "notify_time"

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        """See ``CallbackScheme``."""
        given = dict(parse_qsl(notice.body.decode("utf-8", "replace"), keep_blank_values=True))
        given = {**given, self.sent: times.clock(now_ms, self.hours), "sign_type": "RSA2"}
        signature = rsa.sign(account, self.private_key, _text(given))
        body = urlencode({**given, "sign": signature}).encode()
        return msgspec.structs.replace(notice, body=body)

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """See ``CallbackScheme``."""
        given = fields(notice)
        try:
            key = rsa.public_key(account, self.public_key)
        except BadSecret as error:
            raise CallbackRefused(str(error)) from None
        fits = rsa.fits(key, _text(given), given.get("sign"))
        if not fits or given.get("sign_type") != "RSA2":
            raise CallbackRefused("the signature is missing, or does not fit the body")
        if given.get(self.app) != account.options.get(self.app):
            raise CallbackRefused(f"it is for another {self.app}")
        sent_ms = times.of_clock(given.get(self.sent), self.hours)
        return sent_ms is not None and abs(now_ms - sent_ms) <= SIGNATURE_WINDOW_S * 1000

    def told(self, notice: Notice, kind: type[T]) -> tuple[str, T]:
        """The provider's id of a callback that was checked, and its fields. Raises
        CallbackRefused."""
        given = fields(notice)
        found = parsing.converted(given, kind)
        if found is None or not (notice_id := given.get("notify_id")):
            raise CallbackRefused("the callback cannot be read")
        return notice_id, found


def fields(notice: Notice) -> dict[str, str]:
    """A callback's fields. Raises CallbackRefused: it is no form, or has a field twice."""
    try:
        pairs = parse_qsl(
            notice.body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict"
        )
    except ValueError:
        raise CallbackRefused("the body is no form") from None
    if len(dict(pairs)) != len(pairs):
        raise CallbackRefused("the body has a field twice")
    return dict(pairs)


def _text(given: Mapping[str, str]) -> bytes:
    """What is signed of a callback: all of its fields, the empty ones too."""
    names = sorted(given.keys() - {"sign", "sign_type"})
    return "&".join(f"{name}={given[name]}" for name in names).encode("utf-8", "replace")
