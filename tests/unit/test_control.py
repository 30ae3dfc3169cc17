"""An operator's plans: what they say beforehand, what each step changes, and that they resume."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from control_kit import TOPOLOGY, Desk, desk

from bailiwick.cli.node import command
from bailiwick.control import database, fencing, fleet, joining, moving, serving, site, status
from bailiwick.control.database import Open, Standby, StandbyView
from bailiwick.control.joining import Joining
from bailiwick.control.plans import ControlError, Plan, carry_out
from bailiwick.control.status import NodeStatus, proposals
from bailiwick.orders import executor as settle
from bailiwick.store.database import Fence
from bailiwick.topology.epochs import Epochs
from tests.waiting import PATIENCE_S


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Permits run out at once, and nobody is waited for."""
    monkeypatch.setattr(fencing, "PERMIT_S", 0.0)
    monkeypatch.setattr(moving, "PERMIT_S", 0.0)
    monkeypatch.setattr(site, "POLL_S", 0.001)


@pytest.fixture
def it(tmp_path: Path) -> Desk:
    return desk(tmp_path)


def epochs(it: Desk) -> list[int]:
    return Epochs(it.fleet.world).numbers()


def said(plan: Plan) -> str:
    return "\n".join(plan.preview.lines())


def test_an_operator_waits_as_long_as_permits_last() -> None:
    assert database.PERMIT_S * 1e9 == settle.PERMIT_NS


# --- drain ------------------------------------------------------------------------------------


async def test_a_plan_changes_nothing(it: Desk) -> None:
    plan = await serving.drain(it, "europe")
    assert "epoch 2: node europe: state = draining" in said(plan)
    assert "europe -> apac: 2 places (DE, FR)" in said(plan)
    assert epochs(it) == [1]


async def test_drain_and_back(it: Desk) -> None:
    it.books["b2"].remaining = (1, 0, 3, 0, 2, 0)
    it.books["b2"].open = [("refund", "pending", 4)]
    done = await carry_out(await serving.drain(it, "europe"))
    assert it.seen("europe").state == "draining"
    assert done.facts["epoch"] == 2
    assert done.facts["open"] == 4
    assert "3 payments hold money" in str(done.facts["remaining"])
    text = (it.fleet.world / "topology.toml").read_text()
    assert text.startswith("# by hand"), "the working copy follows, as it was written"
    again = await carry_out(await serving.drain(it, "europe"))
    assert again.facts["epoch"] == 2, "what is done already publishes nothing"
    it.books["b2"].draining = True
    await carry_out(await serving.undrain(it, "europe"))
    assert it.seen("europe").state == "active"
    assert not it.books["b2"].draining
    assert epochs(it) == [1, 2, 3]


async def test_a_wait_is_bounded_and_the_plan_goes_on_later(it: Desk) -> None:
    it.books["b2"].open = [("charge", "unknown", 1), ("charge", "permitted", 2)]
    with pytest.raises(ControlError, match="3 under way"):
        await carry_out(await serving.drain(it, "europe", wait_s=0.01))
    it.books["b2"].open = []
    done = await carry_out(await serving.drain(it, "europe"))
    assert epochs(it) == [1, 2]
    assert done.facts["remaining"] == []


async def test_a_process_that_is_behind_is_waited_for(it: Desk) -> None:
    it.at["europe"] = 1
    with pytest.raises(ControlError, match="It is at epoch 1"):
        await carry_out(await serving.drain(it, "europe", wait_s=0.01))


async def test_a_strict_place_without_another_node_is_told(it: Desk) -> None:
    plan = await serving.drain(it, "apac")
    assert "apac -> nobody: 1 places are refused (503) (IN)" in said(plan)


async def test_drain_by_the_database_alone(it: Desk) -> None:
    plan = await serving.drain_local(it, "europe")
    await carry_out(plan)
    assert "no epoch" in said(plan)
    assert it.books["b2"].draining
    assert epochs(it) == [1]
    await carry_out(await serving.drain_local(it, "europe", draining=False))
    assert not it.books["b2"].draining


