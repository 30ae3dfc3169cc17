"""The suite's own test: each defect planted into the skeleton's channel is seen by the check that
is there for it."""

import dataclasses
import importlib.util
import json
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


# What makes of the skeleton's channel one that is authenticated by an access token.
PREPARING: tuple[tuple[str, str], ...] = (
    ("requests.bearer(account)", "oauth.bearer(account)"),
    ("blocks import amounts, parsing", "blocks import amounts, oauth, parsing"),
    ("    Operation,\n    Outcome,", "    Operation,\n    Outcome,\n    Prepared,\n    Refused,"),
    ('secrets=("api_key", ', 'preparations=("token",), secrets=("client_id", "client_secret", '),
    ('credential_problem("Acme", reply)', 'credential_problem("Acme", reply, "client_secret")'),
    ("_SIGNED = ", '_TOKENS = oauth.ClientCredentials("Acme", "/token")\n_SIGNED = '),
    (
        "    def check(self",
        (
            "    def prepare(self, name: str, account: Account, now_ms: int) -> Request:\n"
            "        return _TOKENS.request(account)\n\n"
            "    def prepared(self, name: str, reply: Reply, account: Account, now_ms: int):\n"
            "        return _TOKENS.read(reply)\n\n"
            "    def check(self"
        ),
    ),
)
TOKEN = "token_held_0123456789"
GRANTED = {"access_token": "token_made_up_0123456789", "token_type": "Bearer", "expires_in": 60}
REFUSED = "correct secrets.client_id and secrets.client_secret of the gateway"
PREPARED = {
    "account": {
        "secrets": {
            "client_id": "client_of_acme", "client_secret": "secret_of_acme",
            "callback_secret": "callbacks_of_acme",
        },
        "prepared": {"token": {"access_token": TOKEN}},
    },
    "preparations": [
        {"name": "given", "of": "token", "status": 200, "body": GRANTED,
         "says": {"values": {"access_token": GRANTED["access_token"]}, "lasts_ms": 60_000}},
        {"name": "refused", "of": "token", "status": 401, "body": {"error": "invalid_client"},
         "refused": {"reason": "Acme refused the client credentials (401: invalid_client)",
                     "remedy": REFUSED}},
    ],
}  # fmt: skip
DEFECTS_OF_PREPARATIONS: dict[str, tuple[str, str, str]] = {
    "it_cannot_prepare": (
        "def prepare(", "def prepares(",
        "preparations.what_is_declared_is_there",
    ),
    "another_one_is_declared": (
        'preparations=("token",)', 'preparations=("token", "certificates")',
        "preparations.what_is_declared_is_there",
    ),
    "any_answer_is_a_token": (
        "return _TOKENS.read(reply)",
        "return _TOKENS.read(msgspec.structs.replace(reply, status=200))",
        "preparations.each_case_is_read_exactly",
    ),
    "a_token_for_ever": (
        "return _TOKENS.read(reply)",
        ("told = _TOKENS.read(reply)\n"
        "        return told if isinstance(told, Refused) else Prepared(told.values, 2**40)"),
        "preparations.each_case_is_read_exactly",
    ),
    "another_request_for_it_each_time": (
        "return _TOKENS.request(account)",
        ("made = _TOKENS.request(account)\n"
        '        nonce = {"x-nonce": __import__("os").urandom(8).hex()}\n'
        "        return msgspec.structs.replace(made, headers={**made.headers, **nonce})"),
        "preparations.they_are_asked_for_in_order_and_the_same_each_time",
    ),
    "the_secret_in_the_address_of_the_token": (
        'ClientCredentials("Acme", "/token")',
        'ClientCredentials("Acme", "/token", shown="body", method="GET")',
        "preparations.they_are_asked_for_in_order_and_the_same_each_time",
    ),
    "a_token_is_needed_for_the_token": (
        "return _TOKENS.request(account)",
        'return requests.post_json(account, "/token", oauth.bearer(account), {})',
        "preparations.they_are_asked_for_in_order_and_the_same_each_time",
    ),
    "a_payment_for_the_token": (
        'ClientCredentials("Acme", "/token")', 'ClientCredentials("Acme", "/payments")',
        "preparations.they_move_no_money",
    ),
    "the_token_in_the_body": (
        'body |= {"token"', 'body |= {"key": account.need("token")["access_token"], "token"',
        "preparations.what_is_prepared_authenticates_and_nothing_else",
    ),
    "the_token_in_a_look_up_s_address": (
        "safe='')}\"", "safe='')}?key={account.need('token')['access_token']}\"",
        "preparations.what_is_prepared_authenticates_and_nothing_else",
    ),
    "the_token_in_a_header_that_is_kept": (
        'requests.get(account, "/account", oauth.bearer(account))',
        'requests.get(account, "/account", {"x-acme": account.need("token")["access_token"]})',
        "preparations.what_is_prepared_authenticates_and_nothing_else",
    ),
    "an_empty_token_is_sent": (
        "oauth.bearer(account)",
        '{"authorization": "Bearer " + account.prepared.get("token", {}).get("access_token", "")}',
        "preparations.nothing_is_sent_without_what_it_needs",
    ),
    "a_callback_is_believed_without_what_checks_it": (
        "dated = not _SIGNED.check(notice, account, now_ms)",
        "dated = not account.prepared or not _SIGNED.check(notice, account, now_ms)",
        "preparations.nothing_is_read_by_what_is_not_there",
    ),
    "an_answer_is_a_no_without_what_checks_it": (
        'or Failure("")', 'if account.prepared else Failure("unknown_key")',
        "preparations.nothing_is_read_by_what_is_not_there",
    ),
    "its_reader_raises": (
        "return _TOKENS.read(reply)",
        "msgspec.json.decode(reply.body)\n        return _TOKENS.read(reply)",
        "preparations.any_answer_is_read_without_a_fault",
    ),
    "it_reads_nothing_at_all": (
        "return _TOKENS.read(reply)", "return _TOKENS.read(reply) if reply.body else None",
        "preparations.any_answer_is_read_without_a_fault",
    ),
    "an_operator_is_told_what_the_provider_likes": (
        "return _TOKENS.read(reply)",
        ("told = _TOKENS.read(reply)\n"
        "        if isinstance(told, Prepared):\n"
        "            return told\n"
        "        said = reply.body.decode(errors='replace')\n"
        "        known = 'invalid_client' in said or not said\n"
        "        return told if known else Refused(said[:99], told.remedy)"),
        "preparations.refusals_name_the_remedy",
    ),
    "no_remedy_is_named": (
        "return _TOKENS.read(reply)",
        ("told = _TOKENS.read(reply)\n"
        "        return told if isinstance(told, Prepared) else Refused(told.reason, 'wait')"),
        "preparations.refusals_name_the_remedy",
    ),
    "the_client_s_secret_in_a_header_that_is_kept": (
        "return _TOKENS.request(account)",
        ("made = _TOKENS.request(account)\n"
        '        shown = {"x-client": account.secrets["client_secret"]}\n'
        "        return msgspec.structs.replace(made, headers=shown)"),
        "preparations.what_is_prepared_is_in_no_word",
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


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one that is authenticated by an access token."""
    folder = skeleton.make("acme", tmp_path_factory.mktemp("prepared") / "acme")
    channel, cases = folder / "__init__.py", folder / "cases.json"
    text = channel.read_text()
    for old, new in PREPARING:
        assert text.count(old) >= 1, old
        text = text.replace(old, new)
    channel.write_text(text)
    page = folder / "page.md"
    page.write_text(page.read_text().replace("api_key", "client_id, client_secret"))
    data = json.loads(cases.read_text())
    data["account"] = {**data["account"], **PREPARED["account"]}  # type: ignore[dict-item]
    cases.write_text(json.dumps({**data, "preparations": PREPARED["preparations"]}))
    transcript.record(loaded(folder, "sound", text))
    return folder


def test_one_that_prepares_is_green(prepared: Path) -> None:
    text = (prepared / "__init__.py").read_text()
    assert [each for each in run.run(loaded(prepared, "fine", text)) if each.seen] == []


@pytest.mark.parametrize("name", DEFECTS_OF_PREPARATIONS)
def test_it_is_seen_of_preparations(name: str, prepared: Path) -> None:
    old, new, by = DEFECTS_OF_PREPARATIONS[name]
    text = (prepared / "__init__.py").read_text()
    assert text.count(old) >= 1
    it = loaded(prepared, name, text.replace(old, new))
    red = {each.name: each.seen for each in run.run(it) if each.seen is not None}
    assert by in red, f"seen by {sorted(red)}"
    assert red[by] and TOKEN not in red[by]


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


def test_a_field_that_nobody_signed_is_seen(made: Path, text: str) -> None:
    """Of callbacks whose signature stands in the body, and covers some of it."""
    whole = '("id", "type", "data.id", "data.reference", "data.amount", "data.currency")'
    for name, fields in (("sealed", whole), ("half_sealed", whole.replace('"data.amount", ', ""))):
        scheme = f'sealed.OfFields({fields[:-1]}, "data.status", "data.reason"), "seal")'
        changed = text.replace('signatures.Timestamped("acme-signature")', scheme)
        changed = changed.replace("    secret_headers=(_SIGNED.header,),\n", "")
        changed = changed.replace("blocks import ", "blocks import sealed, ", 1)
        it = loaded(made, name, changed)
        secrets = {**it.cases.account.secrets, "callback_secret": "00ff10ef"}
        account = replace(it.cases.account, secrets=secrets)
        it = dataclasses.replace(it, cases=replace(it.cases, account=account))
        if name == "sealed":
            callbacks.check_what_is_read_of_a_body_is_signed(it)
            callbacks.check_forgeries_are_refused(it)
            continue
        with pytest.raises(Failed, match="with another body"):
            callbacks.check_what_is_read_of_a_body_is_signed(it)
        with pytest.raises(Failed, match="with another body"):
            callbacks.check_forgeries_are_refused(it)
