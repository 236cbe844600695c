"""Predictions from a file of the bot's own, and from entries of the trade log."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.predictions import Prediction, PredictionDecoder, confidence_of, traded_on, up_of

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def decoded(**fields: Any) -> Prediction | None:
    return PredictionDecoder(UTC).decode(json.dumps(fields).encode())


def test_a_line_with_time_direction_confidence_and_version() -> None:
    found = decoded(timestamp="2026-03-01T10:00:00", direction=-1, ml_confidence=0.71, model_version="v2.0.0")
    assert found == Prediction(AT, False, 0.71, "v2.0.0")


@pytest.mark.parametrize(
    "at", ["2026-03-01T10:00:00Z", "2026-03-01 11:00:00+01:00", AT.timestamp(), AT.timestamp() * 1000]
)
def test_times_are_iso_or_seconds_or_milliseconds(at: Any) -> None:
    assert decoded(timestamp=at) == Prediction(AT)


def test_a_time_without_an_offset_is_in_the_bots_time_zone() -> None:
    line = b'{"time": "2026-03-01T11:00:00", "signal": "BUY", "probability": 0.6}'
    assert PredictionDecoder(ZoneInfo("Europe/Berlin")).decode(line) == Prediction(AT, True, 0.6)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'{"direction": 1}',
        b'{"timestamp": "soon"}',
        b'{"timestamp": 1e300}',
        b'{"timestamp": true}',
        b"\xff",
    ],
)
def test_what_is_no_prediction_is_counted(line: bytes) -> None:
    decoder = PredictionDecoder(UTC)
    assert decoder.decode(line) is None
    assert decoder.decode(b"  \n") is None
    assert decoder.garbled == 1


def test_bare_nan_in_one_field_costs_not_the_line() -> None:
    line = b'{"timestamp": "2026-03-01T10:00:00", "direction": NaN, "confidence": NaN}'
    assert PredictionDecoder(UTC).decode(line) == Prediction(AT)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.floats() | st.text(), lambda s: st.lists(s)).map(
        lambda value: json.dumps({"timestamp": value, "direction": value, "confidence": value}).encode()
    )
)
def test_no_line_raises(line: bytes) -> None:
    PredictionDecoder(UTC).decode(line)
    traded_on(line)


@pytest.mark.parametrize(
    ("value", "up"),
    [(1, True), (-1, False), (0, None), (0.3, True), ("LONG", True), (" sell ", False), ("-1", False), ("hold", None),
     (True, None), (None, None), (float("nan"), None), ([], None), (10**400, True), (-(10**400), False)],
)  # fmt: skip
def test_directions(value: Any, up: bool | None) -> None:
    assert up_of(value) is up


@pytest.mark.parametrize(
    ("value", "share"),
    [(0.7, 0.7), ("0.7", 0.7), (0, 0.0), (1, 1.0), (71, None), (-0.1, None), (True, None), ("x", None)],
)
def test_confidences(value: Any, share: float | None) -> None:
    assert confidence_of(value) == share


def test_an_entry_of_the_trade_log_is_a_prediction_that_was_traded_on() -> None:
    assert traded_on(b'{"type": "entry", "direction": 1, "ml_confidence": 0.71}') == (True, 0.71)
    assert traded_on(b'{"type": "entry", "direction": "SHORT"}') == (False, None)
    assert traded_on(b'{"type": "entry", "size": 1.3}') is None
    assert traded_on(b"{") is None
