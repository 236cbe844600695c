"""The commands. Exit codes: 0 good, 1 bad news, 2 wrong usage or configuration."""

import json
import os
import sys
from datetime import UTC, datetime
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import typer
from rich.console import Console

import config
from config import ConfigError, Settings
from watchdog import screen
from watchdog.caller import become_owner, load_without_secrets, who
from watchdog.screen import say

app = typer.Typer(
    name="model-watchdog",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # its panels break long paths
    pretty_exceptions_enable=False,
)
STATE_COLOURS = {"ok": "green", "pending": "yellow", "firing": "bold red", "no_data": "dim"}

out = Console()
err = Console(stderr=True)

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Else ./watchdog.yaml or /etc/model-watchdog/watchdog.yaml"
    ),
]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why: kept in the journal, told to all on call")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs")]


def _version(wanted: bool) -> None:
    if wanted:
        raise typer.Exit(say(out, f"model-watchdog {distribution_version('model-watchdog')}"))


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is")
    ] = False,
) -> None:
    """Rolls a trading bot's model back by itself when a version turns out to be bad.

    Exit code: 0 good, 1 bad news, 2 wrong usage or configuration.
    """


def fail(message: str, code: int) -> NoReturn:
    """Says what is wrong and ends."""
    raise typer.Exit(say(err, message, "red", code))


def load(file: Path | None, *, secrets: bool = True, tell_unset: bool = True) -> Settings:
    """The settings, or all that is wrong with them and exit 2. Called by root, it acts as the watchdog's user from
    here on. `secrets`: whether it needs them; else it does without, in a shell that has none of the service's, and says
    so unless `tell_unset` is False."""
    path = file
    try:
        path = config.find(file)
        settings, unset = (config.load(path), []) if secrets else load_without_secrets(path)
    except ConfigError as error:
        fail(f"{error}{_meanwhile(path)}", 2)
    if unset and tell_unset:
        say(err, f"{', '.join(unset)}: not set in this shell; this command does without", "dim")
    if (user := become_owner(settings.state_dir)) is not None:
        say(err, f"acting as {user}, who owns {settings.state_dir}", "dim")
    return settings


def _meanwhile(path: Path | None) -> str:
    """What can be done though the file is refused: nothing, where no watchdog has made a control folder yet."""
    control = None if path is None else config.control_dir(path)
    if control is None or not os.path.isdir(control):  # noqa: PTH112 - a folder that may not be looked at is none
        return ""
    return (
        f"\nA watchdog that runs keeps its old configuration; to stop the bot now: touch {control / 'HALT'}"
    )


@app.command()
def run(config: ConfigFile = None) -> None:
    """Watch the bot until SIGTERM. This is what the service runs."""
    from watchdog import service

    raise typer.Exit(service.run(load(config)))


@app.command()
def check(config: ConfigFile = None) -> None:
    """Look at all that a rollback needs; say how to mend it."""
    from watchdog import check as checks

    raise typer.Exit(checks.show(load(config), out))


