"""The commands access, pay and explain."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from access_kit import SECRET, Call, Reply, access, refusal, write_world
from click.testing import CliRunner, Result

from bailiwick.access.nodes.forward import HopError, NodeClient
from bailiwick.cli import access as access_command
from bailiwick.cli import explain, pay
from tests.waiting import PATIENCE_S, until

LOCATION = {
    "country": "DE",
    "subdivision": None,
    "source": "explicit",
    "confidence": "medium",
    "evidence": {"explicit": "DE", "ip": "FR"},
    "contradictions": ["ip says FR, explicit says DE"],
}
ASSIGNMENT = {
    "epoch": 1,
    "node": 1,
    "name": "europe",
    "home": 1,
    "rule": "DE",
    "residency": "strict",
    "considered": [
        {"node": 1, "name": "europe", "verdict": "chosen", "reason": "the home"},
        {"node": 2, "name": "apac", "verdict": "not_allowed", "reason": "only [europe]"},
    ],
}
ROUTING = {
    "gateway": "giro",
    "strategy": "priority",
    "considered": [
        {"gateway": "giro", "verdict": "chosen", "reason": "priority 10"},
        {"gateway": "sepa", "verdict": "in reserve", "reason": "priority 20"},
        {"gateway": "upi", "verdict": "passed over", "reason": "does not take EUR"},
    ],
}
INTENT = {
    "id": "pi_1",
    "object": "payment_intent",
    "amount": 1999,
    "currency": "eur",
    "status": "succeeded",
    "latest_charge": "ch_1",
    "location": LOCATION,
    "assignment": ASSIGNMENT,
    "routing": ROUTING,
}


async def run(command: Any, *arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, command, list(arguments))


async def test_pay_shows_the_way(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        it.nodes[0].answer = lambda call: (200, {}, INTENT)
        url = f"http://127.0.0.1:{it.server.port}"
        demo = tmp_path / "demo"
        demo.mkdir()
        (demo / "demo.json").write_text(json.dumps({"base_url": url, "secret_key": SECRET}))
        found = await run(pay.command, "--country", "DE", "--data", str(demo))
        assert found.exit_code == 0, found.output
        for words in ("19.99 EUR", "located", "DE", "contradiction", "assigned", "europe",
                      "routed", "giro", "upi", "attempted", "ch_1", "succeeded"):  # fmt: skip
            assert words in found.output
        sent = it.nodes[0].calls[0]
        assert "idempotency-key" in sent.headers
        assert b"confirm=true" in sent.body
        found = await run(pay.command, "--country", "DE", "--data", str(demo), "--json")
        assert json.loads(found.output)["answer"]["id"] == "pi_1"


async def test_pay_shows_declines_and_errors(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        api = ["--base-url", f"http://127.0.0.1:{it.server.port}", "--key", SECRET]
        error = {"code": "card_declined", "decline_code": "insufficient_funds", "message": "No."}

        def declined(call: Call) -> Reply:
            intent = {**INTENT, "status": "requires_payment_method"}
            return 402, {}, {"error": {**error, "payment_intent": intent}}

        it.nodes[0].answer = declined
        found = await run(pay.command, "--country", "DE", *api)
        assert found.exit_code == 2
        assert "insufficient_funds: No." in found.output
        found = await run(pay.command, "--country", "Germny", *api)
        assert found.exit_code == 1
        assert "location[country]" in found.output
        found = await run(pay.command, "--country", "DE", *api[:2], "--key", "wrong")
        assert (found.exit_code, "401" in found.output) == (1, True)


async def test_explain_shows_who_was_passed_over(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        api = ["--base-url", f"http://127.0.0.1:{it.server.port}", "--key", SECRET]
        document = {
            "object": "explanation",
            "location": LOCATION,
            "assignment": ASSIGNMENT,
            "routing": ROUTING,
            "node": "europe",
            "usage": {"node": 1, "inflight": 0},
        }
        it.nodes[0].answer = lambda call: (200, {}, document)
        found = await run(explain.command, "--country", "DE", *api)
        assert found.exit_code == 0, found.output
        for words in ("apac", "only [europe]", "sepa", "in reserve", "does not take EUR"):
            assert words in found.output
        it.nodes[0].answer = lambda call: refusal(1)
        found = await run(explain.command, "--country", "DE", *api)
        assert found.exit_code == 0, found.output
        assert "routing unknown" in found.output


def test_a_missing_demo_comes_with_the_remedy(tmp_path: Path) -> None:
    found = CliRunner().invoke(pay.command, ["--data", str(tmp_path)])
    assert found.exit_code == 1
    assert "bailiwick demo" in found.output
    api = ["--base-url", "http://127.0.0.1:1", "--key", "k"]
    found = CliRunner().invoke(pay.command, api)
    assert "nothing listens" in found.output


@pytest.mark.parametrize("listen", ["9000", ":9000", "x:", "x:70000", "x:y"])
def test_listen_addresses(listen: str) -> None:
    assert access_command.address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert access_command.address("[::1]:80") == ("::1", 80)
    with pytest.raises(ValueError, match="HOST:PORT"):
        access_command.address(listen)


def command_line(world: Path, *more: str) -> list[str]:
    secret = world / "secret"
    secret.write_text("s")
    return [
        sys.executable, "-c", "from bailiwick.cli.main import main; main()", "access",
        "--status-listen", "127.0.0.1:0", "--world", str(world),
        "--internal-secret-file", str(secret), *more,
    ]  # fmt: skip


async def test_the_process_serves_and_ends_on_sigterm(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        client = NodeClient(f"http://127.0.0.1:{it.server.port}")
        await it.server.stop()
        listen = f"127.0.0.1:{it.server.port}"
        process = subprocess.Popen(
            command_line(tmp_path, "--listen", listen), stderr=subprocess.PIPE, env=os.environ
        )
        try:

            async def ready() -> bool:
                try:
                    return (await client.request("GET", b"/readyz")).status == 200
                except HopError:
                    return False

            await until(ready)
            process.send_signal(signal.SIGHUP)
            assert (await client.request("GET", b"/healthz")).status == 200
            process.terminate()
            assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
        finally:
            client.close()
            process.kill()
            _, log = process.communicate()
        assert b"listening" in log


def test_a_bad_world_is_named(tmp_path: Path) -> None:
    write_world(tmp_path, {"a": (1, "http://127.0.0.1:1")})
    (tmp_path / "topology.toml").write_text("epoch = 0")
    found = subprocess.run(
        command_line(tmp_path, "--listen", "127.0.0.1:0"), capture_output=True, text=True
    )
    assert found.returncode == 1
    assert "topology.toml: epoch" in found.stderr
