"""Weeks of simulated trading through the real service: `python -m tests.soak --weeks 3 --seed 1` (`make soak`).

The daemon is a process that runs `watchdog.service.run` as it is, with one thing of another kind: its clock
(`assemble(settings, make_clock)`), which goes some five thousand times as fast. Windows, cooldowns, days, `retention`
and the hourly and daily upkeep are simulated time; the scheduler, SQLite, Telegram's server, signals and processes are
real and take the time that they take. The bot is a process that stamps by the same clock. Around it go logrotate, a
pipeline, people, outages and kills, drawn from a seed (`tests.soak.plan`).

Why not `faketime -f "+0 x5000"`: it scales every timer, and there are a hundred of a second or less. A look at the
control folder every 0.25 s becomes one every 50 microseconds, which is a core for itself; a stop timeout of 30 s
becomes 6 ms, less than a process needs to end; an HTTP call that may take 60 s must be over in 12 ms. And /proc, by
which processes are known, does not scale at all.

Measured twice a second: resident memory, open files, threads, the size of watchdog.db and its -wal, rows, and what a
tick takes of the processor. Judged over the second half, which is one life of the daemon: the median slope between all
pairs of samples (Theil-Sen), per simulated week. What pruning must have deleted is looked for at the end.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.soak.clock import Scale
from tests.soak.plan import plan
from tests.soak.play import Player
from tests.soak.samples import Judged, Sampler, judge
from tests.soak.stage import RETENTION, SoakError, Stage
from watchdog.journal import KEPT
from watchdog.upkeep import fault

REAL_S_A_WEEK = 120.0
DRAIN_S = 90.0
"""So long nothing may arrive while alerts wait: Telegram's limits and the pauses after an outage are in real time."""
DRAINED_S = 900.0
OVERDUE = RETENTION + timedelta(days=2)
"""Pruning runs once a day, and takes a moment."""
SINCE = 6
"""So many incidents and orders may have come since the last run: those before them were among the newest then."""


def soak(days: float, seed: int, speed: float, top: Path, out: Console) -> list[str]:
    """Plays it; returns what is wrong."""
    lasts = timedelta(days=days)
    stage = Stage(top, Scale.ending_now(lasts, speed))
    try:
        stage.start()
        player = Player(stage, lambda line: out.print(line, style="dim", highlight=False))
        with Sampler(stage) as sampler:
            player.play(plan(days, seed), lasts)
        (top / "samples.json").write_text(json.dumps(sampler.samples), encoding="utf-8")
        wrong = _left_behind(stage)
        judged = judge(sampler.samples, slopes=days >= 14)
        _table(judged, sampler.samples, out)
        out.print(
            f"{player.counts}, {len(stage.incidents())} incidents kept, {len(stage.telegram.messages)} messages"
        )
        return [*wrong, *(f"{j.bound.name}: {j.wrong}" for j in judged if j.wrong)]
    finally:
        stage.leave()


def _left_behind(stage: Stage) -> list[str]:
    """What must not be there at the end."""
    wrong = []
    try:
        _drain(stage)
    except SoakError as error:
        wrong.append(str(error))
    ids = [int(m["plain"].rsplit("#", 1)[1].split()[0]) for m in stage.telegram.messages if "#" in m["plain"]]
    firsts = list(dict.fromkeys(ids))
    if firsts != sorted(firsts):
        wrong.append("alerts came out of order")
    if missing := set(range(1, max(firsts, default=0) + 1)) - set(firsts):
        wrong.append(f"alerts never came: {sorted(missing)[:10]}")
    if found := fault(stage.database):
        wrong.append(f"the journal is damaged: {found}")
    wrong += _not_pruned(stage)
    if any(not i.open and i.automatic and i.from_version is None for i in stage.incidents()):
        wrong.append("an incident without a version")
    return wrong


def _drain(stage: Stage) -> None:
    """Waits until no alert waits any more, as long as some arrive."""
    until_s = time.monotonic() + DRAINED_S
    while (left := _waiting(stage)) and time.monotonic() < until_s:
        arrived = len(stage.telegram.messages)

        def one_more(arrived: int = arrived) -> bool:
            return not _waiting(stage) or len(stage.telegram.messages) > arrived

        stage.wait(one_more, f"{left} alerts that wait are sent", DRAIN_S)
    if left:
        raise SoakError(f"{left} alerts wait at the end")


