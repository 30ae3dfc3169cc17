"""What a running demo tells a person: addresses, keys, and payments to try."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any, Final

EXAMPLES: Final = (
    # title, amount in minor units, currency, location field, value, option of `pay`
    ("Munich", 1999, "eur", "coordinates", "48.137,11.575"),
    ("Mumbai", 49900, "inr", "country", "IN"),
    ("São Paulo", 2590, "brl", "coordinates", "-23.550,-46.633"),
)


def program() -> str:
    """How the user can call this program again from the same place."""
    called = Path(sys.argv[0])
    found = shutil.which("bailiwick")
    if called.name != "bailiwick":
        return f"{sys.executable} -m bailiwick"
    if found and Path(found).resolve() == called.resolve():
        return "bailiwick"
    try:
        return str(called.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(called.absolute())


def summary(demo: dict[str, Any], data: Path, *, background: bool) -> str:
    """The text shown once everything answers."""
    call, place = program(), shlex.quote(str(_near(data)))
    key, url = demo["secret_key"], demo["base_url"]
    lines = ["", f"Bailiwick is running at {url} (data in {_near(data)})", ""]
    for node in demo["nodes"]:
        lines.append(
            f"  node {node['number']} {node['name']:<12} {node['url']}  "
            f"home to {', '.join(node['jurisdictions'])}"
        )
    lines += [
        f"  sandbox providers   {demo['sandbox']['url']}  books: {demo['sandbox']['books_url']}",
        *([f"  overview            {demo['overview']['url']}"] if demo["overview"] else []),
        f"  usage, metrics      {demo['access'][0]['status_url']}  (for operators)",
        f"  secret key          {key}",
        *_shop(demo),
        "",
        "Take a payment; its location decides which node processes it:",
    ]
    for title, amount, currency, field, value in EXAMPLES:
        request = (
            f"{url}/v1/payment_intents -u {key}: -d amount={amount} -d currency={currency} "
            f'-d payment_method=pm_card_visa -d confirm=true -d "location[{field}]={value}"'
        )
        lines += ["", f"  # {title}", f"  curl {request}"]
    lines += ["", "The same, shown step by step:", ""]
    for _title, amount, currency, field, value in EXAMPLES:
        lines.append(
            f"  {call} pay --data {place} --amount {amount} --currency {currency} --{field}={value}"
        )
    stop = f"{call} demo --stop --data {place}" if background else "Ctrl-C"
    return "\n".join([*lines, "", f"Stop it: {stop}", ""])


def _shop(demo: dict[str, Any]) -> list[str]:
    """The merchant whose requests need not say where the payer is: for SDKs as they come."""
    if demo["shop_secret_key"] is None:
        return []
    title = f"of a shop in {demo['shop_country']}"
    return [f"  {title:<19} {demo['shop_secret_key']}  (its requests need no location)"]


def _near(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
