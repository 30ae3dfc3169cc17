"""What a channel declares is complete and no contradiction, and it has cases for it."""

import re

from bailiwick.base.money import CURRENCIES
from bailiwick.channels.contract import Operation, Outcome, Resolve
from bailiwick_lab.channel_suite.subject import Subject, require

ALWAYS = (Operation.CHARGE, Operation.REFUND)
OF_HOLDS = (Operation.CAPTURE, Operation.VOID)


def check_profile_is_complete(it: Subject) -> None:
    profile = it.profile
    wanted = {*ALWAYS, *(OF_HOLDS if profile.manual_capture else ())}
    lacking = wanted - set(profile.resolve)
    require(not lacking, f"it has no {', '.join(sorted(lacking))}")
    require(bool(profile.methods), "it takes no method")
    require(profile.total_ms >= profile.first_byte_ms > 0, "bounds of an exchange")
    require(profile.connect_ms > 0, "connect_ms")
    for currency in (*profile.exponents, *profile.multiples, *(profile.currencies or ())):
        require(currency in CURRENCIES, f"{currency} is no currency")


def check_holds_are_declared_as_a_whole(it: Subject) -> None:
    profile = it.profile
    several = profile.multiple_captures and profile.capture_ids
    require(not several, "a refund names one capture: capture_ids, or multiple_captures")
    if profile.manual_capture:
        require(profile.hold_ms > 0, "a hold lasts how long? hold_ms")
        return
    require(Operation.INCREMENT not in profile.resolve, "an increment without holds: no capture")
    require(not profile.capture_ids, "capture_ids without holds")
    require(not profile.multiple_captures, "multiple_captures without holds")
    require(not profile.overcapture_percent, "overcapture_percent without holds")


def check_every_unknown_can_end(it: Subject) -> None:
    for operation, ways in it.profile.resolve.items():
        require(bool(ways), f"an unknown {operation} could never end")
        require(len(set(ways)) == len(ways), f"{operation} has a way twice")
        if Resolve.REPLAY in ways:
            require(it.profile.replay_ms > 0, f"{operation} is replayed, within which time?")
        if Resolve.REFERENCE in ways:
            require(it.profile.visibility_ms > 0, "a look-up by reference has a visibility_ms")
        if Resolve.REVERSAL in ways:
            again = Resolve.REPLAY in it.profile.resolve.get(Operation.VOID, ())
            require(operation is Operation.CHARGE, f"a {operation} is not reversed, but repeated")
            require(
                it.profile.reversal and again, "a reversal is a void, sent until it is answered"
            )


def check_account_has_the_secrets(it: Subject) -> None:
    for name in it.profile.secrets:
        secret = it.cases.account.secrets.get(name, "")
        require(len(secret) >= 8, f"the cases' account has no {name} of 8 characters or more")


def check_account_has_the_options(it: Subject) -> None:
    for name in it.profile.options:
        require(bool(it.cases.account.options.get(name)), f"the cases' account has no {name}")


def check_cases_cover_operations_and_outcomes(it: Subject) -> None:
    """Among its answers, or among its callbacks, where answers do not tell how it ended."""
    seen = {(each.instruction.operation, each.says.outcome) for each in it.cases.answers}
    for told in (each.says for each in it.cases.callbacks):
        if told is not None and told.operation is not None and told.result is not None:
            seen.add((told.operation, told.result.outcome))
    for operation in ALWAYS:
        wanted = set(Outcome)
        if Resolve.CALLBACK not in it.profile.resolve[operation]:
            wanted.discard(Outcome.PENDING)  # whose answers are final calls nobody back
        for outcome in sorted(wanted):
            require((operation, outcome) in seen, f"no case of a {operation} that is {outcome}")
    for operation in it.profile.resolve:
        require((operation, Outcome.APPROVED) in seen, f"no case of an approved {operation}")


def check_cases_cover_look_ups(it: Subject) -> None:
    seen = {(each.instruction.operation, each.way) for each in it.cases.answers}
    for way in it.looked_up_by():
        used = [name for name, ways in it.profile.resolve.items() if way in ways]
        require(any((name, way) in seen for name in used), f"no case by {way}")
    found = any(each.says.not_found for each in it.cases.answers)
    by_reference = Resolve.REFERENCE in it.looked_up_by()
    require(not by_reference or found, "no case of a look-up by reference that finds nothing")


def check_case_names_are_unique(it: Subject) -> None:
    for kind in (it.cases.answers, it.cases.callbacks):
        names = [each.name for each in kind]
        require(len(set(names)) == len(names), "two cases have one name")


def check_shared_tokens_is_an_expression(it: Subject) -> None:
    if it.profile.shared_tokens is not None:
        try:
            re.compile(it.profile.shared_tokens)
        except re.error as error:
            require(False, f"shared_tokens: {error}")


def check_it_has_a_page(it: Subject) -> None:
    page = it.folder / "page.md"
    require(page.is_file(), f"{page} is missing: it says how to connect an account")
    text = page.read_text(encoding="utf-8")
    require(text.startswith("# "), "page.md begins with its heading: '# ' and the provider's name")
    for name in it.profile.secrets:
        require(name in text, f"page.md does not say where {name} is found")
