"""The scenario that every official SDK carries out: its steps, each with what must be seen.

A step asks the SDK's program for verbs and compares what it got, and what is in the sandbox's books
afterwards. `STEPS` is the table of `docs/sdks.md`.
"""

import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bailiwick.base.api_versions import CURRENT
from bailiwick.base.ids import node_of
from tests.interop.kit import Books, Sink, until
from tests.interop.sdks import Refused, Sdk, encoded

EUROPE = 2
VISA = "pm_card_visa"
DAY_S = 86_400
PDF = b"%PDF-1.7\nThe receipt.\n"
CLASSES = {
    "python": "CardError InvalidRequestError AuthenticationError PermissionError IdempotencyError "
    "RateLimitError APIError APIConnectionError SignatureVerificationError",
    "node": "StripeCardError StripeInvalidRequestError StripeAuthenticationError "
    "StripePermissionError StripeIdempotencyError StripeRateLimitError StripeAPIError "
    "StripeConnectionError StripeSignatureVerificationError",
    "go": "*stripe.CardError *stripe.InvalidRequestError *stripe.InvalidRequestError "
    "*stripe.InvalidRequestError *stripe.IdempotencyError *stripe.InvalidRequestError "
    "*stripe.InvalidRequestError *url.Error webhook.ErrNoValidSignature",
    "java": "CardException InvalidRequestException AuthenticationException PermissionException "
    "IdempotencyException RateLimitException ApiException ApiConnectionException "
    "SignatureVerificationException",
}
"""How each SDK calls an error: of a card, a parameter, a key, a permission, a replay, a rate, of a
body that is too large, a connection, a signature. Go tells 401, 403 and 429 by their status."""


@dataclass
class Run:
    """One SDK, with whom it speaks to, and what its payments are told apart by."""

    sdk: Sdk
    books: Books
    sink: Sink

    def __post_init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.do = self.sdk.do
        names = "card parameter key permission replay rate large connection signature".split()
        self.classes = dict(zip(names, CLASSES[self.sdk.language].split(), strict=True))

    def pay(self, amount: int = 1999, method: str = VISA, **given: Any) -> Any:
        return self.do("pay", amount=amount, method=method, **given)

    def customer(self, **given: Any) -> str:
        """One at the node of the shop's place: a busy node is passed over, as no money moves."""
        name = {"name": "Ann", "email": f"{self.mark}@shop.example"}
        made = until(lambda: home(self.do("customer", **name, **given)["id"]))
        return str(made)

    def check(self, error: dict[str, Any], kind: str, status: int, code: str | None = None) -> None:
        assert (error["class"], error["status"]) == (self.classes[kind], status), error
        assert code in (None, error["code"]) and error["request_id"].startswith("req_"), error


def home(found: str) -> str | None:
    return found if node_of(found) == EUROPE else None


def elsewhere(ask: Callable[[], Any]) -> Any:
    """What is made for something of another node is made once more: a busy one was passed over."""
    try:
        return ask()
    except Refused as refused:
        if not str(refused.error["code"]).endswith("_elsewhere"):
            raise
        return None


@dataclass(frozen=True)
class Step:
    name: str
    does: str
    books: str
    run: Callable[[Run], None]


STEPS: list[Step] = []


def step(does: str, books: str) -> Callable[[Callable[[Run], None]], Callable[[Run], None]]:
    """A row of the table: what is done, and what the sandbox's books say after it."""

    def put(run: Callable[[Run], None]) -> Callable[[Run], None]:
        STEPS.append(Step(run.__name__.replace("_", " "), does, books, run))
        return run

    return put


@step(
    "hold 5000, raise it to 7000, take 2000 of it, then 3000 as the last part",
    "one charge of 7000 with captures of 2000 and 3000",
)
def hold_and_capture(run: Run) -> None:
    text = {"a b": "ü&="}
    held = run.pay(5000, manual=True, flexible=True, metadata=text)
    assert (held["status"], held["capturable"], held["received"]) == ("requires_capture", 5000, 0)
    assert held["metadata"] == text
    more = run.do("increment", payment=held["id"], amount=7000)
    assert (more["status"], more["capturable"]) == ("requires_capture", 7000)
    first = run.do("capture", payment=held["id"], amount=2000, final=False)
    assert (first["status"], first["capturable"]) == ("requires_capture", 5000)
    last = run.do("capture", payment=held["id"], amount=3000, final=True)
    assert (last["status"], last["capturable"], last["received"]) == ("succeeded", 0, 5000)
    row = run.books.charge(held["charge"])
    assert [each["amount"] for each in row["captures"]] == [2000, 3000]
    assert (row["amount_authorized"], row["amount_captured"]) == (7000, 5000)


