"""What the checks allow to some providers, and no more: defects planted into a channel of one
currency that is not named, and into one whose void is a state of its charge."""

import json
from pathlib import Path
from typing import Any

import pytest

from bailiwick_lab.channel_suite import run, skeleton, transcript
from tests.contract.test_defects import loaded

Changes = tuple[tuple[str, str], ...]

# What makes of the skeleton's channel one of euros alone, which its provider does not name.
OF_EUROS: Changes = (
    ("    visibility_ms=5_000,\n", '    visibility_ms=5_000,\n    currencies=("EUR",),\n'),
    ("    currency: str | None = None\n", ""),
    ("found.amount, found.currency", 'found.amount, "EUR"'),
    ('            "currency": instruction.currency,\n', ""),
)
# A void of the charge, and what is found of it.
SENDS = """\
        if instruction.operation is Operation.VOID:
            own = quote(parsing.charge_reference(instruction), safe='')
            path, headers = f"/payments/{own}/remove", requests.bearer(account)
            return requests.post_json(account, path, headers, {})
        path = _PATHS[instruction.operation]
"""
READS = """\
    return _removed(found) if instruction.operation is Operation.VOID else _told(found)


def _own(instruction: Instruction) -> str:
    voided = instruction.operation is Operation.VOID
    own = (instruction.charge_reference or "") if voided else instruction.reference
    return quote(own, safe='')


def _removed(found: Movement) -> Result:
    amount, currency = amounts.told(PROFILE, found.amount, found.currency)
    if found.status == "removed":
        return Result(Outcome.APPROVED, None, amount, currency, captured=False)
    return unknown(parsing.word(found.status) or "unknown_status")
"""
# What makes of it one whose charges can be removed, by our reference.
REMOVING: Changes = (
    ("{Operation.CHARGE: _WAYS,", "{Operation.CHARGE: _WAYS, Operation.VOID: _BY_REFERENCE,"),
    ("_WAYS = (", "_BY_REFERENCE = (Resolve.REFERENCE,)\n_WAYS = ("),
    ("    visibility_ms=5_000,\n", "    visibility_ms=5_000,\n    reversal=True,\n"),
    ("        path = _PATHS[instruction.operation]\n", SENDS),
    (
        "path = f\"{_PATHS[instruction.operation]}/{quote(instruction.reference, safe='')}\"",
        "path = f\"{_PATHS.get(instruction.operation, '/payments')}/{_own(instruction)}\"",
    ),
    (
        "    if found is None or found.reference != instruction.reference:\n",
        "    if found is None or found.reference != _own(instruction):\n",
    ),
    ("    return _told(found)\n", READS),
)
VOID = {
    "operation": "void", "reference": "vo_a1", "amount": 1099, "currency": "EUR",
    "provider_ref": "pay_77", "charge_reference": "ch_a1",
}  # fmt: skip
GONE = {"like": "payment", "with": {"status": "removed"}}
STANDS = {"like": "payment", "with": {"status": "waiting"}}
DONE = {"outcome": "approved", "amount": 1099, "currency": "EUR", "captured": False}
REMOVED = [
    {"name": "removed", "to": "void", "status": 200, "body": GONE, "says": DONE},
    {"name": "is_gone", "to": "void", "way": "reference", "status": 200, "body": GONE,
     "says": DONE},
    {"name": "still_stands", "to": "void", "way": "reference", "status": 200, "body": STANDS,
     "says": {"outcome": "unknown", "detail": "waiting"}},
]  # fmt: skip


def changed(text: str, changes: Changes) -> str:
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new)
    return text


def made(folder: Path, changes: Changes, cases: dict[str, Any]) -> Path:
    """The folder of the skeleton's channel with these changes, recorded."""
    folder = skeleton.make("acme", folder)
    channel, file = folder / "__init__.py", folder / "cases.json"
    channel.write_text(changed(channel.read_text(), changes))
    file.write_text(json.dumps(cases))
    transcript.record(loaded(folder, "sound", channel.read_text()))
    return folder


def red(folder: Path, changes: Changes = ()) -> dict[str, str]:
    """What the checks see of the channel with a defect."""
    text = changed((folder / "__init__.py").read_text(), changes)
    done = run.run(loaded(folder, "changed", text))
    return {each.name: each.seen for each in done if each.seen is not None}


