"""Refusal tokens: only the node that refused this very request can have made one."""

import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.base.keys import request_hash
from bailiwick.idempotency.requests import IdempotentRequest
from bailiwick.interlink.refusals import REASONS, TOKENS_MAX, Refusals, moved_for, stored
from bailiwick.jurisdiction.home_history import MOVED, Held
from bailiwick.topology.merchants import Merchant

OURS = Refusals(b"shared secret of the nodes")
ASKED = IdempotentRequest(
    Merchant("acct_1", "Shop"),
    False,
    "key-1",
    request_hash("create", "", {"amount": "1000"}),
    "create",
    [],
)
DRAINING = Held("draining", 7)
TOKEN = OURS.token(2, DRAINING, ASKED.named)


def refused_as_forged(header: str, asked: IdempotentRequest = ASKED, ours: Refusals = OURS) -> None:
    with pytest.raises(ApiError) as forged:
        ours.read(header, asked.named)
    assert (forged.value.status, forged.value.param) == (400, "Bailiwick-Refusals")


def test_a_genuine_token() -> None:
    assert TOKEN.startswith("2.7.draining.")
    assert OURS.read(TOKEN, ASKED.named) == {2: DRAINING}
    assert (
        OURS.read(None, ASKED.named)
        == OURS.read("", ASKED.named)
        == OURS.read(" , ,", ASKED.named)
        == {}
    )


def test_several_nodes() -> None:
    said = {node: Held(reason, 7) for node, reason in enumerate(sorted(REASONS), 1)}
    tokens = [OURS.token(node, each, ASKED.named) for node, each in said.items()]
    assert OURS.read(", ".join(tokens), ASKED.named) == said


def test_a_moved_key_keeps_the_epoch_it_was_refused_for() -> None:
    assert stored("draining", 7) == DRAINING
    assert stored(moved_for(9), 12) == Held(MOVED, 9)
    token = OURS.token(2, stored(moved_for(9), 12), ASKED.named)
    assert OURS.read(token, ASKED.named) == {2: Held(MOVED, 9)}
    refused_as_forged(token.replace(".9.", ".8."))


@pytest.mark.parametrize(
    "asked",
    [
        msgspec.structs.replace(ASKED, key="key-2"),
        msgspec.structs.replace(ASKED, livemode=True),
        msgspec.structs.replace(ASKED, merchant=Merchant("acct_2", "Other")),
        msgspec.structs.replace(ASKED, request_hash=request_hash("create", "", {"amount": "1"})),
    ],
    ids=["key", "mode", "merchant", "request"],
)
def test_of_another_request(asked: IdempotentRequest) -> None:
    refused_as_forged(TOKEN, asked)


def test_of_another_secret() -> None:
    refused_as_forged(TOKEN, ours=Refusals(b"another"))


@pytest.mark.parametrize("place", range(len(TOKEN)))
def test_altered_anywhere(place: int) -> None:
    other = "1" if TOKEN[place] != "1" else "3"
    refused_as_forged(TOKEN[:place] + other + TOKEN[place + 1 :])


@pytest.mark.parametrize(
    "token",
    ["x", "....", "2.7.draining", TOKEN + ".x", TOKEN + "é", "²" + TOKEN[1:], "-2" + TOKEN[1:],
     "9" * 5_000 + ".1.draining.00", "2.7.draining." + "é" * 64, "2.7.holiday." + "0" * 64,
     TOKEN.upper()],
)  # fmt: skip
def test_malformed(token: str) -> None:
    refused_as_forged(token)
    refused_as_forged(f"{TOKEN},{token}")


def test_a_reason_that_does_not_exist_is_not_believed() -> None:
    refused_as_forged(OURS.token(2, Held("holiday", 7), ASKED.named))


def test_they_are_bounded_in_number() -> None:
    tokens = [OURS.token(node, DRAINING, ASKED.named) for node in range(1, TOKENS_MAX + 2)]
    assert len(OURS.read(",".join(tokens[:TOKENS_MAX]), ASKED.named)) == TOKENS_MAX
    refused_as_forged(",".join(tokens))
