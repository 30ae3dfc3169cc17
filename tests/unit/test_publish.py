"""``bailiwick topology``: publishing without a broker, history, and changes in words."""

import json
from pathlib import Path
from typing import Any

import pytest
from chain_kit import files, merchants, topology
from click.testing import CliRunner

from bailiwick.cli.topology import command
from bailiwick.cli.topology.words import unreachable
from bailiwick.control.changes import changes
from bailiwick.topology import snapshot
from bailiwick.topology import topology as topology_file
from bailiwick.topology.epochs import Epochs, world_in_force


class Desk:
    """A folder in which somebody publishes, and the command."""

    def __init__(self, folder: Path) -> None:
        self.world = folder / "world"
        self.world.mkdir()
        self.key = folder / "secrets" / "world.key"
        self.write()

    def write(self, home: str = "europe", country: str = "DE", *keys: str) -> None:
        for name, raw in files(home, country, *keys).items():
            (self.world / name).write_bytes(raw)

    def call(self, *arguments: object, status: int = 0) -> dict[str, Any]:
        """Run a command with --json; its answer."""
        words = [str(each) for each in arguments]
        if words[0] not in ("keygen", "check"):
            words += ["--world", str(self.world)]
        if words[0] in ("init", "publish", "rollback"):
            words += ["--key", str(self.key)]
        done = CliRunner().invoke(command, [*words, "--json"], env={"BAILIWICK_NATS": ""})
        assert done.exit_code == status, done.output
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def text(self, *arguments: object) -> str:
        """Run a command for people; what it prints."""
        words = [*map(str, arguments), "--world", str(self.world)]
        done = CliRunner().invoke(command, words)
        assert done.exit_code == 0, done.output
        return done.stdout


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    it = Desk(tmp_path)
    it.call("keygen", it.key)
    it.call("init", "--note", "first")
    return it


def test_a_world_is_signed_and_published(desk: Desk) -> None:
    assert desk.key.stat().st_mode & 0o777 == 0o600
    assert world_in_force(desk.world).epoch == 1
    desk.write("apac")
    told = desk.call("diff", "1", "files")
    done = desk.call("publish", "--note", "move")
    assert (done["epoch"], done["published"], done["pushed"]) == (2, True, False)
    assert done["changes"] == told["changes"]
    assert any("from europe to apac" in line for line in done["changes"])
    assert world_in_force(desk.world).epoch == 2
    assert desk.call("publish")["published"] is False
    found = desk.call("history")["epochs"]
    assert [(each["epoch"], each["note"], each["in_force"]) for each in found] == [
        (2, "move", True),
        (1, "first", False),
    ]
    assert found[0]["parent"] == found[1]["hash"]
    assert desk.call("show", 1)["files"]["topology.toml"] == topology().decode()
    assert desk.text("show", 1, "--file", "merchants.toml").strip() == merchants().decode()
    assert "Until" in desk.text("show", 2)
    assert "* " in desk.text("history")
    assert desk.text("diff", 1, 1) == "Nothing changes.\n"


