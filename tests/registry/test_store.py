import errno
import json
import logging
import math
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from registry import RegistryError
from registry.errors import remedy
from registry.store import MOST_BYTES, Store, sync_folder
from tests.registry.shop import picture, unprivileged

EMPTY: dict[str, Any] = {"models": {}, "current_version": None, "history": []}


class Clock:
    """Time passes only by sleeping, and others get their turn then."""

    def __init__(self, meanwhile: Callable[[float], None] = lambda now: None) -> None:
        self.now = 0.0
        self.meanwhile = meanwhile

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile(self.now)


def store_of(folder: Path, clock: Clock | None = None) -> Store:
    clock = clock or Clock()
    return Store(folder, sleep=clock.sleep, monotonic=clock.monotonic)


def put(folder: Path, data: Any) -> Path:
    path = folder / "registry.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def write(store: Store, **changes: Any) -> None:
    def change(data: dict[str, Any]) -> AbstractContextManager[None]:
        data.update(changes)
        return nullcontext()

    with store.locked():
        store.update(change)


# --- reading


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: os.mkfifo(path), "not a regular file; put a plain file in its place"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file; put a plain file in its place"),
        (lambda path: path.mkdir(), "Is a directory; put a plain file in its place"),
        (lambda path: path.symlink_to(path.name), "symbolic links; the link leads to itself"),
    ],
    ids=["pipe", "endless device", "folder", "link to itself"],
)
def test_what_is_no_file_is_neither_waited_for_nor_read_without_end(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "registry.json"
    make(path)
    with pytest.raises(RegistryError, match=rf"{path}: cannot be read: .*{said}"):
        store_of(tmp_path).read()


def test_a_file_that_is_too_large_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    put(tmp_path, EMPTY)
    os.truncate(tmp_path / "registry.json", MOST_BYTES + 1)
    with pytest.raises(RegistryError, match="is larger than 16 MiB; take out what is no version"):
        store_of(tmp_path).read()


@pytest.mark.parametrize(
    "name", ["v1\nall is well", "v1\x1b[2J", "v1\u202e", "v1\u2028", "half \ud800", "v" * 201]
)
@pytest.mark.parametrize("where", ["models", "current_version"])
def test_a_name_that_would_write_lines_of_its_own_into_logs_and_alerts_is_refused(
    tmp_path: Path, name: str, where: str
) -> None:
    put(tmp_path, EMPTY | {where: {name: {}} if where == "models" else name})
    with pytest.raises(RegistryError, match="must be one line of printable characters") as raised:
        store_of(tmp_path).read()
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 600 + len(str(tmp_path))


def test_a_version_without_a_name_is_refused_and_no_current_version_is_none(tmp_path: Path) -> None:
    put(tmp_path, EMPTY | {"models": {"": {}}})
    with pytest.raises(RegistryError, match="the version '' must be one line of printable characters"):
        store_of(tmp_path).read()
    put(tmp_path, EMPTY | {"current_version": ""})
    assert store_of(tmp_path).read()["current_version"] == ""


def test_half_a_file_is_read_again_until_it_is_whole(tmp_path: Path) -> None:
    whole = json.dumps(EMPTY | {"current_version": "v1"})
    put(tmp_path, whole[:20])

    def finish(now: float) -> None:
        if now > 0.1:
            put(tmp_path, whole)

    assert store_of(tmp_path, Clock(finish)).read()["current_version"] == "v1"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", ":1:1: the file is not JSON: Expecting value"),
        ('{\n  "models": {},\n  "history": [}', ":3:15: the file is not JSON: Expecting value"),
        ('{"models": {}} trailing', ":1:16: the file is not JSON: Extra data"),
        ("[" * 100_000, ":1:1: the file is not readable JSON"),
        ('{"n": ' + "9" * 5000 + "}", ":1:1: the file is not readable JSON"),
    ],
)
def test_what_stays_no_json_is_an_error_with_place_and_remedy(tmp_path: Path, text: str, place: str) -> None:
    path, clock = put(tmp_path, text), Clock()
    with pytest.raises(RegistryError) as caught:
        store_of(tmp_path, clock).read()
    assert str(caught.value).startswith(f"{path}{place}")
    assert "restore it from a backup" in str(caught.value)
    assert 0.5 <= clock.now < 0.6


