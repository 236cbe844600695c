"""How long it takes to know that a model file is as registered: a large one, a small one, remembered or not."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from registry import HashMemory
from registry.artifacts import Artifact, check
from registry.hashing import sha256_file

SMALL, LARGE = 10 << 10, 1 << 30
LOOKS = 2000


def rows(folder: Path, best_s: Callable[[Callable[[], object]], float]) -> list[tuple[str, float, float]]:
    """(what is compared, ours, the other), in s for one check."""
    small, large = model(folder / "small.pkl", SMALL), model(folder / "large.pkl", LARGE)
    memory = HashMemory(wall=lambda: time.time() + 3600)  # as if the files were not just written
    for artifact in (small, large):
        if not check(artifact, memory.sha256).ok:
            raise SystemExit(f"{artifact.path} is not as registered")

    def remembered_s(artifact: Artifact) -> float:
        return best_s(lambda: [check(artifact, memory.sha256) for _ in range(LOOKS)]) / LOOKS

    large_s, small_s = remembered_s(large), remembered_s(small)
    if memory.hashed_files != 2:
        raise SystemExit("a remembered file was hashed")
    return [
        ("checking 1 GB, remembered / 10 KB, remembered", large_s, small_s),
        ("checking 1 GB, remembered / 10 KB, hashed", large_s, best_s(lambda: check(small))),
        ("checking 1 GB, remembered / 1 GB, hashed", large_s, best_s(lambda: check(large))),
    ]


def model(path: Path, size: int) -> Artifact:
    """A file of that size, which takes no room on the disk but for its first page."""
    path.write_bytes(b"model")
    os.truncate(path, size)
    return Artifact("main", path, sha256_file(path))
