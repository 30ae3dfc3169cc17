"""Codes that payers show, told from card numbers. Pure.

They are digits, 16 to 24 of them, and some wallets' begin as cards do: of UnionPay's codes one in
ten has a card's check digit by chance. Which is which is decided by where it stands and by the form
that its type declares, see ``Method.codes``.
"""

from collections.abc import Mapping
from typing import Any

from bailiwick.methods import of_code

_DATA, _CODE = "payment_method_data", "code"


def without_code(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request's parameters, of any form, as they are to be searched for card numbers: all but
    ``payment_method_data[code]``, if it is such as its type's payers show."""
    data = params.get(_DATA)
    if not isinstance(data, dict):
        return params
    code = data.get(_CODE)
    told = of_code(code) if isinstance(code, str) else None
    if told is None or data.get("type") not in (None, told):
        return params
    rest = {name: value for name, value in data.items() if name != _CODE}
    return {**params, _DATA: rest}
