"""The Bot API server that the other tests trust refuses what Telegram refuses."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.fakes.telegram import TOKEN, TelegramServer
from tests.fakes.telegram_html import CannotParse, parse_html


@pytest.fixture
def server() -> Iterator[TelegramServer]:
    with TelegramServer(chats=[5, "@on_call"]) as server:
        yield server


def call(
    server: TelegramServer, method: str = "sendMessage", token: str = TOKEN, **fields: Any
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=5)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        connection.request("POST", f"/bot{token}/{method}", urlencode(fields), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_a_good_message_is_recorded(server: TelegramServer) -> None:
    status, answer = call(
        server, chat_id=5, text="a &lt; <b>b</b>", parse_mode="HTML", disable_notification="true"
    )
    assert (status, answer["ok"], answer["result"]["message_id"]) == (200, True, 1)
    [message] = server.messages
    assert (message["plain"], message["chat_id"], message["silent"]) == ("a < b", 5, True)
    assert server.calls == [("sendMessage", "ok")]


def test_json_is_taken_as_well(server: TelegramServer) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=5)
    body = json.dumps({"chat_id": "@on_call", "text": "hello"})
    connection.request("POST", f"/bot{TOKEN}/sendMessage", body, {"Content-Type": "application/json"})
    assert connection.getresponse().status == 200
    connection.close()
    assert server.messages[0]["chat_id"] == "@on_call"


@pytest.mark.parametrize(
    "text", ["<b>", "</b>", "<b><i></b></i>", "<div>x</div>", "a < b", "<", "<b>x</i>", "<>x</>", "x <3"]
)
def test_html_that_telegram_does_not_take_is_refused(server: TelegramServer, text: str) -> None:
    status, answer = call(server, chat_id=5, text=text, parse_mode="HTML")
    assert status == 400
    assert "can't parse entities" in answer["description"]
    assert server.messages == []


@pytest.mark.parametrize(
    ("text", "shown"), [("<b>x</b>", "x"), ("<b><i>x</i></b>", "x"), ("a &amp; b > c", "a & b > c"), ("", "")]
)
def test_html_is_shown_as_people_see_it(text: str, shown: str) -> None:
    assert parse_html(text) == shown


def test_errors_of_html_name_the_byte_offset() -> None:
    with pytest.raises(CannotParse, match='Unsupported start tag "x" at byte offset 4'):
        parse_html("🚨<x>")


@pytest.mark.parametrize(
    ("fields", "status", "description"),
    [
        ({"chat_id": 6, "text": "hello"}, 400, "chat not found"),
        ({"chat_id": 5, "text": "  \n"}, 400, "message text is empty"),
        ({"chat_id": 5}, 400, "message text is empty"),
        ({"chat_id": 5, "text": "x" * 4097}, 400, "message is too long"),
        ({"chat_id": 5, "text": "🚨" * 2049}, 400, "message is too long"),
    ],
)
def test_what_telegram_refuses_is_refused(
    server: TelegramServer, fields: dict[str, Any], status: int, description: str
) -> None:
    answered, answer = call(server, **fields)
    assert (answered, description in answer["description"]) == (status, True)
    assert server.messages == []


def test_tags_do_not_count_towards_the_length(server: TelegramServer) -> None:
    assert call(server, chat_id=5, text=f"<b>{'&lt;' * 4096}</b>", parse_mode="HTML")[0] == 200


@pytest.mark.parametrize(("token", "status"), [("999:other", 401), ("nonsense", 404)])
def test_a_wrong_token_is_refused(server: TelegramServer, token: str, status: int) -> None:
    assert call(server, "getMe", token)[0] == status


def test_faults_come_in_the_order_they_were_asked_for(server: TelegramServer) -> None:
    server.fail_next("flood", retry_after=3)
    server.fail_next("server_error", times=2)
    answers = [call(server, chat_id=5, text="x") for _ in range(4)]
    assert [status for status, _ in answers] == [429, 500, 500, 200]
    assert answers[0][1]["parameters"] == {"retry_after": 3}


def test_faults_of_one_method_spare_the_others_and_can_be_healed(server: TelegramServer) -> None:
    server.fail_always("kicked")
    assert call(server, "getMe")[0] == 200
    assert [call(server, chat_id=5, text="x")[0] for _ in range(3)] == [403] * 3
    server.heal()
    assert call(server, chat_id=5, text="x")[0] == 200


def test_a_moved_chat_stays_moved(server: TelegramServer) -> None:
    server.fail_next("moved", chat_id=-77)
    for _ in range(2):
        status, answer = call(server, chat_id=5, text="x")
        assert (status, answer["parameters"]) == (400, {"migrate_to_chat_id": -77})
    assert call(server, chat_id=-77, text="x")[0] == 200


def test_waiting_in_vain_says_what_there_was(server: TelegramServer) -> None:
    call(server, chat_id=5, text="only this")
    with pytest.raises(AssertionError, match=r"no 2 messages in 0\.05 s.*only this"):
        server.wait_for(2, timeout_s=0.05)
