"""The signed chain: what is believed, what descends from what, and what stays on disk."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from chain_kit import (
    HOUR_MS,
    KEY,
    OTHER_KEY,
    START_MS,
    TRUST,
    files,
    link,
    merchants,
    signed_folder,
    topology,
)
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.topology import chain, snapshot
from bailiwick.topology.chain import ChainError, Link, NotOurs
from bailiwick.topology.current import CurrentWorld
from bailiwick.topology.epochs import Epochs, world_in_force
from bailiwick.topology.snapshot import World, WorldError
from bailiwick.topology.succession import next_epoch, without_epoch


def chain_of(count: int) -> list[Link]:
    links: list[Link] = []
    for number in range(count):
        home = ("europe", "apac")[number % 2]
        links.append(link(links[-1] if links else None, home, at_ms=START_MS + number))
    return links


# --- envelopes ------------------------------------------------------------------------------


def test_what_was_sealed_is_read_again() -> None:
    first, second = chain_of(2)
    again = chain.unseal(second.raw, TRUST)
    assert again == second
    assert (again.epoch, again.signed.parent) == (2, first.hash)
    assert again.signed.ancestors == ((1, first.hash),)
    assert again.files == files("apac")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda it: it | {"signed": it["signed"].replace("europe", "eurasia")}, "valid signature"),
        (lambda it: it | {"signature": "AAAA"}, "valid signature"),
        (lambda it: it | {"signature": "no base64"}, "no envelope"),
        (lambda it: it | {"key": "0" * 16}, "trust.json does not list"),
        (lambda it: {"signed": it["signed"]}, "no envelope"),
        (lambda it: it | {"signed": 1}, "no envelope"),
    ],
)
def test_a_changed_envelope_is_refused(
    change: Callable[[dict[str, str]], object], expected: str
) -> None:
    raw = json.dumps(change(json.loads(link(None).raw))).encode()
    with pytest.raises(ChainError, match=expected):
        chain.unseal(raw, TRUST)


@given(st.integers(min_value=0), st.binary(max_size=4))
def test_no_damage_is_believed(place: int, put: bytes) -> None:
    raw = link(None).raw
    cut = place % len(raw)
    damaged = raw[:cut] + put + raw[cut + len(put) + 1 :]
    try:
        found = chain.unseal(damaged, TRUST)
    except ChainError:
        return
    assert found.signed == link(None).signed  # blanks and the like around the same words


def test_another_keys_epoch_may_be_good_but_is_not_ours() -> None:
    with pytest.raises(NotOurs):
        chain.unseal(link(None, key=OTHER_KEY).raw, TRUST)


def test_a_later_versions_format_is_told_from_a_bad_one() -> None:
    signed, _ = next_epoch(None, files(), now_ms=START_MS)
    text = msgspec.json.encode(signed).replace(b"bailiwick.world.1", b"bailiwick.world.2")
    envelope = json.loads(link(None).raw)
    envelope |= {
        "signed": text.decode(),
        "signature": base64.b64encode(KEY.sign(text)).decode(),
    }
    with pytest.raises(NotOurs, match="upgrade"):
        chain.unseal(json.dumps(envelope).encode(), TRUST)


def test_ancestors_must_agree_with_parent_and_epoch() -> None:
    first, second = chain_of(2)
    for wrong in (
        {"parent": "0" * 64},
        {"ancestors": ((2, first.hash),)},
        {"epoch": 0, "ancestors": (), "parent": ""},
        {"ancestors": tuple((n, first.hash) for n in range(1, 300)), "epoch": 300},
    ):
        signed = msgspec.structs.replace(second.signed, **wrong)
        with pytest.raises(ChainError, match="contradict"):
            chain.seal(signed, KEY)


def test_trust_is_read_strictly() -> None:
    good = json.loads(chain.trust_text([(KEY.public_key(), "a"), (OTHER_KEY.public_key(), "b")]))
    assert len(chain.parse_trust(json.dumps(good).encode())) == 2
    good["keys"][0]["id"] = good["keys"][1]["id"]
    with pytest.raises(ChainError, match="the id must be"):
        chain.parse_trust(json.dumps(good).encode())
    for raw in (b"", b"{}", b'{"keys": []}', b'{"keys": [{"id": "x", "public": "!"}]}'):
        with pytest.raises(ChainError, match=r"trust\.json"):
            chain.parse_trust(raw)


# --- descent --------------------------------------------------------------------------------


def test_descent_is_told_from_forks() -> None:
    one, two, three = chain_of(3)
    fork = link(one, "europe", "FR")
    after_fork = link(fork)
    assert chain.judge(None, three) == "new"
    assert chain.judge(one, three) == "new"
    assert chain.judge(three, three) == "same"
    assert chain.judge(three, one) == "older"
    assert chain.judge(two, fork) == "fork"
    assert chain.judge(two, after_fork) == "fork"
    assert chain.judge(three, fork) == "fork"
    assert "does not descend" in chain.why_not("fork", two, after_fork)


def test_a_long_absence_is_a_gap_and_not_a_fork() -> None:
    signed, _ = next_epoch(None, files(), now_ms=START_MS)
    first = last = chain.seal(signed, KEY)
    for _ in range(chain.MOST_ANCESTORS + 1):
        last = chain.seal(chain.successor(last, files(), now_ms=START_MS), KEY)
    assert chain.judge(first, last) == "gap"
    assert chain.judge(last, first) == "older"
    assert len(last.signed.ancestors) == chain.MOST_ANCESTORS


# --- succession -----------------------------------------------------------------------------


def test_a_superseded_topology_goes_along_for_the_retention_of_keys() -> None:
    one = link(None)
    two = link(one, "apac", at_ms=START_MS + HOUR_MS)
    (earlier,) = snapshot.of_link(two).earlier
    assert (earlier.epoch, earlier.superseded_ms) == (1, START_MS + HOUR_MS)
    assert earlier.topology.rules[0].nodes[0].name == "europe"
    three = link(two, "apac", "DE", "a", "b", at_ms=START_MS + 2 * HOUR_MS)
    assert [each.epoch for each in three.signed.earlier] == [1]  # epoch 3 moved nothing
    late = link(three, "apac", "DE", "b", at_ms=START_MS + 74 * HOUR_MS)
    assert late.signed.earlier == ()


def test_what_came_back_is_no_earlier_one() -> None:
    one = link(None)
    two = link(one, "apac", at_ms=START_MS + 1)
    back = link(two, "europe", at_ms=START_MS + 2)
    assert [each.epoch for each in back.signed.earlier] == [2]


def test_defaults_of_merchants_that_changed_go_along() -> None:
    one = link(None, "europe", "DE")
    two = link(one, "europe", "FR", at_ms=START_MS + 1)
    three = link(two, "apac", "FR", at_ms=START_MS + 2)
    found = [(each.epoch, each.defaults) for each in three.signed.earlier]
    assert found == [(2, {}), (1, {"acct_a": "DE"})]
    four = link(three, "apac", "IN", at_ms=START_MS + 3)
    found = [(each.epoch, each.defaults) for each in four.signed.earlier]
    assert found == [(3, {"acct_a": "FR"}), (2, {"acct_a": "FR"}), (1, {"acct_a": "DE"})]


def test_a_publishers_slow_clock_makes_no_older_epoch() -> None:
    one = link(None, at_ms=START_MS)
    two = link(one, "apac", at_ms=START_MS - HOUR_MS)
    assert two.signed.issued_ms == START_MS
    assert two.signed.earlier[0].superseded_ms == START_MS


def test_the_chain_counts_and_a_file_must_not_contradict_it() -> None:
    said = files() | {"topology.toml": topology(more="epoch = 1")}
    assert next_epoch(None, said, now_ms=0)[1].epoch == 1
    with pytest.raises(WorldError, match="says 1, but this is epoch 2"):
        next_epoch(link(None), said, now_ms=0)
    bare = without_epoch(b'# a\nepoch = 7 # was\ngeo = ""\n[groups]\nepoch = 8\n')
    assert bare == b'# a\ngeo = ""\n[groups]\nepoch = 8\n'


# --- on disk --------------------------------------------------------------------------------


def test_the_highest_of_the_chain_is_used_whatever_else_lies_there(tmp_path: Path) -> None:
    one, two, three = chain_of(3)
    epochs = signed_folder(tmp_path, one, two, three)
    epochs.path(4).write_bytes(three.raw)  # holds another epoch
    epochs.path(5).write_bytes(link(link(two), "apac", "IN").raw[:100])  # torn
    epochs.path(6).write_bytes(b"")
    found = epochs.head()
    assert found.link == three
    assert len(found.problems) == 3
    assert world_in_force(tmp_path).epoch == 3


def test_a_fork_on_disk_is_passed_over(tmp_path: Path) -> None:
    one, two = chain_of(2)
    fork = link(link(one, "europe", "FR"), "apac", "FR")
    epochs = signed_folder(tmp_path, one, two, fork)
    found = epochs.head()
    assert found.link == two
    assert "fork" in found.problems[0]


def test_an_epoch_is_stored_once(tmp_path: Path) -> None:
    one, two = chain_of(2)
    epochs = signed_folder(tmp_path, one, two)
    epochs.store(two)
    with pytest.raises(ChainError, match="fork"):
        epochs.store(link(one, "europe", "FR"))
    assert epochs.head().link == two
    epochs.path(2).write_bytes(b"rubbish")
    epochs.store(two)
    assert epochs.head().link == two
    assert [path.name for path in epochs.folder.iterdir() if path.suffix == ".bad"]
    assert not list(epochs.folder.glob(".*"))


def test_without_trust_nothing_is_used(tmp_path: Path) -> None:
    signed_folder(tmp_path, link(None))
    (tmp_path / "trust.json").unlink()
    with pytest.raises(WorldError, match=r"trust\.json"):
        CurrentWorld(tmp_path)


# --- in a process ---------------------------------------------------------------------------


async def test_an_offer_is_kept_and_used(tmp_path: Path) -> None:
    one, two, three = chain_of(3)
    signed_folder(tmp_path, one)
    current = CurrentWorld(tmp_path)
    heard: list[int] = []
    current.on_change(lambda world: heard.append(world.epoch))
    assert await current.offer(three.raw) is None
    assert await current.offer(three.raw) is None
    assert heard == [3]
    assert Epochs(tmp_path).numbers() == [1, 3]
    assert CurrentWorld(tmp_path).world.epoch == 3
    assert "lower than 3" in (await current.offer(two.raw) or "")
    assert current.problem is None  # a broker that is behind is no problem
    fork = link(one, "apac", "FR")
    after = link(link(link(fork)), "europe", "FR")
    for forked in (link(link(fork)), after):
        assert "fork" in (await current.offer(forked.raw) or "")
    assert "fork" in (current.problem or "")
    assert "no envelope" in (await current.offer(b"rubbish") or "")
    assert "does not list" in (await current.offer(link(three, key=OTHER_KEY).raw) or "")
    assert current.refused == {"older": 1, "fork": 2, "garbage": 1, "foreign": 1}
    assert current.world.epoch == 3
    assert await current.offer(link(three, "apac").raw) is None
    assert current.problem is None


async def test_an_offer_that_cannot_be_used_or_kept_is_refused(tmp_path: Path) -> None:
    one, two, three = chain_of(3)
    epochs = signed_folder(tmp_path, one)

    def accept(world: World) -> str | None:
        return "not for us" if world.epoch == 2 else None

    current = CurrentWorld(tmp_path, accept)
    assert await current.offer(two.raw) == "not for us"
    assert epochs.numbers() == [1]
    epochs.folder.rename(tmp_path / "away")
    (tmp_path / "epochs").write_text("a file where a folder should be")
    assert "cannot be kept" in (await current.offer(three.raw) or "")
    assert current.world.epoch == 1


async def test_a_new_file_is_found_and_a_lost_one_written_again(tmp_path: Path) -> None:
    one, two, three = chain_of(3)
    epochs = signed_folder(tmp_path, one)
    current = CurrentWorld(tmp_path)
    epochs.store(two)
    epochs.path(3).write_bytes(b"torn")
    assert await current.check()
    assert current.world.epoch == 2
    assert not await current.check()
    assert "000000000003" in (current.problem or "")
    epochs.store(three)
    assert await current.check()
    assert (current.world.epoch, current.problem) == (3, None)
    epochs.path(3).unlink()
    assert not await current.check(force=True)
    assert epochs.head().link == three
    assert not await current.check(force=True)


async def test_plain_files_become_a_chain_without_a_restart(tmp_path: Path) -> None:
    plain = {"topology.toml": topology(more="epoch = 4"), "merchants.toml": merchants()}
    for name, raw in plain.items():
        (tmp_path / name).write_bytes(raw)
    current = CurrentWorld(tmp_path)
    assert "plain files" in (await current.offer(link(None).raw) or "")
    signed, _ = next_epoch(None, files(), now_ms=START_MS, first=4)
    first = chain.seal(signed, KEY)
    signed_folder(tmp_path, first)
    await current.check(force=True)
    assert current.link == first
    assert await current.offer(link(first, "apac").raw) is None
    assert current.world.epoch == 5


async def test_many_processes_store_at_once(tmp_path: Path) -> None:
    one, two = chain_of(2)
    signed_folder(tmp_path, one)
    processes = [CurrentWorld(tmp_path) for _ in range(8)]
    answers = await asyncio.gather(*(each.offer(two.raw) for each in processes))
    assert set(answers) == {None}
    assert {each.world.epoch for each in processes} == {2}


def test_freshness_without_a_broker_is_that_of_the_files(tmp_path: Path) -> None:
    signed_folder(tmp_path, link(None))
    found = CurrentWorld(tmp_path).freshness()
    assert (found.epoch, found.connected, found.stale_s) == (1, None, 0.0)
