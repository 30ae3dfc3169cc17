"""Slots for deliveries: what one merchant's endpoints do takes nothing from another's."""

from collections import Counter

from bailiwick.delivery.slots import (
    ENDPOINT_MAX,
    FAILURES_MAX,
    KEPT_FREE,
    PAUSE_MAX_S,
    SECOND_BELOW,
    TOTAL,
    Slots,
)

MOST = 10_000


def begin(slots: Slots, due: list[tuple[str, str]], now_s: float = 0.0) -> dict[str, int]:
    """Begin all that has a slot, and never end it."""
    given = slots.share_out(due, now_s, MOST)
    owners = dict(due)
    for endpoint, count in given.items():
        slots.claimed(endpoint, owners[endpoint], count, more=True)
    return given


def fail(slots: Slots, endpoint: str, now_s: float) -> bool:
    """One try that begins now and fails ten seconds later."""
    slots.claimed(endpoint, "acct_a", 1, more=True)
    return slots.ended(endpoint, good=False, began_s=now_s, now_s=now_s + 10)


def test_an_endpoint_has_few_and_a_merchant_s_others_keep_theirs() -> None:
    slots = Slots()
    assert begin(slots, [("we_1", "acct_a")]) == {"we_1": ENDPOINT_MAX}
    assert begin(slots, [("we_1", "acct_a")]) == {}
    others = [(f"we_{n}", "acct_a") for n in range(2, 33)]
    given = begin(slots, others)
    assert len(given) == 31, "each of them has one, whatever the first took"
    assert slots.running <= SECOND_BELOW + 31


def test_endpoints_of_one_merchant_share_in_turn() -> None:
    due = [(f"we_{n:02}", "acct_a") for n in range(16)]
    assert set(begin(Slots(), due).values()) == {1}
    assert Slots().share_out(due[:3], 0.0, 6) == {"we_00": 2, "we_01": 2, "we_02": 2}


def test_there_is_always_room_for_a_newcomer() -> None:
    """However many merchants have silent endpoints, one who has nothing under way gets a slot."""
    slots = Slots()
    for number in range(KEPT_FREE):
        owner = f"acct_{number}"
        given = begin(slots, [(f"we_{number}_{n}", owner) for n in range(16)])
        assert given, owner
    assert slots.running <= TOTAL
    slots.ended("we_0_0", good=False, began_s=0.0, now_s=15.0)
    due = [("we_0_0", "acct_0"), ("we_1_0", "acct_1"), ("we_new", "acct_new")]
    assert slots.share_out(due, 15.0, MOST) == {"we_new": 1}


def test_whoever_has_the_fewest_comes_first() -> None:
    slots = Slots()
    begin(slots, [("we_a", "acct_a")])
    due = [("we_a2", "acct_a"), ("we_b", "acct_b")]
    assert slots.share_out(due, 0.0, 1) == {"we_b": 1}
    given = Counter(slots.share_out(due, 0.0, 8))
    assert given["we_b"] == given["we_a2"] == 4, "one by one, in turn"


def test_live_and_test_are_one_merchant_and_two_endpoints() -> None:
    slots = Slots()
    given = begin(slots, [("we_live", "acct_a"), ("we_test", "acct_a")])
    assert given == {"we_live": 8, "we_test": 8}
    assert slots.running == SECOND_BELOW


def test_an_endpoint_out_of_order_has_one_slot_and_pauses_that_double() -> None:
    slots, now_s, pauses = Slots(), 0.0, []
    due = [("we_1", "acct_a")]
    told = [fail(slots, "we_1", now_s) for _ in range(FAILURES_MAX)]
    assert told == [False] * (FAILURES_MAX - 1) + [True]
    for _ in range(10):
        now_s += 10
        assert slots.share_out(due, now_s, MOST) == {}
        resumes_s = now_s
        while not slots.share_out(due, resumes_s, MOST):
            resumes_s += 0.5
        assert slots.share_out(due, resumes_s, MOST) == {"we_1": 1}
        pauses.append(resumes_s - now_s)
        now_s = resumes_s
        assert not fail(slots, "we_1", now_s), "told once"
    assert pauses == [1, 2, 4, 8, 16, 32, *[PAUSE_MAX_S] * 4]
    slots.claimed("we_1", "acct_a", 1, more=True)
    slots.ended("we_1", good=True, began_s=now_s, now_s=now_s)
    assert slots.share_out(due, now_s, MOST) == {"we_1": ENDPOINT_MAX}, "one success is enough"


def test_tries_that_hung_together_are_one_failure() -> None:
    slots = Slots()
    begin(slots, [("we_1", "acct_a")])
    for _ in range(ENDPOINT_MAX):
        slots.ended("we_1", good=False, began_s=0.0, now_s=15.0)
    assert slots.share_out([("we_1", "acct_a")], 15.9, MOST) == {}
    assert slots.share_out([("we_1", "acct_a")], 16.0, MOST) == {"we_1": 1}


def test_what_has_ended_is_forgotten() -> None:
    slots = Slots()
    slots.claimed("we_1", "acct_a", 1, more=False)
    slots.ended("we_1", good=True, began_s=0.0, now_s=1.0)
    assert (len(slots), slots.running) == (0, 0)
    fail(slots, "we_2", 0.0)
    slots.keep(["we_1"])
    assert len(slots) == 0


def test_a_look_is_shared_by_several() -> None:
    slots = Slots()
    begin(slots, [("we_1", "acct_a")])
    looks = []
    for _ in range(ENDPOINT_MAX):
        slots.ended("we_1", good=True, began_s=0.0, now_s=0.0)
        looks.append(slots.wants_more("we_1", 0.0))
    assert looks == [False] * 3 + [True] * 5
    slots.claimed("we_1", "acct_a", 2, more=False)
    slots.ended("we_1", good=True, began_s=0.0, now_s=0.0)
    assert not slots.wants_more("we_1", 0.0), "there was no more"
    assert slots.hungry() == []
