"""Reading a topology: what is accepted, and that every refusal names field and remedy."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.cli.topology import command
from bailiwick.geo import polygons
from bailiwick.geo.places import load_places
from bailiwick.topology import snapshot
from bailiwick.topology.reading import WorldError
from bailiwick.topology.topology import Thresholds, Topology, parse

NODES = """
epoch = 3
[[nodes]]
number = 2
name = "europe"
url = "http://127.0.0.1:9102/"
title = "Europe"
[[nodes]]
number = 1
name = "apac"
url = "http://127.0.0.1:9101"
"""
DEFAULT = """
[[rules]]
places = ["default"]
nodes = ["europe", "apac"]
residency = "free"
"""
INDIA = """
[[rules]]
places = ["IN"]
nodes = ["apac"]
residency = "strict"
"""


def read(*parts: str) -> Topology:
    return parse("\n".join(parts).encode())


def problems(*parts: str) -> str:
    with pytest.raises(WorldError) as caught:
        read(*parts)
    assert all(line.startswith("topology.toml: ") for line in caught.value.problems)
    return "\n".join(caught.value.problems)


def rule(places: str, nodes: str = '"apac"', residency: str = "strict", more: str = "") -> str:
    return f'[[rules]]\nplaces = [{places}]\nnodes = [{nodes}]\nresidency = "{residency}"\n{more}\n'


def square(name: str, west: float, south: float, size: float = 1.0) -> str:
    e, n = west + size, south + size
    return (
        f'[[areas]]\nname = "{name}"\n'
        f"polygon = [[{west}, {south}], [{e}, {south}], [{e}, {n}], [{west}, {n}]]\n"
    )


def test_reads() -> None:
    found = read(NODES, INDIA, DEFAULT)
    assert found.epoch == 3
    assert [node.name for node in found.nodes] == ["apac", "europe"]  # in order of number
    assert found.by_number[2].url == "http://127.0.0.1:9102"
    assert found.by_number[1].title == "apac"
    assert found.thresholds == Thresholds()
    assert [match.label for match in found.by_country["IN"]] == ["IN", "default"]
    assert [match.label for match in found.by_country["FR"]] == ["default"]
    assert [node.name for node in found.rules[1].order] == ["europe", "apac"]


def test_states_and_retention() -> None:
    found = read(NODES.replace('name = "europe"', 'name = "europe"\nstate = "draining"'), DEFAULT)
    assert (found.by_number[1].state, found.by_number[2].state) == ("active", "draining")
    assert found.rules[0].takers == (1,)
    assert [node.name for node in found.rules[0].order] == ["europe", "apac"]
    assert found.key_retention_hours == 72
    assert read("key_retention_hours = 9", NODES, DEFAULT).key_retention_hours == 9
    text = problems(NODES.replace('name = "apac"', 'name = "apac"\nstate = "drained"'), DEFAULT)
    assert "nodes[1].state" in text
    assert "did you mean 'draining'?" in text
    assert "key_retention_hours" in problems("key_retention_hours = 0", NODES, DEFAULT)


def test_most_specific_first() -> None:
    found = read(
        'epoch = 1\n[groups]\nwest = ["US-CA", "US-OR", "US"]\nall = ["group:west", "CA"]',
        NODES.replace("epoch = 3", ""),
        rule('"US-CA"'),
        rule('"US"'),
        rule('"group:all"'),
        DEFAULT,
    )
    assert [m.label for m in found.by_subdivision["US-CA"]] == ["US-CA", "group:all"]
    assert [m.label for m in found.by_subdivision["US-OR"]] == ["group:all"]
    assert [m.label for m in found.by_country["US"]] == ["US", "group:all", "default"]
    assert [m.label for m in found.by_country["CA"]] == ["group:all", "default"]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((NODES, rule('"IN"', '"apca"'), DEFAULT), ["rules[0].nodes", "'apca'", "'apac'"]),
        ((NODES, rule('"IM", "UK"'), DEFAULT), ["rules[0].places", "'UK'", "'GB'"]),
        ((NODES, rule('"US-XX"'), DEFAULT), ["'US-XX'", "ISO 3166-2"]),
        ((NODES, rule('"US-PR"'), DEFAULT), ["'US-PR'", "'PR'"]),
        ((NODES, rule('"crimea"'), DEFAULT), ["crimea", "[overrides]"]),
        ((NODES, rule('"group:eea"'), DEFAULT), ["no group", "'eea'"]),
        ((NODES, rule('"area:fair"'), DEFAULT), ["no area", "'fair'"]),
        ((NODES, rule('"IN"', ""), DEFAULT), ["rules[0].nodes", "must not be empty"]),
        ((NODES, rule('"IN"', '"apac", "apac"'), DEFAULT), ["'apac' is listed twice"]),
        ((NODES, rule('"IN"', residency="stirct"), DEFAULT), ["residency", "'strict'"]),
        ((NODES, rule('"IN"', more='evidence = "some"'), DEFAULT), ["evidence", "explicit"]),
        ((NODES, rule('"IN"', more="node = 1"), DEFAULT), ["rules[0].node", "'nodes'"]),
        ((NODES.replace("number = 2", "number = 1"), DEFAULT), ["nodes[1].number", "unique"]),
        ((NODES.replace("europe", "apac"), DEFAULT), ["nodes[1].name", "unique"]),
        ((NODES.replace("9102", "9101"), DEFAULT), ["nodes[1].url", "unique"]),
        ((NODES.replace("number = 2", "number = 65536"), DEFAULT), ["1 to 65535"]),
        ((NODES.replace("number = 2", "number = true"), DEFAULT), ["nodes[0].number"]),
        ((NODES.replace("http://127.0.0.1:9101", "ftp://x"), DEFAULT), ["nodes[1].url", "http"]),
        ((NODES.replace("europe", "Eu rope"), DEFAULT), ["nodes[0].name", "small letters"]),
        ((NODES.replace("epoch = 3", ""), DEFAULT), ["epoch", "missing"]),
        ((DEFAULT,), ["nodes", "missing"]),
        ((NODES,), ["rules", "missing"]),
        ((NODES + "[threshold]\n", DEFAULT), ["threshold", "'thresholds'"]),
        ((NODES, DEFAULT, "[thresholds]\nerror_rate_max = 1.5"), ["thresholds.error_rate_max"]),
        ((NODES, DEFAULT, "[thresholds]\nstale_after_ms = 500"), ["longer than report_every_ms"]),
        ((NODES, DEFAULT, "[thresholds]\nreport_every_ms = 0"), ["thresholds.report_every_ms"]),
        ((NODES, DEFAULT, '[overrides]\ncrimae = "UA"'), ["overrides.crimae", "'crimea'"]),
        ((NODES, DEFAULT, '[overrides]\ncrimea = "UK"'), ["overrides.crimea", "'GB'"]),
        (
            (NODES, DEFAULT, '[overrides]\ncrimea = "XK"\nXK = "RS"'),
            ["overrides.crimea", "overridden too"],
        ),
        (("epoch = [",), ["not valid TOML"]),
        (("#" * (1 << 20) + "\n",), ["bytes"]),
    ],
)
def test_refused(parts: tuple[str, ...], expected: list[str]) -> None:
    text = problems(*parts)
    for words in expected:
        assert words in text


def test_all_problems_at_once() -> None:
    text = problems(NODES, rule('"UK"', '"nowhere"', "never"), DEFAULT)
    assert len(text.splitlines()) == 3


def test_holes_are_named() -> None:
    text = problems(NODES, INDIA)
    assert "hole" in text
    assert "AD Andorra" in text
    assert "default" in text
    weak = problems(
        NODES,
        '[[rules]]\nplaces = ["default"]\nnodes = ["apac"]\nresidency = "free"\n'
        'evidence = "explicit"',
    )
    assert "any evidence" in weak


def test_full_cover_without_default() -> None:
    countries = ", ".join(f'"{code}"' for code in load_places().countries)
    assert read(NODES, rule(countries)).default == ()
    text = problems(NODES, rule(countries, more='evidence = "explicit"'))
    assert "only for explicit evidence" in text


def test_overlaps_are_named() -> None:
    text = problems(NODES, INDIA, rule('"IN"', '"europe"'), DEFAULT)
    assert "overlap: 'IN'" in text
    assert "rules[0]" in text
    assert "listed twice" in problems(NODES, rule('"IN", "IN"'), DEFAULT)
    groups = 'epoch = 1\n[groups]\na = ["IN", "FR", "DE"]\nb = ["IN", "DE"]\n'
    nodes = NODES.replace("epoch = 3", "")
    text = problems(groups, nodes, rule('"group:a"'), rule('"group:b"', '"europe"'), DEFAULT)
    assert "overlap: DE, IN are held by 'group:a'" in text
    assert "'group:b'" in text
    # A rule of their own decides; one rule may list both groups.
    read(groups, nodes, rule('"group:a"'), rule('"group:b"'), rule('"IN", "DE"'), DEFAULT)
    read(groups, nodes, rule('"group:a", "group:b"'), DEFAULT)
    # ... but not one that some evidence passes over.
    own = rule('"IN", "DE"', more='evidence = "explicit"')
    assert "overlap" in problems(groups, nodes, rule('"group:a"'), rule('"group:b"'), own, DEFAULT)


def test_group_circles_and_unknowns() -> None:
    nodes = NODES.replace("epoch = 3", "")
    text = problems('epoch = 1\n[groups]\na = ["group:b"]\nb = ["group:a"]', nodes, DEFAULT)
    assert "groups.a" in text
    assert "a -> b -> a" in text
    text = problems('epoch = 1\n[groups]\neurope = ["group:eea"]\neeea = ["FR"]', nodes, DEFAULT)
    assert "no group is named 'eea'; did you mean 'eeea'?" in text


def test_areas() -> None:
    both = rule('"area:one"') + rule('"area:two"', '"europe"')
    found = read(NODES, both, DEFAULT, square("one", 11, 48), square("two", 12, 48))
    assert set(found.area_rules) == {"one", "two"}  # sharing an edge is no overlap
    text = problems(NODES, both, DEFAULT, square("one", 11, 48), square("two", 11.5, 48.5))
    assert "overlap: 'one' and 'two'" in text
    text = problems(NODES, both, DEFAULT, square("one", 11, 48), square("two", 11, 48))
    assert "overlap" in text
    text = problems(NODES, both, DEFAULT, square("one", 11, 48, 5), square("two", 12, 49))
    assert "overlap" in text
    text = problems(NODES, DEFAULT, square("one", 11, 48))
    assert "named by no rule" in text
    text = problems(NODES, rule('"area:one"', more='evidence = "explicit"'), DEFAULT,
                    square("one", 11, 48))  # fmt: skip
    assert "coordinates" in text


@pytest.mark.parametrize(
    ("polygon", "words"),
    [
        ("[[1, 1], [2, 2]]", "three"),
        ("[[1, 1], [2, 2], [2, 2], [3, 1]]", "none twice"),
        ("[[1, 1], [2, 1], [191, 1]]", "globe"),
        ("[[-179, 1], [179, 1], [179, 2]]", "antimeridian"),
        ("[[0, 0], [1, 1], [1, 0], [0, 1]]", "encloses nothing"),
        ("[[0, 0], [2, 2], [2, 0], [0, 1]]", "crosses itself"),
        ("[[0, 0], [1, 0], [2, 0]]", "encloses nothing"),
        ('[["0", 0], [1, 0], [2, 1]]', "list of [lon, lat]"),
        ("[]", "list of [lon, lat]"),
    ],
)
def test_bad_polygons(polygon: str, words: str) -> None:
    area = f'[[areas]]\nname = "one"\npolygon = {polygon}\n'
    text = problems(NODES, rule('"area:one"'), DEFAULT, area)
    assert "areas[0].polygon" in text
    assert words in text


@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(1, 3), st.integers(1, 3))
def test_overlap_of_rectangles(x: int, y: int, width: int, height: int) -> None:
    first = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0))
    x2, y2 = float(x + width), float(y + height)
    second = ((float(x), float(y)), (x2, float(y)), (x2, y2), (float(x), y2))
    expected = x < 2 and x + width > 0 and y < 2 and y + height > 0
    assert polygons.overlap(first, second) is expected
    assert polygons.overlap(second, first) is expected


def test_geo_pin() -> None:
    found = read('geo = "sha256:1"', NODES, DEFAULT)
    assert found.geo_problem("sha256:1") is None
    assert "sha256:1" in (found.geo_problem("sha256:2") or "")
    assert read(NODES, DEFAULT).geo_problem("sha256:2") is None


MERCHANTS = '[[merchants]]\nid = "acct_demo"\nname = "Demo"\n'


def test_world(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match=r"topology\.toml: cannot be read") as caught:
        snapshot.load(tmp_path)
    assert len(caught.value.problems) == 2
    (tmp_path / "topology.toml").write_text(NODES + INDIA + DEFAULT)
    (tmp_path / "merchants.toml").write_text(MERCHANTS)
    world = snapshot.load(tmp_path)
    assert (world.epoch, world.merchants.all[0].id) == (3, "acct_demo")
    assert snapshot.load(tmp_path).digest == world.digest
    (tmp_path / "merchants.toml").write_text(MERCHANTS + "#")
    assert snapshot.load(tmp_path).digest != world.digest
    (tmp_path / "topology.toml").write_text(NODES)
    (tmp_path / "merchants.toml").write_text("merchant = 1")
    with pytest.raises(WorldError) as caught:
        snapshot.load(tmp_path)
    assert {line.partition(":")[0] for line in caught.value.problems} == {
        "topology.toml",
        "merchants.toml",
    }


def test_check_command(tmp_path: Path) -> None:
    file = tmp_path / "topology.toml"
    file.write_text(NODES + INDIA + DEFAULT + '[overrides]\ncrimea = "UA"\n')
    result = CliRunner().invoke(command, ["check", str(file)])
    assert result.exit_code == 0, result.output
    assert "Payers in India (IN) go to apac and stay there." in result.output
    assert "all other places" in result.output
    result = CliRunner().invoke(command, ["check", str(file), "--json"])
    report = json.loads(result.output)
    assert report["ok"] is True
    assert report["epoch"] == 3
    assert report["geo"].startswith("sha256:")
    assert any("northern-cyprus" in line for line in report["warnings"])
    file.write_text(NODES + INDIA)
    result = CliRunner().invoke(command, ["check", str(file), "--json"])
    assert result.exit_code == 1
    report = json.loads(result.output)
    assert report["ok"] is False
    assert "hole" in report["problems"][0]
    assert CliRunner().invoke(command, ["check", str(tmp_path)]).exit_code == 1