async def test_somebody_else_s_epoch_is_not_overwritten(it: Desk) -> None:
    plan = await serving.drain(it, "europe")
    await carry_out(await serving.drain(it, "apac"))
    await carry_out(plan)
    assert (it.seen("apac").state, it.seen("europe").state) == ("draining", "draining")


async def test_work_that_was_not_published_stays(it: Desk) -> None:
    file = it.fleet.world / "topology.toml"
    file.write_text(TOPOLOGY + "# not yet\n")
    await carry_out(await serving.drain(it, "europe"))
    assert file.read_text().endswith("# not yet\n")


# --- fence ------------------------------------------------------------------------------------


async def test_a_fence_is_a_row_and_no_epoch(it: Desk) -> None:
    done = await carry_out(await fencing.fence(it, "europe"))
    assert it.books["b2"].row == (2, 1, True, False)
    assert epochs(it) == [1]
    assert done.facts["promoted"] is False
    await carry_out(await fencing.fence(it, "europe"))


async def test_a_primary_that_is_lost(it: Desk) -> None:
    it.books["b2"].answers = False
    with pytest.raises(ControlError, match="--promote"):
        await carry_out(await fencing.fence(it, "europe"))
    plan = await fencing.fence(it, "europe", promote=True)
    assert "new standby" in said(plan)
    done = await carry_out(plan)
    assert done.facts["promoted"] is True
    assert it.books["b2s"].row == (2, 1, True, False)
    await carry_out(await fencing.fence(it, "europe", promote=True))  # promoted already


async def test_a_primary_that_answers_is_fenced_and_nothing_promoted(it: Desk) -> None:
    done = await carry_out(await fencing.fence(it, "europe", promote=True))
    assert done.facts["promoted"] is False
    assert it.books["b2s"].follows


async def test_without_a_standby_there_is_none_to_promote(it: Desk) -> None:
    with pytest.raises(ControlError, match="standby_dsn"):
        await fencing.fence(it, "apac", promote=True)


async def test_another_node_s_database_is_noticed(it: Desk) -> None:
    it.books["b2"].number = 7
    with pytest.raises(ControlError, match="node 7, not of 2"):
        await carry_out(await fencing.fence(it, "europe"))


# --- adopt, evacuate, return ------------------------------------------------------------------


async def test_adopt(it: Desk, tmp_path: Path) -> None:
    it.books["b2"].answers = False
    await carry_out(await fencing.fence(it, "europe", promote=True))
    out = tmp_path / "new" / "node.toml"
    options: dict[str, Any] = {"dsn": "b2s", "url": "http://127.0.0.1:9/", "config_out": out}
    plan = await moving.adopt(it, "europe", **options, listen="0.0.0.0:9")
    assert plan.confirm == "europe"
    await carry_out(plan)
    assert (it.seen("europe").url, it.seen("europe").state) == ("http://127.0.0.1:9", "active")
    assert it.books["b2s"].row == (2, 2, False, False)
    made = out.read_text()
    assert out.stat().st_mode & 0o777 == 0o600
    for line in (
        'dsn = "b2s"',
        'url = "http://127.0.0.1:9"',
        'listen = "0.0.0.0:9"',
        "[[gateways]]",
    ):
        assert line in made
    assert 'public_url = "http://127.0.0.1:9"' in made
    await carry_out(await moving.adopt(it, "europe", **options))
    assert epochs(it) == [1, 2]


async def test_adopt_goes_on_where_it_was_cut_off(it: Desk) -> None:
    await carry_out(await fencing.fence(it, "europe"))
    plan = await moving.adopt(it, "europe", dsn="b2", url="http://127.0.0.1:9")
    await plan.steps[1].run(print)
    await carry_out(await serving.drain(it, "apac"))  # meanwhile
    await carry_out(await moving.adopt(it, "europe", dsn="b2", url="http://127.0.0.1:9"))
    assert it.books["b2"].row == (2, 3, False, False)


