"""`check`: the bot's command, whether it runs, and whether its logs say what the watchdog needs."""

import os
import sqlite3
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from config import Settings
from registry import ModelRegistry, RegistryError
from watchdog.bot_log import BotLogParser
from watchdog.bots import proc
from watchdog.bots.base import look_at
from watchdog.bots.matching import locate
from watchdog.check_compose import bot_service
from watchdog.check_keys import bot_keys
from watchdog.check_unit import bot_unit
from watchdog.controls import make_bot
from watchdog.finding import Finding, is_missing
from watchdog.follow import Follower
from watchdog.journal import JournalError
from watchdog.messages import span
from watchdog.order_words import which_to_end
from watchdog.proof import Names, names_of
from watchdog.reading import halt_in_force
from watchdog.trade_log import TradeLogDecoder

OUT_OF_STEP = timedelta(minutes=15)
"""A record is written when it is stamped: what lies further from the file's own time is in another time zone."""


def bot_process(settings: Settings) -> Iterator[Finding]:
    """How the bot is run, and who runs it now."""
    return {"process": _command, "compose": bot_service, "systemd": bot_unit}[settings.bot.control](settings)


def _command(settings: Settings) -> Iterator[Finding]:
    """The command of a `process` bot, and who runs it now."""
    process = settings.bot.process
    assert process is not None  # as the settings were checked
    if not process.directory.is_dir():
        yield Finding(
            "bot directory", "bad", f"{process.directory} is no folder", "set bot.process.directory"
        )
        return
    program, command = locate(process.command[0], process.directory), " ".join(process.command)
    if program is None or not os.access(program, os.X_OK, effective_ids=True):
        why = "may not be executed" if program else "is not found"
        mend = "give the full path of the program in bot.process.command"
        yield Finding("bot command", "bad", f"{process.command[0]} {why} ({command})", mend)
    else:
        yield Finding("bot command", "good", f"{command} in {process.directory} ({program})")
        if "/" not in process.command[0] and program.is_relative_to(sys.prefix):
            which = f"{process.command[0]} is the one of the watchdog's own environment, without the bot's packages"
            yield Finding(
                "bot command", "note", which, "give the full path of the bot's in bot.process.command"
            )
    for script in (argument for argument in process.command[1:] if argument.endswith(".py")):
        if is_missing(process.directory / script):
            mend = "set bot.process.command, or bot.process.directory"
            yield Finding("bot command", "bad", f"{process.directory / script} is not there", mend)
    found = look_at(make_bot(settings, None))
    if len(found) > 1:
        pids = ", ".join(str(bot.pid) for bot in found)
        yield Finding(
            "bot process", "bad", f"{len(found)} bots run at once: pids {pids}", f"end {which_to_end(found)}"
        )
    elif found:
        how = "it will be adopted" if found[0].adopted else "it was started by the watchdog"
        yield Finding("bot process", "good", f"runs as pid {found[0].pid}; {how}")
        yield from _same_program(found[0].pid, program, process.directory)
        yield from bot_keys(settings, found[0].pid)
    elif settings.mode == "observe":
        yield Finding("bot process", "note", "does not run, and in mode observe it is not started")
    elif _halted(settings):
        mend = "to start it: model-watchdog resume"
        yield Finding(
            "bot process", "note", "does not run: it is halted, and stays down until a resume", mend
        )
    else:
        mend = "to keep it down: model-watchdog pause"
        yield Finding("bot process", "note", "does not run; the watchdog will start it", mend)


def _halted(settings: Settings) -> bool:
    """Whether a halt is in force; a journal that cannot be read is told by the part that looks at it."""
    try:
        return halt_in_force(settings) is not None
    except (JournalError, sqlite3.Error):
        return False


def _same_program(pid: int, program: Path | None, directory: Path) -> Iterator[Finding]:
    """Whether the running bot was started with the interpreter that it would be started with again."""
    first = next(iter(proc.arguments(pid)), "")
    its_own = locate(first, directory) if "/" in first else None
    if program is None or its_own is None or os.path.normpath(its_own) == os.path.normpath(program):
        return
    own = os.path.normpath(its_own)
    found = f"the bot runs with {own}, and would be started with {program}: perhaps without its packages"
    yield Finding("bot command", "bad", found, f"bot.process.command: [{own}, ...]")


