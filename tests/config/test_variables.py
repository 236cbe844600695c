from __future__ import annotations

from pathlib import Path

import pytest

from config.variables import FromVariable, VariableProblems, substitute
from tests.config.files import SMALLEST, loaded, only, told


def test_text_without_a_variable_is_left_alone() -> None:
    assert substitute("cost: $5 {x}", {}) == "cost: $5 {x}"
    assert not isinstance(substitute("plain", {}), FromVariable)


def test_a_variable_may_stand_anywhere_in_a_value() -> None:
    replaced = substitute("a${ONE}b${TWO}", {"ONE": "1", "TWO": ""})
    assert replaced == "a1b"
    assert isinstance(replaced, FromVariable)


def test_the_value_of_a_variable_is_not_substituted_again() -> None:
    assert substitute("${ONE}", {"ONE": "${TWO}", "TWO": "2"}) == "${TWO}"


def test_every_missing_variable_is_named() -> None:
    with pytest.raises(VariableProblems) as caught:
        substitute("${ONE} ${TWO} ${HOME}", {"HOME": "/root"})
    assert [("ONE" in m, "TWO" in m) for m in caught.value.messages] == [(True, False), (False, True)]


@pytest.mark.parametrize("text", ["${}", "${", "${A", "${A B}", "${1A}", "${A:-b}", "${../x}", "${É}"])
def test_a_variable_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(VariableProblems, match=r"is written \$\{NAME\}"):
        substitute(text, {"A": "a"})


def test_the_environment_goes_before_the_credential(tmp_path: Path) -> None:
    (tmp_path / "TOKEN").write_text("from the file\n")
    folder = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert substitute("${TOKEN}", folder) == "from the file"
    assert substitute("${TOKEN}", folder | {"TOKEN": "from outside"}) == "from outside"


@pytest.mark.parametrize(
    ("text", "value"), [("a", "a"), ("a\n", "a"), ("a\n\n", "a\n"), ("a\r\n", "a"), ("a ", "a ")]
)
def test_one_line_end_is_stripped_from_a_credential(tmp_path: Path, text: str, value: str) -> None:
    (tmp_path / "TOKEN").write_bytes(text.encode())
    assert substitute("${TOKEN}", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == value


def test_a_missing_or_unreadable_credential_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "FOLDER").mkdir()
    (tmp_path / "BINARY").write_bytes(b"\xff\xfe")
    with pytest.raises(VariableProblems) as caught:
        substitute("${NONE} ${FOLDER} ${BINARY}", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    none, folder, binary = caught.value.messages
    assert f"no file {tmp_path}/NONE" in none
    assert "LoadCredential=NONE" in none
    assert f"{tmp_path}/FOLDER cannot be read" in folder
    assert f"{tmp_path}/BINARY is not UTF-8" in binary


def test_a_missing_variable_is_reported_where_it_stands(tmp_path: Path) -> None:
    line = only(told(tmp_path, SMALLEST + "state_dir: ${WHERE}/x\n"))
    assert line.startswith(
        "8:12 state_dir the variable WHERE is not set: export it, or add LoadCredential=WHERE:"
    )


def test_several_missing_variables_of_one_value_are_all_reported(tmp_path: Path) -> None:
    assert len(told(tmp_path, SMALLEST + "state_dir: ${ONE}/${TWO}\n")) == 2


def test_numbers_switches_words_and_durations_may_come_from_variables(tmp_path: Path) -> None:
    environ = {
        "EQUITY": "1500.5",
        "TRADES": "12",
        "ON": "false",
        "MODE": "observe",
        "EVERY": "5s",
        "MOST": "10%",
    }
    text = SMALLEST.replace("2000", '"${EQUITY}"') + (
        "mode: ${MODE}\npoll_interval: ${EVERY}\n"
        'triggers: {sharpe: {min_trades: "${TRADES}", enabled: "${ON}"}, drawdown: {above: "${MOST}"}}\n'
    )
    settings = loaded(tmp_path, text, environ)
    assert settings.trade_log.initial_equity == 1500.5
    assert (settings.triggers.sharpe.min_trades, settings.triggers.sharpe.enabled) == (12, False)
    assert (settings.mode, settings.poll_interval.total_seconds(), settings.triggers.drawdown.above) == (
        "observe",
        5,
        0.1,
    )


@pytest.mark.parametrize("value", ["", "many", "1e3", "nan", "12x", "9" * 5000, "0x10"])
def test_a_variable_that_is_no_number_is_refused_where_a_number_must_be(tmp_path: Path, value: str) -> None:
    line = only(told(tmp_path, SMALLEST.replace("2000", '"${EQUITY}"'), {"EQUITY": value}))
    assert line.startswith("7:54 trade_log.initial_equity must be a ")


def test_a_number_in_quotes_is_no_number(tmp_path: Path) -> None:
    assert "must be a number" in only(told(tmp_path, SMALLEST.replace("2000", '"2000"')))


def test_a_variable_in_braces_without_quotes_is_explained(tmp_path: Path) -> None:
    text = SMALLEST.replace("{path: models_saved}", "{path: ${MODELS}}")
    assert "${NAME} must be in quotes" in only(told(tmp_path, text, {"MODELS": "m"}))


def test_a_variable_that_the_environment_garbled_is_refused(tmp_path: Path) -> None:
    assert "surrogate" in only(told(tmp_path, SMALLEST + "state_dir: ${X}\n", {"X": "a\udcff"}))
