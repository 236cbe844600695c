import sys
from pathlib import Path

import pytest

from watchdog.bots.matching import locate, same_command, same_program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("main.py", "other.py", "run.sh"):
        (tmp_path / name).write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "link.py").symlink_to("main.py")
    return tmp_path


@pytest.mark.parametrize(
    ("wanted", "actual"),
    [
        ("python main.py", "python main.py"),
        ("python main.py", "/usr/bin/python3.11 main.py"),
        ("python main.py", "python3 ./main.py"),
        ("python main.py", "python link.py"),
        ("python main.py", "python -u -OO main.py"),
        ("python main.py", "python -X dev -Wignore main.py"),
        ("python -u main.py", "python main.py"),
        ("python -m bot --paper", "python3 -u -m bot --paper"),
        ("./run.sh --paper", "/bin/sh ./run.sh --paper"),
        ("./run.sh", "/bin/sh -e ./run.sh"),
        ("/opt/bot/trader live", "trader live"),
    ],
)
def test_it_is_the_same_bot(folder: Path, wanted: str, actual: str) -> None:
    assert same_command(wanted.split(), actual.split(), None, folder)


@pytest.mark.parametrize(
    ("wanted", "actual"),
    [
        ("python main.py", ""),
        ("python main.py", "vim main.py"),
        ("python main.py", "python main.py --dry-run"),
        ("python main.py", "python other.py"),
        ("python main.py", "python missing.py"),
        ("python main.py", "python"),
        ("python main.py", "sh python main.py"),
        ("python -m bot", "python -m dashboard"),
        ("python -m bot", "python -c bot"),
        ("./run.sh", "/bin/sh -e -x ./run.sh"),
        ("./run.sh", "cat ./run.sh --paper"),
        ("./gone.sh", "/bin/sh ./run.sh"),
        ("trader live", "trader paper"),
        ("trader --at a\0b", "trader --at x"),
    ],
)
def test_it_is_another_process(folder: Path, wanted: str, actual: str) -> None:
    assert not same_command(wanted.split(), actual.split(), None, folder)


def test_an_absolute_path_to_the_script_is_the_same_bot(folder: Path) -> None:
    assert same_command(["python", "main.py"], ["python", str(folder / "main.py")], None, folder)


def test_a_program_may_be_called_by_another_name_of_its_file(folder: Path) -> None:
    trader = folder / "trader"
    trader.symlink_to(sys.executable)
    assert same_program(str(trader), "something", str(Path(sys.executable).resolve()), folder)
    assert not same_program(str(trader), "something", "/bin/cat", folder)
    assert not same_program(str(trader), "something", None, folder)


def test_one_file_with_many_names_is_many_programs(folder: Path) -> None:
    busybox = folder / "busybox"
    busybox.touch()
    (folder / "ash").symlink_to("busybox")
    assert not same_program(str(folder / "ash"), "cat", str(busybox), folder)


def test_an_installed_script_is_found_through_the_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    assert same_command(["run.sh", "live"], ["/bin/sh", str(folder / "run.sh"), "live"], None, Path("/"))
    assert locate("nowhere", folder) is None
