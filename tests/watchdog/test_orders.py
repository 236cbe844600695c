"""The control folder, with real files: what counts as an order, whose it is, and whom it listens to."""

import itertools
import json
import os
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watchdog.fakes import START
from watchdog.incident import Order
from watchdog.orders import MOST_BYTES, MOST_REASON, ControlFolder, OrderError, in_words
from watchdog.rights import user_name

ME = user_name(os.geteuid())


@pytest.fixture
def control(tmp_path: Path) -> ControlFolder:
    folder = ControlFolder(tmp_path / "control")
    folder.prepare()
    return folder


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def seen(control: ControlFolder) -> list[Order]:
    """The orders, after the second look that makes them count."""
    control.pending()
    return control.pending()


def flag(control: ControlFolder, name: str, text: str = "") -> Path:
    path = control.path / name
    path.write_text(text, encoding="utf-8")
    return path


# -- the folder


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path, loose_umask: None) -> None:
    control = ControlFolder(tmp_path / "new" / "control")
    control.prepare()
    assert stat.S_IMODE(control.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((control.path / "handled").stat().st_mode) == 0o700
    control.prepare()  # and again at the next start


def test_a_folder_that_cannot_be_made_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "control").write_text("a file", encoding="utf-8")
    with pytest.raises(OrderError, match=r"control.*cannot be made"):
        ControlFolder(tmp_path / "control").prepare()


@pytest.mark.parametrize("mode", [0o777, 0o702, 0o1777])
def test_a_folder_that_everybody_can_write_to_is_refused_with_the_chmod(
    control: ControlFolder, mode: int
) -> None:
    control.path.chmod(mode)
    with pytest.raises(OrderError, match=rf"chmod o-w {control.path}"):
        control.inspect()


def test_a_folder_that_a_strange_group_can_write_to_is_refused_with_the_chmod(control: ControlFolder) -> None:
    control.path.chmod(0o770)
    control.inspect()  # the watchdog's own group is for people who may
    if os.geteuid() == 0:
        os.chown(control.path, -1, 54321)
        with pytest.raises(OrderError, match=rf"group 54321 can write.*chmod g-w {control.path}"):
            control.inspect()
        control.path.chmod(0o750)
        control.inspect()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused_with_the_chown(control: ControlFolder) -> None:
    os.chown(control.path, 54321, -1)
    with pytest.raises(OrderError, match=rf"belongs to uid 54321.*chown {os.geteuid()} {control.path}"):
        control.inspect()


def test_a_folder_that_vanished_or_is_a_file_is_told(control: ControlFolder, tmp_path: Path) -> None:
    (control.path / "handled").rmdir()
    control.path.rmdir()
    with pytest.raises(OrderError, match="orders cannot be read"):
        control.inspect()
    control.path.write_text("", encoding="utf-8")
    with pytest.raises(OrderError, match="is not a folder"):
        control.inspect()


# -- orders


@pytest.mark.parametrize("what", ["HALT", "ROLLBACK", "RESUME"])
def test_an_empty_flag_is_an_order_of_its_owner(control: ControlFolder, what: str) -> None:
    flag(control, what)
    (order,) = seen(control)
    assert (order.what, order.who, order.why, order.wanted) == (what.lower(), f"{ME} (flag file)", "", None)
    assert order.ident is not None


def test_a_flag_counts_at_the_second_look_that_finds_it_unchanged(control: ControlFolder) -> None:
    """`echo text > HALT` makes the file first, and fills it then."""
    path = flag(control, "ROLLBACK")
    assert control.pending() == []
    path.write_text("v1.9.0 looks wrong", encoding="utf-8")
    assert control.pending() == []
    (order,) = control.pending()
    assert order.why == "v1.9.0 looks wrong"


def test_a_flag_that_was_taken_away_before_it_counted_is_no_order(control: ControlFolder) -> None:
    path = flag(control, "HALT")
    assert control.pending() == []
    path.unlink()
    assert control.pending() == []
    flag(control, "HALT")
    assert control.pending() == []


