"""No form of a secret survives formatting."""

import io
import json
import logging
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier import RedactingFormatter, Redactor, quiet_libraries

TOKEN = "123456789:AAF-abc_DEF1234567890abcdefghijklmnop"


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), min_size=4, max_size=40))
def test_a_secret_is_hidden_in_every_form_it_is_written_in(secret: str) -> None:
    redact = Redactor([secret])
    forms = [secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]]
    for form in forms:
        assert redact(f"before|{form}|after") == "before|[redacted]|after"


@pytest.mark.parametrize(
    "text",
    [
        f"POST https://api.telegram.org/bot{TOKEN}/sendMessage",
        f"/bot{quote(TOKEN, safe='')}/getMe",
        f"/bot{quote(TOKEN, safe='').replace('%3A', '%3a')}/getMe",
        f"Bot[token={TOKEN}]",
        f"the secret half: {TOKEN.partition(':')[2]}",
    ],
)
def test_a_telegram_token_is_hidden_in_urls_and_by_its_secret_half(text: str) -> None:
    assert TOKEN.partition(":")[2] not in Redactor([TOKEN])(text)


def test_a_secret_that_holds_another_is_hidden_whole() -> None:
    assert Redactor(["abcd", "abcd-efgh"])("abcd-efgh abcd") == "[redacted] [redacted]"


def test_secrets_can_be_added_later() -> None:
    redact = Redactor()
    assert redact("hunter22") == "hunter22"
    redact.add(["hunter22"])
    assert redact("hunter22") == "[redacted]"


@pytest.mark.parametrize("secret", ["", " ", "abc"])
def test_a_secret_too_short_to_be_one_hides_nothing(secret: str) -> None:
    assert Redactor([secret])("abc and 1 2 3") == "abc and 1 2 3"


def test_the_redactor_does_not_show_what_it_hides() -> None:
    assert TOKEN not in repr(Redactor([TOKEN]))


def test_message_arguments_tracebacks_and_stacks_are_covered() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter(Redactor([TOKEN]), logging.Formatter("%(name)s: %(message)s")))
    logger = logging.Logger("wires")
    logger.addHandler(handler)
    try:
        raise ValueError(f"/bot{TOKEN}/getMe")
    except ValueError:
        logger.exception("no answer from %s", {"url": f"/bot{TOKEN}/getMe"}, stack_info=True)
    output = stream.getvalue()
    assert output.startswith("wires: no answer from")
    assert "ValueError: /bot[redacted]/getMe" in output
    assert "Stack (most recent call last)" in output
    assert TOKEN not in output


def test_libraries_that_log_urls_are_kept_quiet() -> None:
    names = ("httpx", "httpcore", "telegram")
    before = {name: logging.getLogger(name).level for name in names}
    try:
        quiet_libraries()
        children = ("httpx", "httpcore.connection", "telegram.Bot", "telegram.ext.Updater")
        assert not any(logging.getLogger(name).isEnabledFor(logging.INFO) for name in children)
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
