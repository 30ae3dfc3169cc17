"""Mollie's Payments API: its pages for iDEAL, Bancontact, cards and others, cards by a token,
mandates, bank transfers.

Sources: https://github.com/mollie/api-documentation (March 2024), https://docs.mollie.com
(reference: create-payment, cancel-payment, create-capture, create-refund, api-idempotency;
payments: multicurrency, status-changes; docs: place-a-hold-for-a-payment, webhooks), and the
official https://github.com/mollie/mollie-api-python 4.0. Readings are in ``readings``.

How unknowns end: a charge by its id, a capture or refund among those of its payment, by our
reference in its metadata; else the request is repeated under the same key, within the hour. What
Mollie tells by itself is the payment's id, unsigned, at an address that has our reference: the
node asks.
"""

from urllib.parse import parse_qs, urlsplit

from bailiwick.base.ids import is_id
from bailiwick.channels.blocks import amounts, parsing, requests
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    CallbackRefused,
    CannotExpress,
    Family,
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
from bailiwick.channels.mollie import readings as read


class MollieChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        return requests.get(account, "/v2/methods", requests.bearer(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        return requests.credential_problem("Mollie", reply)

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: no token, no address to come back to, a hold of what is no card, or no
                provider id of the charge.
        """
        requests.only_declared(self.profile, instruction)
        headers = {**requests.bearer(account), "idempotency-key": instruction.reference}
        path, operation = "/v2/payments", instruction.operation
        if operation is not Operation.CHARGE:
            path = requests.of_charge("/v2/payments/{charge}", instruction)
        if operation is Operation.VOID:
            return Request("DELETE", requests.at(account, path), headers)
        value = amounts.to_major(self.profile, instruction.amount, instruction.currency)
        body: dict[str, object] = {
            "amount": {"currency": instruction.currency, "value": value},
            "description": instruction.description or instruction.reference,
            "metadata": {"reference": instruction.reference},
        }
        if operation is Operation.CHARGE:
            body |= _charge(instruction)
        else:
            path += "/captures" if operation is Operation.CAPTURE else "/refunds"
        return requests.post_json(account, path, headers, body)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        if reply.status not in (200, 201):
            return read.failure(instruction, reply)
        return read.answer(instruction, reply)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        operation, template = instruction.operation, None
        if way not in self.profile.resolve.get(operation, ()):
            return None
        if way is Resolve.REFERENCE:
            template = f"/v2/payments/{{known}}/{operation}s?limit=250"
        elif way is Resolve.PROVIDER_ID:
            template = "/v2/payments/{known}"
        headers, known = requests.bearer(account), instruction.provider_ref
        return requests.look_up(account, headers, template, known=known)

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status != 200:
            return unknown(parsing.not_answered(reply))
        return (read.listed if way is Resolve.REFERENCE else read.answer)(instruction, reply)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        named = parse_qs(notice.body.decode("utf-8", "replace")).get("id", [""])[0]
        if not named.isascii() or not named.replace("_", "").isalnum() or len(named) > 64:
            raise CallbackRefused("the callback cannot be read: there is no id in it")
        reference = parse_qs(urlsplit(notice.url).query).get("reference", [""])[0]
        if not is_id(reference, "ch") or not named.startswith("tr_"):
            return None  # of another use of the account
        return CallbackEvent(named, Operation.CHARGE, reference, named)


CHANNEL = MollieChannel()


def _charge(instruction: Instruction) -> dict[str, object]:
    kind, back = instruction.payment_method_type, instruction.return_url
    body: dict[str, object] = {"method": read.METHODS[kind]}
    if instruction.callback_url:
        body["webhookUrl"] = f"{instruction.callback_url}?reference={instruction.reference}"
    if not instruction.automatic:
        body["captureMode"] = "manual"
    token = (instruction.payment_method or "").removeprefix("tok_")
    if instruction.family is Family.TOKEN and token.startswith("cst_"):
        customer, found, mandate = token.partition("_mdt_")
        body |= {"mandateId": f"mdt_{mandate}"} if found else {}
        return {**body, "sequenceType": "recurring", "customerId": customer}
    if instruction.family is Family.TOKEN:
        if kind != "card" or not token.startswith("tkn_"):
            raise CannotExpress(
                "Mollie takes a card's token, or a customer with a mandate; nothing was sent. "
                "Give tok_tkn_..., tok_cst_... or tok_cst_..._mdt_....",
                param="payment_method",
            )
        body["cardToken"] = token
    if back is None:
        raise CannotExpress(
            "Mollie has to know where the payer comes back to; nothing was sent. Give it.",
            param="return_url",
        )
    return {**body, "redirectUrl": back}
