"""Files of evidence in the sandbox bank's books: what they were, once for each reference."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from test_sandbox_books import Bank, refusal

from bailiwick_sandbox.bank.disputes import FILES_BYTES_MAX, Disputes
from bailiwick_sandbox.bank.records import DisputeRequest, KeptFile, SentFile

PAPER = b"%PDF-1.7"
KEPT = KeptFile("a.pdf", "application/pdf", len(PAPER), hashlib.sha256(PAPER).hexdigest())


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    made = Bank(tmp_path)
    yield made
    made.journal.close()


def request(content: bytes = PAPER, name: str = "a.pdf") -> DisputeRequest:
    files = {"receipt": SentFile(name, "application/pdf", content)}
    return DisputeRequest("ev_1", {"customer_name": "Ann"}, files)


def test_files_are_kept_by_what_they_were(bank: Bank) -> None:
    charge = bank.charge("ch_1", source="pm_card_createDispute")
    disputes = Disputes(bank.books, 500, 10_000)
    (row,) = disputes.open(bank.ledger, charge.id)
    with refusal("files_too_large"):
        disputes.submit(bank.ledger, row.id, request(bytes(FILES_BYTES_MAX + 1)))
    assert not disputes.submit(bank.ledger, row.id, request())[1]
    bank.reopen()
    disputes = Disputes(bank.books, 500, 10_000)
    (sent,) = bank.ledger.submissions.values()
    assert sent.files == {"receipt": KEPT} and sent.evidence == {"customer_name": "Ann"}
    assert b"%PDF" not in bank.path.read_bytes()
    assert disputes.submit(bank.ledger, row.id, request())[1]
    for other in (request(PAPER + b"x"), request(name="b.pdf"), DisputeRequest("ev_1")):
        with refusal("reference_mismatch"):
            disputes.submit(bank.ledger, row.id, other)


def test_files_come_in_base64() -> None:
    body = {
        "reference": "ev_1",
        "files": {
            "receipt": {
                "name": "a.pdf",
                "type": "application/pdf",
                "content": base64.b64encode(PAPER).decode(),
            }
        },
    }
    read = msgspec.json.decode(msgspec.json.encode(body), type=DisputeRequest)
    assert read.files["receipt"].content == PAPER
