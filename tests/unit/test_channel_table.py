"""The table of channels is what they declare; nothing but its folders names a channel."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bailiwick.channels import registry
from bailiwick.channels.contract import Family, Operation, Profile, Resolve, Takes
from bailiwick.methods import every
from bailiwick_lab.channel_suite import table
from bailiwick_lab.commands.channel import command

ROOT = Path(__file__).parents[2]
GENERAL = ("sandbox", "square", "stripe")
"""Channels whose names are words of their own here: the sandbox is the program that all tests pay
at, the API is in the shape of Stripe's, and a square is a shape and a power."""
DIALECTS = ("bank_ascii", "bank_packed")
"""By these the tests of ISO 8583, its transport and its reversals speak."""


def said(*arguments: str) -> str:
    done = CliRunner().invoke(command, ["table", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_every_way_of_every_channel_has_a_row() -> None:
    found = [(row.channel, row.method, row.by) for row in table.rows()]
    declared = [
        (name, method, takes.family.value)
        for name in registry.names()
        for method, ways in registry.channel(name).profile.methods.items()
        for takes in ways
    ]
    assert found == declared


PROFILE = Profile(
    name="acme",
    title="Acme",
    resolve=dict.fromkeys(
        (Operation.CHARGE, Operation.CAPTURE, Operation.VOID, Operation.REFUND),
        (Resolve.CALLBACK,),
    ),
    visibility_ms=0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("channel", "method", "takes", "shown"),
    [
        (None, "card", Takes(), ()),
        (("EUR", "USD"), "card", Takes(), ("EUR", "USD")),
        (None, "ideal", Takes(), ("EUR",)),
        (("BRL", "EUR", "USD"), "ideal", Takes(), ("EUR",)),
        (("EUR", "GBP", "USD"), "wallet", Takes(currencies=("GBP", "USD")), ("GBP", "USD")),
        (("EUR",), "their_own", Takes(), ("EUR",)),
    ],
)
def test_currencies_are_those_of_channel_type_and_way(
    channel: tuple[str, ...] | None, method: str, takes: Takes, shown: tuple[str, ...]
) -> None:
    profile = Profile("acme", "Acme", PROFILE.resolve, 0, currencies=channel)
    assert table.currencies(profile, method, takes) == shown


def test_what_cannot_be_held_is_not_captured() -> None:
    assert Operation.CAPTURE in table.operations(PROFILE, Takes())
    left = table.operations(PROFILE, Takes(Family.VOUCHER, holds=False))
    assert left == (Operation.CHARGE, Operation.VOID, Operation.REFUND)


def test_it_is_printed_for_people_and_for_programs() -> None:
    rows = json.loads(said("--json"))
    assert [row["channel"] for row in rows] == [row.channel for row in table.rows()]
    lines = list(csv.reader(io.StringIO(said("sandbox", "--csv"))))
    assert lines[0] == list(table.HEADINGS)
    pix = next(line for line in lines if line[1] == "pix")
    assert pix[4:] == ["BRL", " ".join(every()["pix"].payers)]
    text = said("sandbox")
    assert "Sandbox provider (sandbox)" in text and "  charge, increment, capture" in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_is_wrong_is_named() -> None:
    for arguments in (["nonsense"], ["--json", "--csv"]):
        done = CliRunner().invoke(command, ["table", *arguments])
        assert done.exit_code == 1, done.output
        assert arguments[0].strip("-") in done.output


def test_the_page_has_every_channel_and_its_judges() -> None:
    page = table.markdown(list(table.rows()))
    for name in registry.names():
        assert f"| {name} | " in page
        judges = table.judges_of(name)
        assert judges or name.startswith("sandbox"), f"{name} names no judge in its cases.json"
        assert all(judge in page for judge in judges)


def test_nothing_but_its_folders_names_a_channel() -> None:
    names = [each for each in registry.names() if not each.startswith(GENERAL)]
    assert names
    named = []
    for file in (*ROOT.glob("src/**/*"), *ROOT.glob("tests/**/*")):
        inside = file.relative_to(ROOT).parts
        if not file.is_file() or "__pycache__" in inside:
            continue
        text = file.read_bytes().lower()
        for name in names:
            own = "channels" in inside and (name in inside or inside[-1] == "page.md")
            ours = inside[0] == "tests" and name in DIALECTS
            # A type of payment method may have the name of who offers it.
            if not own and not ours and name not in every() and name.encode() in text:
                named.append(f"{'/'.join(inside)} names {name}")
    assert not named
