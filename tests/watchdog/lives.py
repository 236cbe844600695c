"""A whole life: processes of the watchdog one after the other, and what the oracle of the fault matrix asks of them.

Each process does what `watchdog.daemon` does: it carries an open incident on before its first tick, looks for orders
beside the ticks, and hands over when it is asked to end.
"""

import asyncio
import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.faults.oracle import Evidence, violations
from tests.watchdog.fakes import Killed
from tests.watchdog.living import LivingHouse
from tests.watchdog.manual_loop import ManualLoop
from watchdog import doubt

POLL_S = 10.0
ORDERS_EVERY_S = 0.5
ORDERS = ("HALT", "RESUME", "ROLLBACK")
LOSSES = 3
MUST_END_WITHIN = 60
"""Rounds: ten minutes of ticks, and then hours."""


class Life:
    """One bot and its watchdog, from the first start on."""

    def __init__(self, *, supervised: bool, **changes: Any) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="model-watchdog-life-"))
        triggers = {
            "loss_streak": {"at_least": LOSSES},
            "checksum": {"for": "10s"},
            **changes.pop("triggers", {}),
        }
        rollback = {"monitor_for": "20s", "validate_for": "1m", **changes.pop("rollback", {})}
        self.house = LivingHouse(self.top / "house", triggers=triggers, rollback=rollback, **changes)
        house = self.house
        house.machine.most_s = float("inf")
        house.bot.supervised = supervised
        house.bot.is_halted = self._a_halt_is_known
        self.loop: ManualLoop | None = None
        self.failed = False
        """Something went wrong already: nothing more is asked."""
        self.spoiled: bytes | None = None
        """What registry.json held before a fault made it unreadable."""
        self.halt_ordered = False
        self.released: set[str] = set()
        self.damaged: set[str] = set()
        self.disturbed: list[str] = []
        self.overlooked: list[str] = []
        self.grounds: defaultdict[str, set[str | None]] = defaultdict(set)
        self.equity = self.peak = 2000.0
        self._explains_all = False
        self._streak = 0
        self._exits = 0
        self._deployment: tuple[Any, ...] = ()
        self._halt_seen = False
        self._halted_at: datetime | None = None
        house.write_trade(self.trade("equity", equity=2000.0))
        house.bot.begin(by_hand=True)
        house.bot.story.clear()
        self._same_deployment()
        self.start()

    # -- processes of the watchdog

    @property
    def alive(self) -> bool:
        """Whether a watchdog runs."""
        return self.loop is not None

    def start(self) -> None:
        """A new process, as systemd starts it; an open incident is carried on before the first tick."""
        assert self.loop is None
        if self.house.switch.points or self.house.switch.dead:
            self.house.wake()
        self.loop = ManualLoop(self.house.machine)
        self.ticking = False
        self.run(self._begin())

    async def _begin(self) -> None:
        house, world = self.house, self.house.world
        doubt.look(world.journal, "", world.settings.state_dir, world.registry, world.now())
        await doubt.settle(world, house.incidents)
        house.incidents.resume()
        house.orders.catch_up()
        self.looking = asyncio.get_running_loop().create_task(self._look_for_orders())
        await asyncio.sleep(2 * ORDERS_EVERY_S)
        await self._carry_on(POLL_S)

    async def _carry_on(self, seconds: float) -> None:
        """Brings an open incident to where the bot is safe, if that is possible in this time. No tick before that."""
        house = self.house
        until = house.machine.monotonic_s + seconds
        while not self.ticking and not house.switch.dead and house.machine.monotonic_s < until:
            self.ticking = not house.incidents.busy
            await asyncio.sleep(0.05)
            self._expect_no_crash()

    async def _look_for_orders(self) -> None:
        while True:
            self.house.orders.look()
            await asyncio.sleep(ORDERS_EVERY_S)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """What this process does now; it may be killed meanwhile."""
        assert self.loop is not None
        try:
            with suppress(Killed):
                self.loop.run(coroutine)
            if self.house.switch.dead:
                self._over()
            elif self.looking.done():
                self.looking.result()
        except BaseException:
            self.failed = True
            raise

    def _over(self) -> None:
        assert self.loop is not None
        self.loop.end()
        self.loop = None

    def kill(self) -> None:
        """kill -9, now."""
        self.house.switch.dead = True
        self._over()

    def hand_over(self) -> None:
        """SIGTERM: the running step is finished, and the bot left alone."""
        self.run(self._hand_over())
        if self.alive:
            self.house.switch.dead = True  # it does nothing more
            self._over()

    async def _hand_over(self) -> None:
        house = self.house
        house.world.interrupts.ask_hand_over()
        quiet = house.incidents.current is None
        before = [process.pid for process in house.bot.processes]
        await house.incidents.settle()
        after = [process.pid for process in house.bot.processes]
        if quiet and before != after:
            self.disturbed.append(f"bots {before} before the watchdog ended, {after} after")

    # -- time

    def live(self, seconds: float, every: float = POLL_S) -> None:
        """Time passes, with ticks, and with whatever goes on beside them."""
        if self.alive:
            self.run(self._live(seconds, every))
        else:
            self.house.machine.go(seconds)

    async def _live(self, seconds: float, every: float) -> None:
        house = self.house
        until = house.machine.monotonic_s + seconds
        await self._carry_on(seconds)
        while not house.switch.dead and (rest := until - house.machine.monotonic_s) > 0:
            await house.watch.tick()
            self._expect_no_crash()
            await asyncio.sleep(min(every, rest))

    def pass_by(self, seconds: float, looks: int) -> None:
        """Much time passes, with few ticks."""
        for _ in range(looks):
            self.house.machine.go(seconds / looks)
            self.live(1.0)

    def turn(self, times: int) -> None:
        """So many turns of the loop: a step may be left in the middle."""

        async def turns() -> None:
            for _ in range(times):
                await asyncio.sleep(0)

        if self.alive:
            self.run(turns())

    def _expect_no_crash(self) -> None:
        error = self.house.incidents.crashed()
        if error is not None and not isinstance(error, Killed):
            raise AssertionError(f"a step failed in a way nobody expected: {error!r}") from error

    # -- what the bot writes

    def trade(self, kind: str, **body: Any) -> str:
        """A line of the trade log, of now."""
        at = self.house.machine.wall.replace(tzinfo=None).isoformat()
        return json.dumps({"type": kind, "timestamp": at, **body})

    def exit(self, pnl: float, **more: Any) -> None:
        """A position is closed with this result."""
        self.house.machine.go(1.0)
        self.house.write_trade(self.trade("exit", pnl=pnl, **more))
        # While registry.json cannot be read, the watchdog goes by the version that it knew last.
        judged = {self._same_deployment(), self.house.collector.version}
        self._exits += 1
        self._streak = self._streak + 1 if pnl < 0 else 0 if pnl > 0 else self._streak
        self.equity += pnl
        self.peak = max(self.peak, self.equity)
        if self._streak >= LOSSES:
            self.grounds["loss_streak"] |= judged
        if self._exits >= 10:
            self.grounds["sharpe"] |= judged
        if self.peak - self.equity > 0.25 * self.peak:
            self.grounds["drawdown"] |= judged

    def exit_without_result(self, pnl: str) -> None:
        """A position is closed, and nobody knows with what result: it explains whatever the account reads next."""
        self.house.write_trade(self.trade("exit", pnl="?").replace('"?"', pnl))
        self._explains_all = True

    def withdraw(self, share: float) -> None:
        """A person takes money out while no position is open: no loss, unless an exit may have been one."""
        self.equity *= 1 - share
        self.peak *= 1 - share
        if self._explains_all:
            self.grounds["drawdown"] |= {self._same_deployment(), self.house.collector.version}

    def _same_deployment(self) -> str | None:
        """The current version; what was lost before it became so, or before a person resumed, does not count."""
        if self.spoiled is None:
            data = self.house.data
            switches = sum(event["action"] in {"promoted", "rollback"} for event in data["history"])
            found = (data["current_version"], switches, self.house.world.journal.get("resumed_at"))
            if found != self._deployment:
                self._deployment, self._streak, self._exits = found, 0, 0
        version: str | None = self._deployment[0] if self._deployment else None
        return version

    # -- people

    def spoil_registry(self, how: str) -> None:
        """registry.json cannot be read any more, or is empty."""
        self._same_deployment()
        path = self.house.models / "registry.json"
        body = self.spoiled = path.read_bytes()
        if how == "gone":
            path.unlink()
        else:
            path.write_bytes({"half": body[: len(body) // 2], "empty": b""}.get(how, how.encode()))

    def restore_registry(self) -> None:
        """It is as it was."""
        if self.spoiled is not None:
            (self.house.models / "registry.json").write_bytes(self.spoiled)
            self.spoiled = None

    def order(self, name: str, text: str = "") -> None:
        """A person lays a flag."""
        self.house.flag(name, text)
        if name in {"HALT", "RESUME"}:
            self.halt_ordered = name == "HALT"
        if name == "RESUME":
            self._halt_seen = False

    # -- evidence

    def _a_halt_is_known(self) -> bool:
        world = self.house.world
        return self._halt_seen or world.halted is not None or world.journal.get("halted") is not None

    def evidence(self, *, settled: bool = False) -> Evidence:
        """All that can be known now."""
        house, bot = self.house, self.house.bot
        halted = house.world.halted is not None
        self._halted_at = (self._halted_at or bot.now()) if halted else None
        resuming = (house.settings.control_dir / "RESUME").exists() or any(
            order.what == "resume" for _, order in house.world.journal.unanswered()
        )
        self._halt_seen = (self._halt_seen or house.halted is not None) and not resuming
        registry, torn = None, []
        if self.spoiled is None:
            try:
                registry = house.data
            except ValueError as error:
                torn.append(str(error))
        return Evidence(
            starts=bot.story,
            running=[bot.versions[process.pid] for process in bot.processes],
            registry=registry,
            incidents=house.world.journal.incidents(1000),
            halted_since=self._halted_at,
            alerts=house.told.texts,
            max_per_day=house.settings.rollback.max_per_day,
            released=frozenset(self.released),
            halt_ordered=self.halt_ordered,
            grounds=self._all_grounds(),
            overlooked=self.overlooked,
            disturbed=self.disturbed,
            torn=torn,
            secrets=self._secrets() if settled else [],
            settled=settled,
        )

    def _all_grounds(self) -> dict[str, set[str | None]]:
        bot, found = self.house.bot, dict(self.grounds)
        dead = {version for version, times in bot.deaths.items() if times}
        silent = {version for version in dead if bot.loads.get(str(version)) == "nothing"}
        found["load_error"] = found.get("load_error", set()) | bot.unloadable | silent
        found["checksum"] = set(self.damaged)
        most = self.house.settings.bot.max_restarts
        found["restarts"] = {version for version, times in bot.deaths.items() if times >= most}
        return found

    def _secrets(self) -> list[str]:
        files = [path for path in self.house.settings.state_dir.rglob("*") if path.is_file()]
        found = [*files, self.house.models / "registry.json"]
        return [path.name for path in found if b"hunter2" in path.read_bytes()]

    def judge(self, *, settled: bool = False) -> None:
        """AssertionError with all that does not hold."""
        found = violations(self.evidence(settled=settled))
        if found:
            self.failed = True
            raise AssertionError("\n".join([*found, *self.story()]))

    def story(self) -> list[str]:
        """What was told, and what was done, for whoever has to find out why."""
        house = self.house
        steps = [
            f"  {incident.id} {incident.plan} {row.attempt} {row.step}: {row.result} {row.detail}"
            for incident in house.world.journal.incidents(1000)[::-1]
            for row in house.world.journal.steps(incident)
        ]
        told = [f"  {text}" for text in house.told.texts]
        starts = [f"  {start}" for start in house.bot.story]
        return ["-- told", *told, "-- steps", *steps, "-- starts", *starts, f"-- now {house.bot.now()}"]

    # -- the end

    def settle(self) -> None:
        """Lives on until nothing goes on any more."""
        quiet = 0
        for round_ in range(MUST_END_WITHIN):
            if not self.alive:
                self.start()
            if round_ > 40:
                self.house.machine.go(1800)
            self.live(POLL_S)
            self._owner_restarts()
            quiet = quiet + 1 if self._quiet() else 0
            if quiet == 3:
                return
        self.failed = True
        raise AssertionError("\n".join(["it never ends", *self.story()]))

    def _owner_restarts(self) -> None:
        """The restart policy of a unit or a container: one that ended by itself comes back."""
        bot = self.house.bot
        if bot.supervised and not bot.processes and not bot.told_to_stop:
            bot.begin(by_hand=True)

    def _quiet(self) -> bool:
        house = self.house
        if (
            not self.alive
            or house.incidents.current is not None
            or house.world.journal.open_one() is not None
        ):
            return False
        if any((house.settings.control_dir / name).exists() for name in ORDERS):
            return False
        return len(house.bot.processes) == (0 if house.world.halted else 1)

    def leave(self) -> None:
        """Nothing stays behind."""
        if self.alive:
            self.kill()
        self.house.close()
        shutil.rmtree(self.top)
