import math
import statistics
from datetime import timedelta

import pytest

from tests.triggers.story import HOUR, MINUTE, START, Story
from triggers import Equity, Exit, Record, SharpeRule, SharpeSettings

SECOND = timedelta(seconds=1)


def rule(below: float = 1.0, hours: int = 24, min_trades: int = 10, initial: float = 2000.0) -> Story:
    return Story(SharpeRule(SharpeSettings(below, hours * HOUR, min_trades, initial)))


def at_end_of(story: Story, hours: float) -> Story:
    story.now = START + hours * HOUR
    return story


def test_the_formula_by_hand() -> None:
    """Three hours of 1 %, -0.5 % and 0 of 1,000: mean 0.00165, stdev 0.00756, times the root of 8,760: 20.42."""
    story = rule(hours=3, min_trades=2, initial=1000.0)
    story.tell(Exit(START + 0.5 * HOUR, +10.0), Exit(START + 1.5 * HOUR, -5.05))
    at_end_of(story, 3)
    assert story.verdict.value == pytest.approx(20.42, abs=5e-3)
    expected = statistics.mean([0.01, -0.005, 0]) / statistics.stdev([0.01, -0.005, 0]) * math.sqrt(8760)
    assert story.verdict.value == pytest.approx(expected)
    assert story.verdict.reason == "sharpe 20.42 over 3 h (2 trades) is not below 1"


def test_equity_of_an_hour_is_what_was_read_last_before_it() -> None:
    story = rule(hours=2, min_trades=2, initial=999.0)
    story.tell(Equity(START, 4000.0), Exit(START + 0.5 * HOUR, +40.0), Equity(START + 0.6 * HOUR, 5000.0))
    story.tell(Exit(START + 1.5 * HOUR, -50.0), Equity(START + 1.6 * HOUR, 4950.0))
    at_end_of(story, 2)
    returns = [0.01, -0.01]
    assert story.verdict.value == pytest.approx(0.0)
    story.tell(Exit(START + 1.7 * HOUR, -25.0))
    returns = [0.01, -0.015]
    expected = statistics.mean(returns) / statistics.stdev(returns) * math.sqrt(8760)
    assert story.verdict.value == pytest.approx(expected)


def test_before_the_first_reading_it_is_the_equity_at_the_start() -> None:
    story = rule(hours=2, min_trades=1, initial=999.0)
    story.tell(Exit(START + 0.5 * HOUR, -100.0), Equity(START + 0.5 * HOUR + SECOND, 900.0))
    at_end_of(story, 2)
    returns = [-0.1, 0.0]
    expected = statistics.mean(returns) / statistics.stdev(returns) * math.sqrt(8760)
    assert story.verdict.value == pytest.approx(expected)


def test_with_an_open_position_at_the_first_reading_that_reading_counts() -> None:
    story = rule(hours=2, min_trades=1).wait(90).enters().reads(500.0).exits(-5.0)
    at_end_of(story, 2)
    assert story.verdict.value == pytest.approx(-0.005 / statistics.stdev([0, 0.01]) * math.sqrt(8760))


def test_exactly_at_the_limit_it_does_not_fire() -> None:
    def with_limit(below: float) -> Story:
        story = rule(below=below, hours=2, min_trades=2)
        story.tell(Exit(START + 0.5 * HOUR, +30.0), Exit(START + 1.5 * HOUR, -20.0))
        return at_end_of(story, 2)

    value = with_limit(0.0).verdict.value
    assert value is not None
    assert with_limit(value).state == "ok"
    assert with_limit(math.nextafter(value, math.inf)).state == "firing"


def test_a_value_that_reads_like_the_limit_gets_more_digits() -> None:
    story = rule(below=20.42, hours=3, min_trades=2, initial=1000.0)
    story.tell(Exit(START + 0.5 * HOUR, +10.0), Exit(START + 1.5 * HOUR, -5.05))
    assert "sharpe 20.424075" in at_end_of(story, 3).verdict.reason


