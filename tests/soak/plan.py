"""What happens in the weeks of a soak, drawn from a seed: the same seed is the same story."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Kind = Literal[
    "rename",
    "copytruncate",
    "glitch",
    "crash bot",
    "restart",
    "kill",
    "reload",
    "outage",
    "deploy",
    "bad",
    "halt",
]

GLITCHES = (
    '{"type": "equity", "timestamp": "NOW", "equity": 0, "pnl": 0}',
    '{"type": "equity", "timestamp": "NOW", "equity": NaN, "pnl": NaN}',
    '{"type": "exit", "timestamp": "NOW", "pnl": -Infinity, "pnl_pct": 0}',
    '{"type": "exit", "timestamp": "NOW", "pnl": "a lot"}',
    '{"type": "exit", "timestamp":',
    "garbage",
    "",
)
BAD: tuple[str, ...] = ("loses", "plunges", "unloadable", "damaged")
OUTAGES: tuple[str, ...] = ("down", "bad_gateway", "hang")


@dataclass(frozen=True)
class Event:
    """At `at` after the beginning. `what`: which glitch, which bad version, which outage."""

    at: timedelta
    kind: Kind
    what: str = ""
    lasts: timedelta = timedelta(0)


def plan(days: float, seed: int) -> Sequence[Event]:
    """The story, in order. The daemon is restarted and killed in the first third alone: its last life then has time to
    warm up, and time to leak in."""
    dice = random.Random(seed)
    events: list[Event] = []
    for day in range(int(days) if days >= 2 else 1):
        events += _day(dice, day, early=day < 0.33 * days or days < 2)
    events += _bad_versions(dice, days)
    last = timedelta(days=days - 0.5)  # what begins later could not end
    return sorted((event for event in events if event.at < last), key=lambda event: event.at)


def _day(dice: random.Random, day: int, *, early: bool) -> list[Event]:
    def at(first_h: float, last_h: float) -> timedelta:
        return timedelta(days=day, hours=dice.uniform(first_h, last_h))

    found = [Event(at(0.1, 1), "copytruncate" if day % 2 else "rename")]
    found += [Event(at(1, 23), "glitch", dice.choice(GLITCHES)) for _ in range(2)]
    if dice.random() < 0.4:
        found.append(Event(at(1, 12), "crash bot"))
    if dice.random() < 0.35:
        lasts = timedelta(hours=dice.uniform(3, 9))
        found.append(Event(at(1, 12), "outage", dice.choice(OUTAGES), lasts))
    if dice.random() < 0.5:
        found.append(Event(at(2, 10), "deploy"))
    if dice.random() < 0.8:
        found.append(Event(at(1, 14), "halt"))
    if early and dice.random() < 0.5:
        found.append(Event(at(1, 20), dice.choice(("restart", "kill"))))
    if dice.random() < 0.2:
        found.append(Event(at(1, 20), "reload"))
    return found


def _bad_versions(dice: random.Random, days: float) -> list[Event]:
    """One every third day, each kind in turn: `max_per_day` is not to be what is met."""
    kinds = [*BAD]
    dice.shuffle(kinds)
    first = 0.6 if days >= 2 else 0.3
    count = max(1, int((days - 1) / 3) + 1)
    return [
        Event(timedelta(days=first + 3 * number), "bad", kinds[number % len(kinds)])
        for number in range(count)
    ]
