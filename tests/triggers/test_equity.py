"""What counts as a loss: the cases where money hangs on it, with real numbers."""

import math
from typing import Any

import pytest

from tests.triggers.story import Story
from triggers import DrawdownRule, DrawdownSettings


def account(initial: float = 2000.0, above: float = 0.25) -> Story:
    return Story(DrawdownRule(DrawdownSettings(above, initial)))


def drawdown(story: Story) -> float | None:
    return story.verdict.value


def kinds(story: Story) -> list[str]:
    return [kind for kind, _ in story.rule.notices()]


class TestOrdinaryTrading:
    def test_without_any_record_there_is_no_data(self) -> None:
        assert account().state == "no_data"

    def test_losses_add_up_from_the_start_of_the_deployment(self) -> None:
        story = account().reads(2000).trades(-300, 1700).trades(-221.8, 1478.2)
        assert story.state == "firing"
        assert story.verdict.value == pytest.approx(0.2609)
        assert story.verdict.reason == "drawdown 26.1 % is above 25 %: equity fell from 2,000.00 to 1,478.20"

    def test_a_gain_raises_the_peak(self) -> None:
        story = account().reads(2000).trades(+400, 2400).trades(-600, 1800)
        assert drawdown(story) == pytest.approx(0.25)
        assert story.state == "ok"

    def test_exactly_at_the_limit_it_does_not_fire_and_a_cent_further_it_does(self) -> None:
        story = account().reads(2000).trades(-500, 1500)
        assert story.state == "ok"
        story.trades(-0.01, 1499.99)
        assert story.state == "firing"
        assert "25.0005 % is above 25 %" in story.verdict.reason

    def test_without_readings_realised_pnl_and_initial_equity_count(self) -> None:
        story = account().exits(+500).exits(-700)
        assert drawdown(story) == pytest.approx(700 / 2500)
        assert story.state == "firing"

    def test_losing_more_than_everything_is_more_than_the_whole(self) -> None:
        assert drawdown(account().exits(-2500)) == pytest.approx(1.25)

    def test_fees_that_no_exit_tells_count_as_a_loss(self) -> None:
        story = account().reads(2000)
        for trade in range(40):
            story.trades(0, 2000 * 0.994 ** (trade + 1))
        assert drawdown(story) == pytest.approx(1 - 0.994**40)
        assert kinds(story) == []

    def test_funding_while_flat_counts_as_a_loss(self) -> None:
        story = account().reads(2000)
        for hour in range(20):
            story.wait(60).reads(2000 - 15 * (hour + 1))
        assert drawdown(story) == pytest.approx(0.15)

    def test_initial_equity_means_nothing_where_readings_exist(self) -> None:
        story = account(initial=2000).reads(10_000).trades(-1000, 9000)
        assert drawdown(story) == pytest.approx(0.1)


class TestOpenPosition:
    def test_an_unrealised_loss_counts(self) -> None:
        story = account().reads(2000).enters().wait().reads(1400)
        assert drawdown(story) == pytest.approx(0.3)
        assert story.state == "firing"

    def test_a_drop_that_may_well_be_a_withdrawal_counts_as_a_loss(self) -> None:
        story = account().reads(2000).enters().wait().reads(1990).wait().reads(990)
        assert drawdown(story) == pytest.approx(1010 / 2000)
        assert kinds(story) == []

    def test_an_unrealised_gain_that_is_lost_again_counts(self) -> None:
        story = account().reads(2000).enters().wait().reads(2600).wait().exits(-10).reads(1990)
        assert drawdown(story) == pytest.approx(610 / 2600)

    def test_a_loss_that_recovers_before_the_exit_is_gone(self) -> None:
        story = account().reads(2000).enters().wait().reads(1400).wait().exits(-10).reads(1990)
        assert drawdown(story) == pytest.approx(0.005)
        assert kinds(story) == []

    def test_the_second_symbol_keeps_the_account_exposed(self) -> None:
        story = account().reads(2000).enters(symbol="SOLUSDT").enters(symbol="ETHUSDT").wait()
        story.exits(-20, symbol="SOLUSDT").reads(1980).wait().reads(1400)
        assert drawdown(story) == pytest.approx(0.3)

    def test_half_a_position_is_a_position(self) -> None:
        story = account().reads(2000).enters(2.0).wait().exits(+5, size=1.2).reads(2005).wait().reads(1400)
        assert drawdown(story) == pytest.approx(605 / 2005)

    def test_a_liquidation_without_an_exit_line_counts(self) -> None:
        story = account().reads(2000).enters().wait().reads(1100).wait().reads(1100)
        assert drawdown(story) == pytest.approx(0.45)


