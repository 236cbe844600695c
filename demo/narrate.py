"""`model-watchdog demo`: a real daemon guards a real bot in a throw-away folder, and we say what happens.

Nothing is staged: the daemon is the one that guards real bots, the bot loads and fails by itself. This program only
makes the folder, damages a file where the cause is a damaged file, and reads the daemon's journal aloud.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

import config
from config import Settings
from demo.bot.make import DemoBot, damage_file, make_bot
from notifier import Outbox
from watchdog.assemble import journal_path
from watchdog.assemble import make_bot as control_of
from watchdog.incident import Incident
from watchdog.journal import Journal, JournalError
from watchdog.messages import span
from watchdog.report import folder as incident_folder

MOST_S = 75.0
LOOK_S = 0.2
SAY_EVERY_S = 1.5
"""The tick's sentence changes with every trade; people want it now and then."""


@dataclass(frozen=True)
class Cause:
    """One way for a model to be bad."""

    story: str
    make: Callable[[Path], DemoBot]
    after_s: float | None = None
    """When its file is damaged, counted from the bot's start; None: never."""


CAUSES = {
    "drawdown": Cause(
        "v2.1.0 was promoted an hour ago and loses money", lambda folder: make_bot(folder, flavour="drawdown")
    ),
    "loss_streak": Cause(
        "v2.1.0 was promoted an hour ago and loses a little with every trade",
        lambda folder: make_bot(folder, flavour="loss_streak"),
    ),
    "load_error": Cause(
        "v2.1.0 cannot be loaded; its bot would go on with a dummy model that trades at random",
        lambda folder: make_bot(folder, flavour="unloadable"),
    ),
    "checksum": Cause(
        "v2.1.0 is sound, but its file is damaged while the bot runs",
        lambda folder: make_bot(folder, flavour="sound"),
        after_s=3.0,
    ),
    "sharpe": Cause(
        "v2.1.0 has lost slowly for 26 hours: only the Sharpe ratio tells",
        lambda folder: make_bot(folder, flavour="drifting", trades="low_sharpe", history_hours=26, promoted_ago=timedelta(hours=26)),
    ),
}  # fmt: skip


class Narrator:
    """Says things once, with the time."""

    def __init__(self, out: Console) -> None:
        self._out = out

    def say(self, text: str, style: str = "", at: datetime | None = None) -> None:
        """One line for people."""
        head, *rest = text.splitlines()
        when = f"[dim]{at or datetime.now(UTC):%H:%M:%S}[/]  "
        self._out.print(
            when + (f"[{style}]{escape(head)}[/]" if style else escape(head)), highlight=False, soft_wrap=True
        )
        for line in rest:
            self._out.print(f"          [dim]{escape(line)}[/]", highlight=False, soft_wrap=True)


def narrate(cause: str, out: Console) -> int:
    """Runs the demo to its end; 0 when the bot was brought back to v2.0.0 and everything is put away."""
    top = Path(tempfile.mkdtemp(prefix="model-watchdog-demo-"))
    narrator = Narrator(out)
    chosen = CAUSES[cause]
    bot = chosen.make(top / "bot")
    settings = config.load(_write_config(top, bot))
    narrator.say(f"a throw-away folder with a small trading bot: {bot.folder}")
    narrator.say(f"its registry holds v1.9.0 and v2.0.0, which are sound; {chosen.story}", "bold")
    with _daemon(settings, top / "watchdog.log") as daemon:
        narrator.say(
            f"the watchdog is started (pid {daemon.pid}); it looks every {span(settings.poll_interval)}"
        )
        try:
            incident = _follow(settings, bot, chosen, narrator, daemon)
        except KeyboardInterrupt:
            narrator.say("interrupted: everything is put away")
            return 1
    if incident is None:
        narrator.say(
            f"the demo did not come to its end; what the watchdog logged: {top / 'watchdog.log'}", "bold red"
        )
        return 1
    _sum_up(settings, bot, incident, out)
    return 0 if incident.outcome == "rolled_back" and incident.target == "v2.0.0" else 1


