"""The words about people's orders: what they are answered, and what is left to do by hand."""

import json
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from config import Settings
from watchdog.bots.base import Running
from watchdog.bots.starter import who_started

PAUSE_OVER = "the pause is over: the watchdog acts again"
HALT_OVER = "the halt is over: the bot is started once its files verify, and the rules begin anew"
"""Answers to a resume; the command that gave the order knows by them what to wait for."""

PAUSE_OVER_OBSERVING = "the pause is over; mode is observe: the watchdog looks and tells, and does not act"
HALT_OVER_OBSERVING = (
    "the halt is over; mode is observe: the watchdog does not start the bot; the rules begin anew"
)


def observes(settings: Settings, what: str, daemon: int | None) -> str:
    """A person's rollback or halt while the watchdog only observes. `daemon`: its pid, if one runs."""
    by_hand = (
        "To stop the bot now, stop it yourself, the way it is run"
        if what == "halt"
        else f"To go back now, stop the bot yourself, put the version back with `{put_back(settings.path)}`, "
        "and start the bot"
    )
    reload = "" if daemon is None else f", reload the watchdog (`kill -HUP {daemon}`)"
    return (
        f"refused: mode is observe in {settings.path}, the watchdog does not touch the bot. {by_hand}. To let the "
        f"watchdog do it, set mode: act there{reload} and give the order again"
    )


def two_bots(running: Sequence[Running]) -> str:
    """That several run at once, who started each, and which to end. The first is the one that the watchdog follows."""
    each = ", ".join(f"pid {found.pid} started by {_starter(found)}" for found in running)
    return (
        f"{len(running)} bots are running at once ({each}), and trade twice: end {which_to_end(running)}; then "
        f"`model-watchdog status` says whether the other one runs the current version"
    )


def which_to_end(running: Sequence[Running]) -> str:
    """All but one: those that the watchdog did not start; where it started none, those that it does not follow."""
    first, *others = running
    foreign = [found for found in running if found.adopted]
    if not foreign or len(foreign) == len(running):
        return f"{_pids(others)} (the watchdog looks after pid {first.pid})"
    return f"{_pids(foreign)}, which the watchdog did not start"


def _pids(running: Sequence[Running]) -> str:
    return " and ".join(f"pid {found.pid}" for found in running)


def _starter(found: Running) -> str:
    return found.started_by or (who_started(found.pid) if found.adopted else "the watchdog")


def put_back(file: Path) -> str:
    """The playbook's script for the configuration in `file`, with full paths where they are known."""
    script = shlex.quote(str(_sources() / "scripts" / "rollback_model.py"))
    return f"{shlex.quote(sys.executable or 'python')} {script} --execute --config {shlex.quote(str(file))}"


def _sources() -> Path:
    """The folder that this was installed from: the scripts are not installed, they are run where they lie."""
    try:
        origin = json.loads(distribution("model-watchdog").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    url = urlsplit(origin.get("url", ""))
    return Path(unquote(url.path)) if url.scheme == "file" else Path(__file__).parents[1]


def how_to_restart(settings: Settings, pid: int) -> str:
    """The command, in words that follow "restart the bot"."""
    bot = settings.bot
    if bot.systemd is not None:
        scope = " --user" if bot.systemd.scope == "user" else ""
        return f": `systemctl{scope} restart {bot.systemd.unit}`"
    if bot.compose is not None:
        return f": `docker compose -f {bot.compose.file} restart {bot.compose.service}`"
    if settings.mode == "observe":
        return ""
    return f": end it (`kill {pid}`), and the watchdog starts it again"