def test_an_unsigned_folder_goes_on_counting(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (desk.world / "topology.toml").write_bytes(topology(more="epoch = 7"))
    desk.call("keygen", desk.key)
    assert desk.call("init")["epoch"] == 7
    assert b"epoch" not in (desk.world / "topology.toml").read_bytes()
    assert desk.call("publish")["published"] is False
    assert "use: topology publish" in desk.call("init", status=1)["error"]


def test_nothing_is_published_over_what_was_not_seen(desk: Desk, tmp_path: Path) -> None:
    other = Desk.__new__(Desk)
    other.world, other.key = tmp_path / "other", desk.key
    other.world.mkdir()
    for name in ("trust.json", "topology.toml", "merchants.toml", "based-on"):
        (other.world / name).write_bytes((desk.world / name).read_bytes())
    assert other.call("install", Epochs(desk.world).path(1))["installed"] is True
    desk.write("apac")
    desk.call("publish", "--expect", 1)
    other.call("install", Epochs(desk.world).path(2))
    assert other.call("install", Epochs(desk.world).path(2))["installed"] is False
    other.write("europe", "FR")
    refused = other.call("publish", status=1)["error"]
    assert "based on epoch 1, but 2 is in force" in refused
    assert "not 1" in other.call("publish", "--expect", 1, status=1)["error"]
    assert other.call("publish", "--expect", 2)["epoch"] == 3
    assert "lower than 3" in other.call("install", Epochs(desk.world).path(2), status=1)["error"]


def test_a_rollback_is_a_new_epoch_and_revives_no_key_unasked(desk: Desk) -> None:
    desk.write("apac", "DE", "b")  # revokes key a
    desk.call("publish")
    assert "1 API keys" in desk.call("rollback", 1, status=1)["error"]
    kept = desk.call("rollback", 1, "--merchants", "keep")
    assert (kept["epoch"], kept["note"]) == (3, "rollback to epoch 1")
    world = world_in_force(desk.world)
    assert world.topology.rules[0].nodes[0].name == "europe"
    assert set(world.merchants.by_hash) == {"b" * 64}
    assert snapshot.read_files(desk.world) == Epochs(desk.world).head().link.files  # type: ignore[union-attr]
    restored = desk.call("rollback", 1, "--merchants", "restore")
    assert restored["epoch"] == 4
    assert set(world_in_force(desk.world).merchants.by_hash) == {"a" * 64}
    assert "in force" in desk.call("rollback", 4, status=1)["error"]
    assert "holds no epoch 9" in desk.call("rollback", 9, status=1)["error"]


def test_unpublished_changes_survive_a_rollback(desk: Desk) -> None:
    desk.write("apac")
    desk.call("publish")
    desk.write("apac", "IN")
    desk.call("rollback", 1)
    assert b"IN" in (desk.world / "merchants.toml").read_bytes()
    assert "based on epoch 2" in desk.call("publish", status=1)["error"]


def test_bad_files_and_keys_publish_nothing(desk: Desk, tmp_path: Path) -> None:
    (desk.world / "topology.toml").write_bytes(topology().replace(b'"default"', b'"Atlantis"'))
    assert "topology.toml" in desk.call("publish", status=1)["error"]
    desk.write("apac")
    desk.key.chmod(0o644)
    assert "chmod 600" in desk.call("publish", status=1)["error"]
    desk.key.write_text("rubbish")
    desk.key.chmod(0o600)
    assert "no signing key" in desk.call("publish", status=1)["error"]
    desk.key.unlink()
    assert "cannot be read" in desk.call("publish", status=1)["error"]
    desk.call("keygen", desk.key)
    assert "does not list this key" in desk.call("publish", status=1)["error"]
    assert "never overwritten" in desk.call("keygen", desk.key, status=1)["error"]
    assert "neither" in desk.call("diff", "1", "x", status=1)["error"]
    assert "--nats" in desk.call("push", status=1)["error"]
    damaged = tmp_path / "damaged.json"
    damaged.write_bytes(Epochs(desk.world).path(1).read_bytes()[:-40])
    assert "torn" in desk.call("install", damaged, status=1)["error"]
    assert Epochs(desk.world).numbers() == [1]


def test_check_compares_and_needs_no_epoch_in_a_signed_folder(desk: Desk, tmp_path: Path) -> None:
    assert desk.call("check", desk.world)["epoch"] == 1
    desk.write("apac")
    found = desk.call("check", desk.world, "--against", 1)
    assert found["epoch"] == 2
    assert any("from europe to apac" in line for line in found["changes"])
    assert desk.call("check", desk.world / "topology.toml")["ok"] is True
    plain = tmp_path / "plain"
    plain.mkdir()
    for name, raw in (files() | {"topology.toml": topology(more="epoch = 3")}).items():
        (plain / name).write_bytes(raw)
    assert desk.call("check", desk.world, "--against", plain)["changes"] == found["changes"]
    refused = desk.call("check", desk.world, "--against", 9, status=1)
    assert "holds no epoch 9" in refused["problems"][0]


# --- words ----------------------------------------------------------------------------------


def world(text: str, shops: bytes = b"") -> snapshot.World:
    found = {"topology.toml": text.encode(), "merchants.toml": shops or merchants()}
    return snapshot.build(found, epoch=1)


PLAIN = """
[groups]
two = ["FR", "IT"]
[[nodes]]
number = 1
name = "apac"
url = "http://127.0.0.1:1"
[[nodes]]
number = 2
name = "europe"
url = "http://127.0.0.1:2"
[[rules]]
places = ["IN"]
nodes = ["apac"]
residency = "strict"
[[rules]]
places = ["default"]
nodes = ["europe"]
residency = "free"
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('places = ["IN"]', 'places = ["IN", "PK"]', ["Pakistan (PK) moves from europe to apac."]),
        (
            'places = ["IN"]',
            'places = ["IN", "US-CA"]',
            ["US-CA moves from europe to apac."],
        ),
        ('residency = "strict"', 'residency = "prefer"', ["India (IN): residency strict (apac)"]),
        (
            'url = "http://127.0.0.1:1"',
            'url = "http://127.0.0.1:1"\nstate = "draining"',
            ["from apac to no active node.", "Node 1 apac: state active becomes draining."],
        ),
        (
            "[[rules]]",
            '[[nodes]]\nnumber = 3\nname = "new"\nurl = "http://h:3"\nstate = "joining"\n[[rules]]',
            ["Node 3 new is added (http://h:3, joining)."],
        ),
        ('"FR", "IT"', '"FR", "ES"', ["Group two: +ES, -IT."]),
        ("[groups]", "key_retention_hours = 5\n[groups]", ["Keys are kept 5 hours instead of"]),
        (
            "[groups]",
            '[overrides]\nIN = "DE"\n[groups]',
            ["India (IN) moves from apac to europe.", "Override of IN: none becomes DE."],
        ),
        (
            "[groups]",
            "[thresholds]\nstale_after_ms = 9000\n[groups]",
            ["stale_after_ms 3000 becomes 9000."],
        ),
    ],
)
def test_a_change_is_told_in_words(old: str, new: str, expected: list[str]) -> None:
    told = "\n".join(changes(world(PLAIN), world(PLAIN.replace(old, new, 1))))
    for words in expected:
        assert words in told
    assert changes(world(PLAIN), world(PLAIN)) == []


def test_merchants_and_keys_are_told() -> None:
    before = world(PLAIN, merchants("DE", "a", "b"))
    after = world(
        PLAIN, merchants("FR", "b", "c") + b'\n[[merchants]]\nid = "acct_B"\nname = "B"\n'
    )
    told = changes(before, after)
    assert told == [
        "Merchant acct_B (B) is added.",
        "Merchant acct_a: default_country DE becomes FR.",
        "A test secret key of acct_a (sha256 aaaaaaaaaaaa) is revoked.",
        "A test secret key of acct_a (sha256 cccccccccccc) is added.",
    ]
    assert "Merchant acct_B (B) is removed." in changes(after, before)


def test_policy_that_no_payment_reaches_is_named() -> None:
    rules = """
[[rules]]
places = ["FR", "IT"]
nodes = ["europe"]
residency = "prefer"
[[rules]]
places = ["group:two"]
nodes = ["apac"]
residency = "prefer"
[[rules]]
places = ["US", "US-CA"]
nodes = ["apac"]
residency = "prefer"
[overrides]
US = "DE"
"""
    found = unreachable(topology_file.parse((PLAIN + rules).encode(), epoch=1))
    assert found == [
        "rules[3]: group:two can never match: more specific rules cover all of it",
        "rules[3] can never match at all; remove it",
        "rules[4]: US is overridden to DE, so this rule never sees it",
        "rules[4]: US-CA is overridden to DE, so this rule never sees it",
        "rules[4] can never match at all; remove it",
    ]
    trusting = rules.replace(
        'residency = "prefer"', 'residency = "prefer"\nevidence = "explicit"', 1
    )
    found = unreachable(topology_file.parse((PLAIN + trusting).encode(), epoch=1))
    assert not any("rules[3]" in line for line in found)


RULES = """
[[rules]]
name = "euros"
currencies = ["EUR"]
gateways = ["bank"]

[[rules]]
name = "more-euros"
currencies = ["EUR"]
"""


def test_routing_rules_are_published_compared_and_rolled_back(desk: Desk) -> None:
    file = desk.world / "routing.toml"
    file.write_text(RULES.replace("currencies", "curencies"))
    wrong = desk.call("publish", status=1)
    assert "routing.toml: rules[0].curencies: unknown field; did you mean" in wrong["problems"][0]
    file.write_text(RULES)
    done = desk.call("publish", "--note", "rules")
    assert done["epoch"] == 2 and [line.split(":")[0] for line in done["changes"]] == [
        "Routing rule euros is added", "Routing rule more-euros is added"
    ]  # fmt: skip
    assert any("'more-euros' can never be met" in line for line in done["warnings"])
    assert any("meet no rule" in line for line in done["warnings"])
    checked = desk.call("check", desk.world)
    assert "Rule euros: payments in EUR go to bank, in this order." in checked["summary"]
    assert desk.text("show", 2, "--file", "routing.toml").strip() == RULES.strip()
    found = world_in_force(desk.world)
    assert [rule.name for rule in found.routing.rules] == ["euros", "more-euros"]
    # Before them there were none: the working copy goes, too.
    back = desk.call("rollback", 1)
    assert "Routing rule euros is removed" in back["changes"][0] and not file.exists()
    missing = desk.call("show", 3, "--file", "routing.toml", status=1)
    assert missing["error"] == "epoch 3 has no routing.toml"


def test_a_rule_of_a_merchant_that_is_not_there_is_refused(desk: Desk) -> None:
    (desk.world / "routing.toml").write_text('[[rules]]\nname = "a"\nmerchants = ["acct_sho"]\n')
    wrong = desk.call("publish", status=1)
    assert "no merchant is named 'acct_sho'" in wrong["error"]