def known() -> dict[str, Any]:
    data: dict[str, Any] = json.loads((skeleton.HERE / "cases.json.txt").read_text())
    return data


@pytest.fixture(scope="module")
def of_euros(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cases = known()
    for body in cases["bodies"].values():
        body.pop("currency", None)
    cases["approval"]["body"]["with"].pop("currency")
    answers = cases["answers"]
    cases["answers"] = [each for each in answers if each["name"] != "paid_in_another_currency"]
    return made(tmp_path_factory.mktemp("euros") / "acme", OF_EUROS, cases)


@pytest.fixture(scope="module")
def removing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cases = known()
    cases["instructions"]["void"] = VOID
    cases["answers"] += REMOVED
    return made(tmp_path_factory.mktemp("removing") / "acme", REMOVING, cases)


NAMED = "money.an_approval_names_amount_and_currency"


def test_one_currency_need_not_be_named(of_euros: Path) -> None:
    assert red(of_euros) == {}


@pytest.mark.parametrize(
    "defect",
    [
        ('    currencies=("EUR",),\n', '    currencies=("EUR", "SEK"),\n'),
        ('    currencies=("EUR",),\n', ""),
        ("_told(found)\n", "msgspec.structs.replace(_told(found), amount=instruction.amount)\n"),
    ],
    ids=["of_two_one_must_be", "of_all_one_must_be", "the_amount_is_made_up"],
)
def test_what_else_is_not_named_is_seen(of_euros: Path, defect: tuple[str, str]) -> None:
    assert NAMED in red(of_euros, (defect,))


def test_one_currency_that_is_named_is_read(of_euros: Path, tmp_path: Path) -> None:
    """Also where the case of an approval has it written out."""
    cases = json.loads((of_euros / "cases.json").read_text())
    cases["approval"]["body"]["with"]["currency"] = "EUR"
    blind = made(tmp_path / "blind", OF_EUROS, cases)
    assert set(red(blind)) == {NAMED}
    reads = made(tmp_path / "reads", OF_EUROS[:1], {**known(), "approval": cases["approval"]})
    assert NAMED not in red(reads)


def test_a_void_may_be_looked_up_as_a_state_of_its_charge(removing: Path) -> None:
    assert red(removing) == {}


COMPARED = "answers.our_reference_is_compared"
LOOKED_FOR = "requests.queries_name_what_is_looked_for"


@pytest.mark.parametrize(
    ("defect", "by"),
    [
        (("    reversal=True,\n", ""), LOOKED_FOR),
        (('(instruction.charge_reference or "")', '(instruction.provider_ref or "")'), LOOKED_FOR),
        (("found.reference != _own(", "found is None and _own("), COMPARED),
        (('if found.status == "removed"', "if found.status"), "answers.each_case_is_read_exactly"),
    ],
    ids=[
        "voids_do_not_name_charges", "another_charge_is_looked_for", "another_s_void_is_ours",
        "whatever_is_found_is_void",
    ],
)  # fmt: skip
def test_a_void_of_nothing_is_seen(removing: Path, defect: tuple[str, str], by: str) -> None:
    assert by in red(removing, (defect,))


@pytest.mark.parametrize("lacking", ["still_stands", "is_gone"])
def test_cases_tell_what_is_done_from_what_is_not(
    removing: Path, lacking: str, tmp_path: Path
) -> None:
    cases = json.loads((removing / "cases.json").read_text())
    cases["answers"] = [each for each in cases["answers"] if each["name"] != lacking]
    assert LOOKED_FOR in red(made(tmp_path / "acme", REMOVING, cases))


def test_a_refund_is_no_state_of_its_charge(removing: Path, tmp_path: Path) -> None:
    cases = json.loads((removing / "cases.json").read_text())
    cases["bodies"]["refund"]["reference"] = "ch_a1"
    also = ("voided = instruction.operation is", "voided = instruction.charge_reference or")
    folder = made(
        tmp_path / "acme", (*REMOVING, (f"{also[0]} Operation.VOID", f"{also[1]} None")), cases
    )
    assert "refund by reference" in red(folder)[LOOKED_FOR]
