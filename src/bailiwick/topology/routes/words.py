"""What rules and fees say, in words. Pure."""

from collections.abc import Iterable, Mapping

from bailiwick.topology.routes.columns import (
    ABSENT,
    DAY_MIN,
    METADATA,
    MOST,
    TIME,
    Allowed,
    Box,
    Texts,
)
from bailiwick.topology.routes.parts import Fee, RoutingRule
from bailiwick.topology.routes.retries import Retry

_NAMED = 6
_BEFORE = {
    "mode": "in mode",
    "places": "from",
    "currencies": "in",
    "methods": "by",
    "issuer_countries": "with a card issued in",
    "fingerprints": "with card fingerprint",
    "customers": "of customer",
    "amount": "of",
    "lot": "drawn by lot",
    "bins": "with a card number that begins with",
}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def conditions(box: Box, given: Mapping[str, Iterable[str]] = {}) -> str:
    """What a box allows; "" for everything. ``given``: columns as they were written."""
    order = [*_BEFORE, *sorted(name for name in box if name not in _BEFORE)]
    found = []
    for name in order:
        if name in box:
            allowed = box[name]
            found.append(f"{_before(name)} {_said(name, allowed, given.get(name))}")
    return ", ".join(found)


def sentence(rule: RoutingRule) -> str:
    """A rule as a sentence without its end."""
    whose = f"of {_either(rule.merchants)}" if rule.merchants else ""
    which = ", ".join(each for each in (whose, rule.words) if each)
    return f"payments{' ' + which if which else ''} go {_to(rule)}{_how(rule)}"


def price(fee: Fee) -> str:
    """A fee in words."""
    tiers = []
    for tier in fee.tiers:
        parts = [f"{tier.bps / 100:g} %"] if tier.bps or not tier.fixed else []
        parts += [f"{tier.fixed} minor units"] if tier.fixed else []
        start = f" from {tier.start} on" if len(fee.tiers) > 1 else ""
        tiers.append(" and ".join(parts) + start)
    bounds = "" if fee.least is None else f", at least {fee.least}"
    bounds += "" if fee.most is None else f", at most {fee.most}"
    return f"{fee.words or 'all payments'}: {', '.join(tiers)}{bounds}"


def afterwards(retry: Retry) -> str:
    """What follows on declines, in words."""
    whose = f" of {_either(retry.merchants)}" if retry.merchants else ""
    then = "another gateway is asked" if retry.action == "other_gateway" else "it stays at that"
    return f"after a decline{whose} with {_either(retry.codes)}, {then}"


def _to(rule: RoutingRule) -> str:
    named = [name for name in rule.gateways if name not in rule.shares]
    named = [f"{name} ({share} %)" for name, share in rule.shares.items()] + named
    kinds = [f"any {kind.replace('_', ' ')}" for kind in sorted(rule.kinds)]
    to = ", ".join([*named, *kinds]) or "any gateway"
    return f"to {to}{', else to any other' if rule.others else ''}"


def _how(rule: RoutingRule) -> str:
    how = {
        "priority": "in this order" if rule.gateways else "by priority",
        "cost": "the cheapest first",
        "spread": "spread evenly",
        "split": "by these shares",
        "sticky": f"each {rule.by} always to the same",
        "success": "the most successful first",
    }[rule.strategy]
    below = f", those under {rule.eliminate_below:.0%} last" if rule.eliminate_below else ""
    return f", {how}{below}"


def _before(name: str) -> str:
    if name.startswith(METADATA):
        return f"with metadata {name.removeprefix(METADATA)}"
    return "on" if name.startswith(TIME) else _BEFORE[name]


def _said(name: str, allowed: Allowed, given: Iterable[str] | None) -> str:
    if given is not None:
        return _either(given)
    if isinstance(allowed, Texts):
        if allowed.beside:
            rest = _either(sorted(allowed.named))
            return f"anything but {rest}" if allowed.named else "anything"
        return _either(sorted(allowed.named))
    if name == "bins":
        return _either(f"{low:08d}-{high - 1:08d}" for low, high in _known(allowed.spans))
    if name == "lot":
        return f"({sum(high - low for low, high in allowed.spans) / 100:g} %)"
    if name.startswith(TIME):
        spans = (f"{_clock(low)} to {_clock(high)}" for low, high in _known(allowed.spans))
        return f"{_either(spans)} ({name.removeprefix(TIME)})"
    return _either(_amount(low, high) for low, high in _known(allowed.spans))


def _known(spans: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    return ((max(low, 0), high) for low, high in spans if high > 0)


def _amount(low: int, high: int) -> str:
    if high >= MOST:
        return f"{low} minor units or more" if low > 0 else "any amount"
    return f"less than {high} minor units" if low in (0, ABSENT) else f"{low} to {high - 1}"


def _clock(minute: int) -> str:
    day, rest = divmod(minute % (7 * DAY_MIN), DAY_MIN)
    return f"{_DAYS[day]} {rest // 60:02d}:{rest % 60:02d}"


def _either(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - _NAMED
    if more > 0:
        return f"{', '.join(listed[:_NAMED])} or {more} more"
    return " or ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)
