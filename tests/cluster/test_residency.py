"""What is written about payers of a strict place is at its node, and nowhere else: about payments
and all that follows them, customers, cards, setups, disputes, files, payouts.

Canaries stand in every field that a client may fill. Then all else is searched: other nodes'
databases, the broker's and the overview's disks, all logs and metrics, and the packets of every
other host. A last test plants leaks, and the search finds each of them.
"""

import asyncio
import base64
import gzip
import json
import time
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from residency_kit import (
    CLIENT,
    CONTROL,
    ELSEWHERE,
    HERE,
    HOME,
    OTHERS,
    OVERVIEW,
    PROVIDERS,
    Answer,
    Leak,
    Site,
    running,
)
from residency_payers import (
    DISPUTED,
    EVIDENCE,
    Payers,
    customer_form,
    method_form,
    payout_form,
    setup_form,
    upload,
)

from bailiwick.base import events
from bailiwick.base.ids import new_id
from bailiwick.bus.client import Bus
from bailiwick.erasure.node_erasure import opened
from bailiwick.erasure.payer import Asked
from bailiwick_lab.drill.scenarios.operated import Operated
from bailiwick_lab.drill.scenarios.worlds import with_home
from tests.canaries import Canaries
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
FIELDS = (
    "description", "statement_descriptor", "return_url", "receipt_email",
    "metadata[note]", "shipping[name]", "shipping[phone]", "shipping[carrier]",
    "shipping[tracking_number]", "shipping[address][line1]", "shipping[address][postal_code]",
    "payment_method_data[billing_details][name]", "payment_method_data[billing_details][email]",
    "payment_method_data[billing_details][address][line1]",
)  # fmt: skip
OF_PAYERS = (
    "customer name", "customer email", "customer address line1", "customer shipping name",
    "customer metadata", "customer metadata key", "customer later", "method name", "method email",
    "method metadata", "off session", "set up name", "setup description", "setup metadata",
    "mandate user agent", "charge description", "charge metadata", "charge receipt",
    "charge shipping name", *(f"evidence {name}" for name in EVIDENCE), "dispute metadata",
    "file name", "in the file", "payout description", "payout metadata", "payout descriptor",
    "answer of the endpoint", "streamed",
)  # fmt: skip
SAID_BY_THE_PAYER = frozenset({"ip_address", "latitude", "longitude"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    async with running() as made:
        yield made


def form(canaries: Canaries, **more: str) -> dict[str, str]:
    """A payment in India with a canary in every field."""
    found = {name: canaries(name) for name in FIELDS}
    found["return_url"] = f"https://shop.example/{found['return_url']}"
    found["payment_method_data[type]"] = "card"
    found["receipt_email"] = f"{found['receipt_email']}@example.com"
    found[f"metadata[{canaries('metadata key')}]"] = "x"
    return {
        "amount": "4900", "currency": "inr", "confirm": "true", "payment_method": "pm_card_visa",
        **found, "location[country]": "IN", "location[ip_address]": canaries.ip,
        "location[coordinates]": canaries.coordinates, **more,
    }  # fmt: skip


def headers(canaries: Canaries, name: str) -> dict[str, str]:
    return {"Idempotency-Key": canaries(f"key of {name}"), "User-Agent": canaries("user agent")}


class Story:
    """Payments of one site with canaries in everything; ids and secrets made on the way too."""

    def __init__(self, site: Site, canaries: Canaries) -> None:
        self.site = site
        self.canaries = canaries
        self.payers = Payers(site, canaries)
        self.payments: list[str] = []
        self.secrets: list[bytes] = []

    async def pay(self, name: str, status: str = "succeeded", **more: str) -> dict[str, Any]:
        """Create a payment."""
        answer = await self.post("/v1/payment_intents", name, form(self.canaries, **more))
        found = answer.get("error", {}).get("payment_intent", answer)
        assert found["status"] == status, answer
        assert found["node"] == HOME
        if found["id"] not in self.payments:
            self.payments.append(found["id"])
        self.secrets.append(found["client_secret"].encode())
        return found

    async def post(self, path: str, name: str, asked: dict[str, str]) -> dict[str, Any]:
        """POST with a canary as the key."""
        answer = await self.site.ask("POST", path, asked, headers=headers(self.canaries, name))
        return answer.json

    async def all_of_it(self) -> None:
        """Sale, decline, refunds, hold, update, redirect, cancel, lists and explanations."""
        word = self.canaries
        paid = await self.pay("sale")
        await self.pay("sale")  # replayed
        await self.pay(
            "decline", "requires_payment_method", payment_method="pm_card_chargeDeclined"
        )
        refund = await self.post("/v1/refunds", "refund", {
            "payment_intent": paid["id"], "amount": "100", "reason": "requested_by_customer",
            "metadata[note]": word("refund metadata"),
        })  # fmt: skip
        assert refund["status"] == "succeeded", refund
        noted = {"metadata[more]": word("refund metadata later")}
        await self.post(f"/v1/refunds/{refund['id']}", "refund update", noted)
        held = await self.pay("hold", "requires_capture", capture_method="manual")
        taken = {"amount_to_capture": "1000", "metadata[note]": word("capture metadata"),
                 "statement_descriptor": word("capture descriptor")}  # fmt: skip
        captured = await self.post(f"/v1/payment_intents/{held['id']}/capture", "capture", taken)
        assert captured["status"] == "succeeded", captured
        draft = await self.pay("draft", "requires_confirmation", confirm="false")
        await self.post(f"/v1/payment_intents/{draft['id']}", "update",
                  {"description": word("description later")})  # fmt: skip
        await self.post(f"/v1/payment_intents/{draft['id']}/cancel", "cancel",
                  {"cancellation_reason": "requested_by_customer"})  # fmt: skip
        await self.by_redirect()
        await self.of_payers(paid)
        await self.explain_and_list(paid["id"])

    async def of_payers(self, paid: dict[str, Any]) -> None:
        """Saved cards, setups, disputes, files, payouts, notes on charges."""
        payers = self.payers
        await payers.noted(paid["latest_charge"])
        await payers.saved()
        card = await payers.set_up()
        off = {"off_session": "true", "customer": payers.customer, "payment_method": card,
               "description": self.canaries("off session")}  # fmt: skip
        asked = form(self.canaries, **off)
        asked = {name: value for name, value in asked.items()
                 if not name.startswith("payment_method_data")}  # fmt: skip
        later = await self.post("/v1/payment_intents", "off session", asked)
        assert (later.get("status"), later.get("node")) == ("succeeded", HOME), later
        self.payments.append(later["id"])
        disputed = await self.pay("disputed", payment_method=DISPUTED)
        await payers.disputed(disputed["id"])
        await payers.paid_out()
        await payers.methods_of_place()
        await payers.streamed()

    async def by_redirect(self) -> None:
        """Confirmed from elsewhere in the country, and approved on the bank's page."""
        word = self.canaries
        draft = await self.pay("redirect", "requires_confirmation", confirm="false")
        waiting = await self.post(f"/v1/payment_intents/{draft['id']}/confirm", "confirm", {
            "payment_method": "pm_card_threeDSecure2Required",
            "return_url": f"https://shop.example/{word('return_url at confirm')}",
            "receipt_email": f"{word('receipt_email at confirm')}@example.com",
            "shipping[name]": word("shipping at confirm"),
            "location[country]": "IN", "location[ip_address]": word.ip,
        })  # fmt: skip
        page = waiting["next_action"]["redirect_to_url"]["url"]
        assert (await self.site.call(page)).status == 200
        pressed = await self.site.call(page, "POST", "decision=approve", {
            "Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip
        assert word("return_url at confirm") in pressed.headers["location"]

        async def approved() -> bool:
            found = await self.site.ask("GET", f"/v1/payment_intents/{draft['id']}")
            return bool(found.json["status"] == "succeeded")

        await until(approved)

    async def explain_and_list(self, payment: str) -> None:
        """Read it all again."""
        asked = form(self.canaries)
        for name in ("confirm", "payment_method"):
            del asked[name]
        assert (await self.site.ask("POST", "/v1/explain", asked)).status == 200
        for path in ("payment_intents", f"payment_intents/{payment}", "refunds", "events"):
            answer = await self.site.ask("GET", f"/v1/{path}")
            assert answer.status == 200, answer
            assert self.canaries.mark.encode() in answer.body, path


def shown(leaks: list[Leak]) -> str:
    return "\n".join(f"{each.where}: {each.hit}" for each in leaks[:20])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(site: Site) -> Story:
    """Payments of a strict place, ended and known to the overview."""
    made = Story(site, Canaries())
    site.echoed[made.canaries.mark] = made.canaries("answer of the endpoint").encode()
    endpoint = await site.ask("POST", "/v1/webhook_endpoints", {
        "url": site.webhook_url, "enabled_events[0]": "*"})  # fmt: skip
    assert endpoint.status == 200, endpoint
    await made.all_of_it()
    await site.overview_has(made.payments)

    async def told() -> bool:
        return sum(made.canaries.mark.encode() in each for each in site.received) >= 8

    await until(told)
    await made.payers.searched()
    await made.payers.read(endpoint.json["id"])
    return made


async def test_the_canaries_are_where_they_belong(site: Site, story: Story) -> None:
    """Else a search that finds nothing would say nothing."""
    fields = {*FIELDS, "metadata key", "refund metadata", "description later",
              "return_url at confirm", "key of sale", "key of refund", *OF_PAYERS}  # fmt: skip
    kept = {leak.hit.field for leak in await site.in_tables(story.canaries, HOME)}
    assert fields <= kept
    if site.capture is not None:
        sent = site.on_the_wire(story.canaries, allowed=frozenset())
        assert fields | SAID_BY_THE_PAYER <= {leak.hit.field for leak in sent}
        assert not any(name in leak.where for leak in sent for name in OTHERS)


async def test_nothing_of_a_strict_place_is_elsewhere(site: Site, story: Story) -> None:
    found = await site.everywhere(story.canaries)
    assert found == [], shown(found)


async def test_nor_what_the_node_itself_has_made_secret(site: Site, story: Story) -> None:
    """A client secret lets its holder confirm and read the payment."""
    carried = b"\0".join(part for _, parts in site.streams() for part in parts)
    files = b"\0".join(
        file.read_bytes() for place in ("brokers", "logs", f"databases/{OVERVIEW}")
        for file in (site.folder / place).rglob("*") if file.is_file()
    )  # fmt: skip
    for secret in story.secrets:
        assert secret not in carried
        assert secret not in files
    assert all(each.encode() in files for each in story.payments), "their ids may leave"


async def test_every_other_host_was_listened_to(site: Site, story: Story) -> None:
    if site.capture is None:
        pytest.skip(site.why_blind)
    heard = " ".join(name for name, _ in site.streams())
    for name in ("europe", "americas", ELSEWHERE, OVERVIEW, "nats-1", "nats-2", "nats-3"):
        assert f"{name}:" in heard, f"nothing of {name} was captured"


async def test_the_wrong_region_answers_421_and_passes_nothing_on(site: Site, story: Story) -> None:
    canaries = Canaries()
    answer = await site.ask("POST", "/v1/payment_intents", form(canaries), at=ELSEWHERE,
                      headers=headers(canaries, "sale"))  # fmt: skip
    assert answer.status == 421
    error = answer.json["error"]
    assert error["code"] == "wrong_region"
    assert error["url"].startswith("http")
    assert canaries.find(answer.body) == []
    asked = form(canaries)
    del asked["confirm"]
    assert (await site.ask("POST", "/v1/explain", asked, at=ELSEWHERE)).status == 421
    for path, wish in (
        ("customers", customer_form(canaries)),
        ("payment_methods", method_form(canaries)),
        ("setup_intents", setup_form(canaries, payment_method="pm_card_visa")),
        ("payouts", payout_form(canaries)),
    ):
        answer = await site.ask("POST", f"/v1/{path}", wish, at=ELSEWHERE)
        assert (answer.status, answer.json["error"]["code"]) == (421, "wrong_region"), path
    answer = await upload(site, canaries, ELSEWHERE, **{"location[country]": "IN"})
    assert (answer.status, answer.json["error"]["code"]) == (421, "wrong_region")
    found = await site.everywhere(canaries, allowed=frozenset({CLIENT, ELSEWHERE, ""}), home=None)
    assert found == [], shown(found)


async def test_what_exists_is_handled_in_its_own_region_too(site: Site, story: Story) -> None:
    canaries = Canaries()
    payment = story.payments[0]
    asked = {"description": canaries("description"), "metadata[note]": canaries("metadata[note]")}
    refund = {"payment_intent": payment, "metadata[note]": canaries("refund")}
    for path, wish in (
        (f"/v1/payment_intents/{payment}", asked),
        (f"/v1/payment_intents/{payment}/confirm", asked),
        ("/v1/refunds", refund),
    ):
        given = headers(canaries, path)
        answer = await site.ask("POST", path, wish, at=ELSEWHERE, headers=given)
        assert (answer.status, answer.json["error"]["code"]) == (421, "wrong_region")
        assert answer.json["error"]["url"] == site.cluster.nodes[HOME].url
    found = await site.everywhere(canaries, allowed=frozenset({CLIENT, ELSEWHERE, ""}), home=None)
    assert found == [], shown(found)


async def test_nor_is_it_read_elsewhere(site: Site, story: Story) -> None:
    here = await site.ask("GET", f"/v1/payment_intents/{story.payments[0]}?expand[]=latest_charge")
    paid = here.json
    (event,) = (await site.ask("GET", "/v1/events?limit=1")).json["data"]
    (refund,) = (await site.ask("GET", "/v1/refunds?limit=1")).json["data"]
    for path in (
        f"payment_intents/{paid['id']}", f"charges/{paid['latest_charge']['id']}",
        f"events/{event['id']}", f"refunds/{refund['id']}",
        "payment_intents", "events", "refunds", f"refunds?payment_intent={paid['id']}",
        *story.payers.paths, "customers", "disputes", "charges", "files", "setup_intents",
    ):  # fmt: skip
        for _ in range(2):  # asked for, and remembered
            answer = await site.ask("GET", f"/v1/{path}", at=ELSEWHERE)
            assert (answer.status, answer.json["error"]["code"]) == (421, "wrong_region"), path
            assert answer.json["error"]["url"] == site.cluster.nodes[HOME].url
    for path in ("payment_intents", "events", "refunds"):
        others = await site.ask("GET", f"/v1/{path}?partial=allow", at=ELSEWHERE)
        assert others.status == 200
        assert others.json["nodes_of_other_regions"] == [HOME]
    found = await site.everywhere(story.canaries)
    assert found == [], shown(found)
    elsewhere = {"amount": "100", "currency": "eur", "location[country]": "DE"}
    free = (await site.ask("POST", "/v1/payment_intents", elsewhere)).json
    assert free["node"] == "europe", "through the access process of another region"
    again = await site.ask("GET", f"/v1/payment_intents/{free['id']}")
    assert again.status == 200, "its place is not strict"
    nobody = paid["id"][:-1] + ("0" if paid["id"][-1] != "0" else "1")
    missing = await site.ask("GET", f"/v1/payment_intents/{nobody}", at=ELSEWHERE)
    assert missing.status == 404


async def test_an_erasure_is_told_without_what_it_erased(site: Site, story: Story) -> None:
    canaries = Canaries()
    payers = Payers(site, canaries)
    made = Story(site, canaries)
    await payers.saved()
    paid = await made.pay("erased", customer=payers.customer)
    await payers.noted(paid["latest_charge"])
    await site.overview_has(made.payments)
    async with opened(site.dsn(HOME), "er_test", "tester") as node:
        asked = Asked(customers=(payers.customer,))
        done = await node.erase(asked, (await node.look(asked)).payer)
    assert {paid["id"], payers.customer} <= set(done.erased) and not done.open
    await site.overview_has(made.payments)
    left = {leak.hit.field for leak in await site.in_tables(canaries, HOME)}
    assert all(field.startswith("key of") for field in left), left
    found = await site.everywhere(canaries)
    assert found == [], shown(found)


async def test_what_a_search_or_list_asks_for_goes_no_further(site: Site, story: Story) -> None:
    """Every node is asked: what a query says is told to them, and kept by none."""
    canaries = Canaries()
    mail = urllib.parse.quote(f"{canaries('listed')}@example.com")
    query = urllib.parse.quote(f"email:'{canaries('searched')}@example.com'")
    for path in (f"customers?email={mail}", f"customers/search?query={query}"):
        answer = await site.ask("GET", f"/v1/{path}")
        assert (answer.status, answer.json["data"]) == (200, []), answer
    found = await site.everywhere(canaries)
    assert {leak.hit.field for leak in found} <= {"listed", "searched"}
    assert all("packets" in leak.where for leak in found), shown(found)


async def test_a_home_that_drains_answers_503_and_nothing_goes_elsewhere(
    site: Site, story: Story
) -> None:
    connection = await asyncpg.connect(site.dsn(HOME))
    canaries = Canaries()
    try:
        await connection.execute("UPDATE fence SET draining = true")
        answers = [await _refused(site, canaries, f"sale {number}") for number in range(2)]
    finally:
        await connection.execute("UPDATE fence SET draining = false")
        await connection.close()
    assert {each.json["error"]["code"] for each in answers} == {"no_node"}
    found = await site.everywhere(canaries)
    assert found == [], shown(found)
    await until(lambda: _takes(site))


async def _refused(site: Site, canaries: Canaries, name: str) -> Answer:
    """A create, until the node has noticed that it is not to take any."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        given = headers(canaries, f"{name} {time.monotonic_ns()}")
        answer = await site.ask("POST", "/v1/payment_intents", form(canaries), headers=given)
        if answer.status == 503:
            return answer
        assert answer.status == 200, answer
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)


async def _takes(site: Site) -> bool:
    asked = {"amount": "100", "currency": "inr", "location[country]": "IN"}
    return (await site.ask("POST", "/v1/payment_intents", asked)).status == 200


async def test_a_dead_home_is_waited_for_and_nothing_goes_elsewhere(
    site: Site, story: Story
) -> None:
    node = site.cluster.nodes[HOME]
    canaries = Canaries()
    await node.kill()
    try:
        for number in range(3):
            answer = await site.ask("POST", "/v1/payment_intents", form(canaries),
                              headers=headers(canaries, f"sale {number}"))  # fmt: skip
            assert answer.status == 503
        allowed = frozenset({CLIENT, HERE, HOME, ""})
        found = await site.everywhere(canaries, allowed=allowed, home=None)
        assert found == [], shown(found)
    finally:
        await node.start()
        await node.until_ready()
    await until(lambda: _takes(site))


async def test_the_merchant_s_own_endpoint_is_at_every_node_and_goes_no_further(
    site: Site, story: Story
) -> None:
    """It is no payer's: each node sends the events of its own payments."""
    canaries = Canaries()
    made = await site.ask("POST", "/v1/webhook_endpoints", {
        "url": f"{site.webhook_url}/{canaries('url')}", "enabled_events[0]": "refund.failed",
        "description": canaries("description"), "metadata[note]": canaries("metadata"),
    })  # fmt: skip
    assert made.status == 200, made
    found = await site.everywhere(canaries)
    assert {leak.hit.field for leak in found} == {"url", "description", "metadata"}
    for leak in found:
        at_a_node = leak.where.startswith(("file databases/europe", "file databases/americas"))
        to_a_node = "packets" in leak.where and (
            "europe:" in leak.where or "americas:" in leak.where
        )
        assert leak.where.startswith("table webhook_endpoint of ") or at_a_node or to_a_node, leak


async def test_a_strict_place_that_moved_is_not_shown_to_its_earlier_home(
    site: Site, story: Story
) -> None:
    """But for the key: whether it was taken there is what the earlier home is asked."""
    operator = Operated(site.cluster, HOME)
    file = site.cluster.world / "topology.toml"
    before = file.read_text(encoding="utf-8")
    epoch = (await operator.operate("topology", "history"))["epochs"][0]["epoch"]
    file.write_text(with_home(before, "IN", ["europe"]), encoding="utf-8")
    await operator.operate("topology", "publish", "--note", "India to Europe")
    canaries = Canaries()
    try:

        async def moved() -> bool:
            asked = {"amount": "100", "currency": "inr", "location[country]": "IN"}
            found = await site.ask("POST", "/v1/payment_intents", asked, at=ELSEWHERE)
            return found.json.get("node") == "europe"

        await until(moved)
        given = {"Idempotency-Key": "moved-1", "User-Agent": canaries("user agent")}
        for _ in range(2):
            answer = await site.ask("POST", "/v1/payment_intents", form(canaries), at=ELSEWHERE,
                                    headers=given)  # fmt: skip
            assert (answer.status, answer.json["node"]) == (200, "europe"), answer
            (earlier,) = answer.json["assignment"]["earlier_homes"]
            assert (earlier["name"], earlier["answer"]) == (HOME, "refused: moved")
        region = frozenset({"europe", ELSEWHERE, PROVIDERS, CLIENT, CONTROL, ""})
        found = await site.everywhere(canaries, allowed=region, home="europe")
        assert found == [], shown(found)
    finally:
        await operator.operate("topology", "rollback", str(epoch), "--note", "back again")
    await until(lambda: _takes(site))


# --- the search itself: leaks that are planted


async def test_a_planted_leak_is_found_wherever_it_is(site: Site, story: Story) -> None:
    """Last: the site is not clean any more."""
    word = story.canaries
    assert await site.everywhere(word) == []
    site.log.line("node europe", json.dumps({"event": "oops", "note": word("shipping[name]")}))
    connection = await asyncpg.connect(site.dsn("americas"))
    await connection.execute(
        "INSERT INTO webhook_endpoint (id, merchant, livemode, url, secret, events, status,"
        " created_ms, details) VALUES ('we_x', 'acct_x', false, 'http://x', 'x', '[]', 'enabled',"
        " 1, $1)", json.dumps({"description": word("receipt_email")}),
    )  # fmt: skip
    await connection.close()
    await _plant_in_the_broker(site, word("description"))
    encoded = base64.b64encode(f"note: {word('metadata[note]')}".encode()).decode()
    await _plant_on_a_line(site, gzip.compress(word("customer").encode()), encoded)

    async def at_the_overview() -> bool:
        return bool(await site.in_tables(word, OVERVIEW))

    await until(at_the_overview)
    found = {(leak.where.partition(":")[0], leak.hit.field) for leak in await site.everywhere(word)}
    assert ("file logs/node-europe.log", "shipping[name]") in found
    assert ("table webhook_endpoint of americas", "receipt_email") in found
    assert any("file databases/americas" in where for where, _ in found), "and in its log"
    assert any("file brokers/nats-" in where for where, _ in found)
    assert ("table payment_view of overview", "description") in found
    if site.capture is not None:
        wires = {(where, field) for where, field in found if where.startswith("packets")}
        fields = {"description", "receipt_email", "metadata[note]"}
        assert fields <= {field for _, field in wires}


async def _plant_in_the_broker(site: Site, word: str) -> None:
    """As a relay that sends too much: in an event that the overview takes."""
    now = int(time.time() * 1000)
    payment = new_id("pi", 2, now)
    event = events.PaymentEvent(
        event=new_id("evt", 2, now), type="payment_intent.created", seq=1, payment=payment,
        node=2, merchant=word, livemode=False, created_ms=now, version=1, state="processing",
        amount=1, currency="EUR", amount_capturable=0, amount_received=0, amount_refunded=0,
        attempts=1, epoch=1, payment_created_ms=now,
    )  # fmt: skip
    bus = Bus(site.cluster.nats, "leak")
    assert await bus.start(wait_s=PATIENCE_S)
    data = events.join([events.encode(event)])
    await bus.publish(events.subject(2), data, stream=events.STREAM)
    await bus.close()


async def _plant_on_a_line(site: Site, body: bytes, note: str) -> None:
    """From the client to another region's node."""
    url = f"{site.cluster.nodes['europe'].url}/healthz"
    await site.call(url, "POST", body.decode("latin-1"), {"X-Note": note})
