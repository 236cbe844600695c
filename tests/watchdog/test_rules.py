"""The rules as the operator configured them."""

from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.fakes import START
from tests.watchdog.house import settings_in
from triggers import LoadErrorRule, LogLine
from watchdog.rules import TRADE_RULES, build_engine, load_error_rule

ALL = ("sharpe", "drawdown", "loss_streak", "load_error", "checksum")


def test_all_five_rules_are_there_by_default_in_their_order(tmp_path: Path) -> None:
    assert build_engine(settings_in(tmp_path), START).names == ALL
    assert frozenset(ALL) - {"load_error", "checksum"} == TRADE_RULES


def test_a_rule_that_is_switched_off_is_not_there(tmp_path: Path) -> None:
    triggers: dict[str, Any] = {"sharpe": {"enabled": False}, "checksum": {"enabled": False}}
    engine = build_engine(settings_in(tmp_path, {"triggers": triggers}), START)
    assert engine.names == ("drawdown", "loss_streak", "load_error")


def test_the_limits_are_the_operators(tmp_path: Path) -> None:
    triggers = {"sharpe": {"below": 0.5}, "drawdown": {"above": "10%"}, "loss_streak": {"at_least": 3}}
    engine = build_engine(settings_in(tmp_path, {"triggers": triggers}), START)
    limits = {verdict.name: verdict.limit for verdict in engine.evaluate(START)}
    assert [limits[name] for name in ("sharpe", "drawdown", "loss_streak")] == [0.5, 0.1, 3]


def test_the_time_that_a_rule_must_stay_true_is_the_operators(tmp_path: Path) -> None:
    engine = build_engine(settings_in(tmp_path, {"triggers": {"load_error": {"for": "1m"}}}), START)
    engine.observe(LogLine(START, "ERROR", "main", "Error loading model: gone. Using dummy model."))
    (verdict,) = [v for v in engine.evaluate(START) if v.name == "load_error"]
    assert verdict.state == "pending"


def test_the_operators_patterns_take_the_place_of_ours(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, {"triggers": {"load_error": {"patterns": ["brain is gone"]}}})
    rule = load_error_rule(settings)
    rule.observe(LogLine(START, "ERROR", "main", "Error loading model: x"))
    assert rule.evaluate(START).state != "firing"
    rule.observe(LogLine(START, "ERROR", "main", "The BRAIN IS GONE"))
    assert rule.evaluate(START).state == "firing"
    assert isinstance(build_engine(settings, START).rule("load_error"), LoadErrorRule)


def test_a_state_kept_under_other_settings_does_not_fit(tmp_path: Path) -> None:
    state = build_engine(settings_in(tmp_path), START).dump()
    other = build_engine(settings_in(tmp_path, {"triggers": {"loss_streak": {"at_least": 3}}}), START)
    with pytest.raises(ValueError, match="configured otherwise"):
        other.restore(state)
