"""Nanoseconds per byte of everything that reads a request's text, on texts made to be slow.

What grows with the length alone has the same figure at every size.

    python -m bailiwick_lab.bench.parts.scan [--json] [--kilobytes 1024]
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import click

from bailiwick.base.cards import has_card_number, is_card_key, maybe_card, without_cards
from bailiwick.base.errors import ApiError
from bailiwick.channels.blocks.redact import redact
from bailiwick.resources.payments.params import CreatePayment
from bailiwick.serving.card_check import refuse_cards
from bailiwick.wire.forms import parse_form, parse_json, struct_from

SIZES_KB = (16, 64, 256, 1024)
HOSTILE = {
    "4+": "4+", "4,": "4,", "4": "4", "4444:": "4444:", "decimals": "1.4444444", "hex": "4a",
    "escapes": "4%20", "wide digits": "\uff14", "gaps": "4    ", "wider gaps": "4     ",
    "hex and dash": "4444444a-", "blanks": " ", "nineteen": "4" * 19 + " ",
    "eleven": "4" * 11 + "x", "percent": "%", "brackets": "a[b]", "open": "[", "pairs": "a&",
    "names": "a=1&", "nested": "{",
}  # fmt: skip


def _form(text: str) -> None:
    params = parse_form(text.encode())
    refuse_cards(params, chars_max=4_096)
    struct_from(params, CreatePayment)


def _value(text: str) -> None:
    refuse_cards({"metadata": {"a": text}})


SCANNERS: dict[str, Callable[[str], Any]] = {
    "maybe_card": maybe_card,
    "has_card_number": has_card_number,
    "is_card_key": is_card_key,
    "without_cards": without_cards,
    "refuse_cards": _value,
    "redact": redact,
    "form": _form,
    "json": lambda text: parse_json(b'{"a": "' + text.encode() + b'"}'),
    "raw json": lambda text: parse_json(text.encode()),
}


def measure(sizes_kb: tuple[int, ...] = SIZES_KB) -> list[dict[str, Any]]:
    """For each scanner and text its time per byte at each size."""
    rows = []
    for scanner, scan in SCANNERS.items():
        for name, piece in HOSTILE.items():
            each = [_ns_per_byte(scan, piece, size * 1024) for size in sizes_kb]
            rows.append({"scanner": scanner, "text": name, "ns_per_byte": each})
    return rows


def _ns_per_byte(scan: Callable[[str], Any], piece: str, size: int) -> float:
    text = piece * (size // len(piece.encode()))
    best = float("inf")
    for _ in range(3):
        start = time.process_time_ns()
        with contextlib.suppress(ApiError):  # refused: that is an end too
            scan(text)
        best = min(best, time.process_time_ns() - start)
    return round(best / size, 2)


@click.command()
@click.option("--kilobytes", type=click.IntRange(1, 8192), default=1024, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(kilobytes: int, as_json: bool) -> None:
    """Time per byte of every scanner over a request's text, up to so many kilobytes."""
    import json

    sizes = tuple(size for size in SIZES_KB if size <= kilobytes) or (kilobytes,)
    rows = measure(sizes)
    if as_json:
        click.echo(json.dumps({"sizes_kb": sizes, "rows": rows}))
        return
    click.echo(f"{'scanner':16} {'text':14} ns/byte at {', '.join(f'{s} kB' for s in sizes)}")
    for row in rows:
        figures = "  ".join(f"{each:8.2f}" for each in row["ns_per_byte"])
        click.echo(f"{row['scanner']:16} {row['text']:14} {figures}")


if __name__ == "__main__":
    main()
