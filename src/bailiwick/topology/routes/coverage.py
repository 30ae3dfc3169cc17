"""What a routing table leaves out: rules that no payment can reach, payments that meet no rule.
Pure, and exact: see ``columns``.

For a person who is about to publish. It takes a second for a thousand rules, so processes that load
an epoch do without.
"""

from collections.abc import Iterable, Sequence

from bailiwick.topology.routes.columns import Box, Texts, cut
from bailiwick.topology.routes.parts import RoutingRule
from bailiwick.topology.routes.table import RoutingTable
from bailiwick.topology.routes.words import conditions

PARTS_MAX = 400
"""Of a rule that earlier ones have cut into more pieces nothing is said."""
_SHOWN = 2


def warnings(table: RoutingTable) -> list[str]:
    """What is allowed but deserves a second look, one sentence a line."""
    return [*unreachable(table), *gaps(table)]


def unreachable(table: RoutingTable) -> list[str]:
    """Rules that no payment can ever meet, because those before take all of theirs."""
    boxes = _plain(table.rules)
    reached: set[int] = set()
    for merchant in ("", *table.merchants):
        before: list[Box] = []
        for rule in table.of(merchant):
            box = boxes[rule.number]
            # A rule of everybody counts as reached by whoever has no rules of its own.
            if rule.number not in reached and _left(box, before):
                reached.add(rule.number)
            before.append(box)
    return [
        f"routing.toml: rules[{rule.number}] '{rule.name}' can never be met: rules before it take "
        "all of its payments; move it up, or remove it"
        for rule in sorted(table.rules, key=lambda each: each.number)
        if rule.number not in reached
    ]


def gaps(table: RoutingTable) -> list[str]:
    """Payments that meet no rule, of everybody or else of a merchant with rules of its own."""
    boxes = _plain(table.rules)
    if table.of(""):
        left = _left({}, [boxes[rule.number] for rule in table.of("")])
        return [_gap("", left)] if left else []
    lines = []
    for merchant in table.merchants:
        left = _left({}, [boxes[rule.number] for rule in table.of(merchant)])
        if left:
            lines.append(_gap(merchant, left))
    return lines


def _gap(merchant: str, left: Sequence[Box]) -> str:
    whose = f" of {merchant}" if merchant else ""
    shown = "; ".join(conditions(box) for box in left[:_SHOWN] if box)
    more = "; and others" if len(left) > _SHOWN else ""
    which = f" ({shown}{more})" if shown else ""
    return (
        f"routing.toml: some payments{whose}{which} meet no rule: the merchant's strategy decides, "
        "over all gateways; to say otherwise, add a last rule without conditions"
    )


def _left(box: Box, before: Iterable[Box]) -> list[Box]:
    """What others leave of a box; the box itself where that takes too many pieces to say."""
    parts = [box]
    for other in before:
        parts = [rest for part in parts for rest in cut(part, other)]
        if not parts:
            return []
        if len(parts) > PARTS_MAX:
            return [box]
    return parts


def _plain(rules: Sequence[RoutingRule]) -> dict[int, Box]:
    """Boxes in which a place is a country without the subdivisions that any rule names, or one of
    those: so that each payment has one place."""
    named = {
        place
        for rule in rules
        if isinstance(held := rule.box.get("places"), Texts)
        for place in held.named
        if "-" in place
    }
    found: dict[int, Box] = {}
    for rule in rules:
        box = dict(rule.box)
        held = box.get("places")
        if isinstance(held, Texts):
            within = {place for place in named if place[:2] in held.named}
            box["places"] = Texts(held.named | within)
        found[rule.number] = box
    return found
