"""The page to which a payer is sent when the bank wants the payment confirmed."""

from __future__ import annotations

from html import escape
from urllib.parse import quote, urlsplit, urlunsplit

from bailiwick_sandbox.bank.currencies import display
from bailiwick_sandbox.bank.records import Charge
from bailiwick_sandbox.config import ProviderConfig
from bailiwick_sandbox.web.exchange import Answer, Header

_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"),
)

# A page without a referrer posts with the origin "null".
_POSTING = tuple(
    (name, b"same-origin" if name == b"referrer-policy" else value) for name, value in _HEADERS
)

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2530; --soft: #5a6675; --paper: #fff; --edge: #d5dbe2;
  --ground: #eef1f5; --go: #14663f; --goes: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #eef2f6; --soft: #a9b4c0; --paper: #1b222b;
  --edge: #3a4551; --ground: #10151b; --go: #7fd6a8; --goes: #0c2418; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 26rem; background: var(--paper); border: 1px solid var(--edge);
  border-radius: .75rem; padding: 2rem; }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; }
p { margin: 0 0 1rem; color: var(--soft); }
.amount { font-size: 2rem; font-weight: 650; color: var(--ink); margin: 1rem 0;
  font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 0 0 1.5rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
form { display: flex; gap: .75rem; flex-wrap: wrap; }
button { flex: 1 1 8rem; min-height: 2.75rem; font: inherit; font-weight: 600; cursor: pointer;
  border-radius: .5rem; border: 1px solid var(--edge); background: transparent; color: inherit; }
button.go { background: var(--go); border-color: var(--go); color: var(--goes); }
button:focus-visible { outline: 3px solid var(--go); outline-offset: 2px; }
small { display: block; margin-top: 1.25rem; color: var(--soft); }
"""

_STATES = {
    "authorized": "The payment is approved.",
    "captured": "The payment is approved.",
    "declined": "The payment was declined.",
    "voided": "The payment was cancelled.",
    "approved": "The payment is approved.",
    "pending": "The payment is being processed.",
    "stored": "Your card is saved.",
}


def pay_page(provider: ProviderConfig, charge: Charge) -> Answer:
    """The page with its two buttons, or what became of a charge already answered."""
    rows = [("Reference", charge.reference)]
    if charge.description:
        rows.append(("For", charge.description))
    details = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in rows)
    if charge.status == "action_required":
        heading = "Confirm that your card is saved" if charge.setup else "Confirm your payment"
        action = (
            '<form method="post">'
            '<button class="go" name="decision" value="approve">Approve</button>'
            '<button name="decision" value="decline">Decline</button></form>'
        )
    else:
        heading = _STATES[charge.status]
        action = '<p role="status">There is nothing left to do here.</p>'
    title = escape(provider.title)
    amount = escape(display(charge.amount, charge.currency))
    consent = f'to pay</p><p class="amount">{amount}</p>'
    if charge.setup:
        consent = "to later payments by this card</p>"
    return page(
        f"{heading} · {provider.title}",
        f"<h1>{heading}</h1><p>{title} asks for your consent {consent}"
        f"<dl>{details}</dl>{action}"
        "<small>This is a test bank. No money moves.</small>",
    )


def missing_page() -> Answer:
    """The page for a charge that is not there."""
    body = (
        "<h1>No such payment</h1><p>The address is wrong, or the payment is not with this bank.</p>"
    )
    return page("No such payment", body, 404)


def shop(charge: Charge, return_url: str) -> Answer:
    """Send the payer to the shop's address with the reference, and what else is to be brought."""
    parts = urlsplit(return_url)
    reference = f"reference={quote(charge.reference, safe='')}"
    if charge.family is not None and charge.family.result:
        reference += f"&result={charge.family.result}"
    query = f"{parts.query}&{reference}" if parts.query else reference
    location = urlunsplit((parts.scheme, parts.netloc, parts.path, query, parts.fragment))
    return Answer(303, b"", (*_HEADERS, (b"location", location.encode("ascii"))))


def page(title: str, body: str, status: int = 200, *, posts: bool = False) -> Answer:
    """A whole page; ``posts``: its form is taken from this origin only, so a browser has to say
    where it comes from."""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )
    return Answer(status, html.encode(), _POSTING if posts else _HEADERS)
