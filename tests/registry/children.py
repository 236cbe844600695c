"""What runs as a process of its own, to be killed or to get in the way: `python -m tests.registry.children WHAT`."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from registry import ModelRegistry
from tests.registry.faults import before_each_change
from tests.registry.shop import LINKS


def kill_at_steps(folder: Path) -> None:
    """For each line "STEP rollback" or "STEP VERSION": a fork that does so, and is killed before that step."""
    registry = ModelRegistry(folder, LINKS)

    def change(step: int, do: str) -> None:
        def act(number: int) -> None:
            if number == step:
                os.kill(os.getpid(), signal.SIGKILL)

        with before_each_change(folder, act):
            if do == "rollback":
                registry.rollback()
            else:
                registry.promote_model(do)

    for line in sys.stdin:
        step, do = line.split()
        child = os.fork()
        if child == 0:
            change(int(step), do)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print({0: "survived", -signal.SIGKILL: "killed"}.get(code, code), flush=True)


def switch(folder: Path, times: str) -> None:
    """Switches between v1 and v2, and says when it begins."""
    registry = ModelRegistry(folder, LINKS)
    print("begins", flush=True)
    for _ in range(int(times)):
        registry.promote_model("v2", {})
        registry.rollback("v1")


def roll_back_on_a_sign(folder: Path) -> None:
    registry = ModelRegistry(folder, LINKS)
    print("ready", flush=True)
    sys.stdin.readline()
    print(registry.rollback())


def write_in_place(folder: Path, times: str) -> None:
    """The field's writer: no lock, json.dump's way into the file itself, and now and then slow about it."""
    rng, path = random.Random(int(times)), folder / "registry.json"
    print("begins", flush=True)
    for _ in range(int(times)):
        data = json.loads(path.read_text())
        data["theirs"] = data.get("theirs", 0) + 1
        text = json.dumps(data)
        with path.open("w") as file:
            file.write(text[: len(text) // 2])
            file.flush()
            time.sleep(rng.uniform(0, 0.004))
            file.write(text[len(text) // 2 :])
        time.sleep(rng.uniform(0.002, 0.02))


if __name__ == "__main__":
    what = {
        function.__name__: function
        for function in (kill_at_steps, switch, roll_back_on_a_sign, write_in_place)
    }
    what[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
