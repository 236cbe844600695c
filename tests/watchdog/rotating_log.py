"""A log of numbered lines, with the moves of the bot that writes it and of what rotates it."""

import gzip
import os
import shutil
from pathlib import Path

from watchdog.follow import Follower


def drain(follower: Follower) -> list[str]:
    """All there is to read now. Bounded, so that a follower that runs in circles fails."""
    lines: list[str] = []
    for _ in range(200):
        lines += [line.decode("utf-8", "replace") for line in follower.read()]
        if follower.caught_up:
            return lines
    raise AssertionError(f"never caught up: {follower.place}, {follower.trouble}")


class RotatingLog:
    """A log with the moves of its bot and of logrotate. `n` numbers the lines: none equals another."""

    def __init__(self, folder: Path, dated: bool = False) -> None:
        self.path = folder / "trades.jsonl"
        self.dated = dated
        self.rotations = 0
        self.n = 0

    def line(self) -> str:
        self.n += 1
        return f"{self.n:05d}:{'x' * (self.n * 7 % 50)}:{self.n:05d}"

    def write(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)

    def append(self, count: int = 1) -> list[str]:
        lines = [self.line() for _ in range(count)]
        self.write("".join(line + "\n" for line in lines))
        return lines

    def _aside(self) -> Path:
        """The name for the next rotated file, with the older ones moved on; its time goes on by a second."""
        self.rotations += 1
        if self.dated:
            return self.path.with_name(f"{self.path.name}-2026{self.rotations:04d}")
        for number in range(self.rotations, 0, -1):
            for end in ("", ".gz"):
                old = self.path.with_name(f"{self.path.name}.{number}{end}")
                if old.exists():
                    old.rename(self.path.with_name(f"{self.path.name}.{number + 1}{end}"))
        return self.path.with_name(f"{self.path.name}.1")

    def rename(self, create: bool = False) -> Path:
        aside = self._aside()
        self.path.rename(aside)
        if create:
            self.path.touch()
        return aside

    def copytruncate(self) -> Path:
        aside = self._aside()
        shutil.copyfile(self.path, aside)
        os.truncate(self.path, 0)
        return aside

    @staticmethod
    def compress(path: Path) -> Path:
        target = path.with_name(path.name + ".gz")
        target.write_bytes(gzip.compress(path.read_bytes()))
        status = path.stat()
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        path.unlink()
        return target
