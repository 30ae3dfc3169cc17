"""Changes to a topology leave a person's text alone, or are refused."""

import tomllib

import pytest

from bailiwick.control.toml_edit import EditError, node_added, node_removed, node_set, top_set

TEXT = """# who has jurisdiction
key_retention_hours = 48  # two days

[groups]
near = ["FR", "BE"] # and so on

[[nodes]]
number = 1
name = "apac"   # Mumbai
url = "http://a:1"

[[nodes]] # the second
number = 2
name = "europe"
url = 'http://b:1'
state = "draining" # for repairs

[[rules]]
places = ["group:near", "DE"]
nodes = [
    "europe",  # home
    "apac",
]
residency = "prefer"

[[rules]]
places = ["default"]
nodes = ["apac"]
residency = "free"

[[areas]]
name = "fair"
polygon = [
    [1.0, 2.0],
    [2.0, 2.0],
    [2.0, 3.0],
]
"""


def test_a_field_is_replaced_where_it_stands() -> None:
    made = node_set(TEXT, "europe", state="active", url="http://c:2")
    assert made == TEXT.replace('state = "draining"', 'state = "active"').replace(
        "url = 'http://b:1'", 'url = "http://c:2"'
    )


def test_a_field_that_is_missing_is_added() -> None:
    made = node_set(TEXT, "apac", state="joining")
    assert tomllib.loads(made)["nodes"][0]["state"] == "joining"
    assert "# Mumbai" in made
    assert node_set(made, "apac", state="joining") == made, "twice is once"


def test_a_node_is_taken_out_of_its_rules_too() -> None:
    made = tomllib.loads(node_removed(TEXT, "europe"))
    assert [node["name"] for node in made["nodes"]] == ["apac"]
    assert [rule["nodes"] for rule in made["rules"]] == [["apac"], ["apac"]]
    assert made["areas"] == tomllib.loads(TEXT)["areas"]


def test_a_node_is_added_first_in_the_rules_that_are_its_own() -> None:
    node: dict[str, str | int] = {"number": 3, "name": "africa", "url": "http://d:1"}
    made = node_added(TEXT, node, lambda places: places == ["default"])
    found = tomllib.loads(made)
    assert found["nodes"][-1] == node
    assert [rule["nodes"] for rule in found["rules"]] == [["europe", "apac"], ["africa", "apac"]]
    assert tomllib.loads(node_removed(made, "africa")) == tomllib.loads(TEXT)
    assert "# home" in made


@pytest.mark.parametrize(
    "text",
    [
        'nodes = [{number = 1, name = "apac", url = "http://a:1"}]\n',
        '[[nodes]]\n"name" = "apac"\n"state" = """active"""\n',
        '[[nodes]]\nname = "apac"\n"state" = "active"\n',
    ],
)
def test_what_is_written_in_another_way_is_left_to_a_person(text: str) -> None:
    with pytest.raises(EditError, match="by hand"):
        node_set(text, "apac", state="draining")


def test_no_toml_is_no_topology() -> None:
    with pytest.raises(EditError, match="not valid TOML"):
        node_set("[[nodes]\n", "apac", state="draining")


def test_settings_are_changed_at_the_top_alone() -> None:
    text = 'number = 1\ndsn = "postgresql://old"\n[[gateways]]\nname = "bank"\ndsn = "mine"\n'
    made = top_set(text, dsn='postgresql://new"\\1', url="http://x:1")
    found = tomllib.loads(made)
    assert (found["dsn"], found["url"]) == ('postgresql://new"\\1', "http://x:1")
    assert found["gateways"] == [{"name": "bank", "dsn": "mine"}]
