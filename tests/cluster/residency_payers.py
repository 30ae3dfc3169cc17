"""What merchants keep of payers in a strict place beside payments, a canary in every field."""

import asyncio
import itertools
import json
import socket
import urllib.parse
from typing import Any

from residency_kit import CLIENT, HERE, Answer, Site

from tests.canaries import Canaries
from tests.postgres.stream_kit import Listening
from tests.waiting import until

INDIA = {"location[country]": "IN"}
DISPUTED = "pm_card_createDisputeProductNotReceived"
WITH_ADDRESS = ("name", "phone", "address][line1", "address][city", "address][postal_code")
EVIDENCE = (
    "customer_name", "customer_email_address", "customer_purchase_ip", "billing_address",
    "shipping_address", "shipping_tracking_number", "product_description", "access_activity_log",
    "uncategorized_text",
)  # fmt: skip
_boundaries = itertools.count()


def customer_form(word: Canaries) -> dict[str, str]:
    """A customer in India."""
    found = {name: word(f"customer {name}") for name in ("name", "description", "phone")}
    found["email"] = f"{word('customer email')}@example.com"
    for part in ("line1", "city", "postal_code"):
        found[f"address[{part}]"] = word(f"customer address {part}")
    for name in WITH_ADDRESS:
        found[f"shipping[{name}]"] = word(f"customer shipping {name}")
    found[f"metadata[{word('customer metadata key')}]"] = word("customer metadata")
    return {**found, **INDIA, "location[ip_address]": word.ip}


def method_form(word: Canaries, of: str = "method") -> dict[str, str]:
    """A card that is saved in India."""
    billing = {f"billing_details[{name}]": word(f"{of} {name}") for name in WITH_ADDRESS}
    billing["billing_details[email]"] = f"{word(f'{of} email')}@example.com"
    return {"type": "card", "card[token]": "pm_card_visa", **billing,
            "metadata[note]": word(f"{of} metadata"), **INDIA}  # fmt: skip


def setup_form(word: Canaries, **more: str) -> dict[str, str]:
    """A setup with a mandate, in India."""
    accepted = "mandate_data[customer_acceptance]"
    return {
        "confirm": "true", "description": word("setup description"),
        "metadata[note]": word("setup metadata"),
        "return_url": f"https://shop.example/{word('setup return_url')}",
        f"{accepted}[type]": "online", f"{accepted}[online][ip_address]": word.ip,
        f"{accepted}[online][user_agent]": word("mandate user agent"), **INDIA, **more,
    }  # fmt: skip


def payout_form(word: Canaries) -> dict[str, str]:
    """A payout to an account in India."""
    return {
        "amount": "1000", "currency": "inr", "destination": "btok_sandbox",
        "description": word("payout description"), "metadata[note]": word("payout metadata"),
        "statement_descriptor": word("payout descriptor"), **INDIA,
    }  # fmt: skip


async def upload(site: Site, word: Canaries, at: str = HERE, **fields: str) -> Answer:
    """A file of evidence; its name and what is in it are words too."""
    assert site.cluster.merchant is not None
    mark = f"b{next(_boundaries)}"
    parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
             for name, value in {"purpose": "dispute_evidence", **fields}.items()]  # fmt: skip
    parts.append(
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; '
        f'filename="{word("file name")}.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
        f"%PDF-1.7\n{word('in the file')}\r\n--{mark}--\r\n"
    )
    given = {
        "Authorization": f"Bearer {site.cluster.merchant.secret}",
        "Content-Type": f"multipart/form-data; boundary={mark}",
        "Idempotency-Key": word(f"key of file {mark}"),
    }
    return await site.call(site.cluster.access[at].url + "/v1/files", "POST", "".join(parts), given)