def test_an_hour_includes_its_end_and_not_its_beginning() -> None:
    story = rule(hours=2, min_trades=1)
    story.tell(Exit(START, -77.0), Exit(START + HOUR, +10.0))
    at_end_of(story, 2)
    value = story.verdict.value
    assert "(1 trade)" in story.verdict.reason
    lone = rule(hours=2, min_trades=1, initial=1923.0)
    lone.tell(Exit(START + 30 * MINUTE, +10.0))
    assert value == pytest.approx(at_end_of(lone, 2).verdict.value)


class TestNoData:
    def test_until_the_deployment_is_a_window_old(self) -> None:
        story = rule()
        for hour in range(23):
            story.tell(Exit(START + hour * HOUR + MINUTE, -10.0 - hour))
        story.now = START + 24 * HOUR - SECOND
        assert story.state == "no_data"
        assert story.verdict.reason == "the deployment is 24.0 h old, needs 24 h (limit 1)"
        story.now += SECOND
        assert story.state == "firing"

    def test_until_there_are_enough_trades_in_the_window(self) -> None:
        story = rule()
        for trade in range(9):
            story.tell(Exit(START + (trade + 1) * HOUR, -10.0 - trade))
        at_end_of(story, 24)
        assert story.verdict.reason == "9 trades in the last 24 h, needs 10 (limit 1)"
        story.tell(Exit(START + 23 * HOUR, 0.0))
        assert story.state == "firing"

    def test_when_the_trades_have_left_the_window(self) -> None:
        story = rule()
        for trade in range(12):
            story.tell(Exit(START + trade * MINUTE + MINUTE, -10.0 - trade))
        at_end_of(story, 24)
        assert story.state == "firing"
        story.now = START + 24 * HOUR + 5 * MINUTE
        assert story.state == "no_data"

    def test_without_a_deployment(self) -> None:
        verdict = SharpeRule(SharpeSettings()).evaluate(START)
        assert (verdict.state, verdict.reason) == ("no_data", "no deployment has begun (limit 1)")

    def test_when_the_clock_says_that_the_deployment_is_to_come(self) -> None:
        story = rule()
        story.now = START - 24 * HOUR
        assert "0.0 h old" in story.verdict.reason

    def test_when_realised_losses_have_eaten_all(self) -> None:
        story = rule(hours=2, min_trades=1)
        story.tell(Exit(START + 0.5 * HOUR, -2500.0), Exit(START + 1.5 * HOUR, -1.0))
        at_end_of(story, 2)
        assert story.state == "no_data"
        assert "not above 0" in story.verdict.reason


class TestZeroDeviation:
    def test_the_same_loss_every_hour_fires(self) -> None:
        story = rule(hours=4, min_trades=4)
        for hour in range(4):
            equity = 2000.0 * 0.9**hour
            story.tell(Exit(START + (hour + 0.5) * HOUR, -0.1 * equity))
        at_end_of(story, 4)
        assert story.state == "firing"
        assert story.verdict.value is None
        assert story.verdict.reason == "each of the last 4 hours lost the same 10 %: sharpe is far below 1"

    def test_the_same_gain_every_hour_is_no_data(self) -> None:
        story = rule(hours=4, min_trades=4)
        for hour in range(4):
            story.tell(Exit(START + (hour + 0.5) * HOUR, 0.1 * 2000.0 * 1.1**hour))
        assert at_end_of(story, 4).state == "no_data"

    def test_exits_of_nothing_are_no_data(self) -> None:
        story = rule(hours=4, min_trades=4)
        for hour in range(4):
            story.tell(Exit(START + (hour + 0.5) * HOUR, 0.0))
        assert at_end_of(story, 4).state == "no_data"
        assert "all the same" in story.verdict.reason


