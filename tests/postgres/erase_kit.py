"""A payer of whom every field has a word of its own, and all that can happen to them."""

import asyncio
from typing import Any

import asyncpg
import msgspec
from click.testing import CliRunner, Result

from bailiwick.channels.contract import Outcome
from bailiwick.checker.findings import Findings
from bailiwick.checker.kinds import erasures, told
from bailiwick.checker.places import NodePlace
from bailiwick.checker.reader import snapshot
from bailiwick.cli.erase import command
from bailiwick.erasure.node_erasure import Done, Seen, opened
from bailiwick.erasure.payer import Asked
from tests.canaries import Canaries
from tests.postgres.hooks_kit import Sink
from tests.postgres.lists_kit import One, Site
from tests.postgres.test_customers import DE, attached, broken, customer, post
from tests.postgres.test_disputes import called_back
from tests.postgres.test_files import PDF, upload


def words_of(word: Canaries) -> dict[str, Any]:
    """What a payment says of a payer."""
    return {
        "amount": "1000",
        "currency": "eur",
        "description": word("description"),
        f"metadata[{word('metadata key')}]": word("metadata"),
        "receipt_email": f"{word('receipt')}@example.com",
        "shipping[name]": word("ship name"),
        "shipping[phone]": word("ship phone"),
        "shipping[address][line1]": word("ship line1"),
        "shipping[address][city]": word("ship city"),
        "statement_descriptor_suffix": word("suffix"),
        "payment_method_data[type]": "card",
        "payment_method_data[card][token]": f"pm_card_{word('token')}",
        "payment_method_data[billing_details][name]": word("billing name"),
        "payment_method_data[billing_details][email]": f"{word('billing')}@example.com",
        "payment_method_data[billing_details][phone]": word("billing phone"),
        "payment_method_data[billing_details][address][line1]": word("billing line1"),
        **DE,
    }


async def declined(shop: Site, word: Canaries, wish: dict[str, Any]) -> Any:
    """A payment that is declined in a bank's words, and stays so."""
    bank: Any = shop.nodes[0].bank
    honest = bank.carry_out

    def rude(instruction: Any, said: str) -> Any:
        result = honest(instruction, said)
        if result.outcome is not Outcome.DECLINED:
            return result
        return msgspec.structs.replace(result, message=word("bank's message"))

    bank.carry_out = rude
    status, said = await shop.ask(
        "POST", "/v1/payment_intents", {**wish, "confirm": "true", "metadata[a]": word("declined")}
    )
    assert status == 402, said
    del bank.carry_out
    return said["error"]["payment_intent"]


async def paid(shop: Site, word: Canaries, wish: dict[str, Any], number: str) -> Any:
    """A payment with all that may follow."""
    made = await post(
        shop,
        "/v1/payment_intents",
        key=f"pay-{number}",
        **{**wish, "confirm": "true", "return_url": f"https://shop.example/{word('return')}"},
        **{"expand[0]": "latest_charge", "expand[1]": "customer"},
    )
    charge = made["latest_charge"]["id"]
    noted = {"description": word("charge"), "metadata[a]": word("charge metadata"),
             "receipt_email": f"{word('charge receipt')}@example.com"}  # fmt: skip
    await post(shop, f"/v1/charges/{charge}", **noted)
    refund = await post(
        shop, "/v1/refunds", payment_intent=made["id"], amount="100",
        **{"metadata[a]": word("refund"), "expand[0]": "payment_intent"},
    )  # fmt: skip
    await post(shop, f"/v1/refunds/{refund['id']}", **{"metadata[b]": word("refund again")})
    await disputed(shop, word, {**made, "latest_charge": charge}, number)
    await post(shop, f"/v1/payment_intents/{made['id']}", description=word("described again"))
    return made


async def disputed(shop: Site, word: Canaries, made: Any, number: str) -> None:
    """A dispute of a payment, with evidence, lost."""
    await called_back(shop, made, f"dp_{number}", amount=900)
    _, listed = await shop.ask("GET", "/v1/disputes", {"payment_intent": made["id"]})
    status, file = await upload(
        shop, PDF + word("in the file").encode(), filename=f"{word('file name')}.pdf", **DE
    )
    assert status == 200, file
    evidence = {
        "evidence[receipt]": file["id"],
        "evidence[customer_name]": word("evidence name"),
        "evidence[customer_purchase_ip]": word("evidence address"),
        "evidence[uncategorized_text]": word("evidence"),
        "metadata[a]": word("dispute metadata"),
    }
    await post(shop, f"/v1/disputes/{listed['data'][0]['id']}", **evidence)
    end = {"amount": 900, "status": "lost", "sequence": 9}
    await called_back(shop, made, f"dp_{number}", **end)


async def payer(shop: Site, word: Canaries, number: str) -> dict[str, str]:
    """A customer with a saved card, a payment that went through everything, and a declined one;
    and a payment of no customer."""
    here = {
        "name": word("name"), "email": f"{word('email')}@example.com", "phone": word("phone"),
        "description": word("customer"), "address[line1]": word("line1"),
    }  # fmt: skip
    of = await customer(shop, **here)
    billing = {"billing_details[name]": word("card"), "card[token]": f"pm_card_{word('saved')}"}
    saved = await attached(shop, of["id"], **billing)
    wish = words_of(word)
    first = await paid(shop, word, {**wish, "customer": of["id"]}, number)
    shop.nodes[0].bank.script["charge"].append("decline")  # type: ignore[index]
    second = await declined(shop, word, {**wish, "customer": of["id"]})
    guest = await post(shop, "/v1/payment_intents", confirm="true", **wish)
    return {"customer": of["id"], "method": saved["id"], "first": first["id"],
            "declined": second["id"], "guest": guest["id"]}  # fmt: skip


async def talked_about(sql: asyncpg.Connection, word: Canaries, of: dict[str, str]) -> None:
    """A review that people have closed."""
    await sql.execute(
        "INSERT INTO review (subject, attempt, reason, detail, closed_at, closed_by, note)"
        " SELECT subject, id, 'contradiction', $2, now(), 'somebody', $3 FROM attempt"
        "  WHERE subject = $1 LIMIT 1",
        of["first"], word("review"), word("note"),
    )  # fmt: skip


def echo(there: Sink, word: Canaries) -> None:
    """An endpoint that says back what it hears."""
    body = word("answer").encode()
    head = f"HTTP/1.1 200 X\r\nx-echo: {word('header')}\r\ncontent-length: {len(body)}\r\n\r\n"
    there.said["/hook"] = head.encode() + body


async def erase(at: One, asked: Asked) -> tuple[Seen, Done]:
    """What the command does, at one node."""
    async with opened(at.dsn, "er_test", "tester") as node:
        seen = await node.look(asked)
        assert seen.open == []
        return seen, await node.erase(asked, seen.payer)


async def command_says(*arguments: str, status: int = 0, given: str = "") -> Result:
    """The command itself."""
    done = await asyncio.to_thread(CliRunner().invoke, command, list(arguments), input=given)
    assert done.exit_code == status, done.output
    return done


async def wrong(at: One) -> dict[str, Any]:
    """What the checker finds, of erasures too."""
    found = Findings()
    async with snapshot(NodePlace(at.name, at.dsn)) as db:
        for invariant in (*erasures.ERASURES, *told.TOLD):
            await invariant(db, found.of(invariant))
    return {
        **await broken(at),
        **{each.name: each.violations for each in found.all() if each.count},
    }
