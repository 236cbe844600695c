from datetime import timedelta

import pytest

from tests.triggers.story import MINUTE, START
from triggers import (
    BotExited,
    BotStarted,
    Entry,
    GaveUp,
    LoadErrorRule,
    LoadErrorSettings,
    LogLine,
    Record,
    Verdict,
)

SECOND = timedelta(seconds=1)

LOADS = "Loading ensemble model from ./models_saved/ensemble_v2.1.0.pkl"
LOADED = "Ensemble model loaded successfully"
FAILS = "Error loading model: invalid load key, '\\x00'.. Using dummy model."


def line(message: str, level: str = "INFO", second: float = 1) -> LogLine:
    return LogLine(START + second * SECOND, level, "models.ensemble", message)


def started(second: float = 0) -> BotStarted:
    return BotStarted(START + second * SECOND)


def exited(code: int | None, second: float = 2) -> BotExited:
    return BotExited(START + second * SECOND, code)


def rule(*records: Record, patterns: list[str] | None = None) -> LoadErrorRule:
    one = LoadErrorRule(LoadErrorSettings(patterns))
    one.reset(START)
    for record in records:
        one.observe(record)
    return one


def judged(*records: Record, patterns: list[str] | None = None) -> Verdict:
    return rule(*records, patterns=patterns).evaluate(START + MINUTE)


class TestLog:
    def test_a_silent_log_is_no_data(self) -> None:
        assert judged(started()).state == "no_data"

    def test_a_good_start_is_ok(self) -> None:
        assert judged(started(), line(LOADS), line(LOADED)).state == "ok"

    def test_a_load_under_way_is_ok(self) -> None:
        verdict = judged(started(), line(LOADS))
        assert (verdict.state, verdict.reason) == ("ok", "the model is being loaded, no load error yet")

    def test_an_error_fires_and_is_quoted(self) -> None:
        verdict = judged(started(), line(LOADS), line(FAILS, "ERROR"))
        assert verdict.state == "firing"
        assert verdict.reason == f"the bot's log says: ERROR {FAILS}"
        assert (verdict.value, verdict.limit) == (None, None)

    def test_it_stays_one_when_another_model_loads_well(self) -> None:
        assert judged(line(FAILS, "ERROR"), line("RL agent loaded successfully", second=2)).state == "firing"

    def test_the_first_error_is_the_one_that_is_told(self) -> None:
        verdict = judged(line(FAILS, "ERROR"), line("Error loading RL agent: bad magic number", "ERROR", 2))
        assert "invalid load key" in verdict.reason

    def test_the_same_words_at_info_fire_only_for_a_dummy(self) -> None:
        assert judged(line("Error loading model: file is busy")).state == "no_data"
        assert judged(line("Using dummy model")).state == "firing"

    @pytest.mark.parametrize("level", ["WARNING", "WARN", "ERROR", "CRITICAL", "FATAL", "error"])
    def test_every_loud_level_counts(self, level: str) -> None:
        assert judged(line("Could not load the ensemble model", level)).state == "firing"

    def test_the_line_of_a_traceback_that_tells_it_is_quoted(self) -> None:
        message = "Start failed\nTraceback (most recent call last):\n_pickle.UnpicklingError: invalid load key, 'x'."
        assert judged(line(message, "ERROR")).reason.endswith(
            "ERROR _pickle.UnpicklingError: invalid load key, 'x'."
        )

    def test_a_damaged_cache_is_no_model(self) -> None:
        message = (
            "Price cache unreadable\nTraceback (most recent call last):\nEOFError: invalid load key, 'x'."
        )
        assert judged(line(message, "WARNING")).state == "no_data"

    def test_a_long_line_is_cut(self) -> None:
        verdict = judged(line("Error loading model: " + "x" * 900, "ERROR"))
        assert verdict.reason.endswith("xxx…")
        assert len(verdict.reason) < 240

    def test_an_empty_message_is_nothing(self) -> None:
        assert judged(line("", "ERROR"), line("\n\n", "ERROR")).state == "no_data"

    def test_lines_of_hostile_length_and_content_cost_little_time(self) -> None:
        for words in (
            "model checksum ",
            "checksum ",
            "loading ",
            "error loading a ",
            "dummy model no ",
            "a/",
            "\nmodel",
        ):
            assert judged(line((words * 20_000)[:16_000] + "model", "ERROR"))


class TestOwnPatterns:
    def test_they_replace_ours(self) -> None:
        assert judged(line(FAILS, "ERROR"), patterns=["kaputt"]).state == "no_data"
        assert judged(line("Using dummy model"), patterns=["kaputt"]).state == "no_data"

    def test_they_are_searched_at_every_level_and_whatever_the_case(self) -> None:
        verdict = judged(
            line("Policy net: fallback to RANDOM weights", "DEBUG"), patterns=["random weights", "x"]
        )
        assert verdict.reason == "the bot's log says: DEBUG Policy net: fallback to RANDOM weights"

    def test_loading_is_followed_all_the_same(self) -> None:
        assert judged(line(LOADS), line(LOADED), patterns=["kaputt"]).state == "ok"

    def test_one_that_is_no_expression_is_refused_by_name(self) -> None:
        with pytest.raises(ValueError, match=r"load_error\.patterns: '\(' is no regular expression"):
            LoadErrorSettings(["ok", "("])


