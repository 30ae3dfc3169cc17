"""The stock Python SDK: evidence with files, to the provider's own books."""

import hashlib
import io
import tempfile
from typing import Any

import pytest
import stripe

from tests.interop.conftest import LOCAL_KEY, Demo
from tests.interop.kit import Books, Row, until

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 4_000
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def client_of(demo: Demo, key: str) -> stripe.StripeClient:
    """As a merchant makes it: uploads go to the address of files."""
    here = demo["base_url"]
    return stripe.StripeClient(key, base_addresses={"api": here, "files": here})


@pytest.fixture
def local(demo: Demo) -> stripe.StripeClient:
    """Of a merchant that has a default place."""
    return client_of(demo, LOCAL_KEY)


def disputed(client: stripe.StripeClient, **place: Any) -> str:
    wish: Any = {
        "amount": 2500, "currency": "eur", "confirm": True,
        "payment_method": "pm_card_createDispute", **place,
    }  # fmt: skip
    payment = client.v1.payment_intents.create(wish)
    disputes = client.v1.disputes
    found = until(lambda: disputes.list({"payment_intent": payment.id}).data)
    return found[0].id


def evidence_of(books: Books, field: str, digest: str) -> Row:
    """The submission to which a file of this content belongs."""
    (row,) = (
        row
        for row in books.all()["submissions"]
        if row["files"].get(field, {}).get("sha256") == digest
    )
    return row


def test_evidence_with_files_is_in_the_providers_books(
    local: stripe.StripeClient, books: Books
) -> None:
    dispute = disputed(local)
    with tempfile.NamedTemporaryFile(suffix=".pdf") as paper:
        paper.write(PDF)
        paper.seek(0)
        wish: Any = {"purpose": "dispute_evidence", "file": paper}
        receipt = local.v1.files.create(wish)
        name = paper.name.rpartition("/")[2]
    assert isinstance(receipt, stripe.File)
    assert (receipt.type, receipt.size, receipt.filename) == ("pdf", len(PDF), name)
    photo = local.v1.files.create({**wish, "file": io.BytesIO(PNG)})
    assert (photo.type, photo.purpose) == ("png", "dispute_evidence")
    assert local.v1.files.retrieve(receipt.id) == receipt
    assert [each.id for each in local.v1.files.list({"limit": 2})] == [photo.id, receipt.id]

    said: Any = {
        "evidence": {
            "receipt": receipt.id,
            "customer_communication": photo.id,
            "uncategorized_text": "winning_evidence",
        },
        "expand": ["evidence.receipt"],
    }
    after = local.v1.disputes.update(dispute, said)
    assert after.evidence.receipt == receipt
    assert after.evidence.customer_communication == photo.id
    row = evidence_of(books, "receipt", hashlib.sha256(PDF).hexdigest())
    assert row["files"] == {
        "receipt": {
            "name": name, "type": "application/pdf", "size": len(PDF),
            "sha256": hashlib.sha256(PDF).hexdigest(),
        },
        "customer_communication": {
            "name": "blob", "type": "image/png", "size": len(PNG),
            "sha256": hashlib.sha256(PNG).hexdigest(),
        },
    }  # fmt: skip
    assert row["evidence"] == {"uncategorized_text": "winning_evidence"}
    until(lambda: local.v1.disputes.retrieve(dispute).status == "won")


def test_a_file_goes_where_its_dispute_is(demo: Demo, books: Books) -> None:
    client = client_of(demo, LOCAL_KEY)
    dispute = disputed(client, location={"country": "DE"})
    wish: Any = {"purpose": "dispute_evidence", "file": io.BytesIO(PNG + b"here")}
    at_home = client.v1.files.create(wish)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.disputes.update(dispute, {"evidence": {"receipt": at_home.id}})
    assert refused.value.code == "file_elsewhere" and f"dispute={dispute}" in str(refused.value)
    wish = {"purpose": "dispute_evidence", "file": io.BytesIO(PNG + b"there"), "dispute": dispute}
    there = client.v1.files.create(wish)
    client.v1.disputes.update(dispute, {"evidence": {"receipt": there.id}})
    digest = hashlib.sha256(PNG + b"there").hexdigest()
    assert evidence_of(books, "receipt", digest)["files"]["receipt"]["size"] == len(PNG) + 5


def test_what_may_not_be(demo: Demo, local: stripe.StripeClient) -> None:
    wish: Any = {"purpose": "dispute_evidence", "file": io.BytesIO(b"GIF89a")}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        local.v1.files.create(wish)
    assert (refused.value.code, refused.value.param) == ("file_type_unsupported", "file")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        local.v1.files.create({**wish, "file": io.BytesIO(PDF + bytes(5 * 2**20 - len(PDF) + 1))})
    assert (refused.value.code, refused.value.param) == ("file_too_large", "file")
    with pytest.raises(stripe.APIError, match="at most 5308416 bytes") as beyond:
        local.v1.files.create({**wish, "file": io.BytesIO(PDF * 6)})
    assert beyond.value.http_status == 413
    full = local.v1.files.create({**wish, "file": io.BytesIO(PDF + bytes(5 * 2**20 - len(PDF)))})
    assert full.size == 5 * 2**20
    browser = client_of(demo, demo["publishable_key"])
    with pytest.raises(stripe.PermissionError):
        browser.v1.files.create({**wish, "file": io.BytesIO(PNG)})
    made = local.v1.files.create({**wish, "file": io.BytesIO(PNG)})
    with pytest.raises(stripe.PermissionError):
        browser.v1.files.retrieve(made.id)
    with pytest.raises(stripe.InvalidRequestError, match="No such file"):
        client_of(demo, demo["secret_key"]).v1.files.retrieve(made.id)
    with pytest.raises(stripe.InvalidRequestError, match="no links"):
        local.v1.file_links.create({"file": made.id})