def _waiting(stage: Stage) -> int:
    with closing(sqlite3.connect(f"{stage.database.as_uri()}?mode=ro", uri=True)) as db:
        query = "SELECT count(*) FROM outbox_delivery WHERE state = 'waiting'"
        return int(db.execute(query).fetchone()[0])


def _not_pruned(stage: Stage) -> list[str]:
    before = stage.now() - OVERDUE
    queries = {
        "incidents": f"SELECT count(*) FROM incidents WHERE closed_at < :iso AND id NOT IN "
        f"(SELECT id FROM incidents ORDER BY id DESC LIMIT {KEPT + SINCE})",
        "orders": f"SELECT count(*) FROM orders WHERE at < :iso AND id NOT IN "
        f"(SELECT id FROM orders ORDER BY id DESC LIMIT {KEPT + SINCE})",
        "alerts": "SELECT count(*) FROM outbox WHERE last_at < :unix",
        "keys": "SELECT count(*) FROM outbox_key WHERE at < :unix",
    }
    wrong = []
    with closing(sqlite3.connect(f"{stage.database.as_uri()}?mode=ro", uri=True)) as db:
        for what, query in queries.items():
            (count,) = db.execute(query, {"iso": before.isoformat(), "unix": before.timestamp()}).fetchone()
            if count:
                wrong.append(f"{count} {what} are older than {OVERDUE.days} days")
    old = f"{before:%Y%m%dT%H%M%S%f}"
    handled = [p.name for p in (stage.settings.control_dir / "handled").iterdir() if p.name < old]
    if handled:
        wrong.append(f"{len(handled)} handled flags are older than {OVERDUE.days} days")
    return wrong


def _table(judged: Sequence[Judged], samples: Sequence[dict[str, object]], out: Console) -> None:
    table = Table(title=f"second half, of {len(samples)} samples")
    for name in ("", "at its beginning", "at its end", "most ever", "growth a week", "allowed", ""):
        table.add_column(name, justify="left" if not name else "right")
    for j in judged:
        table.add_row(
            f"{j.bound.name} {f'({j.bound.unit})' if j.bound.unit else ''}",
            f"{j.first:.1f}",
            f"{j.last:.1f}",
            f"{j.most:.1f}",
            f"{j.a_week:+.3f}",
            f"{j.bound.most_a_week:g}",
            f"[red]{j.wrong}[/]" if j.wrong else "[green]flat[/]",
        )
    out.print(table)
    rows = {name: samples[-1][name] for name in ("incidents", "steps", "orders", "outbox", "outbox_key")}
    out.print(f"rows at the end: {rows}; ticks of the last daemon: {samples[-1]['ticks']}")


def main(arguments: Sequence[str] | None = None) -> int:
    """0: flat. 1: something grew, or did not happen."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.partition("\n")[0])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--weeks", type=float, default=3.0, help="of simulated time (default: 3)")
    length.add_argument("--days", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="of the machine (default: 2 minutes a week)")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="play in this folder, and leave it, with samples.json"
    )
    options = parser.parse_args(arguments)
    out = Console(width=max(110, Console().width), soft_wrap=True)
    days = options.weeks * 7 if options.days is None else options.days
    seconds = options.seconds or days / 7 * REAL_S_A_WEEK
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        top = options.keep or Path(folder)
        top.mkdir(parents=True, exist_ok=True)
        try:
            wrong = soak(days, options.seed, days * 86400 / seconds, top.resolve(), out)
        except SoakError as error:
            wrong = [str(error)]
    for line in wrong:
        out.print(line, style="red", markup=False, highlight=False)
    verdict = f"{days:g} days in {time.monotonic() - began_s:.0f} s, seed {options.seed}: "
    out.print(
        verdict + ("not good" if wrong else "flat, nothing lost"), style="bold red" if wrong else "bold green"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
