"""Targets: timestamps in every time zone, and checkpoints of another build."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.fuzz.logs import NOWS, SINCE, a_settings
from tests.fuzz.target import Target
from triggers import Exit
from watchdog.place import Place
from watchdog.rules import build_engine
from watchdog.times import LocalTimes

ZONES = (UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Pacific/Apia"))
NOT_FITTING = (ValueError, KeyError, TypeError)
"""What `Engine.restore` and the collector take for a checkpoint that does not fit."""


def timestamps(data: bytes) -> None:
    """Aware UTC, or a ValueError; and the same text means the same time when it is read again."""
    texts = data.decode("utf-8", "replace").split("\n")
    for zone in ZONES:
        times, again = LocalTimes(zone), LocalTimes(zone)
        for text in texts:
            try:
                at = times.utc(text)
            except ValueError:
                continue
            assert at.utcoffset() == timedelta(0)
            assert again.utc(text) == at
            assert datetime.fromisoformat(at.isoformat()) == at


def checkpoint(data: bytes) -> None:
    """A state that does not fit is refused, and the rules are then as after a reset; one that fits judges."""
    try:
        state = json.loads(data)
    except (ValueError, RecursionError):
        return
    engine, fresh = build_engine(a_settings(), SINCE), build_engine(a_settings(), SINCE)
    fingerprint = fresh.dump()["fingerprint"]
    if isinstance(state, dict):
        state["fingerprint"] = fingerprint
    try:
        engine.restore(state)
    except NOT_FITTING:
        assert engine.dump() == fresh.dump()
    engine.observe(Exit(NOWS[0], -1.0))
    for now in NOWS:
        for verdict in engine.evaluate(now):
            json.dumps(verdict.as_dict(), allow_nan=False)
            assert "is broken" not in verdict.reason, (
                "it was taken for fitting, and then could not be judged by"
            )
    json.dumps(engine.dump())
    try:
        place = Place.restore(state)
    except ValueError:
        return
    assert place.offset >= 0
    assert Place.restore(place.dump()) == place


def _kept() -> bytes:
    engine = build_engine(a_settings(), SINCE)
    for hour in range(5):
        engine.observe(Exit(SINCE + timedelta(hours=hour), -1.0, "SOLUSDT", 1.0))
    engine.evaluate(NOWS[0])
    return json.dumps(engine.dump()).encode()


STAMPS = (
    b"2026-03-01T10:00:00.123456", b"2026-03-01 10:00:00,101",
    b"2026-03-29T02:30:00\n2026-10-25T02:30:00\n2026-10-25T02:10:00", b"2026-03-01T10:00:00Z",
    b"20260301T100000+0530", b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59.999999-12:00",
    b"2011-12-30T10:00:00", b"2026-W10-7", b"2026-04-05T01:45:00",
)  # fmt: skip
STAMP_WORDS = (
    b"T", b" ", b"Z", b"+00:00", b"-23:59:59.999999", b"+24:00", b".", b",", b":", b"-", b"W53", b"0000",
    b"9999", b"0001", b"24:00:00", b"23:59:60", b"\n", b"\0", "٣".encode(), b"\xff", b"9" * 100,
)  # fmt: skip
PLACE = json.dumps(Place(1, 2, 300, "aa", "bb", 5).dump()).encode()
STATE_WORDS = (
    b"null", b"true", b"-1", b"0", b"1e999", b"NaN", b"-Infinity", b"9" * 400, b'"x"', b"[]", b"{}",
    b'"2026-03-01T00:00:00"', b'"0001-01-01T00:00:00+00:00"', b'"9999-12-31T23:59:59+00:00"', b'"rules": ',
    b'"rule": ', b'"true_since": ', b'"losses": ', b'"exits": ', b'"points": ', b'"initial_equity": ',
    b'"offset": ', b"[", b"{", b"}", b"]", b",", b'"\\ud800"',
)  # fmt: skip
TIMES = (
    Target("timestamps", timestamps, STAMPS, STAMP_WORDS),
    Target("checkpoint", checkpoint, (_kept(), PLACE, b'{"rules": {}}'), STATE_WORDS),
)
