import json
import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.triggers.story import HOUR, MINUTE, START
from tests.triggers.test_hold import Toy
from triggers import (
    ArtifactCheck,
    ChecksumRule,
    ChecksumSettings,
    DrawdownRule,
    DrawdownSettings,
    Engine,
    Equity,
    Exit,
    LoadErrorSettings,
    LossStreakRule,
    LossStreakSettings,
    Record,
    RuleSettings,
    SharpeSettings,
    Verdict,
    build,
)

ALL: list[tuple[RuleSettings, timedelta]] = [
    (SharpeSettings(), timedelta(0)),
    (DrawdownSettings(), timedelta(0)),
    (LossStreakSettings(2), timedelta(0)),
    (LoadErrorSettings(), timedelta(0)),
    (ChecksumSettings(), timedelta(seconds=30)),
]


class Breaking(Toy):
    """Raises in the method that it is told to."""

    name = "breaking"

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def _maybe(self, what: str) -> None:
        if what == self.where:
            raise ZeroDivisionError("by zero")

    def observe(self, record: Record) -> None:
        self._maybe("observe")
        super().observe(record)

    def evaluate(self, now: datetime) -> Verdict:
        self._maybe("evaluate")
        return replace(super().evaluate(now), name=self.name)

    def dump(self) -> dict[str, Any]:
        self._maybe("dump")
        return super().dump()

    def notices(self) -> list[tuple[str, str]]:
        self._maybe("notices")
        return []


def loss(minute: float = 1, pnl: float = -1.0) -> Exit:
    return Exit(START + minute * MINUTE, pnl)


def states(engine: Engine, now: datetime = START + HOUR) -> dict[str, str]:
    return {verdict.name: verdict.state for verdict in engine.evaluate(now)}


def test_all_rules_answer_in_their_order() -> None:
    engine = build(ALL, START)
    assert engine.names == ("sharpe", "drawdown", "loss_streak", "load_error", "checksum")
    assert [verdict.name for verdict in engine.evaluate(START)] == list(engine.names)
    assert set(states(engine).values()) == {"no_data"}


def test_a_rule_that_is_left_out_is_switched_off() -> None:
    engine = build(ALL[1:3], START)
    assert engine.names == ("drawdown", "loss_streak")
    assert engine.rule("sharpe") is None


def test_records_from_before_the_deployment_condemn_nothing() -> None:
    engine = build(ALL, START)
    for minute in (-30, -20, -1 / 60):
        engine.observe(loss(minute, pnl=-900))
    assert states(engine)["drawdown"] == "no_data"
    engine.observe(loss(0, pnl=-900))
    assert states(engine)["drawdown"] == "firing"


def test_a_new_deployment_starts_anew() -> None:
    engine = build(ALL, START)
    engine.observe(loss(1, pnl=-900))
    engine.reset(START + HOUR)
    engine.observe(loss(59, pnl=-900))
    assert states(engine)["drawdown"] == "no_data"


def test_a_rule_gets_its_time() -> None:
    engine = build(ALL, START)
    engine.observe(ArtifactCheck(START + MINUTE, "v2.1.0", "main", "main.pkl", "missing"))
    assert states(engine, START + MINUTE)["checksum"] == "pending"
    assert states(engine, START + 2 * MINUTE)["checksum"] == "firing"


def test_the_rule_itself_is_found_under_its_time() -> None:
    engine = build(ALL, START)
    assert isinstance(engine.rule("drawdown"), DrawdownRule)
    assert isinstance(engine.rule("checksum"), ChecksumRule)
    alone = LossStreakRule(LossStreakSettings())
    assert Engine([alone], START).rule("loss_streak") is alone


