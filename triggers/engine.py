"""All rules together: what the daemon, and anything that replays a history, feeds and asks."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from triggers.hold import Hold
from triggers.records import Record
from triggers.rule import Rule
from triggers.verdict import Verdict


class Engine:
    """The rules of one bot. A rule that raises is told once as broken and stops no other rule; a new deployment
    gives it another chance."""

    def __init__(self, rules: Iterable[Rule], since: datetime, fingerprint: str = "") -> None:
        """`fingerprint` tells these rules and their settings from others: a state of others does not fit."""
        self._fingerprint = fingerprint
        self._rules = {rule.name: rule for rule in rules}
        self._since = since
        self._broken: dict[str, str] = {}
        self._notices: list[tuple[str, str]] = []
        for rule in self._rules.values():
            rule.reset(since)

    @property
    def names(self) -> tuple[str, ...]:
        """The rules that are switched on."""
        return tuple(self._rules)

    def rule(self, name: str) -> Rule | None:
        """One rule itself, without its `for`."""
        found = self._rules.get(name)
        return found.inner if isinstance(found, Hold) else found

    def held(self, name: str) -> float | None:
        """How much of its `for` a rule has been true, as a share; None when it has none, or is not true."""
        found = self._rules.get(name)
        return found.share if isinstance(found, Hold) else None

    def observe(self, record: Record) -> None:
        """Gives the record to every rule, unless it is older than the deployment."""
        if record.at < self._since:
            return
        for name, rule in self._rules.items():
            if name in self._broken:
                continue
            try:
                rule.observe(record)
            except Exception as error:  # noqa: BLE001  (whatever it is, the other rules go on)
                self._breaks(name, error)

    def evaluate(self, now: datetime) -> list[Verdict]:
        """Every rule's verdict, in their order."""
        return [self._verdict(name, rule, now) for name, rule in self._rules.items()]

    def _verdict(self, name: str, rule: Rule, now: datetime) -> Verdict:
        if name not in self._broken:
            try:
                return rule.evaluate(now)
            except Exception as error:  # noqa: BLE001
                self._breaks(name, error)
        return Verdict(
            name, "no_data", None, None, f"the rule is broken and does not judge: {self._broken[name]}"
        )

    def _breaks(self, name: str, error: Exception) -> None:
        self._broken[name] = f"{type(error).__name__}: {error}"
        self._notices.append(
            (f"broken-{name}", f"the rule {name} is broken and does not judge: {self._broken[name]}")
        )

    def reset(self, since: datetime) -> None:
        """A new deployment starts."""
        self._since = since
        self._broken.clear()
        for rule in self._rules.values():
            rule.reset(since)

    def dump(self) -> dict[str, Any]:
        """The state of all rules that are not broken, as JSON."""
        rules = {}
        for name, rule in self._working():
            try:
                rules[name] = rule.dump()
            except Exception as error:  # noqa: BLE001
                self._breaks(name, error)
        return {"fingerprint": self._fingerprint, "rules": rules}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what `dump` gave. ValueError, KeyError or TypeError when it does not fit these rules, or when one
        was broken; all are then as after `reset`, to be fed again."""
        try:
            if state["fingerprint"] != self._fingerprint:
                raise ValueError("the rules were configured otherwise when this state was kept")
            json.dumps(state, allow_nan=False)  # ValueError: no rule keeps what is not finite
            for name, rule in self._rules.items():
                rule.restore(state["rules"][name])
        except (ValueError, KeyError, TypeError):
            self.reset(self._since)
            raise

    def notices(self) -> list[tuple[str, str]]:
        """What the rules have to say besides; each once."""
        told: list[tuple[str, str]] = []
        for name, rule in self._working():
            try:
                told += rule.notices()
            except Exception as error:  # noqa: BLE001
                self._breaks(name, error)
        found, self._notices = self._notices + told, []
        return found

    def _working(self) -> list[tuple[str, Rule]]:
        return [(name, rule) for name, rule in self._rules.items() if name not in self._broken]
