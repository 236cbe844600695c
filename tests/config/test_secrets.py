"""Whatever is wrong around a secret, no error repeats it."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from config import ConfigError, load
from tests.config.files import SMALLEST, loaded, written

TOKEN = "7391846205:AAHfiqksKZ8WmR2zSjiQ7x4kQpVbNcDmYtE"
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
ENVIRON = {"TOKEN": TOKEN, "KEY": KEY, "SPACED": f"{KEY} ", "LINES": f"{TOKEN}\n{KEY}", "SLASH": f"{TOKEN}/x"}

MISTAKES = [
    "telegram: TOKEN_",
    "telegram: [TOKEN_]",
    "telegram: {TOKEN_}",
    "telegram: {'TOKEN_': x}",
    "telegram: {token TOKEN_: x, chat_id: 1}",
    "telegram: {KEY_: x}",
    "telegram: {tokn: 'TOKEN_', chat_id: 1}",
    "telegram: {token: 'TOKEN_'}",
    "telegram: {token: 'TOKEN_', chat_id: true}",
    "telegram: {token: 'TOKEN_', chat_id: 'TOKEN_'}",
    "telegram: {token: 'TOKEN_', token: 'KEY_', chat_id: 1}",
    "telegram: {'TOKEN_': 1, 'TOKEN_': 2}",
    "telegram: {token: ['TOKEN_'], chat_id: 1}",
    "telegram: {token: {a: 'TOKEN_'}, chat_id: 1}",
    "telegram: {token: {'TOKEN_': '${NOPE}'}, chat_id: 1}",
    "telegram: {token: 'TOKEN_ ', chat_id: 1}",
    "telegram: {token: 'TOKEN_/x', chat_id: 1}",
    'telegram: {token: "TOKEN_\\n", chat_id: 1}',
    'telegram: {token: "TOKEN_\\d", chat_id: 1}',
    'telegram: {token: "TOKEN_\\0", chat_id: 1}',
    'telegram: {token: "TOKEN_\\ud800", chat_id: 1}',
    "telegram: {token: 'TOKEN_é', chat_id: 1}",
    "telegram: {token: 'TOKEN_${NOPE}', chat_id: 1}",
    "telegram: {token: 'TOKEN_${', chat_id: 1}",
    "telegram: {token: '${TOKEN_}', chat_id: 1}",
    "telegram: {token: '${KEY_ }', chat_id: 1}",
    "telegram: {token: '${KEY_}', chat_id: 1}",
    "telegram: {token: '${KEY_', chat_id: 1}",
    "telegram: {token: *KEY_, chat_id: 1}",
    "telegram: {token: &KEY_ &KEY_ x, chat_id: 1}",
    "telegram: {token: !TOKEN_ x, chat_id: 1}",
    "telegram: {token: !KEY_!x y, chat_id: 1}",
    "telegram: {token: !KEY_ TOKEN_, chat_id: 1}",
    "telegram: {token: @TOKEN_, chat_id: 1}",
    "telegram: {token: 'TOKEN_, chat_id: 1}",
    "telegram: {token: 'TOKEN_', chat_id: 1",
    "telegram: {<<: {token: 'TOKEN_'}, chat_id: 1}",
    "telegram: {? [TOKEN_] : 1}",
    "telegram: {token: 'TOKEN_', chat_id: 1, base_url: 'http://TOKEN_'}",
    "telegram: {token: 'TOKEN_', chat_id: 1, base_url: 'ftp://x/botTOKEN_'}",
    "telegram: {token: 'TOKEN_', chat_id: 1, base_url: 'http://user:KEY_@x'}",
    "telegram:\n  token TOKEN_\n  chat_id: 1",
    "telegram:\n  TOKEN_:\n  chat_id: 1",
    "telegram:\ntoken: TOKEN_",
    "telegram:\n\ttoken: TOKEN_",
    "telegram:\n   token: TOKEN_\n  chat_id: 1",
    "telegram:\n  token: TOKEN_: x",
    "telegram:\n  token: |\n    TOKEN_\n    KEY_\n  chat_id: 1",
    "telegrm:\n  TOKEN_: 1\n  KEY_: ${NOPE}",
    "KEY_: x",
    "TOKEN_",
    "'TOKEN_': x",
    "exchange: {kind: KEY_, api_key: KEY_, api_secret: KEY_, symbols: [KEY_]}",
    "exchange: {kind: binance_usdm, api_key: KEY_, api_secret: KEY_, symbols: KEY_}",
    "exchange: {api_key: 'KEY_ KEY_', api_secret: [KEY_], api_secre: KEY_}",
    "exchange: {api_key=KEY_, api_secret=KEY_}",
    "exchange: {api_key KEY_: , api_secretKEY_: , apikeyKEY_: x}",
    "exchange: {api_key: 0KEY_, api_secret: 12:30:45, symbols: [a]}",
    "exchange: KEY_",
    "telegram: {token: '${SPACED}', chat_id: '${TOKEN}'}",
    "telegram: {token: '${LINES}', chat_id: 1, base_url: '${KEY}'}",
    "telegram: {token: '${SLASH}', chat_id: '${KEY}'}",
    "telegram: {'${TOKEN}': 1}",
    "exchange: {kind: '${KEY}', api_key: '${SPACED}', api_secret: '${LINES}', symbols: ['${TOKEN}', '${SPACED}']}",
    "mode: ${KEY}",
    "poll_interval: ${KEY}",
    "state_dir: ~${KEY}",
    "state_dir: ${LINES}",
    "triggers: {load_error: {patterns: ['(?P<${KEY}', '(?P=${KEY})', '[${TOKEN}', '${TOKEN}(']}}",
    "triggers: {drawdown: {above: '${KEY}'}, sharpe: {below: '${KEY}', enabled: '${KEY}', action: '${KEY}'}}",
    "rollback: ${KEY}",
    "mode: act\nmode: ${KEY}\nmode: TOKEN_",
]


def _pieces(secret: str, length: int = 8) -> set[str]:
    return {secret[i : i + length] for i in range(len(secret) - length + 1)}


PIECES = _pieces(TOKEN) | _pieces(KEY)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_no_error_contains_any_piece_of_a_secret(tmp_path: Path, mistake: str) -> None:
    file = written(tmp_path, SMALLEST + mistake.replace("TOKEN_", TOKEN).replace("KEY_", KEY) + "\n")
    with pytest.raises(ConfigError) as caught:
        load(file, ENVIRON)
    everything = (
        "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(caught.value.problems)
    )
    assert not [piece for piece in PIECES if piece in everything]
    assert all(problem.line for problem in caught.value.problems)


def test_a_time_zone_from_a_variable_is_not_repeated(tmp_path: Path) -> None:
    text = SMALLEST.replace("  log:", "  timezone: ${KEY}\n  log:")
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text), ENVIRON)
    assert KEY not in str(caught.value)


def test_no_secret_is_shown_by_the_settings_themselves(tmp_path: Path) -> None:
    text = SMALLEST + (
        f"telegram: {{token: '{TOKEN}', chat_id: 1}}\n"
        "exchange: {kind: binance_spot, api_key: '${KEY}', api_secret: '${KEY}', symbols: [SOLUSDT]}\n"
    )
    settings = loaded(tmp_path, text, ENVIRON)
    assert settings.secrets() == (KEY, TOKEN)
    shown = f"{settings}{settings!r}{settings.telegram}{settings.exchange!r}{settings.model_dump()}"
    assert not [piece for piece in PIECES if piece in shown + settings.model_dump_json()]
