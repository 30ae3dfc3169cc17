"""``bailiwick keys``: keys made, rolled and revoked, each as an epoch that a person can read."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from chain_kit import files
from click.testing import CliRunner

from bailiwick.cli.keys import command
from bailiwick.cli.topology import command as topology_command
from bailiwick.control.toml_edit import EditError, key_added, key_removed, key_set
from bailiwick.topology.epochs import world_in_force
from bailiwick.topology.merchants import Principal, key_hash

TWO = """# who takes payments
[[merchants]]
id = "acct_a"          # the first
name = "A"

[[merchants.keys]]
sha256 = "{a}"   # of the shop
kind = "secret"
mode = "test"

# the second
[[merchants]]
id = "acct_b"
name = "B"
""".replace("{a}", "a" * 64)


class Desk:
    """A folder of the world, and the command."""

    def __init__(self, folder: Path) -> None:
        self.world = folder / "world"
        self.world.mkdir()
        self.key = folder / "world.key"
        for name, raw in files().items():
            (self.world / name).write_bytes(raw)
        (self.world / "merchants.toml").write_text(TWO)
        self.topology("keygen", self.key)
        self.topology("init", "--key", self.key, "--world", self.world)

    def topology(self, *words: object) -> None:
        done = CliRunner().invoke(topology_command, [str(word) for word in words])
        assert done.exit_code == 0, done.output

    def run(self, *words: object, status: int = 0, more: tuple[str, ...] = ()) -> str:
        said = [str(word) for word in words] + ["--world", str(self.world), *more]
        if words[0] != "list":
            said += ["--key", str(self.key)]
        done = CliRunner().invoke(command, said, env={"BAILIWICK_NATS": ""})
        assert done.exit_code == status, done.output
        return done.output

    def call(self, *words: object, status: int = 0) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run(*words, status=status, more=("--json",)))
        return answer

    def who(self, key: str) -> Principal | None:
        return world_in_force(self.world).merchants.by_key(key)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_key_is_made_shown_once_and_found_by_its_hash(desk: Desk) -> None:
    made = desk.call("make", "acct_b", "--kind", "secret", "--mode", "live")
    key = made["secret"]
    assert key.startswith("sk_live_") and len(key) == 56
    who = desk.who(key)
    assert who is not None
    assert (who.merchant.id, who.kind, who.livemode, who.grants) == ("acct_b", "secret", True, None)
    assert who.last4 == key[-4:]
    everything = "".join(each.read_text() for each in desk.world.rglob("*") if each.is_file())
    assert key not in everything and key_hash(key) in everything
    assert made["changes"] == [f"A live secret key of acct_b (...{key[-4:]}) is added."]
    text = (desk.world / "merchants.toml").read_text()
    assert text.startswith(TWO.rstrip()), "what a person wrote stays as it was"
    listed = desk.call("list", "--merchant", "acct_b")["keys"]
    assert [each["sha256"] for each in listed] == [key_hash(key)]


def test_a_restricted_key_says_what_it_may_do(desk: Desk) -> None:
    made = desk.call(
        "make", "acct_a", "--kind", "restricted", "--mode", "test",
        "--allow", "payment_intent=read", "--allow", "refund=write", "--expires-in", "30d",
    )  # fmt: skip
    assert made["secret"].startswith("rk_test_")
    who = desk.who(made["secret"])
    assert who is not None and who.grants == {"payment_intent": "read", "refund": "write"}
    assert who.expires_ms > 0
    assert "that may payment_intent=read, refund=write, until 2" in made["changes"][0]
    assert "payment_intent=read, refund=write  until 2" in desk.run("list")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--kind", "restricted"), "--allow goes with --kind restricted"),
        (("--kind", "secret", "--allow", "refund=read"), "--allow goes with"),
        (("--kind", "restricted", "--allow", "refunds=read"), "did you mean 'refund'?"),
        (("--kind", "restricted", "--allow", "refund=all"), "write refund=read or refund=write"),
        (("--kind", "restricted", "--allow", "refund"), "write refund=read or refund=write"),
        (("--kind", "secret", "--expires-in", "soon"), "write a span such as"),
        (("--kind", "secret", "--expires-in", "99999d"), "3650d at most"),
    ],
)
def test_what_cannot_be_meant_is_refused(desk: Desk, words: tuple[str, ...], problem: str) -> None:
    before = desk.call("list")
    answer = desk.call("make", "acct_a", "--mode", "test", *words, status=1)
    assert problem in answer["error"]
    assert desk.call("list") == before


def test_a_merchant_that_is_none_gets_no_key(desk: Desk) -> None:
    answer = desk.call("make", "acct_c", "--kind", "secret", "--mode", "test", status=1)
    assert "no merchant acct_c" in answer["error"]


def test_a_rolled_key_goes_on_for_its_overlap_alone(desk: Desk) -> None:
    first = desk.call(
        "make", "acct_b", "--kind", "restricted", "--mode", "test", "--allow", "refund=write"
    )["secret"]
    rolled = desk.call("roll", first[-4:], "--merchant", "acct_b", "--overlap", "24h")
    old, new = desk.who(first), desk.who(rolled["secret"])
    assert old is not None and new is not None
    assert (new.grants, new.livemode, new.expires_ms) == ({"refund": "write"}, False, 0)
    assert old.expires_ms > 0
    again = desk.call("roll", first, "--overlap", "24h", status=1)
    assert "has an end already" in again["error"]
    at_once = desk.call("roll", rolled["secret"])
    assert desk.who(rolled["secret"]) is None and desk.who(at_once["secret"]) is not None
    assert "7d at most" in desk.call("roll", "aaaa", "--overlap", "8d", status=1)["error"]


def test_a_revoked_key_is_gone_from_the_next_epoch(desk: Desk) -> None:
    answer = desk.call("revoke", "a" * 12)
    assert answer["revoked"] == "a" * 64
    assert answer["changes"] == ["A test secret key of acct_a (sha256 aaaaaaaaaaaa) is revoked."]
    assert world_in_force(desk.world).merchants.by_hash == {}
    assert "no key" in desk.call("revoke", "a" * 12, status=1)["error"]
    assert "# the second\n[[merchants]]" in (desk.world / "merchants.toml").read_text()


def test_an_unclear_mark_names_the_keys_it_could_be(desk: Desk) -> None:
    assert "last four" in desk.call("revoke", "aa", status=1)["error"]
    assert (
        "no key of acct_b"
        in desk.call("revoke", "a" * 9, "--merchant", "acct_b", status=1)["error"]
    )
    text = (desk.world / "merchants.toml").read_text()
    for sha in ("b" * 64, "c" * 64):
        key = {"sha256": sha, "kind": "secret", "mode": "test", "last4": "same"}
        text = key_added(text, "acct_b", key)
    (desk.world / "merchants.toml").write_text(text)
    desk.topology("publish", "--world", desk.world, "--key", desk.key)
    assert "bbbbbbbbbbbb, cccccccccccc" in desk.call("revoke", "same", status=1)["error"]


def test_changes_that_were_not_published_stay_and_are_told_of(desk: Desk) -> None:
    file = desk.world / "merchants.toml"
    file.write_text(file.read_text().replace('name = "B"', 'name = "Bee"'))
    mine = file.read_text()
    made = desk.call("make", "acct_a", "--kind", "secret", "--mode", "test")
    assert file.read_text() == mine
    assert desk.who(made["secret"]) is not None
    assert world_in_force(desk.world).merchants.by_id["acct_b"].name == "B"


def test_a_permission_for_nothing_is_told(desk: Desk) -> None:
    file = desk.world / "merchants.toml"
    key = {"sha256": "b" * 64, "kind": "restricted", "mode": "test", "last4": "bbbb"}
    file.write_text(
        key_added(file.read_text(), "acct_b", {**key, "permissions": {"refunds": "read"}})
    )
    done = CliRunner().invoke(topology_command, ["check", str(desk.world)])
    line = "the key ...bbbb of acct_b is permitted 'refunds', which is no resource"
    assert line in done.output
    words = ["publish", "--world", str(desk.world), "--key", str(desk.key)]
    assert line in CliRunner().invoke(topology_command, words, env={"BAILIWICK_NATS": ""}).output


def test_edits_leave_the_rest_as_it_was() -> None:
    key = {"sha256": "b" * 64, "kind": "restricted", "permissions": {"refund": "read"}}
    made = key_added(TWO, "acct_a", key)
    assert "# the second" in made and "# of the shop" in made
    found = tomllib.loads(made)["merchants"]
    assert [len(each.get("keys", [])) for each in found] == [2, 0]
    assert found[0]["keys"][1] == key
    assert tomllib.loads(key_removed(made, "b" * 64)) == tomllib.loads(TWO)
    ended = key_set(made, "a" * 64, expires_at=5)
    assert "# of the shop" in ended
    assert tomllib.loads(ended)["merchants"][0]["keys"][0]["expires_at"] == 5


def test_what_is_written_otherwise_is_left_to_a_person() -> None:
    inline = 'merchants = [{id = "acct_a", name = "A", keys = [{sha256 = "x"}]}]\n'
    with pytest.raises(EditError, match=r"\[\[merchants\]\] table"):
        key_added(inline, "acct_a", {"sha256": "y"})
    with pytest.raises(EditError, match="by hand"):
        key_removed(inline, "x")
