"""Callbacks: genuine ones are read exactly, all others are refused."""

from collections.abc import Iterator

from msgspec.structs import replace

from bailiwick.channels.contract import CallbackEvent, CallbackRefused, Notice, NotPrepared
from bailiwick_lab.channel_suite import wires
from bailiwick_lab.channel_suite.cases import Callback
from bailiwick_lab.channel_suite.subject import (
    CALLED,
    NOT_BELIEVED,
    NOW_MS,
    Failed,
    Subject,
    require,
)

DAY_MS = 86_400_000
STRANGE = (b"", b"{}", b"[]", b"null", b"\xff", b'{"id":"evt_1","type":"x"}', b"[" * 100_000)


def _call(it: Subject, notice: Notice) -> CallbackEvent | None:
    return it.channel.callback(notice, it.cases.account, NOW_MS)


def _refused(it: Subject, notice: Notice, what: str) -> CallbackRefused | NotPrepared:
    try:
        told = _call(it, notice)
    except NOT_BELIEVED as refused:
        return refused
    raise Failed(f"{what} was taken for genuine: {told}")


def _genuine(it: Subject) -> list[Callback]:
    return [each for each in it.cases.callbacks if each.says is not None]


def _signed(it: Subject) -> list[Callback]:
    """The genuine ones of a channel whose callbacks are signed."""
    return [] if it.profile.callbacks is None else _genuine(it)


def _added(it: Subject, case: Callback, now_ms: int = NOW_MS) -> dict[str, str]:
    """The headers that sign it."""
    return {
        name: value
        for name, value in it.signed(case, now_ms).headers.items()
        if name not in case.headers
    }


def _dated(it: Subject, case: Callback) -> bool:
    """Whether the time is part of the signature."""
    return it.signed(case, NOW_MS) != it.signed(case, NOW_MS + DAY_MS)


def check_there_are_callbacks_where_one_ends_an_unknown(it: Subject) -> None:
    ways = {way for found in it.profile.resolve.values() for way in found}
    require("callback" not in ways or bool(_genuine(it)), "no case of a callback")


def check_each_is_read_exactly(it: Subject) -> None:
    for case in it.cases.callbacks:
        notice = it.signed(case)
        if case.refused is not None:
            refused = _refused(it, notice, case.name)
            require(case.refused in str(refused), f"{case.name}: refused, but for: {refused}")
            continue
        told = _call(it, notice)
        require(told == case.says, f"{case.name}: read {told}, expected {case.says}")


def check_unsigned_ones_prove_nothing(it: Subject) -> None:
    if it.profile.callbacks is not None:
        return
    for case in _genuine(it):
        assert case.says is not None
        require(case.says.result is None, f"{case.name}: believed without a signature")


def check_each_names_what_it_is_about(it: Subject) -> None:
    for case in _genuine(it):
        assert case.says is not None
        about = case.says.provider_ref or case.says.charge
        by_id = bool(about) and it.profile.callbacks_by_id
        what = "neither our reference nor, by profile.callbacks_by_id, the provider's id"
        require(bool(case.says.reference) or by_id, f"{case.name}: {what}")
        operation = case.says.operation
        known = operation is None or operation in it.profile.resolve
        require(known, f"{case.name}: about a {operation}")
        says = (case.says.result, case.says.dispute)
        silent = operation is not None or says == (None, None)
        require(silent, f"{case.name}: it says something, but of which operation?")


def check_header_names_in_any_case(it: Subject) -> None:
    for case in _genuine(it):
        notice = it.signed(case)
        headers = {name.title(): value for name, value in notice.headers.items()}
        told = _call(it, replace(notice, headers=headers))
        require(told == case.says, f"{case.name}: {list(headers)}")


def check_signed_at_another_time_the_node_asks(it: Subject) -> None:
    """Where the time is signed; elsewhere nothing tells when it was."""
    for case in _signed(it):
        if not _dated(it, case):
            continue
        for off_ms in (-DAY_MS, -301_000, 301_000, DAY_MS):
            told = _call(it, it.signed(case, NOW_MS + off_ms))
            require(told is not None and told.dated, f"{case.name}: believed {off_ms} ms off")