class TestAwkwardRecords:
    def fed(self, *extra: Exit | Equity) -> float | None:
        story = rule(hours=3, min_trades=2, initial=1000.0)
        story.tell(Exit(START + 0.5 * HOUR, +10.0), Exit(START + 1.5 * HOUR, -5.05), *extra)
        return at_end_of(story, 3).verdict.value

    def test_an_impossible_pnl_counts_for_nothing(self) -> None:
        for pnl in (math.nan, math.inf, -math.inf, -1e300):
            assert self.fed(Exit(START + HOUR, pnl)) == self.fed()

    def test_failed_readings_count_for_nothing(self) -> None:
        for equity in (0.0, math.nan, -1.0):
            assert self.fed(Equity(START + HOUR, equity)) == self.fed()

    def test_a_record_a_little_ahead_of_the_clock_is_of_the_newest_hour(self) -> None:
        ahead = self.fed(Exit(START + 3 * HOUR + 4 * MINUTE, -3.0))
        assert ahead == pytest.approx(self.fed(Exit(START + 3 * HOUR - MINUTE, -3.0)))

    def test_one_far_ahead_is_not_counted_until_its_time_has_come(self) -> None:
        assert self.fed(Exit(START + 9 * HOUR, -300.0)) == pytest.approx(self.fed())

    def test_records_out_of_order_by_seconds_are_put_in_order(self) -> None:
        forward, backward = rule(hours=2, min_trades=2), rule(hours=2, min_trades=2)
        records: list[Record] = [
            Equity(START + 0.5 * HOUR, 2000.0),
            Exit(START + 0.5 * HOUR + SECOND, -20.0),
            Equity(START + 0.5 * HOUR + 2 * SECOND, 1980.0),
            Exit(START + 1.5 * HOUR, +5.0),
        ]
        forward.tell(*records)
        backward.tell(records[0], records[2], records[1], records[3])
        assert at_end_of(forward, 2).verdict.value == pytest.approx(at_end_of(backward, 2).verdict.value)

    def test_a_deposit_is_no_return(self) -> None:
        story = rule(hours=2, min_trades=2)
        story.tell(Exit(START + 0.5 * HOUR, +10.0), Equity(START + 0.9 * HOUR, 20_000.0))
        story.tell(Exit(START + 1.5 * HOUR, -10.0))
        value = at_end_of(story, 2).verdict.value
        assert value is not None
        assert abs(value) < 150  # +10 of 20,000 and -10 of 20,000, and not a return of 1,000 %
        assert story.rule.notices() == []

    def test_a_paper_account_is_judged_on_realised_pnl(self) -> None:
        paper, realised = rule(hours=4, min_trades=4), rule(hours=4, min_trades=4)
        for hour, pnl in enumerate((-20.0, -10.0, +5.0, -30.0)):
            moment = START + (hour + 0.5) * HOUR
            paper.tell(
                Equity(moment, 10_000.0), Exit(moment + SECOND, pnl), Equity(moment + 2 * SECOND, 10_000.0)
            )
            realised.tell(Exit(moment + SECOND, pnl))
        at_end_of(paper, 4)
        assert paper.verdict.value == pytest.approx(at_end_of(realised, 4).verdict.value)
        assert "paper account?" in paper.verdict.reason

    def test_a_clock_put_a_day_forward_and_back_costs_no_data(self) -> None:
        story = rule()
        for hour in range(24):
            story.tell(Exit(START + hour * HOUR + MINUTE, -10.0 - hour))
        before = at_end_of(story, 24).verdict
        assert at_end_of(story, 48).state == "no_data"
        assert at_end_of(story, 24).verdict == before

    def test_its_state_stays_small_over_months(self) -> None:
        story = rule(hours=2, min_trades=2)
        for hour in range(2000):
            story.now = START + hour * HOUR
            story.exits(-1.0).reads(100_000.0 - hour)
            assert story.verdict
        assert len(str(story.rule.dump())) < 3000


@pytest.mark.parametrize("hours", [0.0, 1.0, 2.5, -24.0])
def test_a_window_that_cannot_be_is_refused(hours: float) -> None:
    with pytest.raises(ValueError, match=r"sharpe\.window is"):
        SharpeSettings(window=hours * HOUR)


def test_other_settings_name_field_and_value() -> None:
    with pytest.raises(ValueError, match=r"sharpe\.min_trades is 0"):
        SharpeSettings(min_trades=0)
    with pytest.raises(ValueError, match=r"sharpe\.below is nan"):
        SharpeSettings(below=math.nan)
    with pytest.raises(ValueError, match="initial_equity is 0"):
        SharpeSettings(initial_equity=0)


def test_a_state_of_another_initial_equity_does_not_fit() -> None:
    with pytest.raises(ValueError, match="initial_equity of 1000"):
        rule().rule.restore(rule(initial=1000).rule.dump())
