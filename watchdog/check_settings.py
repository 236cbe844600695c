"""`check`: the configuration itself, who may read its secrets, Telegram, and the name that two packages share."""

import asyncio
import importlib.metadata
import stat
from collections.abc import Iterator
from pathlib import Path

from config import Settings
from notifier import TelegramChannel, TransportError
from watchdog.finding import Finding

RULES = ("sharpe", "drawdown", "loss_streak", "load_error", "checksum")


def configuration(settings: Settings) -> Iterator[Finding]:
    """What the file says, in so far as an operator should know."""
    yield Finding("configuration", "good", f"{settings.path} holds no mistake")
    if settings.mode == "observe":
        yield Finding(
            "mode",
            "note",
            "observe: the watchdog tells and does not act",
            "to arm it: mode: act, then a reload or a restart",
        )
    else:
        yield Finding("mode", "good", "act: the watchdog stops and starts the bot, and switches its version")
    yield from _secrets(settings)
    off = [name for name in RULES if not getattr(settings.triggers, name).enabled]
    if off:
        yield Finding("rules", "note", f"switched off: {', '.join(off)}")


def _secrets(settings: Settings) -> Iterator[Finding]:
    """A secret that is written into the file itself is for its owner's eyes alone."""
    text = settings.path.read_text(encoding="utf-8-sig", errors="replace")
    if not any(secret in text for secret in settings.secrets()):
        return
    if settings.path.stat().st_mode & stat.S_IROTH:
        yield Finding(
            "secrets",
            "bad",
            f"{settings.path} holds a secret and everybody on this machine can read it",
            f"chmod o-r {settings.path}, or write ${{NAME}} in its place (environment, or LoadCredential=)",
        )
    else:
        yield Finding("secrets", "good", f"{settings.path} holds a secret, and not everybody can read it")


def telegram(settings: Settings) -> Iterator[Finding]:
    """getMe: the address and the token. Whether the bot may write in the chat only a message can show."""
    if settings.telegram is None:
        yield Finding(
            "telegram", "note", "not configured: alerts go to the console alone", "add a section telegram"
        )
        return
    options = settings.telegram
    channel = TelegramChannel(options.token.get_secret_value(), options.chat_id, options.base_url)

    async def ask() -> str:
        try:
            return await channel.me()
        finally:
            await channel.aclose()

    try:
        name = asyncio.run(ask())
    except TransportError as error:
        mend = (
            "telegram.token is what @BotFather gave you"
            if error.misconfigured
            else f"see that this machine reaches {options.base_url or 'api.telegram.org'}; alerts wait until it does"
        )
        yield Finding("telegram", "bad", str(error), mend)
    else:
        yield Finding("telegram", "good", f"getMe answers: {name}; alerts go to chat {options.chat_id}")


def name_clash(_: Settings) -> Iterator[Finding]:
    """PyPI's unrelated `watchdog` has the same import name."""
    try:
        other = importlib.metadata.distribution("watchdog")
    except importlib.metadata.PackageNotFoundError:
        yield Finding("import name", "good", f"`watchdog` is ours, in {Path(__file__).parent}")
        return
    yield Finding(
        "import name",
        "bad",
        f"the unrelated package watchdog {other.version} is installed in the same environment and has the same "
        f"import name: each breaks the other",
        "install model-watchdog into an environment of its own",
    )  # fmt: skip
