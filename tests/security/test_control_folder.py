"""Whoever can write to the control folder commands the bot, within what is verified; and does no more than that."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harmless import is_harmless
from tests.watchdog.house import House


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    found = build()
    found.bot.begin(by_hand=True)
    return found


def _giant(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


KINDS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.touch(),
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "link to an endless device": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to a secret": lambda path: path.symlink_to("/etc/shadow"),
    "a terabyte": _giant,
    "deep JSON": lambda path: path.write_text("[" * 100_000),
    "half a character": lambda path: path.write_text('{"reason": "\\ud800", "by": "\\udfff"}'),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe\x00" * 1000),
    "a command to the terminal": lambda path: path.write_text("\x1b[2J\nall is well\u202e"),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_halt_of_whatever_kind_is_obeyed_once_and_nothing_else_is_touched(
    house: House, kind: str
) -> None:
    flag = house.settings.control_dir / "HALT"
    KINDS[kind](flag)
    house.look()
    await house.finish()
    house.look()
    assert house.answers == [("halt", "incident 1")]
    assert house.halted
    assert house.bot.processes == []
    assert "HALT" not in os.listdir(flag.parent)  # noqa: PTH208
    assert all(is_harmless(text, "\n\t") and len(text) < 3000 for text in house.told.texts)
    assert "root:" not in "".join(house.told.texts), "it followed the link"


@pytest.mark.parametrize(
    "wanted", ["v9.9.9", "../../etc/passwd", "v2.1.0\n", "", "v1.9.0; rm -rf /", "v" * 10_000]
)
async def test_an_order_leads_to_no_version_that_is_not_registered_and_whole(
    house: House, wanted: str
) -> None:
    house.break_file("v1.9.0")
    house.flag("ROLLBACK", json.dumps({"to": wanted}))
    house.look()
    await house.finish()
    assert house.current in {"v2.1.0", "v2.0.0"}
    assert all(start.verified and not start.quarantined for start in house.bot.starts)


async def test_the_names_of_other_files_are_no_orders(house: House) -> None:
    for name in ("halt", "HALT.txt", ".HALT", "HALT~", "ROLLBACK ", "STOP", "handled/HALT", "RESUME\n"):
        (house.settings.control_dir / name).write_text("x")
    house.look()
    assert house.answers == []
    assert house.bot.processes


async def test_two_hundred_orders_are_two_hundred_answers_and_one_halt(house: House) -> None:
    for number in range(200):
        house.flag("HALT", str(number))
        house.look()
    await house.finish()
    assert len(house.world.journal.orders(5000)) == 200
    assert len(house.world.journal.incidents(5000)) == 1
    assert house.bot.processes == []
