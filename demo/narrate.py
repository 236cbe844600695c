"""`model-watchdog demo`: a real daemon guards a real bot in a throw-away folder, and we say what happens.

Nothing is staged: the daemon is the one that guards real bots, the bot loads and fails by itself. This program only
makes the folder, damages a file where the cause is a damaged file, and reads the daemon's journal aloud.
"""

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

import config
from config import Settings
from demo.bot.make import DemoBot, damage_file
from demo.causes import CAUSES, Cause
from notifier import NotifyError, Outbox
from watchdog.assemble import journal_path
from watchdog.controls import make_bot as control_of
from watchdog.incident import Incident
from watchdog.journal import Journal, JournalError
from watchdog.messages import span
from watchdog.reading import open_journal
from watchdog.report import folder as incident_folder

MOST_S = 75.0
LOOK_S = 0.2
SAY_EVERY_S = 1.5
LOADS_WITHIN_S = 10.0


class Narrator:
    """Says things once, with the time. Long lines are left to the terminal, so that paths stay whole."""

    def __init__(self, out: Console) -> None:
        self._out = out

    def say(self, text: str, style: str = "", at: datetime | None = None) -> None:
        """One line for people, further ones dim below it."""
        head, *rest = text.splitlines()
        self._print(Text(f"{at or datetime.now(UTC):%H:%M:%S}  ", "dim").append(head, style or "default"))
        for line in rest:
            self._print(Text(f"          {line}", "dim"))

    def plain(self, text: str = "", style: str = "") -> None:
        """One line without a time."""
        self._print(Text(text, style))

    def _print(self, line: Text) -> None:
        self._out.print(line, highlight=False, soft_wrap=True)


