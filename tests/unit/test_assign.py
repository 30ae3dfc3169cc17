"""Assignment: residency, refusals, usage and evidence policy; deterministic and complete."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bailiwick.geo.places import load_places
from bailiwick.jurisdiction.assign import Assignment, assign
from bailiwick.jurisdiction.locate import Location, Source
from bailiwick.topology.topology import Topology, parse

TOPOLOGY = parse(
    b"""
epoch = 7
[groups]
eea = ["AT", "DE", "FR", "ES"]
[[nodes]]
number = 30
name = "americas"
url = "http://127.0.0.1:9103"
[[nodes]]
number = 10
name = "apac"
url = "http://127.0.0.1:9101"
[[nodes]]
number = 20
name = "europe"
url = "http://127.0.0.1:9102"
[[nodes]]
number = 40
name = "reserve"
url = "http://127.0.0.1:9104"
[[rules]]
places = ["IN"]
nodes = ["apac"]
residency = "strict"
evidence = "explicit"
[[rules]]
places = ["group:eea"]
nodes = ["europe", "reserve"]
residency = "prefer"
[[rules]]
places = ["US-CA"]
nodes = ["reserve"]
residency = "strict"
[[rules]]
places = ["area:fair"]
nodes = ["reserve"]
residency = "strict"
[[rules]]
places = ["default"]
nodes = ["americas"]
residency = "free"
[[areas]]
name = "fair"
polygon = [[11.68, 48.12], [11.71, 48.12], [11.71, 48.14], [11.68, 48.14]]
"""
)
NUMBERS = {10, 20, 30, 40}


def place(
    country: str,
    subdivision: str | None = None,
    coordinates: tuple[float, float] | None = None,
    source: Source = "explicit",
) -> Location:
    return Location(country, subdivision, coordinates, source, "high", {})


def verdicts(found: Assignment) -> dict[str, str]:
    return {item.name: item.verdict for item in found.considered}


def test_strict() -> None:
    found = assign(place("IN"), TOPOLOGY)
    assert (found.epoch, found.node, found.home, found.rule) == (7, 10, 10, "IN")
    assert found.residency == "strict"
    assert verdicts(found) == {
        "apac": "chosen",
        "americas": "not_allowed",
        "europe": "not_allowed",
        "reserve": "not_allowed",
    }
    assert "strict" in found.considered[1].reason
    refused = assign(place("IN"), TOPOLOGY, refused={10: "draining"})
    assert (refused.node, refused.home) == (None, 10)
    assert refused.considered[0].verdict == "refused"
    assert "draining" in refused.considered[0].reason


def test_prefer_stays_in_the_list() -> None:
    assert assign(place("FR"), TOPOLOGY).rule == "group:eea"
    assert assign(place("FR"), TOPOLOGY).node == 20
    assert assign(place("FR"), TOPOLOGY, refused={20: "overloaded"}).node == 40
    assert assign(place("FR"), TOPOLOGY, refused={20: "a", 40: "b"}).node is None


def test_free_goes_on_in_order_of_number() -> None:
    found = assign(place("BR"), TOPOLOGY)
    assert [item.node for item in found.considered] == [30, 10, 20, 40]
    assert assign(place("BR"), TOPOLOGY, refused={30: "x"}).node == 10
    assert assign(place("BR"), TOPOLOGY, refused={30: "x", 10: "y"}).node == 20


def test_more_specific_places() -> None:
    assert assign(place("US", "US-CA"), TOPOLOGY).node == 40
    assert assign(place("US", "US-NY"), TOPOLOGY).rule == "default"
    inside = place("DE", coordinates=(48.13, 11.70), source="coordinates")
    assert assign(inside, TOPOLOGY).rule == "area:fair"
    outside = place("DE", coordinates=(48.15, 11.70), source="coordinates")
    assert assign(outside, TOPOLOGY).rule == "group:eea"


def test_evidence_policy() -> None:
    found = assign(place("IN", source="ip"), TOPOLOGY)
    assert (found.rule, found.node) == ("default", 30)
    assert found.passed_rules == ("IN trusts only explicit evidence; this location comes from ip",)
    assert assign(place("IN"), TOPOLOGY).passed_rules == ()


def test_usage() -> None:
    usage = {10: "open", 20: "draining", 30: "open", 40: "open"}
    found = assign(place("FR"), TOPOLOGY, usage=usage)
    assert (found.node, found.home) == (40, 20)
    assert found.considered[0].verdict == "not_open"
    assert "draining" in found.considered[0].reason
    assert assign(place("FR"), TOPOLOGY, usage={}).node is None
    assert "not known" in assign(place("FR"), TOPOLOGY, usage={}).considered[0].reason


def test_nodes_that_are_not_active_are_passed_over() -> None:
    text = """
