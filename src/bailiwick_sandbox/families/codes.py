"""Codes of payers: scanned off a phone at a till, or typed in from one.

The prefixes and lengths are the wallets' own: Alipay's 25 to 30 with 16 to 24 digits, WeChat's 10
to 15 with 18, UnionPay's 62 with 19. BLIK's have six digits, and name a payer for two minutes only,
so that one may come again.
"""

from __future__ import annotations

import re
from typing import Final

from bailiwick_sandbox.bank.records import Charge, Decline
from bailiwick_sandbox.bank.sources import STEERING
from bailiwick_sandbox.families.wire import Family

_WALLETS: Final = {
    "alipay": re.compile(r"(2[5-9]|30)[0-9]{14,22}"),
    "wechat_pay": re.compile(r"1[0-5][0-9]{16}"),
    "unionpay": re.compile(r"62[0-9]{17}"),
}
_BLIK: Final = re.compile(r"[0-9]{6}")
INVALID: Final = Decline("code_invalid", None, "The payer's code is none that this bank knows.")
USED: Final = Decline("code_used", None, "The payer's code was used before.")
_UNTOUCHED: Final = frozenset({"code_invalid", "code_used", "reversed"})


def wallet_of(code: str) -> str | None:
    """The wallet that shows such a code."""
    return next((name for name, shape in _WALLETS.items() if shape.fullmatch(code)), None)


def problem(family: Family, used: dict[str, str]) -> Decline | None:
    """Why the code of a charge is not taken, if so; ``used``: those taken before."""
    if family.code is None:
        return None
    if _is_blik(family):
        return None if _BLIK.fullmatch(family.code) else INVALID
    wallet = wallet_of(family.code)
    if wallet is None or (family.method in _WALLETS and family.method != wallet):
        return INVALID
    return USED if family.code in used else None


def _is_blik(family: Family) -> bool:
    """Whether a code, if there is one, names a payer's bank instead of a wallet."""
    return family.flow == "push" or family.method == "blik"


def at_once(family: Family) -> bool:
    """Whether the wallet pays without a PIN: where the code ends in an even digit and no test
    steers the payer."""
    if _is_blik(family) or family.code is None:
        return False
    return family.steered not in STEERING and int(family.code[-1]) % 2 == 0


def taken(row: Charge) -> str | None:
    """The code that a charge has used up."""
    family = row.family
    if family is None or _is_blik(family):
        return None
    if row.decline is not None and row.decline.code in _UNTOUCHED:
        return None
    return family.code
