"""Logs that lie, lag and leave things out, told with real numbers: what counts as a loss all the same, and what not."""

import math
import random

import pytest

from tests.triggers.story import START, Story
from triggers import DrawdownRule, DrawdownSettings, Equity, Exit

SECOND = 1 / 60


def account(initial: float = 2000.0, above: float = 0.25) -> Story:
    return Story(DrawdownRule(DrawdownSettings(above, initial)))


def drawdown(story: Story) -> float | None:
    return story.verdict.value


def kinds(story: Story) -> list[str]:
    return [kind for kind, _ in story.rule.notices()]


class TestReadingsThatSayNothing:
    def test_losses_count_though_every_reading_after_the_first_fails(self) -> None:
        story = account().reads(2000)
        for failed in (0.0, math.nan, 0.0):
            story.trades(-200, failed)
        assert drawdown(story) == pytest.approx(0.3)
        assert "no equity reading since 3 exits" in story.verdict.reason

    def test_losses_count_though_there_was_but_one_reading(self) -> None:
        story = account().reads(2000)
        for _ in range(15):
            story.enters().wait().exits(-40).wait()
        assert drawdown(story) == pytest.approx(0.3)

    def test_losses_count_though_some_position_is_always_open(self) -> None:
        story = account().enters(symbol="SOLUSDT").reads(2000)
        for _ in range(6):
            story.enters(symbol="ETHUSDT").wait().exits(-100, symbol="ETHUSDT")
        assert drawdown(story) == pytest.approx(0.3)

    def test_without_proof_that_the_account_is_the_traded_one_the_smaller_drawdown_counts(self) -> None:
        """3,000 lost beside an account of 50,000 that was read once: 6 %, and not 150 % of an old initial_equity."""
        story = account(initial=2000).reads(50_000)
        for _ in range(3):
            story.enters().wait().exits(-1000)
        assert drawdown(story) == pytest.approx(3000 / 50_000)

    def test_an_account_that_followed_and_stands_still_is_judged_from_where_it_stood(self) -> None:
        """A bot that logs its last known equity when it cannot ask: 5,000 of 50,000, and not of initial_equity."""
        story = account(initial=2000).reads(50_000).trades(-1000, 49_000)
        for _ in range(4):
            story.trades(-1000, 49_000)
        assert story.state == "ok"
        assert drawdown(story) == pytest.approx(0.1)
        assert (
            "do not move (paper account?): judged on realised P&L since they last did" in story.verdict.reason
        )
        story.trades(-1000, 44_000)
        assert "do not move" not in story.verdict.reason
        assert drawdown(story) == pytest.approx(0.12)
        assert kinds(story) == []

    def test_a_reading_a_hundred_times_too_large_is_a_failed_one_while_a_position_is_open(self) -> None:
        story = account().reads(2000).enters().wait().reads(2_000_000)
        assert "newest equity reading failed" in story.verdict.reason
        assert drawdown(story.reads(1990)) == pytest.approx(0.005)

    def test_while_flat_such_a_reading_is_a_deposit_and_its_end_a_withdrawal(self) -> None:
        story = account().reads(2000).trades(-100, 1900).reads(2_000_000).wait().reads(1900)
        assert drawdown(story) == pytest.approx(0.05)
        assert kinds(story) == ["deposit", "withdrawal"]


class TestImpossibleProfitAndLoss:
    @pytest.mark.parametrize("pnl", [math.nan, math.inf, -math.inf, -1e9, 1e9, -1e308, 1e308])
    def test_it_changes_nothing(self, pnl: float) -> None:
        assert drawdown(account().reads(2000).trades(pnl, 1990).trades(-10, 1980)) == pytest.approx(0.01)
        assert drawdown(account().trades(pnl, 0).trades(-10, 0)) == pytest.approx(0.005)
        assert drawdown(account().trades(pnl, 2000)) == pytest.approx(0.0)

    def test_a_loss_larger_than_the_account_is_not_believed_against_its_readings(self) -> None:
        story = account().reads(2000).trades(-14_300, 1985.7).wait().reads(1985.7).trades(-20, 1965.7)
        assert drawdown(story) == pytest.approx(34.3 / 2000)
        assert kinds(story) == []

    def test_one_loss_that_the_account_never_shows_was_none(self) -> None:
        """An exit price of 0 makes -900 of a trade that lost 2."""
        story = account().reads(2000).trades(-10, 1990).trades(-900, 1988)
        assert drawdown(story) == pytest.approx(0.006)
        for equity in (2018, 1978, 2008):
            story.trades(equity - (1988 if equity == 2018 else 2018 if equity == 1978 else 1978), equity)
        assert drawdown(story) == pytest.approx(10 / 2018)
        assert kinds(story) == []

    def test_profit_and_loss_that_is_told_twice_too_large_changes_nothing(self) -> None:
        story, equity = account().reads(2000), 2000
        for number in range(30):
            equity += 20 if number % 2 else -20
            story.trades(40 if number % 2 else -40, equity)
        assert drawdown(story) == pytest.approx(0.0)
        assert kinds(story) == []


