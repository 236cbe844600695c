"""`check`: where the compose file's variables come from, and what a container that is made anew would have other."""

import re
from collections.abc import Iterator, Mapping, Sequence

from watchdog.bots.compose_client import Service
from watchdog.bots.described import Described
from watchdog.bots.engine_environment import handed_on
from watchdog.finding import Finding

WHAT = "bot variables"
_NAME = re.compile(r"^(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=", re.M)


def variable_findings(
    service: Service,
    unset: Sequence[str],
    anew: Described,
    present: Described | None,
    environ: Mapping[str, str],
) -> Iterator[Finding]:
    """`unset`: variables of the compose file without a value; `anew`: by the compose file; `present`: the container."""
    told = list(_all(service, unset, anew, present, environ))
    file = service.variables_file
    yield from told or [
        Finding(WHAT, "good", f"from the compose file and {file}, none of the watchdog's own")
    ]


def _all(
    service: Service,
    unset: Sequence[str],
    anew: Described,
    present: Described | None,
    environ: Mapping[str, str],
) -> Iterator[Finding]:
    file = service.variables_file
    mend = f"put them into {file}, or name the file that has them in bot.compose.env_file"
    there = {} if present is None else present.environment
    empty = [name for name, value in anew.environment.items() if not value]
    lost = sorted(name for name in empty if there.get(name))
    if lost:
        found = (
            f"a container that is made anew would not have {', '.join(lost)}, as the one that is there has: the "
            f"compose file and {file} do not say it, and nothing of the watchdog's own environment is handed on"
        )
        yield Finding(WHAT, "bad", found, mend)
    passed = (name for name, value in anew.environment.items() if value is None)
    if missing := sorted({*unset, *passed} - {*lost}):
        known = [name for name in missing if name in environ]
        own = f" ({', '.join(known)} of this environment is not handed on)" if known else ""
        found = (
            f"nothing gives the compose file its {', '.join(missing)}: they are empty in a new container{own}"
        )
        yield Finding(WHAT, "note", found, mend)
    if present is not None:
        other = sorted(n for n, value in anew.environment.items() if value and there.get(n) != value)
        if other:
            found = f"a container that is made anew would have another {', '.join(other)} than the one that is there"
            yield Finding(
                WHAT, "note", found, "docker compose up -d while the bot may be down, if that is meant so"
            )
    if both := sorted(_names(service) & handed_on(environ).keys()):
        found = f"{', '.join(both)} is in {file}, and in this environment, which compose goes by first"
        yield Finding(
            WHAT, "note", found, "take it out of one of the two; the environment of a unit is its own"
        )


def _names(service: Service) -> set[str]:
    try:
        return set(_NAME.findall(service.variables_file.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError):
        return set()  # there is none, or compose has told
