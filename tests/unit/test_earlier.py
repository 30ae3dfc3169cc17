"""Earlier homes: one key is executed once, whatever epochs access and nodes are at."""

from random import Random

import msgspec
import pytest
from earlier_kit import (
    ATLAS,
    EVIDENCE,
    HOUR_MS,
    NODES,
    NOW_MS,
    SHOP,
    Cluster,
    Hop,
    ModelNode,
    cluster,
    fate,
    stepped,
    tokens,
    topology,
    worlds,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from bailiwick.access.nodes.forward import Answer
from bailiwick.base.errors import ApiError
from bailiwick.base.keys import CLOCK_SKEW_MS, born_ms, fresh_key, uuid7_ms
from bailiwick.jurisdiction.assign import assign, to_object
from bailiwick.jurisdiction.home_history import MOVED, Held, HomeHistory, explained
from bailiwick.jurisdiction.locate import Evidence, locate
from bailiwick.topology.merchants import Merchant
from bailiwick.topology.topology import Topology

STATES = st.dictionaries(
    st.sampled_from(NODES), st.sampled_from(["draining", "joining", "evacuated"]), max_size=2
)
LIVING = st.dictionaries(
    st.sampled_from(NODES), st.sampled_from(["draining", "joining"]), max_size=2
)


def topologies(states: st.SearchStrategy[dict[int, str]]) -> st.SearchStrategy[list[Topology]]:
    """Two to four epochs: who has Germany, in which order, and in which state everybody is."""
    one = st.tuples(
        st.lists(st.sampled_from(NODES), min_size=1, max_size=3, unique=True),
        st.sampled_from(["strict", "prefer", "free"]),
        states,
        st.sampled_from(["", "sha256:a"]),
    )

    def build(parts: list[tuple[list[int], str, dict[int, str], str]]) -> list[Topology]:
        return [
            topology(epoch, tuple(nodes), residency, tuple(sorted(known.items())), geo=geo)
            for epoch, (nodes, residency, known, geo) in enumerate(parts, 5)
        ]

    return st.lists(one, min_size=2, max_size=4).map(build)


@settings(max_examples=400, deadline=None)
@given(topologies(STATES), st.integers(0, 2**32))
def test_at_most_one_node_executes_a_key(found: list[Topology], seed: int) -> None:
    with stepped():
        Cluster(found, Random(seed)).run(steps=120, submits=5)


@settings(max_examples=250, deadline=None)
@given(topologies(LIVING), st.integers(0, 2**32))
def test_in_the_end_a_key_has_one_fate(found: list[Topology], seed: int) -> None:
    """Once all know the last epoch, a repetition finds the charge, or makes it, or is told that
    this key is used up and nothing was charged; it is never told to go on trying."""
    with stepped():
        cluster = Cluster(found, Random(seed))
        begun = cluster.run(steps=80, submits=4)
        before = cluster.takers
        cluster.settle()
        ends = [access.submit("k").finish() for access in cluster.access]
        for each in begun:
            each.finish()
        ends.append(cluster.access[0].submit("k").finish())
        assert len(cluster.takers) <= 1
        for end in ends:
            if isinstance(end, Answer):
                assert end.status == 200
            else:
                assert (end.code, before) == ("no_node", [])
                assert end.retry or not cluster.takers, "it was said that nothing was charged"


# --- one race each ----------------------------------------------------------------------


def test_a_new_key_is_asked_for_at_the_earlier_home_first() -> None:
    made = cluster(topology(5, (1,)), topology(6, (2,)))
    with stepped():
        end = made.access[0].submit("k").finish()
    assert isinstance(end, Answer)
    assert fate(made) == {1: "moved:6", 2: "taken"}


def test_what_the_earlier_home_took_is_replayed_there() -> None:
    made = cluster(topology(5, (1,)), topology(6, (2,)))
    made.nodes[1].keys["k"] = "taken"
    with stepped():
        end = made.access[0].submit("k").finish()
    assert isinstance(end, Answer)
    assert end.body == b'{"node":1}'
    assert fate(made) == {1: "taken"}


def test_who_took_it_instead_of_the_earlier_home_is_found() -> None:
    """The earlier home had refused, being overloaded, and the next in its order took it."""
    made = cluster(topology(5, (1, 2)), topology(6, (3,)))
    made.nodes[1].keys["k"] = "overloaded"
    made.nodes[2].keys["k"] = "taken"
    with stepped():
        end = made.access[0].submit("k").finish()
    assert isinstance(end, Answer)
    assert end.body == b'{"node":2}'
    assert 3 not in fate(made)


def test_an_old_access_process_goes_nowhere_from_a_refusal_for_a_later_epoch() -> None:
    made = cluster(topology(5, (1, 2)), topology(6, (3,)))
    made.access[0].at = 0
    made.nodes[1].keys["k"] = "moved:6"
    with stepped():
        end = made.access[0].submit("k").finish()
    assert isinstance(end, ApiError)
    assert (end.status, end.code, end.retry) == (503, "epochs_differ", True)
    assert fate(made) == {1: "moved:6"}


def test_an_old_node_does_not_either() -> None:
    made = cluster(topology(5, (1, 2)), topology(6, (3,)))
    made.nodes[2].at = 0
    said = {1: Held(MOVED, 6)}
    hop = asked_of(made.nodes[2], epoch=5, held=said)
    made.nodes[2].decide(hop, None)
    assert isinstance(hop.plan, ApiError)
    assert (hop.plan.status, hop.plan.code) == (421, "wrong_node")


def asked_of(node: ModelNode, *, epoch: int, held: dict[int, Held] | None = None) -> Hop:
    """A request as access sends it."""
    lines = [b"idempotency-key: k\r\n", b"bailiwick-epoch: %d\r\n" % epoch]
    if held:
        said = tokens(held, node.asked("k"))
        lines.append(b"bailiwick-refusals: %b\r\n" % said.encode())
    return Hop(node, lines)


def test_the_node_itself_wants_all_refusals() -> None:
    made = cluster(topology(5, (1,)), topology(6, (2,)), topology(7, (3,)))
    hop = asked_of(made.nodes[3], epoch=7, held={1: Held(MOVED, 6)})
    made.nodes[3].decide(hop, None)
    assert isinstance(hop.plan, ApiError)
    assert (hop.plan.status, hop.plan.code) == (421, "ask_earlier_homes")
    assert hop.plan.extra == {"epoch": 7, "earlier_homes": ["n2"]}
    hop = asked_of(made.nodes[3], epoch=7, held={1: Held(MOVED, 6), 2: Held(MOVED, 7)})
    made.nodes[3].decide(hop, None)
    assert hop.plan == "take"


def test_a_node_that_is_not_the_home_any_more_refuses_and_access_follows() -> None:
    made = cluster(topology(5, (1,)), topology(6, (2,)))
    made.access[0].at = 0
    with stepped():
        under_way = made.access[0].submit("k")
        while 1 not in fate(made):
            under_way.step(Random(0), faults=False)
        made.settle()
        end = under_way.finish()
    assert isinstance(end, Answer)
    assert fate(made) == {1: "moved:6", 2: "taken"}


@pytest.mark.parametrize("state", ["draining", "joining"])
def test_a_node_that_is_not_active_gets_nothing_new(state: str) -> None:
    made = cluster(topology(5, (1, 2)), topology(6, (1, 2), states=((1, state),)))
    with stepped():
        end = made.access[0].submit("k").finish()
    assert isinstance(end, Answer)
    assert fate(made) == {1: "moved:6", 2: "taken"}


# --- who cannot be asked any more ---------------------------------------------------------

GONE = (topology(5, (1, 2)), topology(6, (1, 2), states=((1, "evacuated"),)))
REMOVED = (topology(5, (1, 2)), topology(6, (2,), present=(2, 3, 4)))


def uuid7(at_ms: int) -> str:
    digits = f"{at_ms:012x}"
    return f"{digits[:8]}-{digits[8:]}-7abc-8def-0123456789ab"


EVACUATED_MS = NOW_MS - HOUR_MS
JUST_NOW = uuid7(NOW_MS)
OLD, YOUNG = uuid7(EVACUATED_MS + CLOCK_SKEW_MS), uuid7(EVACUATED_MS + CLOCK_SKEW_MS + 1)


@pytest.mark.parametrize("found", [GONE, REMOVED])
@pytest.mark.parametrize(
    ("merchant", "key", "taken"),
    [
        (SHOP, "k", False),
        (SHOP, YOUNG, False),  # this merchant does not say that its keys tell their age
        (Merchant("acct_shop", "Shop", after_fence="accept"), "k", True),
        (Merchant("acct_shop", "Shop", key_time="uuid7"), YOUNG, True),
        (Merchant("acct_shop", "Shop", key_time="uuid7"), JUST_NOW, True),
        (Merchant("acct_shop", "Shop", key_time="uuid7"), OLD, False),
        (Merchant("acct_shop", "Shop", key_time="uuid7"), "k", False),
        pytest.param(SHOP, fresh_key(NOW_MS), True, id="the request came without a key"),
    ],
)
def test_an_evacuated_home(
    found: tuple[Topology, ...], merchant: Merchant, key: str, taken: bool
) -> None:
    made = cluster(*found, merchant=merchant)
    with stepped():
        end = made.access[0].submit(key).finish()
        hop = Hop(made.nodes[2], [b"idempotency-key: %b\r\n" % key.encode()])
        made.nodes[2].decide(hop, None)
    if taken:
        assert isinstance(end, Answer)
        assert hop.plan == "take"
        assert fate(made, key) == {2: "taken"}
    else:
        assert isinstance(end, ApiError)
        assert (end.status, end.code, end.retry) == (409, "key_age_unknown", False)
        assert isinstance(hop.plan, ApiError)
        assert hop.plan.code == "key_age_unknown"
        assert not fate(made, key)


def test_uuids_that_tell_their_time() -> None:
    assert uuid7_ms("01890A5D-AC96-774B-BCCE-B302099A8057") == 0x01890A5DAC96
    for other in ("", "k", "01890a5d-ac96-474b-bcce-b302099a8057", OLD[:-1], OLD + "0", "g" * 36):
        assert uuid7_ms(other) is None
    assert born_ms(uuid7(NOW_MS + CLOCK_SKEW_MS + 1), "uuid7", NOW_MS) is None


# --- which chains there are ---------------------------------------------------------------


def past(*found: Topology, **defaults: str) -> HomeHistory:
    world = worlds(list(found))[-1]
    earlier = tuple(msgspec.structs.replace(each, defaults=defaults) for each in world.earlier)
    return HomeHistory(msgspec.structs.replace(world, earlier=earlier), ATLAS)


def chains(
    past: HomeHistory, evidence: Evidence = EVIDENCE, default: str = ""
) -> list[tuple[int, ...]]:
    topology = past.world.topology
    location = locate(evidence, ATLAS, topology.overrides, default)
    merchant = Merchant("acct_shop", "Shop", default)
    found = past.chains(evidence, location, merchant)
    assert past.chains(evidence, location, merchant) == found  # remembered or not
    return [chain.nodes for chain in found]


def test_places_that_did_not_move_have_no_earlier_homes() -> None:
    found = past(topology(5, (1, 2)), topology(6, (1, 2)), topology(7, (3,)), topology(8, (1, 2)))
    assert chains(found) == [(3,)]
    assert chains(found, Evidence(country="FR")) == []


def test_a_chain_counts_to_the_last_epoch_that_had_it() -> None:
    found = past(topology(5, (3,)), topology(6, (2,)), topology(7, (3,)), topology(8, (1,)))
    location = locate(EVIDENCE, ATLAS, {}, "")
    known = found.chains(EVIDENCE, location, SHOP)
    assert [(chain.epoch, chain.nodes) for chain in known] == [(7, (3,)), (6, (2,))]


def test_keys_are_asked_for_as_long_as_they_are_kept() -> None:
    found = past(topology(5, (1,)), topology(6, (2,), more=""))
    location = locate(EVIDENCE, ATLAS, {}, "")

    def missing(now_ms: int) -> list[str]:
        looked = found.look(EVIDENCE, location, SHOP, "k", 2, {}, now_ms)
        return [home.name for home in looked.missing]

    assert missing(NOW_MS + 71 * HOUR_MS) == ["n1"]
    assert missing(NOW_MS + 71 * HOUR_MS + 1) == []


def test_new_geographic_data_makes_everyone_an_earlier_home_of_what_it_located() -> None:
    found = past(topology(5, (1,), geo="sha256:a"), topology(6, (1,), geo="sha256:b"))
    # Of the earlier epoch: Germany's home, and that of all other places with the rest behind it.
    assert chains(found, Evidence(ip_address="78.46.1.1")) == [(1, 2, 3, 4)]
    assert chains(found, Evidence(coordinates="52.5,13.4")) == [(1, 2, 3, 4)]
    assert chains(found) == []
    assert chains(found, Evidence(country="DE", ip_address="78.46.1.1")) == []
    assert chains(found, Evidence(), default="DE") == []


def test_all_of_them_must_refuse() -> None:
    found = past(topology(5, (1,), geo="sha256:a"), topology(6, (1,), geo="sha256:b"))
    evidence = Evidence(ip_address="78.46.1.1")
    location = locate(evidence, ATLAS, {}, "")
    held = {2: Held(MOVED, 6), 3: Held("overloaded", 5)}
    looked = found.look(evidence, location, SHOP, "k", 1, held, NOW_MS)
    assert [home.node for home in looked.missing] == [4]
    assert [home.answer for home in looked.homes] == ["refused: moved", "refused: overloaded"]


def test_another_meaning_of_a_place() -> None:
    before = topology(5, (1,), more='[overrides]\nFR = "DE"')
    found = past(before, topology(6, (2,)))
    assert chains(found) == [(1,)]
    # France was Germany then: its payers had Germany's home.
    assert chains(found, Evidence(country="FR")) == [(1,)]
    assert chains(past(before, topology(6, (1,))), Evidence(country="ES")) == []


def test_another_default_country() -> None:
    found = past(topology(5, (2,)), topology(6, (2,)), acct_shop="DE")
    assert chains(found, Evidence(), default="FR") == [(2,)]
    assert chains(found, Evidence(country="FR"), default="FR") == []
    assert chains(past(topology(5, (2,)), topology(6, (2,)), acct_shop=""), Evidence(), "FR") == []


def test_explained() -> None:
    found = past(topology(5, (1,)), topology(6, (2,)))
    location = locate(EVIDENCE, ATLAS, {}, "")
    plain = assign(location, found.world.topology)
    looked = found.look(EVIDENCE, location, SHOP, "k", plain.node, {}, NOW_MS)
    shown = to_object(explained(plain, looked))
    home = {"node": 1, "name": "n1", "epoch": 5, "answer": "would be asked"}
    assert list(shown["earlier_homes"]) == [home]
    assert "earlier_homes" not in to_object(plain)
