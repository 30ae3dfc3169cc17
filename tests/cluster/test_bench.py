"""`bailiwick bench` as a user runs it: what it counts must agree; how fast it was is not asked."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from bailiwick_lab.bench.share import limited
from bailiwick_lab.bench.site import Site, SiteError, ask, own_site
from tests.waiting import PATIENCE_S, wait_until


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with own_site(nodes=2, access=1) as own:
        yield own


def bench(site: Site, *arguments: object, mode: str = "") -> tuple[int, dict[str, Any]]:
    data = str(site.world).removesuffix("/world")
    command = ["bench", mode] if mode else ["bench", "--no-locate"]
    done = subprocess.run(
        [sys.executable, "-m", "bailiwick", *command, "--json", "--data", data,
         "--warmup", "0.2", "--clients", "8", *map(str, arguments)],
        stdout=subprocess.PIPE, text=True, timeout=600, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout)


def test_closed_load_on_both_targets_adds_up(site: Site) -> None:
    status, report = bench(
        site, "--target", "node", "--target", "access", "--payments", 60, "--spread"
    )
    assert status == 0, report
    assert [run["scenario"]["target"] for run in report["runs"]] == ["node", "access"]
    for run in report["runs"]:
        accounts = run["accounts"]
        assert accounts["problems"] == []
        assert run["succeeded"] == run["sent"] == 60
        assert accounts["answers"] == accounts["payments"] == accounts["charges"] >= 60
        assert run["errors"] == {}
        assert len(run["loaded_nodes"]) == 2
        commits = run["commits_per_payment"]
        # Two commits at most for each payment; little else writes in so short a time.
        assert 0 < commits["lanes"] <= 2.2
        assert commits["written"] >= commits["lanes"] * 0.99
        assert set(run["cpu_us_per_payment"]) >= {"access", "node", "postgres", "sandbox"}
    assert report["postgres"]["fsync"] == "on"
    assert len(report["comparison"]["access_by_node"]) == 1


def test_open_load_with_a_delay_that_is_taken_off_again(site: Site) -> None:
    arguments = ("--rate", 60, "--payments", 40, "--delay", "lognormal", "--clients", 64)
    status, report = bench(site, *arguments, mode="open")
    assert status == 0, report
    run = report["runs"][0]
    assert run["succeeded"] + run["dropped"] == 40
    assert run["added_by"].startswith(f"each of {run['succeeded']} payments")
    assert run["latency_ms"]["p50"] > run["added_ms"]["p50"] > 0


def test_a_flood_is_measured_against_the_closed_load_before_it(site: Site) -> None:
    status, report = bench(site, "--times", 2, "--seconds", 1, mode="flood")
    assert status == 0, report
    alone, before, opened, after = report["runs"]
    modes = [run["scenario"]["mode"] for run in report["runs"]]
    assert modes == ["closed", "closed", "open", "closed"]
    # While its capacity is measured, another node is as busy as it will be in the flood.
    assert [run["scenario"]["beside"] is None for run in (alone, opened)] == [True, True]
    assert before["scenario"]["beside"] == after["scenario"]["beside"]
    country, rate = before["scenario"]["beside"]
    assert country != "DE" and rate > 0
    assert len(before["loaded_nodes"]) == 2 and len(before["succeeded_by_node"]) == 1
    (flood,) = report["flood"]["rounds"]
    assert flood["capacity_per_s"] > 0 and flood["goodput_per_s"] > 0
    told = opened["errors"]
    assert set(told) <= {"503 overloaded", "503 no_node"}, told
    answered = opened["succeeded"] + flood["told_to_retry"]
    assert answered == opened["sent"]


def test_a_node_on_a_part_of_a_core(site: Site) -> None:
    try:
        with limited([], 0.2):
            pass
    except SiteError as error:
        pytest.skip(str(error))
    arguments = ("--times", 2, "--seconds", 1, "--node-share", 0.2)
    status, report = bench(site, *arguments, mode="flood")
    assert status == 0, report
    assert report["flood"]["node_share"] == 0.2
    cpu = report["runs"][0]["cpu_us_per_payment"]
    used = (cpu["node"] + cpu["postgres"]) * report["runs"][0]["payments_per_s"] / 1e6
    assert used <= 0.3, "of a core; the quota is of periods that do not begin with the run"


def test_commits_with_and_without_a_standby(site: Site) -> None:
    status, report = bench(site, "--target", "node", "--seconds", 1, mode="standby")
    assert status == 0, report
    assert [run["waits_for_standby"] for run in report["runs"]] == [False, False, True, True]
    for name in ("payments_per_s", "added_ms_p50"):
        assert report["standby"][name]["ratio"] > 0
    assert report["standby"]["standby_cpu_us_per_payment"] > 0


@pytest.mark.parametrize("dead", ["killed", "frozen"])
def test_isolation_compares_a_dead_node_with_none(site: Site, dead: str) -> None:
    status, report = bench(site, "--dead", dead, "--seconds", 1, mode="isolation")
    assert status == 0, report
    found = report["isolation"]
    assert (found["victim"], found["how"]) == ("europe", dead)
    assert found["accounts"]["problems"] == []
    assert found["accounts"]["answers"] > 0
    phases = found["phases"]
    assert [(each["kind"], each["dead"]) for each in phases] == [
        ("A/A", False), ("A/A", False), ("A/B", False), ("A/B", True),
    ]  # fmt: skip
    for each in phases:
        # A dead node takes nothing; what waits for a frozen one is answered when it wakes.
        assert (each["own"]["succeeded"] > 0) or each["dead"], each
        assert 0 < each["succeeded"] <= each["arrived"], each
        assert each["p99_ms"] > 0
    for kind in ("A/A", "A/B"):
        assert found[kind]["pairs"] == len(found[kind]["p99_ratios"]) == 1
        for name in ("p99_ratio", "success_pp"):
            estimate = found[kind][name]
            assert estimate["low"] <= estimate["value"] <= estimate["high"]


def test_scaling_loads_more_and_more_nodes(site: Site) -> None:
    status, report = bench(
        site, "--rate", 30, "--seconds", 1, "--repeat", 2, "--idle", 1, mode="scaling"
    )
    assert status == 0, report
    loaded = [(run["scenario"]["target"], len(run["loaded_nodes"])) for run in report["runs"]]
    assert loaded == [
        ("access", 1), ("access", 2), ("node", 1),
        ("access", 2), ("access", 1), ("node", 1),
    ]  # fmt: skip
    found = report["scaling"]
    for role in ("access", "node", "postgres"):
        cost = found["cpu_us_per_payment"][role]
        assert {count: len(each) for count, each in cost["by_nodes"].items()} == {"1": 2, "2": 2}
        assert cost["to_one"]["1"] == 1.0 and cost["aa_spread"] >= 1.0
    assert len(found["access_adds_p50"]["added_ms"]) == 2
    (idle,) = report["heartbeat"]["idle"]
    assert idle["access"] > 0 and idle["node"] > 0 and idle["node_unasked"] > 0
    assert report["heartbeat"]["every_ms"] == 1000


def test_a_neighbour_really_makes_trouble(site: Site) -> None:
    arguments = ("--rate", 40, "--neighbour-rate", 20, "--listed", 150, "--connections", 8)
    status, report = bench(site, *arguments, "--seconds", 1, mode="neighbour")
    assert status == 0, report
    found = report["neighbour"]
    assert found["accounts"]["problems"] == []
    assert (found["node"], found["elsewhere"]) == ("europe", "apac")
    assert found["shares_access"], "there is one only"
    assert found["bounds"]["listed"] == 150 and found["endpoints"] == 16
    phases = found["phases"]
    troubles = [(each["trouble"], each["where"]) for each in phases]
    assert troubles == [
        ("quiet", "here"), ("webhooks", "here"), ("webhooks", "elsewhere"), ("flood", "here"),
        ("quiet", "here"), ("flood", "elsewhere"), ("lists", "here"), ("lists", "elsewhere"),
    ]  # fmt: skip
    for each in phases:
        assert 0 < each["succeeded"] <= each["arrived"], each
        assert set(each["ms"]) == {"p50", "p95", "p99", "max"} and each["ms"]["p99"] > 0
        assert each["cores"]["node"] > 0 and each["others_share"] >= 0
        did = each["neighbour"]
        assert bool(did) is ("neighbour" in each["cores"]) is (each["trouble"] != "quiet")
        if did:
            assert did["sent"] > 0 and did["succeeded"] > 0, each
        if each["trouble"] == "webhooks":
            # Three events of each payment for each endpoint: made, charged, succeeded.
            assert did["owed"] == did["succeeded"] * 3 * did["endpoints"] > 0
            assert did["tries"] > 0 and did["endpoints"] == 16
    assert len(found["quiet"]["p99"]["rounds"]) == 1 and found["quiet"]["p99"]["lowest"] >= 1
    for each in found["troubles"]:
        for name in ("p50", "p95", "p99"):
            assert each[name]["lowest"] <= each[name]["median"] <= each[name]["highest"]
    assert set(found["here_by_elsewhere"]) == {"webhooks", "flood", "lists"}
    assert endpoints_of(site) == [], "what was made is removed"


def endpoints_of(site: Site) -> list[str]:
    url = f"{site.access[0].url}/v1/webhook_endpoints"
    return [each["id"] for each in ask("GET", url, site.other_secret_key)["data"]]


def test_a_neighbour_that_is_interrupted_leaves_nothing(site: Site) -> None:
    data = str(site.world).removesuffix("/world")
    running = subprocess.Popen(
        [sys.executable, "-m", "bailiwick", "bench", "neighbour", "--data", data, "--warmup", "0",
         "--seconds", "1", "--repeat", "100", "--clients", "2", "--listed", "1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        bench_itself = psutil.Process(running.pid)
        wait_until(lambda: endpoints_of(site) and bench_itself.children())
        beside = bench_itself.children(recursive=True)
        running.send_signal(signal.SIGINT)
        assert running.wait(PATIENCE_S) != 0
    finally:
        running.kill()
        running.wait()
    assert endpoints_of(site) == []
    psutil.wait_procs(beside, PATIENCE_S)
    assert [each for each in beside if each.is_running()] == []
