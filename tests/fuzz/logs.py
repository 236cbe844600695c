"""Targets: the trade log, the bot's log, and the lines in it that tell of a model."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from config import Settings
from tests.fuzz.target import Target, fresh
from tests.harmless import is_harmless
from tests.watchdog.house import settings_in
from triggers import Engine, Equity, Exit, LoadErrorRule, LoadErrorSettings, LogLine, Verdict
from watchdog.bot_log import MAX_CHARS, MAX_LINES, BotLogParser
from watchdog.proof import LoadProof, Names, names_of
from watchdog.rules import build_engine
from watchdog.trade_log import Decoded, TradeLogDecoder

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
NOWS = tuple(SINCE + timedelta(hours=hours) for hours in (1, 25, 26, 24 * 365))
BERLIN = ZoneInfo("Europe/Berlin")
RULE = LoadErrorSettings()
MOST_REASON = 1000
STATE_BYTES = 256 * 1024
"""What the rules keep is bounded, however long the log: some hundred symbols, and points of the last two windows."""


@cache
def a_settings() -> Settings:
    return settings_in(fresh("settings"))


def trade_log(data: bytes) -> None:
    """Every line is counted once, no impossible number gets through, and the rules survive it and a restart."""
    lines = data.split(b"\n")
    decoder = TradeLogDecoder(BERLIN if len(lines) % 2 else UTC)
    found = decoder.decode_all(lines)
    assert len(found) + decoder.ignored + decoder.garbled == len(lines)
    if decoder.first_garbled is not None:
        assert is_harmless(str(decoder.first_garbled))
    for decoded in found:
        _sound(decoded)
    _rules_hold(found, len(data))


def _sound(decoded: Decoded) -> None:
    record = decoded.record
    assert record.at.utcoffset() == timedelta(0)
    (decoded.model_version or "").encode()
    if isinstance(record, Equity):
        return
    assert record.size is None or math.isfinite(record.size)
    (record.symbol or "").encode()
    if isinstance(record, Exit):
        assert math.isnan(record.pnl) or math.isfinite(record.pnl)


def _rules_hold(found: Sequence[Decoded], size: int) -> None:
    engine = build_engine(a_settings(), SINCE)
    for decoded in found:
        engine.observe(decoded.record)
    for now in NOWS:
        for verdict in engine.evaluate(now):
            _judged(verdict)
    _survives(engine, NOWS[size % len(NOWS)], size)
    assert not [kind for kind, text in engine.notices() if kind.startswith("broken") or not is_harmless(text)]


def _judged(verdict: Verdict) -> None:
    json.dumps(verdict.as_dict(), allow_nan=False)
    assert len(verdict.reason) <= MOST_REASON
    assert is_harmless(verdict.reason, "\t")
    assert "is broken" not in verdict.reason


def _survives(engine: Engine, now: datetime, size: int) -> None:
    """A checkpoint is JSON, bounded, and judges as the engine that it was made of."""
    state = json.dumps(engine.dump(), allow_nan=False)
    assert len(state) <= STATE_BYTES + 10 * size
    other = build_engine(a_settings(), SINCE)
    other.restore(json.loads(state))
    assert other.evaluate(now) == engine.evaluate(now)


def bot_log(data: bytes) -> None:
    """However the log is cut into reads, the same messages come out: whole, bounded and fit to be shown."""
    lines = data.split(b"\n")
    for tz in (UTC, BERLIN):
        whole, bit_by_bit = BotLogParser(tz), BotLogParser(tz)
        at_once = [*whole.feed(lines), *whole.flush()]
        assert at_once == [m for line in lines for m in bit_by_bit.feed([line])] + bit_by_bit.flush()
        assert whole.headless <= len(lines)
        for message in at_once:
            assert message.at.utcoffset() == timedelta(0)
            assert message.level == message.level.upper()
            assert len(message.message) <= MAX_CHARS + MAX_LINES
            assert message.message.count("\n") <= MAX_LINES
            assert is_harmless(message.message, "\n\t")
            assert is_harmless(message.logger + message.level, "\t")
        _judge(at_once)


def load_line(data: bytes) -> None:
    """One message at every level: whatever it says, it is judged at once, and quoted within bounds."""
    for level in (b"INFO", b"WARNING", b"ERROR"):
        parser = BotLogParser(UTC)
        lines = (b"2026-03-01 10:00:00,000 - models.ensemble - " + level + b" - " + data).split(b"\n")
        _judge([*parser.feed(lines), *parser.flush()])


@cache
def _versions() -> tuple[Names, Names]:
    files = {v: {"main": Path(f"/srv/bot/models_saved/ensemble_{v}.pkl")} for v in ("v2.0.0", "v2.1.0")}
    return (
        names_of("v2.0.0", files["v2.0.0"], {"model.pkl": "main"}, [files["v2.1.0"]]),
        names_of("v2.1.0", files["v2.1.0"], {}, [files["v2.0.0"]]),
    )


def _judge(messages: Sequence[LogLine]) -> None:
    target, other = _versions()
    rule, proof = LoadErrorRule(RULE), LoadProof(target, [other], LoadErrorRule(RULE), 10.0)
    for message in messages:
        rule.observe(message)
        proof.observe(message, SINCE)
    _judged(rule.evaluate(NOWS[0]))
    json.dumps(rule.dump(), allow_nan=False)
    state, why = proof.state(NOWS[0])
    assert state in {"proven", "wrong", "waiting"}
    assert len(why) <= MOST_REASON
    assert is_harmless(why, "\t")


TRADES = b"""\
{"type": "entry", "timestamp": "2026-03-01T10:00:00.123456", "direction": 1, "entry_price": 150.2, "size": 1.3}
{"type": "exit", "timestamp": "2026-03-01T10:35:00.5", "exit_price": 149.1, "size": 1.3, "pnl": -1.43, "pnl_pct": -0.73}
{"type": "equity", "timestamp": "2026-03-01T10:35:01", "equity": 1998.57, "pnl": -1.43}
{"type": "exit", "timestamp": "2026-03-01 11:35:00+01:00", "pnl": "-250.5", "symbol": "X", "model_version": "v2.1.0"}
{"type": "equity", "timestamp": "2026-03-01T10:55:01Z", "equity": 0}
{"type": "exit", "timestamp": "2026-10-25T02:30:00", "pnl": NaN, "size": Infinity}
{"type": "equity", "timestamp": "2026-03-02T12:00:00", "equity": 1500.0}
"""
TRADE_WORDS = (
    b'{"type": "exit", "timestamp": "2026-03-01T12:00:00", "pnl": ', b'"pnl": ', b'"equity": ', b'"size": ',
    b'"symbol": ', b'"model_version": ', b'"timestamp": ', b'"type": ', b"NaN", b"-Infinity", b"1e308",
    b"-1e308", b"1e999", b"9" * 400, b"-0.0", b"1e-320", b"null", b"true", b"[", b"{", b'"', b'"\\ud800"',
    b'"\\u0000"', b"\xff", b"\0", b"\xef\xbb\xbf", b"\x1b[2J", b"\xe2\x80\xae", b"\n", b"\r", b"}",
    b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-12:00", b"2026-W10-1", b"20260301T1000",
    b"2026-03-29T02:30:00", b"24:00:00",
)  # fmt: skip

BOT_LOG = b"""\
2026-03-01 09:59:58,101 - models.ensemble - INFO - Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl
2026-03-01 09:59:58,350 - models.ensemble - INFO - Ensemble model loaded successfully
2026-03-01 09:59:58,351 - rl.rl_agent - ERROR - Error loading RL agent: bad magic number. Using dummy agent.
Traceback (most recent call last):
  File "/app/models/ensemble.py", line 88, in load_model
    model = joblib.load(path)