def _write_config(top: Path, bot: DemoBot) -> Path:
    """The watchdog.yaml of the demo: everything quick, so that one need not wait."""
    body: dict[str, Any] = {
        "bot": {
            "name": "demo-bot",
            "control": "process",
            "process": {"command": bot.command, "directory": str(bot.folder)},
            "log": str(bot.log),
            "stop_timeout": "5s",
            "start_timeout": "20s",
            "stays_up_for": "2s",
        },
        "registry": {"path": str(bot.models)},
        "trade_log": {"path": str(bot.trade_log), "initial_equity": bot.settings().initial_equity},
        "poll_interval": "1s",
        "triggers": {"checksum": {"for": "2s"}},
        "rollback": {"monitor_for": "5s", "validate_for": "5s"},
    }
    path = top / "watchdog.yaml"
    path.write_text(yaml.safe_dump(body, sort_keys=False), encoding="utf-8")
    return path


@contextmanager
def _daemon(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The real daemon. Afterwards neither it nor the bot is left running."""
    with log.open("wb") as file:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "watchdog", "run", "--config", str(settings.path)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield daemon
    finally:
        daemon.terminate()
        try:
            daemon.wait(15)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        journal = Journal(journal_path(settings), read_only=True) if journal_path(settings).exists() else None
        asyncio.run(control_of(settings, journal).stop(5.0))
        if journal is not None:
            journal.close()


def _follow(
    settings: Settings, bot: DemoBot, cause: Cause, narrator: Narrator, daemon: subprocess.Popen[bytes]
) -> Incident | None:
    """Reads the journal aloud until the incident is closed; None when it is not within `MOST_S`."""
    began, told, sentence, said_at = time.monotonic(), 0, "", 0.0
    damage_at = None if cause.after_s is None else began + cause.after_s + 2.0
    while time.monotonic() - began < MOST_S and daemon.poll() is None:
        time.sleep(LOOK_S)
        if damage_at is not None and time.monotonic() > damage_at:
            damage_at = None
            path = bot.model_file("v2.1.0")
            damage_file(path)
            narrator.say(f"we damage {path.name}: its first 16 bytes are overwritten with zeros", "bold")
        try:
            journal = Journal(journal_path(settings), read_only=True)
        except JournalError:
            continue
        try:
            tick = journal.get("tick") or {}
            now_said = tick.get("sentence", "")
            busy = journal.open_one() is not None
            if now_said != sentence and not busy and time.monotonic() - said_at > SAY_EVERY_S:
                sentence, said_at = now_said, time.monotonic()
                narrator.say(sentence)
            told = _alerts(settings, told, narrator)
            closed = next((i for i in journal.incidents() if not i.open), None)
            if closed is not None:
                _alerts(settings, told, narrator)
                return closed
        finally:
            journal.close()
    return None


def _alerts(settings: Settings, told: int, narrator: Narrator) -> int:
    """The alerts as they would come on Telegram."""
    outbox = Outbox(journal_path(settings))
    try:
        fresh = sorted((a for a in outbox.recent(50) if a.id > told), key=lambda a: a.id)
    finally:
        outbox.close()
    for alert in fresh:
        style = {"critical": "bold red", "warning": "yellow"}.get(alert.severity, "green")
        narrator.say(f"{'ALERT ' if style != 'green' else ''}{alert.text}", style)
    return max([told, *(a.id for a in fresh)])


def _sum_up(settings: Settings, bot: DemoBot, incident: Incident, out: Console) -> None:
    journal = Journal(journal_path(settings), read_only=True)
    try:
        steps = {row.step: row for row in journal.steps(incident)}
    finally:
        journal.close()
    back = steps.get("confirm_loaded") or steps["close"]
    took = span((back.ended_at or incident.opened_at) - incident.opened_at)
    report = incident_folder(settings.state_dir, incident.id)
    out.print(
        Panel(
            escape(
                f"{incident.from_version} was rolled back to {incident.target}: {incident.reason}\n"
                f"From the decision to the proof that the bot runs {incident.target}: {took}. "
                f"By hand, the playbook reckons with 2 to 5 minutes.\n\n"
                f"Look next:\n"
                f"  the report        {report / 'report.md'}\n"
                f"  the evidence      {report / 'evidence.json'}\n"
                f"  the registry      {bot.models / 'registry.json'}\n"
                f"  the bot's log     {bot.log}\n"
                f"  its configuration {settings.path}\n"
                f"  all incidents     model-watchdog incidents --config {settings.path}\n"
                f"For your own bot: model-watchdog init YOUR_BOTS_FOLDER"
            ),
            title=f"incident {incident.id}: {(incident.outcome or '').replace('_', ' ')}",
            border_style="green" if incident.outcome == "rolled_back" else "red",
        )
    )