def laid_at(path: Path, folder: Path, later_than: Path | None) -> None:
    """The kernel stamps what is done within a few milliseconds with the same time: it is laid until it is later."""
    for number in range(1000):
        part = folder / f"part-{number}"
        part.touch()
        part.replace(path)
        if later_than is None or path.stat().st_ctime_ns > later_than.stat().st_ctime_ns:
            return
        time.sleep(0.001)
    raise AssertionError("the clock stands still")


@pytest.mark.parametrize("order", list(itertools.permutations(["HALT", "ROLLBACK", "RESUME"])))
def test_the_order_that_was_laid_last_comes_last(
    control: ControlFolder, tmp_path: Path, order: tuple[str, ...]
) -> None:
    """A person who ordered a resume and then, after all, a halt, wants the bot halted."""
    before = None
    for name in order:
        laid_at(control.path / name, tmp_path, before)
        before = control.path / name
    assert [found.what for found in seen(control)] == [name.lower() for name in order]


def test_of_orders_that_were_laid_at_once_the_halt_comes_last(control: ControlFolder) -> None:
    halt = flag(control, "HALT")
    for name in (
        "ROLLBACK",
        "RESUME",
    ):  # one file with three names: nothing else is sure to have the same time
        os.link(halt, control.path / name)
    assert [found.what for found in seen(control)] == ["rollback", "resume", "halt"]


def test_a_consumed_flag_lies_in_handled_and_is_no_order_any_more(control: ControlFolder) -> None:
    flag(control, "HALT", "bad feeling")
    (order,) = seen(control)
    control.consume(order, START)
    assert seen(control) == []
    (kept,) = (control.path / "handled").iterdir()
    assert (kept.name, kept.read_text(encoding="utf-8")) == ("20260301T100000000000-HALT", "bad feeling")


def test_a_flag_that_was_replaced_meanwhile_is_not_consumed_with_the_old_one(control: ControlFolder) -> None:
    flag(control, "HALT", "first")
    (order,) = seen(control)
    (control.path / "HALT").unlink()
    flag(control, "HALT", "second")
    os.utime(control.path / "HALT", ns=(1, 1))
    control.consume(order, START)
    (again,) = seen(control)
    assert again.why == "second"
    assert again.ident != order.ident


def test_consuming_what_is_gone_is_no_error(control: ControlFolder) -> None:
    flag(control, "HALT")
    (order,) = seen(control)
    (control.path / "HALT").unlink()
    control.consume(order, START)


@pytest.mark.parametrize(
    ("text", "by", "why", "wanted"),
    [
        ("", None, "", None),
        ("v1.9.0: too many losses\n", None, "v1.9.0: too many losses", None),
        ("  \n\tspaces \n", None, "spaces", None),
        ('{"to": "v1.9.0", "reason": "odd", "by": "bob"}', "bob", "odd", "v1.9.0"),
        ('{"version": "v1.9.0"}', None, "", "v1.9.0"),
        ('{"target": "v1.9.0"}', None, "", "v1.9.0"),
        ('{"target_version": "v1.9.0", "to": null}', None, "", "v1.9.0"),
        ('{"to": 5}', None, "", "5"),  # to be refused, rather than passed over
        ('{"to": "", "reason": 5, "by": ["x"]}', None, "", ""),
        ('{"reason": "v1.9.0 was better"}', None, "v1.9.0 was better", ""),
        ("{}", None, "", ""),
        ('"v1.9.0 as text"', None, "v1.9.0 as text", None),
        ("[1, 2]", None, "[1, 2]", None),
        ("null", None, "null", None),
        ('{"to": ', None, "", '{"to":'),  # cut off: to be refused
        ("[" * 5000, None, "[" * (MOST_REASON - 1) + "…", None),
        ("too many\nlosses\x1b[2J\u202e", None, "too many losses\ufffd[2J\ufffd", None),
        (
            '{"to": "v1\\n.9", "reason": "a\\u0000b\\ud800", "by": "b\\u009bob"}',
            "b\ufffdob",
            "a\ufffdb\ufffd",
            "v1 .9",
        ),
    ],
)
def test_what_a_flag_says(
    control: ControlFolder, text: str, by: str | None, why: str, wanted: str | None
) -> None:
    flag(control, "ROLLBACK", text)
    (order,) = seen(control)
    who = f"{by} (flag file of {ME})" if by else f"{ME} (flag file)"
    assert (order.who, order.why, order.wanted) == (who, why, wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", None),
        ("v1.9.0", "v1.9.0"),
        ("v1.9.0: too many losses", "v1.9.0"),
        ("V1.9.0, please", "v1.9.0"),
        ("please go back to v1.8.0", "v1.8.0"),
        ("roll back from v2.1.0 to v1.9.0, it loses", "v1.9.0"),
        ("rollback to (v1.9.0)", "v1.9.0"),
        ("champion was better", "champion"),
        ("v2.1.0 loses", None),  # the current one is what is left
        ("v2.1.0", "v2.1.0"),  # nothing but the current one: to be refused
        ("v2.1.0 has the same bug as v1.9.0", None),
        ("the same bug as v1.9.0 had", None),
        ("worse than v1.9.0", None),
        ("10 losses in a row", None),
        ("1.5 % a day is too much", None),
        ("very strange trades", None),
        ("v9.9.9", "v9.9.9"),  # unknown: to be refused, rather than passed over
        ("to v2 it was fine", "v2"),
        ("2.0.0-rc1+build.5", "2.0.0-rc1+build.5"),
        ("ordered by signal", None),
    ],
)
def test_a_text_may_begin_with_the_version_to_go_back_to(text: str, wanted: str | None) -> None:
    assert in_words(text, ["v1.8.0", "v1.9.0", "v2.1.0", "champion"], "v2.1.0") == wanted


