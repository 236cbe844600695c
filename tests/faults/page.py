"""Writes the table of the fault matrix into docs/reliability.md, between its two marks."""

from collections.abc import Sequence
from pathlib import Path

from tests.faults.matrix import MATRIX
from tests.faults.play import Result

BEGIN, END = "<!-- the matrix: written by `make faults WRITE=1` -->", "<!-- end of the matrix -->"


def write_page(path: Path, results: Sequence[Result], seed: int) -> None:
    """Puts the table of these results in place of the one that is there. ValueError without the marks."""
    before, mark, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{path}: the marks {BEGIN} and {END} are missing")
    path.write_text(f"{before}{BEGIN}\n\n{table(results, seed)}\n{END}{after}", encoding="utf-8")


def table(results: Sequence[Result], seed: int) -> str:
    """Markdown; one row a fault."""
    lines = [
        f"Seed {seed}: {len(results)} lives, {sum(not r.problems for r in results)} held.",
        "",
        "| fault | strikes at | lives | ended | held |",
        "|---|---|---|---|---|",
    ]
    for fault in MATRIX:
        own = [result for result in results if result.life.fault is fault]
        if own:
            steps = list(dict.fromkeys(point.partition(":")[0] for point in fault.points))
            where = ", ".join(f"`{step}`" for step in steps) or "the whole life"
            ended = ", ".join(sorted({result.outcome for result in own}))
            held = sum(not result.problems for result in own)
            lines.append(f"| {fault.name} | {where} | {len(own)} | {ended} | {held} |")
    return "\n".join([*lines, ""])
