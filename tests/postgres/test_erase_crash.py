"""An erasure that is cut off is repeated: at no point is anything half erased, or forgotten."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL

import asyncpg
import pytest

from bailiwick.erasure.payer import Asked
from tests.canaries import Canaries
from tests.postgres.erase_kit import erase, payer, words_of, wrong
from tests.postgres.lists_kit import Site, site
from tests.postgres.test_customers import post

KILLED = """
import sys
from bailiwick.cli.main import main
from bailiwick.runtime import crash
crash.arm("erase.committed", int(sys.argv[1]))
main(sys.argv[2:])
"""


@pytest.fixture
async def shop(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe",)) as made:
        yield made


async def killed_after(nth: int, *arguments: str) -> None:
    """The command, killed when so many things are erased."""
    environment = {**os.environ, "BAILIWICK_CRASH_POINTS": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(nth), *arguments, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == -SIGKILL, said.decode()


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_it_is_repeated_by_what_the_payer_gave(shop: Site, nth: int) -> None:
    """The address stands in the customer alone: it is the last that goes."""
    word, node = Canaries(), shop.nodes[0]
    ids = await payer(shop, word, "1")
    mail = f"{word('email')}@example.com"
    who = ("--email", mail, "--merchant", "acct_1")
    await killed_after(nth, "erase", "--dsn", node.dsn, *who, "--yes", "--json")
    assert await wrong(node) == {}
    sql = await asyncpg.connect(node.dsn)
    noted = await sql.fetch("SELECT subject FROM erasure ORDER BY subject")
    gone = {row["subject"] for row in noted if not row["subject"].startswith("file_")}
    parts = [ids["first"], ids["declined"], ids["customer"]]
    assert len(gone & set(parts)) == nth and (ids["customer"] in gone) == (nth == 3)
    if nth == 3:
        assert gone == {*parts, ids["method"]}
    _, done = await erase(node, Asked(email=mail, merchant="acct_1"))
    assert set(done.erased) == set(parts) - gone
    assert await sql.fetchval("SELECT count(*) FROM erasure") == 5, "the evidence's file too"
    await sql.close()
    assert await wrong(node) == {}


async def test_what_others_decide_meanwhile_brings_nothing_back(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that has read a payment before it is erased, and writes afterwards."""
    word, node = Canaries(), shop.nodes[0]
    made = await post(shop, "/v1/payment_intents", confirm="true", **words_of(word))
    write, times = node.node.store.write, 0

    def late(lane: str, row: object) -> "asyncio.Future[object]":
        async def first_erase() -> object:
            nonlocal times
            times += 1
            if times == 1:
                await erase(node, Asked(orders=(made["id"],)))
            return await write(lane, row)

        return asyncio.ensure_future(first_erase())

    monkeypatch.setattr(node.node.store, "write", late)
    path = f"/v1/payment_intents/{made['id']}"
    status, said = await shop.ask("POST", path, {"metadata[a]": "b"})
    assert (status, said["metadata"], said["receipt_email"]) == (200, {"a": "b"}, None)
    assert times == 2, "it decided again"
    assert await wrong(node) == {}
    sql = await asyncpg.connect(node.dsn)
    rows = await sql.fetch("SELECT body, content, answer_body FROM event")
    assert word.find(repr(rows).encode()) == []
    await sql.close()
