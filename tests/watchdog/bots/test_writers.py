"""A process that writes the bot's log under another command line than the configured one."""

import os
import subprocess
import sys
from pathlib import Path

from watchdog.bots.writers import told, writers


def child(folder: Path, mode: str) -> subprocess.Popen[bytes]:
    """Holds `log` open until its standard input is closed; has opened it when this returns."""
    code = f"f = open('log', {mode!r}); print('open', flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"open\n"
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def test_who_appends_to_the_log_in_the_bots_folder_is_seen(tmp_path: Path) -> None:
    process = child(tmp_path, "a")
    try:
        assert writers(tmp_path / "log", tmp_path) == [process.pid]
        assert f"pid {process.pid}, started by" in told([process.pid])
    finally:
        end(process)
    assert writers(tmp_path / "log", tmp_path) == []


def test_who_only_reads_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    process = child(tmp_path, "r")
    try:
        assert writers(tmp_path / "log", tmp_path) == []
    finally:
        end(process)


def test_nor_who_works_in_another_folder_nor_we_ourselves(tmp_path: Path) -> None:
    with (tmp_path / "log").open("a"):
        assert writers(tmp_path / "log", Path.cwd()) == []
        assert os.getpid() not in writers(tmp_path / "log", Path.cwd())
    process = child(tmp_path, "a")
    try:
        assert writers(tmp_path / "log", tmp_path.parent) == []
    finally:
        end(process)


def test_a_log_that_is_not_there_has_no_writer(tmp_path: Path) -> None:
    assert writers(tmp_path / "log", tmp_path) == []
