"""HTML as Telegram parses it in messages: strict about tags, forgiving about entities.

Follows https://core.telegram.org/bots/api#html-style; the error texts are those of the Bot API.
"""

import html
import re

TAGS = {
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "a",
    "code",
    "pre",
    "blockquote",
    "tg-spoiler",
}
_TAG = re.compile(r"<(/?)([^\s<>/]*)([^<>]*)>")


class CannotParse(Exception):
    """The text is not what Telegram takes as HTML."""


def parse_html(text: str) -> str:
    """The text as people see it. Raises CannotParse."""
    shown: list[str] = []
    open_tags: list[str] = []
    place = 0
    while (start := text.find("<", place)) >= 0:
        shown.append(html.unescape(text[place:start]))
        offset = len(text[:start].encode("utf-8"))
        match = _TAG.match(text, start)
        if match is None:
            raise CannotParse(f"Unclosed start tag at byte offset {offset}")
        closing, name = match[1], match[2].lower()
        if closing:
            if not open_tags:
                raise CannotParse(f"Unexpected end tag at byte offset {offset}")
            if name not in ("", open_tags[-1]):
                expected = f'expected "</{open_tags[-1]}>", found "</{name}>"'
                raise CannotParse(f"Unmatched end tag at byte offset {offset}, {expected}")
            open_tags.pop()
        elif name not in TAGS:
            raise CannotParse(f'Unsupported start tag "{name}" at byte offset {offset}')
        else:
            open_tags.append(name)
        place = match.end()
    if open_tags:
        offset = len(text.encode("utf-8"))
        raise CannotParse(
            f'Can\'t find end tag corresponding to start tag "{open_tags[-1]}" at byte offset {offset}'
        )
    shown.append(html.unescape(text[place:]))
    return "".join(shown)
