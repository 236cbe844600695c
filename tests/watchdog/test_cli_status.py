"""`status` and `status --json`: true in every state, with and without a daemon; exit 1 when a person is needed."""

import json
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from notifier import Alert, Outbox
from tests.watchdog.yard import AT, Said, Yard
from watchdog.assemble import journal_path

CONTRACTS = Path(__file__).parents[2] / "docs" / "contracts.md"
STATES = {"watching", "paused", "rolling_back", "monitoring", "halted"}


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path / "bot")


def shape(found: Any) -> Any:
    """Keys and types, of a list those of its first element."""
    if isinstance(found, dict):
        return {key: shape(value) for key, value in found.items()}
    if isinstance(found, list):
        return [shape(found[0])] if found else []
    return type(found).__name__


def of_the_contract() -> dict[str, Any]:
    blocks = re.findall(r"^```json\n(.*?)^```", CONTRACTS.read_text(), re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = json.loads(next(block for block in blocks if '"last_tick"' in block))
    return found


def body(said: Said) -> dict[str, Any]:
    found: dict[str, Any] = said.json
    assert found["state"] in STATES
    return found


def halted(yard: Yard, **changes: Any) -> None:
    with yard.journal() as journal:
        journal.put(
            "halted", {"since": AT.isoformat(), "why": "it lost", "by": "ops", "incident": 1, **changes}
        )


def open_incident(yard: Yard, step: str, **facts: Any) -> None:
    with yard.journal() as journal:
        incident = journal.open_incident(
            "rollback", step, "drawdown 26.1 %", "rule drawdown", automatic=True, at=AT, from_version="v2.1.0"
        )
        incident.target = "v2.0.0"
        incident.facts.update(facts)
        journal.save(incident)


def test_a_folder_that_no_watchdog_ever_ran_in(yard: Yard) -> None:
    said = yard.cli("status", "--json")
    found = body(said)
    assert said.code == 1
    assert found["state"] == "watching"
    assert found["sentence"].startswith("no watchdog is running")
    assert found["bot"] == {"name": "sol-perp", "running": False, "pid": None}
    assert found["model"] == {"version": "v2.1.0", "deployed_at": AT.isoformat()}
    assert found["rollback_target"] == "v2.0.0"
    assert found["triggers"] == []
    assert (found["incident"], found["last_tick"]) == (None, None)
    assert found["outbox"] == {"waiting": 0, "oldest_s": None}
    assert found["version"] == version("model-watchdog")
    assert not yard.state.exists(), "asking has left something behind"
    human = yard.cli("status")
    assert (human.code, human.out.splitlines()[-1]) == (1, "no watchdog is running")


def test_the_keys_and_types_are_those_of_the_contract(yard: Yard) -> None:
    yard.tick()
    open_incident(yard, "start_bot")
    with yard.daemon(), yard.bot() as bot:
        found = body(yard.cli("status", "--json"))
        assert found["bot"]["pid"] == bot.pid
    contract = of_the_contract()
    assert list(found) == list(contract)
    assert shape(found) == shape(contract)
    with yard.journal() as journal:
        incident = journal.open_one()
        assert incident
        incident.closed_at = AT
        journal.save(incident)
    calm = body(yard.cli("status", "--json"))
    assert shape(calm) == {
        **shape(contract),
        "incident": "NoneType",
        "bot": {"name": "str", "running": "bool", "pid": "NoneType"},
    }


def test_watching(yard: Yard) -> None:
    yard.tick()
    with yard.daemon(), yard.bot():
        said = yard.cli("status", "--json")
        human = yard.cli("status")
    found = body(said)
    assert (said.code, found["state"]) == (0, "watching")
    assert found["sentence"] == "watching v2.1.0: drawdown 3.1 %"
    assert found["triggers"][0]["reason"] == "drawdown 3.1 %"
    assert human.code == 0
    assert re.search(rf"^watchdog +pid {os.getpid()}, last tick \d{{4}}-\d\d-\d\d ", human.out, re.MULTILINE)
    assert re.search(r"^drawdown +ok +0.031 +0.25 +drawdown 3.1 %$", human.out, re.MULTILINE), human.out


def test_the_bot_is_down(yard: Yard) -> None:
    yard.tick()
    with yard.daemon():
        said = yard.cli("status")
    assert (said.code, said.out.splitlines()[-1]) == (1, "the bot is not running")


def test_a_bot_that_still_runs_the_version_before_the_current_one_is_bad_news(yard: Yard) -> None:
    text = "v2.1.0 was promoted, but the bot (pid 7) still runs v2.0.0: restart it"
    with yard.journal() as journal:
        journal.put("conditions", {"runs-another": {"since": AT.isoformat(), "told": None, "text": text}})
    yard.tick()
    with yard.daemon():
        with yard.bot():
            said = yard.cli("status")
        assert yard.cli("status").out.splitlines()[-1] == "the bot is not running"
    assert (said.code, said.out.splitlines()[-1]) == (1, text)


def rolled_back_by_itself(yard: Yard, at: datetime) -> None:
    with yard.journal() as journal:
        found = journal.open_incident(
            "rollback", "close", "drawdown", "rule drawdown", automatic=True, at=at, from_version="v2.1.0"
        )
        found.facts["switched_to"], found.closed_at = "v2.0.0", at
        journal.save(found)


def test_that_the_rollbacks_of_a_day_are_used_up_is_said_with_what_follows_and_until_when(yard: Yard) -> None:
    yard.tick()
    at = datetime.now(UTC) - timedelta(hours=3)
    rolled_back_by_itself(yard, at - timedelta(days=1))
    with yard.daemon(), yard.bot():
        assert body(yard.cli("status", "--json"))["sentence"] == "watching v2.1.0: drawdown 3.1 %"
        rolled_back_by_itself(yard, at)
        said = yard.cli("status")
        until = f"until {at + timedelta(days=1):%Y-%m-%d %H:%M} UTC the next cause halts the bot"
        assert said.code == 0
        assert said.out.splitlines()[0] == (
            f"watching v2.1.0: drawdown 3.1 %; 1 of 1 automatic rollbacks a day is used up: {until}"
        )
        yard.configure(rollback={"max_per_day": 2})
        assert "used up" not in yard.cli("status").out
        yard.configure(mode="observe")
        assert "used up" not in yard.cli("status").out


def test_a_journal_that_is_doubted_counts_as_used_up_in_the_status_too(yard: Yard) -> None:
    yard.tick()
    yard.configure(rollback={"max_per_day": 3})
    with yard.journal() as journal:
        journal.put("doubt", {"since": datetime.now(UTC).isoformat(), "why": "it was lost", "settled": True})
    with yard.daemon(), yard.bot():
        assert "3 of 3 automatic rollbacks a day are used up" in yard.cli("status").out


def test_two_bots_at_once_are_bad_news(yard: Yard) -> None:
    yard.tick()
    with yard.daemon(), yard.bot(), yard.bot() as second:
        said = yard.cli("status")
    assert said.code == 1
    assert "2 bots run at once" in said.out
    assert str(second.pid) in said.out.splitlines()[-1]


def test_ticks_that_do_not_come_are_bad_news(yard: Yard) -> None:
    yard.tick(at=(datetime.now(UTC) - timedelta(minutes=5)).isoformat())
    with yard.daemon(), yard.bot():
        said = yard.cli("status")
    assert said.code == 1
    assert re.fullmatch(r"the last tick is 30\d s old", said.out.splitlines()[-1])


def test_paused(yard: Yard) -> None:
    yard.tick()
    yard.control.mkdir(mode=0o700)
    (yard.control / "PAUSE").touch()
    with yard.daemon():
        said = yard.cli("status", "--json")
    assert (said.code, body(said)["state"]) == (0, "paused")
    assert "paused" in yard.cli("status").out.splitlines()[0]


def test_rolling_back(yard: Yard) -> None:
    yard.tick()
    open_incident(yard, "stop_bot")
    with yard.daemon():
        said = yard.cli("status", "--json")
    found = body(said)
    assert (said.code, found["state"], found["incident"]) == (
        0,
        "rolling_back",
        {"id": 1, "step": "stop_bot"},
    )
    assert found["rollback_target"] == "v2.0.0"
    assert found["sentence"] == "rolling back (stop_bot) v2.0.0, incident 1 (v2.1.0: drawdown 26.1 %)"
    alone = body(yard.cli("status", "--json"))
    assert alone["state"] == "rolling_back"
    assert "no watchdog is running; rolling back (stop_bot)" in alone["sentence"]


def test_monitoring(yard: Yard) -> None:
    yard.tick(rollback_target="v1.9.0")
    yard.registry.rollback()
    open_incident(yard, "monitor", monitor_from=AT.isoformat())
    with yard.daemon(), yard.bot():
        said = yard.cli("status", "--json")
    found = body(said)
    assert (said.code, found["state"], found["model"]["version"]) == (0, "monitoring", "v2.0.0")
    assert found["rollback_target"] == "v1.9.0"


@pytest.mark.parametrize("daemon", [True, False])
def test_halted(yard: Yard, daemon: bool) -> None:
    yard.tick()
    halted(yard)
    if daemon:
        with yard.daemon():
            said = yard.cli("status", "--json")
    else:
        said = yard.cli("status", "--json")
    found = body(said)
    assert (said.code, found["state"]) == (1, "halted")
    assert "halted since 2026-03-01 10:00:00 UTC by ops: it lost" in found["sentence"]
    assert found["sentence"].startswith("no watchdog") is not daemon
    assert "model-watchdog resume" in yard.cli("status").out.splitlines()[-1]


def test_alerts_that_wait_are_counted(yard: Yard) -> None:
    yard.tick()
    outbox = Outbox(journal_path(yard.settings))
    outbox.use_channels(["telegram"])
    for number in range(3):
        outbox.put(Alert(f"kind {number}", "text", "info"), datetime.now(UTC) - timedelta(seconds=90))
    outbox.close()
    found = body(yard.cli("status", "--json"))["outbox"]
    assert found["waiting"] == 3
    assert 89 < found["oldest_s"] < 150


def test_the_target_is_verified_where_no_watchdog_does(yard: Yard) -> None:
    yard.model("v2.0.0").write_bytes(b"damaged")
    assert body(yard.cli("status", "--json"))["rollback_target"] == "v1.9.0"
    yard.model("v1.9.0").unlink()
    assert body(yard.cli("status", "--json"))["rollback_target"] is None
    assert re.search(r"^rollback target +none$", yard.cli("status").out, re.MULTILINE)


def test_a_target_that_the_last_tick_verified_is_taken_while_it_is_one(yard: Yard) -> None:
    yard.tick(rollback_target="v1.9.0")
    with yard.daemon():
        assert body(yard.cli("status", "--json"))["rollback_target"] == "v1.9.0"
    yard.tick(rollback_target="v0.0.1")
    with yard.daemon():
        assert body(yard.cli("status", "--json"))["rollback_target"] == "v2.0.0"
    yard.tick(rollback_target=None)
    with yard.daemon():
        assert body(yard.cli("status", "--json"))["rollback_target"] is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "the registry cannot be read"), ('{"models": {}, "history": []}', "names no current version")],
)
def test_a_registry_that_cannot_be_used_is_bad_news_also_while_all_runs(
    yard: Yard, text: str, problem: str
) -> None:
    yard.tick()
    with yard.daemon(), yard.bot():
        yard.registry.path.write_text(text)
        said = yard.cli("status", "--json")
        human = yard.cli("status")
    found = body(said)
    assert said.code == 1
    assert found["model"] == {"version": None, "deployed_at": None}
    assert found["rollback_target"] is None
    assert problem in found["sentence"]
    assert problem in human.out.splitlines()[-1]


