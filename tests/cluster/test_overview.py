"""The overview of a running demo: it finds every payment, and survives what carries events."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos_kit import Chaos, bailiwick

from bailiwick_lab.servers import binaries, engines
from tests.waiting import wait_until

CANARY = "canary5d81"


class Site(Chaos):
    """A demo with an overview."""

    def pay(
        self, country: str, key: str | None = None, *, at: str | None = None, **fields: str
    ) -> str:
        """One payment; its id. ``at``: sent to this node, past access."""
        form = {
            "amount": "1999", "currency": "eur", "confirm": "true",
            "payment_method": "pm_card_visa", "location[country]": country, **fields,
        }  # fmt: skip
        headers = {"Authorization": f"Bearer {self.demo['secret_key']}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        request = urllib.request.Request(
            f"{self.url_of(at)}/v1/payment_intents",
            urllib.parse.urlencode(form).encode(),
            headers,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert found["status"] == "succeeded"
        return str(found["id"])

    def url_of(self, node: str | None) -> str:
        """Where requests go."""
        if node is None:
            return str(self.demo["base_url"])
        return next(str(each["url"]) for each in self.demo["nodes"] if each["name"] == node)

    def ask(self, *words: str) -> dict[str, Any]:
        """What a command of ``bailiwick overview`` says."""
        out = bailiwick("overview", *words, "--data", str(self.data), "--json")
        answer: dict[str, Any] = json.loads(out)
        return answer

    def events(self) -> dict[int, int]:
        """Events of each node that have come."""
        return {each["node"]: each["events"] for each in self.ask("lag")["nodes"]}

    def known(self, identifier: str) -> dict[str, Any] | None:
        """A payment as the overview knows it."""
        found = self.ask("find", identifier)["data"]
        return found[0] if found else None

    def complete(self) -> None:
        """Wait until the overview has every event of every outbox."""

        def all_there() -> bool:
            try:
                return bool(self.ask("compare")["missing"] == 0)
            except AssertionError:
                return False

        wait_until(all_there)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    # Not pytest's folder: the database's user could not enter it when we are root.
    place = Path(tempfile.mkdtemp(prefix="bwo-"))
    place.chmod(0o755)
    data = place / "demo"
    try:
        bailiwick("demo", "--background", "--overview", "--data", str(data), "--nodes", "2",
                  "--access", "1")  # fmt: skip
        yield Site(data)
    finally:
        try:
            bailiwick("demo", "--remove", "--data", str(data))
        finally:
            for cluster in (*data.glob("nodes/*/postgres"), *data.glob("overview/postgres")):
                engines.remove(cluster)
            shutil.rmtree(place, ignore_errors=True)


def test_every_payment_is_found_wherever_it_is(site: Site) -> None:
    ids = {site.pay("DE"): 2, site.pay("IN"): 1}
    site.complete()
    for identifier, node in ids.items():
        found = site.known(identifier)
        assert found is not None
        assert (found["node"], found["state"], found["amount_received"]) == (
            node,
            "succeeded",
            1999,
        )
        assert found["seen"] == found["highest"] == found["version"]
    rows = site.ask("totals")["data"]
    assert {row["node"] for row in rows} == {1, 2}
    assert sum(row["payments"] for row in rows) == len(site.ask("find")["data"])
    # Reports come every two seconds.
    wait_until(lambda: all(each["relay"] for each in site.ask("lag")["nodes"]))


def test_only_operators_may_ask(site: Site) -> None:
    url = site.demo["overview"]["url"]
    for path in ("payments", "payments/pi_1", "totals", "lag", "duplicates"):
        for header in ({}, {"Authorization": f"Bearer {site.demo['secret_key']}"}):
            request = urllib.request.Request(f"{url}/overview/{path}", headers=header)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=60)
            assert refused.value.code == 401
            refused.value.close()
    for path in ("healthz", "readyz", "metrics"):
        with urllib.request.urlopen(f"{url}/{path}", timeout=60) as answer:
            assert answer.status == 200


def test_nothing_that_a_client_wrote_leaves_its_node(site: Site) -> None:
    identifier = site.pay(
        "DE", f"{CANARY}-key", description=f"{CANARY} text", receipt_email=f"{CANARY}@example.com",
        **{"metadata[note]": CANARY, "shipping[name]": CANARY, "shipping[address][line1]": CANARY,
           "shipping[address][postal_code]": CANARY, "statement_descriptor": CANARY,
           "return_url": f"https://example.com/{CANARY}"},
    )  # fmt: skip
    site.complete()
    assert site.known(identifier) is not None
    node = site.node("europe")
    assert CANARY in dumped(node["dsn"]), "it was planted"
    assert CANARY not in dumped(site.demo["overview"]["dsn"])
    carried = [file for file in (site.data / "nats").rglob("*") if file.is_file()]
    assert any(identifier.encode() in file.read_bytes() for file in carried), "the stream is there"
    said = [*carried, *(site.data / "logs").iterdir()]
    assert [file for file in said if CANARY.encode() in file.read_bytes()] == []


def dumped(dsn: str) -> str:
    program = binaries.find(binaries.server_user()).bin_dir / "pg_dump"
    done = subprocess.run([program, dsn], capture_output=True, check=True, timeout=600)
    return done.stdout.decode()


def test_one_key_at_two_nodes_is_found(site: Site) -> None:
    """Other evidence makes another home; that home cannot know of the first. An access process
    that has seen the key would refuse it, so this goes past access."""
    key = f"twice-{time.time_ns()}"
    ids = {site.pay("DE", key, at="europe"), site.pay("IN", key, at="apac")}
    assert len(ids) == 2
    site.complete()

    def found() -> list[set[str]]:
        keys = site.ask("duplicates")["keys"]
        return [{each["id"] for each in one["payments"]} for one in keys]

    wait_until(lambda: ids in found())
    wait_until(
        lambda: "bailiwick_overview_duplicate_keys 1.0" in metrics(site.demo["overview"]["url"])
    )


def metrics(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        text: str = answer.read().decode()
        return text


def backlog(site: Site) -> float:
    text = metrics(site.node("europe")["url"])
    found = re.search(r"^bailiwick_relay_backlog (\S+)", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_payments_go_on_without_the_broker(site: Site) -> None:
    pid = site.demo["nats"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        made = [site.pay("DE") for _ in range(3)]
        wait_until(lambda: backlog(site) >= 6)
        assert site.known(made[0]) is None
    finally:
        os.kill(pid, signal.SIGCONT)
    site.complete()
    assert all(site.known(each) for each in made)
    wait_until(lambda: backlog(site) == 0)


def wipe_broker(site: Site) -> None:
    """Kill the broker and take away all that it has stored."""
    streams = site.data / "nats" / "streams"
    pid = site.demo["nats"]["pid"]
    streams.rename(streams.with_name(f"gone-{time.time_ns()}"))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: site.demo["nats"]["pid"] not in (None, pid))


def test_a_wiped_broker_changes_nothing(site: Site) -> None:
    site.complete()
    before, totals = site.events(), site.ask("totals")
    wipe_broker(site)
    made = site.pay("IN")
    site.complete()
    assert site.known(made) is not None
    after = site.events()
    assert after[2] == before[2]
    assert after[1] == before[1] + 2
    assert [r for r in site.ask("totals")["data"] if r["node"] == 2] == [
        r for r in totals["data"] if r["node"] == 2
    ]


def test_an_empty_overview_is_filled_by_one_command(site: Site) -> None:
    """The broker and the overview's database are lost together: the outboxes are the truth."""
    site.complete()
    before = (site.events(), site.ask("totals"), site.ask("find", "--limit", "1000"))
    wipe_broker(site)
    program = binaries.find(binaries.server_user()).bin_dir / "psql"
    overview = site.demo["overview"]
    empty = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
    subprocess.run([program, overview["dsn"], "-qc", empty], check=True, capture_output=True)
    os.kill(overview["pid"], signal.SIGKILL)
    wait_until(lambda: site.demo["overview"]["pid"] not in (None, overview["pid"]))
    wait_until(lambda: answers(f"{overview['url']}/readyz"))
    told = json.loads(
        bailiwick("overview", "rebuild", "--data", str(site.data), "--wait", "60", "--json")
    )
    assert told["done"]
    site.complete()
    assert (site.events(), site.ask("totals"), site.ask("find", "--limit", "1000")) == before
    assert all(each["gaps"] == 0 for each in site.ask("lag")["nodes"])


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=60).close()
    except OSError:
        return False
    return True


def test_the_books_agree_afterwards(site: Site) -> None:
    """The key that was used at two nodes is the one violation, and the checker finds it too."""
    done = subprocess.run(
        [sys.executable, "-m", "bailiwick", "check", "--data", str(site.data), "--json",
         "--wait", "3"],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    verdict = json.loads(done.stdout)
    wrong = {each["name"] for each in verdict["invariants"] if each["count"]}
    assert wrong <= {"one_payment_per_key"}
    assert verdict["violations"] <= 1
