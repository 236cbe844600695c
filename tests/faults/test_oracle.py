"""Every question of the oracle can fail: evidence that breaks one invariant yields one sentence, and no other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.oracle import QUESTIONS, Evidence, Start, violations
from watchdog.incident import Incident

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def switch(left: str, version: str, **more: Any) -> dict[str, Any]:
    return {"action": "rollback", "from": left, "version": version, **more}


def promotion(version: str) -> dict[str, Any]:
    return {"action": "promoted", "version": version}


def incident(number: int = 1, **changes: Any) -> Incident:
    """An automatic rollback from v2.1.0 to v2.0.0, done."""
    body: dict[str, Any] = {
        "plan": "rollback",
        "step": "close",
        "reason": "3 losses in a row",
        "by": "rule loss_streak",
        "automatic": True,
        "opened_at": AT,
        "from_version": "v2.1.0",
        "target": "v2.0.0",
        "facts": {"switched_to": "v2.0.0"},
        "outcome": "rolled_back",
        "closed_at": AT + MINUTE,
    }
    return Incident(number, **{**body, **changes})


def halt(**changes: Any) -> Incident:
    """A person's, done."""
    facts: dict[str, Any] = {}
    return incident(
        **{"plan": "halt", "by": "alice", "automatic": False, "outcome": "halted", "facts": facts, **changes}
    )


ROLLED_BACK = Evidence(
    starts=(Start(AT, "v2.1.0", verified=True, by_watchdog=False), Start(AT + MINUTE, "v2.0.0", True, True)),
    running=("v2.0.0",),
    registry={"current_version": "v2.0.0", "history": [promotion("v2.1.0"), switch("v2.1.0", "v2.0.0")]},
    incidents=(incident(),),
    halted_since=None,
    alerts=("rolling back (incident 1)", "incident 1 is closed"),
    delivered=(1, 2),
    grounds={"loss_streak": {"v2.1.0"}},
    settled=True,
    told_to=("is closed",),
)
HALTED = replace(
    ROLLED_BACK,
    starts=ROLLED_BACK.starts[:1],
    running=(),
    registry={"current_version": "v2.1.0", "history": []},
    incidents=(halt(),),
    halted_since=AT + MINUTE,
    halt_ordered=True,
    alerts=("HALT: the bot is being stopped (incident 1)", "halted: the bot is stopped"),
    told_to=(),
)


def test_good_evidence_breaks_nothing() -> None:
    assert violations(ROLLED_BACK) == []
    assert violations(HALTED) == []


def test_what_must_come_in_the_end_is_asked_only_then() -> None:
    """An open incident, a bot that is down, alerts that are on their way: nothing is wrong with that yet."""
    midway = replace(
        ROLLED_BACK,
        running=(),
        incidents=(incident(step="start_bot", outcome=None, closed_at=None),),
        alerts=(*ROLLED_BACK.alerts, "a third"),
        settled=False,
    )
    assert violations(midway) == []
    assert len(violations(replace(midway, settled=True))) == 3


def test_what_nobody_looked_for_is_not_asked() -> None:
    assert violations(replace(ROLLED_BACK, delivered=None, grounds=None, registry=None)) == []


def history(*events: dict[str, Any], current: str = "v2.0.0") -> dict[str, Any]:
    return {"registry": {"current_version": current, "history": list(events)}}