def narrate(cause: str, out: Console) -> int:
    """Runs the demo to its end; 0 when the bot was brought back to v2.0.0 and everything is put away."""
    top = Path(tempfile.mkdtemp(prefix="model-watchdog-demo-"))
    narrator, chosen = Narrator(out), CAUSES[cause]
    bot = chosen.make(top / "bot")
    settings = config.load(_write_config(top, bot))
    narrator.say(f"a throw-away folder with a small trading bot: {bot.folder}")
    narrator.say(f"its registry holds v1.9.0 and v2.0.0, which are sound; {chosen.story}", "bold")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended by whom ever, nothing is left running
    try:
        with _running(settings, bot, chosen, narrator, top / "watchdog.log") as daemon:
            incident = _follow(settings, bot, chosen, narrator, daemon)
    except KeyboardInterrupt:
        narrator.say("interrupted: everything is put away")
        return 1
    if incident is None:
        log = top / "watchdog.log"
        narrator.say(f"the demo did not come to its end; what the watchdog logged: {log}", "bold red")
        return 1
    _sum_up(settings, bot, incident, narrator)
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
def _running(
    settings: Settings, bot: DemoBot, cause: Cause, narrator: Narrator, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The real daemon, and before it the bot where a person starts that. Afterwards neither is left running."""
    by_hand, daemon = None, None
    try:
        if cause.started_by_hand:
            by_hand = bot.start()
            narrator.say(f"somebody started the bot by hand, before there was a watchdog (pid {by_hand.pid})")
            _wait_until_loaded(bot, by_hand)
        with log.open("wb") as file:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "watchdog", "run", "--config", str(settings.path)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        every = span(settings.poll_interval)
        narrator.say(f"the watchdog is started (pid {daemon.pid}); it looks every {every}")
        yield daemon
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl+C must not leave a bot behind
            signal.signal(number, signal.SIG_IGN)
        if daemon is not None:
            _end(daemon)
        journal = open_journal(settings)
        asyncio.run(control_of(settings, journal).stop(5.0))
        if journal is not None:
            journal.close()
        if by_hand is not None:
            by_hand.wait()


def _wait_until_loaded(bot: DemoBot, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + LOADS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        if bot.log.exists() and "RL agent loaded successfully" in bot.log.read_text(encoding="utf-8"):
            return
        time.sleep(LOOK_S)


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(15)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _follow(
    settings: Settings, bot: DemoBot, cause: Cause, narrator: Narrator, daemon: subprocess.Popen[bytes]
) -> Incident | None:
    """Reads the journal aloud until the incident is closed; None when it is not within `MOST_S`."""
    story = _Story(settings, narrator, adopts=cause.started_by_hand)
    began, damage_at = time.monotonic(), None
    while time.monotonic() - began < MOST_S and daemon.poll() is None:
        time.sleep(LOOK_S)
        if story.watching and cause.damaged_after_s is not None and damage_at is None:
            damage_at = time.monotonic() + cause.damaged_after_s
        if damage_at is not None and time.monotonic() > damage_at:
            damage_at = float("inf")
            path = bot.model_file("v2.1.0")
            damage_file(path)
            narrator.say(f"we damage {path.name}: its first 16 bytes are overwritten with zeros", "bold")
        try:
            closed = story.read_on()
        except (JournalError, NotifyError):
            continue  # the daemon is just making it
        if closed is not None:
            return closed
    return None


class _Story:
    """What of the journal was read aloud already."""

    def __init__(self, settings: Settings, narrator: Narrator, *, adopts: bool) -> None:
        self._settings, self._narrator = settings, narrator
        self._adopts = adopts
        self._told, self._sentence, self._said_at_s = 0, "", 0.0
        self.watching = False
        """Whether a tick found the bot running."""

    def read_on(self) -> Incident | None:
        """Tells what is new; the incident once it is closed."""
        journal = open_journal(self._settings)
        if journal is None:
            return None
        try:
            self._tell_bot(journal.get("bot"))
            busy = journal.open_one() is not None
            self._tell_sentence((journal.get("tick") or {}).get("sentence", ""), busy)
            closed = next((incident for incident in journal.incidents() if not incident.open), None)
        finally:
            journal.close()
        self._tell_alerts()
        return closed

    def _tell_bot(self, remembered: list[Any] | None) -> None:
        if remembered and not self.watching:
            self.watching = True
            if self._adopts:
                self._narrator.say(
                    f"the watchdog has taken over the bot that runs already (pid {remembered[0]})"
                )

    def _tell_sentence(self, sentence: str, busy: bool) -> None:
        """It changes with every trade; people want it now and then."""
        if sentence != self._sentence and not busy and time.monotonic() - self._said_at_s > SAY_EVERY_S:
            self._sentence, self._said_at_s = sentence, time.monotonic()
            self._narrator.say(sentence)

    def _tell_alerts(self) -> None:
        """The alerts as they would come on Telegram."""
        outbox = Outbox(journal_path(self._settings))
        try:
            fresh = sorted((a for a in outbox.recent(50) if a.id > self._told), key=lambda a: a.id)
        finally:
            outbox.close()
        for alert in fresh:
            style = {"critical": "bold red", "warning": "yellow"}.get(alert.severity, "green")
            self._narrator.say(f"{'ALERT ' if style != 'green' else ''}{alert.text}", style)
            self._told = alert.id


def _sum_up(settings: Settings, bot: DemoBot, incident: Incident, narrator: Narrator) -> None:
    journal = Journal(journal_path(settings), read_only=True)
    try:
        steps = {row.step: row for row in journal.steps(incident)}
    finally:
        journal.close()
    report = incident_folder(settings.state_dir, incident.id)
    narrator.plain()
    if incident.outcome == "rolled_back":
        took = span((steps["confirm_loaded"].ended_at or incident.opened_at) - incident.opened_at)
        narrator.plain(f"incident {incident.id}: rolled back", "bold green")
        narrator.plain(f"{incident.from_version} was rolled back to {incident.target}: {incident.reason}")
        narrator.plain(f"From the decision to the proof that the bot runs {incident.target}: {took}.")
        narrator.plain("By hand, the playbook reckons with 2 to 5 minutes.")
    else:
        narrator.plain(
            f"incident {incident.id}: {incident.outcome}, which was not to be expected", "bold red"
        )
        narrator.plain(incident.reason)
    narrator.plain()
    narrator.plain("Look next:", "bold")
    for what, where in (
        ("the report", report / "report.md"),
        ("the evidence", report / "evidence.json"),
        ("the registry", bot.models / "registry.json"),
        ("the bot's log", bot.log),
        ("the watchdog's log", settings.path.parent / "watchdog.log"),
        ("its configuration", settings.path),
        ("all incidents", f"{_program()} incidents --config {settings.path}"),
        ("for your own bot", f"{_program()} init YOUR_BOTS_FOLDER"),
    ):
        narrator.plain(f"  {what:<18}  {where}")


def _program() -> str:
    """As it was called, so that the line can be copied."""
    return sys.argv[0] if Path(sys.argv[0]).name == "model-watchdog" else "model-watchdog"
