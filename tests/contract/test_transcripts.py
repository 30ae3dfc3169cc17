"""Golden transcripts: the bytes on the wire of every case, through the real transport.

``BAILIWICK_GOLDEN=write`` writes the files anew; look at the difference before keeping it.
"""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
import stripe.params

from bailiwick.base.cards import has_card_number
from bailiwick.channels.contract import Account, Operation
from bailiwick.channels.stripe import API_VERSION
from bailiwick.channels.stripe import readings as stripe_read
from bailiwick.channels.transports.http import HttpTransport
from tests.contract.answers import ACCOUNTS, CHANNELS, KEY, SECRET, Case, case_table, instruct
from tests.scripted import ScriptedServer

FOLDER = Path(__file__).parent.parent / "transcripts"
REPO = Path(__file__).parents[2]
SPECS = Path(os.environ.get("BAILIWICK_SPECS", REPO.parent / "shared" / "specs"))
FIXTURES = SPECS / "stripe-fixtures3.json"


def wire(case: Case) -> bytes:
    """The case's answer as bytes of HTTP."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in case.reply.headers.items())
    head = f"HTTP/1.1 {case.status} Word\r\n{lines}content-length: {len(case.body)}\r\n\r\n"
    return head.encode() + case.body


async def transcribe(name: str, case: Case) -> dict[str, Any]:
    """Play one case over loopback and keep what the recorder hands out."""
    channel, kept = CHANNELS[name], []
    async with ScriptedServer(wire(case)) as server:
        there = f"http://127.0.0.1:{server.port}"
        given = ACCOUNTS[name]
        account = Account(
            given.gateway,
            given.base_url.replace("https://provider.test", there),
            given.secrets,
        )
        order = case.instruction
        if case.way is None:
            request = channel.request(order, account)
        else:
            known = order.provider_ref or case.expected.provider_ref or "pi_77"
            order = msgspec.structs.replace(order, provider_ref=known)
            found = channel.query(order, account, case.way)
            assert found is not None
            request = found
        transport = HttpTransport(recorder=kept.append)
        done = await transport.exchange(request, channel.profile, None)
        await transport.close()
    assert done.reply is not None
    told = (
        channel.parse(case.instruction, done.reply)
        if case.way is None
        else channel.parse_query(case.instruction, done.reply, case.way)
    )
    assert told == case.expected
    text = json.dumps(kept[0]).replace(there, "https://provider.test")
    return {"case": case.name, **json.loads(text), "result": json.loads(msgspec.json.encode(told))}


@pytest.mark.parametrize("name", sorted(CHANNELS))
async def test_golden(name: str) -> None:
    played = [await transcribe(name, case) for case in case_table()[name]]
    text = json.dumps(played, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    path = FOLDER / f"{name}.json"
    if os.environ.get("BAILIWICK_GOLDEN") == "write":
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_no_card_number_and_no_secret_survives(path: Path) -> None:
    text = path.read_text()
    assert not has_card_number(text)
    for secret in (KEY, SECRET, "Bearer sk", "_secret_", "4242"):
        assert secret not in text
    assert '"authorization": "[removed]"' in text


def test_there_is_a_transcript_for_every_channel() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CHANNELS)


# Stripe's own descriptions as the judge of names


def _names(body: bytes) -> set[str]:
    return {name.partition("[")[0] for name, _ in parse_qsl(body.decode(), keep_blank_values=True)}


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        (Operation.CHARGE, "PaymentIntentCreateParams"),
        (Operation.CAPTURE, "PaymentIntentCaptureParams"),
        (Operation.VOID, "PaymentIntentCancelParams"),
        (Operation.REFUND, "RefundCreateParams"),
    ],
)
def test_the_official_sdk_knows_our_parameters(operation: Operation, kind: str) -> None:
    request = CHANNELS["stripe"].request(instruct("stripe", operation), ACCOUNTS["stripe"])
    known = set(getattr(stripe.params, kind).__annotations__)
    assert _names(request.body) <= known


def test_the_official_sdk_has_the_fields_that_we_read() -> None:
    for ours, theirs in (
        (stripe_read.Intent, stripe.PaymentIntent),
        (stripe_read.Refund, stripe.Refund),
        (stripe_read.Event, stripe.Event),
    ):
        read = {item.encode_name for item in msgspec.structs.fields(ours)}
        assert read <= set(theirs.__annotations__), theirs


def test_the_pinned_version_is_the_sdk_s() -> None:
    assert stripe.api_version == API_VERSION


if FIXTURES.exists():  # published data that is not shipped; the tests above need none of it

    @pytest.mark.parametrize(
        ("resource", "kind"),
        [("payment_intent", stripe_read.Intent), ("refund", stripe_read.Refund)],
    )
    def test_published_fixtures_can_be_read(resource: str, kind: type) -> None:
        data = json.loads(FIXTURES.read_bytes())["resources"][resource]
        msgspec.convert(data, kind)
        from tests.contract import answers_stripe

        own = answers_stripe.intent() if resource == "payment_intent" else answers_stripe.refund()
        assert set(own) <= set(data)
