"""Our webhook signatures, checked by the libraries that merchants use."""

import base64
import datetime
import time

import pytest
import standardwebhooks
import stripe

from bailiwick.access.fanout.everywhere import derive
from bailiwick.delivery.webhooks import signatures
from bailiwick.topology.merchants import Merchant, Principal

BODY = '{"id":"evt_1","object":"event","data":{"object":{"name":"Zoë"}}}'.encode()
_, SECRET = derive(b"cluster", Principal(Merchant("acct_1", "Shop"), "secret", False), "key-1")
SECRETS = [SECRET, "whsec_" + base64.b64encode(bytes(range(24))).decode()]


@pytest.mark.parametrize("secret", SECRETS)
def test_the_format_s_official_library_accepts(secret: str) -> None:
    now = int(time.time())
    header = signatures([secret], "evt_1", BODY, now)["Stripe-Signature"]
    assert stripe.WebhookSignature.verify_header(BODY.decode(), header, secret, tolerance=300)
    for body, key, stamp in (
        (BODY + b" ", secret, now),
        (BODY, "whsec_" + secret[6:][::-1], now),
        (BODY, secret, now - 301),
    ):
        header = signatures([key], "evt_1", BODY, stamp)["Stripe-Signature"]
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(body.decode(), header, secret, tolerance=300)


@pytest.mark.parametrize("secret", SECRETS)
def test_standard_webhooks_accepts_and_makes_the_same(secret: str) -> None:
    now = int(time.time())
    headers = signatures([secret], "evt_1", BODY, now)
    library = standardwebhooks.Webhook(secret)
    assert library.verify(BODY, headers)["id"] == "evt_1"
    stamp = datetime.datetime.fromtimestamp(now, tz=datetime.UTC)
    assert library.sign("evt_1", stamp, BODY.decode()) == headers["webhook-signature"]
    forged = {**headers, "webhook-id": "evt_2"}
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        library.verify(BODY, forged)
