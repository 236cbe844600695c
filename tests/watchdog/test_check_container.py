"""`check` about a container: what becomes of a stop, whether its logs are here, and who may write them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config import Settings
from tests.watchdog.bots.recorded import inspected
from tests.watchdog.house import settings_in
from watchdog.bots.described import Described, Mount, of_config, of_container, seen_in
from watchdog.check_container import container_findings
from watchdog.finding import Finding

PLAIN = Described("unless-stopped", (), "", "UTC", None, "SIGTERM", "json-file", "10m", init=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("logs", "models_saved"):
        (tmp_path / name).mkdir()
    return settings_in(tmp_path)


def good(settings: Settings) -> Described:
    folder = settings.bot.log.parent.parent
    return replace(PLAIN, mounts=[Mount(True, str(folder), "/app", True)])


def found(settings: Settings, described: Described, pid: int = 0) -> dict[str, Finding]:
    return {finding.what: finding for finding in container_findings(settings, described, pid)}


def test_a_good_container_is_good(settings: Settings) -> None:
    told = found(settings, good(settings))
    assert {finding.grade for finding in told.values()} == {"good"}
    assert told["bot log in container"].found.endswith("trading_bot.log is /app/logs/trading_bot.log there")


@pytest.mark.parametrize(
    ("policy", "grade", "mend"),
    [
        ("unless-stopped", "good", ""),
        ("on-failure", "good", ""),
        ("always", "note", "restart: unless-stopped"),
        ("no", "note", "restart: unless-stopped"),
    ],
)
def test_restart_policies(settings: Settings, policy: str, grade: str, mend: str) -> None:
    told = found(settings, replace(good(settings), policy=policy))["bot restarts"]
    assert (told.grade, told.mend.split(" in ")[0]) == (grade, mend)


def test_a_bot_that_is_granted_more_time_than_the_watchdog_gives(settings: Settings) -> None:
    told = found(settings, replace(good(settings), grace=timedelta(seconds=60)))["bot stop"]
    assert (told.grade, told.mend) == ("note", "stop_timeout: 1m")
    told = found(settings, replace(good(settings), grace=timedelta(minutes=3)))["bot stop"]
    assert told.mend == "stop_timeout: 3m"
    told = found(settings, good(settings))["bot stop"]
    assert told.found == (
        "SIGTERM, and after 30 s SIGKILL (by others, such as `docker compose stop`: after 10 s)"
    )


def test_a_log_that_is_not_the_containers_is_bad(settings: Settings) -> None:
    other = [Mount(True, "/srv/elsewhere", "/app", True)]
    told = found(settings, replace(PLAIN, mounts=other))
    for what in ("bot log", "trade log", "registry"):
        assert told[f"{what} in container"].grade == "bad"
    assert "set registry.path" in told["registry in container"].mend


def test_a_named_volume_is_not_seen(settings: Settings) -> None:
    volume = [Mount(False, str(settings.bot.log.parent), "/app/logs", True)]
    told = found(settings, replace(PLAIN, mounts=volume))["bot log in container"]
    assert (told.grade, "volume" in told.found) == ("bad", True)
    assert (
        found(settings, replace(PLAIN, mounts=[Mount(False, "logs", "/app/logs", True)]))[
            "bot log in container"
        ].grade
        == "bad"
    )


def test_logs_that_are_read_only_there_are_bad_and_a_registry_is_not(settings: Settings) -> None:
    top = settings.bot.log.parent.parent
    mounts = [Mount(True, str(top / name), f"/app/{name}", False) for name in ("logs", "models_saved")]
    told = found(settings, replace(PLAIN, mounts=mounts))
    assert (told["bot log in container"].grade, told["trade log in container"].grade) == ("bad", "bad")
    assert told["registry in container"].grade == "good"


def test_a_log_that_is_mounted_as_a_file_is_noted(settings: Settings) -> None:
    settings.bot.log.touch()
    mounts = [*good(settings).mounts, Mount(True, str(settings.bot.log), "/app/bot.log", True)]
    told = found(settings, replace(PLAIN, mounts=mounts))["bot log in container"]
    assert (told.grade, told.mend) == ("note", "mount its folder")


def test_the_nearest_mount_counts_and_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    mounts = [Mount(True, "/", "/host", False), Mount(True, str(tmp_path / "real"), "/data", True)]
    seen = seen_in(mounts, tmp_path / "link" / "a.log")
    assert seen == (mounts[1], "/data/a.log")
    assert seen_in([], tmp_path) is None


@pytest.mark.parametrize(
    ("user", "mode", "grade"),
    [
        ("", 0o700, None),
        ("0:0", 0o700, None),
        ("trader", 0o700, None),  # only the image knows who that is
        ("4711", 0o755, "bad"),
        ("4711", 0o757, "good"),
        ("4711:0", 0o775, "good"),
    ],
)
def test_whether_the_containers_user_may_write_the_logs(
    settings: Settings, user: str, mode: int, grade: str | None
) -> None:
    os.chown(
        settings.bot.log.parent, -1, os.getegid() if user != "4711:0" else 0
    ) if os.geteuid() == 0 else None
    settings.bot.log.parent.chmod(mode)
    if user == "4711:0" and os.geteuid() != 0:
        pytest.skip("only root gives a folder to root's group")
    told = found(settings, replace(good(settings), user=user)).get("bot user")
    assert (told and told.grade) == grade


def test_the_users_own_log_must_be_writable_too(settings: Settings) -> None:
    settings.bot.log.parent.chmod(0o777)
    settings.bot.log.touch()
    settings.bot.log.chmod(0o644)
    told = found(settings, replace(good(settings), user="4711"))["bot user"]
    assert (told.grade, told.mend) == ("bad", f"chown 4711 {settings.bot.log}")


@pytest.mark.parametrize(
    ("zone", "noted"),
    [("UTC", False), ("Etc/UTC", False), (None, False), ("Asia/Tokyo", True), ("Nowhere/At", True)],
)
def test_another_time_zone_is_noted(settings: Settings, zone: str | None, noted: bool) -> None:
    assert ("time zone" in found(settings, replace(good(settings), time_zone=zone))) is noted


def test_the_hosts_own_time_zone_in_the_container_is_not_looked_into(
    tmp_path: Path, settings: Settings
) -> None:
    (tmp_path / "b").mkdir()
    other = settings_in(tmp_path / "b", {"bot": {"timezone": "Asia/Tokyo"}})
    assert "time zone" in found(other, replace(PLAIN, time_zone=None))
    mounts = [Mount(True, "/etc/localtime", "/etc/localtime", False)]
    assert "time zone" not in found(other, replace(PLAIN, time_zone=None, mounts=mounts))


def test_output_without_a_limit_is_noted(settings: Settings) -> None:
    assert found(settings, replace(good(settings), log_size=None))["bot output"].grade == "note"
    assert "bot output" not in found(settings, replace(good(settings), log_size=None, log_driver="local"))


@pytest.fixture
def first_process() -> Iterator[int]:
    """PID 1 of a namespace of its own, which has a handler for SIGINT alone (Python's own)."""
    if os.geteuid() != 0:
        pytest.skip("a namespace of its own needs root")
    code = "import time; print(flush=True); time.sleep(60)"
    process = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", code], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    yield int(children[0])
    process.kill()
    process.communicate()


@pytest.mark.privileged
def test_a_first_process_without_a_handler_is_deaf(settings: Settings, first_process: int) -> None:
    deaf = replace(good(settings), init=False)
    told = list(container_findings(settings, deaf, first_process))
    assert any("does not hear SIGTERM" in finding.found and "init: true" in finding.mend for finding in told)
    for hears in (replace(deaf, signal="SIGINT"), replace(deaf, signal="INT"), replace(deaf, init=True)):
        told = list(container_findings(settings, hears, first_process))
        assert not any("does not hear" in finding.found for finding in told)


def test_any_other_process_hears(settings: Settings) -> None:
    told = list(container_findings(settings, replace(good(settings), init=False), os.getpid()))
    assert not any("does not hear" in finding.found for finding in told)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


# -- out of what


def test_a_container_is_described_out_of_what_the_engine_says() -> None:
    found = of_container(inspected("running"))
    assert (found.policy, found.user, found.time_zone) == ("unless-stopped", "", "UTC")
    assert (found.grace, found.signal) == (timedelta(seconds=1), "SIGTERM")
    assert (found.log_driver, found.log_size, found.init) == ("json-file", "10m", False)
    assert Mount(True, "/srv/bot", "/app", True) in found.mounts
    assert of_container(inspected("running", compose=2)).grace is None
    assert of_container({}).policy == "no"


@pytest.mark.parametrize(
    ("config", "mounts"),
    [
        (
            {"volumes": ["/srv/bot:/app:rw", "/m:/models:ro,z"]},
            [(True, "/srv/bot", True), (True, "/m", False)],
        ),
        ({"volumes": ["data:/app/logs", "/anonymous"]}, [(False, "data", True), (False, "", True)]),
        (
            {
                "volumes": [
                    {
                        "type": "bind",
                        "source": "/srv/bot",
                        "target": "/app",
                        "bind": {"create_host_path": True},
                    },
                    {"type": "bind", "source": "/m", "target": "/models", "read_only": True},
                    {"type": "volume", "source": "data", "target": "/data", "volume": {}},
                ]
            },
            [(True, "/srv/bot", True), (True, "/m", False), (False, "data", True)],
        ),
        ({}, []),
    ],
)
def test_mounts_are_described_in_the_forms_of_both_composes(
    config: dict[str, Any], mounts: list[object]
) -> None:
    assert [(m.bind, m.source, m.writable) for m in of_config(config).mounts] == mounts


def test_a_service_is_described_out_of_its_configuration() -> None:
    found = of_config(
        {
            "restart": "on-failure:5",
            "user": "1000:1000",
            "environment": ["TZ=Asia/Tokyo", "API_SECRET=hunter2"],
            "stop_grace_period": "1m30s",
            "stop_signal": "SIGINT",
            "init": True,
            "logging": {"driver": "local"},
        }
    )
    assert (found.policy, found.user, found.time_zone) == ("on-failure", "1000:1000", "Asia/Tokyo")
    assert (found.grace, found.signal, found.init) == (timedelta(seconds=90), "SIGINT", True)
    assert (found.log_driver, found.log_size) == ("local", None)
    assert "hunter2" not in str(found)
    assert of_config({"environment": {"TZ": None}}).time_zone is None


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("10s", 10), ("1m0s", 60), ("1h0m0s", 3600), ("500ms", 0.5), ("", None), (None, None)],
)
def test_durations_as_compose_writes_them(written: str | None, seconds: float | None) -> None:
    grace = of_config({"stop_grace_period": written}).grace
    assert (grace and grace.total_seconds()) == seconds
