"""Preparations of a gateway: when they are asked for, how long they are kept, what is said."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from bailiwick.channels.contract import (
    Account,
    BadSecret,
    Exchange,
    Permit,
    Phase,
    Prepared,
    Profile,
    Refused,
    Reply,
    Request,
)
from bailiwick.routing import preparations as module
from bailiwick.routing.preparations import (
    HURRY_MAX_S,
    LASTS_MAX_MS,
    PAUSE_MAX_S,
    PAUSE_MIN_S,
    RENEW_AFTER,
    Preparations,
)
from tests.waiting import until

NS = 1_000_000_000
PROFILE = Profile("acme", "Acme", {}, visibility_ms=0, preparations=("token",))
ACCOUNT = Account("bank", "https://acme.test", {"client_secret": "s"})
DOWN = Exchange(Phase.UNSENT, None, "refused")


class Clock:
    """Nanoseconds since boot, as a test has them."""

    def __init__(self) -> None:
        self.ns = 1_000 * NS

    def __call__(self) -> int:
        return self.ns

    def on(self, seconds: float) -> None:
        self.ns += round(seconds * NS)


class Acme:
    """A channel that prepares: what the answer says is what it reads."""

    def __init__(self, profile: Profile = PROFILE) -> None:
        self.profile = profile
        self.reads: Callable[[Reply], Any] = lambda reply: Prepared(
            {"access_token": reply.body.decode()}, 100_000
        )
        self.raises: Exception | None = None
        self.url = "https://acme.test/"
        self.seen: list[tuple[str, Account]] = []

    def prepare(self, name: str, account: Account, now_ms: int) -> Request:
        self.seen.append((name, account))
        if self.raises is not None:
            raise self.raises
        if name == "certificates":
            account.need("token")
        return Request("POST", self.url + name, {})

    def prepared(
        self, name: str, reply: Reply, account: Account, now_ms: int
    ) -> Prepared | Refused:
        found: Prepared | Refused = self.reads(reply)
        return found


class Wire:
    """A transport that answers from a list, the last answer for ever."""

    def __init__(self, *answers: Exchange | str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def exchange(self, request: Request, profile: Profile, permit: Permit | None) -> Exchange:
        assert permit is None
        self.asked.append(request.url.rpartition("/")[2])
        await self.gate.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exchange):
            return answer
        return Exchange(Phase.ANSWERED, Reply(200, {}, answer.encode()))

    async def connect(self, request: Request, profile: Profile, connections: int = 2) -> Exchange:
        raise AssertionError("nothing is warmed for preparations")

    async def close(self) -> None:
        self.asked.append("closed")


class Lines:
    """What is logged."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.all.append({"event": event, **fields})

    error = warning


class Made:
    """Preparations with all that is around them in a test's hands."""

    def __init__(
        self, *answers: Exchange | str, account: Account = ACCOUNT, profile: Profile = PROFILE
    ) -> None:
        self.clock = Clock()
        self.channel: Any = Acme(profile)
        self.wire: Any = Wire(*(answers or ("first", "second", "third", "fourth")))
        self.silent = False
        self.all = Preparations(
            self.channel, profile, account, self.wire, lambda: self.silent, self.clock
        )

    @property
    def token(self) -> str | None:
        return self.all.account.prepared.get("token", {}).get("access_token")

    @property
    def due_s(self) -> float:
        """Seconds until the first is due."""
        return (min(each.due_ns for each in self.all.all) - self.clock.ns) / NS


