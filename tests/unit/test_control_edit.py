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


COMMENTED = """# all nodes
[[nodes]]
number = 1
name = "apac"
# below

# the second
[[nodes]]
number = 2
name = "europe"

# --- who takes what
[[rules]]
places = ["default"]
nodes = [
    # home
    "europe",
    "apac", # next
]
"""


def test_a_comment_stays_above_the_header_it_was_written_above() -> None:
    for name in ("apac", "europe"):
        made = node_set(COMMENTED, name, state="active")
        line = f'name = "{name}"\n'
        assert made == COMMENTED.replace(line, line + 'state = "active"\n')
    assert top_set(COMMENTED, url="x") == 'url = "x"\n' + COMMENTED


def test_a_node_comes_and_goes_between_comments() -> None:
    node: dict[str, str | int] = {"number": 3, "name": "africa", "url": "http://d:1"}
    made = node_added(COMMENTED, node, lambda places: True)
    table = '[[nodes]]\nnumber = 3\nname = "africa"\nurl = "http://d:1"\n\n'
    assert made == COMMENTED.replace("# ---", table + "# ---").replace(
        '    "europe",', '    "africa",\n    "europe",'
    )
    assert node_removed(made, "africa") == COMMENTED
    gone = node_removed(COMMENTED, "europe")
    assert "# --- who takes what\n[[rules]]" in gone and "# next" in gone and "# home" in gone


def test_the_file_need_not_end_its_last_line() -> None:
    text = '[[rules]]\nplaces = ["default"]\nnodes = ["apac"]\n\n[[nodes]]\nname = "apac"'
    made = node_added(text, {"name": "africa"}, lambda places: True)
    assert made == text.replace('["apac"]', '["africa", "apac"]') + (
        '\n\n[[nodes]]\nname = "africa"\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        'nodes = [{number = 1, name = "apac", url = "http://a:1"}]\n',
        '[[nodes]]\n"name" = "apac"\n"state" = """active"""\n',
        '[[nodes]]\r\nname = "apac"\r\n"state" = "active"\r\n',
    ],
)
def test_there_are_other_ways_to_write_the_same(text: str) -> None:
    (node,) = tomllib.loads(node_set(text, "apac", state="draining"))["nodes"]
    assert (node["name"], node["state"]) == ("apac", "draining")


def test_tables_of_one_kind_may_stand_apart() -> None:
    later = '\n[[nodes]]\nnumber = 3\nname = "africa"\n# the end\n'
    made = node_set(TEXT + later, "europe", state="active")
    assert made == TEXT.replace('"draining"', '"active"') + later
    assert node_removed(TEXT + later, "africa") == TEXT


def test_what_cannot_be_changed_alone_is_left_to_a_person() -> None:
    lines = '[[nodes]]\nname = "apac"\ntitle = """\n[nodes]\n"""\n'
    with pytest.raises(EditError, match="by hand"):
        node_set(lines, "apac", state="draining")
    inner = '[[nodes]]\nname = "apac"\n[nodes.inner]\nx = 1\n'
    with pytest.raises(EditError, match="by hand"):
        node_added(inner, {"number": 2, "name": "europe"}, lambda places: True)
    inline = 'nodes = [{number = 1, name = "apac"}]\n'
    with pytest.raises(EditError, match=r"\[\[nodes\]\] tables"):
        node_added(inline, {"number": 2, "name": "europe"}, lambda places: True)


def test_no_toml_is_no_topology() -> None:
    with pytest.raises(EditError, match="not valid TOML"):
        node_set("[[nodes]\n", "apac", state="draining")


def test_settings_are_changed_at_the_top_alone() -> None:
    text = 'number = 1\ndsn = "postgresql://old"\n[[gateways]]\nname = "bank"\ndsn = "mine"\n'
    made = top_set(text, dsn='postgresql://new"\\1', url="http://x:1")
    found = tomllib.loads(made)
    assert (found["dsn"], found["url"]) == ('postgresql://new"\\1', "http://x:1")
    assert found["gateways"] == [{"name": "bank", "dsn": "mine"}]
