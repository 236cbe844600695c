"""What bot.json in the bot's folder may say. Every key may be left out."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

OnLoadError = Literal["dummy", "exit"]
OnSigterm = Literal["die", "flatten", "ignore"]
Dies = Literal["never", "before_loading", "while_loading", "later"]


@dataclass(frozen=True)
class BotSettings:
    """How the bot behaves; the defaults are those of the bots that it stands for."""

    seed: int = 7
    trades_per_second: float = 5.0
    """0: it loads its models and then idles."""
    initial_equity: float = 2000.0
    """Quote currency; of no importance once the trade log says what the equity is."""
    fixed_names: bool = False
    """Loads ensemble_model.bin and rl_agent.bin, whatever the registry says."""
    on_load_error: OnLoadError = "dummy"
    """dummy: goes on with a model that trades at random. exit: ends with exit code 1."""
    load_s: float = 0.0
    """How long loading each file takes."""
    sigterm: OnSigterm = "die"
    """die: no handler, the position stays open. flatten: closes it, exit code 0. ignore: goes on."""
    flatten_s: float = 0.0
    """How long closing the position takes."""
    children: int = 0
    """So many data streams run beside it, each in its own session, and outlive it (for a minute at most)."""
    dies: Dies = "never"
    """Ends by itself with `exit_code`: at its start, while loading its first file, `dies_after_s` later."""
    dies_on: str | None = None
    """`dies` is for this version alone; None: for every version."""
    dies_after_s: float = 0.0
    exit_code: int = 3
    paper: bool = False
    """The equity it reports never moves, like that of a test account."""
    utc_offset_h: float = 0.0
    """Its timestamps, which carry no offset, are so many hours ahead of UTC."""

    def __post_init__(self) -> None:
        for name, allowed in (("on_load_error", OnLoadError), ("sigterm", OnSigterm), ("dies", Dies)):
            if (value := getattr(self, name)) not in get_args(allowed):
                raise ValueError(f"{name}: {value!r} is not one of {', '.join(get_args(allowed))}")
        if not self.initial_equity > 0:
            raise ValueError(f"initial_equity: {self.initial_equity!r} is not above 0")
        for name in ("trades_per_second", "load_s", "flatten_s", "children", "dies_after_s"):
            if not (value := getattr(self, name)) >= 0:
                raise ValueError(f"{name}: {value!r} is below 0")


def load(path: Path) -> BotSettings:
    """Reads bot.json; a missing file means the defaults. ValueError names what is wrong."""
    if not path.exists():
        return BotSettings()
    values = json.loads(path.read_text(encoding="utf-8"))
    known = {field.name for field in dataclasses.fields(BotSettings)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f"{path.name}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return BotSettings(**values)


def save(path: Path, settings: BotSettings) -> None:
    """Writes bot.json."""
    path.write_text(json.dumps(dataclasses.asdict(settings), indent=2) + "\n", encoding="utf-8")
