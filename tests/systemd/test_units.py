"""The unit files, as systemd itself reads them."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
WATCHDOG, TEMPLATE, BOT = "model-watchdog.service", "model-watchdog@.service", "example-bot.service"
USER = "model-watchdog-user.service"
ALL = (WATCHDOG, TEMPLATE, USER, BOT)
BINARY = "/opt/model-watchdog/.venv/bin/model-watchdog"


def settings(text: str) -> dict[str, list[str]]:
    """Key -> its values in order; no key of ours is in two sections."""
    found = defaultdict(list)
    for line in text.splitlines():
        if match := re.fullmatch(r"([A-Za-z]+)=(.*)", line):
            found[match[1]].append(match[2])
    return dict(found)


def of(name: str) -> dict[str, list[str]]:
    return settings((UNITS / name).read_text(encoding="utf-8"))


def installed(name: str, folder: Path) -> Path:
    """A copy in which every command exists, as after the installation."""
    text = (UNITS / name).read_text(encoding="utf-8")
    commands = re.compile(r"^(Exec\w+=)\S+", re.MULTILINE)
    copy = folder / name
    copy.write_text(commands.sub(rf"\g<1>{shutil.which('true')}", text), encoding="utf-8")
    return copy


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.match(r"systemd (\d+)", version)
    if match is None or int(match[1]) < 250:
        pytest.skip(f"systemd-analyze is older than 250, it has no --recursive-errors: {version[:40]!r}")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", ALL)
def test_systemd_accepts_the_unit_without_a_word(name: str, tmp_path: Path) -> None:
    result = systemd_analyze("verify", "--recursive-errors=yes", str(installed(name, tmp_path)))
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("right", "wrong"),
    [("TimeoutStopSec=", "TimeoutStopSecs="), ("KillMode=", "Killmode="), ("UMask=0077", "UMask=0888")],
)
def test_a_mistyped_line_would_be_refused(name: str, right: str, wrong: str, tmp_path: Path) -> None:
    unit = installed(name, tmp_path)
    text = unit.read_text(encoding="utf-8")
    assert f"\n{right}" in text
    unit.write_text(text.replace(f"\n{right}", f"\n{wrong}"), encoding="utf-8")
    result = systemd_analyze("verify", "--recursive-errors=yes", str(unit))
    assert result.returncode != 0
    assert wrong.split("=")[0] in result.stderr or wrong.split("=")[1] in result.stderr


@pytest.mark.parametrize("name", [WATCHDOG, TEMPLATE, USER])
def test_nothing_but_the_program_itself_is_missing_before_the_installation(name: str) -> None:
    if Path(BINARY).exists():
        pytest.skip(f"{BINARY} is installed here")
    result = systemd_analyze("verify", "--recursive-errors=yes", str(UNITS / name))
    assert result.returncode != 0
    complaints = [line for line in result.stderr.splitlines() if "not executable" in line]
    assert complaints == result.stderr.splitlines()
    assert all(BINARY in line for line in complaints)


@pytest.mark.parametrize("name", [WATCHDOG, TEMPLATE])
def test_the_sandbox_leaves_little_exposed(name: str, tmp_path: Path) -> None:
    unit = str(installed(name, tmp_path))
    # The threshold counts tenths: 1.5 and better.
    result = systemd_analyze("security", "--offline=true", "--no-pager", "--threshold=15", unit)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_template_has_the_settings_of_the_single_unit() -> None:
    template = (UNITS / TEMPLATE).read_text(encoding="utf-8")
    as_single = (
        template.replace("model-watchdog for %i:", "model-watchdog:")
        .replace("/etc/model-watchdog/%i.yaml", "/etc/model-watchdog/watchdog.yaml")
        .replace("/srv/%i", "/srv/trading-bot")
        .replace("model-watchdog/%i", "model-watchdog")
    )
    assert settings(as_single) == of(WATCHDOG)


@pytest.mark.parametrize("name", [WATCHDOG, TEMPLATE])
def test_a_restart_of_the_watchdog_leaves_the_bot_alone(name: str) -> None:
    unit = of(name)
    assert unit["KillMode"] == ["process"]
    # Each of these takes something from a bot that goes on running, or hides the bot from the next start.
    taken_away = {"RemoveIPC", "PrivateUsers", "ProtectProc", "ProcSubset", "RuntimeDirectory"}
    assert not taken_away & unit.keys()
    # PrivateTmp= takes its folders away, too, but for what is mounted over them.
    (cache,) = unit["CacheDirectory"]
    assert unit["BindPaths"] == [f"%C/{cache}:/tmp %C/{cache}:/var/tmp"]


@pytest.mark.parametrize("name", [WATCHDOG, TEMPLATE, USER])
def test_systemd_never_gives_up_on_the_watchdog(name: str) -> None:
    unit = of(name)
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert "RestartPreventExitStatus" not in unit
    assert (unit["Type"], unit["NotifyAccess"]) == (["notify"], ["main"])
    assert unit["OOMPolicy"] == ["continue"]


@pytest.mark.parametrize("name", ALL)
def test_no_secret_is_in_the_environment_or_on_the_command_line(name: str) -> None:
    text = (UNITS / name).read_text(encoding="utf-8")
    assert "EnvironmentFile" not in text
    plain = " ".join(of(name)["Environment"] + of(name)["ExecStart"])
    assert not re.search(r"TOKEN|SECRET|API_KEY", plain)
    if name != BOT:
        assert [line.split(":")[0] for line in of(name)["LoadCredential"]] == ["TELEGRAM_BOT_TOKEN"]
    for key, path in re.findall(r"^#?LoadCredential=(\w+):(\S+)", text, re.MULTILINE):
        assert Path(path).name == key, "watchdog.yaml's ${NAME} is looked up by the credential's name"


@pytest.mark.parametrize("name", ALL)
def test_every_line_of_the_sandbox_stands_under_its_reason(name: str) -> None:
    lines = (
        (UNITS / name).read_text(encoding="utf-8").split("sandbox", 1)[1].split("[Install]")[0].splitlines()
    )
    explained = False
    for line in lines[1:]:
        if not line or line.startswith("#"):
            explained = bool(line)
        else:
            assert explained, f"{line} has no comment above it"