def test_invalid_utf8_and_a_huge_flag_are_orders_all_the_same(control: ControlFolder) -> None:
    (control.path / "HALT").write_bytes(b"\xff\xfe bad" + b"x" * MOST_BYTES * 10)
    (order,) = seen(control)
    assert "�" in order.why
    assert len(order.why) == MOST_REASON


@given(st.binary(max_size=300))
def test_whatever_a_flag_holds_it_is_one_order(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    control = ControlFolder(tmp_path_factory.mktemp("control"))
    (control.path / "ROLLBACK").write_bytes(text)
    (order,) = seen(control)
    assert order.what == "rollback"
    json.dumps([order.who, order.wanted])


# -- odd flags


def test_a_link_is_an_order_but_what_it_points_to_is_not_read(control: ControlFolder, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2", encoding="utf-8")
    (control.path / "HALT").symlink_to(secret)
    (order,) = seen(control)
    assert order.why.startswith("(the flag could not be read")
    control.consume(order, START)
    assert seen(control) == []
    assert secret.exists()


def test_a_link_to_nowhere_is_an_order_and_a_pause(control: ControlFolder) -> None:
    for name in ("HALT", "PAUSE"):
        (control.path / name).symlink_to("nowhere")
    assert [order.what for order in seen(control)] == ["halt"]
    assert control.paused() is not None


def test_a_pipe_is_an_order_and_holds_nothing_up(control: ControlFolder) -> None:
    os.mkfifo(control.path / "HALT")
    (order,) = seen(control)
    assert (order.what, order.why) == ("halt", "")


def test_a_folder_is_an_order_and_costs_no_file_descriptor(control: ControlFolder) -> None:
    """The control folder is looked at four times a second: a descriptor each time would end the daemon in minutes."""
    for name in ("HALT", "PAUSE"):
        (control.path / name).mkdir()
    (order,) = seen(control)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        assert control.paused() is not None
        control.pending()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    control.consume(order, START)
    assert (control.path / "handled" / "20260301T100000000000-HALT").is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_flag_that_cannot_be_read_is_an_order_all_the_same(control: ControlFolder) -> None:
    flag(control, "HALT").chmod(0)
    (order,) = seen(control)
    assert "could not be read" in order.why


# -- pause, and laying orders down


def test_a_pause_holds_while_its_flag_is_there(control: ControlFolder) -> None:
    assert control.paused() is None
    flag(control, "PAUSE", "maintenance")
    paused = control.paused()
    assert paused is not None
    assert (paused.what, paused.why, paused.wanted) == ("pause", "maintenance", None)
    assert seen(control) == []
    control.unpause(START + timedelta(seconds=1))
    assert control.paused() is None
    assert (control.path / "handled" / "20260301T100001000000-PAUSE").exists()
    control.unpause(START)  # there is none


def test_a_link_in_place_of_handled_carries_no_flag_into_another_folder(tmp_path: Path) -> None:
    """A flag in /etc/cron.d, say, whose text would be a table of commands."""
    control, elsewhere = ControlFolder(tmp_path / "control"), tmp_path / "cron.d"
    control.prepare()
    elsewhere.mkdir()
    (control.path / "handled").rmdir()
    (control.path / "handled").symlink_to(elsewhere)
    flag(control, "HALT", "* * * * * root reboot")
    flag(control, "PAUSE")
    (order,) = seen(control)
    with pytest.raises(OSError, match="is a link and no folder: remove it"):
        control.consume(order, START)
    with pytest.raises(OSError, match="is a link and no folder"):
        control.unpause(START)
    with pytest.raises(OSError, match="is a link and no folder"):
        control.forget_handled(START)
    with pytest.raises(OrderError, match="handled: is a link and no folder"):
        control.prepare()
    assert list(elsewhere.iterdir()) == []


def test_an_order_is_not_written_through_a_link_that_waits_in_its_place(tmp_path: Path) -> None:
    """A group may be let into the folder to give orders; that is no leave to write into others' files."""
    control, treasure = ControlFolder(tmp_path / "control"), tmp_path / "treasure"
    control.prepare()
    treasure.write_text("untouched", encoding="utf-8")
    (control.path / f".halt.{os.getpid()}").symlink_to(treasure)
    (control.path / "HALT").symlink_to(treasure)
    control.put("halt", by="alice", reason="odd")
    assert treasure.read_text(encoding="utf-8") == "untouched"
    (order,) = seen(control)
    assert (order.what, order.why) == ("halt", "odd")


def test_an_order_that_was_put_says_who_why_and_where_to(tmp_path: Path) -> None:
    control = ControlFolder(tmp_path / "control")
    path = control.put("rollback", by="alice as root", reason="it's “odd”\nreally", to="v1.9.0")
    assert path == control.path / "ROLLBACK"
    (order,) = seen(control)
    assert (order.who, order.why, order.wanted) == (
        f"alice as root (flag file of {ME})",
        "it's “odd” really",
        "v1.9.0",
    )
    control.put("halt", by=ME, reason="")
    assert next(o.who for o in seen(control) if o.what == "halt") == f"{ME} (flag file)"
    assert [p.name for p in control.path.iterdir() if p.name.startswith(".")] == []


def test_an_order_of_a_command_is_told_as_one_with_the_user_that_it_was_run_as(tmp_path: Path) -> None:
    control = ControlFolder(tmp_path / "control")
    control.put("halt", by=ME, reason="", command=True)
    control.put("rollback", by="alice as root", reason="", command=True)
    assert {order.what: order.who for order in seen(control)} == {
        "halt": f"{ME} (by command)",
        "rollback": f"alice as root (by command, run as {ME})",
    }


@pytest.mark.parametrize(
    "text", ['{"via": "command"}', '{"by": "", "via": "command"}', '{"by": "bob", "via": 1}']
)
def test_a_flag_that_only_half_looks_like_a_commands_is_a_flag_file(
    control: ControlFolder, text: str
) -> None:
    flag(control, "HALT", text)
    assert "flag file" in seen(control)[0].who


def test_an_order_is_not_put_where_others_could_have_put_it(control: ControlFolder) -> None:
    control.path.chmod(0o777)
    with pytest.raises(OrderError, match="chmod o-w"):
        control.put("halt", by="alice", reason="")
    assert not (control.path / "HALT").exists()


def test_an_order_that_cannot_be_written_is_told(control: ControlFolder) -> None:
    (control.path / "HALT").mkdir()
    (control.path / "HALT" / "something").write_text("", encoding="utf-8")
    with pytest.raises(OrderError, match=r"HALT: .*: the order could not be written"):
        control.put("halt", by="alice", reason="")


def test_users_have_names() -> None:
    assert user_name(0) == "root"
    assert user_name(54321) == "uid 54321"
