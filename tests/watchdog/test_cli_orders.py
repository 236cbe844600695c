"""`rollback`, `halt`, `pause`, `resume`: refused, laid down for later, carried out by hand, or followed.

Where a running daemon is followed, a thread plays it: it holds the lock, takes the flag and writes the journal.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.yard import AT, Said, Yard
from watchdog.assemble import locks, watchdog_pid
from watchdog.incident import Incident, Order
from watchdog.journal import Journal
from watchdog.lock import Lock
from watchdog.order_follow import not_taken
from watchdog.order_words import HALT_OVER, PAUSE_OVER


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path / "bot")
    yield yard
    yard.end_bots()


def current(yard: Yard) -> str:
    version: str = yard.registry.read()["current_version"]
    return version


def flags(yard: Yard) -> set[str]:
    return (
        {path.name for path in yard.control.iterdir() if path.is_file()} if yard.control.exists() else set()
    )


# -- dry runs


def test_a_dry_run_says_every_step_and_does_nothing(yard: Yard) -> None:
    before = yard.registry.path.read_bytes()
    said = yard.cli("rollback", "--dry-run")
    assert said.code == 0
    assert "switch the registry from v2.1.0 to v2.0.0" in said.out
    assert [line[0] for line in said.out.splitlines()[1:6]] == ["1", "2", "3", "4", "5"]
    assert yard.registry.path.read_bytes() == before
    assert not yard.state.exists()
    assert not yard.control.exists()


def test_a_dry_run_to_a_version(yard: Yard) -> None:
    assert "to v1.9.0" in yard.cli("rollback", "--dry-run", "--to", "v1.9.0").out
    for bad, why in (("v2.1.0", "current"), ("v9", "not registered")):
        said = yard.cli("rollback", "--dry-run", "--to", bad)
        assert said.code == 1
        assert why in said.out


def test_a_dry_run_passes_over_what_does_not_verify(yard: Yard) -> None:
    yard.model("v2.0.0").unlink()
    said = yard.cli("rollback", "--dry-run")
    assert said.code == 0
    assert "v2.0.0 is passed over" in said.out
    assert "from v2.1.0 to v1.9.0" in said.out
    yard.model("v1.9.0").unlink()
    said = yard.cli("rollback", "--dry-run")
    assert said.code == 1
    assert "No previous version found" in said.out


def test_a_dry_run_without_a_registry_is_bad_news(yard: Yard) -> None:
    yard.registry.path.unlink()
    said = yard.cli("rollback", "--dry-run")
    assert said.code == 1
    assert str(yard.registry.path) in said.out


def test_a_dry_run_names_the_bots_own_dry_run(yard: Yard) -> None:
    assert "try v2.0.0 out" not in yard.cli("rollback", "--dry-run").out
    yard.configure(bot={"dry_run": ["python", "main.py", "--dry-run"]})
    assert (
        "would try v2.0.0 out while the bot is down: python main.py --dry-run"
        in yard.cli("rollback", "--dry-run").out
    )


def test_a_dry_run_says_that_an_observer_would_refuse(yard: Yard) -> None:
    yard.configure(mode="observe")
    assert "it would be refused" in yard.cli("rollback", "--dry-run").out


# -- refused


@pytest.mark.parametrize("command", ["rollback", "halt"])
def test_an_observer_does_not_touch_the_bot(yard: Yard, command: str) -> None:
    yard.configure(mode="observe")
    said = yard.cli(command)
    assert said.code == 1
    assert f"refused: mode is observe in {yard.path}" in said.out
    assert {"halt": "stop it yourself", "rollback": "stop the bot yourself"}[command] in said.out
    assert "set mode: act there and give the order again" in said.out, "there is no watchdog to be reloaded"
    assert not yard.state.exists()
    assert flags(yard) == set()


@pytest.mark.parametrize("command", ["rollback", "halt", "pause", "resume"])
def test_a_control_folder_for_everybody_is_refused_with_the_remedy(yard: Yard, command: str) -> None:
    yard.control.mkdir()
    yard.control.chmod(0o777)
    with yard.daemon():
        said = yard.cli(command)
    assert said.code == 1
    assert f"chmod o-w {yard.control}" in said.out
    assert flags(yard) == set()


# -- without a daemon


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_what_needs_a_daemon_waits_for_it(yard: Yard, command: str) -> None:
    said = yard.cli(command, "--reason", "later")
    assert said.code == 0
    assert "in force once it starts" in said.out
    flag = json.loads((yard.control / command.upper()).read_text())
    assert (flag["reason"], flag["to"]) == ("later", None)


def test_a_rollback_by_hand_is_the_whole_procedure(yard: Yard) -> None:
    with yard.bot() as bot:
        said = yard.process("rollback", "--reason", "odd trades", SUDO_USER="anna")
        assert said.code == 0, said.out + said.err
        assert bot.wait(5) == -signal.SIGTERM
    assert "no watchdog is running: this command carries the order out itself" in said.out
    steps = [
        "assess",
        "stop_bot",
        "settle_orders",
        "roll_back",
        "start_bot",
        "confirm_loaded",
        "monitor",
        "close",
    ]
    assert [line.split()[2] for line in said.out.splitlines() if line[2:3] == ":"] == steps
    assert said.out.splitlines()[-1] == "the bot runs on v2.0.0"
    assert current(yard) == "v2.0.0"
    (found,) = yard.cli("incidents", "--json").json
    assert found["by"].startswith("anna as ")
    assert (found["reason"], found["outcome"]) == ("odd trades", "rolled_back")
    assert yard.cli("status", "--json").json["bot"]["running"]


def test_a_rollback_by_hand_without_a_target_ends_in_a_halt(yard: Yard) -> None:
    for version in ("v1.9.0", "v2.0.0"):
        yard.model(version).unlink()
    said = yard.process("rollback")
    assert said.code == 1
    assert "stays stopped until model-watchdog resume" in said.out
    assert yard.cli("status", "--json").json["state"] == "halted"


def test_a_rollback_by_hand_to_a_version_that_is_not_there_touches_nothing(yard: Yard) -> None:
    with yard.bot() as bot:
        said = yard.process("rollback", "--to", "v9")
        assert (said.code, bot.poll()) == (1, None)
    assert "nothing was touched" in said.out
    assert current(yard) == "v2.1.0"


def test_ctrl_c_while_it_is_watched_leaves_the_rest_to_the_daemon(yard: Yard) -> None:
    yard.configure(rollback={"monitor_for": "60s"})
    done = interrupted(yard, lambda said: "watching it for" in said)
    assert done.code == 0
    assert "the bot runs on v2.0.0" in done.out
    status = yard.cli("status", "--json").json
    assert (status["state"], status["incident"]["step"]) == ("monitoring", "monitor")
    assert status["bot"]["running"]


def test_ctrl_c_before_the_bot_is_back_says_what_is_left_open(yard: Yard) -> None:
    yard.configure(bot={"stays_up_for": "60s"})
    done = interrupted(yard, lambda said: "roll_back" in said)
    assert done.code == 1
    assert "incident 1 stays open at start_bot" in done.out
    assert "the bot runs on" not in done.out
    assert yard.cli("status", "--json").json["state"] == "rolling_back"


def test_a_lock_that_is_deleted_while_a_command_acts_is_taken_anew(yard: Yard) -> None:
    def deleted(said: str) -> bool:
        if "roll_back" not in said:
            return False
        for lock in locks(yard.settings):
            lock.path.unlink()
        yard.wait(lambda: all(lock.holder() for lock in locks(yard.settings)))
        return True

    yard.configure(bot={"stays_up_for": "60s"})
    assert "incident 1 stays open at start_bot" in interrupted(yard, deleted).out


def test_a_command_whose_place_was_taken_by_a_watchdog_leaves_the_bot_to_it(yard: Yard) -> None:
    with ExitStack() as stack:

        def displaced(said: str) -> bool:
            if said.splitlines()[-1].count("roll_back"):
                for lock in locks(yard.settings):
                    ours = Lock(lock.path.with_suffix(".ours"))
                    ours.take()
                    stack.callback(ours.release)
                    ours.path.rename(lock.path)
            return False

        yard.configure(bot={"stays_up_for": "60s"})
        done = interrupted(yard, displaced)
    assert done.code == 1
    assert f"another watchdog (pid {os.getpid()}) acts for this bot" in done.out


def interrupted(yard: Yard, when: Callable[[str], bool]) -> Said:
    """`rollback` by hand, with Ctrl+C once it has said what is waited for."""
    process = subprocess.Popen(
        yard.command("rollback"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    with process.stdout:
        for line in process.stdout:
            said += line
            if when(said):
                process.send_signal(signal.SIGINT)
                break
        said += process.stdout.read()
    return Said(process.wait(20), said, "")


def test_a_halt_by_hand_holds_and_an_older_order_to_resume_does_not_end_it(yard: Yard) -> None:
    assert yard.cli("resume").code == 0
    assert flags(yard) == {"RESUME"}
    with yard.bot() as bot:
        said = yard.process("halt", "--reason", "enough")
        assert (said.code, bot.wait(5)) == (0, -signal.SIGTERM), said.out + said.err
    assert "is withdrawn" in said.out
    assert flags(yard) == set()
    assert yard.cli("status", "--json").json["state"] == "halted"


def test_a_state_folder_that_cannot_be_made_is_told(yard: Yard) -> None:
    yard.state.write_text("")
    said = yard.process("halt")
    assert said.code == 1
    assert "the order cannot be carried out" in said.out
    assert str(yard.state) in said.out


# -- followed


@contextmanager
def played(yard: Yard, *orders: str, act: Callable[[Journal, Order, int], None]) -> Iterator[None]:
    """A daemon that accepts the flags of `orders`, one after the other, and acts on each."""

    def play() -> None:
        with yard.journal() as journal:
            for what in orders:
                flag = yard.control / what.upper()
                yard.wait(flag.exists)
                order = Order(what, "ops", "why", ident=f"{what} {time.monotonic()}")  # type: ignore[arg-type]
                number = journal.accept(order, datetime.now(UTC))
                flag.unlink()
                assert number is not None
                act(journal, order, number)

    with yard.daemon(), yard.journal():
        thread = threading.Thread(target=play)
        thread.start()
        try:
            yield
        finally:
            thread.join()


def opened(journal: Journal, step: str = "assess", **changes: Any) -> Incident:
    incident = journal.open_incident(
        "rollback", step, "why", "ops", automatic=False, at=datetime.now(UTC), from_version="v2.1.0"
    )
    for name, value in changes.items():
        setattr(incident, name, value)
    journal.save(incident)
    return incident


def does(journal: Journal, incident: Incident, step: str, result: str = "done") -> None:
    incident.step = step
    row = journal.begin(incident, datetime.now(UTC))
    journal.end(row, incident, result, f"{step} was done", datetime.now(UTC))


def closes(journal: Journal, incident: Incident, outcome: Any) -> None:
    incident.outcome, incident.closed_at = outcome, datetime.now(UTC)
    journal.save(incident)


@pytest.mark.parametrize("gone", ["the lock", "the state folder"])
def test_a_daemon_whose_lock_was_deleted_a_moment_ago_still_gets_the_orders(yard: Yard, gone: str) -> None:
    """It takes the lock anew by itself; a command that comes first must not take it for another bot's watchdog."""
    with yard.daemon():
        (yard.state / "watchdog.lock").unlink()
        if gone == "the state folder":
            yard.state.rmdir()
        assert watchdog_pid(yard.settings) == os.getpid()
        assert yard.cli("pause").out.startswith(f"paused: the watchdog (pid {os.getpid()}) looks")
        assert yard.cli("status").out.splitlines()[-1] != "no watchdog is running"
    assert watchdog_pid(yard.settings) is None


