"""A sample of ``tests/soak/webhooks.py``: what it finds, and that it would find what is wrong."""

from pathlib import Path

from tests.soak.webhooks import Report, seen, soak


async def test_nothing_is_lost_and_all_is_in_order(server_dsn: str, tmp_path: Path) -> None:
    """Payments a second and memory are for the command: it is alone on its machine."""
    report = await soak(server_dsn, tmp_path, events=300, rate=10.0, restart_s=1.0)
    assert set(report.wrong) <= {"memory_grew", "payments_kept"}, report
    assert report.events == report.taken == 300
    assert report.requests > 1.5 * report.events, "half of all fail"
    assert report.restarts >= 2 and report.payments_per_s[1] > 0


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "no /0 pi_1 1 evt_a\nok /0 pi_1 2 evt_b\nok /0 pi_1 1 evt_a\n"
        "ok /1 pi_1 2 evt_b\nno /1 pi_1 1 evt_a\n"
    )
    report = Report()
    assert seen(log, report) == {"/0 evt_b", "/0 evt_a", "/1 evt_b"}
    assert report.out_of_order == ["/1 evt_a"]
    assert report.requests == 5 and report.taken == 3
    assert Report(payments_kept=1.0).wrong == []
    assert Report(payments_kept=1.0, lost=["evt"]).wrong == ["lost"]
    assert Report(payments_kept=1.0, owed=1).wrong == ["owed"]
    assert Report(payments_kept=0.9).wrong == ["payments_kept"]
    assert Report(payments_kept=1.0, memory_grew=1.2).wrong == ["memory_grew"]
