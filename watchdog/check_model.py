"""`check`: the registry, the files of every version, the links, and where a rollback would go."""

from collections.abc import Iterator

from config import Settings
from registry import ModelRegistry, RegistryError
from registry.commands import python
from watchdog.finding import Finding
from watchdog.open_registry import open_registry


def registry(settings: Settings) -> Iterator[Finding]:
    """registry.json, every checksum, the links, the target."""
    found = open_registry(settings)
    try:
        data = found.read()
        current = data["current_version"]
        if not current or current not in data["models"]:
            yield Finding("registry", "bad", f"{found.path} names no current version", "promote a version")
        next_target = next(iter(found.targets()), None)
        for version in data["models"]:
            yield _version(
                found, version, current=version == current, wanted=version in (current, next_target)
            )
        if current in data["models"]:
            yield from _links(settings, found)
            yield _target(found)
    except RegistryError as error:
        text, _, mend = str(error).partition("; ")
        yield Finding("registry", "bad", text, mend)


def _version(registry: ModelRegistry, version: str, *, current: bool, wanted: bool) -> Finding:
    """`wanted`: the current one, and the one that a rollback should go to. Others that are damaged are no danger."""
    what = f"version {version}{' (current)' if current else ''}"
    quarantined = ", quarantined" if registry.is_quarantined(version) else ""
    try:
        states = registry.check(version)
    except RegistryError as error:
        return Finding(what, "bad" if wanted else "note", str(error))
    bad = {state.state for state in states if not state.ok}
    damaged = "; ".join(state.detail for state in states if not state.ok)
    if bad == {"unsigned"}:
        mend = f"if its files are good, sign it where the private key is: {registry.typed('sign', version)}"
        return Finding(what, "bad" if wanted else "note", f"{damaged}{quarantined}", mend)
    if damaged:
        mend = "restore the entry from a backup" if "forged" in bad else "restore the file from a backup"
        if current:
            mend += ", or promote another version: a bot on this one would be rolled back"
        return Finding(what, "bad" if wanted else "note", f"{damaged}{quarantined}", mend)
    if current and quarantined:
        release = registry.typed("release", version)
        mend = (
            f"promote a good version; the bot is not started on this one. If it is good after all: {release}"
        )
        return Finding(what, "bad", "it is current although it was rolled back from", mend)
    verified = f"{len(states)} file{'' if len(states) == 1 else 's'} verified"
    signed = ", signed" if registry.public_key else ""
    return Finding(what, "good", f"{verified}{signed}{quarantined}")


def _links(settings: Settings, registry: ModelRegistry) -> Iterator[Finding]:
    links = settings.registry.links
    if not links:
        return
    if registry.links_right():
        yield Finding("links", "good", f"{', '.join(links)}: as the current version wants")
        return
    call = f"ModelRegistry({str(settings.registry.path)!r}, {dict(links)!r}).sync_links()"
    yield Finding(
        "links",
        "bad",
        f"not all of {', '.join(links)} point to the current version: the bot loads something else",
        f'{python()} -c "from registry import ModelRegistry; {call}"',
    )


def _target(registry: ModelRegistry) -> Finding:
    survey = registry.survey()
    passed = "; ".join(f"{version}: {why}" for version, why in survey.passed_over.items())
    if survey.target is None:
        mend = "register and promote a known-good version, then the newer one: without it a bad model means a halt"
        return Finding("rollback target", "bad", f"none{f' ({passed})' if passed else ''}", mend)
    return Finding("rollback target", "good", f"{survey.target}, verified")