class TestFailedReadings:
    @pytest.mark.parametrize("failed", [0.0, -0.0, -5.0, math.nan, math.inf, -math.inf, 1e300, 5e-324])
    def test_a_failed_reading_is_no_loss(self, failed: float) -> None:
        story = account().reads(2000).trades(-100, 1900).reads(failed)
        assert story.state == "ok"
        assert drawdown(story) == pytest.approx(0.05)
        assert "newest equity reading failed" in story.verdict.reason
        story.wait().reads(1900)
        assert "failed" not in story.verdict.reason

    def test_only_failed_readings_are_no_data(self) -> None:
        story = account().reads(0).reads(math.nan)
        assert story.state == "no_data"
        assert "failed" in story.verdict.reason

    def test_failed_readings_leave_realised_pnl_to_judge(self) -> None:
        story = account().reads(0).exits(-600).reads(0)
        assert drawdown(story) == pytest.approx(0.3)

    def test_a_network_fault_in_an_open_position_and_after_it_changes_nothing(self) -> None:
        story = account().reads(2000).enters().wait().reads(0).exits(-40).reads(0).wait().reads(1960)
        assert drawdown(story) == pytest.approx(0.02)
        assert kinds(story) == []

    @pytest.mark.parametrize("pnl", [math.nan, math.inf, -math.inf, -1e300])
    def test_an_impossible_pnl_is_no_loss(self, pnl: float) -> None:
        assert account().exits(pnl).state == "no_data"
        assert drawdown(account().exits(-100).exits(pnl)) == pytest.approx(0.05)

    def test_an_exit_of_unknown_pnl_closes_the_position_and_explains_its_own_drop(self) -> None:
        story = account().reads(2000).enters().wait().exits(math.nan).reads(1400)
        assert drawdown(story) == pytest.approx(0.3)
        story.wait().reads(700)
        assert drawdown(story) == pytest.approx(0.3)
        assert kinds(story) == ["withdrawal"]


class TestReadingsThatCease:
    def test_losses_count_all_the_same_once_three_exits_were_not_followed_by_one(self) -> None:
        story = account().reads(2000).trades(-10, 1990)
        for pnl in (-200, -200):
            story.enters().wait().exits(pnl).reads(0)
        assert drawdown(story) == pytest.approx(0.005)
        story.enters().wait().exits(-200).reads(0)
        assert drawdown(story) == pytest.approx(610 / 2000)
        assert story.state == "firing"
        assert "no equity reading since 3 exits, whose P&L is counted instead" in story.verdict.reason
        story.wait().reads(1390)
        assert drawdown(story) == pytest.approx(610 / 2000)
        assert kinds(story) == []

    def test_what_was_read_of_an_open_position_does_not_count_twice(self) -> None:
        story = account().reads(2000).trades(-10, 1990).enters().reads(1790).exits(-200)
        story.enters().exits(-10).enters().exits(-10)
        assert drawdown(story) == pytest.approx(230 / 2000)

    def test_an_account_that_never_followed_is_not_believed_to(self) -> None:
        """30 lost beside a small test account: of 2,000 these are 1.5 %, of 50 they would be 60 %."""
        story = account(initial=2000).reads(50).enters().exits(-10).enters().exits(-10).enters().exits(-10)
        assert drawdown(story) == pytest.approx(0.015)

    def test_gains_that_were_not_read_count_for_nothing(self) -> None:
        story = account().reads(2000).trades(-200, 1800).exits(+100).exits(+100).exits(+100)
        assert drawdown(story) == pytest.approx(0.1)

    def test_exits_that_claim_more_than_there_is_count_for_nothing(self) -> None:
        story = account().reads(2000).trades(-200, 1800).exits(-900).exits(-900).exits(-900)
        assert drawdown(story) == pytest.approx(0.1)

    def test_without_a_flat_reading_the_last_one_is_the_base(self) -> None:
        story = account().enters(2.0).reads(2000).exits(-20, size=1.0).reads(1980).enters(1.0)
        story.exits(-100, size=0.5).exits(-100, size=0.5).exits(-100, size=0.5)
        assert drawdown(story) == pytest.approx(320 / 2000)