@step(
    "create, read it with a publishable key and its secret, then confirm",
    "one charge, captured",
)
def create_then_confirm(run: Run) -> None:
    made = run.do("pay", amount=800)
    assert (made["status"], made.get("charge")) == ("requires_payment_method", None)
    browser = {"payment": made["id"], "key": "publishable"}
    assert run.do("payment", **browser, secret=made["secret"])["id"] == made["id"]
    run.check(run.sdk.refusal("payment", **browser), "parameter", 404, "resource_missing")
    done = run.do("confirm", payment=made["id"], method="pm_card_mastercard")
    assert done["status"] == "succeeded"
    row = run.books.charge(done["charge"])
    assert (row["source"], row["amount_captured"]) == ("pm_card_mastercard", 800)


@step("hold, then cancel", "the charge is voided, and nothing captured")
def cancel(run: Run) -> None:
    held = run.pay(manual=True)
    gone = run.do("cancel", payment=held["id"])
    assert (gone["status"], gone["capturable"]) == ("canceled", 0)
    row = run.books.charge(held["charge"])
    assert (row["status"], len(row["voids"]), row["captures"]) == ("voided", 1, [])


@step("refund 500, then the rest, then more than there is", "two refunds, of 500 and 1499")
def refund(run: Run) -> None:
    paid = run.pay()
    for amount in (500, 1499):
        given = run.do("refund", payment=paid["id"], amount=amount)
        assert (given["status"], given["amount"]) == ("succeeded", amount)
    more = run.sdk.refusal("refund", payment=paid["id"], amount=1)
    run.check(more, "parameter", 400, "charge_already_refunded")
    row = run.books.charge(paid["charge"])
    assert [each["amount"] for each in row["refunds"]] == [500, 1499]


@step(
    "save a card with a payment, charge it off session; page through the customer's payments one "
    "by one, and read one with what it refers to",
    "two charges of one card, the second off session by the first's agreement",
)
def save_and_charge_again(run: Run) -> None:
    who = run.customer()
    first = run.pay(customer=who, save=True)
    assert first["method"].startswith("pm_") and first["method"] != VISA
    again = run.pay(1500, first["method"], customer=who, off_session=True)
    assert (again["status"], again["method"]) == ("succeeded", first["method"])
    stored, used = (run.books.charge(each["charge"]) for each in (first, again))
    assert stored["store"] and used["off_session"] and used["agreement"] == stored["id"]
    wanted = [{"id": each["id"], "charge": each["charge"]} for each in (again, first)]
    assert run.do("listed", customer=who) == wanted
    whole = run.do("expanded", payment=again["id"])
    assert whole == {"charge": again["charge"], "paid": True, "net": 1500, "name": "Ann"}


@step(
    "set a card up without a payment, with a mandate; charge it off session",
    "an agreement without a charge, then a charge by it",
)
def set_up(run: Run) -> None:
    who = run.customer()
    made = until(lambda: elsewhere(lambda: run.do("setup", customer=who, method=VISA)))
    assert (made["status"], made["mandate"]) == ("succeeded", "active")
    paid = run.pay(1700, made["method"], customer=who, off_session=True)
    row = run.books.charge(paid["charge"])
    assert (row["amount_captured"], row["off_session"]) == (1700, True)
    assert row["agreement"] in {each["id"] for each in run.books.all()["setups"]}


@step("search payments by metadata, page by page", "as many charges as were found")
def search(run: Run) -> None:
    made = [run.pay(metadata={"mark": run.mark}, description=run.mark)["id"] for _ in range(2)]
    query = f"metadata['mark']:'{run.mark}' AND status:'succeeded'"
    until(lambda: sorted(run.do("search", query=query)) == sorted(made))
    assert len(run.books.having(description=run.mark)) == 2


