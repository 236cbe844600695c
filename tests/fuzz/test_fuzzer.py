"""The fuzzer itself, as it is called: a short run over all targets, and what it says when it cannot run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import TOP, Result, fuzz, main, why_not

SECONDS = 12
in_ci = pytest.mark.skipif(
    os.environ.get("CI") != "true" and os.environ.get("MODEL_WATCHDOG_THOROUGH") != "1",
    reason="takes a quarter of a minute: runs with CI=true or MODEL_WATCHDOG_THOROUGH=1",
)


@in_ci
@pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")
def test_a_short_run_over_all_targets_finds_nothing(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        "all",
        "--together",
        "--seconds",
        str(SECONDS),
        "--keep",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("together")]
    assert int(line.split()[1].replace(",", "")) > 200, line
    assert not list(tmp_path.glob("finds/*/*"))


@in_ci
@pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")
def test_a_find_is_written_as_a_file_that_can_be_tried_again(tmp_path: Path) -> None:
    """`halt` is one of the words of the broken target's grammar, so that it is found in no time."""
    result = fuzz(["broken"], 20, 7, tmp_path)
    assert result.bad, result.said
    (file,) = result.files
    assert file.parent == tmp_path / "finds" / "broken"
    assert b"halt" in file.read_bytes()
    assert f"FOUND {file}" in str(result)


def test_an_unknown_target_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nonsense"])
    assert ended.value.code == 2
    assert "there are trade_log, bot_log" in capsys.readouterr().err


def test_a_fuzzer_that_did_not_come_to_its_end_counts_as_bad() -> None:
    good = Result("toy", 100, 2.0, 7, (), "Done 100 runs in 2 second(s)")
    assert (good.bad, str(good).split()) == (
        False,
        ["toy", "100", "executions,", "50", "a", "second,", "7", "edges"],
    )
    assert Result("toy", 0, 2.0, 0, (), "ImportError").bad
    assert Result("toy", 100, 2.0, 7, (), "#100 pulse").bad
    assert "FOUND ImportError" in str(Result("toy", 0, 2.0, 0, (), "ImportError"))
    assert "FOUND x/crash-1" in str(Result("toy", 9, 2.0, 0, (Path("x/crash-1"),), "many words"))


def test_one_input_can_be_tried_again_without_the_fuzzer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "input").write_bytes(b"garbage")
    assert main(["trade_log", "--once", str(tmp_path / "input")]) == 0
    assert "nothing" in capsys.readouterr().out
    assert main(["list"]) == 0
    assert "follower" in capsys.readouterr().out.split()