def test_another_bots_watchdog_on_the_same_registry_gets_no_orders(yard: Yard) -> None:
    other = Lock(yard.top / "models_saved" / "registry.json.watchdog")
    other.take()
    try:
        assert watchdog_pid(yard.settings) is None
        said = yard.cli("halt")
    finally:
        other.release()
    assert said.code == 1
    assert "registry.json.watchdog" in said.out.replace("\n", "")


def test_a_daemon_that_does_not_answer_is_named_with_the_way_out(yard: Yard) -> None:
    flag = yard.control / "HALT"
    with yard.daemon():
        said = not_taken(yard.settings, "halt", flag)
    assert f"the watchdog (pid {os.getpid()}) has not answered" in said
    assert f"If it hangs: kill -9 {os.getpid()}." in said
    assert "obeys what lies there first" in said
    assert not_taken(yard.settings, "halt", flag).startswith("no watchdog is running any more; the halt is")


def test_a_rollback_is_followed_to_where_the_bot_is_back(yard: Yard) -> None:
    def act(journal: Journal, order: Order, number: int) -> None:
        incident = opened(journal, target="v2.0.0")
        journal.answer(number, f"incident {incident.id}")
        does(journal, incident, "assess")
        does(journal, incident, "stop_bot", "stuck")
        incident.step = "monitor"
        incident.facts["monitor_from"] = datetime.now(UTC).isoformat()
        journal.save(incident)

    with played(yard, "rollback", act=act):
        said = yard.cli("rollback", "--to", "v2.0.0", "--reason", "odd")
    assert said.code == 0
    assert "assess was done" in said.out.replace("  ", " ")
    assert "stop_bot was done" in said.out
    assert said.out.splitlines()[-1] == "the bot runs on v2.0.0"


