"""Before and after a rollback, with a real daemon and a real bot: rehearsed, tried, looked at, compared, relapsed."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from demo.bot.make import DemoBot, make_bot
from tests.acceptance.conftest import MakeHouse
from tests.acceptance.house import House

DRY_RUN = [sys.executable, "main.py", "--dry-run"]


def logged(bot: DemoBot, message: str) -> None:
    with bot.log.open("a", encoding="utf-8") as file:
        file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S},000 - models.ensemble - INFO - {message}\n")


def report(house: House, number: int = 1) -> str:
    return (house.state / "incidents" / f"{number:04d}" / "report.md").read_text(encoding="utf-8")


def test_a_rollback_is_rehearsed_tried_looked_at_and_compared(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_bot(tmp_path / "bot", trades_per_second=10.0)
    house = make_house(
        bot, bot={"dry_run": DRY_RUN}, rollback={"monitor_for": "2s", "validate_for": "3s", "cooldown": "0s"}
    )
    house.start()
    house.wait(lambda: (house.named("rehearsal") or {}).get("ok"), "a rehearsal that went well")
    house.ticks(1)
    sentence = house.status()["sentence"]
    assert "ready to roll back to v2.0.0 (rehearsed less than 1 h ago, " in sentence
    assert house.named("rehearsal")["named"] is True
    assert house.current() == "v2.1.0"
    assert house.rollbacks() == []
    assert not (house.state / "rehearsal").exists()
    before = house.bot_pid()
    house.flag("ROLLBACK", "looks wrong")
    house.wait(lambda: house.status()["state"] == "monitoring", "the bot is watched")
    house.wait(lambda: "predictions " in house.status()["sentence"], "what is seen, in the sentence")
    incident = house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")
    assert house.bot_pid() != before
    assert incident.facts["dry_run"]["ok"] is True
    assert all(look["state"] == "ok" for look in incident.facts["looks"]), incident.facts["looks"]
    assert house.alerted("Seen since the restart: not restarted, v2.0.0 loaded, predictions ")
    house.wait(lambda: house.alerted("v2.0.0 compared with v2.1.0 before it"), "the comparison")
    text = report(house)
    assert "### Dry run of v2.0.0" in text
    assert "    dry run ok: v2.0.0" in text
    assert "- [x] Version: its last load names v2.0.0" in text
    assert "| | before (v2.1.0) | since (v2.0.0) |" in text
    house.wait(lambda: house.named("rehearsal")["version"] == "v1.9.0", "a rehearsal of the next target")
    assert house.stop() == 0
    assert house.bot_pid()


def test_a_target_that_cannot_be_loaded_is_known_beforehand_and_never_started(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_bot(tmp_path / "bot", flavour="unloadable", current="v2.1.0", trades_per_second=10.0)
    bot.registry.promote_model(
        "v2.0.0", {}
    )  # so that the one that cannot be loaded is what a rollback goes to
    house = make_house(bot, bot={"dry_run": DRY_RUN})
    house.start()
    house.wait(
        lambda: house.alerted("the rehearsal of a rollback to v2.1.0 failed"), "the failed rehearsal is told"
    )
    assert house.alerted("invalid load key")
    house.wait(
        lambda: "not ready to roll back to v2.1.0" in house.status()["sentence"], "it is in the sentence"
    )
    assert house.incidents() == []  # what the dry run logs is not taken for the bot's
    house.flag("ROLLBACK", "looks wrong")
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v1.9.0", events=2)
    assert "ensemble_v2.1.0" not in bot.log.read_text(encoding="utf-8")
    assert house.alerted("its dry run failed")
    assert house.stop() == 0


def test_a_bot_that_loads_another_version_while_it_is_watched_is_halted(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_bot(tmp_path / "bot", trades_per_second=10.0)
    house = make_house(bot, rollback={"monitor_for": "60s"})
    house.start()
    house.flag("ROLLBACK", "looks wrong")
    house.wait(lambda: house.status()["state"] == "monitoring", "the bot is watched")
    logged(bot, "Loading ensemble model from ./models_saved/ensemble_v2.1.0.bin")
    house.wait(lambda: house.status()["state"] == "halted", "the relapse halts")
    incident = house.wait_closed()
    assert incident.outcome == "halted"
    assert "The restored bot runs another model" in incident.reason
    assert house.bots() == []
    assert "- [ ] Version (bad):" in report(house)