class TestCosts:
    def test_slippage_beyond_what_an_exit_says_is_a_loss(self) -> None:
        story = account().reads(2000).trades(-20, 1945)
        assert drawdown(story) == pytest.approx(55 / 2000)
        assert kinds(story) == []

    def test_commission_on_a_leveraged_position_bleeds_an_account_and_is_a_loss(self) -> None:
        story, equity = account().reads(2000), 2000.0
        for _ in range(15):
            equity *= 0.975
            story.trades(+5, equity)
        assert drawdown(story) == pytest.approx(1 - 0.975**15)
        assert story.state == "firing"


class TestLag:
    @pytest.mark.parametrize("entries", [True, False])
    def test_readings_that_are_always_one_trade_late_are_followed(self, entries: bool) -> None:
        story, equity, shown = account().reads(2000), 2000, 2000
        for number in range(60):
            pnl = (-60, 80, -100, 20, -10, -50)[number % 6]
            if entries:
                story.enters()
            story.wait().exits(pnl).reads(shown)
            equity += pnl
            shown = equity
        assert drawdown(story) == pytest.approx(1 - 850 / 2020)  # -50 are still to come
        assert kinds(story) == []

    def test_a_withdrawal_half_a_minute_after_a_late_gain_is_no_loss(self) -> None:
        story = account().reads(2000).trades(-20, 1980).enters().wait().exits(+300).reads(1980)
        story.wait(0.5).reads(1480)
        assert drawdown(story) == pytest.approx(0.01)  # what was lost before the gain that was never seen
        assert kinds(story) == ["withdrawal"]

    def test_a_withdrawal_a_second_after_an_exit_is_no_loss(self) -> None:
        story = account().reads(2000).trades(-20, 1980).enters().wait().exits(-20).reads(1960).reads(1160)
        assert drawdown(story) == pytest.approx(0.02)

    def test_an_exit_that_is_logged_after_the_reading_that_shows_it_counts_once(self) -> None:
        story = account().reads(2000).trades(-10, 1990).enters().wait().reads(1690).exits(-300)
        assert drawdown(story) == pytest.approx(0.155)
        story.reads(1690).wait().reads(1690).trades(-17, 1673)
        assert drawdown(story) == pytest.approx(327 / 2000)

    def test_records_out_of_order_by_seconds_change_nothing(self) -> None:
        story = account().reads(2000).enters().wait()
        story.tell(Equity(story.now, 1700), Exit(story.now, -300, None, 1.0), Equity(START, 1700))
        assert drawdown(story) == pytest.approx(0.15)
        assert kinds(story) == []


class TestCashFlowsAmongTrades:
    def test_a_withdrawal_after_a_loss_that_was_seen_while_open_is_none_of_it(self) -> None:
        story = (
            account().reads(2000).trades(0, 2000).enters().wait().reads(1900).exits(-100).wait().reads(1100)
        )
        assert drawdown(story) == pytest.approx(0.05)
        assert "withdrawal of 800.00" in story.rule.notices()[0][1]

    def test_a_withdrawal_while_a_position_is_open_stays_a_loss_when_it_is_closed(self) -> None:
        story = account().reads(2000).enters().wait().reads(1200)
        assert drawdown(story) == pytest.approx(0.4)
        story.exits(+10).reads(1210).wait().reads(1210)
        assert drawdown(story) == pytest.approx(790 / 2000)
        assert kinds(story) == []

    def test_a_deposit_while_a_position_is_open_is_no_loss_when_it_is_closed(self) -> None:
        story = account().reads(2000).trades(-10, 1990).enters().wait().reads(2990).exits(-50)
        assert drawdown(story) == pytest.approx(0.0)
        story.reads(2940)
        assert drawdown(story) == pytest.approx(50 / 2990)

    def test_an_account_that_is_filled_up_after_every_loss_does_not_hide_them(self) -> None:
        story = account().reads(2000)
        for _ in range(5):
            story.trades(-200, 1800).reads(2000)
        assert drawdown(story) == pytest.approx(1 - 0.9**5)
        assert story.state == "firing"


class TestLostLines:
    def test_a_withdrawal_after_a_lost_exit_and_one_more_trade_is_no_loss(self) -> None:
        story = account().reads(2000).enters(1.3).wait().reads(1998)  # and its exit was half a line
        story.wait().enters(1.2).wait().exits(+2, size=1.2).reads(2000).wait().reads(1200)
        assert drawdown(story) == pytest.approx(0.0)
        assert kinds(story) == ["withdrawal"]

    def test_a_pyramid_that_is_closed_leg_by_leg_counts_once(self) -> None:
        story = account().reads(2000).trades(-10, 1990).enters().enters().wait().reads(1790)
        story.exits(-100).reads(1790).exits(-100).reads(1790)
        assert drawdown(story) == pytest.approx(210 / 2000)
        story.wait().reads(1790).trades(-18, 1772)
        assert drawdown(story) == pytest.approx(228 / 2000)
        assert kinds(story) == []

    def test_what_its_last_leg_loses_counts_when_it_is_closed(self) -> None:
        """The first exit has the size of the newest entry: it is taken for the end of the whole."""
        story = account().reads(2000).trades(-10, 1990).enters().enters().wait().exits(-50).reads(1940)
        story.wait().reads(1440)
        assert kinds(story) == ["withdrawal"]
        story.exits(-500)
        assert drawdown(story) == pytest.approx(560 / 2000)
        assert kinds(story) == ["explained"]


