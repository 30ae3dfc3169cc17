"""The keys that a process goes by lie where it cannot write: whoever has its world's folder may
replace everything there, and is not believed."""

import subprocess
import sys
from pathlib import Path

import pytest
from broker_kit import Server
from chain_kit import KEY, OTHER_KEY, START_MS, files, link, merchants, signed_folder, topology
from click.testing import CliRunner

from bailiwick.bus.client import Bus
from bailiwick.cli.main import bailiwick
from bailiwick.node import config as node_config
from bailiwick.runtime.settings import SettingsError
from bailiwick.topology import chain
from bailiwick.topology.chain import Link
from bailiwick.topology.current import CurrentWorld
from bailiwick.topology.epochs import Epochs, world_in_force
from bailiwick.topology.feed import ensure_stream, fetch_first, push
from bailiwick.topology.snapshot import WorldError
from bailiwick.topology.succession import next_epoch


class Host:
    """A serving host: a folder that its process may write, and the keys, elsewhere."""

    def __init__(self, folder: Path, *links: Link) -> None:
        self.world = folder / "state" / "world"
        self.world.mkdir(parents=True)
        self.trust = folder / "etc" / "trust.json"
        self.trust.parent.mkdir()
        self.trust.write_bytes(chain.trust_text([(KEY.public_key(), "desk")]))
        for each in links:
            Epochs(self.world, self.trust).store(each)

    def current(self) -> CurrentWorld:
        return CurrentWorld(self.world, trust=self.trust)

    def taken_over(self) -> Link:
        """An attacker's chain and keys in place of ours, as the process itself could write them."""
        for file in self.world.rglob("*.json"):
            file.unlink()
        signed, _ = next_epoch(None, files("apac"), now_ms=START_MS)
        theirs = chain.seal(signed, OTHER_KEY)
        (self.world / "trust.json").write_bytes(
            chain.trust_text([(OTHER_KEY.public_key(), "desk"), (KEY.public_key(), "desk")])
        )
        Epochs(self.world).store(theirs)
        assert CurrentWorld(self.world).link == theirs, "believed where the folder is believed"
        return theirs


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, link(None))


def test_a_replaced_anchor_and_chain_are_refused_at_a_start(host: Host) -> None:
    assert host.current().world.epoch == 1
    host.taken_over()
    with pytest.raises(WorldError, match="does not list"):
        host.current()
    with pytest.raises(WorldError, match="does not list"):
        world_in_force(host.world, host.trust)


def test_plain_files_are_no_way_around_the_signature(host: Host) -> None:
    for file in host.world.rglob("*.json"):
        file.unlink()
    (host.world / "topology.toml").write_bytes(topology(more="epoch = 9"))
    (host.world / "merchants.toml").write_bytes(merchants())
    assert CurrentWorld(host.world).world.epoch == 9
    with pytest.raises(WorldError, match="no signed epoch"):
        host.current()


def test_a_link_to_elsewhere_is_judged_like_any_file(host: Host, tmp_path: Path) -> None:
    theirs = host.taken_over()
    elsewhere = tmp_path / "elsewhere"
    host.world.rename(elsewhere)
    host.world.symlink_to(elsewhere)
    with pytest.raises(WorldError, match=theirs.key):
        host.current()


async def test_a_running_process_keeps_what_it_has(host: Host) -> None:
    current = host.current()
    first = current.link
    host.taken_over()
    assert not await current.check(force=True)
    assert current.link == first
    signed, _ = next_epoch(first, files("apac"), now_ms=START_MS)
    forged = chain.seal(signed, OTHER_KEY)
    assert "does not list" in (await current.offer(forged.raw) or "")
    assert await current.offer(link(first).raw) is None


async def test_a_changed_anchor_counts_without_a_restart(host: Host) -> None:
    current = host.current()
    second = link(current.link, key=OTHER_KEY)
    assert "does not list" in (await current.offer(second.raw) or "")
    host.trust.write_bytes(chain.trust_text([(OTHER_KEY.public_key(), "new")]))
    assert await current.offer(second.raw) is None


