"""`check`: walks through all that a rollback needs, before it is needed, and says how to mend what is not good."""

import asyncio
import importlib.metadata
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config import Settings
from notifier import TelegramChannel, TransportError
from registry import ModelRegistry, RegistryError
from watchdog.assemble import UnsupportedError, journal_path, locks, make_bot
from watchdog.bot_log import BotLogParser
from watchdog.follow import Follower
from watchdog.orders import ControlFolder, OrderError
from watchdog.proof import names_of
from watchdog.trade_log import TradeLogDecoder

Grade = Literal["good", "note", "bad"]


@dataclass(frozen=True)
class Finding:
    """One line of the table. `mend` says what to do about it."""

    what: str
    grade: Grade
    found: str
    mend: str = ""


def show(settings: Settings, out: Console) -> int:
    """Prints the table; 1 when something is bad."""
    findings = [finding for part in PARTS for finding in part(settings)]
    table = Table(box=None, header_style="dim")
    for column in ("", "what", "found", "how to mend it"):
        table.add_column(column, overflow="fold")
    marks = {"good": "[green]good[/]", "note": "[yellow]note[/]", "bad": "[bold red]BAD[/]"}
    for f in findings:
        table.add_row(marks[f.grade], escape(f.what), escape(f.found), escape(f.mend))
    out.print(table)
    bad = sum(f.grade == "bad" for f in findings)
    notes = sum(f.grade == "note" for f in findings)
    verdict = "ready to guard this bot" if not bad else f"{bad} to mend before this bot is guarded"
    out.print(f"[{'green' if not bad else 'bold red'}]{verdict}[/]{f', {notes} to know of' if notes else ''}")
    return 1 if bad else 0


def _configuration(settings: Settings) -> Iterator[Finding]:
    yield Finding("configuration", "good", f"{settings.path} holds no mistake")
    if settings.mode == "observe":
        yield Finding("mode", "note", "observe: the watchdog tells and does not act", "to arm it: mode: act")
    mode = settings.path.stat().st_mode
    if (
        settings.secrets()
        and mode & stat.S_IROTH
        and "${" not in settings.path.read_text(encoding="utf-8", errors="replace")
    ):
        yield Finding(
            "secrets",
            "bad",
            f"{settings.path} holds secrets and everybody can read it",
            f"chmod 600 {settings.path}, or use ${{NAME}}",
        )
    if settings.exchange is None:
        yield Finding(
            "exchange",
            "note",
            "not configured: open orders and positions are not looked at",
            "after a rollback, look yourself",
        )
    else:
        yield Finding(
            "exchange",
            "note",
            "this version does not look at the exchange yet",
            "after a rollback, look at orders and positions yourself",
        )
    off = [
        name
        for name in ("sharpe", "drawdown", "loss_streak", "load_error", "checksum")
        if not getattr(settings.triggers, name).enabled
    ]
    if off:
        yield Finding("rules", "note", f"switched off: {', '.join(off)}")


def _folders(settings: Settings) -> Iterator[Finding]:
    for what, path in (("state_dir", settings.state_dir), ("registry.path", settings.registry.path)):
        existing = path if path.exists() else next(parent for parent in path.parents if parent.exists())
        if what == "registry.path" and not path.is_dir():
            yield Finding(
                what,
                "bad",
                f"{path} is not there",
                "set registry.path to the folder that holds registry.json",
            )
        elif not os.access(existing, os.W_OK | os.X_OK):
            yield Finding(
                what,
                "bad",
                f"{existing}: this user (uid {os.geteuid()}) cannot write there",
                f"chown {os.geteuid()} {existing}",
            )
        else:
            free = shutil.disk_usage(existing).free / 2**20
            grade: Grade = "good" if free > 100 else "bad"
            yield Finding(
                what, grade, f"{path}: writable, {free:,.0f} MiB free", "" if grade == "good" else "make room"
            )
    control = ControlFolder(settings.control_dir)
    try:
        if settings.control_dir.exists():
            control.inspect()
            yield Finding("control_dir", "good", f"{settings.control_dir}: only its owner gives orders")
        else:
            yield Finding("control_dir", "good", f"{settings.control_dir}: is made at the first start")
    except OrderError as error:
        text, _, mend = str(error).rpartition(": ")
        yield Finding("control_dir", "bad", text, mend)


def _bot(settings: Settings) -> Iterator[Finding]:
    try:
        bot = make_bot(settings, None)
    except UnsupportedError as error:
        yield Finding("bot", "bad", str(error), "use control: process")
        return
    process = settings.bot.process
    assert process is not None
    if not process.directory.is_dir():
        yield Finding(
            "bot directory", "bad", f"{process.directory} is not there", "set bot.process.directory"
        )
        return
    program = shutil.which(process.command[0], path=None) or shutil.which(
        process.directory / process.command[0]
    )
    if program is None:
        yield Finding(
            "bot command",
            "bad",
            f"{process.command[0]} is not found in PATH",
            "give its full path in bot.process.command",
        )
    else:
        yield Finding(
            "bot command", "good", f"{' '.join(process.command)} ({program}) in {process.directory}"
        )
    found = bot.find()
    if len(found) == 1:
        yield Finding("bot process", "good", f"runs as pid {found[0].pid}; it will be adopted")
    elif found:
        yield Finding(
            "bot process",
            "bad",
            f"{len(found)} run at once: pids {', '.join(str(r.pid) for r in found)}",
            "end all but one",
        )
    else:
        yield Finding(
            "bot process",
            "note",
            "does not run; the watchdog will start it",
            "to keep it down: model-watchdog pause",
        )