@pytest.mark.parametrize("outcome", ["refused", "superseded"])
def test_a_rollback_that_came_to_nothing_is_bad_news(yard: Yard, outcome: str) -> None:
    def act(journal: Journal, order: Order, number: int) -> None:
        incident = opened(journal, target="v2.0.0")
        journal.answer(number, f"incident {incident.id}")
        closes(journal, incident, outcome)

    with played(yard, "rollback", act=act):
        said = yard.cli("rollback")
    assert said.code == 1
    assert "the bot runs" not in said.out


def test_a_rollback_while_halted_says_that_the_bot_stays_stopped(yard: Yard) -> None:
    def act(journal: Journal, order: Order, number: int) -> None:
        incident = opened(journal, target="v2.0.0")
        journal.answer(number, f"incident {incident.id}")
        closes(journal, incident, "halted")

    with played(yard, "rollback", act=act):
        said = yard.cli("rollback")
    assert said.code == 0
    assert "the halt stays in force" in said.out.splitlines()[-1]


def test_a_halt_of_a_rollback_that_is_being_watched_is_followed_to_the_halt(yard: Yard) -> None:
    with yard.journal() as journal:
        incident = opened(journal, "monitor", target="v2.0.0")
        incident.facts["monitor_from"] = datetime.now(UTC).isoformat()
        does(journal, incident, "roll_back")
        incident.step = "monitor"
        journal.save(incident)

    def act(journal: Journal, order: Order, number: int) -> None:
        found = journal.open_one()
        assert found
        journal.answer(number, f"incident {found.id}")
        time.sleep(0.3)  # the command has looked at the incident, which is still being monitored
        found.plan = "halt"
        does(journal, found, "hold_down")
        does(journal, found, "stop_bot")
        closes(journal, found, "halted")

    with played(yard, "halt", act=act):
        said = yard.cli("halt", "--reason", "enough")
    assert said.code == 0
    assert "the bot runs" not in said.out
    assert "roll_back was done" not in said.out, "what was done before the halt is not its doing"
    assert "stop_bot was done" in said.out
    assert said.out.splitlines()[-1] == "the bot is halted: it stays stopped until model-watchdog resume"


