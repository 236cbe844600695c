"""Who started the unit, out of what systemd shows of the others."""

from pathlib import Path

import pytest

from tests.watchdog.bots.fake_systemctl import UP, FakeSystemctl
from watchdog.bots.bringer import who_started
from watchdog.bots.unit import parse

AT = "Mon 2026-11-23 15:02:18 UTC"  # when UP began
NEAR, EARLIER, LATER = (
    "Mon 2026-11-23 15:02:17 UTC",
    "Mon 2026-11-23 14:00:00 UTC",
    "Mon 2026-11-23 15:02:40 UTC",
)
IDLE = {
    "Id": "x",
    "ActiveState": "inactive",
    "Job": "",
    "StateChangeTimestamp": EARLIER,
    "InactiveExitTimestamp": EARLIER,
}
LISTENS = IDLE | {"ActiveState": "active"}

PULLS = "o.service, which pulls it in"
CASES = {
    "a timer that has just elapsed": (
        "TriggeredBy=bot.timer",
        LISTENS | {"LastTriggerUSec": NEAR},
        "bot.timer, which triggers it",
    ),
    "a socket that has just been asked": (
        "TriggeredBy=bot.socket",
        LISTENS | {"StateChangeTimestamp": AT},
        "bot.socket, which triggers it",
    ),
    "a unit that upholds it since long": ("UpheldBy=up.service", LISTENS, "up.service, which upholds it"),
    "a unit that was started with it": (
        "RequiredBy=o.service",
        LISTENS | {"InactiveExitTimestamp": LATER},
        PULLS,
    ),
    "a unit that waits for it": ("WantedBy=o.service", IDLE | {"Job": "17"}, PULLS),
    "a unit that has just failed": (
        "OnFailureOf=o.service",
        IDLE | {"ActiveState": "failed", "StateChangeTimestamp": NEAR},
        PULLS,
    ),
    "the machine's boot": (
        "WantedBy=multi-user.target",
        LISTENS | {"InactiveExitTimestamp": LATER},
        "multi-user.target (at boot, say)",
    ),
}
NOT = {
    "a timer that elapsed before": ("TriggeredBy=bot.timer", LISTENS | {"LastTriggerUSec": EARLIER}),
    "a timer that never elapsed": ("TriggeredBy=bot.timer", LISTENS | {"LastTriggerUSec": ""}),
    "a timer that was stopped": ("TriggeredBy=bot.timer", IDLE | {"LastTriggerUSec": AT}),
    "a unit that runs since long": ("RequiredBy=o.service", LISTENS),
    "a unit that is down": ("WantedBy=o.service", IDLE),
    "a unit that ended well": ("OnFailureOf=o.service", LISTENS),
}


async def ask(folder: Path, relation: str, other: dict[str, str]) -> tuple[str, str]:
    """The text and the remedy, for a bot with this one relation."""
    fake = FakeSystemctl(folder)
    key, _, unit = relation.partition("=")
    fake.says("show", out=f"{key}={unit}\n")
    # The first question is about the bot, the second about the other.
    script = fake.program.read_text().replace(
        'cat "$verb.out"', 'case $* in *InactiveExit*) cat other ;; *) cat "$verb.out" ;; esac'
    )
    fake.program.write_text(script)
    (fake.folder / "other").write_text("".join(f"{k}={v}\n" for k, v in (other | {"Id": unit}).items()))
    starter = await who_started(fake.client(), parse(UP))
    return starter.text, starter.remedy


@pytest.mark.parametrize("case", CASES)
async def test_who_started_it_is_known_by_what_happened_then(tmp_path: Path, case: str) -> None:
    relation, other, part = CASES[case]
    text, remedy = await ask(tmp_path, relation, other)
    assert part in text
    unit = "disable bot.service" if "target" in relation else f"stop {relation.partition('=')[2]}"
    assert f"`systemctl {unit}`" in remedy


@pytest.mark.parametrize("case", NOT)
async def test_nobody_is_named_who_had_no_part_in_it(tmp_path: Path, case: str) -> None:
    text, remedy = await ask(tmp_path, *NOT[case])
    assert text.startswith("whoever gave `systemctl start bot.service` (a person, a cron job, a script")
    assert "crontab -l" in remedy
    stands_by = NOT[case][0].startswith("TriggeredBy") and NOT[case][1]["ActiveState"] == "active"
    assert ("or perhaps bot.timer" in text) == stands_by


async def test_a_unit_without_relations_is_asked_about_once(tmp_path: Path) -> None:
    fake = FakeSystemctl(tmp_path)
    fake.says("show", out="TriggeredBy=\nWantedBy=\n")
    starter = await who_started(fake.client(), parse(UP))
    assert starter.text.startswith("whoever gave")
    assert len(fake.calls) == 1


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        (
            "ExecStopPost={ path=/bin/systemctl ; argv[]=/bin/systemctl --no-block restart bot.service ; pid=0 }",
            "",
        ),
        ("ExecStop={ path=/bin/sh ; argv[]=/bin/sh -c systemctl start bot & ; ignore_errors=no }", ""),
        ("ExecStopPost={ path=/bin/systemctl ; argv[]=/bin/systemctl stop tunnel ; pid=0 }", "nobody"),
        (
            "ExecStart={ path=/bot/restart ; argv[]=/bot/restart --systemctl ; start_time=[n/a] ; pid=0 }",
            "nobody",
        ),
    ],
)
async def test_a_unit_whose_own_command_starts_it_again_is_suspected(
    tmp_path: Path, line: str, runs: str
) -> None:
    fake = FakeSystemctl(tmp_path)
    fake.says("show", out=f"TriggeredBy=\n{line}\n")
    starter = await who_started(fake.client(), parse(UP))
    if runs == "nobody":
        assert starter.text.startswith("whoever gave")
        return
    argv = line.partition("argv[]=")[2].partition(" ;")[0]
    assert starter.text == f"most likely the unit itself, whose {line.partition('=')[0]}= runs `{argv}`"
    assert "`systemctl edit --full bot.service`" in starter.remedy