async def test_only_a_fenced_database_is_adopted(it: Desk) -> None:
    with pytest.raises(ControlError, match="not fenced"):
        await carry_out(await moving.adopt(it, "europe", dsn="b2", url="http://127.0.0.1:9"))
    with pytest.raises(ControlError, match="standby"):
        await carry_out(await moving.adopt(it, "europe", dsn="b2s", url="http://127.0.0.1:9"))
    assert epochs(it) == [1]


async def test_what_an_adoption_left_behind_is_never_run_again(it: Desk) -> None:
    it.books["b2"].answers = False
    await carry_out(await fencing.fence(it, "europe", promote=True))
    await carry_out(await moving.adopt(it, "europe", dsn="b2s", url="http://127.0.0.1:9"))
    it.books["b2"].answers = True  # the old primary comes back, and the fleet file is old too
    with pytest.raises(ControlError, match="left behind"):
        await carry_out(await moving.come_back(it, "europe"))
    it.books["b2"].fenced = True
    with pytest.raises(ControlError, match="left behind"):
        await carry_out(await moving.adopt(it, "europe", dsn="b2", url="http://127.0.0.1:10"))
    assert epochs(it) == [1, 2]


async def test_evacuate_and_return(it: Desk) -> None:
    with pytest.raises(ControlError, match="not fenced"):
        await carry_out(await moving.evacuate(it, "europe"))
    await carry_out(await fencing.fence(it, "europe"))
    plan = await moving.evacuate(it, "europe")
    assert "refused for 1 merchants (409) and taken for 1" in said(plan)
    await carry_out(plan)
    assert it.seen("europe").state == "evacuated"
    with pytest.raises(ControlError, match="node return"):
        await serving.undrain(it, "europe")
    await carry_out(await moving.come_back(it, "europe"))
    assert it.seen("europe").state == "active"
    assert it.books["b2"].row == (2, 3, False, False), "open from the draining epoch on"
    notes = [Epochs(it.fleet.world).read(n, Epochs(it.fleet.world).trust()).signed.note
             for n in epochs(it)]  # fmt: skip
    assert notes == ["first", "node evacuate europe", "node return europe", "node return europe"]


async def test_a_zombie_is_fenced_before_it_returns(it: Desk) -> None:
    it.books["b2"].answers = False
    await carry_out(await moving.evacuate(it, "europe", unreachable=True))
    it.books["b2"].answers = True  # it never heard of that
    plan = await moving.come_back(it, "europe")
    await plan.steps[0].run(print)
    assert it.books["b2"].row == (2, 2, True, False)
    it.books["b2"].open = [("charge", "unknown", 1)]
    with pytest.raises(ControlError, match="1 under way"):
        await carry_out(await moving.come_back(it, "europe", wait_s=0.01))
    assert it.seen("europe").state == "draining", "until the resolver has ended what was open"
    it.books["b2"].open = []
    await carry_out(await moving.come_back(it, "europe"))
    assert it.seen("europe").state == "active"


async def test_a_node_that_serves_has_nothing_to_return_from(it: Desk) -> None:
    with pytest.raises(ControlError, match="it serves"):
        await carry_out(await moving.come_back(it, "europe"))
    assert epochs(it) == [1]


# --- join and remove --------------------------------------------------------------------------


def africa(it: Desk, rules: str = "") -> Joining:
    node = '\n[[nodes]]\nnumber = 3\nname = "africa"\nurl = "http://127.0.0.1:3"\n'
    rules = (
        rules or '\n[[rules]]\nplaces = ["KE"]\nnodes = ["africa", "apac"]\nresidency = "free"\n'
    )
    return Joining(
        "africa", 3, "http://127.0.0.1:3", lambda _: TOPOLOGY + node + rules, lambda: "b3"
    )


async def joined(it: Desk, monkeypatch: pytest.MonkeyPatch) -> Plan:
    async def claimed(connection: Any, new: Joining) -> str:
        return "empty"

    monkeypatch.setattr(joining, "_claimed", claimed)
    return await joining.join(it, africa(it), prove=False, wait_s=PATIENCE_S)


