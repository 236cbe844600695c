"""Every mistake at once, each at its line and column, in words that say what is allowed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config import ConfigError, Problem, control_dir, find, load
from config.loader import MAX_BYTES
from tests.config.files import SMALLEST, loaded, only, problems, told, written


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
bot:
  name: on
  control: process
  process: {command: python main.py, directry: .}
  compose:
    file: x
  stop_timeout: 30
  name: b
registry: {path: 12:30:45}
trade_log: {path: a, initial_equity: ${EQUITY}}
poll_interval: 0s
""".replace("${EQUITY}", '"${EQUITY}"')
    assert [(p.line, p.column, p.key) for p in problems(tmp_path, text)] == [
        (1, 1, "bot.log"),
        (2, 9, "bot.name"),
        (4, 22, "bot.process.command"),
        (4, 38, "bot.process.directry"),
        (5, 3, "bot.compose"),
        (7, 17, "bot.stop_timeout"),
        (8, 3, "bot.name"),
        (9, 18, "registry.path"),
        (10, 38, "trade_log.initial_equity"),
        (11, 16, "poll_interval"),
    ]


def test_the_text_of_the_error_is_one_line_a_problem_with_file_line_and_column(tmp_path: Path) -> None:
    file = written(tmp_path, SMALLEST + "mode: watch\npoll_interval: 5\n")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    first, second = str(caught.value).splitlines()
    assert first == f"{file}:8:7: mode: must be 'act' or 'observe'"
    assert second.startswith(f"{file}:9:16: poll_interval: must be a duration: ")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("more", "told_"),
    [
        ("mdoe: act", "8:1 mdoe is an unknown key: did you mean mode? Known here: bot, registry, "),
        (
            "triggers: {chksum: {}}",
            "8:12 triggers.chksum is an unknown key: did you mean checksum? Known here: ",
        ),
        ("triggers: {sharpe: {for_: 5m}}", "8:21 triggers.sharpe.for_ is an unknown key: did you mean for? "),
        ("cooldown: 1h", "8:1 cooldown is an unknown key: it belongs into rollback. Known here: "),
        ("zzz: {a: 1}", "8:1 zzz is an unknown key: Known here: "),
        ("path: x", "8:1 path is an unknown key: "),
        ("secrets: x", "8:1 secrets is an unknown key: "),
        ("on: 5", "8:1 on is an unknown key: "),
    ],
)
def test_an_unknown_key_is_told_at_the_key_with_what_it_may_have_meant(
    tmp_path: Path, more: str, told_: str
) -> None:
    assert only(told(tmp_path, SMALLEST + more)).startswith(told_)


def test_a_missing_key_is_told_at_the_section_that_lacks_it(tmp_path: Path) -> None:
    lines = told(tmp_path, "bot:\n  control: process\nregistry: {}\n")
    assert [line.split(" is ")[0] for line in lines] == [
        "1:1 bot.log",
        "1:1 bot.name",
        "1:1 bot.process",
        "1:1 trade_log",
        "3:1 registry.path",
    ]
    assert lines[-1] == "3:1 registry.path is required: Folder of registry.json."


def test_a_duplicate_key_is_told_with_the_line_of_the_first(tmp_path: Path) -> None:
    text = SMALLEST + "mode: observe\nmode: act\n"
    assert (
        only(told(tmp_path, text)) == "9:1 mode is a duplicate key, given in line 8 already: keep one of them"
    )


def test_a_duplicate_key_is_found_at_every_depth_and_across_quotes(tmp_path: Path) -> None:
    text = SMALLEST + 'triggers: {drawdown: {above: 25%, "above": 30%}}\n'
    assert only(told(tmp_path, text)).startswith("8:35 triggers.drawdown.above is a duplicate key")


@pytest.mark.parametrize(
    ("old", "new", "told_"),
    [
        ("sol-perp", "on", "2:9 bot.name must be text: YAML reads this as true or false, put it in quotes"),
        ("sol-perp", "no", "2:9 bot.name must be text: YAML reads this as true or false, put it in quotes"),
        ("sol-perp", "1e3", ""),  # a text to PyYAML, and here a text is meant
        ("sol-perp", "4711", "2:9 bot.name must be text: YAML reads this as a number, put it in quotes"),
        ("sol-perp", "2026-01-01", "2:9 bot.name must be text: YAML reads this as a date, put it in quotes"),
        ("sol-perp", "", "2:8 bot.name must be text: YAML reads this as empty, put it in quotes"),
        ("sol-perp", "~", "2:9 bot.name must be text: YAML reads this as empty, put it in quotes"),
        ("sol-perp", "12:30:45", "2:9 bot.name is a number of base 60 to YAML"),
        ("sol-perp", "010", "2:9 bot.name is octal to YAML because of its leading zero"),
        ("main.py", "8080", "4:31 bot.process.command[1] must be text: YAML reads this as a number, put it"),
        ("2000", "1e3", "7:54 trade_log.initial_equity must be a number in plain digits"),
        ("2000", "02000", "7:54 trade_log.initial_equity is octal to YAML"),
        ("2000", "20:00", "7:54 trade_log.initial_equity is a number of base 60 to YAML"),
        ("2000", "20:00.5", "7:54 trade_log.initial_equity is a number of base 60 to YAML"),
        ("2000", "yes", "7:54 trade_log.initial_equity must be a number in plain digits"),
        ("2000", "2000-01-01", "7:54 trade_log.initial_equity must be a number in plain digits"),
    ],
)
def test_what_yaml_reads_otherwise_than_people_is_explained(
    tmp_path: Path, old: str, new: str, told_: str
) -> None:
    lines = told(tmp_path, SMALLEST.replace(old, new))
    assert only(lines).startswith(told_) if told_ else not lines