def test_a_halt_that_came_while_the_incident_was_closed_is_followed_to_its_own(yard: Yard) -> None:
    def act(journal: Journal, order: Order, number: int) -> None:
        first = opened(journal, "close", target="v2.0.0")
        journal.answer(number, f"incident {first.id}")
        closes(journal, first, "rolled_back")
        time.sleep(0.3)
        second = opened(journal, "hold_down", plan="halt")
        does(journal, second, "stop_bot")
        closes(journal, second, "halted")

    with played(yard, "halt", act=act):
        said = yard.cli("halt")
    assert said.code == 0
    assert "the bot runs" not in said.out
    assert "the bot is halted" in said.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("answer", "code"), [("the halt is over", 0), ("refused: incident 7 is being worked on", 1)]
)
def test_an_answer_is_passed_on(yard: Yard, answer: str, code: int) -> None:
    def act(journal: Journal, order: Order, number: int) -> None:
        journal.answer(number, answer)

    with played(yard, "resume", act=act):
        said = yard.cli("resume")
    assert (said.code, said.out.splitlines()[-1]) == (code, answer)


def test_an_answer_to_an_order_of_before_is_not_taken_for_this_ones(yard: Yard) -> None:
    answers = iter(["obeyed the first", "obeyed the second"])

    def act(journal: Journal, order: Order, number: int) -> None:
        time.sleep(0.15)
        journal.answer(number, next(answers))

    with played(yard, "resume", "resume", act=act):
        assert yard.cli("resume").out.splitlines()[-1] == "obeyed the first"
        assert yard.cli("resume").out.splitlines()[-1] == "obeyed the second"


