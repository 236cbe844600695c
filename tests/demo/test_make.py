"""The throw-away folder: what its registry says, and that nothing in it points out of it."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.bot.make import damage_file, make_bot

NOW = datetime(2026, 3, 2, 10, 20, tzinfo=UTC)


def test_the_registry_holds_three_versions_with_both_artifacts_and_the_last_is_current(
    tmp_path: Path,
) -> None:
    bot = make_bot(tmp_path / "bot")
    current = bot.registry.get_current_model()
    assert current is not None
    assert current["version"] == "v2.1.0"
    assert current["path"] == "models_saved/ensemble_v2.1.0.bin"
    assert current["artifacts"]["rl_agent"]["path"] == "models_saved/rl_agent_v2.1.0.bin"
    assert bot.registry.targets() == ["v2.0.0", "v1.9.0"]
    for version in ("v1.9.0", "v2.0.0", "v2.1.0"):
        assert [(found.name, found.state) for found in bot.registry.check(version)] == [
            ("main", "ok"),
            ("rl_agent", "ok"),
        ]
        assert {found.path for found in bot.registry.check(version)} == {
            bot.model_file(version),
            bot.model_file(version, "rl_agent"),
        }


@pytest.mark.parametrize(
    ("options", "ago"),
    [
        ({}, timedelta(hours=1)),
        ({"promoted_ago": timedelta(minutes=3)}, timedelta(minutes=3)),
        ({"trades": "low_sharpe"}, timedelta(hours=26)),
        ({"trades": "low_sharpe", "history_hours": 30}, timedelta(hours=30)),
    ],
)
def test_the_deployment_began_when_it_was_asked_to(
    options: dict[str, object], ago: timedelta, tmp_path: Path
) -> None:
    bot = make_bot(tmp_path / "bot", now=NOW, **options)  # type: ignore[arg-type]
    deployment = bot.registry.deployment()
    assert deployment is not None
    assert (deployment.version, deployment.since) == ("v2.1.0", (NOW - ago).isoformat())
    assert bot.model_file("v2.1.0").stat().st_mtime < (NOW - ago).timestamp()
    written = [path.name for path in bot.log.parent.iterdir()]
    assert written == (["trades.jsonl"] if "trades" in options else [])


def test_an_older_version_can_be_the_current_one_and_the_next_be_promoted_later(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot", current="v2.0.0")
    deployment = bot.registry.deployment()
    assert deployment is not None
    assert deployment.version == "v2.0.0"
    bot.registry.promote_model("v2.1.0", {})
    assert bot.registry.targets() == ["v2.0.0", "v1.9.0"]


def test_a_damaged_file_no_longer_verifies(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot")
    damage_file(bot.model_file("v2.0.0", "rl_agent"), "flipped")
    assert not bot.registry.verify_checksum("v2.0.0")
    assert bot.registry.target() == "v1.9.0"


def test_the_folder_needs_nothing_but_python_and_may_be_moved(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot", fixed_names=True)
    shutil.move(bot.folder, tmp_path / "moved")
    # -I: neither this repository nor installed packages; the folder itself is put back by hand.
    code = (
        "import sys; sys.path.insert(0, '.'); from bot.trading_bot import main; sys.exit(main(['--dry-run']))"
    )
    result = subprocess.run(
        ["/usr/bin/env", "-i", bot.command[0], "-I", "-S", "-c", code],
        cwd=tmp_path / "moved",
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (result.returncode, result.stdout.splitlines()[-1:]) == (0, ["dry run ok: v2.1.0"]), result.stderr


def test_settings_can_be_changed_between_two_starts(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot", seed=3)
    bot.configure(sigterm="flatten", trades_per_second=1.0)
    assert (bot.settings().seed, bot.settings().sigterm) == (3, "flatten")
    with pytest.raises(TypeError, match="color"):
        bot.configure(color="red")
    with pytest.raises(ValueError, match="trades_per_second"):
        bot.configure(trades_per_second=-1.0)
    assert bot.settings().trades_per_second == 1.0