def test_an_octal_with_a_sign_is_caught_and_zero_is_none(tmp_path: Path) -> None:
    text = SMALLEST + "triggers: {sharpe: {below: %s}}\n"
    assert "octal" in only(told(tmp_path, text % "-010"))
    assert loaded(tmp_path, text % "0").triggers.sharpe.below == 0
    assert loaded(tmp_path, text % "-0.5").triggers.sharpe.below == -0.5
    assert loaded(tmp_path, text % "1_000").triggers.sharpe.below == 1000


@pytest.mark.parametrize(
    ("text", "told_"),
    [
        ("", "1:1  is empty"),
        ("# only words\n\n", "1:1  is empty"),
        ("---\n", "must be sections of keys and values: bot, "),
        ("- bot\n", "1:1  must be sections of keys and values"),
        ("\nhello\n", "2:1  must be sections of keys and values"),
        ("a: b: c\n", "1:5  a ':' is not allowed here"),
        ("bot:\n\tname: x\n", "2:1  a tab stands here: indent with spaces"),
        ("bot: {name: x\n", "a ',' or the closing bracket is missing"),
        ("a: x\nbot: 'unclosed\n\n\n", "2:6  a quoted text has no end"),
        ('a: x\nbot: "un\nclosed\n', "2:6  a quoted text has no end"),
        ("a: @x\n", "1:4  this character cannot begin a value: put the value in quotes"),
        ("a: %x\n", "1:4  this character cannot begin a value: put the value in quotes"),
        ('a: "\\d"\n', "1:6  an unknown backslash sequence"),
        ('a: "\\UFFFFFFFF"\n', "an unknown backslash sequence"),
        ("a: b\nc\nd: e\n", "a key must be followed by ': '"),
        ("a:\n    b: c\n  d: e\n", "3:3  the indentation fits nothing above"),
        ("a: b\n---\nc: d\n", "2:1  a second document begins here"),
        ("a: b\nc: \0d\n", "2:4  a control character stands here"),
        ("a: b\nc: \x07d\n", "2:4  a control character stands here"),
        (b"a: b\nc: d\xff\n", "2:5  is not UTF-8 text: save the file as UTF-8"),
        ("a: b\n".encode("utf-16"), "1:1  is not UTF-8 text"),
        ("a: {} }\n", "1:7  "),
        ("a: !<\n", "is not YAML: mend this line"),
        ("[" * 30 + "]" * 30, "1:22  sections are nested too deep: 20 levels are allowed"),
        ("[" * 20000, "nested too deep"),
        ("- " * 20000, "nested too deep"),
        ("{a: " * 20000, "nested too deep"),
    ],
)
def test_a_file_that_is_no_configuration_at_all_is_told_at_its_place(
    tmp_path: Path, text: str | bytes, told_: str
) -> None:
    assert told_ in only(told(tmp_path, text))


@pytest.mark.parametrize(
    ("more", "told_"),
    [
        ("state_dir: *there", "8:12 state_dir is an alias (*...): write the value out"),
        ("triggers: *rules", "8:11 triggers is an alias"),
        (
            "rollback: {<<: {cooldown: 1h}}",
            "8:12 rollback merge keys (<<) are not supported: write the values out",
        ),
        ("rollback: {<<: *other}", "8:12 rollback merge keys (<<)"),
        ("rollback: {*a : 1h}", "8:12 rollback a key must be a plain word"),
        ("rollback: {[a]: 1h}", "8:12 rollback a key must be a plain word"),
        ("rollback: &me {cooldown: *me}", "8:26 rollback.cooldown is an alias"),
        ("state_dir: !secret x", "8:12 state_dir has a tag (!...): write the plain value without one"),
        ("state_dir: !!binary aGk=", "8:12 state_dir has a tag"),
        ("state_dir: !!python/name:os.system x", "8:12 state_dir has a tag"),
        ("rollback: !!set {cooldown}", "8:11 rollback has a tag"),
        ("triggers: !!omap [a: 1]", "8:11 triggers has a tag"),
        ("state_dir: !!int x", "8:12 state_dir is not a value that YAML can read"),
        ("state_dir: !!bool x", "8:12 state_dir is not a value that YAML can read"),
        ('state_dir: !!int ""', "8:12 state_dir is not a value that YAML can read"),
        ('state_dir: "a\\0b"', "8:12 state_dir contains a NUL character: remove it"),
        ('state_dir: "\\ud800"', "8:12 state_dir contains half a character"),
        ("poll_interval: " + "9" * 5000, "8:16 poll_interval is not a value that YAML can read"),
    ],
)
def test_yaml_that_is_not_supported_is_refused_clearly(tmp_path: Path, more: str, told_: str) -> None:
    assert only(told(tmp_path, SMALLEST + more)).startswith(told_)


