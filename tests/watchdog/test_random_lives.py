"""Random sequences of faults, orders, outages and bad versions, against the oracle of the fault matrix.

After every move the invariants are asked for; at the end of each life everything is healed, time passes until nothing
goes on any more, and what must come in the end is asked for, too: then a person resumes, three losses in a row are
written, and they must be seen.

30 lives; 100 with CI=true, 1,000 with MODEL_WATCHDOG_THOROUGH=1. Another choice of them: MODEL_WATCHDOG_SEED=7.
"""

import os

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from registry import ModelRegistry, RegistryError
from tests.watchdog.fakes import Loads
from tests.watchdog.lives import LOSSES, Life
from tests.watchdog.living import LivingHouse

DAY_S = 86400.0
VERSIONS = ("v1.8.0", "v1.9.0", "v2.0.0", "v2.1.0", "v2.2.0")
LOADS: tuple[Loads, ...] = (
    "well",
    "nothing",
    "another",
    "dummy",
    "error",
    "exits",
    "exits late",
    "never done",
)
KNOWN = st.sampled_from(VERSIONS)


class RandomLife(RuleBasedStateMachine):
    """The moves."""

    life: Life

    @initialize(
        supervised=st.booleans(),
        max_per_day=st.sampled_from([1, 1, 2]),
        cooldown=st.sampled_from(["0s", "1h"]),
        checksum_for=st.sampled_from(["0s", "10s", "30s"]),
    )
    def a_bot_is_watched(self, supervised: bool, max_per_day: int, cooldown: str, checksum_for: str) -> None:
        self.life = Life(
            supervised=supervised,
            rollback={"max_per_day": max_per_day, "cooldown": cooldown},
            triggers={"checksum": {"for": checksum_for}},
        )
        self.kept = (self.life.house.models / "registry.json").read_bytes()
        self.life.live(20.0)

    @property
    def house(self) -> LivingHouse:
        return self.life.house

    # -- time

    @rule(seconds=st.sampled_from([0.3, 1.0, 5.0, 10.0, 30.0]))
    def a_moment_passes(self, seconds: float) -> None:
        self.life.live(seconds)

    @rule(times=st.integers(1, 60))
    def the_loop_turns(self, times: int) -> None:
        self.life.turn(times)

    @rule(times=st.integers(1, 60))
    def losses_are_seen_and_the_loop_turns(self, times: int) -> None:
        self._trades([-5.0] * LOSSES)
        self.life.live(0.3)
        self.life.turn(times)

    @rule(hours=st.sampled_from([1, 1, 24]))
    def much_time_passes(self, hours: int) -> None:
        self.life.pass_by(hours * 3600.0, 3)

    # -- the bot trades

    def _trades(self, results: list[float]) -> None:
        for pnl in results:
            if self.house.bot.processes:
                self.life.exit(pnl)

    @rule(results=st.lists(st.sampled_from([5.0, -5.0, -5.0, 0.0]), min_size=1, max_size=5))
    def it_trades(self, results: list[float]) -> None:
        self._trades(results)

    @rule()
    def it_loses_a_third_of_the_account(self) -> None:
        self._trades([-self.life.equity / 3])

    @rule(what=st.sampled_from(["true", "0", "-3", "NaN", "Infinity", '"x"', "withdrawal"]))
    def it_reads_its_account(self, what: str) -> None:
        if what == "withdrawal":
            self.life.withdraw(0.4)
        said = f"{self.life.equity:.4f}" if what in {"true", "withdrawal"} else what
        self.house.write_trade(self.life.trade("equity", equity="?").replace('"?"', said))

    @rule(
        text=st.sampled_from(
            ["garbage", "{}", "[" * 50, '{"type": "exit", "pnl": "much"}', '{"type": "exit"']
        )
    )
    def it_writes_garbage(self, text: str) -> None:
        self.house.write_trade(text)

    @rule()
    def it_writes_an_exit_without_a_result(self) -> None:
        for pnl in ("NaN", "-Infinity", "null"):
            self.life.exit_without_result(pnl)

    # -- the bot misbehaves

    @rule(version=KNOWN, how=st.sampled_from(LOADS))
    def a_version_loads(self, version: str, how: Loads) -> None:
        self.house.bot.loads[version] = how

    @rule()
    def it_logs_a_load_error(self) -> None:
        if self.house.bot.processes:
            self.house.bot.log("Error loading model: hunter2 is no key. Using dummy model.", "ERROR")
            self.life.grounds["load_error"].update(VERSIONS)

    @rule()
    def it_dies(self) -> None:
        self.house.bot.die()

    @rule()
    def it_is_started_by_hand(self) -> None:
        if not self.house.bot.processes:
            self.house.bot.begin(by_hand=True)

    @rule(times=st.integers(1, 3))
    def it_ignores_being_stopped(self, times: int) -> None:
        self.house.bot.ignores_stop = times

    @rule(times=st.integers(1, 3), how=st.sampled_from(["cannot_start", "ends_at_once", "silent"]))
    def its_next_starts_or_looks_fail(self, times: int, how: str) -> None:
        setattr(self.house.bot, how, times)

    # -- the watchdog ends

    @precondition(lambda self: self.life.alive)
    @rule(after=st.integers(0, 80))
    def it_will_be_killed(self, after: int) -> None:
        self.house.switch.kill_at(len(self.house.switch.points) + after)

    @precondition(lambda self: self.life.alive)
    @rule()
    def it_is_killed(self) -> None:
        self.life.kill()

    @precondition(lambda self: self.life.alive)
    @rule()
    def it_gets_sigterm(self) -> None:
        self.life.hand_over()

    @precondition(lambda self: not self.life.alive)
    @rule()
    def it_is_started_again(self) -> None:
        self.life.start()

    # -- people

    @rule(text=st.sampled_from(["", "looks wrong, hunter2"]))
    def a_person_orders_halt(self, text: str) -> None:
        self.life.order("HALT", text)

    @rule()
    def a_person_orders_resume(self) -> None:
        self.life.order("RESUME")

    @rule(
        text=st.sampled_from(["", "v1.9.0 risk said so", "v1.8.0", "v9.9.9", '{"to": "v2.0.0", "by": "bob"}'])
    )
    def a_person_orders_rollback(self, text: str) -> None:
        self.life.order("ROLLBACK", text)

    @rule()
    def a_person_orders_pause(self) -> None:
        self.life.order("PAUSE", "deploying")

    @rule()
    def a_person_ends_the_pause(self) -> None:
        (self.house.settings.control_dir / "PAUSE").unlink(missing_ok=True)

    # -- the registry and its files

    def _people(self) -> ModelRegistry:
        return ModelRegistry(self.house.models, now=lambda: self.house.machine.wall, lock_timeout_s=0.2)

    @precondition(lambda self: self.life.spoiled is None)
    @rule(version=KNOWN, restart=st.booleans())
    def somebody_promotes(self, version: str, restart: bool) -> None:
        house = self.house
        house.machine.go(1.0)
        if version not in house.data["models"]:
            house.promote(version)
        else:
            try:
                self._people().promote_model(version, {})
            except RegistryError:
                return
        if restart and house.bot.processes:
            house.bot.die(-15)
            house.bot.begin(by_hand=True)

    @precondition(lambda self: self.life.spoiled is None)
    @rule(version=KNOWN)
    def somebody_releases(self, version: str) -> None:
        if version in self.house.data["models"]:
            self.life.released.add(version)
            self._people().release(version)

    @rule(version=KNOWN, how=st.sampled_from(["damaged", "deleted"]))
    def a_file_is_spoiled(self, version: str, how: str) -> None:
        file = self.house.models / f"ensemble_{version}.pkl"
        if file.exists():
            self.life.damaged.add(version)
            file.write_bytes(b"damaged") if how == "damaged" else file.unlink()

    @rule()
    def all_files_are_restored(self) -> None:
        for version in VERSIONS:
            file = self.house.models / f"ensemble_{version}.pkl"
            if version in self.life.damaged:
                file.write_bytes(f"model {version}".encode())

    @precondition(lambda self: self.life.spoiled is None)
    @rule(how=st.sampled_from(["half", "empty", "gone", "[]", "{}"]))
    def the_registry_is_spoiled(self, how: str) -> None:
        self.life.spoil_registry(how)

    @precondition(lambda self: self.life.spoiled is not None)
    @rule()
    def the_registry_is_put_back(self) -> None:
        self.life.restore_registry()

    # -- the machine

    @rule(writes=st.sampled_from([1, 2, 3, 10, 1000]), at_commit=st.booleans())
    def the_disk_refuses(self, writes: int, at_commit: bool) -> None:
        faults = self.house.faults
        last = faults.writes + writes
        faults.refuse, faults.at_commit = (lambda number: number <= last), at_commit

    @rule()
    def the_disk_is_well(self) -> None:
        self.house.faults.refuse = lambda number: False

    @precondition(lambda self: self.life.alive)
    @rule(days=st.sampled_from([-1, 1]))
    def the_clock_is_stepped(self, days: int) -> None:
        self.house.switch.at = (
            None  # a step that a watchdog did not live to see cannot be known to the next one
        )
        self.house.machine.step(days * DAY_S)
        self.life.live(1.0)  # nor could anybody know of two steps between two looks

    @rule(how=st.sampled_from(["rename", "copytruncate"]))
    def the_logs_are_rotated(self, how: str) -> None:
        for path in (self.house.trades, self.house.settings.bot.log):
            if not path.exists():
                continue
            for number in (3, 2, 1):
                old = path.with_name(f"{path.name}.{number}")
                if old.exists():
                    old.rename(path.with_name(f"{path.name}.{number + 1}"))
            aside = path.with_name(f"{path.name}.1")
            if how == "rename":
                path.rename(aside)
            else:
                aside.write_bytes(path.read_bytes())
                os.truncate(path, 0)

    # -- what must hold

    @invariant()
    def the_invariants_hold(self) -> None:
        self.life.judge()

    def teardown(self) -> None:
        life = getattr(self, "life", None)
        if life is None:
            return
        try:
            if not life.failed:
                self._to_the_end()
        finally:
            life.leave()

    def _to_the_end(self) -> None:
        life, house = self.life, self.house
        house.switch.at = None
        self.the_disk_is_well()
        self.all_files_are_restored()
        self.a_person_ends_the_pause()
        life.restore_registry()
        bot = house.bot
        bot.ignores_stop = bot.cannot_start = bot.ends_at_once = bot.silent = 0
        if bot.supervised:  # its owner would restart it for ever, and people be paged
            bot.loads = {version: how for version, how in bot.loads.items() if not how.startswith("exits")}
        life.settle()
        life.judge(settled=True)
        bot.loads.clear()
        if house.world.halted:
            life.order("RESUME")
        life.settle()
        life.judge(settled=True)
        self._losses_are_seen()
        life.settle()
        life.judge(settled=True)

    def _losses_are_seen(self) -> None:
        life, house = self.life, self.house
        if house.world.halted:
            life.overlooked.append("halted again right after the resume")
            return
        if [house.bot.versions[process.pid] for process in house.bot.processes] != [house.current]:
            house.bot.die(-15)  # as people are asked to
            house.bot.begin(by_hand=True)
            life.live(10.0)
        self._trades([-5.0] * LOSSES)
        before = len(house.world.journal.incidents(1000))
        for _ in range(3):
            life.live(10.0)
        firing = [verdict.name for verdict in house.watch.verdicts if verdict.state == "firing"]
        if len(house.world.journal.incidents(1000)) == before and not firing:
            life.overlooked.append(f"{LOSSES} losses in a row, and nothing fires: {house.watch.verdicts}")


THOROUGH = "MODEL_WATCHDOG_THOROUGH" in os.environ
LIVES = 1000 if THOROUGH else 100 if os.environ.get("CI") == "true" else 30
SEED = int(os.environ.get("MODEL_WATCHDOG_SEED", "1"))

TestRandomLives = pytest.mark.timeout(1800)(seed(SEED)(RandomLife).TestCase)
TestRandomLives.settings = settings(
    max_examples=LIVES,
    stateful_step_count=25,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
