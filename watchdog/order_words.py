"""The words about people's orders: what they are answered, and what is left to do by hand."""

from config import Settings

PAUSE_OVER = "the pause is over: the watchdog acts again"
HALT_OVER = "the halt is over: the bot is started once its files verify, and the rules begin anew"
"""Answers to a resume; the command that gave the order knows by them what to wait for."""


def observes(settings: Settings, what: str, daemon: int | None) -> str:
    """A person's rollback or halt while the watchdog only observes. `daemon`: its pid, if one runs."""
    by_hand = (
        "To stop the bot now, stop it yourself, the way it is run"
        if what == "halt"
        else "To go back now, stop the bot yourself, put the version back with `python scripts/rollback_model.py "
        "--execute`, and start the bot"
    )
    reload = "" if daemon is None else f", reload the watchdog (`kill -HUP {daemon}`)"
    return (
        f"refused: mode is observe in {settings.path}, the watchdog does not touch the bot. {by_hand}. To let the "
        f"watchdog do it, set mode: act there{reload} and give the order again"
    )


def how_to_restart(settings: Settings, pid: int) -> str:
    """The command, in words that follow "restart the bot"."""
    bot = settings.bot
    if bot.systemd is not None:
        scope = " --user" if bot.systemd.scope == "user" else ""
        return f": `systemctl{scope} restart {bot.systemd.unit}`"
    if bot.compose is not None:
        return f": `docker compose -f {bot.compose.file} restart {bot.compose.service}`"
    if settings.mode == "observe":
        return ""
    return f": end it (`kill {pid}`), and the watchdog starts it again"
