"""The arithmetic of `bailiwick bench`: accounts that do not agree are always found."""

from typing import Any

import msgspec
import pytest

from bailiwick.base.ids import new_id
from bailiwick_lab.bench import figures, show
from bailiwick_lab.bench.database import Counts, lane_commits, weak_settings
from bailiwick_lab.bench.load import AMOUNT
from bailiwick_lab.bench.modes import flood, isolation, neighbour, scaling
from bailiwick_lab.bench.parts import floor
from bailiwick_lab.bench.site import Charge

BEFORE = [Counts(5, 4, 4 * AMOUNT), Counts(0, 0, 0)]
AFTER = [Counts(7, 6, 6 * AMOUNT), Counts(1, 1, AMOUNT)]
OLD = {"ch_old": Charge("ch_old", "captured", 5)}
NEW = {name: Charge(name, "captured", AMOUNT) for name in ("ch_1", "ch_2", "ch_3")}
NAMES = ["ch_1", "ch_2", "ch_3"]


def test_accounts_that_agree() -> None:
    found = figures.account(NAMES, BEFORE, AFTER, OLD, OLD | NEW)
    assert found == figures.Accounts(3, 3, 3, 3, 3 * AMOUNT, [])


def test_each_disagreement_is_a_problem() -> None:
    def problems(
        names: list[str] = NAMES, after: list[Counts] = AFTER, books: dict[str, Charge] = NEW
    ) -> str:
        return "; ".join(figures.account(names, BEFORE, after, OLD, OLD | books).problems)

    assert "no payment succeeded" in problems([], BEFORE, {})
    assert "two answers name one charge" in problems(["ch_1", "ch_2", "ch_2"])
    assert "payments were stored" in problems(after=[Counts(8, 6, 6 * AMOUNT), AFTER[1]])
    assert "stored payments succeeded" in problems(after=[Counts(7, 5, 6 * AMOUNT), AFTER[1]])
    assert "stored as received" in problems(after=[Counts(7, 6, 1), AFTER[1]])
    twice = NEW | {"ch_4": Charge("ch_4", "captured", AMOUNT)}
    assert "4 charges were taken" in problems(books=twice)
    part = NEW | {"ch_3": Charge("ch_3", "captured", 1)}
    assert "not taken in full" in problems(books=part)
    other = {k: v for k, v in NEW.items() if k != "ch_3"} | {
        "ch_x": Charge("ch_x", "captured", AMOUNT)
    }
    assert "one side only" in problems(books=other)


