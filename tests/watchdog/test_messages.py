"""The words that people read at 3 a.m.: what happened, with value and limit, and what is asked of them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.fakes import START
from tests.watchdog.house import settings_in
from triggers import Verdict
from watchdog import messages
from watchdog.bots.base import Stopped
from watchdog.decide import Decision
from watchdog.incident import Incident


def incident(**changes: Any) -> Incident:
    found = Incident(
        7, "rollback", "start_bot", "drawdown 26.1 % is above 25 %", "rule drawdown", True, START, "v2.1.0"
    )
    found.target = "v2.0.0"
    for name, value in changes.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0.4 s"),
        (45, "45 s"),
        (59.9, "59.9 s"),
        (60, "1 min"),
        (720, "12 min"),
        (3600, "1 h"),
        (12_600, "3.5 h"),
        (86_400, "24 h"),
        (172_800, "2 d"),
        (604_800, "7 d"),
    ],
)
def test_durations_are_written_as_people_write_them(seconds: float, text: str) -> None:
    assert messages.span(timedelta(seconds=seconds)) == text


def test_times_are_in_utc_and_read_back() -> None:
    assert messages.clock_time(START) == "10:00:00 UTC"
    assert messages.parse_time(START.isoformat()) == START


def test_a_rollback_says_what_why_when_and_who() -> None:
    text = messages.rolling_back(incident(), START)
    assert text.splitlines() == [
        "rolling back v2.1.0 to v2.0.0 (incident 7)",
        "Why: drawdown 26.1 % is above 25 %",
        "Began 10:00:00 UTC, by itself. Nothing is asked of you yet; every step is told here.",
    ]
    assert "ordered by alice" in messages.rolling_back(incident(automatic=False, by="alice"), START)


@pytest.mark.parametrize(
    ("stopped", "text"),
    [
        (Stopped((), "was not running", 0.0, None), "Bot was not running"),
        (Stopped((1, 2), "SIGTERM", 1.25, None), "Bot stopped with SIGTERM in 1.2 s (pid 1, 2)"),
        (
            Stopped((1,), "SIGKILL", 30.0, "cron (pid 5)"),
            "Bot stopped with SIGKILL in 30.0 s (pid 1): it did not end by itself in time and was killed. "
            "It was brought back once by cron (pid 5) and stopped again",
        ),
    ],
)
def test_how_the_bot_was_stopped(stopped: Stopped, text: str) -> None:
    assert messages.stopped(stopped) == text


@pytest.mark.parametrize(
    ("code", "tail", "text"),
    [
        (None, [], ""),
        (0, [], " (exit code 0)"),
        (1, ["a", " ", "b "], " (exit code 1; its last words: a / b)"),
        (-9, [], " (killed by signal 9)"),
        (None, ["x" * 300], f" (its last words: {'x' * 200})"),
    ],
)
def test_how_a_bot_ended_by_itself(code: int | None, tail: list[str], text: str) -> None:
    assert messages.how_it_ended(code, tail) == text


def test_the_playbooks_words_are_there() -> None:
    assert "Bot restarted on v2.0.0" in messages.restarted(
        incident(), "its log says: x", timedelta(minutes=30), START
    )
    assert "No previous version found" in messages.no_target("v2.1.0")
    assert "checksum 0123abcd... valid" in messages.switched(incident(), "0123abcd" * 8)


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (Verdict("sharpe", "ok", 1.843, 1.0, ""), "sharpe 1.84"),
        (Verdict("sharpe", "ok", 0.0, 1.0, ""), "sharpe 0.00"),
        (Verdict("sharpe", "no_data", None, 1.0, ""), None),
        (Verdict("drawdown", "ok", 0.0312, 0.25, ""), "drawdown 3.1 %"),
        (Verdict("loss_streak", "ok", 1.0, 10.0, ""), "1 loss in a row"),
        (Verdict("loss_streak", "ok", 0.0, 10.0, ""), "0 losses in a row"),
        (Verdict("checksum", "ok", None, None, ""), None),
        (Verdict("checksum", "pending", None, None, ""), "checksum pending"),
        (Verdict("load_error", "firing", None, None, ""), "load_error firing"),
    ],
)
def test_a_verdict_in_short(verdict: Verdict, text: str | None) -> None:
    assert messages.in_short(verdict) == text


@pytest.mark.parametrize(
    ("would", "part"),
    [
        ("rollback", "Nothing was done: paused. It would have rolled back v2.1.0."),
        ("halt", "Nothing was done: paused. It would have halted the bot."),
        (None, "Nothing was done: paused."),
    ],
)
def test_what_was_not_done_and_why(would: Any, part: str) -> None:
    verdict = Verdict("drawdown", "firing", 0.3, 0.25, "drawdown 30 % is above 25 %")
    text = messages.not_acted(verdict, Decision("alert", (verdict,), "paused", would), "v2.1.0")
    assert text == f"drawdown 30 % is above 25 % (v2.1.0)\n{part}"


def test_orders_on_the_exchange_are_never_said_to_be_none(tmp_path: Path) -> None:
    exchange = {"kind": "binance_usdm", "api_key": "k" * 64, "api_secret": "s" * 64, "symbols": ["SOLUSDT"]}
    for settings in (settings_in(tmp_path), settings_in(tmp_path, {"exchange": exchange})):
        text = messages.unseen_orders(settings)
        assert "were not looked at: please look yourself" in text
    assert "(SOLUSDT)" in text


def test_every_trouble_says_what_is_asked() -> None:
    assert "Nothing was touched" in messages.order_refused(incident(by="alice"), "it is current already")
    assert "needs you" in messages.stuck(incident(), "a process is left")
    assert "further back" in messages.one_older(incident(), "it cannot be loaded")
    assert "Register and promote" in messages.no_target_ahead("v2.1.0")
    assert "If you did not promote it" in messages.outlived(incident(), "v2.2.0")
    assert "stays stopped" in messages.halting(incident(plan="halt"))
    assert "before it had proved what it loaded" in messages.ended(1, [])


def test_the_summary_asks_for_what_is_left_to_do() -> None:
    good = messages.summary(incident(outcome="rolled_back"), START + timedelta(minutes=31), "report: /x")
    assert good.splitlines()[0] == "incident 7 is closed: v2.0.0 has run without a rule firing"
    assert "lasted 31 min" in good
    halted = messages.summary(incident(outcome="halted"), START, "report: /x")
    assert "model-watchdog resume" in halted
    assert halted.splitlines()[-1] == "Report: /x"


def test_a_headline_is_one_line() -> None:
    assert messages.step(incident(), "Bot stopped", "Look at the orders.") == (
        "Bot stopped (incident 7)\nLook at the orders."
    )
