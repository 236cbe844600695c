"""The dry run of the version that a rollback would go to: before the bot is started on it, and daily as a rehearsal.

Before a start it runs where the bot runs, after the registry was switched. As a rehearsal it runs beside the live bot,
in a scratch copy (`watchdog.scratch`), and what came of it is kept in the journal under `rehearsal`. A command that
turns out to be no dry run (it traded, or did not end) is run no more, neither daily nor in a rollback, until it is
changed or the watchdog was restarted.
"""

import asyncio
import hashlib
import json
import re
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from config import Settings
from registry import RegistryError
from triggers import tells_loaded, tells_loading
from watchdog import after_words, dry_run, loading, scratch, trial
from watchdog.bot_log import BotLogParser
from watchdog.dry_proof import Proof
from watchdog.dry_run import Ran, Wait
from watchdog.follow import Follower, end_of
from watchdog.place import Place
from watchdog.proof import Names
from watchdog.scratch import Scratch
from watchdog.scratch_copy import ScratchError
from watchdog.world import World

T = TypeVar("T")

KEPT = "rehearsal"
"""Its name in the journal."""

DAILY = timedelta(days=1)
AGAIN = timedelta(hours=6)
"""After a failure, and after one that was cut short by a kill."""

SHOWN_LINES = 20


async def before_start(world: World, target: str, wait: Wait) -> dict[str, Any]:
    """Runs it on the target, which is current now. `ok` of the answer is None when it says nothing of the target: it
    could not be executed at all, or trades."""
    settings = world.settings
    if is_no_dry_run(world.journal.get(KEPT), settings):
        known = Ran(None, 0.0, (), "it was not run: bot.dry_run traded, or did not end, when it was run last")
        return _told(world, target, known, Proof(False, ""))
    command = dry_run.filled(settings.bot.dry_run or [], settings.registry.path, target)
    directory = scratch.working_directory(settings)
    names, others = loading.names(world, target)
    ran, proof = await trial.run(world, command, directory, wait, settings.trade_log.path, names, others)
    found = _told(world, target, ran, proof)
    if proof.traded:
        found["ok"] = None
        what = fingerprint(settings, world, target)
        world.keep(KEPT, found | {"what": what, "told": True, "no_dry_run": settings.bot.dry_run})
        world.teller.tell(KEPT, after_words.traded(found), "critical", coalesce=False)
    return found


def _told(world: World, target: str, ran: Ran, proof: Proof) -> dict[str, Any]:
    return {
        "version": target,
        "at": world.now().isoformat(),
        "ok": None if ran.cannot else proof.ok,
        "seconds": round(ran.seconds, 1),
        "said": world.redact(ran.cannot or proof.said),
        "named": proof.named,
        "lines": [world.redact(line) for line in ran.lines[-SHOWN_LINES:]],
    }


# -- daily


def fingerprint(settings: Settings, world: World, target: str) -> str:
    """Changes when there is something new to rehearse: the target, its files, the command."""
    entry = world.registry.read()["models"].get(target)
    body = json.dumps([target, entry, settings.bot.dry_run], sort_keys=True, default=str)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def is_due(kept: dict[str, Any] | None, what: str, now: datetime) -> bool:
    """`kept` is of the journal, `what` the fingerprint of now. Ask `is_no_dry_run` first."""
    if kept is None or kept["what"] != what:
        return True
    if kept.get("leaks"):
        return False  # until the command is changed
    since = now - datetime.fromisoformat(kept["at"])
    return since >= (DAILY if kept["ok"] else AGAIN) or since < timedelta(0)


def is_no_dry_run(kept: dict[str, Any] | None, settings: Settings) -> bool:
    """Whether this command is known to trade, or not to end."""
    return kept is not None and kept.get("no_dry_run") == settings.bot.dry_run


def try_again(world: World) -> None:
    """At the start: somebody may have mended the bot. It is rehearsed as after any failure."""
    kept: dict[str, Any] | None = world.journal.get(KEPT)
    if kept is not None and kept.get("no_dry_run") is not None:
        world.keep(KEPT, kept | {"no_dry_run": None, "told": False})


async def rehearse(world: World, target: str, wait: Wait) -> None:
    """One rehearsal: kept in the journal, and told when it fails or succeeds again. What `wait` raises cuts it short
    and keeps nothing."""
    before: dict[str, Any] | None = world.journal.get(KEPT)
    begun: dict[str, Any] = {
        "version": target,
        "what": fingerprint(world.settings, world, target),
        "at": world.now().isoformat(),
        "ok": False,
        "seconds": None,
        "said": "it was cut short",
        "told": before is not None and before["told"],
    }
    # One that takes the machine down must not be begun again at once: until it ends it counts as failed.
    world.keep(KEPT, begun)
    found: dict[str, Any] | None = None
    try:
        found = begun | await _rehearsed(world, target, wait)
    finally:
        if found is None:
            world.keep(KEPT, before)
    _tell(world, before, found)
    found["told"] = not found["ok"]
    world.keep(KEPT, found)