@step(
    "find a payment's dispute, upload a receipt, submit it with a text, and win",
    "a submission with that text, and that file's digest",
)
def dispute(run: Run) -> None:
    paid = run.pay(2500, "pm_card_createDispute")
    (opened,) = until(lambda: run.do("disputes", payment=paid["id"]))
    assert (opened["status"], opened["amount"]) == ("needs_response", 2500)
    content = PDF + run.mark.encode()

    def submit() -> Any:
        file = run.do("file", content=encoded(content))
        assert (file["size"], file["type"]) == (len(content), "pdf")
        told = {"text": "winning_evidence", "receipt": file["id"]}
        said = run.do("evidence", dispute=opened["id"], **told)
        assert said["receipt"] == file["id"]
        return said

    assert until(lambda: elsewhere(submit))["status"] in ("under_review", "won")
    until(lambda: run.do("dispute", dispute=opened["id"])["status"] == "won")
    digest = hashlib.sha256(content).hexdigest()
    sent = [each for each in run.books.all()["submissions"] if each["files"]]
    (row,) = (each for each in sent if each["files"]["receipt"]["sha256"] == digest)
    assert row["evidence"] == {"uncategorized_text": "winning_evidence"}


@step("send 300 to a bank account", "a payout of 300, paid")
def payout(run: Run) -> None:
    run.pay()
    before = {each["id"] for each in run.books.all()["payouts"]}
    made = run.do("payout", amount=300, destination="btok_sandbox")
    assert made["status"] in ("pending", "in_transit", "paid")
    until(lambda: run.do("payout_of", payout=made["id"])["status"] == "paid")
    rows = [each for each in run.books.all()["payouts"] if each["id"] not in before]
    assert [300, "paid"] in [[each["amount"], each["status"]] for each in rows]


@step(
    "read the balance, and all its transactions page by page: they add up",
    "the captures, less the refunds, are those of the transactions",
)
def balance(run: Run) -> None:
    paid = run.pay(900)
    run.do("refund", payment=paid["id"], amount=100)

    def exact() -> Any:
        """Disputes of earlier steps may end in between."""
        before, rows = run.do("balance"), run.do("transactions")
        return rows if before == run.do("balance") == {"eur": total(rows, "net")} else None

    rows = until(exact)
    charged = [each for each in rows if each["type"] == "charge"]
    taken = [run.books.charge(each) for each in {each["source"] for each in charged}]
    assert total(charged, "amount") == total(taken, "amount_captured")
    refunded = [each for each in rows if each["type"] == "refund"]
    assert total(refunded, "amount") == -total(taken, "amount_refunded")
    assert paid["charge"] in {each["source"] for each in charged}


def total(rows: list[dict[str, Any]], field: str) -> int:
    return sum(each[field] for each in rows)


@step(
    "make a payment method configuration without iDEAL, and pay by it",
    "a charge by card",
)
def configure_methods(run: Run) -> None:
    made = run.do("configuration", name=f"Kiosk {run.mark}")
    assert (made["card"], made["ideal"], made["listed"]) == ("on", "off", True)
    paid = run.pay(payment_method_configuration=made["id"])
    assert paid["status"] == "succeeded"
    assert "card" in paid["types"] and "ideal" not in paid["types"]
    assert run.books.charge(paid["charge"])["amount_captured"] == 1999


@step(
    "put a customer on a test clock, hold, and let ten days pass; delete the clock",
    "the hold has run out: voided, nothing captured",
)
def advance_a_clock(run: Run) -> None:
    now = int(time.time())

    def made() -> Any:
        clock = run.do("clock", frozen=now)["id"]
        return elsewhere(lambda: (clock, run.customer(test_clock=clock)) if home(clock) else None)

    clock, who = until(made)
    held = run.pay(customer=who, manual=True)
    run.do("advance", clock=clock, to=now + 10 * DAY_S)
    until(lambda: run.do("clock_of", clock=clock)["status"] == "ready")
    until(lambda: run.do("payment", payment=held["id"])["status"] == "canceled")
    assert run.do("payment", payment=held["id"])["reason"] == "expired"
    row = run.books.charge(held["charge"])
    assert (row["status"], row["captures"]) == ("voided", [])
    assert run.do("unclock", clock=clock)["deleted"]