@pytest.fixture(autouse=True)
def middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance takes the middle, so that times can be told."""
    monkeypatch.setattr(module.random, "uniform", lambda low, high: (low + high) / 2)


async def test_none_are_declared() -> None:
    channel: Any = Acme(replace(PROFILE, preparations=()))
    made = Preparations(channel, channel.profile, ACCOUNT, None, lambda: False)
    assert made.account == ACCOUNT and made.lacking() is None and made.shown() == []
    made.refused(0)
    await made.close()


async def test_obtained_kept_and_renewed_ahead_of_time() -> None:
    made = Made()
    assert made.all.lacking() == "token is lacking: it was not asked for yet; wait"
    assert made.token is None
    assert await made.all.renew()
    assert (made.token, made.all.lacking()) == ("first", None)
    assert made.due_s == 70, "between 60 and 80 of its 100 seconds"
    assert RENEW_AFTER == (0.6, 0.8)
    assert not await made.all.renew(), "it is not due"
    made.clock.on(70)
    assert await made.all.renew()
    assert (made.token, made.due_s) == ("second", 70)
    assert made.wire.asked == ["token", "token"]


async def test_its_life_counts_from_the_asking() -> None:
    made = Made()
    made.wire.gate.clear()
    asking = asyncio.ensure_future(made.all.renew())
    await until(lambda: made.wire.asked)
    made.clock.on(40)
    made.wire.gate.set()
    await asking
    made.clock.on(59)
    assert made.token == "first"
    made.clock.on(1)
    assert made.token is None
    assert made.all.lacking() == "token is lacking: it has ended, and is asked for again; wait"


async def test_nothing_is_held_for_longer_than_a_week_nor_asked_for_all_the_time() -> None:
    made = Made()
    made.channel.reads = lambda reply: Prepared({"access_token": "x"}, 10**12)
    await made.all.renew()
    assert made.due_s == LASTS_MAX_MS / 1_000 * 0.7
    made = Made()
    made.channel.reads = lambda reply: Prepared({"access_token": "x"}, 1)
    await made.all.renew()
    assert made.due_s == PAUSE_MIN_S


async def test_a_renewal_that_fails_leaves_what_is_held_until_its_end() -> None:
    made = Made("first", DOWN)
    await made.all.renew()
    made.clock.on(70)
    pauses = []
    while made.token is not None:
        assert not await made.all.renew()
        assert made.all.lacking() is None
        pauses.append(made.due_s)
        made.clock.on(made.due_s)
    assert pauses == [0.5, 1, 2, 4, 8, 10, 10], "less and less often"
    assert PAUSE_MAX_S == 10
    told = "token is lacking: no answer: refused; look at base_url and the network"
    assert made.all.lacking() == told
    (shown,) = made.all.shown()
    assert (shown["ready"], shown["lasts_s"]) == (False, 0)
    assert (shown["obtained"], shown["failed"]) == (1, 7)
    made.wire.answers = ["again"]
    assert await made.all.renew()
    assert (made.token, made.all.lacking()) == ("again", None)
    (shown,) = made.all.shown()
    assert (shown["ready"], shown["lasts_s"], shown["problem"]) == (True, 100, None)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    made = Lines()
    monkeypatch.setattr(module, "log", made)
    return made


async def test_the_operator_is_told_once_of_each_reason(lines: Lines) -> None:
    made = Made(DOWN, DOWN, "x", "y", DOWN)
    made.channel.reads = lambda reply: Refused("Acme refused", "correct secrets.client_secret")
    for _ in range(5):
        await made.all.renew()
        made.clock.on(made.due_s)
    told = [(each["reason"], each["remedy"]) for each in lines.all]
    network = ("no answer: refused", "look at base_url and the network")
    assert told == [network, ("Acme refused", "correct secrets.client_secret"), network]
    assert all(each["preparation"] == "token" and each["gateway"] == "bank" for each in lines.all)


# What providers refuse


async def test_what_is_refused_a_thousand_times_is_renewed_once() -> None:
    made = Made()
    await made.all.renew()
    begun = made.clock.ns
    made.clock.on(1)
    for _ in range(1_000):
        made.all.refused(begun)
    assert made.due_s == 0
    made.wire.gate.clear()
    renewing = asyncio.ensure_future(made.all.renew())
    await until(lambda: len(made.wire.asked) == 2)
    for _ in range(1_000):
        made.all.refused(begun)  # while it is asked for
    made.wire.gate.set()
    await renewing
    assert made.token == "second"
    assert made.all.newer(begun)
    for _ in range(1_000):
        made.all.refused(begun)  # with what was held before: late answers
    assert made.due_s == 70
    assert made.wire.asked == ["token", "token"]


async def test_what_is_refused_again_and_again_is_renewed_less_and_less_often() -> None:
    made = Made("x")
    await made.all.renew()
    pauses = []
    for _ in range(12):
        made.clock.on(0.001)
        made.all.refused(made.clock.ns)
        if made.due_s > 60:
            break  # by then it is due by itself
        pauses.append(round(made.due_s + 0.001))
        made.clock.on(made.due_s)
        await made.all.renew()
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    assert HURRY_MAX_S == 60
    made.clock.on(made.due_s)
    await made.all.renew()  # by itself, which nobody had to ask for
    made.clock.on(1)
    made.all.refused(made.clock.ns)
    assert made.due_s == 0


async def test_the_one_that_is_named_is_renewed() -> None:
    made = Made(profile=replace(PROFILE, preparations=("token", "certificates")))
    await made.all.renew()
    made.clock.on(1)
    made.all.refused(made.clock.ns, "certificates")
    await made.all.renew()
    assert made.wire.asked == ["token", "certificates", "certificates"]


async def test_waiting_ends_when_something_is_due_or_refused() -> None:
    made = Made()
    await made.all.wait()  # due
    await made.all.renew()
    waiting = asyncio.ensure_future(made.all.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    made.clock.on(1)
    made.all.refused(made.clock.ns)
    await waiting
    assert made.due_s == 0


# One after the other


async def test_a_later_one_has_what_came_before() -> None:
    made = Made(
        DOWN, "first", "second", profile=replace(PROFILE, preparations=("token", "certificates"))
    )
    assert not await made.all.renew()
    assert made.wire.asked == ["token"]
    assert [each["problem"] for each in made.all.shown()] == [
        "no answer: refused", "it needs token first",
    ]  # fmt: skip
    made.clock.on(PAUSE_MIN_S)
    assert await made.all.renew()
    assert made.all.account.prepared == {
        "token": {"access_token": "first"}, "certificates": {"access_token": "second"},
    }  # fmt: skip
    assert made.all.lacking() is None


# What channels and settings do wrong


@pytest.mark.parametrize(
    ("raises", "reason"),
    [
        (BadSecret("secrets.key is no key"), "secrets.key is no key; correct it"),
        (ZeroDivisionError("hush-hush"), "a defect of the channel; the log names it"),
    ],
)
async def test_what_cannot_be_asked(raises: Exception, reason: str) -> None:
    made = Made()
    made.channel.raises = raises
    assert not await made.all.renew()
    assert reason in str(made.all.lacking()) and made.wire.asked == []
    assert "hush" not in str(made.all.lacking())


async def test_a_reader_that_raises_is_a_defect_and_no_more(lines: Lines) -> None:
    made = Made()

    def raising(reply: Reply) -> Prepared:
        raise ValueError(reply.body.decode())

    made.channel.reads = raising
    assert not await made.all.renew()
    assert "a defect of the channel" in str(made.all.lacking())
    assert [each["event"] for each in lines.all] == ["channel_defect", "preparation_failed"]


@pytest.mark.parametrize(
    "told", [Prepared({}, 1), Prepared({"a": "b"}, 0), Prepared({"a": "b"}, -1)]
)
async def test_what_is_nothing_is_not_held(told: Prepared) -> None:
    made = Made()
    made.channel.reads = lambda reply: told
    assert not await made.all.renew()
    assert "nothing that could be used" in str(made.all.lacking())


async def test_in_live_mode_nothing_is_asked_in_the_open() -> None:
    made = Made(account=replace(ACCOUNT, livemode=True))
    made.channel.url = "http://acme.test/"
    assert not await made.all.renew()
    assert "without encryption; give https" in str(made.all.lacking())
    assert made.wire.asked == []
    made.channel.url = "https://acme.test/"
    made.clock.on(PAUSE_MIN_S)
    assert await made.all.renew()


async def test_a_process_whose_node_is_served_elsewhere_asks_nothing() -> None:
    made = Made()
    made.silent = True
    assert not await made.all.renew()
    assert made.wire.asked == [] and "another process" in str(made.all.lacking())
    made.silent = False
    made.clock.on(PAUSE_MIN_S)
    assert await made.all.renew()


async def test_nothing_prepared_is_shown() -> None:
    made = Made("sesame-sesame")
    await made.all.renew()
    account = made.all.account
    assert account.prepared["token"]["access_token"] == "sesame-sesame"
    assert "sesame" not in f"{account!r}{account}{made.all.shown()}{made.all.lacking()}"
    await made.all.close()
    assert made.wire.asked[-1] == "closed"
