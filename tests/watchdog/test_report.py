"""What an incident leaves on disk: the evidence, and the playbook's report."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harmless import is_harmless
from tests.watchdog.fakes import START
from watchdog.incident import Incident
from watchdog.journal import StepRow
from watchdog.report import folder, render, save_evidence, write_report


def incident(**changes: Any) -> Incident:
    found = Incident(
        7, "rollback", "close", "drawdown 26.1 % is above 25 %", "rule drawdown", True, START, "v2.1.0"
    )
    found.facts["switched_to"] = "v2.0.0"
    found.outcome = "rolled_back"
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def row(step: str, began_s: float, took_s: float | None, result: str | None = "done", **more: Any) -> StepRow:
    began = START + timedelta(seconds=began_s)
    ended = None if took_s is None else began + timedelta(seconds=took_s)
    return StepRow(more.get("attempt", 1), step, began, ended, result, more.get("detail"))


STEPS = [
    row("assess", 0, 0.5, detail="rolling back to v2.0.0"),
    row("stop_bot", 0.5, 2, detail="Bot stopped | with\nSIGTERM"),
    row("start_bot", 3, None, None),
    row("start_bot", 9, 1, attempt=2),
    row("close", 1800, None, None),
]


def written(**changes: Any) -> str:
    return render(incident(**changes), STEPS, START + timedelta(minutes=31))


def test_it_is_the_playbooks_template_filled_in() -> None:
    assert written().splitlines()[:13] == [
        "## Rollback Incident: 2026-03-01 10:00 UTC",
        "",
        "**Incident:** 7",
        "**From Version:** v2.1.0",
        "**To Version:** v2.0.0",
        "**Reason:** drawdown 26.1 % is above 25 %",
        "**Triggered By:** Auto (rule drawdown)",
        "**Duration:** 31.0 min",
        "**Impact:** the bot did not trade for 8.5 s; orders and positions on the exchange were not looked at",
        "**Root Cause:** _to be filled in by a person_",
        "**Prevention:** _to be filled in by a person_",
        "**Status:** Resolved",
        "",
    ]


def test_every_step_has_its_line_with_times_attempts_and_interruptions() -> None:
    table = [line for line in written().splitlines() if line.startswith("| 1")]
    assert table == [
        "| 10:00:00.000000 | 0.50 s | assess | done | rolling back to v2.0.0 |",
        "| 10:00:00.500000 | 2.00 s | stop_bot | done | Bot stopped \\| with SIGTERM |",
        "| 10:00:03.000000 |  | start_bot | interrupted |  |",
        "| 10:00:09.000000 | 1.00 s | start_bot (attempt 2) | done |  |",
    ]


def test_an_earlier_run_of_close_is_told_and_the_one_that_writes_is_not() -> None:
    steps = [*STEPS[:-1], row("close", 1800, 1, "stuck"), row("close", 1802, None, None)]
    table = [line for line in render(incident(), steps, START).splitlines() if "| close |" in line]
    assert len(table) == 1
    assert "stuck" in table[0]


def test_a_persons_rollback_says_who_asked() -> None:
    assert "**Triggered By:** Manual (alice)" in written(automatic=False, by="alice")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("rolled_back", "Resolved"), ("halted", "Under Investigation"), (None, "Monitoring")],
)
def test_the_status_is_one_of_the_playbooks(outcome: str | None, status: str) -> None:
    assert f"**Status:** {status}" in written(outcome=outcome)


def test_a_halt_lasts_until_somebody_ends_it() -> None:
    assert "did not trade for as long as the halt lasts" in written(outcome="halted")


def test_a_bot_that_was_not_stopped_lost_no_time() -> None:
    text = render(incident(facts={}), STEPS[:1], START)
    assert "did not trade for 0 s" in text
    assert "**To Version:** none" in text


def test_the_report_is_written_whole_redacted_and_for_its_owner(tmp_path: Path) -> None:
    path = write_report(
        tmp_path,
        incident(reason="the key is hunter2"),
        STEPS,
        START,
        lambda text: text.replace("hunter2", "***"),
    )
    assert path == tmp_path / "incidents" / "0007" / "report.md"
    assert "the key is ***" in path.read_text(encoding="utf-8")
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["report.md"]
    write_report(tmp_path, incident(reason="again"), STEPS, START, str)
    assert "again" in path.read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_is_an_error_that_leaves_the_old_one(tmp_path: Path) -> None:
    path = write_report(tmp_path, incident(reason="old"), STEPS, START, str)
    path.with_suffix(".part").mkdir()
    with pytest.raises(OSError, match="report"):
        write_report(tmp_path, incident(reason="new"), STEPS, START, str)
    assert "old" in path.read_text(encoding="utf-8")


def test_evidence_is_json_without_secrets_and_says_where_it_is(tmp_path: Path) -> None:
    said = save_evidence(
        tmp_path, incident(), {"at": START, "key": "hunter2"}, lambda text: text.replace("hunter2", "***")
    )
    path = folder(tmp_path, 7) / "evidence.json"
    assert said == f"evidence: {path}"
    assert json.loads(path.read_text(encoding="utf-8")) == {"at": "2026-03-01 10:00:00+00:00", "key": "***"}


def test_evidence_that_cannot_be_written_is_said_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "incidents").write_text("in the way", encoding="utf-8")
    assert "could not be saved" in save_evidence(tmp_path, incident(), {}, str)


def test_words_in_angle_brackets_are_readable_as_text_and_no_tags() -> None:
    words = 'File "<string>", in <module>: 3 < 5 <= 7, 1 <2, </b> <!-- <broken'
    text = render(incident(reason=words), [], START)
    assert 'File "‹string›", in ‹module›: 3 < 5 <= 7, 1 <2, ‹/b› ‹!-- ‹broken' in text
    assert "&" not in text


def test_results_are_words_also_those_of_a_journal_that_an_earlier_build_wrote() -> None:
    text = render(
        incident(), [row("start_bot", 0, 1, result) for result in ("older version", "olderversion")], START
    )
    assert text.count("| start_bot | older version |") == 2


def test_the_words_of_others_stay_words() -> None:
    """A log line, a reason, a version: none of them may forge a line, fetch a picture, or turn the terminal over."""
    evil = (
        "x\n**Status:** Resolved\u2028| a | b |\x1b[2J\u202e ![](http://evil/pixel) <script>alert(1)</script>"
    )
    steps = [row("assess", 0, 1, detail=evil)]
    found = incident(reason=evil, by=evil, from_version=evil, outcome="halted")
    found.facts["switched_to"] = evil
    text = render(found, steps, START)
    assert is_harmless(text, "\n")
    assert [line for line in text.splitlines() if line.startswith("**Status:**")] == [
        "**Status:** Under Investigation"
    ]
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 3
    assert "](" not in text.replace("]\\(", "")
    assert "<" not in text