def test_a_running_watchdog_is_asked_though_the_file_says_observe_by_now(yard: Yard) -> None:
    yard.configure(mode="observe")

    def act(journal: Journal, order: Order, number: int) -> None:
        journal.answer(number, "refused: mode is observe, do it yourself")

    with played(yard, "halt", act=act):
        said = yard.cli("halt")
    assert (said.code, said.out.splitlines()[-1]) == (1, "refused: mode is observe, do it yourself")


# -- a resume is followed until the bot is proved to run


@pytest.fixture
def resumed(yard: Yard) -> Iterator[Callable[..., Said]]:
    """`resume`, where the watchdog answers and then does `then(journal)`."""
    bots: list[subprocess.Popen[bytes]] = []

    def resume(
        answer: str = HALT_OVER, starts: bool = False, then: Callable[[Journal], None] = lambda _: None
    ) -> Said:
        def act(journal: Journal, order: Order, number: int) -> None:
            journal.answer(number, answer)
            if starts:
                bots.append(
                    subprocess.Popen([sys.executable, "main.py"], cwd=yard.top, start_new_session=True)
                )
            then(journal)

        with played(yard, "resume", act=act):
            return yard.cli("resume")

    yield resume
    for bot in bots:
        bot.kill()
        bot.wait()


def test_a_resume_is_good_news_once_the_bot_is_proved_to_run(
    yard: Yard, resumed: Callable[..., Said]
) -> None:
    said = resumed(starts=True)
    assert said.code == 0, said.out
    assert said.out.splitlines()[1] == HALT_OVER
    assert re.fullmatch(
        r"the bot runs on v2.1.0, pid \d+: its log says: Loading ensemble model from .*v2.1.0.bin",
        said.out.splitlines()[-1],
    )


def test_a_resume_after_which_the_bot_is_not_started_is_bad_news_with_the_reason(
    yard: Yard, resumed: Callable[..., Said]
) -> None:
    yard.configure(bot={"start_timeout": "0.5s"})

    def then(journal: Journal) -> None:
        text = "the bot is down and is not started on v2.1.0: its file is mismatch"
        now = datetime.now(UTC).isoformat()
        journal.put("conditions", {"bot-down": {"since": now, "told": now, "text": text}})

    said = resumed(then=then)
    assert said.code == 1
    assert said.out.splitlines()[-1].startswith(
        "the bot was not proved to run v2.1.0 within 0.8 s: the bot is down"
    )
    assert "its file is mismatch; the watchdog goes on" in said.out.splitlines()[-1]


