"""The model files of the demo's bot: whole, or refused."""

from pathlib import Path

import pytest

from demo.bot import modelfile
from demo.bot.make import Damage, damage_file
from demo.bot.modelfile import ModelFileError
from demo.bot.models import agent_from, ensemble_from

PAYLOAD = {"kind": "rl_agent", "version": "v2.0.0", "exposure": 1.0}
ENSEMBLE = {
    "kind": "ensemble",
    "version": "v2.0.0",
    "weights": [0.1] * 8,
    "win_rate": 0.7,
    "take_pct": 0.06,
    "stop_pct": 0.05,
    "longest_losing_run": 4,
}


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    modelfile.write(tmp_path / "model.bin", PAYLOAD)
    assert modelfile.read(tmp_path / "model.bin") == PAYLOAD


def test_a_wrong_byte_anywhere_is_found() -> None:
    whole = modelfile.encode(PAYLOAD)
    for place in range(len(whole)):
        for bit in (0x01, 0x80):
            damaged = bytearray(whole)
            damaged[place] ^= bit
            with pytest.raises(ModelFileError):
                modelfile.decode(bytes(damaged))


def test_every_missing_end_and_every_surplus_is_found() -> None:
    whole = modelfile.encode(PAYLOAD)
    for length in range(len(whole)):
        with pytest.raises(ModelFileError):
            modelfile.decode(whole[:length])
    with pytest.raises(ModelFileError, match="of a model of"):
        modelfile.decode(whole + b"\n")


@pytest.mark.parametrize(
    ("how", "message"),
    [("zeroed", r"invalid load key, '\\x00'\."), ("flipped", "CRC-32"), ("truncated", "bytes of a model of")],
)
def test_a_damaged_file_is_refused_in_the_words_of_real_loaders(
    how: Damage, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.bin"
    modelfile.write(path, PAYLOAD)
    damage_file(path, how)
    with pytest.raises(ModelFileError, match=message):
        modelfile.read(path)


def test_another_kind_of_model_is_refused() -> None:
    with pytest.raises(ModelFileError, match="bad magic number"):
        ensemble_from(PAYLOAD)
    with pytest.raises(ModelFileError, match="bad magic number"):
        agent_from(ENSEMBLE)


@pytest.mark.parametrize(
    "wrong", [{"weights": [0.1] * 7}, {"weights": None}, {"win_rate": "high"}, {"longest_losing_run": "x"}]
)
def test_an_ensemble_that_does_not_fit_the_bot_is_refused(wrong: dict[str, object]) -> None:
    assert ensemble_from(ENSEMBLE).win_rate == 0.7
    with pytest.raises(ModelFileError):
        ensemble_from(ENSEMBLE | wrong)


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(ModelFileError, match="exposure"):
        agent_from({"kind": "rl_agent", "version": "v1"})


def test_a_model_that_needs_a_module_names_it() -> None:
    assert ensemble_from(ENSEMBLE | {"needs": ["json"]}).version == "v2.0.0"
    with pytest.raises(ModuleNotFoundError, match="No module named 'not_there_at_all'"):
        ensemble_from(ENSEMBLE | {"needs": ["json", "not_there_at_all"]})
