"""What of the watchdog's own environment `docker` and compose are handed.

A compose file takes its variables from the environment first, and from its env file after that. So a variable of the
watchdog's own (a token of its own bot, a key of another account) would change the container that is made anew, in
silence. Here the env file comes first: what it says is said of this very bot.
"""

from collections.abc import Collection, Mapping

from watchdog.bots.launch import without_unit

HANDED_ON = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CONTAINER_HOST", "CONTAINER_SSHKEY",
        "COMPOSE_API_VERSION", "COMPOSE_HTTP_TIMEOUT", "COMPOSE_TLS_VERSION", "COMPOSE_PARALLEL_LIMIT",
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    }
)  # fmt: skip
PREFIXES = ("DOCKER_", "XDG_")

FIXED = {
    "NO_COLOR": "1",
    "COMPOSE_ANSI": "never",
    "DOCKER_CLI_HINTS": "false",
    "COMPOSE_REMOVE_ORPHANS": "0",  # what else runs in the project is none of our business
    "COMPOSE_IGNORE_ORPHANS": "1",
}
"""In the environment of every call."""


def handed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """What of `environ` every call gets: how the engine is reached."""
    return {name: value for name, value in environ.items() if name in HANDED_ON or name.startswith(PREFIXES)}


def for_compose(environ: Mapping[str, str], in_file: Collection[str]) -> dict[str, str]:
    """What compose gets: variables of the compose file may come out of `environ`, but for those `in_file`. Compose v1
    is a Python program, too."""
    own = {"PYTHONPATH", "PYTHONHOME", *in_file}
    return {name: value for name, value in without_unit(environ).items() if name not in own} | handed_on(
        environ
    )
