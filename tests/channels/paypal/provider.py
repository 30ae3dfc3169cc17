"""PayPal, as far as tests need it: books kept by the rules that it has documented.

It knows a request by its key and does it once, takes an invoice's number once, completes an order
that its payer has approved and no other, and gives back no more than a capture has taken.
"""

import json
import re
from collections import defaultdict
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from bailiwick.channels.contract import Exchange, Permit, Phase, Reply, Request
from bailiwick.channels.paypal import CHANNEL
from tests.channels.kit import of
from tests.postgres.node_kit import Bank

Body = dict[str, Any]
_PLACES = {
    "create": r"POST /v2/checkout/orders",
    "complete": r"POST /v2/checkout/orders/(\w+)/(?:capture|authorize)",
    "capture": r"POST /v2/payments/authorizations/(\w+)/capture",
    "void": r"POST /v2/payments/authorizations/(\w+)/void",
    "refund": r"POST /v2/payments/captures/(\w+)/refund",
    "read_order": r"GET /v2/checkout/orders/(\w+)",
    "read_capture": r"GET /v2/payments/captures/(CAPTURE\w+)",
    "read_refund": r"GET /v2/payments/refunds/(REFUND\w+)",
}


class Refused(Exception):
    """It is not done; the issue says why."""


class PayPal(Bank):
    """See the module's description; a gateway of the channel's, too.

    Attributes:
        faults: by what is asked for (``create``, ``complete``, ``capture``, ``void``, ``refund``),
            what becomes of the next ones: never (it does not arrive), lost (the answer is), error
            (500, though it is done).
        orders, made: by their ids; ``made`` are authorizations, captures and refunds.
        poor: payers whose wallet is declined, by our reference.
    """

    def __init__(self) -> None:
        super().__init__("paypal", CHANNEL.profile)
        self.channel, self.account = CHANNEL, of(CHANNEL).cases.account
        self.methods, self.takes = frozenset({"paypal"}), CHANNEL.profile.methods["paypal"]
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.asked: list[str] = []
        self.orders: dict[str, Body] = {}
        self.made: dict[str, Body] = {}
        self.poor: set[str] = set()
        self._kept: dict[str, Body] = {}

    def approve(self, reference: str) -> Body:
        """The payer approves the order of a charge at PayPal's page."""
        order = self.order_of(reference)
        assert order["status"] == "PAYER_ACTION_REQUIRED"
        order["status"] = "APPROVED"
        return order

    def order_of(self, reference: str) -> Body:
        (found,) = (
            each for each in self.orders.values()
            if each["purchase_units"][0]["custom_id"] == reference
        )  # fmt: skip
        return found

    def forget_keys(self) -> None:
        """More hours have passed than it keeps keys for."""
        self._kept.clear()

    def taken(self) -> int:
        sums = {"CAPTURE": 1, "REFUND": -1, "AUTHORIZATION": 0}
        return sum(sums[each["kind"]] * cents(each["amount"]) for each in self.made.values())

    def many(self, what: str) -> int:
        """How often it was asked for something."""
        return self.asked.count(what)

    async def exchange(self, request: Request, permit: Permit | None = None) -> Exchange:
        line = f"{request.method} {urlsplit(request.url).path}"
        place, found = next(
            (place, found) for place, form in _PLACES.items() if (found := re.fullmatch(form, line))
        )
        self.asked.append(place)
        fault = self.faults[place].pop(0) if self.faults[place] else ""
        if fault == "never":
            return Exchange(Phase.SENT, None, "reset")
        reply = self._answer(place, found.groups()[0] if found.groups() else "", request)
        if fault == "lost":
            return Exchange(Phase.SENT, None, "timeout")
        if fault == "error":
            reply = Reply(500, {}, b'{"name":"INTERNAL_SERVER_ERROR","message":"It is ours."}')
        return Exchange(Phase.ANSWERED, reply)

    def _answer(self, place: str, known: str, request: Request) -> Reply:
        if place.startswith("read"):
            here = self.orders.get(known) or self.made.get(known)
            return said(200, here) if here else no(404, "INVALID_RESOURCE_ID")
        key = request.headers["paypal-request-id"]
        if key in self._kept:
            return said(200, self._kept[key])
        given: Body = json.loads(request.body or b"{}")
        try:
            done: Body = getattr(self, f"_{place}")(known, given)
        except Refused as refused:
            return no(404 if str(refused) == "INVALID_RESOURCE_ID" else 422, str(refused))
        self._kept[key] = done
        return said(200 if place == "void" else 201, done)

    def _create(self, _: str, given: Body) -> Body:
        known = f"ORDER{len(self.orders)}"
        page = {"rel": "payer-action", "href": f"https://www.paypal.test/{known}"}
        status = "PAYER_ACTION_REQUIRED"
        self.orders[known] = {**given, "id": known, "status": status, "links": [page]}
        return self.orders[known]

    def _complete(self, known: str, _: Body) -> Body:
        order = self.orders[known]
        (unit,) = order["purchase_units"]
        if order["status"] == "COMPLETED":
            raise Refused("ORDER_ALREADY_CAPTURED")
        if order["status"] != "APPROVED":
            raise Refused("ORDER_NOT_APPROVED")
        if unit["custom_id"] in self.poor:
            raise Refused("INSTRUMENT_DECLINED")
        kind = {"CAPTURE": "captures", "AUTHORIZE": "authorizations"}[order["intent"]]
        numbers = {name: unit[name] for name in ("custom_id", "invoice_id", "amount")}
        status = "COMPLETED" if kind == "captures" else "CREATED"
        made = self._make(kind[:-1].upper(), status=status, **numbers)
        unit["payments"], order["status"] = {kind: [made]}, "COMPLETED"
        return order

    def _capture(self, known: str, given: Body) -> Body:
        held = self._of(known, "AUTHORIZATION")
        if held["status"] == "VOIDED":
            raise Refused("AUTHORIZATION_VOIDED")
        if held["status"] == "CAPTURED":
            raise Refused("AUTHORIZATION_ALREADY_CAPTURED")
        if cents(given["amount"]) > cents(held["amount"]):
            raise Refused("MAX_CAPTURE_AMOUNT_EXCEEDED")
        made = self._make("CAPTURE", status="COMPLETED", custom_id=held["custom_id"], **given)
        held["status"] = "CAPTURED"
        return made

    def _void(self, known: str, _: Body) -> Body:
        held = self._of(known, "AUTHORIZATION")
        if held["status"] != "CREATED":
            raise Refused(f"PREVIOUSLY_{held['status']}")
        held["status"] = "VOIDED"
        return held

    def _refund(self, known: str, given: Body) -> Body:
        taken = self._of(known, "CAPTURE")
        back = sum(cents(each["amount"]) for each in self.made.values() if each.get("of") == known)
        if back + cents(given["amount"]) > cents(taken["amount"]):
            raise Refused("REFUND_AMOUNT_EXCEEDED")
        return self._make("REFUND", status="COMPLETED", of=known, **given)

    def _of(self, known: str, kind: str) -> Body:
        found = self.made.get(known)
        if found is None or found["kind"] != kind:
            raise Refused("INVALID_RESOURCE_ID")
        return found

    def _make(self, kind: str, **told: Any) -> Body:
        numbers = {(each["kind"], each["invoice_id"]) for each in self.made.values()}
        if (kind, told["invoice_id"]) in numbers:
            raise Refused("DUPLICATE_INVOICE_ID")
        known = f"{kind}{len(self.made)}"
        self.made[known] = {"id": known, "kind": kind, **told}
        return self.made[known]


def cents(amount: Body) -> int:
    return int(Decimal(amount["value"]).scaleb(2))


def said(status: int, told: Body) -> Reply:
    return Reply(status, {}, json.dumps(told).encode())


def no(status: int, issue: str) -> Reply:
    """How it says that nothing was done."""
    name = "RESOURCE_NOT_FOUND" if status == 404 else "UNPROCESSABLE_ENTITY"
    return said(status, {"name": name, "message": "No.", "details": [{"issue": issue}]})
