"""Logs and metrics carry allow-listed fields only."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from bailiwick.runtime import telemetry

CANARY = "4242424242424242"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    out = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    telemetry.configure("node apac", stream=out)
    yield out
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_unknown_fields_and_odd_types_are_dropped(stream: io.StringIO) -> None:
    log = telemetry.logger(node="apac")
    log.info("payment committed", payment="pi_1", card=CANARY, reason={"raw": CANARY}, count=2)
    (line,) = lines(stream)
    assert CANARY not in stream.getvalue()
    assert line["event"] == "payment committed"
    assert (line["node"], line["payment"], line["count"], line["dropped"]) == ("apac", "pi_1", 2, 2)
    assert line["process"] == "node apac"


def test_an_error_is_its_type_and_place(stream: io.StringIO) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        telemetry.logger().error("it failed", exc_info=True)
        telemetry.logger().error("it failed", error=error)
    assert CANARY not in stream.getvalue()
    for line in lines(stream):
        assert line["error"] == "ValueError"
        assert "test_telemetry.py:" in line["where"]


def test_library_records_lose_their_arguments(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").error("refused %s", CANARY)
    (line,) = lines(stream)
    assert (line["event"], line["library"]) == ("refused %s", "uvicorn.error")
    assert CANARY not in stream.getvalue()


def test_long_values_are_cut(stream: io.StringIO) -> None:
    telemetry.logger().info("x", reason="y" * 10_000)
    (line,) = lines(stream)
    assert len(line["reason"]) == telemetry.MOST_CHARACTERS


def test_metric_labels_are_allow_listed() -> None:
    metrics = telemetry.Metrics(process=False)
    metrics.counter("payments", "Payments.", ["outcome"]).labels("approved").inc()
    assert b'bailiwick_payments_total{outcome="approved"} 1.0' in metrics.render()
    with pytest.raises(ValueError, match="merchant"):
        metrics.counter("other", "Other.", ["merchant"])
