"""The shipped unit with its drop-in for compose, in a real systemd beside a real engine: under all of its hardening."""

import base64
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.telegram import TelegramServer
from tests.machines.engine import why_not
from tests.machines.systemd import PYTHON, Machine, long, machine
from tests.systemd.guarded import FOLDER, OF_MAIN, UNITS, WATCHDOG, Guarded

__all__ = ["machine"]

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(300), long]

ENGINE = "docker.service"
UNIT = """[Service]
Type=notify
Delegate=yes
ExecStartPre=/bin/mkdir -p /var/engine
ExecStart=/usr/sbin/dockerd -H unix:///run/docker.sock --data-root /var/engine/data --exec-root /var/engine/exec \\
  --iptables=false --ip6tables=false --ip-forward=false --bridge=none --exec-opt native.cgroupdriver=cgroupfs
"""


def image() -> str:
    """Folders alone: the interpreter is mounted. As text."""
    file = BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("usr", "srv", "sbin", "app", "tmp", "etc", "proc", "sys", "dev"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        for name in ("bin", "lib", "lib64"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            archive.addfile(link)
    return base64.b64encode(file.getvalue()).decode()


class GuardedService(Guarded):
    """The demo's bot as service `bot`, as the user of the watchdog; the engine is the machine's own."""

    def install(self, **bot: Any) -> None:
        self.machine.install(ENGINE, UNIT)
        self.machine.systemctl("start", ENGINE)
        self.machine.run("sh", "-c", "base64 -d | docker import - bot:1", text=image())
        super().install(**bot)
        user = f"{self.machine.user('trading')}:{self.machine.run('id', '-g', 'trading').stdout.strip()}"
        self.machine.write(
            self.file, yaml.safe_dump({"version": "3.8", "services": {"bot": self.service(user)}})
        )
        self.configure(
            bot={"process": None, "compose": {"file": str(self.file), "service": "bot"}, "stop_timeout": "5s"}
        )
        self.install_drop_in()
        up = ["docker-compose", "-f", str(self.file), "up", "--detach", "bot"]
        self.machine.run(*up, environ={"PYTHONPATH": ""})  # it is a program of Debian's Python

    @property
    def file(self) -> Path:
        return FOLDER / "docker-compose.yml"

    def service(self, user: str) -> dict[str, Any]:
        mounts = ["/usr:/usr:ro", "/srv/python:/srv/python:ro", f"{FOLDER}:/app"]
        return {
            "image": "bot:1",
            "command": [PYTHON, "main.py"],
            "working_dir": "/app",
            "network_mode": "none",
            "restart": "unless-stopped",
            "user": user,
            "environment": {"TZ": "UTC"},
            "volumes": [*mounts, f"{FOLDER}/models_saved:/app/models_saved:ro"],
        }

    def install_drop_in(self) -> None:
        """As it is shipped."""
        text = (UNITS / "model-watchdog-compose.conf").read_text(encoding="utf-8")
        self.machine.install(f"{WATCHDOG}.d/compose.conf", text)

    def remove(self) -> None:
        self.machine.systemctl("stop", WATCHDOG, check=False)
        self.machine.run("sh", "-c", "docker rm -f $(docker ps -aq)", check=False)
        super().remove()
        self.machine.remove(ENGINE)
        self.machine.run("rm", "-rf", "/var/engine", check=False)


@pytest.fixture
def guarded(machine: Machine) -> Iterator[GuardedService]:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with TelegramServer() as telegram:
        made = GuardedService(machine, telegram, "compose")
        try:
            yield made
        finally:
            made.remove()


def test_the_shipped_service_rolls_a_container_back_under_its_hardening(guarded: GuardedService) -> None:
    machine = guarded.machine
    guarded.install(flavour="drawdown", trades_per_second=30, sigterm="flatten")
    guarded.wait(lambda: len(guarded.bots()) == 1, "the bot runs")
    first = guarded.bots()[0].pid
    machine.systemctl("start", WATCHDOG)
    guarded.wait_at("stop_bot", "settle_orders", "roll_back", "start_bot")
    machine.systemctl("kill", *OF_MAIN, WATCHDOG)
    assert guarded.wait(guarded.closed, "the incident is closed") == "rolled_back", guarded.story()
    assert (guarded.current(), len(guarded.journal()["incidents"])) == ("v2.0.0", 1), guarded.story()
    assert [p.pid for p in guarded.bots()] != [first]
    assert len(guarded.bots()) == 1, guarded.story()
    log = machine.read(FOLDER / "logs/trading_bot.log")
    assert "models_saved/ensemble_v2.0.0" in log.rpartition("Loading ML models")[2]
    guarded.wait(lambda: guarded.told("is closed: v2.0.0 has run without a rule firing"), "people are told")
    said = [
        line
        for line in machine.journal(WATCHDOG, 400).splitlines()
        if "ermission" in line or "not permitted" in line or "compose could not" in line
    ]
    assert said == []


def test_without_the_drop_in_check_says_what_is_missing_and_nobody_is_taken_for_down(
    guarded: GuardedService,
) -> None:
    guarded.install(flavour="sound", sigterm="flatten")
    said = guarded.as_trading(
        "env", "TELEGRAM_BOT_TOKEN=1:x", "/opt/model-watchdog/.venv/bin/model-watchdog", "check", "--config",
        "/etc/model-watchdog/watchdog.yaml", check=False,
    )  # fmt: skip
    assert "may not use the container engine" in " ".join(said.split()), said
    guarded.machine.path(f"/etc/systemd/system/{WATCHDOG}.d/compose.conf").unlink()
    guarded.machine.systemctl("daemon-reload")
    guarded.machine.systemctl("start", WATCHDOG)
    guarded.wait(lambda: guarded.told("whether the bot runs cannot be known"), "it is told")
    assert guarded.told("SupplementaryGroups=docker")
    assert len(guarded.bots()) == 1
