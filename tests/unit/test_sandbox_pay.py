"""The sandbox as a process: payers of other flows on their page, and what is told of them."""

from __future__ import annotations

import http.client
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailiwick_sandbox.bank.records import ChargeRequest
from bailiwick_sandbox.service import Service
from tests.unit.test_sandbox_books import Bank
from tests.unit.test_sandbox_process import BANK, Json, Sandbox, Sink
from tests.waiting import PATIENCE_S, Clock, until

DAY_MS = 86_400_000


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


def ask(bank: Sandbox, reference: str, flow: str, **more: Any) -> Json:
    body = {"reference": reference, "amount": 1234, "currency": "EUR", "capture": True, **more}
    status, told, _ = bank.call("POST", f"/{BANK}/charges", {**body, "flow": flow})
    assert status == 200, told
    charge: Json = told
    return charge


def page_of(charge: Json) -> str:
    return f"/{BANK}/pay/{charge['id']}"


def post(
    bank: Sandbox, path: str, decision: str, headers: dict[str, str]
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(*bank.address, timeout=PATIENCE_S)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", path, f"decision={decision}", {**kind, **headers})
    response = connection.getresponse()
    read = response.read()
    connection.close()
    return response.status, read, response.headers


def test_a_shown_code_is_paid_on_the_phone(bank: Sandbox, sink: Sink) -> None:
    charge = ask(
        bank, "code", "shown_code", method="pix", callback_url=sink.url, description="<b>shoes</b>"
    )
    assert charge["status"] == "action_required"
    assert charge["action"]["text"] == bank.url + page_of(charge)
    status, page, headers = bank.call("GET", page_of(charge))
    text = page.decode()
    assert status == 200
    for said in (
        "Rhein Bank",
        "12.34 EUR",
        "Pix",
        "&lt;b&gt;",
        ">Pay</button>",
        ">Decline</button>",
    ):
        assert said in text
    assert "<b>" not in text
    assert '<meta name="viewport" content="width=device-width' in text
    assert "default-src 'none'" in headers["content-security-policy"]
    assert bank.call("POST", page_of(charge), b"decision=maybe")[0] == 400
    status, page, _ = post(bank, page_of(charge), "approve", {"Origin": bank.url})
    assert (status, b"You have paid" in page, b"12.34 EUR" in page) == (200, True, True)
    told = sink.wait(1)[0]
    assert (told["type"], told["data"]["status"]) == ("charge.updated", "captured")
    assert "action" not in told["data"]
    assert b"<button" not in bank.call("GET", page_of(charge))[1]
    assert b"You have paid" in post(bank, page_of(charge), "decline", {})[1]
    assert bank.operation("code")[1]["status"] == "succeeded"


def test_pages_of_elsewhere_cannot_pay(bank: Sandbox) -> None:
    charge = ask(bank, "foreign", "push")
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": bank.url, "Sec-Fetch-Site": "same-site"},
    ):
        status, body, _ = post(bank, page_of(charge), "approve", headers)
        assert (status, json.loads(body)["error"]["code"]) == (403, "foreign_origin")
    assert bank.operation("foreign")[1]["charge"]["status"] == "action_required"
    # Without this a browser would say "null" of the page's own form.
    assert bank.call("GET", page_of(charge))[2]["referrer-policy"] == "same-origin"
    own = {"Origin": bank.url, "Sec-Fetch-Site": "same-origin"}
    assert post(bank, page_of(charge), "approve", own)[0] == 200


def test_a_page_behind_a_public_address_pays(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, public_url="https://bank.example")
    try:
        charge = ask(sandbox, "public", "shown_code")
        assert charge["action"]["text"] == f"https://bank.example{page_of(charge)}"
        headers = {"Origin": "https://bank.example", "Sec-Fetch-Site": "same-origin"}
        assert post(sandbox, page_of(charge), "approve", headers)[0] == 200
    finally:
        assert sandbox.stop() == 0


@pytest.mark.parametrize(
    ("flow", "answered"),
    [("redirect", 303), ("in_app", 200), ("push", 200), ("voucher", 200), ("transfer", 200)],
)
def test_where_the_payer_ends(bank: Sandbox, flow: str, answered: int) -> None:
    charge = ask(bank, f"end-{flow}", flow, return_url="https://shop.example/?order=1")
    page = bank.call("GET", page_of(charge))[1].decode()
    for shown in (charge["action"].get("number"), charge["action"].get("reference")):
        assert (shown or "") in page
    status, page, headers = post(bank, page_of(charge), "decline", {})
    assert status == answered
    if answered == 303:
        assert headers["location"] == f"https://shop.example/?order=1&reference=end-{flow}"
        page = bank.call("GET", page_of(charge))[1]
    assert b"The payment was declined" in page
    assert bank.operation(f"end-{flow}")[1]["status"] == "failed"


def test_the_shop_hears_that_the_time_is_over(bank: Sandbox, sink: Sink) -> None:
    charge = ask(bank, "over", "push", source="pm_sandbox_silent", callback_url=sink.url)
    assert charge["action"]["expires_at"] == charge["created"] + 100  # its settle_ms
    told = sink.wait(1)[0]["data"]
    assert (told["status"], told["decline"]["code"]) == ("declined", "expired")
    assert b"did not act in time" in bank.call("GET", page_of(charge))[1]


def test_those_who_wait_outlive_the_process(tmp_path: Path, sink: Sink) -> None:
    sandbox = Sandbox(tmp_path)
    try:
        paid = ask(sandbox, "paid", "voucher", callback_url=sink.url)
        sandbox.stop(signal.SIGKILL)
        sandbox.start()
        assert sandbox.operation("paid")[1]["charge"] == paid
        assert post(sandbox, page_of(paid), "approve", {})[0] == 200
        assert sink.wait(1)[0]["data"]["status"] == "captured"
    finally:
        if sandbox.process.poll() is None:
            sandbox.process.kill()


async def test_their_time_goes_on_in_the_next_process(tmp_path: Path, sink: Sink) -> None:
    books = Bank(tmp_path)
    request = ChargeRequest(
        "r1",
        1000,
        "EUR",
        "",
        True,
        callback_url=sink.url,
        flow="push",
        expires_at=books.now + DAY_MS,
    )
    books.books.charge(books.ledger, request, str)
    books.reopen()
    service = Service(books.config, books.books, "http://127.0.0.1")
    service.start()
    clock = Clock()
    books.now += DAY_MS
    await clock.forward(DAY_MS / 1000)
    await until(lambda: sink.got)
    assert sink.wait(1)[0]["data"]["decline"]["code"] == "expired"
    await service.callbacks.close()
    books.journal.close()
