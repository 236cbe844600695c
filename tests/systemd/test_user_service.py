"""The shipped unit for a user's own systemd, with the bot as a unit beside it: no root, no polkit, no message bus."""

import time
from collections.abc import Callable

import pytest
import yaml

from tests.acceptance.house import CHAT, QUICK, merged
from tests.fakes.telegram import TOKEN, TelegramServer
from tests.machines.systemd import ENVIRONMENT, PYTHON, Machine, long, machine
from tests.systemd.guarded import BINARY, PATIENCE_S, UNITS

__all__ = ["machine"]

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(300), long]

USER = "quant"
HOME = f"/home/{USER}"
BOT = f"{HOME}/trading-bot"


def wait(predicate: Callable[[], object], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not predicate():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


def test_bot_and_watchdog_as_units_of_one_user(machine: Machine) -> None:
    with TelegramServer() as telegram:
        environ = machine.user_manager(USER)
        try:
            _rolls_back(machine, telegram, environ)
        finally:
            machine.systemctl("stop", f"user@{machine.user(USER)}.service")
            machine.run("rm", "-rf", "/opt/model-watchdog")


def _rolls_back(machine: Machine, telegram: TelegramServer, environ: dict[str, str]) -> None:
    def as_user(*command: str, check: bool = True) -> str:
        user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups")
        done = machine.run(*user, *command, check=check, environ={**environ, "HOME": HOME, "COLUMNS": "200"})
        return done.stdout + done.stderr

    own = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
    machine.write(BINARY, f'#!/bin/sh\nexec env {own} {PYTHON} -m watchdog "$@"\n', 0o755)
    as_user(
        PYTHON,
        "-c",
        f"from pathlib import Path; from demo.bot.make import make_bot;"
        f"make_bot(Path({BOT!r}), flavour='drawdown', trades_per_second=30)",
    )
    body = {
        "bot": {
            "name": "sol-perp",
            "control": "systemd",
            "systemd": {"unit": "trading-bot.service", "scope": "user"},
            "log": "logs/trading_bot.log",
        },
        "registry": {"path": "models_saved"},
        "trade_log": {"path": "logs/trades.jsonl", "initial_equity": 2000},
        "telegram": {"token": "${TELEGRAM_BOT_TOKEN}", "chat_id": CHAT, "base_url": telegram.base_url},
    }
    files = {
        f"{BOT}/watchdog.yaml": yaml.safe_dump(merged(body, QUICK)),
        f"{HOME}/.config/model-watchdog/TELEGRAM_BOT_TOKEN": TOKEN,
        f"{HOME}/.config/systemd/user/model-watchdog.service": (
            UNITS / "model-watchdog-user.service"
        ).read_text(),
        f"{HOME}/.config/systemd/user/trading-bot.service": (
            f"[Service]\nType=exec\nWorkingDirectory={BOT}\nEnvironment={own}\nRestart=always\n"
            f"ExecStart={PYTHON} main.py\n"
        ),
    }
    for path, text in files.items():
        machine.write(path, text)
    machine.run("chown", "-R", f"{USER}:", HOME)
    as_user("systemctl", "--user", "daemon-reload")
    as_user("systemctl", "--user", "start", "trading-bot")
    as_user("systemctl", "--user", "start", "model-watchdog")

    def story() -> str:
        return "\n".join([*telegram.texts, machine.run("journalctl", "--no-pager", "-n", "80").stdout])

    wait(lambda: any("is closed: v2.0.0 has run without a rule" in text for text in telegram.texts), story)
    registry = machine.read(f"{BOT}/models_saved/registry.json")
    assert '"current_version": "v2.0.0"' in registry
    assert as_user("systemctl", "--user", "is-active", "trading-bot").strip() == "active"
    said = as_user(
        "env", f"TELEGRAM_BOT_TOKEN={TOKEN}", BINARY, "check", "--config", f"{BOT}/watchdog.yaml", check=False
    )
    assert "may stop, kill and start trading-bot.service" in said, said
