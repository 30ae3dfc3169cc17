"""The sandbox as a process: its HTTP face, its faults as a client sees them, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import bailiwick_sandbox
from bailiwick_sandbox import config
from tests.waiting import PATIENCE_S, wait_until

BANK = "rhein-bank"
Json = dict[str, Any]


class Sandbox:
    """One sandbox process; ``stop`` ends it, ``start`` starts it again on the same books."""

    def __init__(self, folder: Path, public_url: str = "") -> None:
        self.path = folder / "sandbox.toml"
        self.config = config.write_default(self.path, settle_ms=100, public_url=public_url)
        self.keys = {provider.name: provider.api_key for provider in self.config.providers}
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "bailiwick_sandbox", "--json"]
        source = str(Path(bailiwick_sandbox.__file__).parent.parent)
        self.process = subprocess.Popen(
            [*command, "--config", str(self.path), "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": source},
        )
        assert self.process.stdout is not None
        self.url: str = json.loads(self.process.stdout.readline())["url"]
        self.address = ("127.0.0.1", int(self.url.rsplit(":", 1)[1]))

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def call(
        self, method: str, path: str, body: Json | bytes | None = None, timeout: float = PATIENCE_S
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection(*self.address, timeout=timeout)
        key = self.keys.get(path.split("/")[1], "")
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        with contextlib.closing(connection):
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            read = response.read()
            is_json = response.headers["content-type"] == "application/json"
            return response.status, json.loads(read) if is_json else read, response.headers

    def charge(self, reference: str, source: str = "pm_card_visa", **more: Any) -> Json:
        body = {"reference": reference, "amount": 1000, "currency": "EUR", "source": source}
        status, told, _ = self.call("POST", f"/{BANK}/charges", {**body, "capture": True, **more})
        assert status == 200, told
        charge: Json = told
        return charge

    def operation(self, reference: str) -> tuple[int, Json]:
        return self.call("GET", f"/{BANK}/operations/{reference}")[:2]

    def booked(self, reference: str) -> list[Json]:
        books = self.call("GET", f"/books?provider={BANK}")[1]
        return [row for row in books["charges"] if row["reference"] == reference]

    def fault(self, operation: str, kind: str, **more: Any) -> None:
        rule = {"provider": BANK, "operation": operation, "kind": kind, "times": 1, **more}
        status, told, _ = self.call("POST", "/faults", rule)
        assert status == 200, told


class Sink:
    """A merchant's side that takes callbacks; the first ``refusals`` get 500."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, str]] = []
        self.refusals = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                sink.got.append((body, self.headers["sandbox-signature"]))
                sink.refusals -= 1
                self.send_response(500 if sink.refusals >= 0 else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/in"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def wait(self, count: int) -> list[Json]:
        wait_until(lambda: len(self.got) >= count)
        return [json.loads(body) for body, _ in self.got]

    def genuine(self, index: int, secret: str) -> bool:
        body, signature = self.got[index]
        stamp, mac = (part.split("=")[1] for part in signature.split(","))
        mine = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
        return hmac.compare_digest(mac, mine.hexdigest())


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    assert sandbox.stop() == 0


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.server.shutdown()
    made.server.server_close()


def secret_of(bank: Sandbox) -> str:
    return next(p.callback_secret for p in bank.config.providers if p.name == BANK)


def test_account_and_authorization(bank: Sandbox) -> None:
    status, account, _ = bank.call("GET", f"/{BANK}/account")
    assert (status, account["kind"], account["currencies"]) == (200, "large_domestic_bank", None)
    with contextlib.closing(http.client.HTTPConnection(*bank.address, timeout=PATIENCE_S)) as other:
        other.request("GET", f"/{BANK}/account", headers={"Authorization": "Bearer other"})
        assert other.getresponse().status == 401


def test_a_charge_through_its_life(bank: Sandbox) -> None:
    charge = bank.charge("life", capture=False)
    assert charge["status"] == "authorized"
    body = {"reference": "life-c", "amount": 600}
    status, told, _ = bank.call("POST", f"/{BANK}/charges/{charge['id']}/capture", body)
    assert (status, told["amount_captured"]) == (200, 600)
    refund = {"reference": "life-r", "charge": charge["id"], "amount": 600}
    status, told, _ = bank.call("POST", f"/{BANK}/refunds", refund)
    assert (status, told["status"]) == (200, "succeeded")
    assert bank.call("POST", f"/{BANK}/refunds", refund)[2]["sandbox-replayed"] == "true"
    status, told, _ = bank.call("POST", f"/{BANK}/refunds", {**refund, "reference": "life-s"})
    assert (status, told["error"]["code"]) == (422, "amount_too_large")
    assert bank.operation("life-r")[1]["refund"]["amount"] == 600
    assert bank.operation("life-c")[1]["type"] == "capture"


async def test_a_hundred_at_once_are_one_charge(bank: Sandbox) -> None:
    body = {"reference": "crowd", "amount": 1, "currency": "EUR", "source": "tok_visa"}
    headers = {"Authorization": f"Bearer {bank.keys[BANK]}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def one() -> str:
            url = f"{bank.url}/{BANK}/charges"
            async with session.post(url, json={**body, "capture": True}) as response:
                assert response.status == 200
                told: Json = await response.json()
                return str(told["id"])

        assert len(set(await asyncio.gather(*(one() for _ in range(100))))) == 1
    assert len(bank.booked("crowd")) == 1


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "charge_then_hang", "hang_before"])
def test_no_answer(bank: Sandbox, kind: str) -> None:
    with pytest.raises((ConnectionResetError, TimeoutError)) as caught:
        body = {"reference": kind, "amount": 1, "currency": "EUR", "capture": True}
        body["source"] = f"pm_sandbox_{kind}"
        patience = PATIENCE_S if kind.startswith("reset") else 0.5
        bank.call("POST", f"/{BANK}/charges", body, timeout=patience)
    expected = ConnectionResetError if kind.startswith("reset") else TimeoutError
    assert isinstance(caught.value, expected)
    if kind.endswith("before"):
        assert bank.operation(kind)[0] == 404
    else:
        wait_until(lambda: bank.operation(kind)[0] == 200)
        assert bank.operation(kind)[1]["status"] == "succeeded"