class TestBrokenRule:
    @pytest.mark.parametrize("where", ["observe", "evaluate", "dump", "notices"])
    def test_it_is_told_once_and_stops_no_other(self, where: str) -> None:
        engine = Engine([Breaking(where), LossStreakRule(LossStreakSettings(2))], START)
        told = []
        for minute in range(1, 4):
            engine.observe(loss(minute))
            engine.evaluate(START + minute * MINUTE)
            engine.dump()
            told += engine.notices()
        engine.notices()
        assert states(engine) == {"breaking": "no_data", "loss_streak": "firing"}
        assert told == [
            ("broken-breaking", "the rule breaking is broken and does not judge: ZeroDivisionError: by zero")
        ]

    def test_its_verdict_says_so(self) -> None:
        engine = Engine([Breaking("evaluate")], START)
        [verdict] = engine.evaluate(START)
        assert "ZeroDivisionError: by zero" in verdict.reason

    def test_a_new_deployment_gives_it_another_chance(self) -> None:
        rule = Breaking("evaluate")
        engine = Engine([rule], START)
        engine.evaluate(START)
        rule.where = "nowhere"
        assert states(engine) == {"breaking": "no_data"}
        engine.reset(START)
        assert states(engine) == {"breaking": "ok"}

    def test_what_was_kept_while_it_was_broken_does_not_fit_so_that_it_is_fed_anew(self) -> None:
        engine = Engine([Breaking("observe"), LossStreakRule(LossStreakSettings(2))], START)
        engine.observe(loss())
        other = Engine([Breaking("nowhere"), LossStreakRule(LossStreakSettings(2))], START)
        with pytest.raises(KeyError):
            other.restore(engine.dump())


class TestState:
    def test_it_survives_json(self) -> None:
        engine = build(ALL, START)
        engine.observe(loss(1, pnl=-900))
        other = build(ALL, START)
        other.restore(json.loads(json.dumps(engine.dump(), allow_nan=False)))
        assert states(other) == states(engine)

    def test_rules_that_were_configured_otherwise_do_not_take_it(self) -> None:
        kept = build(ALL, START).dump()
        other = build([(SharpeSettings(window=timedelta(hours=48)), timedelta(0)), *ALL[1:]], START)
        with pytest.raises(ValueError, match="configured otherwise"):
            other.restore(kept)

    def test_neither_do_rules_in_another_context(self) -> None:
        with pytest.raises(ValueError, match="configured otherwise"):
            build(ALL, START, "times in UTC").restore(build(ALL, START, "times in Asia/Tokyo").dump())

    def test_one_that_half_fits_leaves_no_rule_half_restored(self) -> None:
        engine = build(ALL, START)
        engine.observe(loss(1, pnl=-900))
        kept = engine.dump()
        kept["rules"]["load_error"]["rule"]["loaded"] = "yes"
        other = build(ALL, START)
        with pytest.raises(ValueError, match="loaded"):
            other.restore(kept)
        assert states(other)["drawdown"] == "no_data"

    @pytest.mark.parametrize(
        ("of", "key", "value"),
        [("drawdown", "pnl", math.nan), ("drawdown", "pnl", math.inf), ("drawdown", "peak", 0.0)],
    )
    def test_numbers_by_which_no_rule_could_judge_do_not_fit(self, of: str, key: str, value: float) -> None:
        engine = build(ALL, START)
        engine.observe(Equity(START, 2000.0))
        engine.observe(loss(1))
        kept = engine.dump()
        kept["rules"][of]["rule"]["curve"][key] = value
        other = build(ALL, START)
        with pytest.raises(ValueError):  # noqa: PT011 - the words are json's and msgspec's
            other.restore(kept)
        assert states(other)[of] == "no_data"

    @pytest.mark.parametrize(
        "state", [{}, {"fingerprint": ""}, {"fingerprint": "", "rules": {}}, {"rules": []}]
    )
    def test_garbage_does_not_fit(self, state: dict[str, Any]) -> None:
        engine = Engine([LossStreakRule(LossStreakSettings())], START)
        with pytest.raises((ValueError, KeyError, TypeError)):
            engine.restore(state)