def test_times_without_an_offset_are_in_the_bots_zone(yard: Yard) -> None:
    yard.configure(bot={"timezone": "Asia/Tokyo"})
    text = yard.registry.path.read_text().replace(AT.isoformat(), "2026-03-01T10:00:00")
    yard.registry.path.write_text(text)
    assert body(yard.cli("status", "--json"))["model"]["deployed_at"] == "2026-03-01T01:00:00+00:00"
    yard.registry.path.write_text(text.replace('"2026-03-01T10:00:00"', '"yesterday"'))
    assert body(yard.cli("status", "--json"))["model"] == {"version": "v2.1.0", "deployed_at": None}


@pytest.fixture(params=["no database", "a folder", "half a database"])
def broken(request: pytest.FixtureRequest, yard: Yard) -> Yard:
    path = yard.state / "watchdog.db"
    if request.param == "half a database":
        halted(yard)
        for rest in yard.state.glob("watchdog.db-*"):
            rest.unlink()
        data = bytearray(path.read_bytes())
        data[100:] = os.urandom(len(data) - 100)
        path.write_bytes(data)
    else:
        yard.state.mkdir()
        path.write_text("this is no database at all") if request.param == "no database" else path.mkdir()
    return yard


@pytest.mark.parametrize(
    "command", [("status",), ("status", "--json"), ("incidents",), ("incidents", "--json")]
)
def test_a_journal_that_cannot_be_read_is_told_and_never_taken_for_all_is_well(
    broken: Yard, command: tuple[str, ...]
) -> None:
    said = broken.cli(*command)
    assert (said.code, said.out) == (1, "")
    assert str(broken.state / "watchdog.db") in said.err
    assert "Traceback" not in said.err


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root reads everything")
@pytest.mark.parametrize("command", ["status", "incidents"])
def test_a_state_folder_of_somebody_else_is_told_with_the_remedy(yard: Yard, command: str) -> None:
    halted(yard)
    yard.state.chmod(0)
    said = yard.process(command, without_rights=True)
    yard.state.chmod(0o700)
    assert (said.code, said.out) == (1, "")
    assert "run this as the watchdog's user" in said.err
    assert "Traceback" not in said.err


