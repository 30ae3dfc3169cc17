"""The arithmetic of `bailiwick bench`: accounts that do not agree are always found."""

from typing import Any

import msgspec
import pytest

from bailiwick.base.ids import new_id
from bailiwick.bench import figures, flood, floor, show
from bailiwick.bench.database import Counts, lane_commits, weak_settings
from bailiwick.bench.load import AMOUNT
from bailiwick.bench.site import Charge

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
    closed = {"succeeded_by_node": {"2": 900, "1": 10}, "seconds": 3.0}
    opened = {
        "succeeded_by_node": {"2": 560, "1": 700, "3": 20},
        "seconds": 2.0,
        "sent": 1_700,
        "dropped": 100,
        "errors": {"503 overloaded": 420},
    }
    assert flood.summary(closed, opened, 3.0, "2") == {
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
    assert flood.summary(nothing, nothing, 3.0, "2")["goodput_by_capacity"] == 0.0


def test_charges_by_node() -> None:
    ids = [new_id("ch", node, 1_700_000_000_000) for node in (2, 2, 7)]
    assert figures.by_node(ids) == {"2": 2, "7": 1}
