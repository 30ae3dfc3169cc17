"""A node's past payments, routed by other rules."""

import json
from pathlib import Path
from typing import Any

import asyncpg
from click.testing import CliRunner

from bailiwick.channels.contract import Operation
from bailiwick.cli.dry_run import command
from tests.postgres.node_kit import MERCHANT, Bank, Region
from tests.store_kit import NodeStore

RULES = """
[[rules]]
name = "gold"
metadata = { tier = "gold" }
gateways = ["second"]
"""


def desk(folder: Path, dsn: str) -> Path:
    """The settings of a node with two gateways, and its world."""
    world = folder / "world"
    world.mkdir()
    (world / "topology.toml").write_text(
        'epoch = 1\n[[nodes]]\nnumber = 1\nname = "europe"\nurl = "http://127.0.0.1:9101"\n'
        '[[rules]]\nplaces = ["default"]\nnodes = ["europe"]\nresidency = "free"\n'
    )
    (world / "merchants.toml").write_text(f'[[merchants]]\nid = "{MERCHANT.id}"\nname = "A"\n')
    gateways = "".join(
        f'[[gateways]]\nname = "{name}"\nchannel = "sandbox"\nkind = "foreign_bank"\n'
        f'base_url = "http://127.0.0.1:1"\npriority = {priority}\ncost_bps = {bps}\n'
        for name, priority, bps in (("bank", 1, 200), ("second", 2, 100))
    )
    config = folder / "node.toml"
    config.write_text(
        f'number = 1\nname = "europe"\nlisten = "127.0.0.1:9101"\ndsn = "{dsn}"\n'
        f'world = "world"\ninternal_secret_file = "internal"\n{gateways}'
    )
    return config


async def dry_run(*words: object) -> dict[str, Any]:
    import asyncio

    done = await asyncio.to_thread(CliRunner().invoke, command, [*map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def test_past_payments_are_routed_by_other_rules(
    store: NodeStore, bank: Bank, dsn: str, tmp_path: Path, sql: asyncpg.Connection
) -> None:
    second = Bank("second", priority=2)
    region = Region(store, bank, second)
    for number in range(3):
        await region.pay(f"k{number}", metadata={"tier": "gold"})
    bank.script[Operation.CHARGE] = ["retryable", "decline"]
    await region.pay("k3")  # goes on to the second
    await region.pay("k4")
    await region.pay("k5", confirm=False)
    before = await sql.fetchval("SELECT count(*) FROM event")
    config = desk(tmp_path, dsn)
    rules = tmp_path / "new.toml"
    rules.write_text(RULES)
    same = await dry_run("--config", config)
    assert same["payments"] == 5 and same["moved"] == 0 and same["rules"] == {"(none)": 5}
    assert same["before"]["gateways"] == {"bank": 5} == same["after"]["gateways"]
    found = await dry_run("--config", config, "--rules", rules)
    assert found["moves"] == [{"from": "bank", "to": "second", "payments": 3}]
    assert found["rules"] == {"gold": 3, "(none)": 2}
    assert found["in_fact"]["rules"]["(none)"]["payments"] == 5
    amount = await sql.fetchval("SELECT min(amount) FROM payment")
    assert found["before"]["cost"] == {"EUR": round(5 * amount * 0.02, 2)}
    assert found["after"]["cost"] == {"EUR": round(amount * (2 * 0.02 + 3 * 0.01), 2)}
    # At the bank three of five succeeded, at the second the one that went there.
    assert found["before"]["success"] == 0.6
    assert found["after"]["success"] == round((2 * 0.6 + 3 * 1.0) / 5, 4)
    none = await dry_run("--config", config, "--since", "2100-01-01")
    assert none["payments"] == 0 and none["before"]["success"] is None
    assert await sql.fetchval("SELECT count(*) FROM event") == before


def test_rules_that_are_wrong_are_named(tmp_path: Path) -> None:
    config = desk(tmp_path, "postgresql:///nowhere")
    rules = tmp_path / "new.toml"
    rules.write_text(RULES.replace("gateways", "gateway"))
    done = CliRunner().invoke(command, ["--config", str(config), "--rules", str(rules)])
    assert done.exit_code == 1
    assert "new.toml: rules[0].gateway: unknown field; did you mean 'gateways'?" in done.output
