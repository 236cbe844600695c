"""A bot that is a service of a compose file, in a real engine, under a real daemon."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.bot.make import make_bot
from tests.acceptance.hostile import HostileBot, Trades, make_hostile
from tests.acceptance.house import Bot, House, in_order
from tests.machines.engine import PYTHON, Engine, compose_file, engine, engines, service

__all__ = ["engine", "engines"]

pytestmark = pytest.mark.privileged


@dataclass
class ComposeHouse(House):
    """A house whose bot lives in a container: /app is its folder, and the registry is read-only there."""

    engine: Engine = field(kw_only=True)
    keys: dict[str, Any] = field(default_factory=dict, kw_only=True)
    """Of the service, besides those of `service()`."""

    def __post_init__(self) -> None:
        self.describe(**{"restart": "unless-stopped", "init": True, **self.keys})
        mine = {"control": "compose", "compose": {"file": str(self.file), "service": "bot"}, "process": None}
        self.changes = {**self.changes, "bot": {**self.changes.get("bot", {}), **mine}}
        super().__post_init__()

    @property
    def file(self) -> Path:
        """The compose file."""
        return self.bot.folder / "docker-compose.yml"

    def describe(self, **keys: Any) -> None:
        """Writes the compose file."""
        keys = {**keys, "volumes": [f"{self.bot.models}:/app/models_saved:ro"]}
        compose_file(self.file, bot=service(self.bot.folder, PYTHON, "main.py", **keys))

    def compose(self, *arguments: str) -> str:
        """A person, in the bot's folder."""
        return self.engine.run("docker-compose", *arguments, cwd=self.bot.folder).stdout

    @property
    def container(self) -> str:
        """The one that there is, dead or alive."""
        [found] = self.engine.containers()
        return found

    def bots(self) -> list[psutil.Process]:
        """By an own look at the control groups."""
        containers = self.engine.containers()
        found = [p for p in psutil.process_iter() if any(c in _group(p.pid) for c in containers)]
        return [p for p in found if p.is_running() and "main.py" in p.cmdline() and "init" not in p.name()]