def check_the_signature_covers_its_time(it: Subject) -> None:
    """The time of one callback with the signature of another is a forgery."""
    for case in _signed(it):
        now, later = (it.signed(case, at) for at in (NOW_MS, NOW_MS + DAY_MS))
        for name in now.headers:
            mixed = {**now.headers, name: later.headers[name]}
            if mixed not in (now.headers, later.headers):
                notice = replace(now, headers=mixed)
                _refused(it, notice, f"{case.name} with {name} of another time")


def check_forgeries_are_refused(it: Subject) -> None:
    for case in _signed(it):
        good = it.signed(case)
        _refused(it, _bare(good, case), f"{case.name} without a signature")
        for name, value in _added(it, case).items():
            for other in ("", "nonsense", value[:-1], value[:-1] + "é", value + "0" * 9_000):
                wrong = replace(good, headers={**good.headers, name: other})
                _refused(it, wrong, f"{case.name} with {name}: {other}")
        for body in (good.body + b" ", good.body[:-1], *_altered(good.body)):
            _of_no_effect(it, replace(good, body=body), case)


def _bare(notice: Notice, case: Callback) -> Notice:
    return replace(notice, headers=case.headers, body=case.body)


def _altered(body: bytes) -> Iterator[bytes]:
    """With any one of its digits made another."""
    for at, each in enumerate(body):
        if each in b"0123456789":
            yield body[:at] + (b"1" if each != ord("1") else b"2") + body[at + 1 :]


def _of_no_effect(it: Subject, notice: Notice, case: Callback) -> None:
    """It is refused; or what is another in it is not signed, and then it is not read either."""
    try:
        told = _call(it, notice)
    except NOT_BELIEVED:
        return
    what = f"{case.name} with another body was taken for genuine, {notice.body!r}: read {told}"
    require(told == case.says, what)


def check_what_is_read_of_a_body_is_signed(it: Subject) -> None:
    for case in _signed(it):
        good = it.signed(case)
        for body in wires.of(it.profile).parts(it.profile, it.cases.account, good.body):
            _of_no_effect(it, replace(good, body=body), case)


def check_what_is_read_of_an_address_is_signed(it: Subject) -> None:
    for case in _signed(it):
        good = it.signed(case)
        for query in ("", "id=another", f"{case.query}&id=another"):
            try:
                told = _call(it, replace(good, url=f"{CALLED}?{query}"))
            except NOT_BELIEVED:
                continue
            require(told == case.says, f"{case.name}, called with {query!r}: read {told}")


def check_another_account_s_signature_is_refused(it: Subject) -> None:
    secrets = dict.fromkeys(it.cases.account.secrets, "another_account_s")
    for case in _signed(it):
        for now_ms in (NOW_MS, NOW_MS + DAY_MS):
            try:
                notice = it.signed(case, now_ms, replace(it.cases.account, secrets=secrets))
            except ValueError:  # no key
                continue
            _refused(it, notice, f"{case.name} signed by another")


def check_no_secret_means_no_callback(it: Subject) -> None:
    """An empty key signs for everybody."""
    for empty in ("", "  "):
        account = replace(it.cases.account, secrets=dict.fromkeys(it.cases.account.secrets, empty))
        for case in _signed(it):
            try:
                notice = it.signed(case, NOW_MS, account)
                it.channel.callback(notice, account, NOW_MS)
            except (*NOT_BELIEVED, ValueError):
                continue
            raise Failed(f"{case.name}: taken for genuine with an empty secret")


def check_refusals_tell_no_secret(it: Subject) -> None:
    for case in _signed(it):
        told = str(_refused(it, _bare(it.signed(case), case), case.name))
        for secret in it.secrets():
            require(secret not in told, "a refusal tells a secret")


def check_what_cannot_be_read_is_refused(it: Subject) -> None:
    for body in STRANGE:
        try:
            told = _call(it, it.signed(Callback("strange", body)))
        except NOT_BELIEVED:
            continue
        require(told is None, f"{body[:40]!r} was read as {told}")