def test_a_byte_that_is_no_utf8_is_named_by_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_bytes(b'{"models": {},\n "x": "\xff"}')
    with pytest.raises(RegistryError, match=r"registry.json:2:8: the file is not UTF-8"):
        store_of(tmp_path).read()


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_bytes(b"\xef\xbb\xbf{}")
    assert store_of(tmp_path).read() == EMPTY


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ([], "must be an object"),
        (None, "must be an object"),
        ({"models": []}, '"models" must be an object'),
        ({"models": None}, '"models" must be an object'),
        ({"history": {}}, '"history" must be a list'),
        ({"history": None}, '"history" must be a list'),
        ({"current_version": 2}, '"current_version" must be a text or null'),
        ({"current_version": ["v1"]}, '"current_version" must be a text or null'),
    ],
)
def test_another_shape_is_an_error_and_is_never_written_over(
    tmp_path: Path, data: object, fault: str
) -> None:
    path = put(tmp_path, data)
    store, before = store_of(tmp_path), path.read_bytes()
    with pytest.raises(RegistryError, match=fault):
        store.read()
    with pytest.raises(RegistryError, match=fault):
        write(store, models={})
    assert path.read_bytes() == before


def test_missing_keys_read_as_empty(tmp_path: Path) -> None:
    put(tmp_path, {"note": 1})
    assert store_of(tmp_path).read() == {"note": 1, **EMPTY}


def test_a_missing_file_is_an_error_unless_an_empty_registry_will_do(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"registry.json: cannot be read: No such file.*check the path"):
        store_of(tmp_path).read()
    assert store_of(tmp_path).read(or_empty=True) == EMPTY
    with pytest.raises(RegistryError, match="No such file"):
        store_of(tmp_path / "none").read(or_empty=True)
    with pytest.raises(RegistryError, match="No such file"):
        write(store_of(tmp_path), current_version="v1")
    assert picture(tmp_path) == {}


def test_a_file_that_may_not_be_read_says_so(public: Path) -> None:
    put(public, EMPTY).chmod(0)
    with unprivileged(), pytest.raises(RegistryError, match="Permission denied; give this user access"):
        store_of(public).read(or_empty=True)


def test_a_file_in_place_of_the_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="give the folder that holds"):
        store_of(put(tmp_path, EMPTY)).read()


# --- writing


def test_unknown_keys_nan_and_the_order_of_keys_survive_a_write(tmp_path: Path) -> None:
    text = (
        '{"zeta": [1, {"deep": NaN}], "history": [{"x": Infinity}], "current_version": "v1", "models": '
        '{"v2": {"b": 1, "a": -Infinity}, "v1": {"status": "production", "note": "\\ud83d\\ude00 \\ud800"}}, '
        '"alpha": 1e3, "big": 12345678901234567890123}'
    )
    path = put(tmp_path, text)
    write(store_of(tmp_path), current_version="v2")
    after = json.loads(path.read_text())
    assert list(after) == ["zeta", "history", "current_version", "models", "alpha", "big"]
    assert list(after["models"]) == ["v2", "v1"]
    assert math.isnan(after["zeta"][1]["deep"])
    assert json.dumps(after) == json.dumps(json.loads(text) | {"current_version": "v2"})


def test_mode_is_kept(tmp_path: Path) -> None:
    path = put(tmp_path, EMPTY)
    for mode in (0o640, 0o444, 0o666):
        path.chmod(mode)
        write(store_of(tmp_path), current_version=str(mode))
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert json.loads(path.read_text())["current_version"] == str(mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_and_group_are_kept(public: Path) -> None:
    path = put(public, EMPTY)
    os.chown(path, 65534, 12345)
    write(store_of(public), current_version="v1")
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 12345)


def test_a_group_that_cannot_be_kept_is_no_reason_to_refuse(public: Path) -> None:
    path = put(public, EMPTY)
    if os.geteuid() == 0:
        os.chown(path, -1, 12345)
    public.chmod(0o777)
    with unprivileged():
        write(store_of(public), current_version="v1")
    assert json.loads(path.read_text())["current_version"] == "v1"


