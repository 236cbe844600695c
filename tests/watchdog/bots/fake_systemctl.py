"""A `systemctl` that says what a test has laid down: for refusals and properties that no systemd shows on demand."""

from collections.abc import Mapping
from pathlib import Path

from watchdog.bots.systemctl import Scope, Systemctl

# The verb is the first word that is no option. What it is to say lies in files named after it.
SCRIPT = """#!/bin/sh
cd "${0%/*}"
echo "$*" >>calls
env >>environment
for word; do case $word in -*) ;; *) verb=$word; break ;; esac; done
[ -f "$verb.hangs" ] && exec sleep 1000
[ -f "$verb.does" ] && . "./$verb.does"
cat "$verb.out" 2>/dev/null
cat "$verb.err" >&2 2>/dev/null
exit "$(cat "$verb.code" 2>/dev/null || echo 0)"
"""

UP = {
    "Id": "bot.service",
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "MainPID": "0",
    "ControlGroup": "",
    "InvocationID": "18205a35f0f64ddeb80ac3b9cb83941d",
    "NRestarts": "0",
    "Restart": "no",
    "ExecMainPID": "0",
    "ExecMainCode": "0",
    "ExecMainStatus": "0",
    "InactiveExitTimestamp": "Mon 2026-11-23 15:02:18 UTC",
    "ConditionResult": "yes",
    "ConditionTimestamp": "Mon 2026-11-23 15:02:18 UTC",
}
DOWN = UP | {"ActiveState": "inactive", "SubState": "dead", "InvocationID": ""}


class FakeSystemctl:
    """In `folder`, as a program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "fake"
        self.folder.mkdir()
        self.program = self.folder / "systemctl"
        self.program.write_text(SCRIPT)
        self.program.chmod(0o755)

    def says(self, verb: str, out: str = "", err: str = "", code: int = 0) -> None:
        """What it answers from now on."""
        for suffix, text in (("out", out), ("err", err), ("code", str(code))):
            (self.folder / f"{verb}.{suffix}").write_text(text)

    def shows(self, *units: Mapping[str, str]) -> None:
        """What `show` answers from now on."""
        self.says("show", "\n".join("".join(f"{k}={v}\n" for k, v in unit.items()) for unit in units))

    def does(self, verb: str, *script: str, shows: Mapping[str, str] | None = None) -> None:
        """What it does from now on before it answers, in the shell; and what `show` answers after that."""
        lines = list(script)
        if shows is not None:
            (self.folder / f"{verb}.then").write_text("".join(f"{k}={v}\n" for k, v in shows.items()))
            lines.append(
                f"cp {verb}.then {verb}.now && mv {verb}.now show.out"
            )  # whole for who asks meanwhile
        (self.folder / f"{verb}.does").write_text("".join(f"{line}\n" for line in lines))

    def hangs(self, verb: str) -> None:
        """It never answers to this."""
        (self.folder / f"{verb}.hangs").touch()

    @property
    def calls(self) -> list[str]:
        """The command lines, without the program."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def environment(self) -> list[str]:
        """What it was given."""
        return (self.folder / "environment").read_text().splitlines()

    def client(self, scope: Scope = "system", answer_s: float = 10.0) -> Systemctl:
        """The product's own way to it."""
        return Systemctl(scope, (str(self.program),), answer_s)