def test_what_the_last_rehearsal_showed_stands_beside_the_target_and_not_in_the_json(yard: Yard) -> None:
    yard.tick()
    at = (datetime.now(UTC) - timedelta(hours=3, minutes=5)).isoformat()
    with yard.journal() as journal:
        found = {
            "version": "v2.0.0",
            "at": at,
            "ok": True,
            "seconds": 38.0,
            "said": "it says: v2.0.0",
            "what": "",
            "told": False,
        }
        journal.put("rehearsal", found)
    assert "ready to roll back to v2.0.0 (rehearsed 3 h ago, 38 s)" in yard.cli("status").out
    assert list(body(yard.cli("status", "--json"))) == list(of_the_contract())


def test_what_was_seen_since_the_restart_is_in_the_sentence(yard: Yard) -> None:
    yard.tick()
    open_incident(yard, "monitor")
    with yard.journal() as journal:
        incident = journal.open_one()
        assert incident
        incident.facts |= {
            "monitor_from": AT.isoformat(),
            "looks": [{"name": "trades", "state": "ok", "short": "trades 2", "text": "2 entries"}],
        }
        journal.save(incident)
    assert body(yard.cli("status", "--json"))["sentence"].endswith(
        "; trades 2. To start it: model-watchdog run"
    )


def test_halted_on_the_version_that_a_rule_condemned(yard: Yard) -> None:
    yard.tick()
    halted(yard, condemned="v2.1.0")
    said = " ".join(yard.cli("status").out.split())
    assert "v2.1.0 is STILL current. First `model-watchdog rollback` (to v2.0.0, verified), then" in said
    yard.registry.rollback()
    assert "STILL current" not in yard.cli("status").out
