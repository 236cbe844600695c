"""`check`: where the compose file's variables come from, and what a container that is made anew would have other."""

from collections.abc import Iterator, Mapping, Sequence

from watchdog.bots.compose_client import Service
from watchdog.bots.described import Described
from watchdog.bots.engine_environment import handed_on
from watchdog.finding import Finding

WHAT = "bot variables"


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
    yield from told or [Finding(WHAT, "good", f"from the compose file and {file}")]


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
            f"a container that is made anew would not have {', '.join(lost)}, as the one that is there has: neither "
            f"the compose file nor {file} says it, and it is not known of the watchdog's own environment"
        )
        yield Finding(WHAT, "bad", found, mend)
    passed = (name for name, value in anew.environment.items() if value is None)
    if missing := sorted({*unset, *passed} - {*lost}):
        known = [name for name in missing if name in environ]
        own = f" ({', '.join(known)} is in this environment; the watchdog's is another)" if known else ""
        found = (
            f"no file gives the compose file its {', '.join(missing)}: they are empty in a new container, if the "
            f"watchdog's environment does not have them{own}"
        )
        yield Finding(WHAT, "note", found, mend)
    if present is not None:
        other = sorted(n for n, value in anew.environment.items() if value and there.get(n) != value)
        if other:
            found = f"a container that is made anew would have another {', '.join(other)} than the one that is there"
            yield Finding(
                WHAT, "note", found, "docker compose up -d while the bot may be down, if that is meant so"
            )
    if both := sorted(service.variables() & handed_on(environ).keys()):
        found = f"{', '.join(both)} is in {file}, and in this environment, which compose goes by first"
        yield Finding(
            WHAT, "note", found, "take it out of one of the two; the environment of a unit is its own"
        )