@pytest.mark.parametrize(
    ("kind", "status", "charged"),
    [
        ("charge_then_500", 500, True),
        ("error_500_before", 500, False),
        ("rate_limited", 429, False),
        ("credentials_revoked", 401, False),
    ],
)
def test_bad_answers_happen_once(bank: Sandbox, kind: str, status: int, charged: bool) -> None:
    body = {"reference": kind, "amount": 1, "currency": "EUR", "capture": True}
    body["source"] = f"pm_sandbox_{kind}"
    first = bank.call("POST", f"/{BANK}/charges", body)
    assert first[0] == status
    assert first[2]["retry-after"] == ("1" if status == 429 else None)
    assert len(bank.booked(kind)) == charged
    again = bank.call("POST", f"/{BANK}/charges", body)
    assert (again[0], again[2]["sandbox-replayed"]) == (200, "true" if charged else None)


def test_unreadable_answers(bank: Sandbox) -> None:
    bank.fault("charge", "garbage")
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        bank.charge("garbage")
    bank.fault("charge", "truncated")
    with pytest.raises(http.client.IncompleteRead):
        bank.charge("truncated")
    bank.fault("charge", "huge", params={"bytes": 5_000_000})
    assert len(bank.charge("huge")["padding"]) > 4_900_000
    for reference in ("garbage", "truncated", "huge"):
        assert bank.operation(reference)[1]["charge"]["status"] == "captured"