def test_a_resume_of_a_bot_that_loads_nothing_is_bad_news(yard: Yard, resumed: Callable[..., Said]) -> None:
    yard.configure(bot={"start_timeout": "1.5s"})
    (yard.top / "main.py").write_text("import time\ntime.sleep(60)\n")
    said = resumed(starts=True)
    assert said.code == 1
    assert "not proved to run v2.1.0" in said.out.splitlines()[-1]
    assert "the bot's log says nothing of a model yet" in said.out.splitlines()[-1]


def test_a_resume_of_a_bot_that_cannot_load_its_model_says_so_at_once(
    yard: Yard, resumed: Callable[..., Said]
) -> None:
    bot = (yard.top / "main.py").read_text()
    dummy = 'logging.error("Error loading model: bad. Using dummy model.")'
    (yard.top / "main.py").write_text(
        bot.replace('logging.info("Ensemble model loaded successfully")', dummy)
    )
    said = resumed(starts=True)
    assert said.code == 1
    assert "the bot was started, and the bot's log says: ERROR Error loading model: bad" in said.out


@pytest.mark.parametrize("what", ["another halt", "an incident"])
def test_a_resume_that_something_else_overtakes_is_bad_news(
    yard: Yard, resumed: Callable[..., Said], what: str
) -> None:
    def then(journal: Journal) -> None:
        if what == "an incident":
            opened(journal)
        else:
            journal.put(
                "halted", {"since": datetime.now(UTC).isoformat(), "why": "no", "by": "eve", "incident": 2}
            )

    said = resumed(then=then)
    assert said.code == 1
    expected = {"another halt": "it is halted again, by eve: no", "an incident": "incident 1 began (why)"}
    assert f"the bot was not brought back: {expected[what]}" in said.out.splitlines()[-1]


def test_the_end_of_a_pause_waits_for_no_bot_that_runs(yard: Yard, resumed: Callable[..., Said]) -> None:
    with yard.bot() as bot:
        said = resumed(PAUSE_OVER)
    assert (said.code, said.out.splitlines()[-1]) == (0, f"the bot runs, pid {bot.pid}")


def test_a_watchdog_that_only_observes_starts_no_bot_to_be_waited_for(
    yard: Yard, resumed: Callable[..., Said]
) -> None:
    yard.configure(mode="observe")
    said = resumed(PAUSE_OVER)
    assert (said.code, said.out.splitlines()[-1]) == (0, PAUSE_OVER)


def test_a_pause_of_a_running_watchdog_is_said_at_once(yard: Yard) -> None:
    with yard.daemon():
        said = yard.cli("pause", "--reason", "deploying")
    assert said.code == 0
    assert f"the watchdog (pid {os.getpid()}) looks and tells" in said.out
    assert json.loads((yard.control / "PAUSE").read_text())["reason"] == "deploying"


# -- while halted


def halted(yard: Yard, **changes: Any) -> None:
    yard.tick()
    with yard.journal() as journal:
        journal.put(
            "halted", {"since": AT.isoformat(), "why": "it lost", "by": "ops", "incident": 1, **changes}
        )


def test_a_dry_run_while_halted_starts_and_watches_nothing(yard: Yard) -> None:
    halted(yard)
    said = yard.cli("rollback", "--dry-run")
    assert "would leave the bot halted, and write the report: `model-watchdog resume` starts it" in said.out
    assert "would start" not in said.out
    assert "would watch" not in said.out


@pytest.mark.parametrize("condemned", ["v2.1.0", "v2.0.0", None])
def test_a_resume_on_the_condemned_version_is_warned_of_and_taken(yard: Yard, condemned: str | None) -> None:
    halted(yard, condemned=condemned)
    said = yard.cli("resume")
    assert ("v2.1.0 is STILL current, which a rule condemned" in said.out) is (condemned == "v2.1.0")
    assert "the resume is in force" in said.out


def test_a_version_without_its_option_is_answered_with_the_option(yard: Yard) -> None:
    said = yard.cli("rollback", "v1.9.0")
    assert said.code == 2
    assert "did you mean --to v1.9.0?" in said.err
