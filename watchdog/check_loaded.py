"""`check`: model files that the bot's log says it loads, and that no checksum covers."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from config import Settings
from registry import ModelRegistry, RegistryError
from triggers import tells_loaded, tells_loading
from watchdog.bot_log import BotLogParser
from watchdog.finding import Finding
from watchdog.log_files import read_tail
from watchdog.plain import one_line

TAIL_BYTES = 256 * 1024
MOST = 5
NO_MODEL = frozenset({".cfg", ".ini", ".log", ".py", ".toml", ".yaml", ".yml"})
_FILE = re.compile(r"[\w./~+-]{1,400}\.[A-Za-z]\w{0,9}(?![\w./-])")


def uncovered_files(settings: Settings) -> Iterator[Finding]:
    """Covered is a file if any version has an artifact of its name: which version runs is looked at elsewhere."""
    try:
        files = ModelRegistry(settings.registry.path).files()
        lines = BotLogParser(settings.bot.tz).feed(read_tail(settings.bot.log, TAIL_BYTES).splitlines())
    except (OSError, RegistryError):
        return  # told by the parts that look at them
    covered = {path.name for own in files.values() for path in own.values()} | set(settings.registry.links)
    told = (line.message for line in lines if tells_loading(line.message) or tells_loaded(line.message))
    named = {found for message in told for found in _FILE.findall(message.partition("\n")[0])}
    bare = sorted(
        name for name in named if _may_be_model(Path(name), covered) and _is_there(settings, Path(name))
    )
    if files and bare:
        more = f" and {len(bare) - MOST} more" if len(bare) > MOST else ""
        yield Finding(
            "model files",
            "note",
            f"the bot loads {one_line(', '.join(bare[:MOST]))}{more}, which no version of the registry names: "
            f"no checksum covers it, and a rollback does not change it",
            "register versions with it as a further artifact: register_model(..., artifacts={NAME: FILE})",
        )


def _may_be_model(path: Path, covered: Collection[str]) -> bool:
    return path.name not in covered and path.name != "registry.json" and path.suffix not in NO_MODEL


def _is_there(settings: Settings, path: Path) -> bool:
    """As the bot would find it: what only looks like a file's name is none."""
    process = settings.bot.process
    folders = [settings.registry.path, *([] if process is None else [process.directory])]
    try:
        return any((folder / end).is_file() for folder in folders for end in (path, path.name))
    except (OSError, ValueError):
        return False
