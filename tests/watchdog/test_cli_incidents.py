"""`incidents`: none, many, one; for people and for programs."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from tests.watchdog.yard import AT, Yard
from watchdog.report import folder

KEYS = [
    "id", "opened_at", "closed_at", "plan", "step", "from_version", "to_version", "reason", "by", "automatic",
    "outcome", "steps",
]  # fmt: skip


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path / "bot")


@pytest.fixture
def told(yard: Yard) -> Yard:
    """A rollback that is closed, and a halt that is open."""
    with yard.journal() as journal:
        first = journal.open_incident(
            "rollback", "assess", "drawdown 26.1 % is above 25 %", "rule drawdown", automatic=True, at=AT,
            from_version="v2.1.0",
        )  # fmt: skip
        row = journal.begin(first, AT)
        journal.end(row, first, "done", "rolling back to v2.0.0 | with a bar", AT + timedelta(seconds=1))
        first.step, first.outcome, first.closed_at = "close", "rolled_back", AT + timedelta(minutes=31)
        first.facts["switched_to"] = "v2.0.0"
        journal.save(first)
        second = journal.open_incident(
            "halt", "stop_bot", "[red]odd[/] trades", "ops", automatic=False, at=AT, from_version="v2.0.0"
        )
        journal.begin(second, AT)
    report = folder(yard.state, 1) / "report.md"
    report.parent.mkdir(parents=True)
    report.write_text("")
    return yard


def test_before_the_first_one(yard: Yard) -> None:
    said = yard.cli("incidents")
    assert (said.code, said.out) == (0, "no incident so far\n")
    assert yard.cli("incidents", "--json").json == []
    assert not yard.state.exists()
    with yard.journal():
        pass
    assert yard.cli("incidents").out == "no incident so far\n"
    assert yard.cli("incidents", "--json").json == []


def test_all_of_them_newest_first(told: Yard) -> None:
    lines = told.cli("incidents").out.splitlines()
    assert lines[0].split() == ["id", "began", "(UTC)", "lasted", "from", "to", "outcome", "by:", "reason"]
    assert re.fullmatch(
        r"2 +2026-03-01 10:00 +at stop_bot +v2.0.0 +open +ops: \[red\]odd\[/\] trades", lines[1]
    )
    rolled_back = (
        r"1 +2026-03-01 10:00 +31 min +v2.1.0 +v2.0.0 +rolled back +rule drawdown: drawdown 26.1 % is.*"
    )
    assert re.fullmatch(rolled_back, lines[2])
    assert len(lines) == 3


def test_all_of_them_for_programs(told: Yard) -> None:
    second, first = told.cli("incidents", "--json").json
    assert list(first) == KEYS
    assert (first["id"], first["outcome"], first["to_version"], first["step"]) == (
        1,
        "rolled_back",
        "v2.0.0",
        None,
    )
    assert (second["id"], second["outcome"], second["to_version"], second["step"]) == (
        2,
        None,
        None,
        "stop_bot",
    )
    assert (first["opened_at"], first["closed_at"]) == (
        "2026-03-01T10:00:00+00:00",
        "2026-03-01T10:31:00+00:00",
    )
    assert (first["automatic"], second["automatic"]) == (True, False)
    assert [step["step"] for step in first["steps"]] == ["assess"]


def test_one_is_the_playbooks_report_with_its_files(told: Yard) -> None:
    said = told.cli("incidents", "1")
    assert said.code == 0
    assert "**To Version:** v2.0.0" in said.out
    assert "**Duration:** 31.0 min" in said.out
    assert "rolling back to v2.0.0 \\| with a bar" in said.out
    assert f"file: {folder(told.state, 1) / 'report.md'}\n" in said.out


def test_one_that_is_open_is_told_as_far_as_it_goes(told: Yard) -> None:
    said = told.cli("incidents", "2")
    assert said.code == 0
    assert "**Reason:** [red]odd[/] trades" in said.out
    assert not re.search(r"\*\*Duration:\*\* 0.0 min", said.out), "an open incident goes on until now"


def test_one_for_programs(told: Yard) -> None:
    found = told.cli("incidents", "1", "--json").json
    assert list(found) == KEYS
    (step,) = found["steps"]
    assert step == {
        "attempt": 1,
        "step": "assess",
        "began_at": "2026-03-01T10:00:00+00:00",
        "ended_at": "2026-03-01T10:00:01+00:00",
        "result": "done",
        "detail": "rolling back to v2.0.0 | with a bar",
    }


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_one_that_is_not_there(yard: Yard, more: tuple[str, ...]) -> None:
    for _ in ("never run", "run"):
        said = yard.cli("incidents", "7", *more)
        assert (said.code, said.out) == (1, "")
        assert "there is no incident 7" in said.err
        with yard.journal():
            pass


def test_an_id_that_is_no_number_is_wrong_usage(yard: Yard) -> None:
    assert yard.cli("incidents", "seven").code == 2


def test_an_incident_that_the_journal_no_longer_has_is_told_by_its_report(told: Yard) -> None:
    report = folder(told.state, 1) / "report.md"
    report.write_text("## Rollback Incident: 2026-03-01 10:00\n", encoding="utf-8")
    with told.journal() as journal:
        journal.forget_incidents([1])
    said = told.cli("incidents", "1")
    assert said.code == 0
    assert said.out.startswith("## Rollback Incident: 2026-03-01 10:00")
    assert f"file: {report}" in said.out
    assert "older than `retention`" in said.out
    assert told.cli("incidents", "1", "--json").json == {"id": 1, "report": str(report)}
    assert (
        f"older ones have their reports: `incidents 1` ... `incidents 1` ({report})"
        in told.cli("incidents").out
    )
    assert [body["id"] for body in told.cli("incidents", "--json").json] == [2]
    report.unlink()
    assert told.cli("incidents", "1").code == 1