async def test_join(it: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    it.books["b1"].endpoints = [("we_1", 1, "{}"), ("we_2", 1, "{}")]
    plan = await joined(it, monkeypatch)
    assert "apac -> africa: 1 places (KE)" in said(plan)
    done = await carry_out(plan)
    assert it.seen("africa").state == "active"
    assert epochs(it) == [1, 2, 3]
    assert it.books["b3"].endpoints == it.books["b1"].endpoints
    assert done.facts["announced"] == 2
    with pytest.raises(ControlError, match="active already"):
        await joined(it, monkeypatch)


async def test_a_join_takes_nothing_before_it_has_proven_itself(
    it: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> Any:
        raise ControlError("the canary did not survive")

    monkeypatch.setattr(joining, "sing", fails)
    plan = await joined(it, monkeypatch)
    plan = await joining.join(it, africa(it), wait_s=PATIENCE_S)
    with pytest.raises(ControlError, match="canary"):
        await carry_out(plan)
    assert it.seen("africa").state == "joining"
    again = await joined(it, monkeypatch)
    await carry_out(again)
    assert it.seen("africa").state == "active"
    assert epochs(it) == [1, 2, 3]


async def test_a_join_needs_the_node_in_the_topology(it: Desk) -> None:
    new = msgspec.structs.replace(africa(it), number=4)
    with pytest.raises(ControlError, match="number 4"):
        await joining.join(it, new)


async def test_remove(it: Desk) -> None:
    with pytest.raises(ControlError, match="drain it first"):
        await serving.remove(it, "europe")
    await carry_out(await serving.drain(it, "europe"))
    plan = await serving.remove(it, "europe")
    assert "can no longer be reached" in said(plan)
    assert "keys claimed there may still be repeated" in said(plan)
    it.books["b2"].remaining = (0, 0, 1, 0, 0, 0)
    with pytest.raises(ControlError, match="hold money"):
        await carry_out(plan)
    it.books["b2"].remaining = (5, 0, 0, 0, 0, 1)
    done = await carry_out(plan)
    assert it.world().topology.node_named("europe") is None
    assert done.facts["epoch"] == 3


async def test_the_last_node_of_a_place_is_not_removed(it: Desk) -> None:
    await carry_out(await serving.drain(it, "apac"))
    with pytest.raises(ControlError):
        await serving.remove(it, "apac")


# --- status and proposals ---------------------------------------------------------------------


async def test_status_of_a_sound_fleet(it: Desk) -> None:
    found = await status.status(it)
    assert (found.epoch, found.proposals) == (1, [])
    assert [node.problems for node in found.nodes] == [[], []]


def seen(**values: Any) -> NodeStatus:
    sound = {"epoch": 3, "fence": Fence(2, 1, False, False), "open": Open()}
    known = {"name": "europe", "number": 2, "state": "active", "url": "http://x"}
    return NodeStatus(**{**known, **sound, **values})


LOST = {"epoch": None, "fence": None, "open": None}


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (seen(), []),
        (seen(**LOST, silent_s=3.0), []),
        (seen(**LOST, silent_s=14.0), ["14 s", "evacuate europe --unreachable"]),
        (
            seen(**LOST, silent_s=14.0, standby=StandbyView(True, 0, None, None)),
            ["node fence europe --promote", "node adopt europe"],
        ),
        (seen(epoch=None, silent_s=14.0), ["start its process again"]),
        (seen(fence=None, open=None), ["does not answer"]),
        (seen(fence=Fence(2, 1, True, False)), ["return europe", "adopt", "evacuate"]),
        (seen(state="evacuated", epoch=None, fence=None), []),
        (seen(state="evacuated"), ["node return europe"]),
        (seen(state="draining"), ["remove europe", "--undo"]),
        (seen(state="draining", open=Open(1)), []),
        (seen(fence=Fence(2, 1, False, True)), ["--local --undo"]),
        (seen(standbys=[Standby("a", "streaming", "sync", 64 << 20)]), ["64 MB behind"]),
        (seen(standbys=[Standby("a", None, None, None)]), []),
    ],
)
def test_proposals(node: NodeStatus, words: list[str]) -> None:
    found = proposals(node)
    assert len(found) == bool(words)
    for word in words:
        assert word in found[0]


