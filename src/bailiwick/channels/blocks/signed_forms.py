"""Parameters signed as a whole: sorted by their names, as ``a=1&b=2``, by RSA. Pure.

The scheme of Alipay's gateway, and of others that took it over. Source:
https://opendocs.alipay.com/common/02khjm and 02mse7.
"""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

import msgspec

from bailiwick.channels.blocks import moments, parsing, rsa
from bailiwick.channels.blocks.signatures import SIGNATURE_WINDOW_S
from bailiwick.channels.contract import Account, CallbackRefused, CannotExpress, Notice

TYPE = "application/x-www-form-urlencoded; charset=utf-8"


def signed(given: Mapping[str, str | None], account: Account, secret: str = "private_key") -> str:
    """The parameters that have a value with their ``sign``, as a form. Raises CannotExpress."""
    known = {name: value for name, value in given.items() if value}
    try:
        signature = rsa.sign(account.secrets.get(secret, ""), text(known))
    except ValueError as error:
        raise CannotExpress(
            f"The gateway's secrets.{secret} is of no use: {error}; nothing was sent."
        ) from None
    return urlencode({**known, "sign": signature})


def text(given: Mapping[str, str], *without: str) -> bytes:
    """What is signed of parameters."""
    names = sorted(given.keys() - {"sign", *without})
    return "&".join(f"{name}={given[name]}" for name in names).encode("utf-8", "replace")


def member(body: bytes, name: str, public_key: str) -> bytes | None:
    """A member of an answer in JSON whose ``sign`` signs it as it is written; None where it does
    not. Some sign it as it was before slashes were escaped."""
    found = parsing.decode(body, dict[str, msgspec.Raw]) or {}
    told, given = bytes(found.get(name, b"")), parsing.decode(bytes(found.get("sign", b"")), str)
    texts = (told, told.replace(b"\\/", b"/"))
    try:
        known = any(rsa.fits(public_key, each, given) for each in texts)
    except ValueError:
        return None
    return told if told and known else None


class SignedForm(msgspec.Struct, frozen=True):
    """Callbacks that are a form, signed in it by RSA2, with the time at which they were sent.

    Attributes:
        public_key: the name of the gateway's secret that is the provider's key.
        app: the field, and the gateway's option, that says whose it is.
        hours: how far east of Greenwich their clock is.
        private_key: of a test's account alone: the provider's key to sign with.
    """

    public_key: str
    app: str
    hours: int
    private_key: str = "provider_private_key"
    sent: str = "notify_time"

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        """See ``CallbackScheme``."""
        given = dict(parse_qsl(notice.body.decode("utf-8", "replace"), keep_blank_values=True))
        given[self.sent] = moments.clock(now_ms, self.hours)
        signature = rsa.sign(account.secrets.get(self.private_key, ""), text(given, "sign_type"))
        body = urlencode({**given, "sign_type": "RSA2", "sign": signature})
        return msgspec.structs.replace(notice, body=body.encode())

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """See ``CallbackScheme``."""
        given = fields(notice)
        key, signature = account.secrets.get(self.public_key, ""), given.get("sign")
        try:
            known = rsa.fits(key, text(given, "sign_type"), signature)
        except ValueError as error:
            raise CallbackRefused(str(error)) from None
        if not known or given.get("sign_type") != "RSA2":
            raise CallbackRefused("the signature is missing, or does not fit the body")
        if given.get(self.app) != account.options.get(self.app):
            raise CallbackRefused(f"the callback is for another {self.app}")
        sent_ms = moments.of_clock(given.get(self.sent), self.hours)
        return sent_ms is not None and abs(now_ms - sent_ms) <= SIGNATURE_WINDOW_S * 1000


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
