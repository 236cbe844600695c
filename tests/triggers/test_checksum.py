from datetime import timedelta
from typing import Literal

from tests.triggers.story import HOUR, MINUTE, START, Story
from triggers import ArtifactCheck, ChecksumRule, ChecksumSettings

State = Literal["ok", "missing", "mismatch", "changing", "unreadable", "unsigned", "forged"]


def check(
    state: State, artifact: str = "main", version: str = "v2.1.0", at: timedelta = MINUTE, detail: str = ""
) -> ArtifactCheck:
    return ArtifactCheck(START + at, version, artifact, f"models_saved/{artifact}.pkl", state, detail)


def files(*checks: ArtifactCheck) -> Story:
    return Story(ChecksumRule(ChecksumSettings())).tell(*checks)


def test_before_the_first_look_there_is_no_data() -> None:
    assert files().state == "no_data"


def test_files_that_verify_are_ok() -> None:
    verdict = files(check("ok"), check("ok", "rl_agent")).verdict
    assert (verdict.state, verdict.value, verdict.limit) == ("ok", 0, 0)
    assert verdict.reason.startswith("2 files of v2.1.0 verified")


def test_a_missing_file_fires() -> None:
    verdict = files(check("ok", "rl_agent"), check("missing")).verdict
    assert (verdict.state, verdict.value) == ("firing", 1)
    assert "models_saved/main.pkl (main of v2.1.0) is missing" in verdict.reason


def test_a_file_that_differs_fires_and_tells_how() -> None:
    verdict = files(check("mismatch", detail="SHA-256 is 00aa..., the registry says ff11...")).verdict
    assert verdict.state == "firing"
    assert "differs from the registry's SHA-256: SHA-256 is 00aa" in verdict.reason


def test_all_damaged_files_are_named() -> None:
    verdict = files(check("mismatch"), check("missing", "rl_agent")).verdict
    assert verdict.value == 2
    assert "main.pkl" in verdict.reason
    assert "rl_agent.pkl" in verdict.reason


def test_a_file_that_is_being_written_is_pending() -> None:
    assert files(check("changing"), check("ok", "rl_agent")).state == "pending"


def test_damage_counts_more_than_writing_and_writing_more_than_doubt() -> None:
    assert files(check("changing"), check("missing", "rl_agent")).state == "firing"
    assert files(check("unreadable"), check("changing", "rl_agent")).state == "pending"


def test_a_file_that_cannot_be_read_proves_nothing() -> None:
    verdict = files(check("unreadable", detail="permission denied"), check("ok", "rl_agent")).verdict
    assert verdict.state == "no_data"
    assert "permission denied" in verdict.reason


def test_a_signature_that_does_not_fit_fires_and_tells_how() -> None:
    verdict = files(
        check("forged", detail="the signature of v2.1.0 does not fit its entry"), check("ok", "rl_agent")
    ).verdict
    assert (verdict.state, verdict.value) == ("firing", 1)
    assert verdict.reason.startswith(
        "nobody vouches for models_saved/main.pkl (main of v2.1.0): the signature of v2.1.0 does not fit its entry"
    )


def test_a_signature_that_was_never_there_is_missing_data() -> None:
    verdict = files(check("unsigned", detail="v2.1.0 bears no signature"), check("ok", "rl_agent")).verdict
    assert (verdict.state, verdict.value) == ("no_data", None)
    assert "nobody vouches for v2.1.0: v2.1.0 bears no signature" in verdict.reason
    assert files(check("unsigned"), check("mismatch", "rl_agent")).state == "firing"
    assert files(check("unsigned"), check("changing", "rl_agent")).state == "pending"


def test_the_newest_look_counts() -> None:
    story = files(check("mismatch"), check("ok", at=2 * MINUTE))
    assert story.state == "ok"


def test_another_version_starts_anew_and_a_slow_look_at_the_old_one_is_ignored() -> None:
    story = files(check("ok", version="v2.0.0", at=2 * MINUTE))
    story.tell(check("mismatch", version="v2.1.0", at=MINUTE))
    assert story.state == "ok"
    story.tell(check("mismatch", version="v2.1.0", at=3 * MINUTE))
    assert story.state == "firing"
    story.tell(check("ok", version="v2.0.0", at=4 * MINUTE))
    assert story.verdict.reason.startswith("1 file of v2.0.0 verified")


def test_an_artifact_that_was_taken_out_of_the_entry_is_no_longer_held_against_it() -> None:
    story = files(check("ok"), check("missing", "rl_agent"))
    assert story.state == "firing"
    story.tell(check("ok", at=2 * MINUTE))
    assert story.verdict.reason.startswith("1 file of v2.1.0 verified")
    story.tell(check("mismatch"))
    assert story.state == "ok", "a look that comes late tells nothing new"


def test_what_was_found_hours_ago_proves_nothing() -> None:
    story = files(check("mismatch"))
    story.now = START + MINUTE + 3 * HOUR
    assert story.state == "firing"
    story.now += MINUTE
    assert story.state == "no_data"
    assert "for hours" in story.verdict.reason
