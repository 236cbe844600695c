"""A transfer history decides about a suspected withdrawal: what was not transferred is a loss."""

import json
from typing import Any

import pytest

from tests.triggers.story import Story
from triggers import DrawdownRule, DrawdownSettings, Transferred


def account() -> Story:
    return Story(DrawdownRule(DrawdownSettings(above=0.25, initial_equity=2000)))


def drawdown(story: Story) -> float:
    value = story.verdict.value
    assert value is not None
    return value


def suspects(story: Story) -> list[Any]:
    assert isinstance(story.rule, DrawdownRule)
    return story.rule.suspects


def history(story: Story, net: float) -> Story:
    """The exchange's word on the newest suspicion."""
    return story.tell(Transferred(suspects(story)[-1].at, net))


def test_a_suspicion_says_what_is_missing_and_since_when() -> None:
    story = account().reads(2000).wait().reads(1200)
    (suspect,) = suspects(story)
    assert (suspect.before, suspect.after) == (2000, 1200)
    assert (suspect.at - suspect.since).total_seconds() == 30 * 60 + 1


def test_what_the_history_confirms_stays_no_loss() -> None:
    story = history(account().reads(2000).wait().reads(1200), -800)
    assert (story.state, suspects(story)) == ("ok", [])
    assert drawdown(story) == pytest.approx(0.0)


def test_what_the_history_does_not_know_is_a_loss() -> None:
    story = account().reads(2000).wait().reads(1200)
    assert story.state == "ok"
    story.rule.notices()
    history(story, 0.0)
    assert (story.state, suspects(story)) == ("firing", [])
    assert drawdown(story) == pytest.approx(0.4)
    [(kind, text)] = story.rule.notices()
    assert kind == "denied"
    assert (
        "does not explain the suspected withdrawal: the fall from 2,000.00 to 1,200.00 counts as a loss"
        in text
    )


def test_what_it_explains_in_part_is_a_loss_for_the_rest() -> None:
    story = history(account().reads(2000).wait().reads(1200), -500)
    assert drawdown(story) == pytest.approx(1 - 1200 / 1500)


@pytest.mark.parametrize("net", [+100.0, -900.0, -5000.0])
def test_transfers_of_more_than_is_missing_or_of_the_other_direction_go_no_further(net: float) -> None:
    story = history(account().reads(2000).wait().reads(1200), net)
    assert drawdown(story) == pytest.approx(0.4 if net > 0 else 0.0)


def test_gains_since_then_are_not_scaled_along() -> None:
    story = account().reads(2000).wait().reads(1200).wait().trades(+600, 1800)
    history(story, 0.0)
    assert drawdown(story) == pytest.approx(0.1)


def test_a_real_withdrawal_since_then_is_taken_out_of_the_loss_too() -> None:
    story = account().reads(2000).wait().reads(1600).wait().reads(800)
    first, second = suspects(story)
    story.tell(Transferred(second.at, -800.0), Transferred(first.at, 0.0))
    assert drawdown(story) == pytest.approx(0.2)


def test_the_drawdown_from_before_comes_back_with_it() -> None:
    story = history(account().reads(2000).trades(-400, 1600).reads(800), 0.0)
    assert drawdown(story) == pytest.approx(0.6)


@pytest.mark.parametrize("net", [float("nan"), float("inf"), 1e300])
def test_garbage_decides_nothing(net: float) -> None:
    story = history(account().reads(2000).wait().reads(1200), net)
    assert (story.state, len(suspects(story))) == ("ok", 1)


def test_a_word_on_something_else_decides_nothing() -> None:
    story = account().reads(2000).wait().reads(1200)
    story.tell(Transferred(story.now.replace(year=2025), 0.0))
    assert (story.state, len(suspects(story))) == ("ok", 1)


def test_what_exits_explain_is_no_suspicion_any_more() -> None:
    story = account().reads(2000).wait().reads(1600).exits(-400, size=None)
    assert suspects(story) == []
    assert drawdown(story) == pytest.approx(0.2)


def test_a_suspicion_outlives_a_restart() -> None:
    story = account().reads(2000).wait().reads(1200)
    again = account()
    again.rule.restore(json.loads(json.dumps(story.rule.dump(), default=str)))
    assert drawdown(history(again, 0.0)) == pytest.approx(0.4)


def test_suspicions_are_not_hoarded() -> None:
    story = account().reads(1e6)
    for number in range(40):
        story.wait().reads(1e6 * 0.8 ** (number + 1))
    assert len(suspects(story)) == 8
