"""What `pay` and `explain` share: their options, and one plain request to the API."""

from __future__ import annotations

import http.client
import json
import re
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlencode, urlsplit

import click

_TIMEOUT_S = 60.0


class Target:
    """Where the API is and the key for it."""

    def __init__(self, base_url: str, key: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.key = key


def payment_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that describe a payment and where to send it."""
    options = (
        click.option("--amount", type=click.IntRange(min=1), default=1999, show_default=True,
                     help="Minor units: 1999 is 19.99 in a currency with two decimals."),
        click.option("--currency", default="eur", show_default=True, help="ISO 4217 code."),
        click.option("--country", metavar="CC", help="The payer's country: ISO 3166, e.g. DE."),
        click.option("--subdivision", metavar="CC-XX", help="ISO 3166-2 code, e.g. US-CA."),
        click.option("--coordinates", metavar="LAT,LON", help="The payer's position."),
        click.option("--ip", metavar="ADDRESS", help="The payer's IP address."),
        click.option("--method", default="pm_card_visa", show_default=True, metavar="TOKEN",
                     help="The payer's payment method token."),
        click.option("--data", type=click.Path(path_type=Path, file_okay=False),
                     default=Path("demo-data"), show_default=True, metavar="DIR",
                     help="Folder of a running demo: gives address and key."),
        click.option("--base-url", metavar="URL", envvar="BAILIWICK_BASE_URL",
                     help="Address of the API, instead of --data."),
        click.option("--key", metavar="KEY", envvar="BAILIWICK_KEY", help="Secret API key."),
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def target(data: Path, base_url: str | None, key: str | None) -> Target:
    """The API to use; from the demo's folder what is not given. Exits with the remedy."""
    if base_url and key:
        return Target(base_url, key)
    try:
        demo = json.loads((data / "demo.json").read_text(encoding="utf-8"))
        return Target(base_url or demo["base_url"], key or demo["secret_key"])
    except FileNotFoundError:
        fail(
            f"no demo runs in {data}: start one with 'bailiwick demo', name its folder with "
            "--data, or give --base-url and --key."
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        fail(f"{data / 'demo.json'} cannot be read ({type(error).__name__}); restart the demo.")


def fields(
    amount: int,
    currency: str,
    country: str | None,
    subdivision: str | None,
    coordinates: str | None,
    ip: str | None,
    method: str,
    *,
    confirm: bool,
) -> dict[str, str]:
    """Form fields of a create request."""
    found = {
        "amount": str(amount),
        "currency": currency,
        "payment_method": method,
        "confirm": "true" if confirm else "false",
    }
    given = {
        "country": country,
        "subdivision": subdivision,
        "coordinates": coordinates,
        "ip_address": ip,
    }
    found.update({f"location[{name}]": value for name, value in given.items() if value})
    return found


class Told(NamedTuple):
    """An answer: its status and JSON, and how long it took (``steps``: at the node)."""

    status: int
    answer: dict[str, Any]
    seconds: float
    steps: dict[str, float]


def post(api: Target, path: str, form: dict[str, str]) -> Told:
    """One POST with a fresh Idempotency-Key. Exits with the remedy when there is no answer."""
    parts = urlsplit(api.base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        fail(f"--base-url {api.base_url!r} must be like http://127.0.0.1:9000")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT_S)
    headers = {
        "Authorization": f"Bearer {api.key}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Idempotency-Key": str(uuid.uuid4()),
        "Bailiwick-Timing": "1",
    }
    started = time.perf_counter()
    try:
        connection.request("POST", parts.path + path, urlencode(form), headers)
        response = connection.getresponse()
        body = response.read()
    except ConnectionRefusedError:
        fail(f"nothing listens at {api.base_url}. Is the demo running? 'bailiwick demo'")
    except (OSError, http.client.HTTPException) as error:
        fail(f"no answer from {api.base_url}: {str(error) or type(error).__name__}")
    finally:
        connection.close()
    seconds = time.perf_counter() - started
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        fail(f"{api.base_url} answered {response.status} without JSON: is it a Bailiwick API?")
    return Told(response.status, answer, seconds, _steps(response.getheader("Server-Timing")))


def _steps(header: str | None) -> dict[str, float]:
    """Milliseconds of each step in a ``Server-Timing`` header."""
    return {name: float(ms) for name, ms in re.findall(r"(\w+);dur=([0-9.]+)", header or "")}


def explain_error(status: int, answer: dict[str, Any]) -> str:
    """An error answer in one or two lines."""
    error = answer.get("error") or {}
    where = f" [{error['param']}]" if error.get("param") else ""
    code = error.get("decline_code") or error.get("code") or error.get("type") or "error"
    return f"{status} {code}{where}: {error.get('message', 'no message')}"


def fail(message: str) -> NoReturn:
    """Say what is wrong, and end with status 1."""
    click.echo(f"bailiwick: {message}", err=True)
    sys.exit(1)
