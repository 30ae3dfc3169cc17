"""What is wrong, as RFC 7807 has it: an object with a ``type`` that is an address. Pure."""

import re

import msgspec

from bailiwick.channels.blocks import parsing, refusals
from bailiwick.channels.contract import Reply, Result, unknown

_WORD = re.compile(r"[A-Za-z]{1,60}")
_LATER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Problem(msgspec.Struct, frozen=True):
    """What is read of one."""

    type: str
    title: str | None = None
    detail: str | None = None


def kind(reply: Reply, types: str) -> str | None:
    """The word behind the address ``types`` that a provider's types begin with; None where there
    is no such problem in an answer: it may be a middlebox's."""
    found = parsing.decode(reply.body, Problem)
    if found is None or not found.type.startswith(types):
        return None
    word = found.type.removeprefix(types)
    return word if _WORD.fullmatch(word) else None


def refusal(reply: Reply, types: str) -> Result:
    """What an answer with a problem says of a request that may have moved money; see
    ``refusals.refusal``. ``ThisWord`` is the code ``this_word``."""
    word, found = kind(reply, types), parsing.decode(reply.body, Problem)
    if word is None or found is None:
        return unknown(parsing.not_answered(reply))
    return refusals.refusal(
        reply, _LATER_CAPITAL.sub("_", word).lower(), found.detail or found.title
    )
