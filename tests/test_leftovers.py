"""What the tests hold themselves to."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
import subprocess

def test_it():
    subprocess.Popen(["sleep", "60"], start_new_session=True, stdout=subprocess.DEVNULL)
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_that_leaves_a_process_behind_has_failed(tmp_path: Path, workers: str) -> None:
    (tmp_path / "test_leaves.py").write_text(TEST, encoding="utf-8")
    options = [
        "-c",
        os.devnull,
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore",
        "-n",
        workers,
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={tmp_path}", str(tmp_path)],
        cwd=Path(__file__).parents[1],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    named = re.search(r"^  (\d+) \(sleep 60\), started in test_leaves.py::test_it", done.stdout, re.MULTILINE)
    assert named, done.stdout + done.stderr
    os.kill(int(named[1]), signal.SIGKILL)
    assert "1 passed" in done.stdout
    assert done.returncode == 1
