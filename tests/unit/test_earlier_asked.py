"""What earlier homes are asked, and what they are not shown."""

from random import Random

from earlier_kit import (
    Cluster,
    Hop,
    KeyHop,
    Submission,
    cluster,
    fate,
    stepped,
    topology,
)

from bailiwick.access.nodes.forward import Answer
from bailiwick.base.errors import ApiError
from bailiwick.interlink.admission_query import MISMATCH, AdmissionVerdict


def admission_query(made: Cluster, key: str = "k") -> Submission:
    """A submission that waits for an earlier home's word on its key."""
    under_way = made.access[0].submit(key)
    while under_way.outcome is None and not isinstance(under_way.hop, KeyHop):
        under_way.step(Random(0), faults=False)
    return under_way


def test_a_node_that_is_home_again_is_not_asked_by_an_old_access_process() -> None:
    made = cluster(topology(5, (1,)), topology(6, (2,)), topology(7, (1,)))
    made.access[0].at = made.nodes[2].at = 1
    with stepped():
        under_way = admission_query(made)
        assert isinstance(under_way.hop, KeyHop)
        assert under_way.hop.node.number == 1
        under_way.hop.node.decide(under_way.hop, None)
        assert under_way.hop.plan == AdmissionVerdict("behind", epoch=7)
        made.settle()
        end = under_way.finish()
    assert isinstance(end, Answer)
    assert fate(made) == {1: "taken", 2: "moved:7"}


def test_a_silent_earlier_home_makes_new_keys_wait_but_not_those_taken_here() -> None:
    made = cluster(topology(5, (1,)), topology(6, (2,)))
    made.nodes[2].keys["known"] = "taken"
    for key, status in (("new", 503), ("known", 200)):
        with stepped():
            under_way = admission_query(made, key)
            if under_way.outcome is None:
                under_way.lose()
            end = under_way.finish()
        assert end.status == status
        if isinstance(end, ApiError):
            assert (end.code, end.retry) == ("earlier_home_unavailable", True)
            assert "n1" in end.message
    assert not fate(made, "new")


def shown_to(under_way: Submission) -> list[int]:
    """Run it to its end; the nodes that saw the request itself."""
    seen = []
    while under_way.outcome is None:
        if isinstance(under_way.hop, Hop) and under_way.hop.plan is None:
            seen.append(under_way.hop.node.number)
        under_way.step(Random(0), faults=False)
    return seen


def test_an_earlier_home_that_has_not_taken_it_is_not_shown_the_request() -> None:
    made = cluster(topology(5, (1,), "strict"), topology(6, (3,)), topology(7, (2,), "strict"))
    with stepped():
        assert set(shown_to(made.access[0].submit("k"))) == {2}
        assert fate(made) == {1: "moved:7", 2: "taken", 3: "moved:7"}
        assert set(shown_to(made.access[1].submit("k"))) == {2}


def test_what_today_s_home_finds_wrong_uses_up_no_key() -> None:
    made = cluster(topology(5, (1,)), topology(6, (2,)))
    with stepped():
        under_way = made.access[0].submit("k")
        assert isinstance(under_way.hop, Hop) and under_way.hop.node.number == 2
        under_way.hop.answer = Answer(400, {}, b"{}")
        under_way.resume(under_way.hop.answer)
    assert isinstance(under_way.outcome, Answer) and under_way.outcome.status == 400
    assert not fate(made)


def test_what_an_earlier_home_took_is_found_though_today_s_is_dead() -> None:
    made = cluster(topology(5, (1,)), topology(6, (2,)))
    made.nodes[1].keys["k"] = "taken"
    with stepped():
        under_way = made.access[0].submit("k")
        under_way.lose()
        assert isinstance(under_way.hop, KeyHop)
        end = under_way.finish()
    assert isinstance(end, Answer) and end.body == b'{"node":1}'


def test_another_request_under_a_key_that_an_earlier_home_knows() -> None:
    made = cluster(topology(5, (1,)), topology(6, (2,)))
    with stepped():
        under_way = admission_query(made)
        under_way.resume(MISMATCH)
    assert isinstance(under_way.outcome, ApiError)
    assert (under_way.outcome.status, under_way.outcome.type) == (400, "idempotency_error")
    assert not fate(made)