LATER = {"opened_at": AT + timedelta(hours=23), "closed_at": AT + timedelta(hours=23, minutes=1)}
BROKEN: dict[str, tuple[Evidence, dict[str, Any], str]] = {
    "started on a damaged version": (
        ROLLED_BACK,
        {"starts": (Start(AT, "v2.0.0", verified=False, by_watchdog=True),)},
        "1: the bot was started on v2.0.0, whose files did not verify",
    ),
    "started after the halt": (
        HALTED,
        {"starts": (Start(AT + 2 * MINUTE, "v2.1.0", True, by_watchdog=True),)},
        "2: started on v2.1.0 at 10:02:00.000000, while a halt was in force",
    ),
    "started during a halt that is over": (
        ROLLED_BACK,
        {"starts": (Start(AT, "v2.0.0", True, by_watchdog=True, while_halted=True),)},
        "2: started on v2.0.0 at 10:00:00.000000, while a halt was in force",
    ),
    "a halted bot that runs": (HALTED, {"running": ("v2.1.0",)}, "2: halted, and 1 bots run"),
    "an order that was lost": (
        ROLLED_BACK,
        {"halt_ordered": True},
        "2: a person ordered HALT, and no halt is in force",
    ),
    "back to a bad version": (
        ROLLED_BACK,
        {
            **history(switch("v2.1.0", "v2.0.0"), switch("v2.0.0", "v2.1.0"), current="v2.1.0"),
            "running": ("v2.1.0",),
        },
        "2: rolled back to v2.1.0, which was rolled back from before",
    ),
    "two automatic rollbacks a day": (
        ROLLED_BACK,
        {"incidents": (incident(), incident(2, **LATER)), "alerts": ("incident 1", "incident 2 is closed")},
        "3: 2 automatic rollbacks within a day",
    ),
    "more switches than incidents have": (
        ROLLED_BACK,
        history(switch("v3", "v2.2.0"), switch("v2.2.0", "v2.1.0"), switch("v2.1.0", "v2.0.0")),
        "3: 3 switches by 1 incidents",
    ),
    "a bot beside another": (ROLLED_BACK, {"doubled": 1}, "4: 1 times a bot began beside another"),
    "half a registry": (
        ROLLED_BACK,
        {"torn": ("half a file",)},
        "5: a reader of registry.json met half a file",
    ),
    "alerts out of order": (ROLLED_BACK, {"delivered": (2, 1)}, "6: alerts arrived in the order [2, 1]"),
    "an alert that never came": (ROLLED_BACK, {"delivered": (1,)}, "6: of 2 alerts 1 arrived"),
    "blind": (ROLLED_BACK, {"overlooked": ("3 losses were not seen",)}, "7: 3 losses were not seen"),
    "a rollback without a ground": (
        ROLLED_BACK,
        {"grounds": {"loss_streak": {"v2.0.0"}, "drawdown": {"v2.1.0"}}},
        "8: incident 1 (rule loss_streak: 3 losses in a row) had no ground",
    ),
    "a halt without a ground": (
        HALTED,
        {"incidents": (halt(by="the watchdog", automatic=True, target=None, reason="it ended too often"),)},
        "8: incident 1 (the watchdog: it ended too often) had no ground",
    ),
    "a secret": (ROLLED_BACK, {"secrets": ("run.log",)}, "9: a secret is in run.log"),
    "a bot that a restart killed": (ROLLED_BACK, {"disturbed": ("bot gone",)}, "10: bot gone"),
    "an order sent twice": (ROLLED_BACK, {"orders": ("sent twice",)}, "exchange: sent twice"),
    "an open incident": (
        ROLLED_BACK,
        {"incidents": (incident(step="monitor", outcome=None, closed_at=None),)},
        "end: incident 1 is still open at monitor",
    ),
    "down though not halted": (ROLLED_BACK, {"running": ()}, "end: not halted, and 0 bots run"),
    "another version than the registry's": (
        ROLLED_BACK,
        {"running": ("v2.1.0",)},
        "end: the bot runs v2.1.0, the registry says v2.0.0, and nobody was told",
    ),
    "silence": (ROLLED_BACK, {"told_to": ("v1.9.0",)}, "told: nobody was told 'v1.9.0'"),
    "a silent halt": (HALTED, {"alerts": ("incident 1", "it is down")}, "told: halted, and nobody was told"),
    "a silent incident": (
        ROLLED_BACK,
        {"incidents": (incident(7),)},
        "told: nobody was told of incident 7",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_broken_invariant_is_one_sentence(name: str) -> None:
    good, change, sentence = BROKEN[name]
    assert violations(replace(good, **change)) == [sentence]


def test_two_bots_at_once_are_told_as_such() -> None:
    found = violations(replace(ROLLED_BACK, running=("v2.0.0", "v2.0.0")))
    assert found == ["4: 2 bots run at once", "end: not halted, and 2 bots run"]


def test_every_question_is_broken_by_something_above() -> None:
    for question in QUESTIONS:
        broken = [
            name for name, (good, change, _) in BROKEN.items() if list(question(replace(good, **change)))
        ]
        assert broken, question.__name__


# -- what is no violation


def test_a_version_that_was_promoted_or_released_may_be_gone_back_to() -> None:
    twice = replace(
        ROLLED_BACK,
        incidents=(incident(), incident(2, automatic=False)),
        alerts=("incident 1", "incident 2 is closed"),
    )
    back = switch("v2.1.0", "v2.0.0")
    promoted = history(back, promotion("v2.1.0"), promotion("v2.2.0"), switch("v2.2.0", "v2.1.0"), back)
    assert violations(replace(twice, **promoted)) == []
    released = {**back, "released_at": "2026-03-01T11:00:00+00:00"}
    lifted = replace(
        twice,
        **history(released, promotion("v2.2.0"), switch("v2.2.0", "v2.1.0"), switch("v2.1.0", "v2.0.0")),
    )
    assert violations(replace(lifted, released=frozenset({"v2.1.0"}))) == []
    assert violations(lifted) == ["2: rolled back to v2.1.0, which was rolled back from before"]


def test_a_day_later_there_may_be_another_automatic_rollback() -> None:
    later = incident(2, opened_at=AT + timedelta(days=1), closed_at=AT + timedelta(days=1, minutes=1))
    alerts = ("incident 1", "incident 2 is closed")
    assert violations(replace(ROLLED_BACK, incidents=(incident(), later), alerts=alerts)) == []


def test_a_person_may_roll_back_as_often_as_wanted_and_needs_no_ground() -> None:
    ordered = [incident(number, automatic=False, by="alice") for number in (1, 2, 3)]
    alerts = ("incident 1", "incident 2", "incident 3 is closed")
    evidence = replace(ROLLED_BACK, incidents=ordered, alerts=alerts, delivered=(1, 2, 3), grounds={})
    assert violations(evidence) == []


def test_the_bot_may_run_what_was_promoted_away_when_people_know() -> None:
    told = (
        "incident 1",
        "v2.0.0 was promoted, but the bot (pid 7) still runs v2.1.0",
        "incident 1 is closed",
    )
    evidence = replace(ROLLED_BACK, running=("v2.1.0",), alerts=told, delivered=(1, 2, 3))
    assert violations(evidence) == []
