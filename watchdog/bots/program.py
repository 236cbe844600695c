"""Other people's programs (`systemctl`, `docker`, ...), each bounded in time and ended with all that it started."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

END_S = 2.0
"""How long a program may take to die of SIGKILL."""


@dataclass(frozen=True)
class Ended:
    """A program that came to its end by itself."""

    code: int
    out: str
    err: str
    """Empty where the two were merged."""


async def run(
    command: Sequence[str],
    environ: Mapping[str, str],
    answer_s: float,
    *,
    directory: Path | None = None,
    merged: bool = False,
) -> Ended:
    """TimeoutError after `answer_s` seconds; any other OSError when it cannot be run. `merged`: both outputs in one."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT if merged else asyncio.subprocess.PIPE,
        env=dict(environ),
        cwd=directory,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(answer_s):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):  # `docker compose` runs compose as a process of its own
                os.killpg(process.pid, signal.SIGKILL)
            # One that waits inside the kernel, or has handed its output on, is left.
            with suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode("utf-8", "replace"), (err or b"").decode("utf-8", "replace"))