async def test_the_first_epoch_is_judged_by_it_too(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (host.world / "trust.json").write_bytes(chain.trust_text([(OTHER_KEY.public_key(), "")]))
    server = Server(tmp_path / "nats")
    await server.start()
    buses = [Bus([server.url], name) for name in ("attacker", "fresh", "fresh again")]
    try:
        signed, _ = next_epoch(None, files("apac"), now_ms=START_MS)
        await buses[0].start(wait_s=10)
        await ensure_stream(buses[0])
        await push(buses[0], chain.seal(signed, OTHER_KEY), 0)
        problem = await fetch_first(host.world, buses[1], trust=host.trust, wait_s=0.5)
        assert problem is not None and "does not list" in problem
        assert Epochs(host.world, host.trust).numbers() == []
        await push(buses[0], link(None), 1)
        assert await fetch_first(host.world, buses[2], trust=host.trust, wait_s=20) is None
        assert host.current().link == link(None)
    finally:
        for bus in buses:
            await bus.close()
        server.stop()


# --- as settings ------------------------------------------------------------------------------


def node_toml(host: Host, folder: Path) -> Path:
    (folder / "secret").write_text("shared")
    file = folder / "node.toml"
    file.write_text(
        'number = 1\nname = "apac"\nlisten = "127.0.0.1:9101"\ndsn = "postgresql:///x"\n'
        'world = "state/world"\nworld_trust = "etc/trust.json"\ninternal_secret_file = "secret"\n'
    )
    return file


def test_a_node_reads_it_from_where_its_settings_say(host: Host, tmp_path: Path) -> None:
    file = node_toml(host, tmp_path)
    loaded = node_config.load(file)
    assert (loaded.world, loaded.world_trust) == (host.world, host.trust)
    for damage, words in ((b"{}", "world_trust"), (None, "cannot be read")):
        if damage is None:
            host.trust.unlink()
        else:
            host.trust.write_bytes(damage)
        with pytest.raises(SettingsError, match=words) as refused:
            node_config.load(file)
        assert "trust" in str(refused.value)


def check_access(host: Host, *more: str) -> subprocess.CompletedProcess[str]:
    secret = host.trust.with_name("secret")
    secret.write_text("shared")
    return subprocess.run(
        [
            sys.executable, "-P", "-m", "bailiwick", "access", "--check", "--world", host.world,
            "--world-trust", host.trust, "--internal-secret-file", secret, *more,
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_access_refuses_another_s_world(host: Host) -> None:
    assert check_access(host).returncode == 0
    host.taken_over()
    done = check_access(host)
    assert (done.returncode, "does not list" in done.stderr) == (1, True)


def test_a_host_without_an_epoch_yet_may_have_a_broker_bring_it(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert "no signed epoch" in check_access(host).stderr
    assert check_access(host, "--nats", '["nats://127.0.0.1:1"]').returncode == 0
    host.trust.write_bytes(b"{}")
    done = check_access(host, "--nats", '["nats://127.0.0.1:1"]')
    assert (done.returncode, "world_trust" in done.stderr) == (1, True)


def topology_command(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(bailiwick, ["topology", *map(str, arguments)])
    return done.exit_code, done.output


def test_commands_on_a_host_go_by_it(host: Host, tmp_path: Path) -> None:
    here = ("--world", host.world, "--trust", host.trust)
    second = tmp_path / "second.json"
    second.write_bytes(link(link(None), "apac").raw)
    assert topology_command("install", second, *here)[0] == 0
    for wanted in (("history",), ("show", "2"), ("diff", "1", "2")):
        status, said = topology_command(*wanted, *here)
        assert status == 0, said
    theirs = tmp_path / "theirs.json"
    theirs.write_bytes(link(link(link(None), "apac"), key=OTHER_KEY).raw)
    status, said = topology_command("install", theirs, *here)
    assert (status, "does not list" in said) == (1, True)


def test_without_the_setting_the_folder_is_believed(tmp_path: Path) -> None:
    signed_folder(tmp_path, link(None))
    assert CurrentWorld(tmp_path).world.epoch == 1