def _group(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


MakeComposeHouse = Callable[..., ComposeHouse]


@pytest.fixture
def make_house(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeComposeHouse]:
    houses: list[ComposeHouse] = []
    for name, value in engine.environ.items():
        monkeypatch.setenv(name, value)

    def make(bot: Bot, /, keys: dict[str, Any] | None = None, **changes: Any) -> ComposeHouse:
        houses.append(ComposeHouse(tmp_path, bot, changes, engine=engine, keys=keys or {}))
        return houses[-1]

    yield make
    for house in houses:
        house.leave()


def up(house: ComposeHouse, bot: HostileBot, version: str = "v2.1.0") -> None:
    """A person starts the bot, then the watchdog."""
    house.compose("up", "--detach", "bot")
    house.wait(lambda: bot.loaded(version), "the bot has loaded its model")
    house.start()


def test_the_demo_bot_is_rolled_back_as_a_service(tmp_path: Path, make_house: MakeComposeHouse) -> None:
    bot = make_bot(tmp_path / "bot", flavour="drawdown", trades_per_second=5.0)
    house = make_house(bot, bot={"stop_timeout": "5s"})
    house.compose("up", "--detach", "bot")
    container = house.container
    house.start()
    incident = house.wait_closed()
    assert (incident.outcome, incident.target, incident.automatic) == ("rolled_back", "v2.0.0", True)
    house.assert_rolled_back("v2.1.0", "v2.0.0")
    house.assert_report(incident)
    assert house.container == container, "the container was made anew"
    steps = (
        "rolling back v2.1.0 to v2.0.0",
        "Bot stopped with SIGTERM",
        "Registry switched",
        "Bot restarted on v2.0.0",
    )
    assert in_order([*steps, "incident 1 is closed"], house.alerts()), house.story()
    house.wait(lambda: house.cli("status").returncode == 0, "status is content")
    body = house.status()
    assert (body["bot"]["running"], body["model"]["version"]) == (True, "v2.0.0")
    assert body["bot"]["pid"] == int(house.engine.inspect(container, "{{.State.Pid}}"))
    assert house.cli("check").returncode == 0, house.cli("check").stdout
    assert house.stop() == 0
    assert house.bot_pid(), "the watchdog's end ended the bot"


def test_kill_9_of_the_daemon_in_the_steps_that_stop_and_start(
    tmp_path: Path, make_house: MakeComposeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot", paths="container", sigterm="flatten", flatten_s=1.0, load_s=1.0)
    house = make_house(bot, bot={"stays_up_for": "1s", "stop_timeout": "10s"}, rollback={"monitor_for": "1s"})
    up(house, bot)
    Trades(bot.trade_log).lose(10)
    for step in ("stop_bot", "start_bot", "confirm_loaded", "monitor"):
        house.wait_at(step)
        house.kill()
        house.start(ready=False)
    incident = house.wait_closed()
    assert (incident.outcome, incident.target) == ("rolled_back", "v2.0.0"), house.story()
    assert len(house.incidents()) == 1
    house.assert_rolled_back("v2.1.0", "v2.0.0")
    assert len(bot.loaded("v2.0.0")) == 1, "the good version was started more than once"
    assert [(e["event"]) for e in bot.ran("ended")] == ["ended"], (
        "it had no time to flatten, or was stopped twice"
    )


def test_a_halted_bot_that_a_person_starts_is_stopped_within_one_poll_and_named(
    tmp_path: Path, make_house: MakeComposeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot", paths="container")
    house = make_house(bot)
    up(house, bot)
    house.flag("HALT", "it looks odd")
    house.wait_closed()
    assert (house.bots(), house.status()["state"]) == ([], "halted")
    house.ticks(3)
    assert len(bot.ran("began")) == 1, "a halted bot was started"
    house.engine.docker("start", house.container)
    house.wait(lambda: len(bot.ran("began")) == 2, "somebody has started it")
    house.wait(lambda: house.alerted("somebody started the halted bot"), "it is told")
    house.wait(lambda: not house.bots(), "it is stopped again")
    still_there, gone = "started by `docker start ", "started by whoever gave `docker start` for"
    assert house.alerted(still_there) or house.alerted(gone), house.story()
    house.ticks(2)
    assert (house.bots(), len(bot.ran("began"))) == ([], 2)
    assert house.cli("resume", "--reason", "all is well").returncode == 0
    house.wait(lambda: len(bot.loaded("v2.1.0")) == 3, "the bot is started again")
    house.wait(lambda: house.cli("status").returncode == 0, "status is content")


def test_an_engine_that_hangs_stops_no_tick_and_is_never_taken_for_a_bot_that_is_down(
    tmp_path: Path, make_house: MakeComposeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot", paths="container")
    house = make_house(bot)
    up(house, bot)
    with house.engine.frozen():
        house.wait(lambda: house.alerted("whether the bot runs cannot be known"), "it is told")
        house.ticks(1)
        assert house.alerted("the container engine did not answer within 10 s"), house.story()
        assert house.status()["bot"]["running"] is None
        house.flag("ROLLBACK", "to v2.0.0, by hand")
        house.wait_at("stop_bot")
        house.wait(lambda: house.alerted("is stuck at stop_bot and needs you"), "the stuck stop is paged")
        assert house.current() == "v2.1.0", "the registry was touched beside a bot that may run"
    incident = house.wait_closed()
    assert incident.outcome == "rolled_back"
    house.assert_rolled_back("v2.1.0", "v2.0.0")
    assert len(bot.ran("began")) == 2


def test_a_halt_goes_past_an_engine_that_hangs_and_holds_when_it_answers_again(
    tmp_path: Path, make_house: MakeComposeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot", paths="container")
    house = make_house(bot)
    up(house, bot)
    main = psutil.Process(int(house.engine.inspect(house.container, "{{.State.Pid}}")))
    with house.engine.frozen():
        house.flag("HALT", "it looks odd")
        house.wait(
            lambda: not main.is_running() or main.status() == psutil.STATUS_ZOMBIE, "the bot is killed"
        )
        house.wait(lambda: house.alerted("was killed directly"), "it is told")
    incident = house.wait_closed()
    assert incident.outcome == "halted", house.story()
    house.ticks(3)
    assert (house.bots(), house.status()["state"]) == ([], "halted")


def test_a_target_that_crashes_again_and_again_is_left_for_an_older_version(
    tmp_path: Path, make_house: MakeComposeHouse
) -> None:
    bot = make_hostile(
        tmp_path / "bot", paths="container", on_error={"v2.0.0": "exit"}, unloadable=["v2.0.0"]
    )
    house = make_house(bot)
    up(house, bot)
    Trades(bot.trade_log).lose(10)
    incident = house.wait_closed()
    assert (incident.outcome, incident.target) == ("rolled_back", "v1.9.0"), house.story()
    assert house.alerted("v2.0.0 is no good either")
    house.assert_rolled_back("v2.0.0", "v1.9.0", events=2)


def test_a_forgotten_loop_that_brings_a_halted_bot_back_again_and_again_is_named(
    tmp_path: Path, make_house: MakeComposeHouse
) -> None:
    """As a unit does that runs compose and has Restart=always."""
    bot = make_hostile(tmp_path / "bot", paths="container")
    house = make_house(bot)
    up(house, bot)
    house.flag("HALT", "it looks odd")
    house.wait_closed()
    loop = subprocess.Popen(
        ["sh", "-c", "while :; do docker-compose up bot; done"],
        cwd=bot.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        house.wait(lambda: house.alerted(f"run by sh (pid {loop.pid}"), "the loop is named")
        began = len(bot.ran("began"))
        house.wait(lambda: len(bot.ran("began")) > began + 1, "it brings the bot back and back")
    finally:
        os.killpg(loop.pid, signal.SIGKILL)
        loop.wait()
    house.wait(lambda: not house.bots(), "it is stopped for good")
    house.ticks(2)
    assert (house.bots(), house.status()["state"]) == ([], "halted")
