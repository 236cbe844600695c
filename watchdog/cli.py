"""The commands. Exit codes: 0 good, 1 bad news, 2 wrong usage or configuration."""

import getpass
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import config
from config import ConfigError, Settings

app = typer.Typer(
    name="model-watchdog",
    help="Rolls a trading bot's model back by itself when a version turns out to be bad.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Default: ./watchdog.yaml, then /etc/model-watchdog/watchdog.yaml"
    ),
]
Reason = Annotated[
    str, typer.Option("--reason", help="Why; it is kept in the journal and told to everybody on call")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs")]


def fail(message: str, code: int) -> NoReturn:
    """Says what is wrong and ends."""
    err.print(f"[red]{escape(message)}[/]", highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def load(file: Path | None) -> Settings:
    """The settings, or all that is wrong with them and exit 2."""
    try:
        settings = config.load(config.find(file))
    except ConfigError as error:
        fail(str(error), 2)
    if settings.bot.control != "process":
        fail(
            f"{settings.path}: bot.control: {settings.bot.control} is not in this version yet; only process is",
            2,
        )
    return settings


def say(text: str, style: str = "") -> None:
    """A line for people."""
    out.print(f"[{style}]{escape(text)}[/]" if style else escape(text), highlight=False, soft_wrap=True)


@app.command()
def run(config: ConfigFile = None) -> None:
    """Watch the bot until SIGTERM (this is what the service runs)."""
    from watchdog import service

    raise typer.Exit(service.run(load(config)))


@app.command()
def check(config: ConfigFile = None) -> None:
    """Walk through everything that a rollback needs, and say how to mend what is not good."""
    from watchdog import check as checks

    raise typer.Exit(checks.show(load(config), out))


@app.command()
def status(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """How things stand now."""
    from watchdog.journal import JournalError
    from watchdog.status import look

    try:
        found = look(load(config))
    except JournalError as error:
        fail(str(error), 1)
    if as_json:
        print(json.dumps(found.body, indent=1))  # noqa: T201
    else:
        _show_status(found.body, found.daemon)
        if found.bad:
            say(found.bad, "bold red")
    raise typer.Exit(1 if found.bad else 0)


def _show_status(body: dict[str, Any], daemon: int | None) -> None:
    colour = {"watching": "green", "monitoring": "yellow", "paused": "yellow"}.get(body["state"], "red")
    bot, model = body["bot"], body["model"]
    say(body["sentence"], f"bold {colour}")
    facts = Table.grid(padding=(0, 2))
    for name, value in (
        ("bot", f"{bot['name']}, {'running, pid ' + str(bot['pid']) if bot['running'] else 'not running'}"),
        ("model", f"{model['version']}, deployed {model['deployed_at']}"),
        ("rollback target", body["rollback_target"] or "none"),
        (
            "incident",
            "none"
            if body["incident"] is None
            else f"{body['incident']['id']}, at {body['incident']['step']}",
        ),
        ("alerts waiting", str(body["outbox"]["waiting"])),
        ("watchdog", "not running" if daemon is None else f"pid {daemon}, last tick {body['last_tick']}"),
    ):
        facts.add_row(f"[dim]{name}[/]", escape(value))
    out.print(facts)
    if body["triggers"]:
        table = Table(box=None, header_style="dim")
        for column in ("rule", "state", "value", "limit", "reason"):
            table.add_column(column)
        for rule in body["triggers"]:
            table.add_row(
                rule["name"],
                rule["state"],
                _number(rule["value"]),
                _number(rule["limit"]),
                escape(rule["reason"]),
            )
        out.print(table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


@app.command()
def rollback(
    config: ConfigFile = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="V", help="Default: the newest earlier good version")
    ] = None,
    reason: Reason = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and do nothing")] = False,
) -> None:
    """Roll the bot back to an earlier version, with all the steps and proofs of an automatic rollback."""
    from watchdog import orders_cli

    settings = load(config)
    if dry_run:
        raise typer.Exit(orders_cli.dry_run(settings, to, out))
    raise typer.Exit(orders_cli.order(settings, "rollback", who(), reason, to, out))


@app.command()
def halt(config: ConfigFile = None, reason: Reason = "") -> None:
    """Stop the bot now, and keep it stopped until `resume`."""
    from watchdog import orders_cli

    raise typer.Exit(orders_cli.order(load(config), "halt", who(), reason, None, out))


@app.command()
def resume(config: ConfigFile = None, reason: Reason = "") -> None:
    """End a halt or a pause: the bot is started on the current version if it verifies."""
    from watchdog import orders_cli

    raise typer.Exit(orders_cli.order(load(config), "resume", who(), reason, None, out))


@app.command()
def pause(config: ConfigFile = None, reason: Reason = "") -> None:
    """Look and tell, and do not act, until `resume`."""
    from watchdog import orders_cli

    raise typer.Exit(orders_cli.order(load(config), "pause", who(), reason, None, out))


@app.command()
def incidents(
    number: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="One incident, with its steps and report")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """What happened: all incidents, or one with its steps."""
    from watchdog import incidents_cli

    raise typer.Exit(incidents_cli.show(load(config), number, as_json, out, fail))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The bot's folder")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing watchdog.yaml")] = False,
) -> None:
    """Look at a bot's folder and write a commented watchdog.yaml for it."""
    from watchdog import init as initial

    raise typer.Exit(initial.write(folder, force=force, out=out))


@app.command()
def demo(
    cause: Annotated[
        str, typer.Option("--cause", help="drawdown | loss_streak | load_error | checksum | sharpe")
    ] = "drawdown",
) -> None:
    """See a failing model being caught and rolled back: a real daemon, a real bot, a throw-away folder."""
    from demo.narrate import CAUSES, narrate

    if cause not in CAUSES:
        fail(f"--cause {cause}: there is no such cause; choose one of {', '.join(CAUSES)}", 2)
    raise typer.Exit(narrate(cause, out))


def who() -> str:
    """Who gives the order: the person behind sudo, too."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = f"uid {os.getuid()}"
    return f"{os.environ['SUDO_USER']} as {name}" if "SUDO_USER" in os.environ else name


def main() -> None:
    """The entry point. A pipe that was closed (`| head`) is no error."""
    try:
        app()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
