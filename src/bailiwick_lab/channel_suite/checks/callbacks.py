"""Callbacks: genuine ones are read exactly, all others are refused."""

from msgspec.structs import replace

from bailiwick.channels.contract import CallbackEvent, CallbackRefused, CallbackScheme
from bailiwick_lab.channel_suite.cases import Callback
from bailiwick_lab.channel_suite.subject import Failed, Subject, require

NOW_MS = 1_790_000_000_000
STRANGE = (b"", b"{}", b"[]", b"null", b"\xff", b'{"id":"evt_1","type":"x"}', b"[" * 100_000)


def _scheme(it: Subject) -> CallbackScheme | None:
    return it.profile.callbacks


def _headers(it: Subject, body: bytes, now_ms: int = NOW_MS) -> dict[str, str]:
    scheme = _scheme(it)
    return {} if scheme is None else scheme.sign(it.cases.account, body, now_ms)


def _call(it: Subject, headers: dict[str, str], body: bytes) -> CallbackEvent | None:
    return it.channel.callback(headers, body, it.cases.account, NOW_MS)


def _refused(it: Subject, headers: dict[str, str], body: bytes, what: str) -> CallbackRefused:
    try:
        told = _call(it, headers, body)
    except CallbackRefused as refused:
        return refused
    raise Failed(f"{what} was taken for genuine: {told}")


def _genuine(it: Subject) -> list[Callback]:
    return [each for each in it.cases.callbacks if each.says is not None]


def check_there_are_callbacks_where_one_ends_an_unknown(it: Subject) -> None:
    ways = {way for found in it.profile.resolve.values() for way in found}
    require("callback" not in ways or bool(_genuine(it)), "no case of a callback")


def check_each_is_read_exactly(it: Subject) -> None:
    for case in it.cases.callbacks:
        headers = _headers(it, case.body)
        if case.refused is not None:
            refused = _refused(it, headers, case.body, case.name)
            require(case.refused in str(refused), f"{case.name}: refused, but for: {refused}")
            continue
        told = _call(it, headers, case.body)
        require(told == case.says, f"{case.name}: read {told}, expected {case.says}")


def check_unsigned_ones_prove_nothing(it: Subject) -> None:
    if _scheme(it) is None:
        for case in _genuine(it):
            assert case.says is not None
            require(case.says.result is None, f"{case.name}: believed without a signature")


def check_header_names_in_any_case(it: Subject) -> None:
    for case in _genuine(it):
        headers = {name.title(): value for name, value in _headers(it, case.body).items()}
        require(_call(it, headers, case.body) == case.says, f"{case.name}: {list(headers)}")


def check_signed_at_another_time_the_node_asks(it: Subject) -> None:
    if _scheme(it) is None:
        return
    for case in _genuine(it):
        for off_ms in (-86_400_000, -301_000, 301_000, 86_400_000):
            told = _call(it, _headers(it, case.body, NOW_MS + off_ms), case.body)
            require(told is not None and told.dated, f"{case.name}: believed {off_ms} ms off")


def check_forgeries_are_refused(it: Subject) -> None:
    if _scheme(it) is None:
        return
    for case in _genuine(it):
        good = _headers(it, case.body)
        _refused(it, {}, case.body, f"{case.name} without headers")
        for name, value in good.items():
            for other in ("", "nonsense", value[:-1], value[:-1] + "é", value + "0" * 9_000):
                _refused(it, {**good, name: other}, case.body, f"{case.name} with {name}: {other}")
        _refused(it, good, case.body + b" ", f"{case.name} with another body")
        _refused(it, good, case.body[:-1], f"{case.name} with a shorter body")
        strange = replace(it.cases.account, secrets=dict.fromkeys(it.cases.account.secrets, "no"))
        scheme = _scheme(it)
        assert scheme is not None
        _refused(it, scheme.sign(strange, case.body, NOW_MS), case.body, f"{case.name} by another")


def check_no_secret_means_no_callback(it: Subject) -> None:
    """An empty key signs for everybody."""
    scheme = _scheme(it)
    if scheme is None:
        return
    for empty in ("", "  "):
        account = replace(it.cases.account, secrets=dict.fromkeys(it.cases.account.secrets, empty))
        for case in _genuine(it):
            try:
                it.channel.callback(
                    scheme.sign(account, case.body, NOW_MS), case.body, account, NOW_MS
                )
            except CallbackRefused:
                continue
            raise Failed(f"{case.name}: taken for genuine with an empty secret")


def check_refusals_tell_no_secret(it: Subject) -> None:
    if _scheme(it) is None:
        return
    for case in _genuine(it):
        told = str(_refused(it, {}, case.body, case.name))
        for secret in it.cases.account.secrets.values():
            require(secret not in told, "a refusal tells a secret")


def check_what_cannot_be_read_is_refused(it: Subject) -> None:
    for body in STRANGE:
        try:
            told = _call(it, _headers(it, body), body)
        except CallbackRefused:
            continue
        require(told is None, f"{body[:40]!r} was read as {told}")
