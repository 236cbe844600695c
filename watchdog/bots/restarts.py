"""How often an owner has restarted the bot lately, out of a counter of its own that starts anew now and then."""

from collections import deque

LATELY_S = 600.0
"""Restarts within so long are a loop."""


class Restarts:
    """Feeds on the owner's counter; times are monotonic, in s."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def lately(self, now_s: float, count: int) -> int:
        """Restarts within `LATELY_S`, as far as they were seen. A smaller count is a start by hand."""
        if self._seen and count < self._seen[-1][1]:
            self._seen.clear()
        if not self._seen or count != self._seen[-1][1]:
            self._seen.append((now_s, count))
        while len(self._seen) > 1 and now_s - self._seen[0][0] > LATELY_S:
            self._seen.popleft()
        return count - self._seen[0][1]
