"""A proxy that makes the foreign peer of the Stripe channel behave like its original.

The peer is a happy-path simulator. What it lacks is added here, each quirk in one place:

- it rejects parameters that the original takes: they are kept back;
- it shows no ``amount_received`` and ``amount_capturable``: they are added, unless a test asks
  for answers without them;
- it ignores ``Idempotency-Key``: first answers are stored and repeated;
- it takes refunds above the payment: they are refused;
- its declines have the wrong type and no payment: both are put right;
- it has no account: the proxy answers for it.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bailiwick.channels.blocks import signatures
from tests.interop.kit import call, serving

API_KEY = "sk_test_peer"
CALLBACK_SECRET = "whsec_peer"

_KEPT_BACK = (
    "allowed_payment_method_types",
    "automatic_payment_methods",
    "cancellation_reason",
    "description",
    "reason",
    "return_url",
)
Body = dict[str, Any]
Fields = list[tuple[str, str]]


class Answer:
    """What is answered, and repeated for the same key."""

    def __init__(self, status: int, body: Body) -> None:
        self.status = status
        self.body = body


class Quirks:
    """The proxy's state. `peer`: address of the peer, once there is one.

    Attributes:
        without_amounts: answer as the peer does, without received and capturable amounts.
        lose_answers: pass on what moves money, but store and answer a 500.
        callback_url: where callbacks of the peer go when they come through the proxy.
        calls: method and path of what was passed on.
    """

    def __init__(self) -> None:
        self.url = ""
        self.peer = ""
        self.without_amounts = False
        self.lose_answers = False
        self.callback_url = ""
        self.calls: list[tuple[str, str]] = []
        self._stored: dict[str, Answer] = {}
        self._received: dict[str, int] = {}
        self._refunded: dict[str, int] = {}
        self._lock = threading.Lock()

    def answer(self, method: str, target: str, key: str | None, body: bytes) -> tuple[Answer, bool]:
        """The answer, and whether it is a repetition."""
        path = urlsplit(target).path
        if path == "/v1/account":
            return Answer(200, {"id": "acct_peer", "object": "account"}), False
        # One request at a time: the peer itself knows no concurrency either.
        with self._lock:
            if key is not None and key in self._stored:
                return self._stored[key], True
            fields = parse_qsl(body.decode(), keep_blank_values=True)
            answer = self._pass_on(method, target, path, fields)
            if self.lose_answers and method == "POST":
                answer = Answer(500, {"error": {"type": "api_error", "message": "lost"}})
            if key is not None:
                self._stored[key] = answer
            return answer, False

    def _pass_on(self, method: str, target: str, path: str, fields: Fields) -> Answer:
        payment = self._payment_of(path, fields)
        if path == "/v1/refunds" and method == "POST":
            refused = self._over_refund(payment, fields)
            if refused is not None:
                return refused
        later = _metadata(fields) if path.endswith("/capture") else []
        sent = [pair for pair in fields if pair not in later and not _kept_back(pair[0])]
        self.calls.append((method, path))
        answer = self._ask(method, target, sent)
        if later and answer.status == 200:
            answer = self._ask("POST", f"/v1/payment_intents/{payment}", later)
        if answer.status == 200:
            self._count(path, payment, dict(fields), answer.body)
        return self._repaired(answer)

    def _ask(self, method: str, target: str, fields: Fields) -> Answer:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        got = call(method, self.peer + target, form=fields or None, headers=headers)
        return Answer(got.status, got.json())

    @staticmethod
    def _payment_of(path: str, fields: Fields) -> str:
        parts = path.split("/")
        if parts[2] == "payment_intents" and len(parts) > 3:
            return parts[3]
        return dict(fields).get("payment_intent", "")

    def _over_refund(self, payment: str, fields: Fields) -> Answer | None:
        free = self._received.get(payment, 0) - self._refunded.get(payment, 0)
        if int(dict(fields).get("amount", "0")) <= free:
            return None
        fault = {
            "type": "invalid_request_error",
            "code": "charge_already_refunded" if free == 0 else "amount_too_large",
            "message": f"Refund amount is greater than unrefunded amount on charge ({free}).",
        }
        return Answer(400, {"error": fault})

    def _count(self, path: str, payment: str, fields: Body, body: Body) -> None:
        if body.get("object") == "refund" and path == "/v1/refunds":
            self._refunded[payment] = self._refunded.get(payment, 0) + body["amount"]
        if body.get("object") == "payment_intent" and body["status"] == "succeeded":
            taken = int(fields.get("amount_to_capture") or body["amount"])
            self._received.setdefault(body["id"], taken)

    def _repaired(self, answer: Answer) -> Answer:
        body = answer.body
        if answer.status == 402:
            fault = {**body["error"], "type": "card_error"}
            return Answer(402, {"error": fault})
        if body.get("object") == "payment_intent" and not self.without_amounts:
            body = self.with_amounts(body)
        return Answer(answer.status, body)

    def with_amounts(self, intent: Body) -> Body:
        """A payment of the peer with what it took and what it holds."""
        held = intent["status"] == "requires_capture"
        return {
            **intent,
            "amount_received": self._received.get(intent["id"], 0),
            "amount_capturable": intent["amount"] if held else 0,
        }

    def callback(self, signature: str, body: bytes) -> int:
        """A callback of the peer, passed on with its amounts and a signature over them."""
        event = json.loads(body)
        stamp = int(dict(part.split("=", 1) for part in signature.split(","))["t"])
        if signature != f"t={stamp},v1={signatures.sign(CALLBACK_SECRET, stamp, body)}":
            return 400
        intent = event["data"]["object"]
        with self._lock:
            if intent["object"] == "payment_intent":
                if intent["status"] == "succeeded":
                    self._received.setdefault(intent["id"], intent["amount"])
                event["data"]["object"] = self.with_amounts(intent)
        if not self.callback_url:
            return 200
        changed = json.dumps(event).encode()
        parts = urlsplit(self.callback_url)
        headers = {
            "Content-Type": "application/json",
            "Stripe-Signature": f"t={stamp},v1={signatures.sign(CALLBACK_SECRET, stamp, changed)}",
        }
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        try:
            connection.request("POST", parts.path, changed, headers)
            return connection.getresponse().status
        finally:
            connection.close()


def _kept_back(name: str) -> bool:
    return name.partition("[")[0] in _KEPT_BACK


def _metadata(fields: Fields) -> Fields:
    return [pair for pair in fields if pair[0].startswith("metadata[")]


@contextmanager
def quirks_proxy() -> Iterator[Quirks]:
    """The proxy on loopback."""
    proxy = Quirks()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.path == "/callback":
                self._send(proxy.callback(self.headers["Stripe-Signature"], body), {}, False)
                return
            key = self.headers.get("Idempotency-Key")
            answer, again = proxy.answer(self.command, self.path, key, body)
            self._send(answer.status, answer.body, again)

        do_GET = do_POST = _serve

        def _send(self, status: int, body: Body, again: bool) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            if again:
                self.send_header("Idempotent-Replayed", "true")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with serving(Handler) as url:
        proxy.url = url
        yield proxy