class TestLogWithoutEntries:
    def test_a_slow_loss_that_its_exit_tells_at_the_end_counts_once(self) -> None:
        story = account().reads(2000)
        for step in range(20):
            story.wait().reads(1985 - 15 * step)
        assert drawdown(story) == pytest.approx(0.15)
        story.exits(-300).reads(1700).wait().reads(1700).wait().reads(1700)
        assert drawdown(story) == pytest.approx(0.15)
        assert kinds(story) == []

    def test_a_loss_that_grew_until_the_exit_counts_whole(self) -> None:
        story = account().reads(2000).wait().reads(1400).wait().exits(-800).reads(1200)
        assert drawdown(story) == pytest.approx(0.4)

    def test_a_crash_that_two_exits_tell_in_parts_counts_once(self) -> None:
        story = account().reads(2000).wait().reads(1800).wait().reads(1500)
        story.exits(-250).reads(1500).exits(-250).reads(1500)
        assert drawdown(story) == pytest.approx(0.25)

    def test_an_exit_much_smaller_than_a_withdrawal_does_not_explain_it(self) -> None:
        story = account().reads(2000).wait().reads(1200).wait().exits(-12).reads(1188)
        assert drawdown(story) == pytest.approx(0.01)
        assert kinds(story) == ["withdrawal"]

    def test_a_withdrawal_between_two_trades_is_no_loss(self) -> None:
        story = account().reads(2000).exits(-100).reads(1900).wait().reads(1140).wait().exits(+10).reads(1150)
        assert drawdown(story) == pytest.approx(1 - 0.95 * 1150 / 1140)


class TestFirstReading:
    def test_the_peak_that_exits_before_it_reached_counts(self) -> None:
        story = account().exits(+300).exits(-400).reads(1900)
        assert drawdown(story) == pytest.approx(400 / 2300)

    def test_a_loss_before_it_counts_though_a_part_of_the_position_is_still_open(self) -> None:
        story = account().enters(2.0).wait().exits(-600, size=1.0).reads(1400)
        assert drawdown(story) == pytest.approx(0.3)


class TestPaperAccount:
    @pytest.mark.parametrize("balance", [500.0, 2000.0, 10_000.0])
    @pytest.mark.parametrize("pnl", [-3.0, -40.0, -300.0])
    @pytest.mark.parametrize("entries", [True, False])
    def test_realised_losses_count_whatever_its_balance(
        self, balance: float, pnl: float, entries: bool
    ) -> None:
        story = account().reads(balance)
        exits = int(900 / -pnl)
        for _ in range(exits):
            if entries:
                story.enters()
            story.wait().exits(pnl).reads(balance)
        assert story.state == "firing"
        assert drawdown(story) == pytest.approx(-pnl * exits / 2000)
        assert kinds(story) == []

    @pytest.mark.parametrize("entries", [True, False])
    @pytest.mark.parametrize("minutes", [SECOND, 30])
    def test_a_thousand_trades_up_and_down_prove_no_other(self, entries: bool, minutes: float) -> None:
        story, chance, pnl, best = account().reads(2000), random.Random(7), 0.0, 0.0
        for _ in range(1000):
            gain = round(chance.gauss(-0.1, 5), 2)
            pnl, best = pnl + gain, max(best, pnl + gain)
            if entries:
                story.enters()
            story.wait(minutes).exits(gain).reads(2000)
        assert "do not move" in story.verdict.reason
        assert drawdown(story) == pytest.approx((best - pnl) / (2000 + best))
        assert kinds(story) == []

    def test_of_a_bot_that_trades_every_second_too(self) -> None:
        story = account().reads(2000)
        for _ in range(20):
            story.enters().wait(SECOND).exits(-30).reads(2000)
        assert drawdown(story) == pytest.approx(0.3)

    @pytest.mark.parametrize("balance", [20.0, 100.0, 2000.0])
    def test_its_first_trades_show_no_more_than_was_lost(self, balance: float) -> None:
        story = account()
        for number in range(1, 6):
            story.trades(-10, balance)
            value = drawdown(story)
            assert value is not None
            assert value <= 10 * number / 2000 + 1e-9

    def test_that_is_filled_up_stays_one(self) -> None:
        story = account().reads(2000)
        for _ in range(10):
            story.trades(-40, 2000)
        story.wait().reads(10_000)
        assert drawdown(story) == pytest.approx(0.2)
        assert "do not move" in story.verdict.reason


def test_many_exits_without_a_reading_are_kept_in_a_sum() -> None:
    story = account().reads(2000)
    for _ in range(1000):
        story.enters().wait(SECOND).exits(-0.25)
    assert drawdown(story) == pytest.approx(0.125)
    assert len(str(story.rule.dump())) < 10_000
    assert drawdown(story.reads(1750)) == pytest.approx(0.125)
    assert kinds(story) == []
