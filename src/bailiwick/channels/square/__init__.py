"""Square's Payments API: cards by a token or stored card, held or taken, and refunds.

Sources: https://github.com/square/connect-api-specification (api.json of 2025-08-19), the official
https://github.com/square/square-python-sdk 46.0, and https://developer.squareup.com/docs:
payments-api (take-payments/card-payments/delayed-capture, error-codes, webhooks),
build-basics (common-api-patterns/idempotency, international-development), webhooks/step3validate.
Readings are in ``readings``.

How unknowns end: a payment or refund by its id, else the request is repeated under the same key. A
charge that stays unknown is given up by its key. Captures and voids have no key; they can be
repeated, since a payment is captured but once, and whole: what is refused then is looked at.
"""

from urllib.parse import urlencode

from bailiwick.channels.blocks import amounts, marked, parsing, requests
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    CannotExpress,
    Instruction,
    Notice,
    Operation,
    Profile,
    Reply,
    Request,
    Resolve,
    Result,
    unknown,
)
from bailiwick.channels.square import readings as read

_VERSION = "2026-09-16"
_PATHS = {Operation.CAPTURE: "complete", Operation.VOID: "cancel"}


class SquareChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        place = urlencode({"location_id": account.options.get("location_id", ""), "limit": 1})
        return requests.get(account, f"/v2/payments?{place}", _headers(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        return requests.credential_problem("Square", reply)

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: no token, or nothing that names the charge.
        """
        requests.only_declared(self.profile, instruction)
        operation, own = instruction.operation, instruction.reference
        amount = amounts.to_provider(self.profile, instruction.amount, instruction.currency)
        headers = _headers(account)
        if operation in _PATHS:
            headers["x-request-id"] = own
            lost = operation is Operation.VOID and not instruction.provider_ref
            if lost and instruction.charge_reference:
                body = {"idempotency_key": instruction.charge_reference}
                return requests.post_json(account, "/v2/payments/cancel", headers, body)
            template = f"/v2/payments/{{charge}}/{_PATHS[operation]}"
            path = requests.of_charge(template, instruction)
            return requests.post_json(account, path, headers, {})
        given: dict[str, object] = {
            "idempotency_key": own,
            "amount_money": {"amount": amount, "currency": instruction.currency},
        }
        if operation is Operation.REFUND:
            given |= {"payment_id": parsing.charge_id(instruction), "reason": own}
            return requests.post_json(account, "/v2/refunds", headers, given)
        given |= {
            "autocomplete": instruction.automatic,
            "location_id": account.options.get("location_id", ""),
            "reference_id": marked.spelt(own, instruction.automatic),
            **_source(instruction),
        }
        return requests.post_json(account, "/v2/payments", headers, given)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        if reply.status != 200:
            return read.failure(instruction, reply)
        return read.answer(instruction, reply)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        kind = "refunds" if instruction.operation is Operation.REFUND else "payments"
        template = f"/v2/{kind}/{{known}}" if way is Resolve.PROVIDER_ID else None
        headers, known = _headers(account), instruction.provider_ref
        return requests.look_up(account, headers, template, known=known)

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status != 200:
            return unknown(parsing.not_answered(reply))
        told = read.answer(instruction, reply)
        return unknown("unreadable") if told.not_found else told

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        read.SIGNED.check(notice, account, now_ms)
        return read.told(notice.body)


CHANNEL = SquareChannel()


def _headers(account: Account) -> dict[str, str]:
    return {**requests.bearer(account), "square-version": _VERSION}


def _source(instruction: Instruction) -> dict[str, str]:
    """A token that was made in the browser (``tok_cnon_...``), or a stored card and its customer
    (``tok_ccof_..._...``). Square has a colon behind the kind, and dashes in its test tokens."""
    kind, _, rest = (instruction.payment_method or "").removeprefix("tok_").partition("_")
    if kind == "cnon" and rest:
        return {"source_id": f"cnon:{rest.replace('_', '-')}"}
    card, _, customer = rest.partition("_")
    if kind == "ccof" and card and customer:
        return {"source_id": f"ccof:{card}", "customer_id": customer}
    raise CannotExpress(
        "Square takes a card's token, or a stored card with its customer; nothing was sent. "
        "Give tok_cnon_... or tok_ccof_..._... with the customer's id behind the card's.",
        param="payment_method",
    )
