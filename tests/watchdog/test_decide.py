"""Every combination of verdict, action and situation, and the invariants over random ones."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise, product
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watchdog.fakes import START
from triggers import State, Verdict
from watchdog.decide import DAY, Action, Decision, Kind, Situation, decide

HOUR = timedelta(hours=1)
RULES = ("sharpe", "drawdown", "loss_streak", "load_error", "checksum")


def verdict(name: str = "drawdown", state: State = "firing") -> Verdict:
    return Verdict(name, state, 0.261, 0.25, f"{name} is {state}")


def situation(action: Action = "rollback", **changes: Any) -> Situation:
    facts: dict[str, Any] = {
        "now": START,
        "actions": dict.fromkeys(RULES, action),
        "cooldown": HOUR,
        "max_per_day": 1,
        **changes,
    }
    return Situation(**facts)


# What is to happen when one rule fires, in the order in which the first line that fits decides.
BY_RULE: dict[tuple[Action, str], Kind] = {
    ("rollback", "never"): "rollback",
    ("rollback", "in the cooldown"): "wait",
    ("rollback", "used up"): "halt",
    ("halt", "never"): "halt",
    ("halt", "in the cooldown"): "halt",
    ("halt", "used up"): "halt",
}
PAST: dict[str, dict[str, Any]] = {
    "never": {"max_per_day": 1, "rollbacks": ()},
    "in the cooldown": {"max_per_day": 2, "rollbacks": (START - HOUR / 2,)},
    "used up": {"max_per_day": 1, "rollbacks": (START - 3 * HOUR,)},
}
FLAGS = ("busy", "monitoring", "halted", "paused", "observe")


def expected(state: State, action: Action, past: str, flags: dict[str, bool]) -> tuple[Kind, Kind | None]:
    if state != "firing" or flags["busy"]:
        return "nothing", None
    if action == "alert":
        return "alert", None
    wanted: Kind = "halt" if flags["monitoring"] else BY_RULE[action, past]
    if flags["halted"]:
        return "alert", None
    if flags["observe"] or flags["paused"]:
        return "alert", wanted
    return wanted, None


@pytest.mark.parametrize("past", PAST)
@pytest.mark.parametrize("action", get_args(Action))
@pytest.mark.parametrize("state", get_args(State))
def test_every_combination_of_state_action_past_and_situation(
    state: State, action: Action, past: str
) -> None:
    for values in product((False, True), repeat=len(FLAGS)):
        flags = dict(zip(FLAGS, values, strict=True))
        decision = decide([verdict(state=state)], situation(action, **PAST[past], **flags))
        assert (decision.kind, decision.would) == expected(state, action, past, flags), flags
        assert bool(decision.verdicts) == (decision.kind != "nothing")
        if decision.kind in {"alert", "wait", "halt"}:
            assert decision.why


def test_the_causes_are_the_sentences_of_the_rules_that_act() -> None:
    found = decide([verdict(), verdict("sharpe", "ok"), verdict("loss_streak")], situation())
    assert found.kind == "rollback"
    assert found.cause == "drawdown is firing; loss_streak is firing"


def test_a_rule_that_only_alerts_neither_acts_nor_speaks_beside_one_that_acts() -> None:
    actions = {**dict.fromkeys(RULES, "rollback"), "sharpe": "alert"}
    found = decide([verdict("sharpe"), verdict()], situation(actions=actions))
    assert (found.kind, found.cause) == ("rollback", "drawdown is firing")
    assert decide([verdict("sharpe")], situation(actions=actions)).kind == "alert"


def test_one_rule_whose_action_is_halt_decides_for_all() -> None:
    actions = {**dict.fromkeys(RULES, "rollback"), "checksum": "halt"}
    assert decide([verdict(), verdict("checksum")], situation(actions=actions)).kind == "halt"
    assert decide([verdict(), verdict("checksum", "pending")], situation(actions=actions)).kind == "rollback"


def test_without_any_verdict_nothing_is_decided() -> None:
    assert decide([], situation()) == Decision("nothing")


@pytest.mark.parametrize(
    ("ago", "kind"),
    [
        (HOUR - timedelta(microseconds=1), "wait"),
        (HOUR, "rollback"),
        (timedelta(0), "wait"),
        (-HOUR, "wait"),  # by a clock that went back: rather wait than roll back twice
    ],
)
def test_the_cooldown_is_over_exactly_at_its_end(ago: timedelta, kind: Kind) -> None:
    assert decide([verdict()], situation(max_per_day=5, rollbacks=(START - ago,))).kind == kind


@pytest.mark.parametrize(
    ("ago", "kind"),
    [(DAY - timedelta(microseconds=1), "halt"), (DAY, "rollback"), (-DAY, "halt")],
)
def test_a_rollback_counts_for_a_day_and_not_longer(ago: timedelta, kind: Kind) -> None:
    assert decide([verdict()], situation(rollbacks=(START - ago,))).kind == kind


def test_the_newest_rollback_counts_for_the_cooldown_whatever_their_order() -> None:
    rollbacks = (START - HOUR / 2, START - 20 * HOUR)
    assert decide([verdict()], situation(max_per_day=3, rollbacks=rollbacks)).kind == "wait"
    assert decide([verdict()], situation(max_per_day=3, rollbacks=rollbacks[::-1])).kind == "wait"


def test_a_cooldown_longer_than_a_day_is_kept() -> None:
    found = decide([verdict()], situation(cooldown=48 * HOUR, rollbacks=(START - 30 * HOUR,)))
    assert found.kind == "wait"


def test_no_rollback_a_day_means_that_every_cause_halts() -> None:
    found = decide([verdict()], situation(max_per_day=0))
    assert (found.kind, found.why) == ("halt", "0 of 0 automatic rollbacks a day are used up")


def test_no_cooldown_rolls_back_at_once_within_the_daily_limit() -> None:
    found = decide([verdict()], situation(cooldown=timedelta(0), max_per_day=2, rollbacks=(START,)))
    assert found.kind == "rollback"


# -- invariants

states = st.sampled_from(get_args(State))
actions = st.sampled_from(get_args(Action))
times = st.integers(-90_000, 200_000).map(lambda seconds: START - timedelta(seconds=seconds))
verdicts_of_rules = st.lists(st.builds(verdict, st.sampled_from(RULES), states), max_size=5)
situations = st.builds(
    Situation,
    now=st.just(START),
    actions=st.fixed_dictionaries(dict.fromkeys(RULES, actions)),
    cooldown=st.integers(0, 200_000).map(lambda seconds: timedelta(seconds=seconds)),
    max_per_day=st.integers(0, 3),
    rollbacks=st.lists(times, max_size=4),
    busy=st.booleans(),
    monitoring=st.booleans(),
    halted=st.booleans(),
    paused=st.booleans(),
    observe=st.booleans(),
)


@given(verdicts_of_rules, situations)
def test_the_bot_is_touched_only_when_nothing_forbids_it(
    verdicts: Sequence[Verdict], there: Situation
) -> None:
    decision = decide(verdicts, there)
    if decision.kind in {"rollback", "halt"}:
        assert (there.halted, there.paused, there.observe, there.busy) == (False,) * 4
        assert decision.verdicts
        assert all(v.state == "firing" for v in decision.verdicts)
        assert all(there.actions[v.name] != "alert" for v in decision.verdicts)
    if decision.kind == "rollback":
        assert not there.monitoring
        assert all(there.actions[v.name] == "rollback" for v in decision.verdicts)
        assert len([at for at in there.rollbacks if at > there.now - DAY]) < there.max_per_day
        assert all(at + there.cooldown <= there.now for at in there.rollbacks)


@given(verdicts_of_rules, situations)
def test_what_is_not_firing_changes_nothing(verdicts: Sequence[Verdict], there: Situation) -> None:
    """Missing, stale, garbled data and rules that are not yet true for long enough act neither alone nor besides."""
    firing = [v for v in verdicts if v.state == "firing"]
    assert decide(verdicts, there) == decide(firing, there)
    if not firing:
        assert decide(verdicts, there).kind == "nothing"


@given(verdicts_of_rules, situations)
def test_a_rule_that_fires_is_never_passed_over_in_silence(
    verdicts: Sequence[Verdict], there: Situation
) -> None:
    if any(v.state == "firing" for v in verdicts) and not there.busy:
        assert decide(verdicts, there).kind != "nothing"


@given(verdicts_of_rules, situations)
def test_a_day_of_ticks_rolls_back_no_more_often_than_allowed(
    verdicts: Sequence[Verdict], there: Situation
) -> None:
    """Each tick decides anew; what it does is what the next one knows."""
    done = [at for at in there.rollbacks if at <= there.now]
    made = []
    for minutes in range(0, 24 * 60, 30):
        now = there.now + timedelta(minutes=minutes)
        decision = decide(verdicts, Situation(**{**vars(there), "now": now, "rollbacks": tuple(done)}))
        if decision.kind == "rollback":
            done.append(now)
            made.append(now)
        if decision.kind == "halt":
            break
    assert len(made) <= there.max_per_day
    assert all(later - earlier >= there.cooldown for earlier, later in pairwise(made))
