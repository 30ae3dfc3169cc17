"""What `bailiwick node gateways` says to people. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any


def table(found: dict[str, Any]) -> list[str]:
    """One line a gateway."""
    gateways = found["gateways"]
    width = max([len(each["name"]) for each in gateways], default=0)
    lines = [
        f"{each['name']:<{width}}  {each['state']:<8}  {each['settings']['channel']}  "
        f"{each['settings']['mode']}  priority {each['settings']['priority']}  "
        f"{each['open_attempts']} open  {each['usage']}"
        for each in gateways
    ]
    return lines or [f"{found['node']} has no gateways."]


def one(found: dict[str, Any]) -> list[str]:
    """All that is known of one."""
    kept = found["credentials"]
    where = "the settings file"
    if kept["kept_here"]:
        where = f"the node's database, under node key {kept['node_key']}"
    over = f", changed here: {', '.join(found['changed'])}" if found["changed"] else ""
    lines = [
        f"{found['name']}: {found['state']}, version {found['version']}",
        f"  usage: {found['usage']}",
        f"  under way: {found['under_way']}, open attempts: {found['open_attempts']}",
        f"  from: {found['source']}{over}",
        f"  credentials: {', '.join(kept['names']) or 'none'}, in {where}",
    ]
    for name, value in found["settings"].items():
        if value not in (None, "", [], {}):
            lines.append(f"  {name} = {json.dumps(value, ensure_ascii=False)}")
    for each in found["health"]:
        of = f"{each['method']} of {each['country']}" if each["method"] else "in all"
        took = "" if each["mean_ms"] is None else f", {each['mean_ms']} ms each"
        how = "" if each["demoted"] is None else f"; asked last: {each['demoted']}"
        lines.append(
            f"  last 10 s, {of}: {each['calls']} calls, {each['good']} good, "
            f"{each['refused'] + each['vague']} declined, {each['failed']} failed{took}{how}"
        )
    for each in found["changes"]:
        details = json.dumps(each["details"], ensure_ascii=False)
        lines.append(
            f"  {_when(each['at_ms'])}  version {each['version']}: {each['what']} by "
            f"{each['by']}  {details}"
        )
    return lines


def rotated(found: dict[str, Any]) -> list[str]:
    """Which credentials were wrapped anew."""
    wrapped = found["wrapped"]
    if not wrapped:
        return [f"All credentials were under node key {found['node_key']} already."]
    return [
        f"Under node key {found['node_key']} now: {', '.join(wrapped)}.",
        "The key before it opens nothing here any more, but in backups: keep it with those.",
    ]


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
