"""The suite's own test: each defect planted into the skeleton's channel is seen by the check that
is there for it."""

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from msgspec.structs import replace

from bailiwick.channels.contract import Operation
from bailiwick_lab.channel_suite import run, skeleton, transcript
from bailiwick_lab.channel_suite.checks import answers, callbacks, requests
from bailiwick_lab.channel_suite.subject import Failed, Subject, subject

# Name: what is in the channel, what takes its place, and the check that sees it.
DEFECTS: dict[str, tuple[str, str, str]] = {
    "a_decline_is_an_approval": (
        '"failed": Outcome.DECLINED', '"failed": Outcome.APPROVED',
        "answers.each_case_is_read_exactly",
    ),
    "what_is_new_counts_as_waiting": (
        "_OUTCOMES.get(found.status, Outcome.UNKNOWN)",
        "_OUTCOMES.get(found.status, Outcome.PENDING)",
        "answers.each_case_is_read_exactly",
    ),
    "5xx_is_read_like_a_success": (
        "if reply.status == 200:\n", "if reply.status not in (400, 401, 404, 422, 429):\n",
        "answers.nothing_but_a_definite_answer_is_definite",
    ),
    "a_refusal_of_a_middlebox_is_a_decline": (
        'or Failure("")', 'or Failure("refused")',
        "answers.a_refusal_without_the_provider_s_words_is_unknown",
    ),
    "a_wrong_key_is_like_a_wrong_card": (
        "return refusals.refusal(reply, failure.code, failure.message)",
        "return refusals.refusal(msgspec.structs.replace(reply, status=402), failure.code, None)",
        "answers.what_was_turned_away_is_told_from_a_decline",
    ),
    "any_failed_look_up_finds_nothing": (
        "if reply.status == 404 and failure is not None and", "if failure is None or",
        "answers.a_refused_query_says_nothing_of_the_operation",
    ),
    "it_raises_at_what_is_nested": (
        "failure = parsing.decode(reply.body, Failure) or",
        "failure = msgspec.json.decode(reply.body, type=Failure) or",
        "answers.deep_nesting_is_only_unreadable",
    ),
    "another_s_payment_is_ours": (
        "if found is None or found.reference != instruction.reference:", "if found is None:",
        "answers.our_reference_is_compared",
    ),
    "the_amount_is_made_up": (
        "return _told(found)\n",
        "return msgspec.structs.replace(_told(found), amount=instruction.amount)\n",
        "money.an_approval_names_amount_and_currency",
    ),
    "the_currency_is_made_up": (
        "return _told(found)\n",
        "return msgspec.structs.replace(_told(found), currency=instruction.currency)\n",
        "money.an_approval_names_amount_and_currency",
    ),
    "amounts_at_our_own_scale": (
        "amounts.to_provider(PROFILE, instruction.amount, instruction.currency)",
        "instruction.amount",
        "money.every_currency_survives_the_round_trip",
    ),
    "amounts_that_cannot_be_expressed_are_cut": (
        "amounts.to_provider(PROFILE, instruction.amount, instruction.currency)",
        "instruction.amount // 10",
        "money.amounts_it_cannot_express_are_not_sent",
    ),
    "another_request_each_time": (
        'body |= {"token"', 'body |= {"nonce": __import__("os").urandom(8).hex(), "token"',
        "requests.same_input_same_bytes",
    ),
    "a_secret_in_the_body": (
        'body |= {"token"', 'body |= {"key": account.secrets["api_key"], "token"',
        "requests.secrets_stand_in_no_address_or_body",
    ),
    "a_secret_in_a_header_that_is_kept": (
        'requests.get(account, "/account", requests.bearer(account))',
        'requests.get(account, "/account", {"x-acme": account.secrets["api_key"]})',
        "transcripts.whatever_authenticates_is_declared",
    ),
    "a_hold_takes_the_money": (
        "requests.only_declared(PROFILE, instruction)", "instruction.automatic",
        "requests.nothing_is_held_where_there_are_no_holds",
    ),
    "a_void_is_sent_as_something_else": (
        "requests.only_declared(PROFILE, instruction)\n",
        "instruction.operation.value\n",
        "requests.operations_it_lacks_are_not_built",
    ),
    "an_id_breaks_out_of_the_address": (
        "path = _PATHS[instruction.operation]\n",
        'path = _PATHS[instruction.operation] + "/" + (instruction.provider_ref or "")\n',
        "requests.ids_cannot_leave_their_place_in_an_address",
    ),
    "a_refund_of_nothing_known": (
        "parsing.charge_id(instruction)", "instruction.provider_ref",
        "requests.nothing_acts_on_a_charge_that_is_not_known",
    ),
    "a_way_that_is_not_there": (
        "_WAYS = (Resolve.REFERENCE, Resolve.CALLBACK)",
        "_WAYS = (Resolve.REFERENCE, Resolve.PROVIDER_ID, Resolve.CALLBACK)",
        "requests.queries_exist_for_declared_ways_and_only_read",
    ),
    "it_looks_up_something_else": (
        "quote(instruction.reference, safe='')", "quote(instruction.currency, safe='')",
        "requests.queries_name_what_is_looked_for",
    ),
    "the_credential_check_is_blind": (
        'return requests.credential_problem("Acme", reply)', "return None",
        "requests.credentials_are_proved_without_harm",
    ),
    "callbacks_are_believed_unseen": (
        "dated = not _SIGNED.check(notice, account, now_ms)", "dated = False",
        "callbacks.forgeries_are_refused",
    ),
    "old_callbacks_are_news": (
        "_told(found), dated)", "_told(found), False)",
        "callbacks.signed_at_another_time_the_node_asks",
    ),
    "unreadable_callbacks_raise_what_they_like": (
        "event = parsing.demand(notice.body, Event)",
        "event = msgspec.json.decode(notice.body, type=Event)",
        "callbacks.what_cannot_be_read_is_refused",
    ),
    "unsigned_callbacks_prove_something": (
        "    callbacks=_SIGNED,\n", "",
        "callbacks.unsigned_ones_prove_nothing",
    ),
    "an_id_that_no_column_takes": (
        "    id: Id\n    reference: Id\n", "    id: str\n    reference: Id\n",
        "anything.each_part_of_an_answer_may_be_anything",
    ),
    "increments_without_holds": (
        "Operation.REFUND: _WAYS}", "Operation.REFUND: _WAYS, Operation.INCREMENT: _WAYS}",
        "declarations.holds_are_declared_as_a_whole",
    ),
    "an_unknown_that_never_ends": (
        "Operation.REFUND: _WAYS}", "Operation.REFUND: ()}",
        "declarations.every_unknown_can_end",
    ),
    "no_refunds": (
        ", Operation.REFUND: _WAYS}", "}",
        "declarations.profile_is_complete",
    ),
    "published_tokens_are_everybody_s": (
        "    visibility_ms=5_000,\n", '    visibility_ms=5_000,\n    shared_tokens="pm_.*",\n',
        "tokens.tokens_that_an_account_has_made_are_its_own",
    ),
    "a_field_that_is_not_recorded": (
        '"return_url": instruction.return_url', '"back": instruction.return_url',
        "transcripts.what_is_on_the_wire_is_as_recorded",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new channel called acme."""
    return skeleton.make("acme", tmp_path_factory.mktemp("project") / "acme")


def loaded(folder: Path, name: str, text: str) -> Subject:
    """The channel of this text, with what its folder has."""
    file = folder / f"{name}.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location(f"acme_{name}", file)
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        return subject(module.CHANNEL, folder)
    finally:
        del sys.modules[spec.name]
        file.unlink()


@pytest.fixture(scope="module")
def text(made: Path) -> str:
    text = (made / "__init__.py").read_text()
    transcript.record(loaded(made, "sound", text))
    return text


def test_the_skeleton_is_green_and_small(made: Path, text: str) -> None:
    assert [each for each in run.run(loaded(made, "sound", text)) if each.seen is not None] == []
    assert len(text.splitlines()) < 150


@pytest.mark.parametrize("name", DEFECTS)
def test_it_is_seen(name: str, made: Path, text: str) -> None:
    old, new, by = DEFECTS[name]
    assert text.count(old) >= 1
    it = loaded(made, name, text.replace(old, new))
    red = {each.name: each.seen for each in run.run(it) if each.seen is not None}
    assert by in red, f"seen by {sorted(red)}"
    assert red[by]


def answered(it: Subject, old: bytes, new: bytes) -> Subject:
    """The channel with another text in its provider's answers."""
    changed = [
        replace(case, reply=replace(case.reply, body=case.reply.body.replace(old, new)))
        for case in it.cases.answers
    ]
    return dataclasses.replace(it, cases=replace(it.cases, answers=changed))


def test_another_s_is_seen_however_references_are_spelt(made: Path, text: str) -> None:
    dashes = text.replace("instruction.reference", "instruction.reference.replace('_', '-')")
    it = answered(answered(loaded(made, "dashes", dashes), b"ch_", b"ch-"), b"re_", b"re-")
    answers.check_each_case_is_read_exactly(it)
    requests.check_queries_name_what_is_looked_for(it)
    answers.check_our_reference_is_compared(it)
    blind = dashes.replace("found.reference != instruction", "found is None and instruction")
    it = answered(loaded(made, "blind", blind), b"ch_", b"ch-")
    with pytest.raises(Failed, match="another's reference"):
        answers.check_our_reference_is_compared(it)


def test_a_list_of_the_charge_s_is_looked_up_only_where_ours_is_told(made: Path, text: str) -> None:
    listed = text.replace(
        "quote(instruction.reference, safe='')",
        "quote(instruction.provider_ref or instruction.reference, safe='')",
    )
    it = loaded(made, "listed", listed)
    requests.check_queries_name_what_is_looked_for(it)
    with pytest.raises(Failed, match="refund by reference"):
        requests.check_queries_name_what_is_looked_for(answered(it, b'"re_a1"', b"null"))


def test_callbacks_name_what_they_are_about(made: Path, text: str) -> None:
    it = loaded(made, "named", text)
    by_id = loaded(
        made, "by_id", text.replace("PROFILE = Profile(", "PROFILE = Profile(callbacks_by_id=True,")
    )
    for by, changes, wrong in (
        (it, {"reference": None}, "neither"),
        (by_id, {"reference": None}, None),
        (by_id, {"reference": None, "provider_ref": None}, "neither"),
        (it, {"operation": None}, "of which operation"),
        (it, {"operation": None, "result": None}, None),
        (it, {"operation": Operation.PAYOUT}, "about a payout"),
    ):
        says = [
            replace(case, says=replace(case.says, **changes))
            for case in by.cases.callbacks
            if case.says is not None
        ]
        changed = dataclasses.replace(by, cases=replace(by.cases, callbacks=says))
        if wrong is None:
            callbacks.check_each_names_what_it_is_about(changed)
            continue
        with pytest.raises(Failed, match=wrong):
            callbacks.check_each_names_what_it_is_about(changed)
