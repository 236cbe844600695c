"""Signatures and large files, with a real daemon and a real bot."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry import ModelRegistry
from tests.acceptance.conftest import MakeHouse
from tests.acceptance.hostile import HostileBot, make_hostile
from tests.acceptance.house import House
from tests.registry.keys import key
from tests.registry.shop import sha

PEM, PUBLIC = key()
PROMPT_S = 15.0
"""What a busy machine may need to end a process that does nothing more; hashing the file would take minutes."""


def sign_all(bot: HostileBot) -> None:
    registry = ModelRegistry(bot.models, signing_key=PEM)
    for version in registry.read()["models"]:
        registry.sign(version)


def edit(bot: HostileBot, change: Callable[[dict[str, Any]], object]) -> None:
    """By hand, all at once."""
    path = bot.models / "registry.json"
    data = json.loads(path.read_text())
    change(data["models"])
    new = path.with_name("edited")
    new.write_text(json.dumps(data))
    new.replace(path)


def signed_house(tmp_path: Path, make_house: MakeHouse) -> tuple[HostileBot, House]:
    bot = make_hostile(tmp_path / "bot", load_s=0.1)
    sign_all(bot)
    return bot, make_house(bot, registry={"signing_key": PUBLIC}, triggers={"checksum": {"for": "0s"}})


def test_an_entry_edited_by_hand_with_a_matching_checksum_does_not_pass(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot, house = signed_house(tmp_path, make_house)
    house.start()
    house.wait(lambda: house.status()["rollback_target"] == "v2.0.0", "the target is verified")
    evil = bot.models / "evil.bin"
    evil.write_bytes(b"evil")
    edit(bot, lambda models: models["v2.1.0"].update(path=str(evil), checksum=sha(b"evil")))
    incident = house.wait_closed()
    assert (incident.outcome, incident.target) == ("rolled_back", "v2.0.0")
    assert "the signature of v2.1.0 does not fit its entry" in incident.reason
    house.assert_rolled_back("v2.1.0", "v2.0.0")


def test_asking_for_signatures_at_a_reload_rolls_nothing_back_and_tells_what_to_do(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot", load_s=0.1)
    house = make_house(bot, triggers={"checksum": {"for": "0s"}})
    house.start()
    pid = house.bot_pid()
    house.configure(registry={"signing_key": PUBLIC})
    house.daemon.send_signal(1)
    house.wait(lambda: house.alerted("v2.1.0 bears no signature by the key"), "people are told")
    house.ticks(4)
    assert house.incidents() == []
    assert house.bot_pid() == pid
    code, said = house.cli_all(["check"])[0]
    assert code == 1
    assert "-P -m registry sign v2.1.0" in said.replace("\n", " ")
    sign_all(bot)
    house.wait(lambda: house.alerted("over after"), "people are told that it is over")
    house.wait(lambda: house.status()["rollback_target"] == "v2.0.0", "there is a target again")


def endless(bot: HostileBot, version: str) -> None:
    """A file that takes minutes to hash, and no room on the disk."""
    registry = ModelRegistry(bot.models)
    os.truncate(registry.artifacts(version)["main"], 256 << 30)


def test_neither_a_hand_over_nor_a_halt_waits_for_a_file_that_takes_minutes_to_hash(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot", load_s=0.1)
    endless(bot, "v2.0.0")
    house = make_house(bot)
    house.start()
    house.flag("ROLLBACK")
    house.wait_at("assess")
    began = time.monotonic()
    assert house.stop() == 0
    assert time.monotonic() - began < PROMPT_S
    assert house.step() == "assess"
    house.start(ready=False)
    house.wait(lambda: house.lock_holder() == house.daemon.pid, "the next one goes on")
    began = time.monotonic()
    house.flag("HALT", "it takes too long")
    house.wait(lambda: not house.bots(), "the bot is stopped")
    house.wait_closed()
    assert time.monotonic() - began < 2 * PROMPT_S
    assert house.stop() == 0
    assert house.current() == "v2.1.0"