# --- the fleet file, and the command ----------------------------------------------------------


def fleet_file(folder: Path, nodes: str) -> Path:
    (folder / "internal").write_text("x" * 32)
    file = folder / "fleet.toml"
    file.write_text(
        'world = "world"\nworld_key = "secrets/world.key"\n'
        f'internal_secret_file = "internal"\n{nodes}'
    )
    return file


def test_a_fleet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EUROPE", "postgresql://e")
    found = fleet.load(
        fleet_file(tmp_path, '[[nodes]]\nname = "europe"\ndsn = "env:EUROPE"\nconfig = "e.toml"\n')
    )
    assert found.node("europe").dsn == "postgresql://e"
    assert found.node("europe").config == str(tmp_path / "e.toml")
    assert found.world == tmp_path / "world"
    with pytest.raises(ControlError, match="no node 'apac'; known: europe"):
        found.node("apac")


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ('[[nodes]]\nname = "a"\n', "dsn"),
        ('[[nodes]]\nname = "a"\ndsn = "env:NOBODY_SET_THIS"\n', "NOBODY_SET_THIS"),
        ('[[nodes]]\nname = "a"\ndsn = "x"\n[[nodes]]\nname = "a"\ndsn = "y"\n', "used twice"),
    ],
)
def test_a_fleet_file_that_is_wrong(tmp_path: Path, nodes: str, words: str) -> None:
    with pytest.raises(ControlError, match=words):
        fleet.load(fleet_file(tmp_path, nodes))


def call(folder: Path, *arguments: str, status: int = 0, typed: str = "") -> str:
    words = [arguments[0], *arguments[1:], "--fleet", str(folder / "fleet.toml")]
    done = CliRunner().invoke(command, words, input=typed, env={"BAILIWICK_NATS": ""})
    assert done.exit_code == status, done.output
    return done.output


def test_the_command_asks_first(tmp_path: Path) -> None:
    it = desk(tmp_path)
    fleet_file(tmp_path, '[[nodes]]\nname = "europe"\ndsn = "postgresql://127.0.0.1:1/x"\n')
    assert "epoch 2: node europe" in call(tmp_path, "drain", "europe", "--preview")
    assert "nothing was changed" in call(tmp_path, "drain", "europe", status=1, typed="n\n")
    assert epochs(it) == [1]
    told = call(tmp_path, "drain", "europe", "--yes", "--json", "--wait", "0", status=1)
    assert "not within 0 s" in json.loads(told.splitlines()[-1])["error"]
    assert epochs(it) == [1, 2], "what was done stays done, and the command may be repeated"
    for words in (["--yes"], ["--yes", "--json"]):
        refused = call(tmp_path, "evacuate", "europe", "--unreachable", *words, status=1)
        assert "--host-stopped" in refused
    wrong = call(tmp_path, "evacuate", "europe", "--unreachable", status=1, typed="apac\n")
    assert "its old host is stopped" in wrong
    call(tmp_path, "evacuate", "europe", "--unreachable", typed="europe\n")
    assert it.seen("europe").state == "evacuated"


def test_a_node_still_runs_by_its_settings_alone(tmp_path: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(command, ["--config", str(tmp_path / "none.toml"), "--check"])
    assert done.exit_code == 1
    assert "none.toml" in done.output
    assert "--config" in runner.invoke(command, []).output
    listed = runner.invoke(command, ["--help"]).output
    for name in ("drain", "fence", "adopt", "evacuate", "return", "join", "remove", "status"):
        assert name in listed
        assert runner.invoke(command, [name, "--help"]).exit_code == 0