def trade_log(settings: Settings) -> Iterator[Finding]:
    """Readable, in the format, and in the time zone that the configuration says."""
    path, log = settings.trade_log.path, Follower(settings.trade_log.path)
    decoder, records, newest = TradeLogDecoder(settings.bot.tz), 0, None
    while True:
        for decoded in decoder.decode_all(log.read()):
            records += 1
            newest = decoded.record.at
        if log.caught_up:
            break
    log.close()
    unusable = decoder.garbled + decoder.impossible + log.too_long
    if log.trouble:
        yield _unread("trade log", settings, log.trouble, "trade_log.path")
    elif records == 0 and (unusable or decoder.ignored):
        example = f": {decoder.first_garbled}" if decoder.first_garbled else ""
        found = f"{path}: no line is an entry, an exit or an equity record{example}"
        yield Finding("trade log", "bad", found, "set trade_log.path to the log of the bot's trades")
    else:
        odd = f", {unusable} lines that cannot be used" if unusable else ""
        yield Finding("trade log", "good", f"{path}: {records} records{odd}")
    if newest is not None:
        yield from _time_zone(settings, newest)


def _time_zone(settings: Settings, newest: datetime) -> Iterator[Finding]:
    path = settings.trade_log.path
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if abs(newest - written) > OUT_OF_STEP:
        side = "ahead of" if newest > written else "behind"
        yield Finding(
            "time zone",
            "note",
            f"the newest record of {path} is {span(abs(newest - written))} {side} the time when the file was written",
            f"check bot.timezone (now {settings.bot.timezone}), unless the file was copied here",
        )


def bot_log(settings: Settings) -> Iterator[Finding]:
    """Whether a restart could be proved: the log must name the version, or its files, when the bot loads it."""
    log, parser = Follower(settings.bot.log), BotLogParser(settings.bot.tz)
    versions, lines, named = _versions(settings), 0, False
    while not named:
        read = [*parser.feed(log.read()), *parser.flush()]
        lines += len(read)
        named = any(names.named_in(line.message) for line in read for names in versions)
        if log.caught_up:
            break
    log.close()
    path = settings.bot.log
    if log.trouble:
        yield _unread("bot log", settings, log.trouble, "bot.log")
    elif named:
        yield Finding("bot log", "good", f"{path} names the versions that the bot loads")
    elif not lines and parser.headless:
        found = f"{path}: no line is of the form `time - name - LEVEL - message`"
        yield Finding("bot log", "bad", found, "set the format of the bot's logging, or bot.log")
    elif not versions:
        yield Finding("bot log", "note", f"{path} can be read; without versions there is nothing to look for")
    elif not lines:
        yield Finding("bot log", "note", f"{path} is empty", "right if the bot has just been set up")
    else:
        mend = "let the bot log the path or the version that it loads: without it no restart can be proved"
        yield Finding("bot log", "bad", f"{path} names no version and no model file", mend)


def _versions(settings: Settings) -> list[Names]:
    registry, links = ModelRegistry(settings.registry.path), settings.registry.links
    try:
        files = registry.files()
    except RegistryError:
        return []  # told by the part that looks at the registry
    return [names_of(version, own, links) for version, own in files.items()]


def _unread(what: str, settings: Settings, trouble: str, key: str) -> Finding:
    """A log that is not there is right as long as the bot has not traded, or has never run."""
    mend = f"set {key}, or the rights of the file and its folders"
    if what == "trade log" and (others := _beside(settings)):
        return Finding(
            what, "bad", f"{trouble}, but {', '.join(others)} beside it", f"set {key}: is it one of these?"
        )
    if what == "trade log" and is_missing(settings.trade_log.path):
        return Finding(what, "note", trouble, f"right if the bot has not traded yet; else set {key}")
    if what == "bot log" and is_missing(settings.bot.log) and not look_at(make_bot(settings, None)):
        return Finding(what, "note", trouble, f"right if the bot has never run; else set {key}")
    return Finding(what, "bad", trouble, mend)


def _beside(settings: Settings) -> list[str]:
    """Where the trade log is missing: logs of its kind in its folder, one of which may be meant."""
    path = settings.trade_log.path
    if not is_missing(path):
        return []
    found = (other for other in path.parent.glob("*.jsonl") if other != settings.monitor.predictions)
    return sorted(other.name for other in found)
