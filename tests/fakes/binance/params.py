"""Parameters of a request as the API reads them, and its ways of writing numbers."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal

from .errors import ApiError, illegal, missing, not_valid

NUMBER = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
INTEGER = r"^[0-9]{1,20}$"
CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
ZERO = Decimal(0)


class Params:
    """What was sent, by name; an empty value counts as not sent."""

    def __init__(self, sent: Mapping[str, str]) -> None:
        self.sent = {name: value for name, value in sent.items() if value != ""}

    def __contains__(self, name: str) -> bool:
        return name in self.sent

    def text(self, name: str) -> str:
        if name not in self.sent:
            raise missing(name)
        return self.sent[name]

    def choice(self, name: str, among: Collection[str], wrong: ApiError, default: str | None = None) -> str:
        value = self.text(name) if default is None else self.sent.get(name, default)
        if value not in among:
            raise wrong
        return value

    def number(self, name: str) -> Decimal | None:
        """A quantity or price: a fixed decimal, so that "1e-05" is refused as it really is."""
        if name not in self.sent:
            return None
        if re.fullmatch(NUMBER, self.sent[name]) is None:
            raise illegal(name, NUMBER)
        return Decimal(self.sent[name])

    def integer(self, name: str) -> int | None:
        if name not in self.sent:
            return None
        if re.fullmatch(INTEGER, self.sent[name]) is None:
            raise illegal(name, INTEGER)
        return int(self.sent[name])

    def flag(self, name: str) -> bool:
        value = self.sent.get(name, "false")
        if value not in ("true", "false"):
            raise not_valid(name)
        return value == "true"

    def client_id(self, name: str) -> str | None:
        value = self.sent.get(name)
        if value is not None and re.fullmatch(CLIENT_ID, value) is None:
            if len(value) > 36:
                raise ApiError(-4015, "Client order id is not valid.")
            raise illegal(name, CLIENT_ID)
        return value


def places(step: Decimal) -> int:
    """How many decimals a step size has: 2 for 0.01, 0 for 1."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def fixed(number: Decimal, decimals: int) -> str:
    """A number as the API writes it: always fixed, never with an exponent or a negative zero."""
    return f"{number.quantize(Decimal(1).scaleb(-decimals)) + ZERO:f}"
