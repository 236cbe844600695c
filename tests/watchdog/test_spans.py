"""What the logs tell of two spans of time: whose trades, which predictions, how many errors; rotated files, too."""

import gzip
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config import Settings
from tests.watchdog.house import settings_in
from watchdog.spans import MOST_PREDICTIONS, CutShort, Reader, Wanted, best_source

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
VERSIONS = ("v2.0.0", "v2.1.0")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "logs").mkdir()
    return settings_in(tmp_path, {"monitor": {"predictions": "logs/predictions.jsonl"}})


def wanted() -> tuple[Wanted, Wanted]:
    """The hour before ten, on v2.1.0, and the hour after it, on v2.0.0."""
    return (
        Wanted("v2.1.0", AT - timedelta(hours=1), AT),
        Wanted("v2.0.0", AT, AT + timedelta(hours=1)),
    )


def record(minute: float, **fields: Any) -> str:
    at = AT + timedelta(minutes=minute)
    return json.dumps({"timestamp": at.replace(tzinfo=None).isoformat(), **fields}) + "\n"


def logged(minute: float, message: str, level: str = "INFO") -> str:
    return f"{AT + timedelta(minutes=minute):%Y-%m-%d %H:%M:%S},000 - bot - {level} - {message}\n"


def read(settings: Settings, **more: Any) -> tuple[Wanted, Wanted, Reader]:
    before, after = wanted()
    reader = Reader(settings, VERSIONS, **more)
    reader.read(before, after)
    return before, after, reader


def test_exits_go_into_their_span_in_their_order(settings: Settings) -> None:
    minutes = [(-61, 1.0), (-60, 2.0), (-1, 3.0), (0, 4.0), (59, 5.0), (60, 6.0)]
    lines = [record(minute, type="exit", pnl=pnl) for minute, pnl in minutes]
    settings.trade_log.path.write_text("".join([*lines, "garbage\n"]))
    before, after, _ = read(settings)
    assert (before.pnls, after.pnls) == ([2.0, 3.0], [4.0, 5.0])


def test_a_trade_of_another_registered_version_is_not_counted(settings: Settings) -> None:
    versions = ["v2.1.0", "v2.0.0", "nightly-7", None]
    lines = [record(5, type="exit", pnl=1.0, model_version=version) for version in versions]
    settings.trade_log.path.write_text("".join(lines))
    _, after, _ = read(settings)
    assert len(after.pnls) == 3


def test_amounts_that_cannot_be_are_left_out(settings: Settings) -> None:
    pnls = [float("nan"), float("inf"), 1e300, -2.0]
    settings.trade_log.path.write_text("".join(record(5, type="exit", pnl=pnl) for pnl in pnls))
    _, after, _ = read(settings)
    assert after.pnls == [-2.0]


def test_the_equity_is_that_of_the_beginning_and_a_failed_reading_is_none(settings: Settings) -> None:
    lines = [
        record(1, type="equity", equity=0),
        record(2, type="exit", pnl=-10.0),
        record(3, type="equity", equity=1490.0),
        record(4, type="equity", equity=9.0),
    ]
    settings.trade_log.path.write_text("".join(lines))
    before, after, reader = read(settings)
    assert reader.span(after, None).equity == 1500.0
    assert reader.span(before, None).equity == settings.trade_log.initial_equity


def test_errors_and_predictions_of_the_log(settings: Settings) -> None:
    lines = [
        logged(-70, "long ago", "ERROR"),
        logged(-5, "no connection", "ERROR") + "Traceback (most recent call last):\n",
        logged(-4, "give up", "CRITICAL"),
        logged(-3, "hm", "WARNING"),
        logged(5, "Prediction: 1 (confidence 0.71)"),
        logged(6, "no connection", "ERROR"),
    ]
    settings.bot.log.write_text("".join(lines))
    before, after, reader = read(settings)
    assert (before.errors, after.errors) == (2, 1)
    assert best_source(before, after) == "log"
    (prediction,) = reader.span(after, "log").predictions
    assert (prediction.up, prediction.confidence) == (True, 0.71)


def test_the_predictions_file_is_believed_before_the_log_and_the_log_before_entries(
    settings: Settings,
) -> None:
    settings.trade_log.path.write_text(record(5, type="entry", direction=1, ml_confidence=0.7))
    before, after, _ = read(settings)
    assert best_source(before, after) == "entries"
    settings.bot.log.write_text(logged(-5, "Prediction: 1"))
    before, after, reader = read(settings)
    assert best_source(before, after) == "log"
    assert len(reader.span(after, "log").predictions) == 0  # never one source before and another since
    assert settings.monitor.predictions is not None
    settings.monitor.predictions.write_text(record(5, direction=-1, confidence=0.6) + "garbage\n")
    before, after, reader = read(settings)
    assert best_source(before, after) == "file"
    assert len(reader.span(after, "file").predictions) == 1


def test_what_was_rotated_away_is_read_too(settings: Settings) -> None:
    log = settings.bot.log
    log.with_name(log.name + ".1").write_text(logged(-5, "no connection", "ERROR"))
    log.write_text(logged(5, "no connection", "ERROR"))
    trades = settings.trade_log.path
    trades.with_name(trades.name + ".1.gz").write_bytes(
        gzip.compress(record(-5, type="exit", pnl=-1.0).encode())
    )
    trades.write_text(record(5, type="exit", pnl=1.0))
    before, after, _ = read(settings)
    assert (before.errors, after.errors) == (1, 1)
    assert (before.pnls, after.pnls) == ([-1.0], [1.0])


def test_a_log_that_cannot_be_read_is_said_and_its_errors_are_not_known(settings: Settings) -> None:
    settings.bot.log.mkdir()
    before, _, reader = read(settings)
    assert reader.span(before, None).errors is None
    assert any("is a directory" in text for text in reader.unread)


def test_times_of_a_stepped_clock_are_mapped(settings: Settings) -> None:
    settings.trade_log.path.write_text(record(5 + 24 * 60, type="exit", pnl=1.0))
    _, after, _ = read(settings, steady=lambda at: at - timedelta(days=1))
    assert after.pnls == [1.0]


def test_it_can_be_cut_short(settings: Settings) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(CutShort):
        read(settings, stop=stop)


def test_memory_is_bounded_however_much_is_predicted(settings: Settings) -> None:
    assert settings.monitor.predictions is not None
    settings.monitor.predictions.write_text(record(5, direction=1) * (MOST_PREDICTIONS + 10))
    _, after, _ = read(settings)
    assert len(after.predictions) == MOST_PREDICTIONS
