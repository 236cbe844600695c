"""`check`: who else could write the configuration, or put another file or folder in the place of what is believed."""

from collections.abc import Iterator

from config import Settings
from watchdog.finding import Finding
from watchdog.rights import others_who_write, replaceable, user_name_here


def rights(settings: Settings) -> Iterator[Finding]:
    """Nothing where all is well: those of the folders themselves are told with the folders."""
    others = others_who_write(settings.path)
    if others is not None:
        what = f"and so decide what is run as {user_name_here()}"
        yield Finding("configuration", "bad", f"{settings.path}: {others.who}, {what}", others.mend)
    paths = {
        "state_dir": settings.state_dir,
        "control_dir": settings.control_dir,
        "configuration": settings.path,
    }
    for what, path in paths.items():
        if (others := replaceable(path)) is not None:
            yield Finding(what, "note", f"{path}: {others.who}", others.mend)