epoch = 8
[[nodes]]
number = 1
name = "a"
url = "http://127.0.0.1:9101"
state = "draining"
[[nodes]]
number = 2
name = "b"
url = "http://127.0.0.1:9102"
[[nodes]]
number = 3
name = "c"
url = "http://127.0.0.1:9103"
state = "joining"
[[rules]]
places = ["IN"]
nodes = ["a"]
residency = "strict"
[[rules]]
places = ["default"]
nodes = ["a", "c"]
residency = "free"
"""
    topology = parse(text.encode())
    found = assign(place("DE"), topology)
    assert (found.node, found.home) == (2, 2)
    said = [(each.name, each.verdict, each.reason) for each in found.considered]
    assert said == [
        ("a", "not_active", "draining in epoch 8"),
        ("c", "not_active", "joining in epoch 8"),
        ("b", "chosen", "the home"),
    ]
    assert assign(place("DE"), topology, refused={2: "overloaded"}).node is None
    strict = assign(place("IN"), topology)
    assert (strict.node, strict.home, strict.considered[0].verdict) == (None, 1, "not_active")


COUNTRIES = st.sampled_from(sorted(load_places().countries))
LOCATIONS = st.builds(
    place,
    COUNTRIES,
    coordinates=st.none()
    | st.tuples(st.floats(-90, 90, allow_nan=False), st.floats(-180, 180, allow_nan=False)),
    source=st.sampled_from(["explicit", "coordinates", "ip", "default"]),
) | st.builds(place, st.just("US"), st.sampled_from(["US-CA", "US-NY", "US-OR"]))
REFUSED = st.dictionaries(st.sampled_from(sorted(NUMBERS | {99})), st.text(max_size=10))
USAGE = st.none() | st.dictionaries(
    st.sampled_from(sorted(NUMBERS)), st.sampled_from(["open", "draining", "stale"])
)


@given(LOCATIONS, REFUSED, USAGE)
def test_deterministic_and_complete(
    location: Location, refused: dict[int, str], usage: dict[int, str] | None
) -> None:
    found = assign(location, TOPOLOGY, refused=refused, usage=usage)
    shuffled: dict[int, str] = dict(reversed(refused.items()))
    assert assign(location, TOPOLOGY, refused=shuffled, usage=usage) == found
    assert {item.node for item in found.considered} == NUMBERS  # each exactly once
    assert len(found.considered) == len(NUMBERS)
    chosen = [item.node for item in found.considered if item.verdict == "chosen"]
    assert chosen == ([found.node] if found.node is not None else [])
    assert all(item.reason for item in found.considered)
    assert found.home == found.considered[0].node


@given(LOCATIONS, REFUSED, USAGE)
def test_the_first_eligible_node_in_order_is_chosen(
    location: Location, refused: dict[int, str], usage: dict[int, str] | None
) -> None:
    found = assign(location, TOPOLOGY, refused=refused, usage=usage)
    order = [item.node for item in found.considered if item.verdict != "not_allowed"]
    open_ = [n for n in order if n not in refused and (usage is None or usage.get(n) == "open")]
    assert found.node == (open_[0] if open_ else None)
    if found.residency == "free":
        assert set(order) == NUMBERS


@given(LOCATIONS, REFUSED)
def test_the_home_depends_on_nothing_but_place_and_epoch(
    location: Location, refused: dict[int, str]
) -> None:
    plain = assign(location, TOPOLOGY)
    found = assign(location, TOPOLOGY, refused=refused, usage={})
    assert (found.home, found.rule, found.residency) == (plain.home, plain.rule, plain.residency)
    assert plain.node == plain.home


@given(st.permutations(range(4)), COUNTRIES)
def test_the_order_in_the_file_does_not_matter(order: list[int], country: str) -> None:
    nodes = [
        f'[[nodes]]\nnumber = {n}\nname = "n{n}"\nurl = "http://127.0.0.1:{9000 + n}"\n'
        for n in (1, 2, 3)
    ]
    rules = [
        '[[rules]]\nplaces = ["IN"]\nnodes = ["n1"]\nresidency = "strict"\n',
        '[[rules]]\nplaces = ["FR", "DE"]\nnodes = ["n2", "n3"]\nresidency = "prefer"\n',
        '[[rules]]\nplaces = ["default"]\nnodes = ["n3"]\nresidency = "free"\n',
        "",
    ]

    def build(sequence: list[int]) -> Topology:
        parts: list[Any] = [rules[i] for i in sequence]
        return parse(("epoch = 1\n" + "".join(nodes) + "".join(parts)).encode())

    plain, mixed = build([0, 1, 2, 3]), build(list(order))
    assert assign(place(country), plain) == assign(place(country), mixed)