def test_quantiles() -> None:
    times = [n / 1000 for n in range(1, 101)]
    assert figures.latency_ms(times) == {"p50": 51.0, "p95": 96.0, "p99": 100.0, "max": 100.0}
    assert figures.latency_ms([]) == {"p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0}
    assert figures.added_s([0.3, 0.2], ["a", "b"], {"a": 100.0}) == [pytest.approx(0.2)]


def run(target: str, rate: float) -> dict[str, Any]:
    return {"scenario": {"target": target}, "payments_per_s": rate}


def test_equal_runs_show_how_far_they_differ() -> None:
    found = figures.compare(
        [run("node", 100), run("access", 60), run("node", 80), run("access", 60)]
    )
    assert found["node"]["spread"] == 1.25
    assert found["node"]["to_first"] == [1.0, 0.8]
    assert found["access"]["best"] == 60
    assert found["access_by_node"] == [0.6, 0.75]


def test_settings_that_lose_payments_are_refused() -> None:
    good = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
    assert weak_settings(good) == []
    for name in good:
        assert weak_settings({**good, name: "off"})[0].startswith(name)
    assert weak_settings({**good, "synchronous_commit": "local"})


def test_lane_commits_of_metrics() -> None:
    text = (
        "# TYPE bailiwick_node_commits gauge\n"
        'bailiwick_node_commits{lane="create"} 3983.0\n'
        'bailiwick_node_commits{lane="move"} 1.2e+03\n'
        'bailiwick_node_rows{lane="move"} 50074.0\n'
    )
    assert lane_commits(text) == 5183


def shape() -> floor.Shape:
    return {"id": "pi_0123", "event_id": "evt_012345678901234567890", "attempt_id": "ch_0123",
            "key": "it's mine", "livemode": False, "event_body": "ch_0123 it is"}  # fmt: skip


def test_a_batch_has_its_own_names_in_each_row() -> None:
    found = floor.batch(shape(), 3)
    assert [row["id"] for row in found] == ["pi_@@-00", "pi_@@-01", "pi_@@-02"]
    assert len({row["writer"] for row in found}) == 3
    assert len({row["key"] for row in found} | {row["event_id"] for row in found}) == 6
    assert found[1]["event_body"] == "ch_@@-01 it is"


def test_the_table_shows_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    one = {
        "scenario": {"target": "node", "clients": 64, "rate": None, "delay": "zero"},
        "loaded_nodes": ["europe"], "payments_per_s": 1234.5, "dropped": 0,
        "errors": {"503 overloaded": 2}, "added_ms": {"p50": 1.0, "p99": 2.0},
        "cpu_us_per_payment": {"node": 100.0}, "commits_per_payment": {"written": 0.125},
        "cores_used": 1.5, "others_share": 0.25, "memory_mb": {"node europe": 70.0},
        "accounts": msgspec.to_builtins(figures.account([], BEFORE, BEFORE, OLD, OLD)),
    }  # fmt: skip
    show.show(
        {
            "machine": {"cpu": "X", "cores": 2, "python": "3.11", "load_average": [0.5]},
            "postgres": {"server_version": "18"},
            "runs": [one],
            "comparison": figures.compare([one]),
            "pgbench": "skipped: there is none",
        }
    )
    said = capsys.readouterr().out
    for part in ("1,234", "2 x 503 overloaded", "no payment succeeded", "differ", "skipped"):
        assert part in said


def test_a_flood_is_held_against_what_its_node_does_alone() -> None:
    before = {"succeeded_by_node": {"2": 800, "1": 10}, "seconds": 2.0}
    after = {"succeeded_by_node": {"2": 600}, "seconds": 3.0}
    opened = {
        "succeeded_by_node": {"2": 560, "1": 700, "3": 20},
        "seconds": 2.0,
        "sent": 1_700,
        "dropped": 100,
        "errors": {"503 overloaded": 420},
    }
    assert flood.summary(before, opened, after, 3.0, "2") == {
        "node": "2",
        "times": 3.0,
        "capacity_per_s": 300.0,
        "arrived_per_s": 900.0,
        "goodput_per_s": 280.0,
        "goodput_by_capacity": 0.933,
        "served_elsewhere": 720,
        "told_to_retry": 420,
        "never_sent": 100,
    }
    nothing = {"succeeded_by_node": {}, "seconds": 1.0, "sent": 0, "dropped": 0, "errors": {}}
    assert flood.summary(nothing, nothing, nothing, 3.0, "2")["goodput_by_capacity"] == 0.0


def test_charges_by_node() -> None:
    ids = [new_id("ch", node, 1_700_000_000_000) for node in (2, 2, 7)]
    assert figures.by_node(ids) == {"2": 2, "7": 1}


def test_a_mean_ratio_has_an_interval() -> None:
    found = figures.mean_ratio([0.5, 2.0, 1.0, 1.0])
    assert found.value == 1.0
    assert 0.5 <= found.low < 1.0 < found.high <= 2.0
    assert figures.mean_ratio([1.2]) == figures.Estimate(1.2, 1.2, 1.2)
    assert figures.mean_ratio([]) == figures.Estimate(0.0, 0.0, 0.0)


def test_shares_differ_with_an_interval_that_is_never_empty() -> None:
    # Newcombe 1998, example (a) of table II: 56/70 and 48/80, method 10.
    found = figures.share_difference(48, 80, 56, 70)
    assert (found.value, found.low, found.high) == (
        20.0, pytest.approx(5.24, abs=0.01), pytest.approx(33.39, abs=0.01),
    )  # fmt: skip
    all_well = figures.share_difference(10_000, 10_000, 10_000, 10_000)
    assert all_well.value == 0.0 and -0.05 < all_well.low < 0.0 < all_well.high < 0.05
    assert figures.share_difference(0, 0, 1, 1).low == -100.0


def phase(pair: int, kind: str, p99_ms: float, succeeded: int = 100, **more: Any) -> Any:
    return isolation.Phase(
        pair=pair, kind=kind, dead=more.get("dead", False), arrived=100, succeeded=succeeded,
        dropped=0, errors={}, success=succeeded / 100, p50_ms=1.0, p99_ms=p99_ms, own={},
    )  # fmt: skip


def test_isolation_compares_within_pairs() -> None:
    found = isolation.summary(
        [
            phase(1, "A/A", 10), phase(1, "A/A", 12),
            phase(1, "A/B", 10), phase(1, "A/B", 11, 90, dead=True),
            phase(2, "A/B", 22, 90, dead=True), phase(2, "A/B", 20),
            phase(2, "A/A", 10), phase(2, "A/A", 8),
        ]
    )  # fmt: skip
    assert found["A/A"]["p99_ratios"] == [1.2, 1.25]
    assert found["A/A"]["p99_spread"] == 1.25
    assert found["A/B"]["p99_ratios"] == [1.1, 1.1]
    assert found["A/B"]["success"] == [1.0, 0.9]
    assert found["A/B"]["success_pp"].value == -10.0
    assert found["p99_within_aa_spread"]
    slow = isolation.summary([phase(1, "A/B", 10), phase(1, "A/B", 11, dead=True)])
    assert not slow["p99_within_aa_spread"]


def loaded(count: int, node: float, p50: float, target: str = "access") -> dict[str, Any]:
    return {
        "scenario": {"target": target, "countries": ["DE", "IN", "BR"][:count]},
        "cpu_us_per_payment": {"node": node, "postgres": 100.0, "access": 50.0},
        "latency_ms": {"p50": p50},
    }


def test_scaling_is_compared_with_one_node_and_with_equal_runs() -> None:
    found = scaling.summary(
        [
            loaded(1, 200, 3.0), loaded(2, 240, 3.0), loaded(1, 200, 2.2, "node"),
            loaded(2, 230, 3.0), loaded(1, 220, 3.2), loaded(1, 200, 2.5, "node"),
        ]
    )  # fmt: skip
    node = found["cpu_us_per_payment"]["node"]
    assert node["by_nodes"] == {"1": [200, 220], "2": [240, 230]}
    assert node["to_one"] == {"1": 1.0, "2": pytest.approx(235 / 210, abs=0.001)}
    assert node["aa_spread"] == 1.1 and not node["within_aa_spread"]
    assert found["cpu_us_per_payment"]["postgres"]["within_aa_spread"]
    added = found["access_adds_p50"]
    assert added["added_ms"] == [0.8, 0.7] and added["median_ms"] == 0.75
    assert added["aa_spread_ms"] == 0.3


def test_a_heartbeat_is_what_one_more_costs() -> None:
    one = scaling.Idle(1, 2, 1000, 20.0, access=0.20, node=0.5, node_unasked=0.46)
    three = scaling.Idle(3, 2, 1000, 20.0, access=0.26, node=0.5, node_unasked=0.42)
    found = scaling.heartbeat([one, three])
    assert found["access_per_node"] == 0.03
    assert found["node_per_access"] == 0.03
    assert scaling.heartbeat([one])["access_per_node"] is None


def seen(number: int, trouble: Any, where: str, ms: float, **did: Any) -> neighbour.Phase:
    return neighbour.Phase(
        round=number, trouble=trouble, where=where, arrived=100, succeeded=98, dropped=1,
        errors={"503 overloaded": 1}, succeeded_by_node={"2": 98},
        ms={"p50": ms / 2, "p95": ms, "p99": ms, "max": ms},
        cores={"node": 0.5, "neighbour": 0.1}, others_share=0.02, neighbour=did,
    )  # fmt: skip


def test_a_neighbour_is_held_against_quiet_phases_and_against_one_elsewhere() -> None:
    found = neighbour.summary(
        [
            seen(1, "quiet", "here", 10.0), seen(1, "flood", "here", 30.0, per_s=500.0),
            seen(1, "quiet", "here", 10.0), seen(1, "flood", "elsewhere", 20.0, per_s=400.0),
            seen(2, "quiet", "here", 10.0), seen(2, "flood", "here", 40.0, per_s=300.0),
            seen(2, "quiet", "here", 40.0), seen(2, "flood", "elsewhere", 20.0, per_s=500.0),
        ]
    )  # fmt: skip
    assert found["quiet"]["p99"] == {
        "rounds": [1.0, 4.0], "median": 2.5, "lowest": 1.0, "highest": 4.0,
    }  # fmt: skip
    here, elsewhere = found["troubles"]
    assert [here["where"], elsewhere["where"]] == ["here", "elsewhere"]
    assert here["p99"]["rounds"] == here["p50"]["rounds"] == [3.0, 2.0]
    assert elsewhere["p99"]["rounds"] == [2.0, 1.0]
    assert found["here_by_elsewhere"]["flood"]["p99"]["rounds"] == [1.5, 2.0]
    assert here["did"] == {"per_s": 400.0}
    assert (here["arrived"], here["succeeded"], here["errors"]) == (200, 196, {"503 overloaded": 2})
    assert here["cores"] == {"node": 0.5, "neighbour": 0.1}


def test_a_round_turns_and_keeps_quiet_phases_apart() -> None:
    here = neighbour.Place("here", "europe", "DE", "http://a:1", "http://a:1")
    away = neighbour.Place("elsewhere", "apac", "IN", "http://a:2", "http://n:1")
    for places in ([here], [here, away]):
        first = neighbour.order(places, 0)
        assert neighbour.order(places, 1) == first[1:] + first[:1]
        assert neighbour.order(places, len(first)) == first
        at = [number for number, (trouble, _) in enumerate(first) if trouble == "quiet"]
        assert at == [0, 1 + len(first[1:-1]) // 2]
