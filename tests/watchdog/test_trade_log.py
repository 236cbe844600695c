import json
import math
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers.records import Entry, Equity, Exit, TradeRecord
from watchdog.trade_log import Garbled, TradeLogDecoder

AT = datetime(2026, 3, 1, 10, 35, 0, 500_000, tzinfo=UTC)


def line(**fields: Any) -> bytes:
    return json.dumps({"timestamp": "2026-03-01T10:35:00.5", **fields}).encode()


def record(text: bytes, decoder: TradeLogDecoder | None = None) -> TradeRecord | None:
    decoded = (decoder or TradeLogDecoder(UTC)).decode(text)
    return None if decoded is None else decoded.record


def test_the_lines_of_a_real_bot() -> None:
    lines = [
        b'{"type": "entry", "timestamp": "2026-03-01T10:00:00.123456", "direction": 1, "entry_price": 150.2, '
        b'"size": 1.3, "stop_loss": 148.0, "take_profit": 155.0, "ml_confidence": 0.71}\n',
        b'{"type": "exit", "timestamp": "2026-03-01T10:35:00.5", "direction": 1, "entry_price": 150.2, '
        b'"exit_price": 149.1, "size": 1.3, "pnl": -1.43, "pnl_pct": -0.73, "duration": 7}',
        b'{"type": "equity", "timestamp": "2026-03-01T10:35:01", "equity": 1998.57, "pnl": -1.43}\r\n',
    ]
    decoder = TradeLogDecoder(UTC)
    assert [decoded.record for decoded in decoder.decode_all(lines)] == [
        Entry(datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC), None, 1.3),
        Exit(AT, -1.43, None, 1.3),
        Equity(datetime(2026, 3, 1, 10, 35, 1, tzinfo=UTC), 1998.57),
    ]
    assert (decoder.ignored, decoder.garbled, decoder.impossible) == (0, 0, 0)


def test_symbol_and_model_version_are_handed_on() -> None:
    decoded = TradeLogDecoder(UTC).decode(line(type="exit", pnl=0, symbol="SOLUSDT", model_version="v2.1.0"))
    assert decoded == (Exit(AT, 0.0, "SOLUSDT", None), "v2.1.0")


@pytest.mark.parametrize(
    "pnl",
    ["NaN", "Infinity", "-Infinity", '"nan"', "null", '"much"', "1e999", "true", "[1]", "1" + "0" * 400],
)
def test_an_exit_with_impossible_pnl_is_counted_and_closes_its_position_all_the_same(pnl: str) -> None:
    decoder = TradeLogDecoder(UTC)
    text = f'{{"type": "exit", "timestamp": "2026-03-01T10:35:00.5", "pnl": {pnl}}}'.encode()
    found = record(text, decoder)
    assert isinstance(found, Exit)
    assert math.isnan(found.pnl)
    assert (decoder.impossible, decoder.garbled) == (1, 0)


def test_an_exit_without_pnl_is_impossible() -> None:
    decoder = TradeLogDecoder(UTC)
    found = record(line(type="exit"), decoder)
    assert isinstance(found, Exit)
    assert math.isnan(found.pnl)
    assert decoder.impossible == 1


@pytest.mark.parametrize("equity", [0, -5.0, math.nan, math.inf])
def test_the_equity_of_a_failed_reading_is_handed_on(equity: float) -> None:
    got = record(line(type="equity", equity=equity))
    assert isinstance(got, Equity)
    assert got.equity == equity or (math.isnan(equity) and math.isnan(got.equity))


@pytest.mark.parametrize("fields", [{}, {"equity": None}, {"equity": "broke"}])
def test_a_missing_equity_is_a_failed_reading(fields: dict[str, object]) -> None:
    got = record(line(type="equity", **fields))
    assert isinstance(got, Equity)
    assert math.isnan(got.equity)


def test_nan_elsewhere_in_a_line_spoils_nothing() -> None:
    assert record(line(type="exit", pnl=-2.5, pnl_pct=math.nan, size=math.inf)) == Exit(AT, -2.5, None, None)


def test_numbers_may_be_strings() -> None:
    assert record(line(type="exit", pnl="-1.50", size="3")) == Exit(AT, -1.5, None, 3.0)


@pytest.mark.parametrize("size", [None, "big", {}, math.nan])
def test_an_unusable_size_is_none(size: object) -> None:
    assert record(line(type="entry", size=size, symbol=7)) == Entry(AT, None, None)


def test_invalid_utf_8_costs_only_the_text_that_holds_it() -> None:
    text = b'{"type": "exit", "timestamp": "2026-03-01T10:35:00.5", "pnl": 1, "symbol": "S\xff"}'
    assert record(text) == Exit(AT, 1.0, "S�", None)


def test_half_a_surrogate_pair_can_be_stored_and_sent() -> None:
    got = record(b'{"type": "entry", "timestamp": "2026-03-01T10:35:00.5", "symbol": "S\\ud800"}')
    assert got == Entry(AT, "S?", None)


def test_a_byte_order_mark_is_overlooked() -> None:
    assert record(b"\xef\xbb\xbf" + line(type="exit", pnl=1)) == Exit(AT, 1.0)


