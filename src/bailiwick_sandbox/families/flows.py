"""What each flow asks of the payer: the ``action`` of a charge that waits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from bailiwick_sandbox.bank.records import Charge
from bailiwick_sandbox.families.wire import Action, Flow

_CLABE_WEIGHTS: Final = (3, 7, 1)


def action_of(row: Charge, url: str, until: int, title: str) -> Action:
    """What the payer of a charge does next: on the page ``url``, until that time (zero: without
    end), at the provider called ``title``."""
    flow: Flow = row.family.flow if row.family is not None else "token"
    return _MAKERS[flow](row, url, until, title)


def _redirect(_row: Charge, url: str, _until: int, _title: str) -> Action:
    return Action("redirect", url=url)


def _shown_code(_row: Charge, url: str, until: int, _title: str) -> Action:
    return Action("shown_code", text=url, expires_at=until)


def _in_app(row: Charge, url: str, _until: int, _title: str) -> Action:
    parameters = {"charge": row.id, "timestamp": str(row.created // 1000), "url": url}
    payer = row.family.payer if row.family is not None else None
    if payer is not None and payer.wallet_id is not None:
        parameters["wallet_id"] = payer.wallet_id
    return Action("in_app", parameters=parameters)


def _push(_row: Charge, _url: str, until: int, _title: str) -> Action:
    return Action("push", expires_at=until)


def _wait(_row: Charge, _url: str, until: int, _title: str) -> Action:
    return Action("wait", expires_at=until)


def _voucher(row: Charge, url: str, until: int, _title: str) -> Action:
    return Action("voucher", number=_digits(row, "voucher", 20), url=url, expires_at=until)


def _transfer(row: Charge, _url: str, until: int, title: str) -> Action:
    currency = row.currency.upper()
    if currency == "EUR":
        where = {"iban": _iban(_digits(row, "account", 18))}
    elif currency == "MXN":
        where = {"clabe": _clabe(_digits(row, "account", 17))}
    else:
        where = {"number": _digits(row, "account", 12)}
    account = {"holder": f"{title} collections", **where, "bank": title}
    reference = f"SB{_digits(row, 'reference', 12)}"
    return Action("transfer", account=account, reference=reference, expires_at=until)


_MAKERS: Final[dict[Flow, Callable[[Charge, str, int, str], Action]]] = {
    "token": _redirect,
    "redirect": _redirect,
    "shown_code": _shown_code,
    "presented_code": _wait,
    "in_app": _in_app,
    "push": _push,
    "voucher": _voucher,
    "transfer": _transfer,
}


def _digits(row: Charge, what: str, count: int) -> str:
    """Digits that only this charge has."""
    mixed = hashlib.sha256(f"{row.provider}/{row.id}/{what}".encode()).digest()
    return str(int.from_bytes(mixed, "big"))[-count:].zfill(count)


def _iban(account: str) -> str:
    """A German IBAN of a bank code and account number (ISO 13616: remainder 1 of 97)."""
    check = 98 - int(f"{account}131400") % 97
    return f"DE{check:02d}{account}"


def _clabe(account: str) -> str:
    """A CLABE of seventeen digits and the one that checks them (weights 3, 7, 1)."""
    total = sum(int(digit) * _CLABE_WEIGHTS[n % 3] % 10 for n, digit in enumerate(account))
    return f"{account}{-total % 10}"
