"""Which types of events can be subscribed to, and asked for."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from bailiwick.delivery.event_types import ALL, OURS, covers, known, matching, own, problem


def test_the_table_is_sorted_and_has_no_doubles() -> None:
    names = (files("bailiwick.data") / "event_types.txt").read_text().split()
    assert names == sorted(set(names)) and len(names) == 275
    assert known() == own() | set(names)
    assert not any(name.startswith(OURS) for name in names)


def test_each_of_ours_that_is_told_is_declared_by_its_resource() -> None:
    folder = Path(str(files("bailiwick.resources")))
    for each in folder.rglob("*.py"):
        used = set(re.findall(r'[^b]"(bailiwick\.[a-z_.]+[a-z])"', each.read_text("utf-8")))
        part = folder / each.relative_to(folder).parts[0] / "own_events.txt"
        assert used <= own(), each
        assert not used or part.is_file(), each


@pytest.mark.parametrize("name", [*sorted(known()), ALL])
def test_what_can_be_subscribed_to(name: str) -> None:
    assert problem(name) is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("payment_intent.suceeded", "Did you mean payment_intent.succeeded?"),
        ("charge.refund", "Did you mean charge.refunded?"),
        ("nothing.at.all", "Unknown event type: nothing.at.all."),
        ("Not An Event", "Unknown event type"),
        ("bailiwick.late_sucess", "Did you mean bailiwick.late_success?"),
        ("charge.*", "name each type such as charge.captured,"),
        ("*.created", "Groups of event types are not taken here"),
        ("zebra.*", "Groups of event types are not taken here: name each type, or * for all."),
        ("", "Unknown event type: ."),
        ("x" * 500, "Unknown event type: " + "x" * 80 + "."),
    ],
    ids=lambda text: text[:24],
)
def test_what_cannot_and_what_is_nearest(name: str, hint: str) -> None:
    found = problem(name)
    assert found is not None and hint in found


def test_all_means_all_but_what_must_be_named() -> None:
    for name in known():
        assert covers([ALL], name) == (name not in own())
        assert covers([name], name)
    assert not covers(["charge.failed"], "charge.refunded")
    assert covers([ALL, "bailiwick.late_success"], "bailiwick.late_success")


def test_groups_of_a_list() -> None:
    charges = matching("charge.*")
    assert "charge.dispute.closed" in charges and "charge.failed" in charges
    assert all(name.startswith("charge.") for name in charges)
    assert matching("*.dispute.closed") == ["charge.dispute.closed"]
    assert set(matching("*")) == known()
    assert matching("zebra.*") == []
    assert matching("charge.failed") == ["charge.failed"]
    assert matching("[c]harge.*") == matching("charge.faile?*") == [], "* alone is a wildcard"
