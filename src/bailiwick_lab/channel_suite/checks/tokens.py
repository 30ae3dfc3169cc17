"""Published test tokens are told from those that an account has made."""

import random
import re
import string

from bailiwick.channels.contract import Operation
from bailiwick_lab.channel_suite.subject import Subject, require

ROUNDS = 2_000
PREFIXES = ("", "pm_", "pm_1", "tok_", "tok_1", "src_1", "card_1", "ba_1")


def check_tokens_that_an_account_has_made_are_its_own(it: Subject) -> None:
    shared, own = it.profile.shared_tokens, it.instruction(Operation.CHARGE).payment_method
    if shared is None or own is None:
        return
    require(bool(re.fullmatch(shared, own)), f"{own}, of the cases, is no published token")
    letters, chance = string.ascii_letters + string.digits, random.Random(1)
    start = re.match(r"[^_-]*[_-]|", own)
    assert start is not None
    for prefix in sorted({*PREFIXES, start[0]}):
        for _ in range(ROUNDS):
            token = prefix + "".join(chance.choices(letters, k=23))
            known = re.fullmatch(shared, token) is not None
            require(not known, f"{token}, as an account makes them, counts as published")
    for stray in ("", own + "\n", "x" + own, " " + own):
        require(not re.fullmatch(shared, stray), f"{stray!r} counts as published")
