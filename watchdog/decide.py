"""What to do about the verdicts now: nothing, alert, roll back, halt. Pure: plain state in, a decision out.

The order of the questions is the order of safety:

1. An incident that is being worked on decides for itself; only a relapse while it is monitored halts.
2. Halted, paused or observing: people are told, nothing is done.
3. A rule whose action is `halt` halts.
4. Rolling back is bounded: in the cooldown it waits, beyond `max_per_day` the bot is halted instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from triggers import Verdict

Action = Literal["rollback", "halt", "alert"]
Kind = Literal["nothing", "alert", "wait", "rollback", "halt"]

DAY = timedelta(days=1)
ONLY_ALERTS = "the rule only alerts"


@dataclass(frozen=True)
class Situation:
    """All that a decision depends on besides the verdicts. Times are steady UTC."""

    now: datetime
    actions: Mapping[str, Action]
    cooldown: timedelta
    max_per_day: int
    rollbacks: Sequence[datetime] = ()
    """When the automatic rollbacks of the past began."""
    busy: bool = False
    """An incident is open and not yet monitored."""
    monitoring: bool = False
    halted: bool = False
    paused: bool = False
    observe: bool = False


@dataclass(frozen=True)
class Decision:
    """`kind` is what is done. `would` is what a paused or observing watchdog leaves undone."""

    kind: Kind
    verdicts: tuple[Verdict, ...] = ()
    why: str = ""
    would: Kind | None = None

    @property
    def cause(self) -> str:
        """The firing rules' sentences, for people."""
        return "; ".join(verdict.reason for verdict in self.verdicts)


NOTHING = Decision("nothing")


def decide(verdicts: Sequence[Verdict], situation: Situation) -> Decision:
    """The decision about these verdicts. Only `firing` ever counts: no_data and pending never act."""
    firing = tuple(v for v in verdicts if v.state == "firing")
    if not firing or situation.busy:
        return NOTHING
    acting = tuple(v for v in firing if situation.actions[v.name] != "alert")
    if not acting:
        return Decision("alert", firing, ONLY_ALERTS)
    wanted = _wanted(acting, situation)
    if situation.halted:
        return Decision("alert", acting, "the bot is halted already")
    if situation.observe:
        return Decision("alert", acting, "mode is observe", would=wanted.kind)
    if situation.paused:
        return Decision("alert", acting, "the watchdog is paused", would=wanted.kind)
    return wanted


def _wanted(acting: tuple[Verdict, ...], situation: Situation) -> Decision:
    if situation.monitoring:
        return Decision("halt", acting, "it fired while the restored version was watched")
    if any(situation.actions[v.name] == "halt" for v in acting):
        return Decision("halt", acting, "the rule's action is halt")
    today = [at for at in situation.rollbacks if situation.now - at < DAY]
    if len(today) >= situation.max_per_day:
        return Decision(
            "halt", acting, f"{len(today)} of {situation.max_per_day} automatic rollbacks a day are used up"
        )
    if situation.rollbacks and situation.now - max(situation.rollbacks) < situation.cooldown:
        return Decision("wait", acting, "the cooldown after the last rollback is not over")
    return Decision("rollback", acting)
