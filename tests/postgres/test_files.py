"""Files as evidence: uploaded, kept where their dispute is, sent with the evidence, then gone."""

import asyncio
import hashlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.clock import now_ms
from bailiwick.channels.contract import Operation, Resolve
from bailiwick.checker.books import EvidenceFile, Submission
from bailiwick.checker.findings import Findings
from bailiwick.checker.kinds import files as checked
from bailiwick.checker.kinds.records import RECORDS
from bailiwick.checker.places import NodePlace
from bailiwick.checker.reader import snapshot
from bailiwick.orders import attempt_store
from bailiwick.orders.resolver import Resolver
from bailiwick.records.records import Writing, find
from bailiwick.resources.files.commands import A_DAY_MAX, erase_file
from bailiwick.resources.files.media import EVIDENCE_BYTES_MAX, FILE_BYTES_MAX
from bailiwick.resources.files.routes import Expiring
from bailiwick.serving.placed_records import records_of
from tests.postgres.lists_kit import SECRET, One, Site, site
from tests.postgres.test_disputes import called_back
from tests.postgres.test_lists import PAID, pay

PDF, PNG, JPG = b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"
boundaries = itertools.count()


@pytest.fixture
async def two(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Two nodes."""
    async with site(server_dsn, tmp_path, ("europe", "apac")) as made:
        yield made


def form(content: bytes | None, filename: str = "receipt.pdf", **fields: str) -> tuple[str, bytes]:
    """Content type and body, as the SDKs make them: another boundary each time."""
    mark = b"--b%d" % next(boundaries)
    parts = [
        b'%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        % (mark, name.encode(), value.encode())
        for name, value in fields.items()
    ]
    if content is not None:
        parts.append(
            b'%b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n%b\r\n"
            % (mark, filename.encode(), content)
        )
    parts.append(mark + b"--\r\n")
    return f"multipart/form-data; boundary={mark[2:].decode()}", b"".join(parts)


async def upload(
    it: Site, content: bytes | None, *, key: str = SECRET, at: One | None = None,
    idem: str | None = None, filename: str = "receipt.pdf", **fields: str,
) -> tuple[int, Any]:  # fmt: skip
    given = {"purpose": "dispute_evidence", **fields}
    media, body = form(content, filename, **{k: v for k, v in given.items() if v})
    headers = {"content-type": media, **({"idempotency-key": idem} if idem else {})}
    return await it.ask("POST", "/v1/files", body=body, key=key, at=at, headers=headers)


async def kept(it: Site, content: bytes = PDF, **fields: str) -> Any:
    status, made = await upload(it, content, **fields)
    assert status == 200, made
    return made


async def dispute(it: Site, place: str, provider_ref: str) -> str:
    """A dispute at the node of a place, by its id."""
    payment = await pay(it, **PAID, **{"location[country]": place})
    await called_back(it, payment, provider_ref)
    _, page = await it.ask("GET", "/v1/disputes", {"payment_intent": payment["id"]})
    return str(page["data"][0]["id"])


async def content(it: Site, identifier: str, key: str = SECRET) -> Any:
    line = f"authorization: Bearer {key}\r\n".encode()
    return await it._client.request("GET", f"/v1/files/{identifier}/contents".encode(), [line])


async def broken(dsn: str, *invariants: Any) -> set[str]:
    found = Findings()
    async with snapshot(NodePlace("europe", dsn)) as db:
        for invariant in (*checked.FILES, *RECORDS, *invariants):
            await invariant(db, found.of(invariant))
    return {each.name for each in found.all() if each.count}


async def test_uploaded_shown_listed_and_read(two: Site) -> None:
    europe, apac = two.nodes
    whole = PDF + bytes(range(256)) * 16_000
    made = await kept(two, whole, filename="C:\\Ann\\Quittung Ü.pdf", **{"location[country]": "DE"})
    assert made == {
        "id": made["id"], "object": "file", "created": made["created"],
        "expires_at": made["created"] + 274 * 24 * 3600, "filename": "Quittung Ü.pdf",
        "links": None, "purpose": "dispute_evidence", "size": len(whole), "title": None,
        "type": "pdf", "url": f"/v1/files/{made['id']}/contents",
        "location": {"country": "DE", "subdivision": None, "source": "explicit"},
        "node": "europe",
    }  # fmt: skip
    assert await two.ask("GET", f"/v1/files/{made['id']}") == (200, made)
    other = await kept(two, PNG, filename="x", **{"location[country]": "IN"})
    assert (other["node"], other["type"]) == ("apac", "png")
    assert await two.walk("/v1/files", limit=1) == [other["id"], made["id"]]
    assert (await two.ask("GET", "/v1/files", {"purpose": "selfie"}))[1]["data"] == []
    assert (await two.ask("GET", "/v1/files", {"purpose": "x"}))[0] == 400
    read = await content(two, made["id"])
    assert (read.status, read.body) == (200, whole)
    assert read.headers[b"content-type"] == b"application/pdf"
    assert read.headers[b"x-content-type-options"] == b"nosniff"
    assert b"Quittung%20%C3%9C.pdf" in read.headers[b"content-disposition"]
    for key in ("sk_test_other", "sk_live_first"):
        assert (await content(two, made["id"], key)).status == 404
        assert (await two.ask("GET", f"/v1/files/{made['id']}", key=key))[0] == 404
        assert (await two.ask("GET", "/v1/files", key=key))[1]["data"] == []
    _, events = await two.ask("GET", "/v1/events", {"type": "file.created"})
    assert {each["data"]["object"]["id"] for each in events["data"]} == {made["id"], other["id"]}
    assert (await two.ask("POST", "/v1/file_links", {"file": made["id"]}))[0] == 400
    assert (await two.ask("GET", "/v1/file_links"))[0] == 400
    for node in (europe, apac):
        assert await broken(node.dsn) == set()


async def test_the_same_key_is_the_same_file(two: Site) -> None:
    place = {"location[country]": "IN"}
    status, made = await upload(two, PDF, idem="k", **place)
    assert status == 200 and made["node"] == "apac"
    assert await upload(two, PDF, idem="k", **place) == (200, made)
    status, refused = await upload(two, PDF + b"x", idem="k", **place)
    assert (status, refused["error"]["type"]) == (400, "idempotency_error")
    assert len(await two.walk("/v1/files")) == 1


async def test_what_is_refused(two: Site) -> None:
    place = {"location[country]": "DE"}
    cases: list[tuple[bytes | None, dict[str, str], str, str]] = [
        (None, {}, "file", "parameter_missing"),
        (None, {"file": "x"}, "file", "parameter_invalid"),
        (PDF, {"purpose": ""}, "purpose", "parameter_missing"),
        (PDF, {"purpose": "selfie"}, "purpose", "parameter_invalid"),
        (PDF, {"file_link_data[create]": "true"}, "file_link_data", "parameter_unsupported"),
        (PDF, {"purpos": "x"}, "purpos", "parameter_unknown"),
        (PDF, {"expand[0]": "links"}, "expand", "parameter_invalid"),
        (PDF, {"filename": "4242424242424242.pdf"}, "file", "card_number_refused"),
        (b"", {}, "file", "file_empty"),
        (b"GIF89a", {"filename": "a"}, "file", "file_type_unsupported"),
        (b"<html>", {}, "file", "file_type_unsupported"),
        (PDF, {"filename": "a.png"}, "file", "file_type_mismatch"),
        (JPG, {"filename": "a.pdf"}, "file", "file_type_mismatch"),
        (PDF + bytes(FILE_BYTES_MAX), {}, "file", "file_too_large"),
        (PDF, {"dispute": "du_x"}, "dispute", "resource_missing"),
    ]
    for what, fields, param, code in cases:
        status, answer = await upload(two, what, **{**place, **fields})  # type: ignore[arg-type]
        error = answer["error"]
        assert status in (400, 404) and error["param"] == param, answer
        assert error["code"] == code or code == "card_number_refused", answer
    status, answer = await upload(two, PDF, key="sk_test_none", **place)
    assert status == 401
    status, answer = await upload(two, PDF + bytes(FILE_BYTES_MAX + 70_000), **place)
    assert status == 413
    status, answer = await two.ask("POST", "/v1/files", {"purpose": "dispute_evidence", **place})
    assert (status, answer["error"]["param"]) == (400, "file")
    status, answer = await two.ask("POST", "/v1/files", {"purpose": "x" * 300_000})
    assert status == 413
    large = {"content-type": "application/json"}
    status, answer = await two.ask("POST", "/v1/refunds", body=b" " * 300_000, headers=large)
    assert status == 413, "elsewhere bodies are as small as before"
    assert await two.walk("/v1/files") == []
    for node in two.nodes:
        status, answer = await upload(two, PDF, at=node, **{"location[country]": "FR"})
        assert status in (200, 421)


async def test_many_at_once_and_a_day(two: Site) -> None:
    place = {"location[country]": "DE"}
    done = await asyncio.gather(*(upload(two, PDF + bytes(1_000_000), **place) for _ in range(12)))
    statuses = [status for status, _ in done]
    assert set(statuses) <= {200, 429} and statuses.count(200) >= 3
    assert all(said["error"]["code"] == "rate_limit" for status, said in done if status == 429)
    sql = await asyncpg.connect(two.nodes[0].dsn)
    await sql.execute(
        "INSERT INTO record SELECT 'file_' || n, 'acct_1', false, 1, true, null, null, null,"
        f" {now_ms()}, 1, '{{}}' FROM generate_series(1, {A_DAY_MAX}) n"
    )
    status, answer = await upload(two, PDF, **place)
    assert (status, answer["error"]["code"]) == (429, "rate_limit")
    assert (await upload(two, PDF, key="sk_test_other", **place))[0] == 200
    await sql.execute("DELETE FROM record WHERE length(id) < 10")
    await sql.close()


async def test_evidence_with_files(two: Site) -> None:
    bank, apac = two.nodes[1].bank, two.nodes[1]
    mine = await dispute(two, "IN", "dp_1")
    path = f"/v1/disputes/{mine}"
    receipt = await kept(two, PDF + b"receipt", dispute=mine)
    assert (receipt["node"], receipt["location"]) == ("apac", None)
    photo = await kept(two, JPG, filename="a.jpeg", **{"location[country]": "IN"})
    away = await kept(two, PDF, **{"location[country]": "DE"})
    theirs = (await upload(two, PDF, key="sk_test_other", **{"location[country]": "IN"}))[1]
    large = [await kept(two, PDF + bytes(2_400_000), dispute=mine) for _ in range(2)]
    method = (await two.ask(
        "POST", "/v1/payment_methods",
        {"type": "card", "card[token]": "pm_card_visa", "location[country]": "IN"},
    ))[1]  # fmt: skip
    for named, code in (
        ("file_1", "resource_missing"), (theirs["id"], "resource_missing"),
        (away["id"], "file_elsewhere"), (method["id"], "resource_missing"),
    ):  # fmt: skip
        status, answer = await two.ask("POST", path, {"evidence[receipt]": named})
        assert answer["error"]["param"] == "evidence[receipt]" and status in (400, 404), answer
        assert answer["error"]["code"] == code
    both = {"evidence[receipt]": large[0]["id"], "evidence[uncategorized_file]": large[1]["id"]}
    status, answer = await two.ask("POST", path, both)
    assert (status, answer["error"]["code"]) == (400, "file_too_large")
    assert str(EVIDENCE_BYTES_MAX) in answer["error"]["message"]
    status, answer = await two.ask(
        "POST", "/v1/files", {"dispute": mine, "location[country]": "IN"}
    )
    assert status == 400

    draft = {"evidence[receipt]": receipt["id"], "submit": "false"}
    status, shown = await two.ask("POST", path, draft)
    assert status == 200 and shown["evidence"]["receipt"] == receipt["id"]
    assert shown["evidence_details"]["has_evidence"]
    more = {
        "evidence[customer_communication]": photo["id"], "evidence[customer_name]": "Ann",
        "expand[0]": "evidence.receipt",
    }  # fmt: skip
    status, shown = await two.ask("POST", path, more, headers={"idempotency-key": "k"})
    assert status == 200 and shown["status"] == "under_review"
    assert shown["evidence"]["receipt"] == receipt
    assert shown["evidence"]["customer_communication"] == photo["id"]
    _, listed = await two.ask("GET", "/v1/disputes", {"expand[0]": "data.evidence.receipt"})
    assert listed["data"][0]["evidence"]["receipt"] == receipt
    (sent,) = [each for each in bank.calls if each.operation is Operation.EVIDENCE]
    assert sent.evidence == {"customer_name": "Ann"}
    told = {field: (f.id, f.name, f.media, f.content) for field, f in sent.files.items()}
    assert told == {
        "receipt": (receipt["id"], "receipt.pdf", "application/pdf", PDF + b"receipt"),
        "customer_communication": (photo["id"], "a.jpeg", "image/jpeg", JPG),
    }
    sql = await asyncpg.connect(apac.dsn)
    (stored,) = [
        row[0] for row in await sql.fetch("SELECT instruction FROM event")
        if row[0] and "receipt" in row[0]
    ]  # fmt: skip
    assert json.loads(stored)["files"] == {
        "receipt": {"id": receipt["id"]}, "customer_communication": {"id": photo["id"]},
    }  # fmt: skip
    await sql.close()
    assert await broken(apac.dsn) == set()


async def test_a_file_that_is_gone_is_not_sent(two: Site) -> None:
    europe = two.nodes[0]
    mine = await dispute(two, "DE", "dp_1")
    path = f"/v1/disputes/{mine}"
    receipt = await kept(two, PDF, dispute=mine)
    draft = {"evidence[receipt]": receipt["id"], "submit": "false"}
    assert (await two.ask("POST", path, draft))[0] == 200
    sql = await asyncpg.connect(europe.dsn)
    await sql.execute("UPDATE file_content SET expires_ms = 1")
    assert await Expiring(europe.node.machine).step() > 0
    assert await sql.fetchval("SELECT count(*) FROM file_content") == 0
    assert (await content(two, receipt["id"])).status == 404
    assert (await two.ask("GET", f"/v1/files/{receipt['id']}"))[1] == receipt
    status, answer = await two.ask("POST", path, {"submit": "true"})
    assert (status, answer["error"]["code"]) == (400, "file_gone")
    assert europe.bank.called(Operation.EVIDENCE) == 0
    assert (await two.ask("GET", path))[1]["status"] == "needs_response"
    status, shown = await two.ask(
        "POST", path, {"evidence[receipt]": "", "evidence[customer_name]": "Ann"}
    )
    assert status == 200 and shown["status"] == "under_review"
    await sql.close()


async def test_a_strict_place_s_files_stay_in_its_region(server_dsn: str, tmp_path: Path) -> None:
    async with site(server_dsn, tmp_path, ("europe", "apac"), region="apac") as it:
        europe = it.nodes[0]
        wish = {"amount": 1000, "currency": "eur", "location[country]": "DE", **PAID}
        status, payment = await it.ask("POST", "/v1/payment_intents", wish, at=europe)
        assert status == 200, payment
        await called_back(it, payment, "dp_1")
        _, page = await it.ask("GET", "/v1/disputes", at=europe)
        mine = page["data"][0]["id"]
        for how in ({"location[country]": "DE"}, {"dispute": mine}):
            status, said = await upload(it, PDF, **how)
            assert (status, said["error"]["code"]) == (421, "wrong_region"), how
            status, made = await upload(it, PDF, at=europe, **how)
            assert status == 200, made
            for path in ("", "/contents"):
                status, said = await it.ask("GET", f"/v1/files/{made['id']}{path}")
                assert (status, said["error"]["code"]) == (421, "wrong_region"), path
        assert (await it.ask("GET", "/v1/files"))[0] == 421
        there = await kept(it, PDF, **{"location[country]": "IN"})
        assert (await content(it, there["id"])).body == PDF
        _, page = await it.ask("GET", "/v1/files", {"partial": "allow"})
        assert [each["id"] for each in page["data"]] == [there["id"]]
        assert page["nodes_of_other_regions"] == ["europe"]


async def test_a_channel_that_takes_no_files_says_so(two: Site) -> None:
    bank = two.nodes[0].bank
    bank.profile = msgspec.structs.replace(bank.profile, evidence_files=False)
    mine = await dispute(two, "DE", "dp_1")
    receipt = await kept(two, PDF, dispute=mine)
    said = {"evidence[receipt]": receipt["id"], "evidence[customer_name]": "Ann"}
    status, answer = await two.ask("POST", f"/v1/disputes/{mine}", said)
    error = answer["error"]
    assert (status, error["code"]) == (400, "parameter_unsupported")
    assert error["param"] == "evidence[receipt]" and "takes no files" in error["message"]
    assert bank.called(Operation.EVIDENCE) == 0


async def test_a_replay_sends_the_same_files(two: Site) -> None:
    europe = two.nodes[0]
    bank, machine = europe.bank, europe.node.machine
    ways = {**bank.profile.resolve, Operation.EVIDENCE: (Resolve.REPLAY,)}
    bank.profile = msgspec.structs.replace(bank.profile, resolve=ways, replay_ms=10**9)
    mine = await dispute(two, "DE", "dp_1")
    receipt = await kept(two, PDF, dispute=mine)
    bank.script[Operation.EVIDENCE] = ["lost"]
    said = {"evidence[receipt]": receipt["id"]}
    status, shown = await two.ask("POST", f"/v1/disputes/{mine}", said)
    assert status == 200 and shown["status"] == "needs_response"
    (first,) = [each for each in bank.calls if each.operation is Operation.EVIDENCE]
    attempt = await attempt_store.find(europe.node.store, first.reference)
    assert attempt is not None
    aged = msgspec.structs.replace(attempt, age_ms=60_000, quiet_ms=60_000)
    await Resolver(machine, 0.01).resolve(aged)
    *_, again = [each for each in bank.calls if each.operation is Operation.EVIDENCE]
    assert again == first and again is not first and again.files["receipt"].content == PDF
    assert (await two.ask("GET", f"/v1/disputes/{mine}"))[1]["status"] == "under_review"


async def erased(node: One, identifier: str) -> None:
    row = await find(node.node.store, identifier)
    assert row is not None
    known = row

    async def work(writing: Writing) -> None:
        await erase_file(writing, known, now_ms())

    await records_of(node.node).by_itself(work)


async def test_an_erased_file_leaves_its_id(two: Site) -> None:
    europe = two.nodes[0]
    mine = await dispute(two, "DE", "dp_1")
    made = await kept(two, PDF, filename="Ann Example.pdf", dispute=mine)
    draft = {"evidence[receipt]": made["id"], "submit": "false"}
    assert (await two.ask("POST", f"/v1/disputes/{mine}", draft))[0] == 200
    await erased(europe, made["id"])
    status, shown = await two.ask("GET", f"/v1/files/{made['id']}")
    assert status == 200
    assert (shown["filename"], shown["url"], shown["size"], shown["type"]) == (None, None, 0, None)
    assert (await content(two, made["id"])).status == 404
    sql = await asyncpg.connect(europe.dsn)
    for table in ("record", "personal_event", "event", "file_content"):
        rows = await sql.fetch(f"SELECT * FROM {table}")
        assert "Ann Example" not in str([dict(row) for row in rows])
    await sql.close()
    status, answer = await two.ask("POST", f"/v1/disputes/{mine}", {"submit": "true"})
    assert (status, answer["error"]["code"]) == (400, "file_gone")
    assert await broken(europe.dsn) == set()


PLANTS = {
    "the content is gone": ("DELETE FROM file_content", "files_kept"),
    "a part is gone": ("UPDATE file_content SET content = '%PDF-'", "files_kept"),
    "content of nothing": ("INSERT INTO file_content VALUES ('file_1', 1, '')", "files_kept"),
    "erased, not its content": ("UPDATE record SET details = '{}'", "files_kept"),
    "evidence names nothing": ("DELETE FROM record", "evidence_files_exist"),
    "another merchant's": ("UPDATE record SET merchant = 'acct_2'", "evidence_files_exist"),
    "of the other mode": ("UPDATE record SET livemode = true", "evidence_files_exist"),
}


@pytest.mark.parametrize("name", PLANTS)
async def test_the_checker_sees_what_is_wrong(two: Site, name: str) -> None:
    europe = two.nodes[0]
    mine = await dispute(two, "DE", "dp_1")
    made = await kept(two, PDF, dispute=mine)
    assert (await two.ask("POST", f"/v1/disputes/{mine}", {"evidence[receipt]": made["id"]}))[
        0
    ] == 200
    assert await broken(europe.dsn) == set()
    sql = await asyncpg.connect(europe.dsn)
    plant, seen = PLANTS[name]
    await sql.execute(plant)
    await sql.close()
    assert seen in await broken(europe.dsn)


@pytest.mark.parametrize("name", ["same", "missing", "more", "other"])
async def test_the_checker_compares_with_the_books(two: Site, name: str) -> None:
    europe = two.nodes[0]
    mine = await dispute(two, "DE", "dp_1")
    made = await kept(two, PDF, dispute=mine)
    assert (await two.ask("POST", f"/v1/disputes/{mine}", {"evidence[receipt]": made["id"]}))[
        0
    ] == 200
    (sent,) = [each for each in europe.bank.calls if each.operation is Operation.EVIDENCE]
    told = EvidenceFile(len(PDF), hashlib.sha256(PDF).hexdigest())
    theirs = {
        "same": {"receipt": told},
        "missing": {},
        "more": {"receipt": told, "refund_policy": told},
        "other": {"receipt": EvidenceFile(len(PDF), "0")},
    }[name]
    row = Submission("p", sent.reference, 1, "dp_1", "b_1", "evidence", theirs)
    found = Findings().of(checked.evidence_files_match_books)
    async with snapshot(NodePlace("europe", europe.dsn)) as db:
        await checked.evidence_files_match_books(db, {sent.reference: [row]}, found)
    assert found.compared == 1 and bool(found.violations) is (name != "same")
