"""The proof that a bot loaded the right model, from lines as bots of this kind write them."""

import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watchdog.fakes import START
from triggers import LoadErrorRule, LoadErrorSettings, LogLine
from watchdog.proof import SETTLED_S, LoadProof, Names, names_of, names_of_all

MODELS = Path("/bot/models_saved")
QUIET_S = 10.0

PLAYBOOK = (
    "Loading ML models...",
    "Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl",
    "Ensemble model loaded successfully",
    "Loading RL agent from ./models_saved/rl_agent_v2.0.0.zip",
    "RL agent loaded successfully",
)


def files(version: str) -> dict[str, Path]:
    return {"main": MODELS / f"ensemble_{version}.pkl", "rl_agent": MODELS / f"rl_agent_{version}.zip"}


def all_files(*versions: str) -> dict[str, dict[str, Path]]:
    return {version: files(version) for version in versions}


class Log:
    """A bot's log, read as it is written; `answer` after some seconds of silence."""

    def __init__(
        self,
        target: str = "v2.0.0",
        links: Mapping[str, str] | None = None,
        versions: Mapping[str, Mapping[str, Path]] | None = None,
        *,
        says_when_loaded: bool = False,
    ) -> None:
        known = versions or all_files("v1.9.0", "v2.0.0", "v2.1.0")
        names = {
            version: names_of(
                version,
                own,
                (links or {}) if version == target else {},
                [other for name, other in known.items() if name != version],
            )
            for version, own in known.items()
        }
        others = [found for version, found in names.items() if version != target]
        errors = LoadErrorRule(LoadErrorSettings())
        self.proof = LoadProof(names[target], others, errors, QUIET_S, says_when_loaded=says_when_loaded)
        self.now = START

    def says(self, *messages: str, level: str = "INFO") -> "Log":
        for message in messages:
            self.now += timedelta(milliseconds=100)
            self.proof.observe(LogLine(self.now, level, "models.ensemble", message), self.now)
        return self

    def after(self, seconds: float) -> tuple[str, str]:
        return self.proof.state(self.now + timedelta(seconds=seconds))


# -- proven


def test_the_playbooks_own_lines_prove_the_version() -> None:
    log = Log().says(*PLAYBOOK)
    assert log.after(0)[0] == "waiting"  # another load may follow
    state, why = log.after(SETTLED_S)
    assert (state, why) == ("proven", f"its log says: {PLAYBOOK[1]}")


def test_a_bot_that_says_when_it_has_loaded_is_not_believed_while_it_hangs_in_a_load() -> None:
    log = Log(says_when_loaded=True).says(*PLAYBOOK[:2])
    assert log.after(1000 * QUIET_S) == ("waiting", "the bot began to load v2.0.0")
    assert log.says(PLAYBOOK[2]).after(QUIET_S)[0] == "proven"


def test_nothing_is_proved_while_a_load_has_not_ended() -> None:
    log = Log().says(*PLAYBOOK[:4])
    assert log.after(SETTLED_S) == ("waiting", "the bot began to load v2.0.0")
    assert log.after(QUIET_S - 0.1)[0] == "waiting"


def test_a_bot_that_logs_no_end_of_a_load_is_believed_when_it_has_gone_on_for_long() -> None:
    log = Log().says("Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl")
    assert log.after(QUIET_S - 0.1)[0] == "waiting"
    assert log.after(QUIET_S)[0] == "proven"


@pytest.mark.parametrize(
    "message",
    [
        "Model v2.0.0 loaded",
        "Ensemble model 2.0.0 loaded successfully",
        "Loading ensemble model from /app/models_saved/ensemble_v2.0.0.pkl",
        "Loaded model V2_0_0 successfully",
        "Loading model version=v2.0.0 from models_saved",
    ],
)
def test_a_version_may_be_named_in_many_ways(message: str) -> None:
    assert Log().says(message).after(QUIET_S)[0] == "proven"


