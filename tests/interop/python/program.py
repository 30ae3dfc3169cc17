"""The scenario's verbs with the stock Python SDK: only its key and its address are ours.

The first line of standard input says where and with which keys; each further line is one verb,
``{"verb": ..., "key": ..., ...}``, and is answered by one line: what was got, or the SDK's error.
"""

import base64
import io
import json
import sys
from typing import Any

import stripe


def brief(payment: stripe.PaymentIntent) -> dict[str, Any]:
    shown = payment.to_dict()  # a payer's key is not shown everything
    return {
        "id": payment.id,
        "status": payment.status,
        "amount": payment.amount,
        "received": shown.get("amount_received"),
        "capturable": shown.get("amount_capturable"),
        "charge": shown.get("latest_charge"),
        "method": shown.get("payment_method"),
        "reason": shown.get("cancellation_reason"),
        "types": shown.get("payment_method_types"),
        "metadata": shown.get("metadata"),
        "secret": payment.client_secret,
    }


class Verbs:
    def __init__(self, client: stripe.StripeClient) -> None:
        self.api = client.v1
        self.client = client

    def version(self) -> Any:
        return {"api_version": stripe.api_version, "sdk": stripe.VERSION}

    def pay(
        self, amount: int, method: str | None = None, manual: bool = False, flexible: bool = False,
        save: bool = False, once: str | None = None, **given: Any,
    ) -> Any:  # fmt: skip
        wish: Any = {"amount": amount, "currency": "eur", **given}
        if method:
            wish |= {"payment_method": method, "confirm": True}
        if manual:
            wish["capture_method"] = "manual"
        if save:
            wish["setup_future_usage"] = "off_session"
        if flexible:
            able = {"request_multicapture": "if_available"}
            able["request_incremental_authorization"] = "if_available"
            wish["payment_method_options"] = {"card": able}
        made = self.api.payment_intents.create(wish, {"idempotency_key": once} if once else {})
        headers = made.last_response.headers
        return {**brief(made), "replayed": headers.get("Idempotent-Replayed") == "true"}

    def confirm(self, payment: str, method: str) -> Any:
        return brief(self.api.payment_intents.confirm(payment, {"payment_method": method}))

    def increment(self, payment: str, amount: int) -> Any:
        wish: Any = {"amount": amount}
        return brief(self.api.payment_intents.increment_authorization(payment, wish))

    def capture(self, payment: str, amount: int, final: bool) -> Any:
        wish: Any = {"amount_to_capture": amount, "final_capture": final}
        return brief(self.api.payment_intents.capture(payment, wish))

    def cancel(self, payment: str) -> Any:
        return brief(self.api.payment_intents.cancel(payment))

    def payment(self, payment: str, secret: str | None = None) -> Any:
        wish: Any = {"client_secret": secret} if secret else {}
        return brief(self.api.payment_intents.retrieve(payment, wish))

    def expanded(self, payment: str) -> Any:
        wish: Any = {"expand": ["latest_charge.balance_transaction", "customer"]}
        got = self.api.payment_intents.retrieve(payment, wish)
        charge, who = got.latest_charge, got.customer
        assert isinstance(charge, stripe.Charge) and isinstance(who, stripe.Customer)
        assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
        net = charge.balance_transaction.net
        return {"charge": charge.id, "paid": charge.paid, "net": net, "name": who.name}

    def refund(self, payment: str, amount: int) -> Any:
        made = self.api.refunds.create({"payment_intent": payment, "amount": amount})
        return {"id": made.id, "status": made.status, "amount": made.amount}

    def customer(self, **given: Any) -> Any:
        return {"id": self.api.customers.create(given).id}  # type: ignore[arg-type]

    def setup(self, customer: str, method: str) -> Any:
        accepted = {"customer_acceptance": {"type": "offline", "offline": {}}}
        wish: Any = {
            "customer": customer, "payment_method": method, "confirm": True,
            "mandate_data": accepted, "expand": ["mandate"],
        }  # fmt: skip
        made = self.api.setup_intents.create(wish)
        assert isinstance(made.mandate, stripe.Mandate)
        mandate = self.api.mandates.retrieve(made.mandate.id)
        return {"id": made.id, "status": made.status, "method": made.payment_method,
                "mandate": mandate.status}  # fmt: skip

    def listed(self, customer: str) -> Any:
        wish: Any = {"customer": customer, "limit": 1, "expand": ["data.latest_charge"]}
        found = self.api.payment_intents.list(wish).auto_paging_iter()
        return [{"id": each.id, "charge": each.latest_charge.id} for each in found]  # type: ignore[union-attr]

    def search(self, query: str) -> Any:
        wish: Any = {"query": query, "limit": 1}
        return [each.id for each in self.api.payment_intents.search(wish).auto_paging_iter()]

    def disputes(self, payment: str) -> Any:
        found = self.api.disputes.list({"payment_intent": payment}).data
        return [{"id": each.id, "status": each.status, "amount": each.amount} for each in found]

    def dispute(self, dispute: str) -> Any:
        return {"status": self.api.disputes.retrieve(dispute).status}

    def file(self, content: str) -> Any:
        wish: Any = {"purpose": "dispute_evidence", "file": io.BytesIO(base64.b64decode(content))}
        made = self.api.files.create(wish)
        return {"id": made.id, "size": made.size, "type": made.type}

    def evidence(self, dispute: str, text: str, receipt: str) -> Any:
        wish: Any = {"evidence": {"uncategorized_text": text, "receipt": receipt}}
        after = self.api.disputes.update(dispute, wish)
        return {"status": after.status, "receipt": after.evidence.receipt}

    def payout(self, amount: int, destination: str) -> Any:
        wish: Any = {"amount": amount, "currency": "eur", "destination": destination}
        made = self.api.payouts.create(wish)
        return {"id": made.id, "status": made.status}

    def payout_of(self, payout: str) -> Any:
        return {"status": self.api.payouts.retrieve(payout).status}

    def balance(self) -> Any:
        return {each.currency: each.amount for each in self.api.balance.retrieve().available}

    def transactions(self) -> Any:
        found = self.api.balance_transactions.list({"limit": 3}).auto_paging_iter()
        return [
            {"type": each.type, "amount": each.amount, "net": each.net, "source": each.source}
            for each in found
        ]

    def configuration(self, name: str) -> Any:
        off: Any = {"display_preference": {"preference": "off"}}
        configurations = self.api.payment_method_configurations
        made = configurations.create({"name": name, "ideal": off})
        assert made.card is not None and made.ideal is not None
        listed = [each.id for each in configurations.list().auto_paging_iter()]
        return {"id": made.id, "listed": made.id in listed,
                "card": made.card.display_preference.value,
                "ideal": made.ideal.display_preference.value}  # fmt: skip

    def clock(self, frozen: int) -> Any:
        made = self.api.test_helpers.test_clocks.create({"frozen_time": frozen})
        return {"id": made.id, "status": made.status}

    def advance(self, clock: str, to: int) -> Any:
        return {
            "status": self.api.test_helpers.test_clocks.advance(clock, {"frozen_time": to}).status
        }

    def clock_of(self, clock: str) -> Any:
        return {"status": self.api.test_helpers.test_clocks.retrieve(clock).status}

    def unclock(self, clock: str) -> Any:
        return {"deleted": self.api.test_helpers.test_clocks.delete(clock).deleted}

    def events(self, type: str) -> Any:
        page = self.api.events.list({"type": type, "limit": 1})
        found = self.api.events.retrieve(page.data[0].id)
        return {"id": found.id, "type": found.type, "object": found.data.object["id"]}

    def endpoint(self, url: str, events: list[str], own: bool) -> Any:
        wish: Any = {"url": url, "enabled_events": events}
        if own:
            wish["api_version"] = stripe.api_version
        made = self.api.webhook_endpoints.create(wish)
        return {"id": made.id, "secret": made.secret, "api_version": made.api_version}

    def unhook(self, endpoint: str) -> Any:
        return {"deleted": self.api.webhook_endpoints.delete(endpoint).deleted}

    def judge(self, body: str, signature: str, secret: str) -> Any:
        event = self.client.construct_event(body, signature, secret)
        payment = event.data.object
        assert isinstance(payment, stripe.PaymentIntent)
        return {"type": event.type, "id": payment.id, "received": payment.amount_received}


def failure(error: stripe.StripeError) -> dict[str, Any]:
    return {
        "class": type(error).__name__,
        "status": error.http_status,
        "code": error.code,
        "decline_code": getattr(error.error, "decline_code", None),
        "param": getattr(error, "param", None),
        "message": str(error),
        "request_id": error.request_id,
    }


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        asked = json.loads(line)
        here = asked.pop("base_url", settings["base_url"])
        client = stripe.StripeClient(
            settings["keys"][asked.pop("key", "secret")],
            base_addresses={"api": here, "files": here},
            max_network_retries=asked.pop("retries", 2),
        )
        try:
            said = {"got": getattr(Verbs(client), asked.pop("verb"))(**asked)}
        except stripe.StripeError as error:
            said = {"error": failure(error)}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
