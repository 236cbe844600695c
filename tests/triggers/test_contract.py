"""What holds for every rule alike: empty, stale, NaN, out of order, at the limit, kept and restored, reset."""

import json
import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from tests.triggers.story import HOUR, MINUTE, START
from triggers import (
    RULES,
    ArtifactCheck,
    BotExited,
    BotStarted,
    ChecksumSettings,
    DrawdownSettings,
    Entry,
    Equity,
    Exit,
    GaveUp,
    LoadErrorSettings,
    LogLine,
    LossStreakSettings,
    Record,
    Rule,
    RuleSettings,
    SharpeSettings,
    Verdict,
)

SECOND = timedelta(seconds=1)


def exits(*pnls: float, every: timedelta = HOUR) -> list[Record]:
    return [Exit(START + number * every + MINUTE, pnl) for number, pnl in enumerate(pnls)]


@dataclass
class Case:
    """One rule, what makes it fire, what falls just short of it, and when it is asked."""

    settings: RuleSettings
    firing: list[Record]
    short_of_it: list[Record]
    now: datetime = START + 24 * HOUR
    same_value: bool = True
    kept: bool = True
    garbage: list[Record] = field(default_factory=list)

    def rule(self, *records: Record) -> Rule:
        rule = RULES[type(self.settings)](self.settings)
        rule.reset(START)
        for record in records:
            rule.observe(record)
        return rule

    def judge(self, *records: Record) -> Verdict:
        return self.rule(*records).evaluate(self.now)


GARBAGE: list[Record] = [
    record
    for at in (START + MINUTE, START + 23 * HOUR)
    for record in (
        Exit(at, math.nan),
        Exit(at, math.inf),
        Exit(at, -1e300),
        Equity(at, 0.0),
        Equity(at, math.nan),
        Equity(at, -math.inf),
        LogLine(at, "ERROR", "", ""),
        LogLine(at, "NOTSET", "x", "\x00\ufffd"),
        BotStarted(at),
        BotExited(at, None),
        Entry(at, "", math.nan),
        Exit(at, math.nan, "", math.nan),
    )
]

CASES = {
    "sharpe": Case(
        SharpeSettings(),
        firing=exits(*(-10.0 - n % 3 for n in range(24))),
        short_of_it=exits(*(+10.0 + n % 3 for n in range(24))),
    ),
    "drawdown": Case(
        DrawdownSettings(0.25, 2000.0), firing=exits(+100.0, -525.01), short_of_it=exits(+100.0, -525.0)
    ),
    "loss_streak": Case(LossStreakSettings(3), firing=exits(-1, 0, -1, -1), short_of_it=exits(-1, 0, -1)),
    "load_error": Case(
        LoadErrorSettings(),
        firing=[LogLine(START + 23.5 * HOUR, "ERROR", "x", "Error loading model: EOFError")],
        short_of_it=[LogLine(START + 23.5 * HOUR, "INFO", "x", "Model loaded")],
    ),
    "checksum": Case(
        ChecksumSettings(),
        firing=[ArtifactCheck(START + 23.5 * HOUR, "v2.1.0", "main", "main.pkl", "mismatch")],
        short_of_it=[ArtifactCheck(START + 23.5 * HOUR, "v2.1.0", "main", "main.pkl", "ok")],
        kept=False,
    ),
}


def test_every_rule_of_the_table_has_a_case() -> None:
    assert {type(case.settings) for case in CASES.values()} == set(RULES)


every_rule = pytest.mark.parametrize(("name", "case"), CASES.items(), ids=CASES)


@every_rule
def test_its_name_is_its_key(name: str, case: Case) -> None:
    assert case.rule().name == name
    assert case.judge().name == name


@every_rule
def test_empty_is_no_data(name: str, case: Case) -> None:
    verdict = case.judge()
    assert (verdict.state, verdict.value) == ("no_data", None)
    assert verdict.reason