def _logs(settings: Settings) -> Iterator[Finding]:
    decoder = TradeLogDecoder(settings.bot.tz)
    trades = Follower(settings.trade_log.path)
    usable = 0
    while True:
        lines = trades.read()
        usable += sum(decoder.decode(line) is not None for line in lines)
        if trades.caught_up:
            break
    if trades.trouble:
        yield Finding(
            "trade log", "note", trades.trouble, "right if the bot has never run; else set trade_log.path"
        )
    else:
        odd = f", {decoder.garbled} unusable lines" if decoder.garbled else ""
        yield Finding(
            "trade log",
            "good" if usable or not odd else "bad",
            f"{settings.trade_log.path}: {usable} records{odd}",
        )
    yield _names_version(settings)


def _names_version(settings: Settings) -> Finding:
    """Whether a restart could be proved: the log of the bot must name the version, or its files, when it loads it."""
    log = Follower(settings.bot.log)
    registry = ModelRegistry(settings.registry.path, links=settings.registry.links)
    parser = BotLogParser(settings.bot.tz)
    try:
        versions = [
            names_of(v, registry.artifacts(v), settings.registry.links) for v in registry.registry["models"]
        ]
    except RegistryError:
        versions = []
    named = False
    while True:
        lines = [*parser.feed(log.read()), *parser.flush()]
        named = named or any(names.named_in(line.message) for line in lines for names in versions)
        if log.caught_up:
            break
    if log.trouble:
        return Finding("bot log", "note", log.trouble, "right if the bot has never run; else set bot.log")
    if not named:
        return Finding(
            "bot log", "bad", f"{settings.bot.log} names no version and no model file",
            "let the bot log the path or version that it loads: without it no restart can be proved",
        )  # fmt: skip
    return Finding("bot log", "good", f"{settings.bot.log} names the versions that it loads")


def _registry(settings: Settings) -> Iterator[Finding]:
    registry = ModelRegistry(settings.registry.path, links=settings.registry.links)
    try:
        data = registry.read()
        current = data["current_version"]
        if current is None or current not in data["models"]:
            yield Finding("registry", "bad", f"{registry.path} names no current version", "promote a version")
            return
        for version in data["models"]:
            yield _version(registry, version, version == current)
        if not registry.links_right():
            yield Finding(
                "links",
                "bad",
                "a fixed file name does not point to the current version",
                "promote the current version again",
            )
        survey = registry.survey()
    except RegistryError as error:
        yield Finding("registry", "bad", str(error))
        return
    if survey.target is None:
        passed = "; ".join(f"{v}: {why}" for v, why in survey.passed_over.items())
        yield Finding(
            "rollback target",
            "bad",
            f"none{f' ({passed})' if passed else ''}",
            "register and promote a known-good version, then the newer one",
        )
    else:
        yield Finding("rollback target", "good", f"{survey.target}, verified")


def _version(registry: ModelRegistry, version: str, current: bool) -> Finding:
    what = f"version {version}{' (current)' if current else ''}"
    try:
        states = registry.check(version)
    except RegistryError as error:
        return Finding(what, "bad" if current else "note", str(error))
    bad = [f"{state.path}: {state.state}" for state in states if not state.ok]
    if bad:
        return Finding(
            what,
            "bad" if current else "note",
            "; ".join(bad),
            "restore the file from a backup, or register the version anew",
        )
    quarantined = ", quarantined" if registry.is_quarantined(version) else ""
    return Finding(what, "good", f"{len(states)} file{'s' if len(states) > 1 else ''} verified{quarantined}")


def _lock(settings: Settings) -> Iterator[Finding]:
    pid = locks(settings)[0].holder()
    if pid is None:
        yield Finding(
            "watchdog",
            "note",
            "no watchdog is running",
            "systemctl start model-watchdog, or model-watchdog run",
        )
    else:
        yield Finding("watchdog", "good", f"runs as pid {pid}")
    if journal_path(settings).exists() and not os.access(journal_path(settings), os.W_OK):
        yield Finding(
            "journal",
            "bad",
            f"{journal_path(settings)} cannot be written by this user",
            "run as the watchdog's user",
        )


def _telegram(settings: Settings) -> Iterator[Finding]:
    telegram = settings.telegram
    if telegram is None:
        yield Finding(
            "telegram", "note", "not configured: alerts go to the console alone", "add a telegram section"
        )
        return
    channel = TelegramChannel(telegram.token.get_secret_value(), telegram.chat_id, telegram.base_url)

    async def ask() -> str:
        try:
            return await channel.me()
        finally:
            await channel.aclose()

    try:
        yield Finding("telegram", "good", f"getMe answers: {asyncio.run(ask())}; chat {telegram.chat_id}")
    except TransportError as error:
        yield Finding(
            "telegram", "bad", str(error), "see that the token is right and the bot is a member of the chat"
        )


def _name_clash(_: Settings) -> Iterator[Finding]:
    """PyPI's unrelated `watchdog` has the same import name."""
    try:
        other = importlib.metadata.distribution("watchdog")
    except importlib.metadata.PackageNotFoundError:
        yield Finding("import name", "good", f"`watchdog` is ours ({Path(__file__).parent})")
        return
    yield Finding(
        "import name",
        "bad",
        f"the unrelated package watchdog {other.version} is installed in the same environment and has the same "
        f"import name",
        "install model-watchdog into an environment of its own",
    )  # fmt: skip


PARTS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _configuration, _folders, _bot, _logs, _registry, _lock, _telegram, _name_clash,
)  # fmt: skip
