"""What a dry run proved: exit code, load errors, and which version it named."""

from typing import Any

import pytest

from triggers import LoadErrorRule, LoadErrorSettings
from watchdog.dry_proof import Proof, judge
from watchdog.dry_run import Ran
from watchdog.proof import Names

TARGET = Names("v2.0.0", frozenset({"ensemble_v2.0.0.pkl", "ensemble_model.pkl"}))
OTHER = Names("v2.1.0", frozenset({"ensemble_v2.1.0.pkl"}))
LOADED = (
    "2026-03-01 09:59:58,101 - models.ensemble - INFO - Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl",
    "2026-03-01 09:59:58,350 - models.ensemble - INFO - Ensemble model loaded successfully",
)


def judged(*lines: str, code: int | None = 0, **more: Any) -> Proof:
    return judge(Ran(code, 1.0, lines), 120.0, TARGET, [OTHER], LoadErrorRule(LoadErrorSettings(**more)))


def test_a_good_end_that_names_the_version_is_proof() -> None:
    proof = judged(*LOADED, "dry run ok")
    assert (proof.ok, proof.named) == (True, True)
    assert proof.said == "it says: Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl"


def test_printed_lines_count_as_much_as_logged_ones() -> None:
    assert judged("dry run ok: v2.0.0").named
    assert not judged("Error loading model: invalid load key").ok


def test_a_good_end_without_a_word_is_good_and_says_what_it_does_not_prove() -> None:
    proof = judged("ok")
    assert (proof.ok, proof.named) == (True, False)
    assert proof.said == "it ended well, without a word of which version it loaded"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, "it ended with exit code 1; its last words: Traceback / KeyError: 'rsi'"),
        (-9, "it was killed by signal 9; its last words: Traceback / KeyError: 'rsi'"),
    ],
)
def test_any_other_end_is_a_failure_with_its_last_words(code: int | None, said: str) -> None:
    assert judged("Traceback", "KeyError: 'rsi'", code=code) == Proof(False, said)


def test_one_that_does_not_end_may_be_the_bot_itself() -> None:
    proof = judged("waiting for the next bar", code=None)
    assert (proof.ok, proof.no_dry_run, proof.traded) == (False, True, False)
    assert proof.said.startswith("it did not end within 120 s and was ended; does the bot know this option?")
    assert proof.said.endswith("its last words: waiting for the next bar")


def test_a_failure_says_what_it_went_without() -> None:
    ran = Ran(1, 1.0, ("KeyError",), withheld=("BINANCE_API_KEY",))
    proof = judge(ran, 120.0, TARGET, [OTHER], LoadErrorRule(LoadErrorSettings()))
    assert (
        proof.said == "it ended with exit code 1 (it went without BINANCE_API_KEY); its last words: KeyError"
    )


@pytest.mark.parametrize("code", [0, 1, None])
@pytest.mark.parametrize(
    "line",
    [
        "2026-03-01 10:00:00,000 - execution - INFO - Order placed: BUY 1.3 SOLUSDT",
        "2026-03-01 10:00:00,000 - bot - INFO - Opening LONG position at 150.2",
        "Market order filled at 150.2",
        "Submitting order SELL 1.3",
    ],
)
def test_one_that_trades_is_no_dry_run_however_it_ends(line: str, code: int | None) -> None:
    proof = judged(*LOADED, line, code=code)
    assert (proof.ok, proof.no_dry_run, proof.traded) == (False, True, True)
    assert proof.said == f"it trades: {line.rpartition(' - ')[2]}"


@pytest.mark.parametrize(
    "line",
    [
        "dry run: order placed: BUY 1.3 SOLUSDT",
        "[DRY-RUN] Opening LONG position",
        "would have placed an order",
        "no order was placed",
        "0 orders placed",
        "Loaded 20 executed trades",
        "Order executor ready",
        "Simulated order filled",
    ],
)
def test_words_of_orders_that_were_not_made_are_none(line: str) -> None:
    assert judged(*LOADED, line).ok


@pytest.mark.parametrize(
    "line",
    [
        "2026-03-01 09:59:58,101 - m - ERROR - Error loading model: invalid load key, '\\x00'.. Using dummy model.",
        "2026-03-01 09:59:58,101 - m - WARNING - Initializing dummy model for testing",
        "Using dummy agent.",
    ],
)
def test_a_load_error_fails_whatever_the_exit_code(line: str) -> None:
    proof = judged(*LOADED, line)
    assert not proof.ok
    assert "the bot's log says" in proof.said


def test_another_version_fails_also_beside_the_right_one() -> None:
    line = "2026-03-01 09:59:59,101 - rl - INFO - Loading RL agent from ./models_saved/ensemble_v2.1.0.pkl"
    proof = judged(*LOADED, line)
    assert not proof.ok
    assert proof.said.startswith("it loaded another version than v2.0.0: Loading RL agent")


def test_to_speak_of_another_version_is_no_load() -> None:
    assert judged(*LOADED, "rolled back from v2.1.0").ok


def test_the_operators_patterns_hold_here_too() -> None:
    assert not judged("cannot find the moon", patterns=["moon"]).ok


def test_a_line_of_rubbish_is_only_a_line() -> None:
    assert judged("\udcff\x00" * 100, "x" * 100_000).ok
