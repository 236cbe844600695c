"""Targets: watchdog.yaml, and the numbers with units in it."""

import json
import math
import re
from datetime import timedelta
from functools import cache
from pathlib import Path

import config
from config import ConfigError, Settings
from config.units import duration, share
from tests.fuzz.target import Target, fresh
from tests.harmless import is_harmless
from watchdog.caller import load_without_secrets

SECRET = "hunter2"
ENVIRON = {"TOKEN": "1:abc-hunter2", "EMPTY": "", "NUMBER": "3"}
LINE_ENDS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
MOST_PROBLEM = 3000


@cache
def _file() -> Path:
    return fresh("configuration") / "watchdog.yaml"


def configuration(data: bytes) -> None:
    """Settings, or problems that each have a place in the file, say what is allowed, and repeat no secret."""
    _file().write_bytes(data)
    try:
        found = config.load(_file(), ENVIRON)
    except ConfigError as error:
        _sound(error, data)
        try:
            load_without_secrets(_file(), ENVIRON)
        except ConfigError as again:
            _sound(again, data)
        return
    assert found == config.load(_file(), ENVIRON)
    _usable(found)


def _sound(error: ConfigError, data: bytes) -> None:
    lines = len(LINE_ENDS.split(data.decode(errors="replace")))
    assert error.problems
    for problem in error.problems:
        assert 0 <= problem.line <= lines
        assert problem.message
        assert len(str(problem)) <= MOST_PROBLEM
        assert is_harmless(str(problem))
        assert SECRET not in problem.message


def _usable(found: Settings) -> None:
    assert found.poll_interval > timedelta(0)
    assert math.isfinite(found.trade_log.initial_equity)
    assert 0 < found.triggers.drawdown.above < 1
    assert math.isfinite(found.triggers.sharpe.below)
    assert found.bot.tz is not None
    for path in (
        found.state_dir,
        found.control_dir,
        found.registry.path,
        found.trade_log.path,
        found.bot.log,
    ):
        assert path.is_absolute()
        assert "\0" not in str(path)
    str(found.model_dump()).encode()
    json.dumps(found.secrets())


def units(data: bytes) -> None:
    """A duration is 0 to ten years, a share between 0 and 1; all else is a ValueError that says what is allowed."""
    text = data.decode("utf-8", "replace")
    for parse, low, high in ((duration, timedelta(0), timedelta(days=3650)), (share, 0.0, 1.0)):
        try:
            found = parse(text)
        except ValueError as error:
            said = str(error)
        else:
            assert low <= found <= high  # type: ignore[operator]
            continue
        assert "must" in said or "is too long" in said
        assert len(said) < 200


_DEFAULT = (Path(config.__file__).parent / "watchdog.yaml").read_bytes()
_PLAIN = b"\n".join(
    line
    for line in re.sub(rb"(?m)[ \t]+#.*$", b"", _DEFAULT).splitlines()
    if line and not line.startswith(b"#")
)
SEEDS = (
    _DEFAULT,
    _PLAIN,
    _PLAIN + b"\ntelegram: {token: '${TOKEN}', chat_id: -100}\n",
    _PLAIN
    + b"\nexchange: {kind: binance_spot, api_key: hunter2-key, api_secret: hunter2-secret, symbols: [SOLUSDT]}\n",
    b"bot: &a {name: x, control: process}\nregistry: *a\n<<: *a\n",
    b"a: &a [l,l,l,l,l,l,l,l,l]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n",
)
WORDS = (
    b"&a ", b"*a", b"<<: ", b"!!python/object/apply:os.system ", b"!!binary ", b"!x ",
    b"!!int ", b"!!float ", b"!!set ", b"!!null ", b"%YAML 1.1\n", b"%TAG ! tag:x\n", b"---\n", b"...\n",
    b"? ", b"- ", b": ", b"| ", b"> ", b"[", b"]", b"{", b"}", b"'", b'"', b"#", b"~", b"${TOKEN}",
    b"${EMPTY}", b"${NUMBER}", b"${nothing_here}", b"${", b"}", b"010", b"0x1f", b"12:30:45", b"1e3", b".nan",
    b".inf", b"on", b"2026-01-01", b"9" * 5000, b"-1", b"0", b"25%", b"10s", b"99999d", b"0.5s", b"\n",
    b"\n  ", b"  ", b"\t", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\xae",
    b"\xed\xa0\x80", b"\\ud800", b"\\UFFFFFFFF", b"\\x00", b"bot:", b"process:", b"command:", b"triggers:",
    b"drawdown:", b"state_dir:", b"telegram: {token: hunter2, chat_id: 1}", b"(a+)+$", b"patterns: ['(']",
    b"[" * 30,
)  # fmt: skip
UNIT_SEEDS = (b"10s", b"0.5s", b"24h", b"3650d", b"0", b"25%", b"2.5%", b"99.9%")
UNIT_WORDS = (
    b"s",
    b"m",
    b"h",
    b"d",
    b"%",
    b".",
    b"-",
    b"+",
    b" ",
    b"e",
    b"_",
    b"9" * 400,
    "٣".encode(),
    "²".encode(),
    b"\n",
    b"\0",
)
CONFIGURATIONS = (
    Target("configuration", configuration, SEEDS, WORDS),
    Target("units", units, UNIT_SEEDS, UNIT_WORDS),
)
