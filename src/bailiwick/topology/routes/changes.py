"""What changed between two routing tables, in words. Pure."""

from collections.abc import Iterable

from bailiwick.topology.routes.parts import Fee, RoutingRule
from bailiwick.topology.routes.retries import Retry
from bailiwick.topology.routes.table import RoutingTable
from bailiwick.topology.routes.words import afterwards, price, sentence


def changes(old: RoutingTable, new: RoutingTable) -> list[str]:
    """One sentence a line; empty when nothing changes."""
    return [
        *_rules(old.rules, new.rules),
        *_fees(old.fees, new.fees),
        *_retries(old.retries, new.retries),
    ]


def _rules(old: Iterable[RoutingRule], new: Iterable[RoutingRule]) -> Iterable[str]:
    before, after = ({rule.name: rule for rule in rules} for rules in (old, new))
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was is None and now is not None:
            yield f"Routing rule {name} is added: {sentence(now)}."
        elif now is None and was is not None:
            yield f"Routing rule {name} is removed: {sentence(was)}."
        elif was is not None and now is not None and _content(was) != _content(now):
            yield f"Routing rule {name}: {sentence(was)} becomes: {sentence(now)}."
    first = [name for name in before if name in after]
    then = [name for name in after if name in before]
    if first != then:
        yield f"Routing rules are met in another order: {', '.join(then)}."


def _content(rule: RoutingRule) -> tuple[object, ...]:
    """A rule without its place, which changes with its neighbours."""
    return (
        rule.merchants, rule.box, rule.gateways, rule.kinds, rule.others, rule.strategy,
        rule.shares, rule.by, rule.eliminate_below,
    )  # fmt: skip


def _fees(old: tuple[Fee, ...], new: tuple[Fee, ...]) -> Iterable[str]:
    for gateway in sorted({fee.gateway for fee in (*old, *new)}):
        had, has = ([fee for fee in fees if fee.gateway == gateway] for fees in (old, new))
        if had != has:
            told = "; ".join(price(fee) for fee in has) or "as its settings say"
            yield f"Fees of {gateway} become: {told}."


def _retries(old: tuple[Retry, ...], new: tuple[Retry, ...]) -> Iterable[str]:
    yield from (f"No more: {afterwards(each)}." for each in old if each not in new)
    yield from (f"New: {afterwards(each)}." for each in new if each not in old)
    kept = [each for each in new if each in old]
    if kept != [each for each in old if each in new]:
        yield "What follows on declines is looked up in another order."