KeyError: 118

\x1b[31m2026-03-01T10:00:00.5+01:00 - bot.trading_bot - [CRITICAL] - Model file not found: x/model.pkl\x1b[0m
2026-03-01 10:00:01 - root - Level 35 - checksum mismatch for model.pkl, falling back to untrained model
"""
_LINES = (
    *(line.partition(b" - ")[2].split(b" - ", 2)[-1] for line in BOT_LOG.splitlines() if b" - " in line),
    b"No such file or directory: './models_saved/ensemble_model.pkl'",
    b"Initializing dummy model for testing",
    b"v2.0.0 is loaded, no dummy model; falling back on a random RL agent would be retried",
)
LOG_WORDS = (
    b"2026-03-01 10:00:00,000 - a.b - ERROR - ", b" - INFO - ", b" - WARNING - ", b"load", b"loading ",
    b"loaded ", b"model ", b"RL agent ", b"ensemble", b"model.pkl", b"models_saved/ensemble_v2.0.0.pkl",
    b"v2.0.0", b"2_1_0", b"Error loading ", b"could not be ", b"failed to ", b"cannot ", b"not found",
    b"dummy model", b"using ", b"no ", b"checksum ", b"mismatch ", b"invalid load key", b"Ran out of input",
    b"retrying", b"Traceback", b'File "x", in load_model', b"' ", b'" ', b"/", b"\\", b".", b"-", b" ", b"a ",
    b"(", b")", b":", b"\t", b"\n", b"\r", b"\0", b"\x1b]0;x\x07", b"\xc2\x9b1m", b"\xe2\x80\xa8",
    b"\xe2\x80\xae", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xff",
)  # fmt: skip

LOGS = (
    Target("trade_log", trade_log, (TRADES, *TRADES.splitlines()), TRADE_WORDS),
    Target("bot_log", bot_log, (BOT_LOG, *BOT_LOG.splitlines()), LOG_WORDS),
    Target("load_line", load_line, _LINES, LOG_WORDS),
)
