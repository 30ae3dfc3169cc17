"""Which types of events can be subscribed to, and asked for."""

import pytest

from bailiwick.delivery.event_types import ALL, OURS, OWN, covers, known, matching, problem


def test_the_table_is_sorted_and_has_no_doubles() -> None:
    from importlib.resources import files

    names = (files("bailiwick.data") / "event_types.txt").read_text().split()
    assert names == sorted(set(names)) and len(names) == 275
    assert known() == OWN | set(names)
    assert not any(name.startswith(OURS) for name in names)


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
        assert covers([ALL], name) == (name not in OWN)
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
