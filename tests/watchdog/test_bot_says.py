"""Which lines tell of a prediction, and which of a risk check that failed."""

from datetime import UTC, datetime

import pytest

from config import Monitor
from triggers import LogLine
from watchdog.bot_says import BotSays, Forecast, forecast

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def line(message: str, level: str = "INFO") -> LogLine:
    return LogLine(AT, level, "bot", message)


@pytest.mark.parametrize(
    "message",
    [
        "Prediction: 1 (confidence 0.71)",
        "ML prediction: LONG, confidence=0.71",
        "Predicted direction: -1",
        "Ensemble predictions generated for SOLUSDT: [0.3, 0.7]",
        "Signal: BUY (confidence: 71%)",
        "New signal SOLUSDT SHORT conf 0.66, stop loss 148.0",
        "ml_confidence=0.71 direction=1",
    ],
)
def test_a_prediction_is_seen(message: str) -> None:
    assert BotSays(Monitor()).predicts(line(message))


@pytest.mark.parametrize(
    "message",
    [
        "No prediction for SOLUSDT: not enough bars",
        "Prediction skipped: features are stale",
        "Prediction failed: 12 features expected",
        "Loading prediction model from ./models_saved/ensemble_v2.0.0.pkl",
        "Prediction engine initialized",
        "Waiting for signal: warm-up",
        "Opened LONG 1.3 at 150.2",
        "SIGTERM received, stopping",
    ],
)
def test_what_only_speaks_of_predictions_is_none(message: str) -> None:
    assert not BotSays(Monitor()).predicts(line(message))


def test_a_loud_line_is_no_prediction() -> None:
    assert not BotSays(Monitor()).predicts(line("Prediction: 1", "ERROR"))


@pytest.mark.parametrize(
    "message",
    [
        "Risk check failed: position size 3.2 exceeds 2.0",
        "Risk manager rejected the order: exposure 31 %",
        "Order rejected by risk manager",
        "Signal blocked by the risk limits: daily loss",
        "Max daily loss exceeded risk limit",
        "Daily loss limit reached, no new trades today",
        "Circuit breaker triggered",
        "Kill switch engaged",
        "RISK LIMIT BREACHED: drawdown",
    ],
)
def test_a_failed_risk_check_is_seen_at_any_level(message: str) -> None:
    for level in ("INFO", "WARNING", "ERROR"):
        assert BotSays(Monitor()).risk_failed(line(message, level))


@pytest.mark.parametrize(
    "message",
    [
        "Risk check passed",
        "Risk checks: 0 failed",
        "No risk limit was exceeded",
        "Risk manager initialized with max drawdown 25 %",
        "Daily loss limit: 100 USDT",
        "Circuit breaker not triggered",
        "Order 17 filled",
    ],
)
def test_a_risk_check_that_passes_is_no_failure(message: str) -> None:
    assert not BotSays(Monitor()).risk_failed(line(message))


def test_the_operators_patterns_take_the_place_of_ours_and_are_searched_at_every_level() -> None:
    says = BotSays(Monitor.model_validate({"prediction_patterns": ["^score="], "risk_patterns": ["^NOPE"]}))
    assert says.predicts(line("score=0.3", "WARNING"))
    assert not says.predicts(line("Prediction: 1"))
    assert says.risk_failed(line("nope: 0 failed"))
    assert not says.risk_failed(line("Risk check failed"))


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Prediction: 1 (confidence 0.71)", Forecast(True, 0.71)),
        ("Prediction: -1 (confidence: 71%)", Forecast(False, 0.71)),
        ("Signal: SELL prob=0.55", Forecast(False, 0.55)),
        ("ML prediction: LONG", Forecast(True, None)),
        ("Prediction: 0 (confidence 1.0)", Forecast(None, 1.0)),
        ("Predicted up from down, confidence 0.6", Forecast(None, 0.6)),
        ("Predictions for 15m bars: conf 230", Forecast(None, None)),
    ],
)
def test_a_line_tells_direction_and_confidence_as_far_as_it_does(message: str, told: Forecast) -> None:
    assert forecast(message) == told


def test_a_line_of_a_megabyte_is_searched_in_no_time() -> None:
    says, long = BotSays(Monitor()), "risk order prediction " * 50_000
    assert says.predicts(line(long)) or not says.risk_failed(line(long))
