#!/usr/bin/env python3
"""Print a running demo's addresses and keys as shell variables.

    eval "$(python3 docs/env.py)"            # the demo of `make demo`
    eval "$(python3 docs/env.py FOLDER)"     # the demo in another folder

NODE_URL and NODE_DSN are those of the node `europe`, or of the only node. STATUS_URL is where the
first access process tells operators.
"""

import json
import shlex
import sys
from pathlib import Path


def variables(folder: Path) -> dict[str, str]:
    """What the documentation's commands use."""
    demo = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    named = {node["name"]: node for node in demo["nodes"]}
    node = named.get("europe", demo["nodes"][0])
    return {
        "BASE_URL": demo["base_url"],
        "STATUS_URL": demo["access"][0]["status_url"],
        "SECRET_KEY": demo["secret_key"],
        "PUBLISHABLE_KEY": demo["publishable_key"],
        "SHOP_KEY": demo.get("shop_secret_key") or "",
        "SANDBOX_URL": demo["sandbox"]["url"],
        "DATA": str(folder),
        "WORLD": demo["world"],
        "NODE_URL": node["url"],
        "NODE_DSN": node["dsn"],
        "ADMIN_DSN": node["admin_dsn"],
        "NODE_CONFIG": node["config"],
        "NATS_URL": demo["nats"]["url"] if demo.get("nats") else "",
    } | overview(demo.get("overview"))


def overview(shown: dict[str, str] | None) -> dict[str, str]:
    """The same for a demo with an overview."""
    return {} if shown is None else {"OVERVIEW_URL": shown["url"], "OPERATOR_TOKEN": shown["token"]}


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo-data")
    try:
        found = variables(folder)
    except FileNotFoundError:
        sys.exit(f"no demo runs on {folder}; start one with: make demo")
    for name, value in found.items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
