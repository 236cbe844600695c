"""What the values and the incidents in a journal look like, as far as somebody relies on it; more is no fault.

A journal may have been written by another build, or by anybody. A value that does not fit and can be done without
counts as absent. One that is vital makes the whole file a damaged one at the next start (`mending`): it is left out,
and what follows from its absence is taken for granted, rather than met in the midst of a look at the bot.
"""

from typing import Annotated, Any, Literal

import msgspec

from triggers.following import Moment

Seconds = Annotated[float, msgspec.Meta(ge=-1e10, le=1e10)]


class _Halt(msgspec.Struct):
    since: Moment
    why: str
    by: str


class _Deployment(msgspec.Struct):
    key: str
    since: Moment


class _Restarts(msgspec.Struct):
    at: list[Moment]
    key: str | None


class _Verdict(msgspec.Struct):
    name: str
    state: str
    value: float | None
    limit: float | None
    reason: str


class _Tick(msgspec.Struct):
    at: Moment
    sentence: str = ""
    triggers: list[_Verdict] = []
    rollback_target: str | None = None
    offset_s: Seconds = 0.0


class _Condition(msgspec.Struct):
    since: Moment
    told: Moment | None
    text: str = ""


class _Early(msgspec.Struct):
    key: str | None
    near: dict[str, bool]
    count: int


class _Doubt(msgspec.Struct):
    since: Moment
    why: str
    settled: bool


class _Checkpoint(msgspec.Struct):
    offset_s: Seconds = 0.0


class _Hashes(msgspec.Struct):
    boot: str
    files: Any


class _Signed(msgspec.Struct):
    key: str | None
    versions: list[str]


class _Rehearsal(msgspec.Struct):
    version: str
    what: str
    at: Moment
    ok: bool | None
    told: bool
    said: str
    seconds: Seconds | None


class _Incident(msgspec.Struct):
    plan: Literal["rollback", "halt"]
    step: str
    reason: str
    by: str
    from_version: str | None
    wanted: str | None = None
    target: str | None = None
    attempt: int = 1
    tried: list[str] = []
    facts: dict[str, Any] = {}
    outcome: Literal["rolled_back", "halted", "superseded", "refused"] | None = None


NAMED: dict[str, Any] = {
    "schema": int,
    "halted": _Halt,
    "bot": tuple[int, int, str],
    "stopping": list[tuple[int, int, str]],
    "deployment": _Deployment,
    "resumed_at": Moment,
    "restarts": _Restarts,
    "tick": _Tick,
    "conditions": dict[str, _Condition],
    "early": _Early,
    "paused": str,
    "start_asked": str,
    "backup": str,
    "doubt": _Doubt,
    "checkpoint": _Checkpoint,
    "exchange_banned_until": Moment,
    "hashes": _Hashes,
    "signed": _Signed,
    "rehearsal": _Rehearsal,
}
"""Of a checkpoint the rest is looked at by whoever takes it over, who can do without."""

VITAL = frozenset(
    {
        "schema",
        "halted",
        "bot",
        "deployment",
        "resumed_at",
        "restarts",
        "paused",
        "backup",
        "doubt",
        "exchange_banned_until",
        "signed",
    }
)
"""What must not be taken for absent without a word."""


def fits(name: str, value: Any) -> bool:
    """Whether this can be the value of that name. One that is not known here belongs to another build."""
    return name not in NAMED or _is(value, NAMED[name])


def is_incident(body: Any) -> bool:
    """Whether this can be the body of an incident."""
    return _is(body, _Incident)


def _is(value: Any, wanted: Any) -> bool:
    try:
        msgspec.convert(value, wanted)
    except (ValueError, RecursionError):  # a ValidationError, or half a character
        return False
    return True