def _tell(world: World, before: dict[str, Any] | None, found: dict[str, Any]) -> None:
    """When it fails, or is ready again; not each day."""
    was_told = before is not None and before["told"]
    if found.get("no_dry_run") is not None:
        text = after_words.traded(found) if found["traded"] else after_words.endless(found)
        world.teller.tell(KEPT, text, "critical" if found["traded"] else "warning", coalesce=False)
    elif found["ok"] and was_told:
        world.teller.tell(KEPT, after_words.ready_again(found), "info", coalesce=False)
    elif not found["ok"] and not (was_told and before is not None and before["version"] == found["version"]):
        world.teller.tell(KEPT, after_words.not_ready(found), "warning", coalesce=False)


async def _rehearsed(world: World, target: str, wait: Wait) -> dict[str, Any]:
    settings, stop = world.settings, threading.Event()
    live = end_of(settings.bot.log)
    try:
        made = await _beside(lambda: scratch.make(settings, world.registry, target, stop), wait, stop)
        ran, proof, own = await _run_in(made, world, target, wait)
        found = _told(world, target, ran, proof)
        if proof.no_dry_run:
            found |= {"no_dry_run": settings.bot.dry_run, "traded": proof.traded}
    except (ScratchError, RegistryError) as error:
        return _told(world, target, Ran(None, 0.0, (), str(error)), Proof(False, str(error)))
    finally:
        await asyncio.to_thread(scratch.clear, settings)
    if _leaked(world, live, own):
        said = f"the dry run logs into the live log {settings.bot.log}; no rehearsal until bot.dry_run is changed"
        found |= {"ok": False, "leaks": True, "said": said}
    return found


async def _run_in(made: Scratch, world: World, target: str, wait: Wait) -> tuple[Ran, Proof, Names]:
    settings = world.settings
    command = dry_run.filled(settings.bot.dry_run or [], made.registry, target)
    names, others = loading.names(world, target)
    # A fixed name that is a link proves nothing here: it is the same name in the live folder.
    own = Names(names.version, names.files - settings.registry.links.keys())
    ran, proof = await trial.run(
        world, command, made.directory, wait, made.trade_log, own, others, log=made.log, gently=True
    )
    return ran, proof, own


def _leaked(world: World, live: Place, target: Names) -> bool:
    """Whether the live log tells of a load of the target, which the live bot does not run."""
    if world.registry.registry["current_version"] == target.version:
        return False
    follower, parser = Follower(world.settings.bot.log, live), BotLogParser(world.settings.bot.tz)
    try:
        lines = [*parser.feed(follower.read()), *parser.flush()]
    finally:
        follower.close()
    return any(
        (tells_loading(line.message) or tells_loaded(line.message))
        and target.named_in(line.message, about_loading=True)
        for line in lines
    )


async def _beside(look: Callable[[], T], wait: Wait, stop: threading.Event) -> T:
    """In a worker thread, which is told to end when `wait` raises, and waited for."""
    task = asyncio.ensure_future(asyncio.to_thread(look))
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=dry_run.POLL_S)
            await wait(0)
        return task.result()
    finally:
        stop.set()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # looked at: it was cut short


# -- for people


def in_short(kept: dict[str, Any] | None, target: str | None, now: datetime) -> str | None:
    """`ready to roll back to v2.0.0 (rehearsed 3 h ago, 38 s)`; None when nothing is known of this target."""
    if kept is None or target is None or kept["version"] != target:
        return None
    hours = max(timedelta(0), now - datetime.fromisoformat(kept["at"])) // timedelta(hours=1)
    ago = "less than 1 h ago" if hours < 1 else f"{hours} h ago" if hours < 48 else f"{hours // 24} d ago"
    if kept.get("no_dry_run") is not None:
        why = re.split("[:;]", kept["said"])[0]  # without the words of the bot, which may be long
        return f"the rollback to {target} is not rehearsed: bot.dry_run is no dry run ({ago}): {why}"
    if kept["ok"]:
        return f"ready to roll back to {target} (rehearsed {ago}, {kept['seconds']:.3g} s)"
    if kept["ok"] is None:
        return f"the rollback to {target} could not be rehearsed ({ago}): {kept['said']}"
    return f"not ready to roll back to {target} (rehearsed {ago}): {kept['said']}"