@pytest.mark.parametrize(
    "message",
    [
        "Loading ensemble model from ./models_saved/ensemble_v2.0.0-rc1.pkl",
        "Loading ensemble model from ./models_saved/ensemble_v2.0.0.1.pkl",
        "Loading ensemble model from ./models_saved/ensemble_v12.0.0.pkl",
        "Loading model v2.0.01 from registry",
    ],
)
def test_a_name_that_merely_looks_alike_proves_nothing(message: str) -> None:
    assert Log().says(message).after(QUIET_S)[0] != "proven"


def test_a_fixed_name_proves_the_version_that_it_is_linked_to() -> None:
    log = Log(links={"ensemble_model.pkl": "main", "gone.pkl": "no such artifact"})
    log.says(
        "Loading ensemble model from models_saved/ensemble_model.pkl", "Ensemble model loaded successfully"
    )
    assert log.after(SETTLED_S)[0] == "proven"
    assert Log().says("Loading ensemble model from models_saved/ensemble_model.pkl").after(60)[0] == "waiting"


def test_a_version_that_is_only_mentioned_is_believed_of_a_bot_that_says_nothing_of_loading() -> None:
    assert Log().says("Current model: v2.0.0").after(QUIET_S)[0] == "proven"
    assert Log().says("Current model: v2.0.0").after(QUIET_S - 0.1)[0] == "waiting"


# -- wrong


def test_another_version_is_wrong_once_it_has_settled() -> None:
    log = Log().says("Loading ensemble model from ./models_saved/ensemble_v2.1.0.pkl")
    assert log.after(1)[0] == "waiting"
    state, why = log.after(QUIET_S)
    assert state == "wrong"
    assert "the bot loaded v2.1.0 (Loading ensemble model" in why


def test_what_a_bot_says_elsewhere_does_not_outweigh_what_it_loads() -> None:
    """It reads the registry's current version, and loads a name that somebody wrote into it."""
    log = Log().says(
        "Current model: v2.0.0",
        "Loading ensemble model from ./models_saved/ensemble_v2.1.0.pkl",
        "Ensemble model loaded successfully",
    )
    assert log.after(60)[0] == "wrong"
    unnamed = Log().says("Current model: v2.0.0", "Loading ensemble model from somewhere.pkl")
    assert unnamed.after(60)[0] == "waiting"


def test_half_a_version_is_wrong() -> None:
    log = Log().says(*PLAYBOOK[:3], "Loading RL agent from ./models_saved/rl_agent_v2.1.0.zip")
    assert log.says("RL agent loaded successfully").after(QUIET_S)[0] == "wrong"


@pytest.mark.parametrize(
    ("level", "message"),
    [
        ("ERROR", "Error loading model: invalid load key, '\\x00'.. Using dummy model."),
        ("WARNING", "Model file not found: ./models_saved/ensemble_model.pkl. Using dummy model."),
        ("WARNING", "Initializing dummy model for testing"),
        ("ERROR", "Error loading ML models: No module named 'xgboost'"),
        ("ERROR", "Error loading RL agent: bad magic number. Using dummy agent."),
    ],
)
def test_a_load_error_is_wrong_at_once_before_and_after_the_proof(level: str, message: str) -> None:
    assert Log().says(*PLAYBOOK[:2]).says(message, level=level).after(0)[0] == "wrong"
    state, why = Log().says(*PLAYBOOK).says(message, level=level).after(60)
    assert state == "wrong"
    assert message[:20] in why


def test_what_is_not_about_loading_says_nothing_of_another_version() -> None:
    log = Log().says("Rolled back from v2.1.0", "v2.1.0 is quarantined", *PLAYBOOK)
    assert log.after(SETTLED_S)[0] == "proven"


# -- waiting


def test_a_log_that_says_nothing_waits_for_ever() -> None:
    assert Log().after(10_000) == ("waiting", "the bot's log says nothing of a model yet")
    assert Log().says("Starting trading loop").after(10_000)[0] == "waiting"


def test_a_load_that_names_no_version_waits_for_ever() -> None:
    state, why = Log().says("Loading model from cache", "Model loaded").after(10_000)
    assert (state, why) == ("waiting", "the bot's log does not name v2.0.0 yet")


# -- names


