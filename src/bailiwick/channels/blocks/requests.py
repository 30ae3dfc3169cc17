"""Requests as most HTTP providers want them, and the credential check's answer. Pure."""

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import msgspec

from bailiwick.channels.blocks import parsing
from bailiwick.channels.contract import (
    Account,
    CannotExpress,
    Instruction,
    Operation,
    Profile,
    Reply,
    Request,
)

_JSON = {"accept": "application/json"}


def at(account: Account, path: str) -> str:
    """The address of a path, which begins with ``/``, at the account's provider."""
    return account.base_url.rstrip("/") + path


def place(template: str | None, **named: str | None) -> str | None:
    """A path with what it names in braces, which cannot break out of it; None where that is not
    known."""
    if template is None or any(
        f"{{{name}}}" in template and not text for name, text in named.items()
    ):
        return None
    return template.format_map({name: quote(text or "", safe="") for name, text in named.items()})


def bearer(account: Account, secret: str = "api_key") -> dict[str, str]:
    """Headers that authenticate by a token."""
    return {"authorization": f"Bearer {account.secrets.get(secret, '')}", **_JSON}


def basic(account: Account, user: str = "api_key", password: str = "") -> dict[str, str]:
    """Headers that authenticate by HTTP Basic; both are names of secrets."""
    given = f"{account.secrets.get(user, '')}:{account.secrets.get(password, '')}"
    return {"authorization": f"Basic {b64encode(given.encode()).decode()}", **_JSON}


def get(account: Account, path: str, headers: Mapping[str, str]) -> Request:
    """A request that only reads."""
    return Request("GET", at(account, path), dict(headers))


def send_json(
    account: Account, method: str, path: str, headers: Mapping[str, str], body: object
) -> Request:
    """A request with a JSON body."""
    given = {**headers, "content-type": "application/json"}
    return Request(method, at(account, path), given, msgspec.json.encode(body))


def post_json(account: Account, path: str, headers: Mapping[str, str], body: object) -> Request:
    """A POST with a JSON body."""
    return send_json(account, "POST", path, headers, body)


def post_form(
    account: Account, path: str, headers: Mapping[str, str], fields: Mapping[str, str | None]
) -> Request:
    """A POST with the fields of a form; those that are None or empty are left out."""
    given = {**headers, "content-type": "application/x-www-form-urlencoded"}
    body = urlencode({name: value for name, value in fields.items() if value})
    return Request("POST", at(account, path), given, body.encode())


def of_charge(template: str, instruction: Instruction) -> str:
    """A path with the provider's id of the charge acted upon in it, as ``{charge}``.

    Raises:
        CannotExpress: it is not known.
    """
    return template.format(charge=quote(parsing.charge_id(instruction), safe=""))


def look_up(
    account: Account, headers: Mapping[str, str], template: str | None, **named: str | None
) -> Request | None:
    """A request that only reads, see ``place``; None where it cannot be asked for."""
    path = place(template, **named)
    return None if path is None else get(account, path, headers)


def credential_problem(who: str, reply: Reply, secret: str = "api_key") -> str | None:
    """What is wrong with the credentials, by the status of the answer to their check."""
    what = "API key" if secret == "api_key" else secret.replace("_", " ")
    if reply.status == 200:
        return None
    if reply.status in (401, 403):
        return f"{who} refused the {what}: correct secrets.{secret} of the gateway"
    return f"{who} answered {reply.status} to the credential check: check base_url"


def only_declared(profile: Profile, instruction: Instruction) -> None:
    """Refuse what the profile does not declare.

    Raises:
        CannotExpress: an operation or step that the provider lacks, or a hold where there are none,
            or by what cannot be held.
    """
    operation = instruction.operation
    if operation not in profile.resolve:
        raise CannotExpress(f"{profile.title} has no {operation} here; nothing was sent.")
    if instruction.step is not None and instruction.step not in profile.steps:
        raise CannotExpress(f"{profile.title} has no step {instruction.step}; nothing was sent.")
    if operation is not Operation.CHARGE or instruction.automatic:
        return
    kind = instruction.payment_method_type
    ways = [each for each in profile.methods.get(kind, ()) if each.family is instruction.family]
    if not profile.manual_capture or any(not each.holds for each in ways):
        by = f" by {kind}" if profile.manual_capture else ""
        raise CannotExpress(
            f"{profile.title} cannot hold money{by} without taking it; nothing was sent. "
            "Use capture_method=automatic.",
            param="capture_method",
        )