class TestNewStart:
    def test_it_clears_an_older_error(self) -> None:
        assert judged(line(FAILS, "ERROR", 1), started(10)).state == "no_data"

    def test_it_clears_no_newer_error(self) -> None:
        assert judged(line(FAILS, "ERROR", 10), started(5)).state == "firing"

    def test_an_error_in_the_second_of_the_start_counts(self) -> None:
        assert judged(started(10), line(FAILS, "ERROR", 9.2)).state == "firing"
        assert judged(line(FAILS, "ERROR", 9.2), started(10)).state == "firing"

    def test_a_late_line_of_the_process_before_does_not_count(self) -> None:
        one = rule(started(10), line(FAILS, "ERROR", 5), line(LOADS, second=5))
        assert one.evaluate(START).state == "no_data"
        assert not one.loading

    def test_a_start_that_is_told_late_clears_nothing(self) -> None:
        assert judged(started(10), line(FAILS, "ERROR", 12), started(3)).state == "firing"

    def test_what_was_loaded_before_is_not_loaded_now(self) -> None:
        one = rule(started(0), line(LOADS, second=1), line(LOADED, second=2))
        assert one.loaded
        one.observe(started(60))
        assert one.evaluate(START + 2 * MINUTE).state == "no_data"
        assert one.loaded  # in this deployment


class TestBotThatExits:
    @pytest.mark.parametrize(
        ("code", "how"),
        [(1, " (exit code 1)"), (0, " (exit code 0)"), (-9, " (killed by signal 9)")],
    )
    def test_in_the_midst_of_loading_fires(self, code: int, how: str) -> None:
        verdict = judged(started(), line(LOADS), exited(code))
        assert verdict.state == "firing"
        assert verdict.reason == f"the bot exited{how} while it was loading its model"

    def test_long_after_it_told_last_of_loading_does_not(self) -> None:
        """Some bots never say that a load has ended."""
        assert judged(started(), line(LOADS), exited(1, second=599)).state == "firing"
        assert judged(started(), line(LOADS), exited(1, second=602)).state == "ok"

    def test_after_it_has_traded_does_not(self) -> None:
        traded: list[Record] = [started(), line(LOADS), Entry(START + 5 * SECOND)]
        assert judged(*traded, exited(1, second=6)).state != "firing"
        assert judged(*traded, GaveUp(START + MINUTE, 3, 10.0)).state != "firing"

    def test_trades_from_before_it_loaded_prove_nothing(self) -> None:
        records: list[Record] = [
            started(),
            line(LOADS, second=5),
            Entry(START + 4 * SECOND),
            exited(1, second=6),
        ]
        assert judged(*records).state == "firing"

    @pytest.mark.parametrize("code", [-15, -2, -1, 143, 130, 129, None])
    def test_because_it_was_told_to_or_nobody_knows_why_does_not(self, code: int | None) -> None:
        assert judged(started(), line(LOADS), exited(code)).state == "ok"

    def test_after_it_has_loaded_does_not(self) -> None:
        assert judged(started(), line(LOADS), line(LOADED), exited(1)).state == "ok"

    def test_while_it_loads_its_second_model_fires(self) -> None:
        second = line("Loading RL agent from ./models_saved/rl_agent_v2.1.0.zip")
        assert judged(started(), line(LOADS), line(LOADED), second, exited(-11)).state == "firing"

    def test_after_a_headline_fires(self) -> None:
        assert judged(started(), line("Loading ML models..."), exited(1)).state == "firing"

    def test_without_a_word_of_loading_proves_nothing(self) -> None:
        assert (
            judged(started(), line("Cannot connect to the exchange", "ERROR"), exited(1)).state == "no_data"
        )

    def test_before_its_last_lines_were_read_fires_when_they_are(self) -> None:
        one = rule(started(), exited(1, second=5))
        assert one.evaluate(START + 6 * SECOND).state == "no_data"
        one.observe(line(LOADS, second=3))
        assert one.evaluate(START + 7 * SECOND).state == "firing"

    def test_and_comes_back_gets_another_chance(self) -> None:
        one = rule(started(), line(LOADS), exited(1, second=2), started(10))
        assert one.evaluate(START + MINUTE).state == "no_data"
        one.observe(line(LOADS, second=11))
        assert one.evaluate(START + MINUTE).state == "ok"


class TestGivenUp:
    def test_a_bot_that_never_loaded_fires(self) -> None:
        verdict = judged(started(), exited(1), GaveUp(START + MINUTE, 3, 10.0))
        assert verdict.state == "firing"
        assert verdict.reason == "the bot exited 4 times in 10 min before it had loaded its model"

    def test_so_it_stays_when_the_bot_starts_once_more(self) -> None:
        assert judged(GaveUp(START, 3, 10.0), started(60)).state == "firing"

    def test_a_bot_that_had_loaded_its_model_in_this_deployment_does_not(self) -> None:
        assert judged(line(LOADED), started(60), GaveUp(START + 2 * MINUTE, 3, 10.0)).state == "no_data"


def test_a_new_deployment_forgets_everything() -> None:
    one = rule(started(), line(LOADED), line(FAILS, "ERROR"), GaveUp(START, 3, 10.0))
    one.reset(START + MINUTE)
    assert one.evaluate(START + MINUTE).state == "no_data"
    assert not one.loaded