def test_an_anchor_that_nobody_uses_does_no_harm(tmp_path: Path) -> None:
    assert loaded(tmp_path, SMALLEST + "mode: &m observe\n").mode == "observe"


def test_a_broken_value_is_told_once_and_hides_nothing_else(tmp_path: Path) -> None:
    text = SMALLEST.replace("control: process", "control: ${HOW}").replace("2000", "-1")
    assert [line.split()[1] for line in told(tmp_path, text)] == ["bot.control", "trade_log.initial_equity"]
    text = SMALLEST.replace("[python, main.py]", '["${PYTHON}", 5]')
    assert [line.split()[1] for line in told(tmp_path, text)] == [
        "bot.process.command[0]",
        "bot.process.command[1]",
    ]


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    assert loaded(tmp_path, b"\xef\xbb\xbf" + SMALLEST.replace("\n", "\r\n").encode()).bot.name == "sol-perp"


def test_json_is_fine(tmp_path: Path) -> None:
    text = (
        '{"bot": {"name": "x", "control": "systemd", "systemd": {"unit": "a.service"}, "log": "l"},'
        ' "registry": {"path": "m"}, "trade_log": {"path": "t", "initial_equity": 1}}'
    )
    assert loaded(tmp_path, text).bot.control == "systemd"


def test_a_file_that_cannot_be_read_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for file, words in {
        tmp_path / "none.yaml": "does not exist: `model-watchdog init` writes one",
        tmp_path: "is a folder: name the file in it",
        tmp_path / "loop": "cannot be read: Too many levels of symbolic links",
        Path("a\0b"): "cannot be read: this is no valid file name",
    }.items():
        with pytest.raises(ConfigError) as caught:
            load(file, {})
        (problem,) = caught.value.problems
        assert (problem.file, problem.line, problem.key) == (file, 0, "")
        assert str(problem).startswith(f"{file}: {words}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_of_somebody_else_is_told_with_the_remedy(tmp_path: Path) -> None:
    file = written(tmp_path, SMALLEST)
    file.chmod(0)
    with pytest.raises(ConfigError, match="may not be read by this user"):
        load(file, {})


def test_a_file_too_large_to_be_a_configuration_is_not_read_on(tmp_path: Path) -> None:
    assert "is too large: 256 KiB are allowed" in only(told(tmp_path, "#" * (MAX_BYTES + 1)))
    assert loaded(tmp_path, SMALLEST + "#" * (MAX_BYTES - len(SMALLEST))).mode == "act"
    with pytest.raises(ConfigError, match="too large"):
        load(Path("/dev/zero"), {})


def test_find_takes_what_was_asked_for_and_else_the_first_place_that_has_one(tmp_path: Path) -> None:
    here, etc = tmp_path / "watchdog.yaml", tmp_path / "etc" / "watchdog.yaml"
    asked = tmp_path / "other.yaml"
    assert find(asked, (here, etc)) == asked
    with pytest.raises(ConfigError) as caught:
        find(None, (here, etc))
    assert str(here) in str(caught.value)
    assert str(etc) in str(caught.value)
    assert "--config FILE" in str(caught.value)
    etc.parent.mkdir()
    etc.write_text("")
    assert find(None, (here, etc)) == etc
    here.symlink_to(tmp_path / "gone")  # there, though broken: loading it tells so
    assert find(None, (here, etc)) == here


def test_problems_sort_by_line_and_column_and_are_told_once() -> None:
    file = Path("w.yaml")
    late, early = Problem(file, 10, 1, "b", "y"), Problem(file, 9, 5, "a", "x")
    assert ConfigError([late, early, late]).problems == [early, late]
    assert str(ConfigError([late, early])) == "w.yaml:9:5: a: x\nw.yaml:10:1: b: y"


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("nonsense: 1\n", "control"),
        ("control_dir: flags\nbot: 7\n", "flags"),
        ("control_dir: /var/flags\nbot: 7\n", "/var/flags"),
        ('control_dir: "${FLAGS}/x"\n', "/from/variable/x"),
        ('control_dir: "${NOT_SET}"\n', None),
        ("control_dir: [a]\n", None),
        ("control_dir: ~/flags\n", None),
        ("control_dir: 010\n", None),
        ("control_dir: a\ncontrol_dir: b\n", None),
        ("- a list\n", None),
        ("", None),
        ("bot: [\n", None),
    ],
)
def test_the_control_folder_is_known_of_a_file_with_mistakes_or_it_is_none(
    tmp_path: Path, text: str, folder: str | None
) -> None:
    file = written(tmp_path, text)
    expected = None if folder is None else tmp_path / folder
    assert control_dir(file, {"FLAGS": "/from/variable"}) == expected


def test_a_file_that_is_not_there_names_no_control_folder(tmp_path: Path) -> None:
    assert control_dir(tmp_path / "watchdog.yaml", {}) is None
