"""What a channel declares is complete, and it has cases for it."""

from bailiwick.base.money import CURRENCIES
from bailiwick.channels.contract import ON_CHARGES, Operation, Outcome, Resolve
from bailiwick_lab.channel_suite.subject import Subject, require


def check_profile_is_complete(it: Subject) -> None:
    profile = it.profile
    lacking = set(ON_CHARGES) - set(profile.resolve)
    require(not lacking, f"every channel has {', '.join(sorted(lacking))}")
    require(bool(profile.methods), "it takes no method")
    require(profile.total_ms >= profile.first_byte_ms > 0, "bounds of an exchange")
    require(profile.connect_ms > 0, "connect_ms")
    for currency in (*profile.exponents, *profile.multiples, *(profile.currencies or ())):
        require(currency in CURRENCIES, f"{currency} is no currency")


def check_every_unknown_can_end(it: Subject) -> None:
    for operation, ways in it.profile.resolve.items():
        require(bool(ways), f"an unknown {operation} could never end")
        require(len(set(ways)) == len(ways), f"{operation} has a way twice")
        if Resolve.REPLAY in ways:
            require(it.profile.replay_ms > 0, f"{operation} is replayed, within which time?")
        if Resolve.REFERENCE in ways:
            require(it.profile.visibility_ms > 0, "a look-up by reference has a visibility_ms")


def check_account_has_the_secrets(it: Subject) -> None:
    for name in it.profile.secrets:
        require(name in it.cases.account.secrets, f"the cases' account has no {name}")


def check_cases_cover_operations_and_outcomes(it: Subject) -> None:
    seen = {(each.instruction.operation, each.says.outcome) for each in it.cases.answers}
    for operation in (Operation.CHARGE, Operation.REFUND):
        for outcome in Outcome:
            require((operation, outcome) in seen, f"no case of a {operation} that is {outcome}")
    for operation in it.profile.resolve:
        require((operation, Outcome.APPROVED) in seen, f"no case of an approved {operation}")


def check_cases_cover_look_ups(it: Subject) -> None:
    seen = {(each.instruction.operation, each.way) for each in it.cases.answers}
    readable = (Resolve.REFERENCE, Resolve.PROVIDER_ID)
    for way in readable:
        used = [name for name, ways in it.profile.resolve.items() if way in ways]
        require(not used or any((name, way) in seen for name in used), f"no case by {way}")


def check_case_names_are_unique(it: Subject) -> None:
    for kind in (it.cases.answers, it.cases.callbacks):
        names = [each.name for each in kind]
        require(len(set(names)) == len(names), "two cases have one name")