@every_rule
def test_it_fires_at_its_limit_and_not_before(name: str, case: Case) -> None:
    assert case.judge(*case.firing).state == "firing"
    assert case.judge(*case.short_of_it).state == "ok"


@every_rule
def test_the_reason_tells_value_and_limit(name: str, case: Case) -> None:
    for records in (case.firing, case.short_of_it):
        verdict = case.judge(*records)
        if verdict.limit is not None and verdict.value is not None:
            assert f"{100 * verdict.limit:g} %" in verdict.reason or f"{verdict.limit:g}" in verdict.reason


@every_rule
def test_garbage_alone_never_fires(name: str, case: Case) -> None:
    assert case.judge(*GARBAGE).state in {"no_data", "ok"}


@every_rule
def test_garbage_in_between_changes_no_answer(name: str, case: Case) -> None:
    harmless = [r for r in GARBAGE if not isinstance(r, BotStarted)] if name == "load_error" else GARBAGE
    for records, state in ((case.firing, "firing"), (case.short_of_it, "ok")):
        mixed = sorted([*records, *harmless], key=lambda record: record.at)
        assert case.judge(*mixed).state == state


@every_rule
def test_records_out_of_order_by_seconds_change_no_answer(name: str, case: Case) -> None:
    for records, state in ((case.firing, "firing"), (case.short_of_it, "ok")):
        late: list[Record] = [
            Equity(START + 90 * SECOND, 0.0),
            Entry(START + 80 * SECOND),
            LogLine(START, "INFO", "x", "hello"),
        ]
        assert case.judge(*records[:1], *late, *records[1:]).state == state


@every_rule
def test_records_of_other_kinds_are_ignored(name: str, case: Case) -> None:
    others = [record for other, its in CASES.items() if other != name for record in its.firing]
    kinds = {type(record) for record in case.firing}
    rule = case.rule(*(record for record in others if type(record) not in kinds), GaveUp(START, 3, 10.0))
    assert rule.evaluate(case.now).state == ("firing" if name == "load_error" else "no_data")


@every_rule
@pytest.mark.parametrize("later", [timedelta(days=30), timedelta(days=-30)])
def test_a_clock_that_is_a_month_off_makes_nothing_fire(name: str, case: Case, later: timedelta) -> None:
    assert case.rule(*case.short_of_it).evaluate(case.now + later).state in {"ok", "no_data"}


@every_rule
def test_a_restart_changes_no_answer(name: str, case: Case) -> None:
    for records in (case.firing, case.short_of_it, GARBAGE, []):
        for place in range(len(records) + 1):
            kept = json.loads(json.dumps(case.rule(*records[:place]).dump(), allow_nan=False))
            other = case.rule()
            other.restore(kept)
            for record in records[place:] if case.kept else records:
                other.observe(record)
            assert other.evaluate(case.now) == case.judge(*records)


@every_rule
@pytest.mark.parametrize("misfit", [{"nonsense": 1}, {"curve": {}, "losses": None}])
def test_a_state_that_does_not_fit_is_refused(name: str, case: Case, misfit: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        case.rule().restore(misfit)


@every_rule
def test_reset_forgets_everything(name: str, case: Case) -> None:
    rule = case.rule(*case.firing)
    rule.reset(START + HOUR)
    fresh = case.rule()
    fresh.reset(START + HOUR)
    assert rule.dump() == fresh.dump()
    assert rule.evaluate(case.now).state == "no_data"
    assert rule.notices() == []


@every_rule
def test_asking_twice_gives_the_same_answer(name: str, case: Case) -> None:
    rule = case.rule(*case.firing)
    assert rule.evaluate(case.now) == rule.evaluate(case.now)


@every_rule
def test_the_answer_goes_into_json(name: str, case: Case) -> None:
    for records in (case.firing, case.short_of_it, []):
        json.dumps(case.judge(*records).as_dict(), allow_nan=False)