@step(
    "take webhooks at an endpoint of the SDK's own API version: verify, deserialise, refuse a "
    "forged one; find the same event in the list",
    "the charge of the payment that was told of",
)
def events_and_webhooks(run: Run) -> None:
    wanted = {"url": f"{run.sink.url}/hook", "events": ["payment_intent.succeeded"]}
    own = run.do("version")["api_version"]
    hooks = [run.do("endpoint", **wanted, own=True), run.do("endpoint", **wanted, own=False)]
    assert (hooks[0]["api_version"], hooks[1]["api_version"] or None) == (own, None)
    try:
        paid = run.pay(2100)
        hits = until(lambda: both(run.sink.about(paid["id"])))
    finally:
        for each in hooks:
            assert run.do("unhook", endpoint=each["id"])["deleted"]
    told = {"type": "payment_intent.succeeded", "id": paid["id"], "received": 2100}
    ours = [hit for hit in hits if hit.event["api_version"] == own]
    hit = next(each for each in ours if genuine(run, each, hooks[0]) == told)
    forged = {"body": hit.body.decode() + " ", "signature": hit.headers["Stripe-Signature"]}
    error = run.sdk.refusal("judge", **forged, secret=hooks[0]["secret"])
    assert error["class"] == run.classes["signature"]
    if own != CURRENT:  # else the endpoint's version would tell nothing
        (newest,) = (each for each in hits if each.event["api_version"] == CURRENT)
        assert CURRENT in str(genuine(run, newest, hooks[1]))
    listed = run.do("events", type="payment_intent.succeeded")
    assert listed == {"id": hit.event["id"], "type": told["type"], "object": paid["id"]}
    assert run.books.charge(paid["charge"])["amount_captured"] == 2100


def both(hits: list[Any]) -> Any:
    return hits if len(hits) == 2 else None


def genuine(run: Run, hit: Any, hook: dict[str, Any]) -> Any:
    """What the SDK reads in a delivery to an endpoint, or why it does not."""
    signature = hit.headers["Stripe-Signature"]
    said = {"body": hit.body.decode(), "signature": signature, "secret": hook["secret"]}
    answer = run.sdk.say("judge", **said)
    return answer.get("got", answer.get("error"))


@step(
    "meet an error of each class: card, parameter, key, permission, rate, a body too large, no "
    "connection",
    "one declined charge, and none of the others",
)
def errors(run: Run) -> None:
    token = "pm_card_visa_chargeDeclinedInsufficientFunds"
    refusal = run.sdk.refusal
    declined = refusal("pay", amount=1999, method=token, description=run.mark)
    run.check(declined, "card", 402, "card_declined")
    assert declined["decline_code"] == "insufficient_funds"
    wrong = refusal("pay", amount=1999, method=VISA, currency="xxq", description=run.mark)
    run.check(wrong, "parameter", 400, "invalid_currency")
    assert wrong["param"] == "currency"
    run.check(refusal("balance", key="unknown"), "key", 401)
    run.check(refusal("balance", key="publishable"), "permission", 403)
    payment = run.pay()["id"]
    slow = {"payment": payment, "key": "slow", "retries": 0}
    often = until(lambda: run.sdk.say("payment", **slow).get("error"))
    run.check(often, "rate", 429)
    large = refusal("file", content=encoded(PDF + bytes(6_000_000)))
    assert (large["class"], large["status"]) == (run.classes["large"], 413), large
    nobody = refusal("balance", base_url="http://127.0.0.1:1", retries=0)
    assert nobody["class"] == run.classes["connection"]
    (row,) = run.books.having(description=run.mark)
    assert row["status"] == "declined"


@step(
    "with a restricted key that may read payments: read one, and be refused a refund",
    "no refund",
)
def restricted_key(run: Run) -> None:
    paid = run.pay()
    assert run.do("payment", payment=paid["id"], key="restricted")["id"] == paid["id"]
    refused = run.sdk.refusal("refund", payment=paid["id"], amount=1, key="restricted")
    run.check(refused, "permission", 403)
    assert "rak_refund_write" in refused["message"]
    assert run.books.charge(paid["charge"])["refunds"] == []


@step(
    "send a payment twice with one idempotency key, and another with the same key",
    "one charge",
)
def replay(run: Run) -> None:
    key = {"once": f"order-{run.mark}", "description": run.mark}
    first, second = run.pay(**key), run.pay(**key)
    assert (first.pop("replayed"), second.pop("replayed")) == (False, True)
    assert first == second
    other = run.sdk.refusal("pay", amount=2000, method=VISA, **key)
    run.check(other, "replay", 400)
    assert len(run.books.having(description=run.mark)) == 1
