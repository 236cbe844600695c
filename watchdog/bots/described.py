"""What a container was made with, or would be by the compose file: as one value, whichever of the two is there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

DEFAULT_GRACE = timedelta(seconds=10)
"""docs.docker.com, `docker stop`: then SIGKILL."""

_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Mount:
    """`source` is a folder or file of the host for a bind mount; the engine's own place, or "", for a volume."""

    bind: bool
    source: str
    target: str
    writable: bool


@dataclass(frozen=True)
class Described:
    """`user` as written, "" = the image's; `time_zone` of TZ; `grace` None = not said; `signal` asks it to end.

    `environment`: of a container all of it, the image's part too; by the compose file what that says, None for what is
    to be handed through and is not there. It holds the bot's secrets.
    """

    policy: str
    mounts: Sequence[Mount]
    user: str
    time_zone: str | None
    grace: timedelta | None
    signal: str
    log_driver: str
    log_size: str | None
    init: bool
    environment: Mapping[str, str | None] = field(default_factory=dict, repr=False)


def of_container(details: Mapping[str, Any]) -> Described:
    """Out of `docker inspect`."""
    host, config = details.get("HostConfig") or {}, details.get("Config") or {}
    log = host.get("LogConfig") or {}
    environment: dict[str, str | None] = {}
    for entry in config.get("Env") or []:
        name, _, value = str(entry).partition("=")
        environment[name] = value
    grace = config.get("StopTimeout")
    return Described(
        policy=str((host.get("RestartPolicy") or {}).get("Name") or "no"),
        mounts=[
            Mount(
                m.get("Type") == "bind",
                str(m.get("Source", "")),
                str(m.get("Destination", "")),
                bool(m.get("RW")),
            )
            for m in details.get("Mounts") or []
        ],
        user=str(config.get("User") or ""),
        time_zone=environment.get("TZ"),
        grace=None if grace is None else timedelta(seconds=float(grace)),
        signal=str(config.get("StopSignal") or "SIGTERM"),
        log_driver=str(log.get("Type") or ""),
        log_size=(log.get("Config") or {}).get("max-size"),
        init=bool(host.get("Init")),
        environment=environment,
    )


def of_config(config: Mapping[str, Any]) -> Described:
    """Out of what `compose config` says of the service, in the forms of v1 and v2."""
    environment = _environment(config.get("environment") or {})
    log = config.get("logging") or {}
    return Described(
        policy=str(config.get("restart") or "no").split(":")[0],
        mounts=[_mount(entry) for entry in config.get("volumes") or []],
        user=str(config.get("user") or ""),
        time_zone=environment.get("TZ"),
        grace=_span(config.get("stop_grace_period")),
        signal=str(config.get("stop_signal") or "SIGTERM"),
        log_driver=str(log.get("driver") or "json-file"),
        log_size=(log.get("options") or {}).get("max-size"),
        init=bool(config.get("init")),
        environment=environment,
    )


def _environment(written: Any) -> dict[str, str | None]:
    """Compose writes a dollar sign twice, so that its own output can be read as a compose file again."""
    if not isinstance(written, Mapping):
        pairs = (str(entry).partition("=") for entry in written)
        written = {name: value if sign else None for name, sign, value in pairs}
    return {str(k): None if v is None else str(v).replace("$$", "$") for k, v in written.items()}


def _span(written: object) -> timedelta | None:
    """ "1m30s", as compose writes durations; None where it says none."""
    parts = re.findall(r"([\d.]+)(us|ms|s|m|h)", str(written))
    return timedelta(seconds=sum(float(number) * _UNITS_S[unit] for number, unit in parts)) if parts else None


def _mount(entry: object) -> Mount:
    if isinstance(entry, Mapping):
        bind = entry.get("type") == "bind"
        return Mount(
            bind,
            str(entry.get("source", "")),
            str(entry.get("target", "")),
            not entry.get("read_only", False),
        )
    source, colon, rest = str(entry).partition(":")
    target, _, options = rest.partition(":")
    bind = bool(colon) and source.startswith(("/", ".", "~"))
    return Mount(bind, source if colon else "", target or source, "ro" not in options.split(","))


def seen_in(mounts: Sequence[Mount], path: Path) -> tuple[Mount, str] | None:
    """The mount through which the container sees `path` of the host, and its name in the container."""
    real = path.resolve()
    best: tuple[Mount, str] | None = None
    for mount in mounts:
        source = Path(mount.source)
        if mount.source.startswith("/") and real.is_relative_to(source.resolve()):
            inside = str(Path(mount.target) / real.relative_to(source.resolve()))
            if best is None or len(mount.source) > len(best[0].source):
                best = (mount, inside)
    return best
