"""Coverage-guided fuzzing: `python -m tests.fuzz TARGET|all --seconds N [--seed S] [--together] [--keep FOLDER]`.

Each target runs in a process of its own, with the product instrumented by atheris; `all` shares the seconds out
among them. `--together` puts all into one process, which saves the seconds that instrumenting takes. What is found is
written as files, to be tried again with `python -m tests.fuzz TARGET --once FILE`. Exit code: 0 nothing was found, or
atheris is not there (it says why); 1 something was.
"""

import argparse
import importlib.util
import os
import platform
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parents[2]
RSS_MIB = 2048
"""A target that needs more is a find; instrumented imports and libraries have about 200."""

ONE_INPUT_S = 100
"""By the clock on the wall, of a machine that does other things, too; `target.MOST_CPU_S` is what an input may cost."""

GRACE_S = 300


@dataclass(frozen=True)
class Result:
    """What became of one target. `files`: the inputs that were a find."""

    name: str
    executions: int
    seconds: float
    covered: int
    files: tuple[Path, ...]
    said: str

    def __str__(self) -> str:
        speed = self.executions / self.seconds if self.seconds else 0.0
        line = f"{self.name:<14} {self.executions:>10,} executions, {speed:>8,.0f} a second, {self.covered:>6,} edges"
        return line + (f", FOUND {', '.join(map(str, self.files)) or self.said[-600:]}" if self.bad else "")

    @property
    def bad(self) -> bool:
        """A find, or a fuzzer that did not come to its end."""
        return bool(self.files) or "Done " not in self.said


def why_not() -> str | None:
    """Why there can be no fuzzing here, or None."""
    if importlib.util.find_spec("atheris") is None:
        where = f"Python {platform.python_version()} on {platform.machine()}"
        return f"atheris is not installed ({where}; requirements/dev.txt has it for Python 3.11 on x86_64)"
    return None


def fuzz(names: Sequence[str], seconds: int, seed: int, keep: Path) -> Result:
    """Runs targets in one process; what they find, and the corpus that they make, go into `keep`."""
    name = names[0] if len(names) == 1 else "together"
    corpus, finds, raw = keep / "corpus" / name, keep / "finds", keep / "raw" / name
    for folder in (corpus, finds, raw):
        folder.mkdir(parents=True, exist_ok=True)
    arguments = (
        f"-max_total_time={seconds}", f"-seed={seed}", f"-rss_limit_mb={RSS_MIB}", f"-timeout={ONE_INPUT_S}",
        f"-artifact_prefix={raw}/", "-max_len=8192", "-len_control=0", "-print_final_stats=1", str(corpus),
    )  # fmt: skip
    command = [sys.executable, "-m", "tests.fuzz.instrumented", ",".join(names), *arguments]
    with (keep / f"{name}.log").open("w+", encoding="utf-8", errors="replace") as log:
        with suppress(subprocess.TimeoutExpired):  # what it has said until then tells
            subprocess.run(command, cwd=TOP, stdout=log, stderr=log, timeout=seconds + GRACE_S, check=False)
        log.seek(0)
        said = log.read()
    executed = _number(r"stat::number_of_executed_units: *(\d+)", said) or _number(r"#(\d+)", said)
    files = tuple(_kept(path, names, finds) for path in sorted(raw.iterdir()))
    return Result(name, executed, float(seconds), _number(r"cov: (\d+)", said), files, said)


def _kept(raw: Path, names: Sequence[str], finds: Path) -> Path:
    """A find as the target itself gets it, without the byte that chose the target."""
    data = raw.read_bytes()
    file = finds / names[(data[:1] or b"\0")[0] % len(names)] / raw.name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data[1:])
    return file


def _number(pattern: str, text: str) -> int:
    """The last one that the fuzzer printed so."""
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def once(name: str, file: Path) -> int:
    """One input again, with its traceback; 1 if it is a find."""
    from tests.fuzz.targets import TARGETS

    try:
        TARGETS[name](file.read_bytes())
    except BaseException:  # noqa: BLE001 - whatever it is, it is the answer
        traceback.print_exc()
        return 1
    print(f"{file}: nothing")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("target", help="a name, or `all`; `list` names them")
    parser.add_argument("--seconds", type=int, default=60, help="altogether (default 60)")
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time, and said")
    parser.add_argument("--together", action="store_true", help="all targets in one process")
    parser.add_argument(
        "--keep", type=Path, default=None, help="folder for corpus and finds (default: a new one)"
    )
    parser.add_argument(
        "--once", type=Path, default=None, metavar="FILE", help="this input alone, without atheris"
    )
    options = parser.parse_args(argv)
    from tests.fuzz.targets import TARGETS

    if options.target == "list":
        print("\n".join(TARGETS))
        return 0
    names = list(TARGETS) if options.target == "all" else [options.target]
    if not set(names) <= TARGETS.keys():
        parser.error(f"{options.target}: there is no such target; there are {', '.join(TARGETS)}")
    if options.once is not None:
        return once(names[0], options.once)
    if (reason := why_not()) is not None:
        print(f"skipped: {reason}")
        return 0
    return run(names, options)


def run(names: Sequence[str], options: argparse.Namespace) -> int:
    """Target after target; 1 if one of them found something."""
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(3)) + 1
    keep = options.keep or Path(tempfile.mkdtemp(prefix="fuzzed-"))
    print(f"seed {seed}; corpus and finds in {keep}", flush=True)
    bad = 0
    groups = [list(names)] if options.together else [[name] for name in names]
    for group in groups:
        result = fuzz(group, max(1, options.seconds // len(groups)), seed, keep)
        print(result, flush=True)
        bad += result.bad
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
