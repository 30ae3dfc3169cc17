"""A shop whose test mode has some of everything, and neighbours of whom nothing may go."""

import asyncio
from typing import Any

import asyncpg
import msgspec
from click.testing import CliRunner, Result

from bailiwick.checker.findings import Findings
from bailiwick.checker.kinds import disputes, files, payouts, test_data
from bailiwick.checker.places import NodePlace
from bailiwick.checker.reader import snapshot
from bailiwick.cli.main import bailiwick
from bailiwick.deletion.node_deletion import Done, opened
from bailiwick.routing.match import GatewayFacts
from bailiwick.store.statements import statement
from tests.canaries import Canaries
from tests.postgres import erase_kit
from tests.postgres.lists_kit import One, Site
from tests.postgres.node_kit import Bank, Banks
from tests.postgres.test_customers import DE, customer, post
from tests.postgres.test_erase import REWRITTEN

SALE = {
    "amount": "700",
    "currency": "eur",
    "confirm": "true",
    "payment_method": "pm_card_visa",
    **DE,
}
OF_A_MERCHANT = (
    "payment", "payout", "setup", "record", "attempt", "refund", "dispute", "event",
    "idempotency_key", "delivery_try", "search_entry",
)  # fmt: skip
"""Tables that say whose a row is, and of which mode."""
BESIDE = ("posting", "review", "delivery", "personal_event", "file_content", "erasure",
          "known_object")  # fmt: skip
"""Tables that do not: what they have belongs to what has an event."""
assert {*REWRITTEN} <= {*OF_A_MERCHANT, *BESIDE}


class LiveBank(Bank):
    """A bank that takes real money."""

    def facts(self) -> GatewayFacts:
        """For live mode."""
        return msgspec.structs.replace(super().facts(), livemode=True)


async def everything(shop: Site, word: Canaries) -> dict[str, str]:
    """Payments with all that may follow, customers, files, setups, a payout, a clock."""
    ids = await erase_kit.payer(shop, word, "1")
    await post(shop, "/v1/payment_intents", **{**SALE, "amount": "5000"})
    await post(shop, "/v1/payouts", key="pay-out", amount="300", currency="eur",
               destination="btok_sandbox", **{"metadata[a]": word("payout")}, **DE)  # fmt: skip
    await post(shop, "/v1/setup_intents", confirm="true", payment_method="pm_card_visa",
               customer=ids["customer"], **{"metadata[a]": word("setup")}, **DE)  # fmt: skip
    clock = await post(shop, "/v1/test_helpers/test_clocks", frozen_time="1700000000",
                       name=word("clock"), **DE)  # fmt: skip
    await customer(shop, test_clock=clock["id"], email=f"{word('on a clock')}@example.com")
    return ids


async def neighbours(shop: Site) -> None:
    """The same merchant's live mode, and another merchant's test mode, each with a payment of a
    customer."""
    at = shop.nodes[0]
    at.bank.profile = msgspec.structs.replace(at.bank.profile, callbacks_by_id=True)
    at.use(Banks(at.bank, LiveBank("real", at.bank.profile)))
    for key, token in (("sk_live_first", "pm_of_the_bank"), ("sk_test_other", "pm_card_visa")):
        status, made = await shop.ask("POST", "/v1/customers", {"name": "Ann", **DE}, key=key)
        assert status == 200, made
        wish = {**SALE, "customer": made["id"], "payment_method": token}
        status, made = await shop.ask(
            "POST", "/v1/payment_intents", wish, key=key, headers={"idempotency-key": "same"}
        )
        assert status == 200, made
        wish = {"payment_intent": made["id"], "amount": "100"}
        status, made = await shop.ask("POST", "/v1/refunds", wish, key=key)
        assert status == 200, made


async def rows(sql: asyncpg.Connection) -> dict[str, list[Any]]:
    """What is there of each table, but for what a search may find (that is made again)."""
    found = {}
    for table in (*OF_A_MERCHANT, *BESIDE):
        if table != "search_entry":
            found[table] = await sql.fetch(f"SELECT t::text FROM {table} t ORDER BY 1")
    return found


async def of_test_mode(sql: asyncpg.Connection, merchant: str) -> dict[str, int]:
    """How many rows a merchant's test mode has in each table, where there are any."""
    found = {}
    for table in OF_A_MERCHANT:
        found[table] = await sql.fetchval(
            f"SELECT count(*) FROM {table} WHERE merchant = $1 AND NOT livemode", merchant
        )
    return {table: number for table, number in found.items() if number}


async def delete(at: One, merchant: str = "acct_1") -> Done:
    """What the command does, at one node."""
    async with opened(at.dsn, merchant, "td_test", "tester") as node:
        seen = await node.look()
        assert seen.open == []
        return await node.delete(seen)


async def command_says(*arguments: str, status: int = 0, given: str = "") -> Result:
    """The command itself."""
    said = await asyncio.to_thread(
        CliRunner().invoke, bailiwick, ["test-data", "delete", *arguments], input=given
    )
    assert said.exit_code == status, said.output
    return said


async def wrong(at: One) -> dict[str, Any]:
    """What the checker finds, of deletions too."""
    found = Findings()
    more = (*payouts.PAYOUTS, *files.FILES, disputes.disputes_booked_once, *test_data.TEST_DATA)
    async with snapshot(NodePlace(at.name, at.dsn)) as db:
        for invariant in more:
            await invariant(db, found.of(invariant))
    return {
        **await erase_kit.wrong(at),
        **{each.name: each.violations for each in found.all() if each.count},
    }


async def deleting(sql: asyncpg.Connection) -> None:
    """Say in a transaction what a deletion says."""
    await sql.execute(statement("test_data_begin"))