def test_other_types_and_empty_lines_are_ignored() -> None:
    decoder = TradeLogDecoder(UTC)
    for text in (
        line(type="signal"),
        line(type="signal", size={"a": 1}),
        line(type="Exit", pnl=1),
        b"",
        b" \r\n",
    ):
        assert record(text, decoder) is None
    assert (decoder.ignored, decoder.garbled) == (5, 0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"not json", "Expecting value"),
        (b'{"type": "exi{"type": "exit", "pnl": 1}', "delimiter"),
        (b"[1, 2]", "no JSON object but a list"),
        (b"null", "no JSON object but a NoneType"),
        (b'{"pnl": 1}', "no type"),
        (b'{"type": null}', "no type"),
        (b'{"type": 5}', "no type"),
        (b'{"type": "exit", "pnl": 1}', "no timestamp"),
        (b'{"type": "exit", "pnl": 1, "timestamp": 1772361300}', "no timestamp"),
        (b'{"type": "exit", "pnl": 1, "timestamp": "yesterday"}', "yesterday"),
        (b'{"type": "exit", "pnl": 1, "timestamp": "2026-13-01T00:00:00"}', "month"),
        (b'{"type": "exit", "pnl": 1, "timestamp": "0001-01-01T00:00:00+14:00"}', "out of range"),
        (b'{"a": ' * 100_000, "recursion"),
    ],
)
def test_garbled_lines_are_counted_and_the_first_is_kept(text: bytes, why: str) -> None:
    decoder = TradeLogDecoder(UTC)
    decoder.decode(line(type="exit", pnl=1))
    assert decoder.decode(text) is None
    assert decoder.decode(b"something else") is None
    assert decoder.garbled == 2
    assert isinstance(decoder.first_garbled, Garbled)
    assert decoder.first_garbled.line == 2
    assert decoder.first_garbled.excerpt == text[:120].decode().strip()
    assert why in decoder.first_garbled.reason


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        ("2026-03-01T10:35:00Z", datetime(2026, 3, 1, 10, 35, tzinfo=UTC)),
        ("2026-03-01 10:35:00", datetime(2026, 3, 1, 9, 35, tzinfo=UTC)),
        ("2026-03-01T10:35:00+00:00", datetime(2026, 3, 1, 10, 35, tzinfo=UTC)),
        ("2026-03-01T10:35:00.123456789-05:00", datetime(2026, 3, 1, 15, 35, 0, 123456, tzinfo=UTC)),
        ("2026-07-01T10:35:00", datetime(2026, 7, 1, 8, 35, tzinfo=UTC)),
        ("2026-03-29T02:30:00", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # there is no such time
    ],
)
def test_timestamps_become_utc_and_those_without_an_offset_are_local(stamp: str, at: datetime) -> None:
    got = record(line(type="exit", pnl=1, timestamp=stamp), TradeLogDecoder(ZoneInfo("Europe/Berlin")))
    assert got is not None
    assert got.at == at
    assert got.at.utcoffset() == timedelta(0)


def test_the_hour_that_comes_twice_goes_on_and_not_back() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 24, 23, 0, tzinfo=UTC)  # 01:00 in Berlin; at 03:00 clocks go back to 02:00
    times = [start + timedelta(minutes=11 * n) for n in range(25)]
    decoder = TradeLogDecoder(berlin)
    stamps = [at.astimezone(berlin).replace(tzinfo=None).isoformat() for at in times]
    assert len(set(stamps)) == len(stamps)
    got = [record(line(type="exit", pnl=1, timestamp=stamp), decoder) for stamp in stamps]
    assert [found.at for found in got if found] == times


@given(st.binary())
def test_no_bytes_make_it_raise(data: bytes) -> None:
    decoder = TradeLogDecoder(UTC)
    decoder.decode(data)
    decoder.decode(b'{"type": "exit", "timestamp": "' + data + b'", "pnl": ' + data + b"}")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_STAMPS = st.datetimes().map(datetime.isoformat) | st.text()


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["exit", "entry", "equity"])},
        optional={
            "timestamp": _STAMPS,
            **dict.fromkeys(("pnl", "equity", "size", "symbol", "model_version", "other"), _JSON),
        },
    ),
    st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]),
)
def test_whatever_a_line_holds_a_record_is_whole(fields: dict[str, Any], zone: str) -> None:
    decoder = TradeLogDecoder(ZoneInfo(zone))
    decoded = decoder.decode(json.dumps(fields).encode())
    if decoded is None:
        assert decoder.garbled == 1
        return
    assert type(decoded.record).__name__.lower() == fields["type"]
    assert decoded.record.at.utcoffset() == timedelta(0)
    values = asdict(decoded.record)
    assert values.get("size") is None or math.isfinite(values["size"])
    assert math.isnan(values.get("pnl", 0.0)) == (decoder.impossible == 1)
    str(values).encode()


@given(st.floats(allow_nan=False, allow_infinity=False), st.datetimes())
def test_the_slow_path_reads_what_the_fast_one_reads(pnl: float, at: datetime) -> None:
    fast = line(type="exit", pnl=pnl, timestamp=at.isoformat(), symbol="A", size=2)
    slow = fast[:-1] + b', "x": NaN}'
    assert record(fast) == record(slow) == Exit(at.replace(tzinfo=UTC), pnl, "A", 2.0)