def test_late_and_eventual(bank: Sandbox) -> None:
    for kind, more, booked in (("late", {"answer": "500"}, 0), ("eventual_read", {}, 1)):
        for delay_ms in (3_600_000, 300):
            reference = f"{kind}-{delay_ms}"
            bank.fault("charge", kind, params={"delay_ms": delay_ms, **more})
            with pytest.raises(AssertionError, match="internal_error"):
                bank.charge(reference)
        assert bank.operation(f"{kind}-3600000")[0] == 404
        assert len(bank.booked(f"{kind}-3600000")) == booked
        wait_until(lambda soon=f"{kind}-300": bank.operation(soon)[0] != 404)
        assert bank.operation(f"{kind}-300")[1]["status"] == "succeeded"


def test_lies_and_partial_approval(bank: Sandbox) -> None:
    assert bank.charge("lie-a", "pm_sandbox_wrong_amount")["amount"] == 1100
    assert bank.operation("lie-a")[1]["charge"]["amount"] == 1100
    assert bank.booked("lie-a")[0]["amount"] == 1000
    assert bank.charge("lie-c", "pm_sandbox_wrong_currency")["currency"] == "USD"
    assert "amount" not in bank.charge("lie-m", "pm_sandbox_missing_amount")
    part = bank.charge("part", "pm_sandbox_partial_approval")
    assert (part["amount"], part["amount_captured"]) == (1000, 500)


def test_pending_ends_with_a_signed_callback_tried_again(bank: Sandbox, sink: Sink) -> None:
    sink.refusals = 1
    charge = bank.charge("pend", "pm_sandbox_pending", callback_url=sink.url)
    assert charge["status"] == "pending"
    first, second = sink.wait(2)
    assert first == second
    assert (first["type"], first["data"]["status"]) == ("charge.updated", "captured")
    assert sink.genuine(0, secret_of(bank))
    assert not sink.genuine(0, "another secret")


def test_spoiled_callbacks(bank: Sandbox, sink: Sink) -> None:
    bank.charge("forged", "pm_sandbox_callback_forged_signature", callback_url=sink.url)
    events = sink.wait(2)
    assert [sink.genuine(n, secret_of(bank)) for n in (0, 1)] == [False, True]
    assert events[0]["data"]["amount"] == 10 * events[1]["data"]["amount"]
    bank.charge("twice", "pm_sandbox_duplicate_callback", callback_url=sink.url)
    assert len({event["id"] for event in sink.wait(7)[2:]}) == 1
    bank.charge("shuffled", "pm_sandbox_callback_shuffle", callback_url=sink.url)
    statuses = [event["data"]["status"] for event in sink.wait(9)[7:]]
    assert statuses == ["captured", "pending"]
    bank.charge("early", "pm_sandbox_early_callback", callback_url=sink.url)
    assert len(sink.got) == 10
    bank.charge("none", "pm_sandbox_no_callback", callback_url=sink.url)
    bank.charge("flip", "pm_sandbox_decline_then_success", callback_url=sink.url)
    assert sink.wait(11)[10]["data"]["reference"] == "flip"
    assert bank.operation("none")[1]["status"] == "succeeded"


def test_refunds_that_end_later(bank: Sandbox, sink: Sink) -> None:
    charge = bank.charge("ref", "pm_card_refundFail")
    refund = {"reference": "ref-f", "charge": charge["id"], "amount": 10, "callback_url": sink.url}
    assert bank.call("POST", f"/{BANK}/refunds", refund)[1]["status"] == "succeeded"
    event = sink.wait(1)[0]
    assert (event["type"], event["data"]["status"]) == ("refund.updated", "failed")


def test_the_payer_is_sent_there_and_back(bank: Sandbox, sink: Sink) -> None:
    charge = bank.charge(
        "3ds",
        "pm_card_threeDSecure2Required",
        capture=False,
        return_url="https://shop.example/done?order=1#top",
        callback_url=sink.url,
        description="<b>shoes</b>",
    )
    assert charge["status"] == "action_required"
    path = charge["redirect_url"].removeprefix(bank.url)
    status, page, headers = bank.call("GET", path)
    assert status == 200
    assert b"10.00 EUR" in page
    assert b"&lt;b&gt;" in page
    assert b"<b>" not in page
    assert "default-src 'none'" in headers["content-security-policy"]
    assert bank.call("POST", path, b"decision=maybe")[0] == 400
    status, _, headers = bank.call("POST", path, b"decision=approve")
    assert status == 303
    assert headers["location"] == "https://shop.example/done?order=1&reference=3ds#top"
    assert sink.wait(1)[0]["data"]["status"] == "authorized"
    assert bank.call("POST", path, b"decision=decline")[0] == 303
    assert bank.operation("3ds")[1]["charge"]["status"] == "authorized"


