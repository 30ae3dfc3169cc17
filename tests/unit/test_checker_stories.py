"""The checker's reading of events, texts, histories and receivers' logs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bailiwick.checker import across, outside, places, stories, transitions
from bailiwick.checker.findings import Findings
from bailiwick.checker.stories import Stories, tell_all
from bailiwick.checker.tables import Attempt, Payment, Refund, Tables
from bailiwick.resources.payments import states

SUCCEEDED = Payment("pi_1", "succeeded", 500, "EUR", 0, 500, 0, 0, "ch_1")

CHARGE = Attempt("ch_1", "pi_1", "charge", "bank", "approved", 500, "EUR", None, 0, False)


def body(status: str, received: int = 0, **more: Any) -> bytes:
    shown = {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 500,
        "currency": "eur",
        "status": status,
        "amount_received": received,
        **more,
    }
    return json.dumps(shown).encode()


REFUND = body("pending", id="re_1", object="refund", amount=100)
TOLD = [
    ("payment_intent.created", body("requires_confirmation")),
    ("payment_intent.processing", body("processing")),
    ("payment_intent.requires_action", body("requires_action")),
    ("payment_intent.succeeded", body("succeeded", 500)),
    ("refund.created", REFUND),
    ("bailiwick.payment_intent.updated", body("succeeded", 500)),
    ("bailiwick.late_success", body("succeeded", 500)),
    ("charge.updated", body("succeeded", id="ch_1", object="charge")),
]


def wrong(told: list[tuple[str, bytes]], first: int = 1) -> set[str]:
    findings = Findings()
    tables = Tables({"pi_1": SUCCEEDED}, {"ch_1": CHARGE}, {"re_1": Refund("pi_1", "pending", 100)})
    events = [("pi_1", first + place, *each) for place, each in enumerate(told)]
    tell_all(Stories("n", tables, findings), events)  # type: ignore[arg-type]
    return {each.name for each in findings.all() if each.count}


def test_a_whole_life_is_right() -> None:
    assert wrong(TOLD) == set()


@pytest.mark.parametrize(
    ("place", "event", "expected"),
    [
        (0, ("payment_intent.processing", body("processing")), {"transitions_allowed"}),
        (0, ("payment_intent.created", body("canceled")),
         {"transitions_allowed", "terminal_stays"}),
        (1, ("payment_intent.created", body("processing")), {"transitions_allowed"}),
        (2, ("payment_intent.new_event", body("processing")), {"transitions_allowed"}),
        (2, ("payment_intent.succeeded", body("succeeded", 500)), {"terminal_stays"}),
        (3, ("payment_intent.canceled", body("canceled")),
         {"transitions_allowed", "terminal_stays"}),
        (4, ("refund.created", body("pending", id="re_2", object="refund")),
         {"events_name_their_object"}),
        (5, ("refund.updated", body("pending", id="re_1", object="refund", amount=99)),
         {"events_name_their_object"}),
        (6, ("charge.updated", body("succeeded", id="ch_2", object="charge")),
         {"events_name_their_object"}),
        (6, ("bailiwick.late_success", b"{"), {"events_name_their_object"}),
        (6, ("bailiwick.late_success", body("succeeded", 499)), {"payment_is_its_last_event"}),
        (6, ("payment_intent.succeeded", body("succeeded", 500)), {"terminal_stays"}),
        (6, ("bailiwick.payment_intent.updated", body("canceled", 500)),
         {"terminal_stays", "payment_is_its_last_event"}),
    ],
)  # fmt: skip
def test_what_must_not_happen_is_named(
    place: int, event: tuple[str, bytes], expected: set[str]
) -> None:
    told = [*TOLD[:place], event, *TOLD[place + 1 :]]
    assert wrong(told) == expected


def test_a_missing_event_is_not_told_as_a_transition() -> None:
    assert wrong(TOLD[3:], first=4) == set()


def test_both_descriptions_of_a_payments_life_agree() -> None:
    """The node's table and the checker's, written apart, allow the same visible moves."""
    mine = {(states.shown(here), states.shown(there)) for (here, _), there in
            states.TRANSITIONS.items()}  # fmt: skip
    theirs = {pair for pairs in transitions.MOVES.values() for pair in pairs}
    assert mine == theirs
    assert {status.value for status in states.TERMINAL} == transitions.TERMINAL


@pytest.mark.parametrize(
    ("text", "card"),
    [
        ("4242424242424242", True),
        ("call 4242 4242 4242 4242 now", True),
        ("4242%204242%204242%204242", True),
        ('{"description": "5555-5555-5555-4444"}', True),
        ("4242424242424241", False),
        ("pi_06h0h9de300054n4qkwgmpcef2", False),
        ("ch_04242424242424242000000000", False),
        ("pi_06h0h9de300054n4qkwgmpcef2_secret_4242424242424242a00000000000000000ab", False),
        ("1732449600000 and 1999", False),
    ],
)
def test_card_numbers_are_seen_but_not_in_our_own_names(text: str, card: bool) -> None:
    assert across.holds_card(text) is card


def test_only_what_must_end_by_itself_is_alive() -> None:
    def one(state: str, reviewed: bool) -> across.OpenAttempt:
        return across.OpenAttempt("n", state, "pi_1", "charge", "bank", state, 9, reviewed)

    waiting = [one("pending", False), one("unknown", True), one("permitted", False)]
    found = Findings().of(across.liveness)
    across.liveness(waiting, 3, found)
    assert [each.id for each in found.violations] == ["permitted"]
    share = Findings().of(across.reviews_share)
    across.reviews_share(1, 100, 0.01, share)
    assert share.count == 0
    across.reviews_share(2, 100, 0.01, share)
    assert share.count == 1


def test_what_clients_were_told() -> None:
    told = outside.Told()
    told.by_key = {"a": {"pi_1"}, "b": {"pi_2"}}
    told.live_by_key = {"b": {"ch_2"}}
    told.states = {"pi_1": "succeeded", "pi_2": "succeeded"}
    lines = [
        {"key": "a", "operation": "create", "status": "ok", "payment": "pi_1"},
        {"key": "b", "operation": "create", "status": "fail"},
        {"key": "c", "operation": "create", "status": "in_doubt"},
        {"key": "a", "operation": "create", "status": "ok", "payment": "pi_2"},
        {"key": "d", "operation": "create", "status": "ok", "payment": "pi_9"},
        {"key": "e", "operation": "create", "status": "perhaps"},
    ]
    found = Findings().of(outside.history_agrees)
    outside.history_agrees(lines, told, found)
    assert [each.id for each in found.violations] == ["b", "a", "a", "d", "e"]


def test_what_receivers_got() -> None:
    def event(seq: int, payment: str = "pi_1") -> dict[str, Any]:
        return {"id": f"evt_{payment}{seq}", "payment": payment, "sequence": seq}

    found = Findings().of(outside.webhooks_in_order)
    sink = [event(1), event(1, "pi_2"), event(2), event(1), {"body": event(3)}]
    outside.webhooks_in_order(sink, {"evt_pi_12": "we_1"}, found)
    assert found.count == 0
    outside.webhooks_in_order([event(2), event(1)], {"evt_lost": "we_1"}, found)
    assert [each.id for each in found.violations] == ["evt_pi_11", "evt_lost"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(places.PlaceError, match="no demo runs"):
        places.from_folder(tmp_path)
    (tmp_path / "lines").write_text('{"a": 1}\n\n[]\n')
    with pytest.raises(places.PlaceError, match=":3 is no JSON object"):
        outside.read_lines(tmp_path / "lines")
    with pytest.raises(places.PlaceError, match="must be like"):
        places.named(("postgresql://user:secret@host/db",), "http://x/books")


def test_it_shares_no_code_with_what_it_checks() -> None:
    code = (
        "import sys, bailiwick.checker.run\n"
        "print(*sorted({name.split('.')[1] for name in sys.modules if name[:10] == 'bailiwick.'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["base", "checker"]


def test_every_invariant_states_its_rule() -> None:
    named = [stories.transitions_allowed, stories.terminal_stays, across.no_card_numbers]
    for function in named:
        assert Findings().of(function).rule
