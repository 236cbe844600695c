"""The tiny markup of alerts: cleaned, split to what one message holds, and rendered.

A text is plain; its first line is the headline and `backticks` on one line mark code. Telegram counts a
message's length in UTF-16 code units after it has parsed the entities
(https://core.telegram.org/bots/api#sendmessage, https://core.telegram.org/api/entities). Here a text is
measured as it will be *with* escapes and tags, which is never less, and is split before it is escaped, so
that no split can fall into an escape or a tag.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from .alert import Pending, Severity

MESSAGE_UNITS = 4096
_DECORATION_UNITS = 160  # icon, the bold tags, and the last line with times, id and part number
MAX_TEXT = 16_000  # characters; an alert is for reading, the whole story is in the incident's report

_CODE = re.compile(r"`([^`\n]+)`")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # not splitlines(): that also cuts at characters a code span may hold
_ATOM = re.compile(r"`[^`\n]+`|`|[^\s`]+|\s+")
_CODE_TAGS = len("<b></b><code></code>")  # code in a headline also closes and opens the bold again
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they turn the reading direction
    r"\u2028\u2029\ufff9-\ufffb\ud800-\udfff]"  # line ends, annotations, halves of characters
)


@dataclass(frozen=True)
class Part:
    """One message: text in our markup, and whether its first line is the alert's headline."""

    text: str
    severity: Severity
    headline: bool = True


def clean(text: str) -> str:
    """The text as it can be stored, sent and shown: no lone surrogates (from undecodable log lines), no control
    characters, nothing that makes it read otherwise than it is, not empty, not endless."""
    text = _UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}\n(shortened: {len(text) - MAX_TEXT} more characters)"
    return text if text.strip() else "(an alert without text)"


def utf16_len(text: str) -> int:
    """Length in UTF-16 code units, the unit of Telegram's limits."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cost(text: str) -> int:
    """Upper bound, in UTF-16 code units, of what the text takes in a message, its escapes and tags
    included."""
    return utf16_len(html.escape(text, quote=False)) + _CODE_TAGS * len(_CODE.findall(text))


def split(text: str, limit: int = MESSAGE_UNITS - _DECORATION_UNITS) -> list[str]:
    """Cut a text into parts that cost at most `limit` each; joined they are the text again.

    Cuts are at line ends where possible, then between words, and inside a code span or a word only where that
    alone is over the limit. `limit` must hold one character and a pair of tags (32 units).
    """
    parts: list[str] = []
    current, used = "", 0
    for piece in _pieces(text, limit):
        # A piece with a backtick may make another span of one that was left open before it: count anew.
        longer = cost(current + piece) if "`" in piece else used + cost(piece)
        if longer > limit and current:
            parts.append(current)
            current, longer = "", cost(piece)
        current, used = current + piece, longer
    return [*parts, current] if current or not parts else parts


def _pieces(text: str, limit: int) -> Iterator[str]:
    """The text as lines, a line that is too long as words and code spans, and these, if need be, as
    slices."""
    for line in _LINE.findall(text):
        if cost(line) <= limit:
            yield line
            continue
        for atom in _ATOM.findall(line):
            if cost(atom) <= limit:
                yield atom
            else:
                yield from _slices(atom, limit)


def _slices(atom: str, limit: int) -> Iterator[str]:
    limit -= _CODE_TAGS  # so that a code span which is over the limit by its tags alone is cut as well
    start, used = 0, 0
    for index, character in enumerate(atom):
        needed = cost(character)
        if used + needed > limit:
            yield atom[start:index]
            start, used = index, 0
        used += needed
    yield atom[start:]


def parts(alert: Pending, icon: str = "") -> list[Part]:
    """The messages of an alert, each ending in a line with its time and `#id`, so that one that comes twice
    or late can be told from a new one. The same alert always gives the same parts."""
    pieces = split(headed(alert.text, alert.count))
    messages = []
    for number, piece in enumerate(pieces, start=1):
        place = f" ({number}/{len(pieces)})" if len(pieces) > 1 else ""
        lead = f"{icon} " if icon and number == 1 else ""
        body = f"{lead}{piece.rstrip()}\n{tag(alert)}{place}"
        messages.append(Part(body, alert.severity, headline=number == 1))
    return messages


def headed(text: str, count: int) -> str:
    """The text with the number of alerts it stands for behind the headline, if that is more than one."""
    if count == 1:
        return text
    headline, newline, rest = text.partition("\n")
    return f"{headline} ({count} times){newline}{rest}"


def tag(alert: Pending) -> str:
    """The last line of a message: when it happened (UTC) and which alert it is."""
    number = f"#{alert.id}" if alert.id else "(not on disk: the state folder cannot be written)"
    last = alert.last_at
    if alert.count == 1:
        return f"{_stamp(last)} UTC · {number}"
    end = f"{last:%H:%M:%S}" if last.date() == alert.first_at.date() else _stamp(last)
    return f"{_stamp(alert.first_at)} to {end} UTC · {number}"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def to_html(part: Part) -> str:
    """Telegram's HTML: headline bold, code as <code>, all else escaped. Bold and code are never nested:
    Telegram does not combine them."""
    headline, newline, rest = part.text.partition("\n") if part.headline else ("", "", part.text)
    return _inline(headline, "<b>", "</b>") + newline + _inline(rest)


def _inline(text: str, opening: str = "", closing: str = "") -> str:
    pieces = _CODE.split(text)  # outside, inside, outside, ...
    for index, piece in enumerate(pieces):
        escaped = html.escape(piece, quote=False)
        if index % 2:
            pieces[index] = f"<code>{escaped}</code>"
        else:
            pieces[index] = f"{opening}{escaped}{closing}" if piece else ""
    return "".join(pieces)


def to_plain(part: Part) -> str:
    """The text without the marks of our markup."""
    return _CODE.sub(r"\1", part.text)
