"""What systemd hears, on real datagram sockets."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchdog.sdnotify import SdNotify


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify"), "PATH": "/bin"}


def heard(sock: socket.socket) -> list[str]:
    return sock.recv(4096).decode().split("\n")


def test_each_message_arrives_in_the_words_of_sd_notify(
    systemd: socket.socket, environ: dict[str, str]
) -> None:
    notify = SdNotify(environ)
    assert notify.ready("watching v2.1.0")
    assert heard(systemd) == ["READY=1", "STATUS=watching v2.1.0"]
    assert notify.ready()
    assert heard(systemd) == ["READY=1"]
    assert notify.status("drawdown 3.1 %, größer")
    assert heard(systemd) == ["STATUS=drawdown 3.1 %, größer"]
    assert notify.watchdog()
    assert heard(systemd) == ["WATCHDOG=1"]
    assert notify.stopping("handing over")
    assert heard(systemd) == ["STOPPING=1", "STATUS=handing over"]


def test_a_reload_carries_the_monotonic_time_in_microseconds(
    systemd: socket.socket, environ: dict[str, str]
) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert SdNotify(environ).reloading()
    first, second = heard(systemd)
    assert first == "RELOADING=1"
    match = re.fullmatch(r"MONOTONIC_USEC=(\d+)", second)
    assert match is not None
    assert before <= int(match[1]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_an_abstract_address_is_understood() -> None:
    name = f"model-watchdog-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.setblocking(False)
        assert SdNotify({"NOTIFY_SOCKET": f"@{name}"}).watchdog()
        assert heard(sock) == ["WATCHDOG=1"]


def test_a_status_of_many_lines_cannot_smuggle_in_another_message(
    systemd: socket.socket, environ: dict[str, str]
) -> None:
    assert SdNotify(environ).status("bad news\nREADY=1\rSTOPPING=1")
    assert heard(systemd) == ["STATUS=bad news READY=1 STOPPING=1"]


def test_a_status_that_is_no_valid_text_is_still_told(
    systemd: socket.socket, environ: dict[str, str]
) -> None:
    assert SdNotify(environ).status("model \udcff.pkl")
    assert heard(systemd) == ["STATUS=model ?.pkl"]


def test_no_child_inherits_the_socket_or_the_watchdog(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (
        ("NOTIFY_SOCKET", str(tmp_path / "n")),
        ("WATCHDOG_USEC", "1"),
        ("WATCHDOG_PID", "1"),
    ):
        monkeypatch.setenv(name, value)
    SdNotify()
    code = "import os; print([k for k in os.environ if k.startswith(('NOTIFY', 'WATCHDOG'))])"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("variables", "expected_s"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
    ],
)
def test_the_watchdog_time_is_ours_only_if_it_names_us(
    variables: dict[str, str], expected_s: float | None
) -> None:
    assert SdNotify(variables).watchdog_s == expected_s


def test_outside_of_systemd_nothing_is_told() -> None:
    notify = SdNotify({})
    assert not notify.enabled
    assert not any(
        (notify.ready(), notify.status("x"), notify.watchdog(), notify.stopping(), notify.reloading())
    )


@pytest.mark.parametrize(
    "address", ["/nobody/listens/here", "@nobody-listens-here", "/" + "x" * 300, "vsock:2:1"]
)
def test_a_socket_that_cannot_be_reached_is_no_error(address: str) -> None:
    assert not SdNotify({"NOTIFY_SOCKET": address}).watchdog()


def test_a_full_queue_neither_blocks_nor_raises(systemd: socket.socket, environ: dict[str, str]) -> None:
    notify = SdNotify(environ)
    started_s = time.monotonic()
    answers = [notify.watchdog() for _ in range(5000)]
    assert answers[0]
    assert not answers[-1], "the queue of a socket that nobody reads never filled up"
    assert time.monotonic() - started_s < 5.0
    heard(systemd)
    assert notify.watchdog(), "once there is room again, messages pass"