class TestWithdrawal:
    def test_a_drop_while_flat_that_no_exit_explains_is_no_loss(self) -> None:
        story = account().reads(2000).trades(+10, 2010).reads(1010)
        assert story.state == "ok"
        assert drawdown(story) == pytest.approx(0.0)
        assert "taken out of the peak" in story.verdict.reason
        [(kind, text)] = story.rule.notices()
        assert kind == "withdrawal"
        assert "from 2,010.00 to 1,010.00" in text
        assert "withdrawal of 1,000.00" in text
        assert "halt the bot" in text
        assert story.rule.notices() == []

    def test_a_drawdown_from_before_is_kept(self) -> None:
        story = account().reads(2000).trades(-400, 1600).reads(800)
        assert drawdown(story) == pytest.approx(0.2)
        story.trades(-60, 740)
        assert drawdown(story) == pytest.approx(1 - 0.8 * 740 / 800)
        assert story.state == "firing"

    def test_a_bot_that_reads_only_after_exits_shows_it_with_the_next_trade(self) -> None:
        story = account().reads(2000).trades(-10, 1990).trades(-5, 985)
        assert story.state == "ok"
        assert drawdown(story) == pytest.approx(15 / 2000)
        assert kinds(story) == ["withdrawal"]

    def test_together_with_a_gain_only_the_gain_counts(self) -> None:
        story = account().reads(2000).trades(-100, 1900).trades(+500, 1400)
        assert drawdown(story) == pytest.approx(0.0)
        assert "withdrawal of 1,000.00" in story.rule.notices()[0][1]

    def test_together_with_a_loss_only_the_loss_counts(self) -> None:
        story = account().reads(2000).trades(-100, 1900).trades(-190, 855)
        assert drawdown(story) == pytest.approx(1 - 0.95 * 0.9)

    def test_of_nearly_everything_is_still_none(self) -> None:
        story = account().reads(2000).reads(0.5)
        assert story.state == "ok"

    def test_and_back_again_is_nothing(self) -> None:
        story = account().reads(2000).trades(-200, 1800).reads(900).wait(300).reads(1800)
        assert drawdown(story) == pytest.approx(0.1)
        assert kinds(story) == ["withdrawal", "deposit"]

    def test_within_five_minutes_of_an_exit_that_the_account_shows_already_it_is_seen_too(self) -> None:
        story = account().reads(2000).enters().wait().exits(-300).reads(1700).wait(1).reads(1400)
        assert drawdown(story) == pytest.approx(0.15)
        assert kinds(story) == ["withdrawal"]

    def test_after_an_exit_line_was_lost_the_account_counts_as_flat_again(self) -> None:
        story = account().reads(2000).enters(1.3).wait()  # and its exit is never logged
        for _ in range(3):
            story.enters(1.1).wait().exits(-2, size=1.1).reads(1998).wait()
        story.reads(998)
        assert story.state == "ok"
        assert "withdrawal" in kinds(story)


class TestDeposit:
    def test_it_cannot_hide_a_drawdown(self) -> None:
        story = account().reads(2000).trades(-400, 1600).reads(3600)
        assert drawdown(story) == pytest.approx(0.2)
        story.trades(-300, 3300)
        assert drawdown(story) == pytest.approx(1 - 0.8 * 3300 / 3600)
        assert story.state == "firing"
        assert kinds(story) == ["deposit"]

    def test_it_is_no_gain_that_could_be_lost(self) -> None:
        story = account().reads(2000).reads(4000).reads(2000)
        assert drawdown(story) == pytest.approx(0.0)

    def test_between_the_same_two_readings_as_a_loss_it_does_not_mask_it(self) -> None:
        """2,000 -> 1,990 -> a loss of 696.50 (35 %) and a deposit of 1,000 -> 2,293.50: higher than ever before."""
        story = account().reads(2000).trades(-10, 1990).trades(-696.5, 2293.5)
        assert drawdown(story) == pytest.approx(1 - 0.995 * 0.65)
        assert story.state == "firing"

    def test_masking_is_not_assumed_of_an_account_that_never_followed_an_exit(self) -> None:
        """A small test account (100) that somebody resets to 1,000: the 60 lost on paper are 3 % of 2,000, not 60 %."""
        story = account().reads(100).enters().wait().exits(-60).reads(1000)
        assert drawdown(story) == pytest.approx(0.0)


