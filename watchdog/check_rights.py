"""`check`: who else could write the configuration, replace what is believed, or read along on the network."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

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
    yield from _unencrypted(settings)


def _unencrypted(settings: Settings) -> Iterator[Finding]:
    """A secret that leaves this machine as anybody on the way can read it."""
    for what, section, secret in (
        ("telegram", settings.telegram, "token"),
        ("exchange", settings.exchange, "API key"),
    ):
        url = urlsplit((section and section.base_url) or "")
        if url.scheme == "http" and not _is_here(url.hostname or ""):
            found = f"the {secret} goes unencrypted to {url.hostname}, and so does all that is answered"
            yield Finding(
                what, "note", found, f"{what}.base_url: https://..., unless nobody else is on that network"
            )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