class Payers:
    """What a merchant of the site does with payers.

    Attributes:
        paths: of what was made, to be read again.
    """

    def __init__(self, site: Site, canaries: Canaries) -> None:
        self.site = site
        self.word = canaries
        self.paths: list[str] = []
        self.customer = ""

    async def post(self, path: str, asked: dict[str, str]) -> dict[str, Any]:
        """A POST that must succeed, with a canary as the key."""
        key = {"Idempotency-Key": self.word(f"key of {path} {len(asked)}")}
        answer = await self.site.ask("POST", f"/v1/{path}", asked, headers=key)
        assert answer.status == 200, (path, answer)
        return answer.json

    async def get(self, path: str) -> dict[str, Any]:
        """A GET that must succeed."""
        answer = await self.site.ask("GET", f"/v1/{path}")
        assert answer.status == 200, (path, answer)
        return answer.json

    async def saved(self) -> str:
        """A customer with a card; the card's id."""
        word = self.word
        made = await self.post("customers", customer_form(word))
        self.customer = made["id"]
        method = await self.post("payment_methods", method_form(word))
        to = f"payment_methods/{method['id']}"
        await self.post(f"{to}/attach", {"customer": self.customer})
        await self.post(to, {"metadata[more]": word("method metadata later")})
        notes = {"description": word("customer later"), "metadata[more]": word("customer more")}
        await self.post(f"customers/{self.customer}", notes)
        self.paths += [f"customers/{self.customer}", to]
        return str(method["id"])

    async def set_up(self) -> str:
        """A card that is set up for later, and a mandate with it; the card's id."""
        data = method_form(self.word, "set up")
        given = {f"payment_method_data[{name.replace('[', '][', 1)}" if "[" in name
                 else f"payment_method_data[{name}]": value
                 for name, value in data.items() if name.startswith("billing")}  # fmt: skip
        given |= {"payment_method_data[type]": "card", "payment_method": "pm_card_visa"}
        wish = setup_form(self.word, customer=self.customer, **given)
        made = await self.post("setup_intents", wish)
        assert made["status"] == "succeeded", made
        self.paths.append(f"setup_intents/{made['id']}")
        if made["mandate"]:
            self.paths.append(f"mandates/{made['mandate']}")
        return str(made["payment_method"])

    async def noted(self, charge: str) -> None:
        """What is written on a charge."""
        word = self.word
        await self.post(f"charges/{charge}", {
            "description": word("charge description"), "metadata[note]": word("charge metadata"),
            "receipt_email": f"{word('charge receipt')}@example.com",
            "shipping[name]": word("charge shipping name"),
            "shipping[address][line1]": word("charge shipping line1"),
        })  # fmt: skip
        self.paths.append(f"charges/{charge}")

    async def disputed(self, payment: str) -> None:
        """A dispute of a payment, answered with words and a file."""
        found: list[dict[str, Any]] = []

        async def opened() -> bool:
            found[:] = (await self.get(f"disputes?payment_intent={payment}"))["data"]
            return bool(found)

        await until(opened)
        dispute = found[0]["id"]
        file = (await upload(self.site, self.word, dispute=dispute)).json
        evidence = {f"evidence[{name}]": self.word(f"evidence {name}") for name in EVIDENCE}
        evidence["evidence[receipt]"] = file["id"]
        evidence["metadata[note]"] = self.word("dispute metadata")
        await self.post(f"disputes/{dispute}", evidence)
        contents = await self.site.ask("GET", f"/v1/files/{file['id']}/contents")
        assert self.word("in the file").encode() in contents.body
        self.paths += [f"disputes/{dispute}", f"files/{file['id']}"]

    async def paid_out(self) -> None:
        """A payout to an account there."""
        made = await self.post("payouts", payout_form(self.word))
        await self.post(f"payouts/{made['id']}", {"metadata[more]": self.word("payout more")})
        self.paths.append(f"payouts/{made['id']}")

    async def methods_of_place(self) -> None:
        """Which methods this payer can use."""
        asked = {"amount": "4900", "currency": "inr", **INDIA,
                 "location[ip_address]": self.word.ip,
                 "location[coordinates]": self.word.coordinates}  # fmt: skip
        await self.get(f"available_payment_methods?{urllib.parse.urlencode(asked)}")

    async def searched(self) -> None:
        """Found by what is nobody's own, shown with all that is."""
        query = urllib.parse.quote('created>0 AND currency:"inr"')
        for path, of in (("payment_intents", query), ("charges", query),
                         ("customers", urllib.parse.quote("created>0"))):  # fmt: skip

            async def found(path: str = path, of: str = of) -> bool:
                said = await self.site.ask("GET", f"/v1/{path}/search?query={of}")
                return self.word.mark.encode() in said.body

            await until(found)

    async def read(self, endpoint: str) -> None:
        """All of it again, in lists and alone, and what an endpoint said to it."""
        for path in (*self.paths, *(each.partition("/")[0] for each in self.paths)):
            if path not in ("mandates", "payment_methods"):  # these have no lists of all
                assert self.word.mark in json.dumps(await self.get(path)), path
        await self.get(f"customers/{self.customer}/payment_methods")
        log = await self.get(f"webhook_deliveries?limit=100&webhook_endpoint={endpoint}")
        assert self.word("answer of the endpoint") in json.dumps(log)

    async def streamed(self) -> None:
        """Events as they happen."""
        url = urllib.parse.urlsplit(self.site.cluster.access[HERE].url)
        assert self.site.cluster.merchant is not None
        with self.site.network.entered(CLIENT):
            line = socket.create_connection((url.hostname or "", url.port or 0))
        reader, writer = await asyncio.open_connection(sock=line)
        stream = Listening(reader, writer)
        try:
            await stream.begin("/v1/events", {
                "authorization": f"Bearer {self.site.cluster.merchant.secret}",
                "accept": "text/event-stream",
            })  # fmt: skip
            assert stream.status == 200, stream.error
            note = {"metadata[streamed]": self.word("streamed")}
            await self.post(f"customers/{self.customer}", note)
            while True:
                said = await stream.block()
                assert said is not None
                if self.word("streamed") in json.dumps(said.event):
                    return
        finally:
            writer.close()