class TestLaggingExchange:
    def test_a_reading_that_does_not_show_the_exit_yet_delays_the_loss_and_no_more(self) -> None:
        story = account().reads(2000).enters().wait().exits(-600).reads(2000)
        assert drawdown(story) == pytest.approx(0.0)
        story.wait(1).reads(1400)
        assert drawdown(story) == pytest.approx(0.3)
        assert kinds(story) == []

    def test_even_if_the_next_reading_comes_much_later(self) -> None:
        story = account().reads(2000).enters().wait().exits(-600).reads(2000).wait(120).reads(1400)
        assert drawdown(story) == pytest.approx(0.3)
        assert kinds(story) == []

    def test_a_late_gain_is_no_deposit(self) -> None:
        story = (
            account()
            .reads(2000)
            .trades(-400, 1600)
            .enters()
            .wait()
            .exits(+600)
            .reads(1600)
            .wait(2)
            .reads(2200)
        )
        assert drawdown(story) == pytest.approx(0.0)
        assert kinds(story) == []

    def test_a_first_reading_that_lags_does_not_count_the_loss_twice(self) -> None:
        """-350 of 2,000 are 17.5 %. Reckoned back from the late reading the start would be 2,350, and 29.8 % lost."""
        story = account().enters().wait().exits(-350).reads(2000).wait(2).reads(1650)
        assert drawdown(story) == pytest.approx(0.175)
        assert kinds(story) == []

    def test_so_too_in_an_account_that_has_outgrown_its_initial_equity(self) -> None:
        story = account(initial=2000).enters().wait().exits(-1500).reads(10_000).wait(2).reads(8500)
        assert drawdown(story) == pytest.approx(0.15)


class TestFirstReading:
    def test_an_exit_just_before_it_belongs_into_the_drawdown(self) -> None:
        story = account().enters().wait().exits(-600).reads(1400)
        assert drawdown(story) == pytest.approx(0.3)
        assert "equity fell from 2,000.00 to 1,400.00" in story.verdict.reason

    def test_a_gain_before_it_is_no_drawdown(self) -> None:
        assert drawdown(account().enters().wait().exits(+600).reads(2600)) == pytest.approx(0.0)

    def test_while_a_position_is_open_it_is_the_first_peak(self) -> None:
        story = account().enters().wait().reads(1900)
        assert drawdown(story) == pytest.approx(0.0)
        story.wait().exits(-200).reads(1800)
        assert drawdown(story) == pytest.approx(0.1)  # 2,000 at the start, since the exit lost 200

    def test_a_position_that_was_open_already_and_recovers_is_no_drawdown(self) -> None:
        story = account().enters().wait().reads(1400).wait().exits(+5).reads(2005)
        assert drawdown(story) == pytest.approx(0.0)

    def test_a_loss_larger_than_the_account_reckons_back_to_no_nonsense(self) -> None:
        story = account().exits(+5000).reads(100)
        assert drawdown(story) == pytest.approx(0.0)

    def test_in_a_small_test_account_the_first_loss_fakes_no_drawdown(self) -> None:
        """60 lost on paper beside a test account of 50: of 2,000 these are 3 %, of 110 they would be 54 %."""
        story = account(initial=2000).enters().wait().exits(-60).reads(50)
        assert drawdown(story) == pytest.approx(0.03)

    def test_the_start_moves_with_cash_flows(self) -> None:
        story = account().enters().wait().exits(-200).reads(1800).wait().reads(900)
        assert drawdown(story) == pytest.approx(0.1)


