"""`init`: looks at a bot's folder and writes a commented watchdog.yaml for it, to be read before it is used."""

import json
import os
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from rich.console import Console
from rich.markup import escape

import config
from config import ConfigError
from registry import ModelRegistry, RegistryError

SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__", "site-packages"}
DEEPEST = 3
MAINS = ("main.py", "bot.py", "run.py", "app.py")
HEAD_BYTES = 256 * 1024


@dataclass
class Found:
    """What the folder tells. Paths are relative to it; a None was not found, and the file says so."""

    name: str
    command: list[str] | None = None
    registry: str | None = None
    log: str | None = None
    trades: str | None = None
    equity: float | None = None
    compose: tuple[str, str] | None = None
    unit: str | None = None
    notes: list[str] = field(default_factory=list)


def write(folder: Path, *, force: bool, out: Console) -> int:
    """Writes `folder`/watchdog.yaml; 1 if there is one already or nothing could be written, 2 if there is no folder."""
    target = folder / "watchdog.yaml"
    if not folder.is_dir():
        return _say(out, f"{folder} is not a folder; give the folder that the bot runs in", "red", 2)
    if target.exists() and not force:
        return _say(out, f"{target} exists; it was left as it is (--force replaces it)", "red", 1)
    found = look(folder)
    try:
        target.write_text(render(found), encoding="utf-8")
        config.load(target)
    except (OSError, ConfigError) as error:
        return _say(out, str(error), "red", 1)
    _say(out, f"wrote {target}", "green")
    for note in found.notes:
        _say(out, f"  {note}", "yellow")
    return _say(
        out,
        "next: read it, then `model-watchdog check`, then `model-watchdog run` (it begins with mode: observe)",
    )


def look(folder: Path) -> Found:
    """Looks at compose file, unit, registry and logs."""
    files = sorted(_walk(folder))
    found = Found(name=re.sub(r"[^\w.-]+", "-", folder.resolve().name) or "bot")
    _look_at_registry(found, folder, files)
    _look_at_logs(found, folder, files)
    _look_at_compose(found, folder, files)
    _look_at_unit(found, files)
    if found.command is None:
        main = next((name for name in MAINS if (folder / name).is_file()), None)
        python = next((p for p in (".venv/bin/python", "venv/bin/python") if (folder / p).exists()), "python")
        found.command = [python, main] if main else None
    if found.command is None:
        found.notes.append(
            f"how the bot is started was not found (no {', '.join(MAINS)}): set bot.process.command"
        )
    return found


def _walk(folder: Path) -> Iterable[Path]:
    for top, dirs, names in os.walk(folder):
        depth = len(Path(top).relative_to(folder).parts)
        dirs[:] = [d for d in dirs if d not in SKIPPED and depth < DEEPEST]
        yield from (Path(top, name) for name in names)


def _look_at_registry(found: Found, folder: Path, files: list[Path]) -> None:
    for path in (p for p in files if p.name == "registry.json"):
        try:
            current = ModelRegistry(path.parent).get_current_model()
        except RegistryError as error:
            found.notes.append(str(error))
            continue
        found.registry = str(path.parent.relative_to(folder))
        if current is None:
            found.notes.append(f"{path} names no current version: promote one")
        return
    found.notes.append("no registry.json was found: set registry.path")


def _look_at_logs(found: Found, folder: Path, files: list[Path]) -> None:
    trades = [p for p in files if p.suffix == ".jsonl"]
    trades.sort(key=lambda p: ("trade" not in p.name, p.name))
    logs = [p for p in files if p.suffix == ".log"]
    logs.sort(key=lambda p: ("bot" not in p.name, p.name))
    found.trades = str(trades[0].relative_to(folder)) if trades else None
    found.log = str(logs[0].relative_to(folder)) if logs else None
    if trades:
        found.equity = _first_equity(trades[0])
    for what, path in (("trade log", found.trades), ("bot log", found.log)):
        if path is None:
            found.notes.append(
                f"no {what} was found: the usual place was written; set it if yours is another"
            )


def _first_equity(path: Path) -> float | None:
    with path.open("rb") as file:
        for line in file.read(HEAD_BYTES).splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            equity = (
                record.get("equity") if isinstance(record, dict) and record.get("type") == "equity" else None
            )
            if isinstance(equity, int | float) and 0 < equity < float("inf"):
                return float(equity)
    return None