def test_a_new_file_gets_the_usual_mode(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    with store.locked():
        store.update(lambda data: nullcontext(), or_empty=True)
    (tmp_path / "usual").touch()
    assert store.path.stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert json.loads(store.path.read_text()) == EMPTY


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    target = put(there, EMPTY)
    (here / "registry.json").symlink_to(target)
    write(store_of(here), current_version="v1")
    assert (here / "registry.json").readlink() == target
    assert json.loads(target.read_text())["current_version"] == "v1"
    assert sorted(path.name for path in there.iterdir()) == ["registry.json", "registry.json.lock"]


def test_two_folders_that_share_a_registry_share_its_lock(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    put(tmp_path, EMPTY)
    (tmp_path / "here" / "registry.json").symlink_to("../registry.json")
    with store_of(tmp_path).locked(), pytest.raises(RegistryError, match="held this lock"):
        write(store_of(tmp_path / "here"), current_version="v1")


def test_nothing_to_change_writes_nothing(tmp_path: Path) -> None:
    path = put(tmp_path, EMPTY)
    before, store = path.stat(), store_of(tmp_path)
    with store.locked():
        store.update(lambda data: None)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_json_cannot_hold_changes_nothing(tmp_path: Path) -> None:
    put(tmp_path, EMPTY)
    before = picture(tmp_path)
    round_trip: list[Any] = []
    round_trip.append(round_trip)
    for value in ({1}, {(1, 2): 3}, round_trip):
        with pytest.raises(RegistryError, match="JSON cannot hold"):
            write(store_of(tmp_path), note=value)
    assert picture(tmp_path) == before


def test_the_left_over_of_a_killed_writer_is_no_obstacle(tmp_path: Path) -> None:
    put(tmp_path, EMPTY)
    (tmp_path / ".registry.json.new").write_text("{half")
    write(store_of(tmp_path), current_version="v1")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_another_program_wrote_meanwhile_is_not_lost(tmp_path: Path) -> None:
    path, store, calls = put(tmp_path, EMPTY), store_of(tmp_path), []

    @contextmanager
    def undone_when_in_vain() -> Iterator[None]:
        try:
            yield
        except BaseException:
            calls.append("undone")
            raise

    def change(data: dict[str, Any]) -> AbstractContextManager[None]:
        calls.append("changed")
        if len(calls) == 1:
            put(tmp_path, EMPTY | {"theirs": 1})
        data["ours"] = 1
        return undone_when_in_vain()

    with store.locked():
        store.update(change)
    assert json.loads(path.read_text()) == EMPTY | {"theirs": 1, "ours": 1}
    assert calls == ["changed", "undone", "changed"]


def test_a_file_that_vanishes_meanwhile_is_not_brought_back(tmp_path: Path) -> None:
    path, store = put(tmp_path, EMPTY), store_of(tmp_path)

    def change(data: dict[str, Any]) -> AbstractContextManager[None]:
        path.unlink()
        return nullcontext()

    with store.locked(), pytest.raises(RegistryError, match="No such file"):
        store.update(change)
    assert picture(tmp_path) == {}


def test_a_program_that_never_stops_writing_is_named_in_the_end(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    put(tmp_path, EMPTY)
    written = 0

    def change(data: dict[str, Any]) -> AbstractContextManager[None]:
        nonlocal written
        written += 1
        put(tmp_path, EMPTY | {"theirs": "x" * written})
        return nullcontext()

    with store.locked(), pytest.raises(RegistryError, match="keeps writing it; nothing was changed"):
        store.update(change)
    assert store.read()["theirs"] == "x" * written
    assert not (tmp_path / ".registry.json.new").exists()


FULL_DISK = """
import resource, sys
from contextlib import nullcontext
from pathlib import Path
from registry import RegistryError
from registry.store import Store

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
store = Store(Path(sys.argv[1]))
try:
    with store.locked():
        store.update(lambda data: data.update(note="x" * 5000) or nullcontext())
except RegistryError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_registry_and_no_rest_of_the_new(tmp_path: Path) -> None:
    put(tmp_path, EMPTY)
    before = picture(tmp_path)
    output = subprocess.check_output([sys.executable, "-c", FULL_DISK, str(tmp_path)], text=True)
    assert "registry.json: cannot be written, the old one is untouched: File too large; raise" in output
    assert picture(tmp_path) == before


def test_a_folder_that_may_not_be_written_says_so(public: Path) -> None:
    put(public, EMPTY)
    (public / "registry.json.lock").touch(mode=0o666)
    public.chmod(0o555)
    with unprivileged(), pytest.raises(RegistryError, match=r"cannot be written.*Permission denied"):
        write(store_of(public), current_version="v1")
    public.chmod(0o755)
    assert json.loads((public / "registry.json").read_text()) == EMPTY


def test_a_folder_that_cannot_be_synced_is_told_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        sync_folder(tmp_path / "none")
    assert "not known to be on the disk" in caplog.text


def test_every_system_error_has_a_remedy() -> None:
    assert "space" in remedy(OSError(errno.ENOSPC, "full"))
    assert "whole folder" in remedy(OSError(errno.EBUSY, "busy"))
    assert "look at the file" in remedy(OSError("no number"))
