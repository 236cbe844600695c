"""One dry run, watched and judged: before a start, and as a rehearsal."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from watchdog import dry_run, dry_trades
from watchdog.dry_proof import Proof, it_traded, judge
from watchdog.dry_run import Ran, Wait
from watchdog.log_files import read_tail
from watchdog.proof import Names
from watchdog.rules import load_error_rule
from watchdog.world import World


async def run(
    world: World,
    command: list[str],
    directory: Path,
    wait: Wait,
    trade_log: Path | None,
    target: Names,
    others: Sequence[Names],
    *,
    log: Path | None = None,
    gently: bool = False,
) -> tuple[Ran, Proof]:
    """Runs it, and ends it as soon as it adds a trade to `trade_log`. `log`: what it logs counts as what it says."""
    settings, began = world.settings, world.clock.monotonic()
    timeout_s = settings.bot.start_timeout.total_seconds()
    account = settings.exchange
    keys = [] if account is None else [account.api_key, account.api_secret]
    watched = dry_trades.watching(wait, trade_log, settings)
    try:
        ran = await world.runs(
            command,
            directory,
            dry_run.mark(settings),
            timeout_s,
            watched,
            gently=gently,
            keys=[key.get_secret_value() for key in keys],
        )
        await watched(0)
    except dry_trades.Traded as traded:
        return Ran(None, world.clock.monotonic() - began), it_traded(str(traded))
    ran = replace(ran, lines=(*(() if log is None else _tail(log)), *ran.lines))
    return ran, judge(ran, timeout_s, target, others, load_error_rule(settings))


def _tail(path: Path) -> tuple[str, ...]:
    try:
        text = read_tail(path, dry_run.KEPT_BYTES).decode("utf-8", "replace")
        return tuple(text.splitlines()[-dry_run.KEPT_LINES :])
    except OSError:
        return ()
