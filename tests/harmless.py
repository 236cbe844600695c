"""What may stand in a text that people read, by Unicode's own tables: a judge that shares nothing with the product."""

import unicodedata

TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MARKS = "\u200e\u200f\u061c"


def is_harmless(text: str, beside: str = "") -> bool:
    """No control character, no half of one, no line end, nothing that turns the reading direction; but `beside`."""
    return all(sign in beside or _is_harmless(sign) for sign in set(text))


def _is_harmless(sign: str) -> bool:
    if sign in MARKS or unicodedata.bidirectional(sign) in TURNS:
        return False
    return unicodedata.category(sign) not in {"Cc", "Cs", "Zl", "Zp"}
