"""The checklist after a restart: what is ok, what has not been seen yet, what is bad."""

from datetime import UTC, datetime

import pytest

from config import Settings
from tests.watchdog.house import settings_in
from triggers import Entry, Equity, Exit, LogLine
from watchdog.checklist import Before, Look, Seen, as_list, in_short, left_open, unusual
from watchdog.proof import Names

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
TARGET = Names("v2.0.0", frozenset({"ensemble_v2.0.0.pkl"}))
OTHER = Names("v2.1.0", frozenset({"ensemble_v2.1.0.pkl"}))


@pytest.fixture
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    settings: Settings = settings_in(tmp_path_factory.mktemp("bot"))
    return Seen(settings, TARGET, [OTHER])


def say(seen: Seen, message: str, level: str = "INFO", times: int = 1) -> None:
    for _ in range(times):
        seen.line(LogLine(AT, level, "bot", message))


def test_a_bot_that_has_written_nothing_is_not_yet_anything(seen: Seen) -> None:
    looks = [seen.version(AT), seen.predicts(), seen.risk(), seen.no_errors(None, 1.0), seen.trades()]
    assert {look.state for look in looks} == {"not yet"}


def test_the_last_load_counts(seen: Seen) -> None:
    say(seen, "Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl")
    assert seen.version(AT).state == "ok"
    assert seen.wrong is None
    say(seen, "Loading ensemble model from ./models_saved/ensemble_v2.1.0.pkl")
    assert seen.version(AT).state == "bad"
    assert "names v2.1.0 in its last load, not v2.0.0" in str(seen.wrong)
    say(seen, "Reloading ensemble model from ./models_saved/ensemble_v2.0.0.pkl")
    assert (seen.version(AT).state, seen.wrong) == ("ok", None)


def test_speaking_of_another_version_is_no_load(seen: Seen) -> None:
    say(seen, "Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl")
    say(seen, "v2.1.0 was rolled back yesterday")
    assert seen.wrong is None


def test_a_load_error_is_bad_and_named(seen: Seen) -> None:
    say(seen, "Error loading model: invalid load key. Using dummy model.", "ERROR")
    look = seen.version(AT)
    assert (look.state, look.short) == ("bad", "load error")
    assert "Using dummy model" in look.text


def test_predictions_are_counted_and_entries_stand_in_for_them(seen: Seen) -> None:
    seen.trade(Entry(AT))
    assert seen.predicts().text == "1 were traded on; its log names none"
    say(seen, "Prediction: 1", times=3)
    look = seen.predicts()
    assert (look.state, look.short) == ("ok", "predictions 3")
    assert "the last at 10:00:00 UTC" in look.text


def test_risk_checks_are_ok_once_it_logs_and_none_failed(seen: Seen) -> None:
    say(seen, "bar closed")
    assert (seen.risk().state, seen.risk().text) == ("ok", "none failed in 1 line of its log")
    say(seen, "Risk check failed: exposure", "WARNING", times=2)
    assert (seen.risk().state, seen.risk().text) == ("bad", "2 failed; the last: Risk check failed: exposure")


def test_errors_are_compared_with_those_of_before(seen: Seen) -> None:
    say(seen, "no connection", "ERROR", times=8)
    assert seen.no_errors(Before(6, 1.0), 1.0).state == "ok"
    assert seen.no_errors(Before(0, 1.0), 1.0).state == "bad"
    look = seen.no_errors(None, 0.5)
    assert look.state == "bad"
    assert look.text == "8 in 0.5 h, how many it logged before is not known; the last: no connection"


@pytest.mark.parametrize(
    ("count", "usual", "much"),
    [
        (0, 0, False),
        (2, 0, False),
        (3, 0, True),
        (4, 1, False),
        (5, 1, True),
        (130, 100, False),
        (131, 100, True),
    ],
)
def test_more_errors_than_chance_makes_of_the_usual(count: int, usual: float, much: bool) -> None:
    assert unusual(count, usual) is much


def test_trades_or_equity_points_show_that_it_goes_on(seen: Seen) -> None:
    seen.trade(Equity(AT, 2000.0))
    assert (seen.trades().state, seen.trades().short) == ("ok", "trades 0")
    seen.trade(Exit(AT, 1.0))
    assert seen.trades().text == "0 entries, 1 exits, 1 equity points"


def test_what_is_quoted_is_one_short_line(seen: Seen) -> None:
    say(seen, "x" * 1000 + "\nTraceback", "ERROR", times=3)
    assert len(seen.last_error) == 160


def test_in_a_sentence_as_a_list_and_what_is_left_to_people() -> None:
    looks = [
        Look("process", "ok", "not restarted", "pid 7, not restarted").as_dict(),
        Look("predictions", "not yet", "predictions 0", "none was seen").as_dict(),
        Look("errors", "bad", "errors 9", "9 in 1 h").as_dict(),
    ]
    assert in_short(looks) == "not restarted, predictions 0, errors 9"
    assert as_list(looks) == [
        "- [x] Process: pid 7, not restarted",
        "- [ ] Predictions (not yet): none was seen",
        "- [ ] Errors (bad): 9 in 1 h",
    ]
    assert left_open(looks) == "predictions: none was seen; errors: 9 in 1 h"
    assert left_open(looks[:1]) is None