def test_documented_declines(bank: Sandbox) -> None:
    charge = bank.charge("dec", "pm_card_visa_chargeDeclinedInsufficientFunds")
    assert charge["status"] == "declined"
    assert charge["decline"]["decline_code"] == "insufficient_funds"
    assert bank.operation("dec")[1]["status"] == "failed"


def test_unfit_requests(bank: Sandbox) -> None:
    body = {"reference": "x", "amount": 1, "currency": "EUR", "source": "x", "capture": True}
    for change, param in (
        ({}, "source"),
        ({"source": "4242424242424242"}, "source"),
        ({"amount": 1.5}, "amount"),
        ({"callback_url": "http://192.0.2.1/"}, "callback_url"),
        ({"return_url": "javascript:alert(1)"}, "return_url"),
    ):
        status, told, _ = bank.call("POST", f"/{BANK}/charges", {**body, **change})
        assert (status, told["error"]["param"]) == (400, param)
    assert bank.call("POST", f"/{BANK}/charges", b"a" * 70_000)[0] == 413
    assert bank.call("PUT", f"/{BANK}/charges", b"")[0] == 405
    assert bank.call("GET", "/nothing")[0] == 404
    assert bank.call("POST", "/faults", {"operation": "charge", "kind": "nonsense"})[0] == 400


def test_an_endless_head_is_cut_short(bank: Sandbox) -> None:
    with socket.create_connection(bank.address, timeout=PATIENCE_S) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nx: ")
        with pytest.raises(ConnectionError):
            for _ in range(400):
                raw.sendall(b"a" * 65_536)
    assert bank.call("GET", "/healthz")[0] == 200


def test_faults_and_delay_are_set_and_lifted(bank: Sandbox) -> None:
    bank.fault("*", "credentials_revoked", times=None)
    assert bank.call("GET", f"/{BANK}/account")[0] == 401
    assert bank.call("DELETE", "/faults")[1]["removed"] >= 1
    assert bank.call("GET", f"/{BANK}/account")[0] == 200
    setting = {"kind": "lognormal", "p50_ms": 50, "p99_ms": 60}
    assert bank.call("POST", "/delay", setting)[0] == 200
    began = time.monotonic()
    bank.charge("slow")
    assert time.monotonic() - began > 0.03
    assert bank.call("POST", "/delay", {"kind": "zero"})[0] == 200


def test_the_books_outlive_the_process(tmp_path: Path, sink: Sink) -> None:
    sandbox = Sandbox(tmp_path)
    try:
        kept = sandbox.charge("kept")
        sandbox.charge("open", "pm_sandbox_pending", callback_url=sink.url)
        sandbox.stop(signal.SIGKILL)
        with (tmp_path / "books.jsonl").open("ab") as journal:
            journal.write(b'{"charge":{"provi')
        sandbox.start()
        assert sandbox.charge("kept") == kept
        assert sink.wait(1)[0]["data"]["status"] == "captured"
        sandbox.fault("query", "charge_then_hang")
        waiting = threading.Thread(target=_ignore_end, args=(sandbox, "kept"))
        waiting.start()
        wait_until(lambda: sandbox.call("GET", "/faults")[1]["fired"])
        assert sandbox.stop() == 0
        waiting.join(PATIENCE_S)
        assert not waiting.is_alive()
    finally:
        if sandbox.process.poll() is None:
            sandbox.process.kill()


def _ignore_end(sandbox: Sandbox, reference: str) -> None:
    with contextlib.suppress(OSError):
        sandbox.operation(reference)