def _look_at_compose(found: Found, folder: Path, files: list[Path]) -> None:
    names = {"docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml"}
    for path in (p for p in files if p.name in names):
        try:
            services = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]
            service = "bot" if "bot" in services else next(iter(services))
        except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, StopIteration):
            found.notes.append(f"{path} could not be understood")
            continue
        found.compose = (str(path.relative_to(folder)), str(service))
        found.notes.append(
            f"{path}: the bot seems to be service `{service}` of docker compose; this version controls plain "
            f"processes only"
        )
        return


def _look_at_unit(found: Found, files: list[Path]) -> None:
    for path in (p for p in files if p.suffix == ".service"):
        text = path.read_text(encoding="utf-8", errors="replace")
        start = re.search(r"^ExecStart=[-@:+!]*(.+)$", text, re.MULTILINE)
        if start is None:
            continue
        found.unit = path.name
        try:
            found.command = shlex.split(start[1])
        except ValueError:
            continue
        found.notes.append(
            f"{path}: if systemd runs the bot with this unit, disable the unit before the watchdog is armed: both "
            f"would start it"
        )
        return


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def render(found: Found) -> str:
    """The text of watchdog.yaml."""
    command = ", ".join(map(_quoted, found.command or ["python", "main.py"]))
    equity = found.equity if found.equity is not None else 2000
    guessed = {
        "command": "" if found.command else "   # not found: set it",
        "registry": "" if found.registry else "   # not found: set it",
        "log": "" if found.log else "   # not found: the usual place",
        "trades": "" if found.trades else "   # not found: the usual place",
        "equity": "   # the first equity in the trade log"
        if found.equity is not None
        else "   # not found: set it to the account's equity",
    }
    compose = found.compose or ("docker-compose.yml", "bot")
    return f"""\
# model-watchdog for {found.name}. Relative paths are relative to this file.
# Durations: 10s 5m 24h 7d. Shares: 25%. ${{NAME}} comes from the environment or from systemd's credentials.

mode: observe        # tells what it would do, and does nothing. To arm it: mode: act

bot:
  name: {_quoted(found.name)}
  control: process   # how the bot is run
  process:
    command: [{command}]{guessed["command"]}
    directory: .
  # compose: {{file: {compose[0]}, service: {compose[1]}}}   # not in this version yet
  # systemd: {{unit: {found.unit or "trading-bot.service"}}}   # not in this version yet
  log: {_quoted(found.log or "logs/trading_bot.log")}{guessed["log"]}
  timezone: UTC      # of timestamps without an offset, in both logs and in the registry
  stop_timeout: 30s  # SIGTERM, and after this SIGKILL, to the whole process tree
  start_timeout: 2m  # until the log shows that the right version was loaded
  stays_up_for: 10s
  max_restarts: 3    # of a bot that ends by itself, in 10 minutes

registry:
  path: {_quoted(found.registry or "models_saved")}{guessed["registry"]}
  # links: {{ensemble_model.pkl: main}}   # only if the bot loads a fixed file name

trade_log:
  path: {_quoted(found.trades or "logs/trades.jsonl")}{guessed["trades"]}
  initial_equity: {equity:g}{guessed["equity"]}
  stale_after: 24h   # nothing new for so long: an alert

poll_interval: 10s

# Each rule also takes  action: rollback | halt | alert,  for: DURATION,  enabled: false.
triggers:
  sharpe: {{below: 1.0, window: 24h, min_trades: 10}}   # noisy over one day: read "the honest numbers" in the README
  drawdown: {{above: 25%}}
  loss_streak: {{at_least: 10}}
  load_error: {{}}
  checksum: {{}}

rollback: {{cooldown: 1h, max_per_day: 1, monitor_for: 30m, validate_for: 1h}}

# telegram:
#   token: ${{TELEGRAM_BOT_TOKEN}}
#   chat_id: -1001234567890

state_dir: state       # journal, outbox, incident reports
control_dir: control   # flag files: ROLLBACK PAUSE HALT RESUME
"""


def _say(out: Console, text: str, style: str = "", code: int = 0) -> int:
    out.print(f"[{style}]{escape(text)}[/]" if style else escape(text), highlight=False, soft_wrap=True)
    return code
