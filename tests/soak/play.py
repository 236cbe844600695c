"""Plays a plan on a stage, and looks after each event whether what has to happen happens."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from signal import SIGKILL, SIGTERM

from tests.soak.plan import Event
from tests.soak.stage import SoakError, Stage


class Player:
    """`say` takes a line for people."""

    def __init__(self, stage: Stage, say: Callable[[str], None]) -> None:
        self._stage, self._say = stage, say
        self._began = stage.now()
        self._telegram_back: datetime | None = None
        self.counts: dict[str, int] = {}
        self.halts_of_rules = 0
        """A bad version that was met while the day's rollback was used up: the bot is halted instead."""

    def play(self, events: Sequence[Event], lasts: timedelta) -> None:
        """All of them in their order and at their times, as far as the ones before leave it; then to the end."""
        for event in events:
            self._until(self._began + event.at)
            self._say(
                f"day {(self._stage.now() - self._began) / timedelta(days=1):4.1f}: {event.kind} {event.what}"
            )
            self._one(event)
            self.counts[event.kind] = self.counts.get(event.kind, 0) + 1
        self._until(self._began + lasts)
        self._mend_telegram()

    def _until(self, at: datetime) -> None:
        if self._telegram_back is not None and self._telegram_back <= at:
            self._stage.sleep_until(self._telegram_back)
            self._mend_telegram()
        self._stage.sleep_until(at)

    def _mend_telegram(self) -> None:
        if self._telegram_back is not None:
            self._stage.telegram.heal()
            self._stage.telegram.stop()
            self._stage.telegram.start()
            self._telegram_back = None

    def _one(self, event: Event) -> None:
        stage = self._stage
        acts: dict[str, Callable[[], object]] = {
            "rename": lambda: stage.rotate("rename"),
            "copytruncate": lambda: stage.rotate("copytruncate"),
            "glitch": lambda: stage.glitch(event.what),
            "crash bot": self._crash,
            "restart": lambda: stage.restart(SIGTERM),
            "kill": lambda: stage.restart(SIGKILL),
            "reload": stage.reload,
            "outage": lambda: self._outage(event),
            "deploy": lambda: stage.deploy("good"),
            "bad": lambda: self._bad(event.what),
            "halt": self._halt,
        }
        acts[event.kind]()

    def _crash(self) -> None:
        self._stage.crash_bot()
        self._stage.wait(self._stage.bots, "the bot that died is started again")

    def _outage(self, event: Event) -> None:
        if self._telegram_back is not None:
            return
        if event.what == "down":
            self._stage.telegram.stop()
        else:
            self._stage.telegram.fail_always("hang" if event.what == "hang" else "bad_gateway")
        self._telegram_back = self._stage.now() + event.lasts

    def _bad(self, kind: str) -> None:
        """A version that is no good is deployed: it must be left within two days, for one that is good."""
        stage = self._stage
        version = stage.deploy("good" if kind == "damaged" else kind)
        if kind == "damaged":
            (stage.models / f"ensemble_{version}.json").write_bytes(b"\0" * 64)
        stage.wait(lambda: stage.current() != version or stage.halted(), f"{version} ({kind}) is left")
        stage.wait(lambda: stage.quiet, "the incident is closed")
        if stage.halted():
            self.halts_of_rules += 1
            if stage.current() == version:
                stage.order("ROLLBACK", "by hand, for the day's rollback is used up")
                stage.wait(lambda: stage.current() != version and stage.quiet, "a person rolls back")
            stage.resume()
        stage.wait(stage.bots, "the bot runs again")
        if stage.registry.read()["models"][version]["status"] != "quarantined":
            raise SoakError(f"{version} ({kind}) was left and is not quarantined\n{stage.story()}")

    def _halt(self) -> None:
        stage = self._stage
        stage.order("HALT", "a person wants to look")
        stage.wait(lambda: stage.halted() and not stage.bots(), "the halt")
        stage.resume()
        stage.wait(stage.bots, "the bot runs after the halt")