@app.command()
def status(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Say how things stand now."""
    from watchdog.journal import JournalError
    from watchdog.status import look

    try:
        found = look(load(config, secrets=False))
    except JournalError as error:
        fail(str(error), 1)
    if as_json:
        print(json.dumps(found.body, indent=1))  # noqa: T201
    else:
        _show_status(found.body, found.daemon, found.ready)
        if found.bad:
            say(out, found.bad, "bold red")
    raise typer.Exit(1 if found.bad else 0)


def _show_status(body: dict[str, Any], daemon: int | None, ready: str | None) -> None:
    colour = {"watching": "green", "monitoring": "yellow", "paused": "yellow"}.get(body["state"], "red")
    bot, model, incident = body["bot"], body["model"], body["incident"]
    say(out, body["sentence"], f"bold {colour}")
    facts = {
        "bot": f"{bot['name']}, {'running, pid ' + str(bot['pid']) if bot['running'] else 'not running'}",
        "model": f"{model['version']}, deployed {_time(model['deployed_at'])}",
        "rollback target": ready or body["rollback_target"] or "none",
        "incident": "none" if incident is None else f"{incident['id']}, at {incident['step']}",
        "alerts waiting": str(body["outbox"]["waiting"]),
        "watchdog": "not running"
        if daemon is None
        else f"pid {daemon}, last tick {_time(body['last_tick'])}",
    }
    screen.table(out, [([(name, "dim")], value) for name, value in facts.items()])
    if body["triggers"]:
        rows = [
            (
                [
                    (rule["name"], ""),
                    (rule["state"], STATE_COLOURS.get(rule["state"], "")),
                    (_number(rule["value"]), ""),
                    (_number(rule["limit"]), ""),
                ],
                rule["reason"],
            )
            for rule in body["triggers"]
        ]
        screen.table(out, rows, header=(("rule", "state", "value", "limit"), "reason"))


def _time(text: str | None) -> str:
    """`2026-03-01 10:00:00 UTC`."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if text else "unknown"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


@app.command(context_settings={"allow_extra_args": True})
def rollback(
    context: typer.Context,
    config: ConfigFile = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="V", help="Default: the newest earlier good version")
    ] = None,
    reason: Reason = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and do nothing")] = False,
) -> None:
    """Go back to an earlier version, with every step and proof."""
    from watchdog import orders_cli

    if context.args:
        fail(f"unexpected: {' '.join(context.args)}; did you mean --to {context.args[0]}?", 2)
    settings = load(config, secrets=False)
    if dry_run:
        raise typer.Exit(orders_cli.dry_run(settings, to, out))
    raise typer.Exit(orders_cli.order(settings, "rollback", who(), reason, to, out))


@app.command()
def halt(config: ConfigFile = None, reason: Reason = "") -> None:
    """Stop the bot now, and keep it stopped until `resume`."""
    from watchdog import orders_cli

    raise typer.Exit(orders_cli.order(load(config, secrets=False), "halt", who(), reason, None, out))


@app.command()
def resume(config: ConfigFile = None, reason: Reason = "") -> None:
    """End a halt or a pause.

    After a halt the bot is started on the current version, if its files verify, and the rules begin anew.
    """
    from watchdog import orders_cli

    raise typer.Exit(orders_cli.order(load(config, secrets=False), "resume", who(), reason, None, out))


@app.command()
def pause(config: ConfigFile = None, reason: Reason = "") -> None:
    """Look and tell, and do not act, until `resume`."""
    from watchdog import orders_cli

    raise typer.Exit(orders_cli.order(load(config, secrets=False), "pause", who(), reason, None, out))


@app.command()
def positions(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Ask the exchange what is held and what waits.

    Exit code 1 when anything is unknown, which is never flat. Nothing is touched.
    """
    from watchdog import positions_cli

    raise typer.Exit(positions_cli.show(load(config, secrets=False, tell_unset=False), as_json, out, fail))


@app.command()
def incidents(
    number: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="One incident, with its steps and report")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List what happened, or tell one incident with its steps."""
    from watchdog import incidents_cli

    raise typer.Exit(incidents_cli.show(load(config, secrets=False), number, as_json, out, fail))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The bot's folder")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing watchdog.yaml")] = False,
) -> None:
    """Look at a bot's folder and write a watchdog.yaml for it."""
    from watchdog import init as initial

    raise typer.Exit(initial.write(folder, force=force, out=out))


@app.command()
def demo(
    cause: Annotated[
        str, typer.Option("--cause", help="drawdown | loss_streak | load_error | checksum | sharpe")
    ] = "drawdown",
) -> None:
    """See a failing model being caught and rolled back.

    A real daemon and a real bot, in a throw-away folder.
    """
    from demo.causes import CAUSES
    from demo.narrate import narrate

    if cause not in CAUSES:
        fail(f"--cause {cause}: there is no such cause; choose one of {', '.join(CAUSES)}", 2)
    raise typer.Exit(narrate(cause, out))


def main() -> None:
    """The entry point. A reader that went away (`| head`) is not worth a word; a disk that is full is."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever called (`>&-`)
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
        raise SystemExit(1) from None
    except OSError as error:
        _silence(sys.stdout)
        print(f"{error.filename or 'output'}: {error.strerror}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None


def _silence(stream: TextIO) -> None:
    """So that the interpreter's own last flush does not fail, too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
