"""`bailiwick node status` for people. Pure."""

from __future__ import annotations

from bailiwick.control.status import NodeStatus, Status


def table(found: Status) -> list[str]:
    """One line a node, then what is wrong, then what is proposed."""
    lines = [f"Epoch {found.epoch} is in force."]
    width = max([len(node.name) for node in found.nodes], default=0)
    for node in found.nodes:
        lines.append(f"{node.number:>5}  {node.name:<{width}}  {'  '.join(_facts(node))}")
        lines += [f"{'':>7}{'':<{width}}  problem: {line}" for line in node.problems]
    lines += [f"proposal: {line}" for line in found.proposals]
    return lines


def _facts(node: NodeStatus) -> list[str]:
    facts = [f"{node.state:<9}", f"epoch {node.epoch or '-'}"]
    if node.usage is not None:
        facts.append(f"{node.usage['inflight']} of {node.usage['capacity']} under way")
    if node.fence is not None:
        facts.append(f"fence {'set' if node.fence.fenced else 'open'} from {node.fence.epoch} on")
    if node.open is not None:
        facts.append(f"open attempts: {node.open.total}")
    if node.standbys is not None:
        facts.append(_standbys(node))
    if node.standby is not None:
        facts.append("standby follows" if node.standby.follows else "standby was promoted")
    return facts


def _standbys(node: NodeStatus) -> str:
    shown = []
    for each in node.standbys or []:
        kind = each.sync_state or "not visible (grant pg_monitor)"
        behind = "" if each.behind_bytes is None else f", {each.behind_bytes >> 10} kB behind"
        shown.append(f"{each.name} {kind}{behind}")
    return "standbys: " + ("; ".join(shown) or "none")
