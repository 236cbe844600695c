"""`init`: writes a commented watchdog.yaml for a bot's folder, to be read before it is used."""

import contextlib
import json
from pathlib import Path

from rich.console import Console

import config
from config import ConfigError
from registry.commands import python
from watchdog.bot_folder import Found, look
from watchdog.screen import say

NO_LINKS = "  # links: {ensemble_model.pkl: main}   # only if the bot loads a fixed file name"


def write(folder: Path, *, force: bool, out: Console) -> int:
    """Writes `folder`/watchdog.yaml; 1 if there is one already or nothing could be written, 2 if there is no folder."""
    target, part = folder / "watchdog.yaml", folder / ".watchdog.yaml.part"
    if not folder.is_dir():
        return say(out, f"{folder} is not a folder; give the folder that the bot runs in", "red", 2)
    if target.exists() and not force:
        return say(out, f"{target} exists; it was left as it is (--force replaces it)", "red", 1)
    found = look(folder)
    try:
        part.write_text(render(found), encoding="utf-8")
        config.load(part)
        part.replace(target)
    except (OSError, ConfigError) as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        return say(out, f"{target} was not written: {error}", "red", 1)
    say(out, f"wrote {target}", "green")
    for note in found.notes:
        say(out, f"  {note}", "yellow")
    here = "" if folder.resolve() == Path.cwd() else f" --config {target}"
    return say(
        out,
        f"next: read it, then `model-watchdog check{here}`, then `model-watchdog run{here}` (it begins with mode: "
        f"observe)",
    )


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def render(found: Found) -> str:
    """The text of watchdog.yaml."""
    command = ", ".join(map(_quoted, found.command or ["python", "main.py"]))
    equity = f"{2000 if found.equity is None else found.equity:.6f}".rstrip("0").removesuffix(".")
    links = ", ".join(f"{_quoted(name)}: {_quoted(artifact)}" for name, artifact in found.links.items())
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
  # In place of `process`, with control: compose or control: systemd:
  # compose: {{file: {compose[0]}, service: {compose[1]}}}
  # systemd: {{unit: {found.unit or "trading-bot.service"}}}
  log: {_quoted(found.log or "logs/trading_bot.log")}{guessed["log"]}
  timezone: {found.timezone or "UTC"}      # of timestamps without an offset, in both logs and in the registry
  stop_timeout: 30s  # SIGTERM, and after this SIGKILL, to the whole process tree
  start_timeout: 2m  # until the log shows that the right version was loaded
  # Tries a version out, before a start and daily. It must end by itself and must not trade: see it by hand first, for a
  # bot that ignores an option that it does not know just runs, and trades.
  # dry_run: [{command}, --dry-run]
  stays_up_for: 10s
  max_restarts: 3    # of a bot that ends by itself, in 10 minutes

registry:
  path: {_quoted(found.registry or "models_saved")}{guessed["registry"]}
{f"  links: {{{links}}}   # fixed names: they hold what the current version holds" if links else NO_LINKS}
  # Left out, whoever can write registry.json decides what is a good model. The key:
  # {python()} -m registry keygen --out DIR
  # signing_key: ed25519:...

trade_log:
  path: {_quoted(found.trades or "logs/trades.jsonl")}{guessed["trades"]}
  initial_equity: {equity}{guessed["equity"]}
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
# monitor: {{predictions: logs/predictions.jsonl}}   # if the bot writes such a file; else its log is searched

# Left out, nobody looks after open orders and positions while the bot is stopped.
# exchange:
#   kind: binance_usdm   # or binance_spot
#   api_key: ${{BINANCE_API_KEY}}   # a key of its own: reads and trades, cannot withdraw
#   api_secret: ${{BINANCE_API_SECRET}}
#   symbols: [SOLUSDT]
#   open_orders: cancel  # cancel | keep
#   positions: keep      # keep | close

# Left out, alerts go to the console alone.
# telegram:
#   token: ${{TELEGRAM_BOT_TOKEN}}
#   chat_id: -1001234567890

state_dir: state       # journal, outbox, incident reports
control_dir: control   # flag files: ROLLBACK PAUSE HALT RESUME
"""