def test_a_file_name_that_versions_share_is_told_by_its_folder() -> None:
    versions = {
        "champion": {"main": MODELS / "champion" / "model.pkl"},
        "challenger": {"main": MODELS / "challenger" / "model.pkl"},
    }
    log = Log("champion", versions=versions).says("Loading model from models_saved/champion/model.pkl")
    assert log.after(QUIET_S)[0] == "proven"
    log = Log("champion", versions=versions).says("Loading model from models_saved/challenger/model.pkl")
    assert log.after(QUIET_S)[0] == "wrong"


def test_a_file_that_cannot_be_told_from_anothers_names_nothing() -> None:
    same = {"main": MODELS / "model.pkl"}
    versions = {"v1.0.0": same, "v2.0.0": same}
    assert Log(versions=versions).says("Loading model from models_saved/model.pkl").after(60)[0] == "waiting"
    assert Log(versions=versions).says("Loading model v2.0.0 from model.pkl").after(60)[0] == "proven"


def test_a_version_without_files_is_named_by_its_name() -> None:
    assert names_of("v2.0.0", {}, {"fixed.pkl": "main"}) == Names("v2.0.0", frozenset())


@given(st.text(alphabet="v012.-_rc ", max_size=12), st.text(alphabet="v012.-_rc ", max_size=12))
def test_a_version_is_named_in_a_line_that_holds_it_between_blanks(before: str, after: str) -> None:
    line = f"Loading model {before.strip()} v2.0.0 {after.strip()}"
    assert Names("v2.0.0", frozenset()).named_in(line)


@given(st.from_regex(r"v[0-9]\.[0-9]\.[0-9](-rc[0-9])?", fullmatch=True))
def test_a_version_is_never_taken_for_another(other: str) -> None:
    found = Names("v2.0.0", frozenset()).named_in(f"Loading model {other} from registry")
    assert found == (other == "v2.0.0")


@given(st.lists(st.sampled_from([*PLAYBOOK, "trading", "Current model: v2.0.0"]), max_size=8))
def test_what_is_proven_was_named_and_every_load_that_began_ended_or_long_ago(lines: list[str]) -> None:
    log = Log().says(*lines)
    state, why = log.after(SETTLED_S)
    if state == "proven":
        assert "v2.0.0" in why
        began = sum(line.startswith("Loading") and " from " in line for line in lines)
        assert sum("loaded successfully" in line for line in lines) >= began


def test_a_long_line_is_cut_for_people() -> None:
    log = Log().says("Loading model v2.0.0 from " + "x" * 1000 + "\nsecond line")
    _, why = log.after(QUIET_S)
    assert len(why) < 200
    assert why.endswith("…")
    assert "second line" not in why


def test_all_versions_together_are_named_as_each_of_them_among_the_others() -> None:
    files: dict[str, dict[str, Path]] = {
        "v1": {"main": Path("/b/models/v1/model.pkl"), "agent": Path("/b/models/agent_v1.zip")},
        "v2": {"main": Path("/b/models/v2/model.pkl"), "agent": Path("/b/models/v2/model.pkl")},
        "v3": {"main": Path("/b/models/v2/model.pkl")},
        "v4": {},
    }
    links = {"fixed.pkl": "main"}
    for linked in (None, *files):
        assert names_of_all(files, links, linked) == {
            version: names_of(
                version,
                own,
                links if version == linked else {},
                [f for v, f in files.items() if v != version],
            )
            for version, own in files.items()
        }


def test_ten_thousand_versions_take_no_longer_than_a_look_may() -> None:
    """Who can write the registry must not be able to stop the watching with it."""
    files = {
        f"v{n}": {"main": Path(f"/srv/bot/models_saved/{'x/' * 50}ensemble_v{n}.pkl")} for n in range(10_000)
    }
    began = time.process_time()
    names = names_of_all(files, {})
    named = [
        version
        for version, found in names.items()
        if found.named_in("Loading ensemble_v77.pkl", about_loading=True)
    ]
    assert named == ["v77"]
    assert time.process_time() - began < 20.0  # it took minutes when each was compared with each