class TestPaperAccount:
    def test_realised_pnl_takes_over_and_the_verdict_says_so(self) -> None:
        story = account(initial=2000).reads(10_000)
        for _ in range(3):
            story.trades(-180, 10_000)
        assert story.state == "firing"
        assert drawdown(story) == pytest.approx(0.27)
        assert "equity records do not move (paper account?): judged on realised P&L" in story.verdict.reason
        assert kinds(story) == []

    def test_small_losses_beside_it_fire_nothing(self) -> None:
        story = account(initial=2000).reads(50)
        for _ in range(10):
            story.trades(-10, 50).trades(+5, 50)
        assert story.state == "ok"
        assert drawdown(story) == pytest.approx(50 / 2000)

    def test_three_exits_without_a_reading_between_them_prove_nothing(self) -> None:
        story = account(initial=100).reads(2000).exits(-10).exits(-10).exits(-10)
        assert story.state == "ok"
        assert "do not move" not in story.verdict.reason

    def test_exits_of_nothing_prove_nothing(self) -> None:
        story = account().reads(2000)
        for _ in range(5):
            story.trades(0, 2000)
        assert "do not move" not in story.verdict.reason

    def test_exits_that_cancel_out_prove_nothing(self) -> None:
        story = account(initial=100).reads(2000)
        for _ in range(5):
            story.exits(-30).wait().exits(+30).wait().reads(2000)
        assert "do not move" not in story.verdict.reason

    def test_three_quick_exits_before_a_slow_exchange_shows_them_do_not_blame_a_live_account(self) -> None:
        """Judged on an initial_equity of 500 the 150 would be 30 %; of the account's 10,000 they are 1.5 %."""
        story = account(initial=500).reads(10_000).trades(-10, 9990)
        story.exits(-50).reads(9990).exits(-50).reads(9990).exits(-50).reads(9990)
        assert drawdown(story) == pytest.approx(0.001)
        story.wait(1).reads(9840)
        assert drawdown(story) == pytest.approx(0.016)
        assert kinds(story) == []

    def test_a_live_account_that_stops_following_is_found_out_too(self) -> None:
        story = account(initial=2000).reads(2000).trades(-10, 1990)
        for _ in range(3):
            story.trades(-180, 1990)
        assert drawdown(story) == pytest.approx(550 / 2000)
        assert story.state == "firing"

    def test_an_account_that_follows_again_takes_over_again(self) -> None:
        story = account(initial=2000).reads(10_000)
        for _ in range(3):
            story.trades(-100, 10_000)
        assert drawdown(story) == pytest.approx(0.15)
        story.wait().reads(1500)  # the bot was switched to the real account
        assert "do not move" in story.verdict.reason
        story.trades(-15, 1485)
        assert "do not move" not in story.verdict.reason
        assert drawdown(story) is not None
        assert story.state == "ok"


class TestLogWithoutEntries:
    """An open position's loss looks like a withdrawal until its exit is logged."""

    def test_a_suspected_withdrawal_that_an_exit_explains_was_a_loss(self) -> None:
        story = account().reads(2000).wait().reads(1700).wait().reads(1400)
        assert drawdown(story) == pytest.approx(0.0)
        assert kinds(story) == ["withdrawal", "withdrawal"]
        story.wait().exits(-600)
        assert drawdown(story) == pytest.approx(0.3)
        assert kinds(story) == ["explained"]
        story.reads(1400)
        assert drawdown(story) == pytest.approx(0.3)
        assert kinds(story) == []

    def test_so_was_one_that_recovered_a_bit_before_the_exit(self) -> None:
        story = account().reads(2000).wait().reads(1400).wait().exits(-400).reads(1600)
        assert drawdown(story) == pytest.approx(0.2)

    def test_an_unrealised_gain_was_no_deposit(self) -> None:
        story = account().reads(2000).wait().reads(2200).wait().exits(+200).reads(2200).wait()
        assert drawdown(story) == pytest.approx(0.0)
        story.exits(-220).reads(1980)
        assert drawdown(story) == pytest.approx(0.1)

    def test_equity_that_is_logged_before_its_exit_line_is_a_loss_at_once(self) -> None:
        story = account().reads(2000).reads(1400).exits(-600)
        assert drawdown(story) == pytest.approx(0.3)
        assert kinds(story) == []
        story.wait().reads(1260).exits(-140)
        assert drawdown(story) == pytest.approx(0.37)

    def test_a_real_withdrawal_stays_one_whatever_is_lost_later(self) -> None:
        story = account().reads(2000).trades(-20, 1980).reads(1480)
        for equity in (1480 - 20 * n for n in range(1, 6)):
            story.trades(-20, equity)
        assert drawdown(story) == pytest.approx(1 - 0.99 * 1380 / 1480)
        assert kinds(story) == ["withdrawal"]

    def test_after_a_day_an_exit_explains_it_no_more(self) -> None:
        story = account().reads(2000).wait().reads(1400).wait(25 * 60).exits(-600)
        assert drawdown(story) == pytest.approx(0.0)
        story = account().reads(2000).wait().reads(1400).wait(25 * 60).reads(1400).exits(-600)
        assert drawdown(story) == pytest.approx(0.0)


def test_a_thousand_suspected_withdrawals_that_nobody_asks_for_are_not_hoarded() -> None:
    story = account().reads(1e9)
    for n in range(1, 100):
        story.wait(26 * 60).reads(1e9 * 0.9**n)
    assert 1 <= len(story.rule.notices()) <= 20


def test_a_state_of_another_initial_equity_does_not_fit() -> None:
    kept: dict[str, Any] = account(initial=1000).exits(-1).rule.dump()
    with pytest.raises(ValueError, match="initial_equity of 1000"):
        account(initial=2000).rule.restore(kept)
