"""Asking compose: `docker compose` (the plugin) or `docker-compose`, whichever is there; and which containers are a
service's.

Compose is told what to do, and never asked how things stand: that the engine itself knows, in one format.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from watchdog.bots.base import BotError, NoAnswerError
from watchdog.bots.container import Container
from watchdog.bots.engine import Engine, Said, run
from watchdog.bots.engine_environment import for_compose

SPELLINGS = (("docker", "compose"), ("docker-compose",))
NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""Files that compose finds by itself; a file of the same name with `.override` in it is then read along."""

CONFIG_S = 30.0
_NAME = re.compile(r"^name:[ \t]*(['\"]?)(.*?)\1[ \t]*(?:#.*)?$", re.M)
_SET = re.compile(r"^(?:export[ \t]+)?COMPOSE_PROJECT_NAME=[ \t]*(['\"]?)(.*?)\1[ \t]*(?:[ \t]#.*)?$", re.M)
_VARIABLE = re.compile(r"^(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=", re.M)
_UNSET = re.compile(r"\bThe \\?\"?(\w+)\\?\"? variable is not set")


@dataclass(frozen=True)
class Service:
    """A service of a compose file. `project` and `env_file` as configured; None = as compose does by itself."""

    file: Path
    name: str
    project: str | None = None
    env_file: Path | None = None

    def project_name(self, environ: Mapping[str, str]) -> str:
        """The name that compose gives the project: of the configuration, the environment, the env file, the compose
        file or its folder. BotError when it cannot be known.

        It is always handed to compose, so that both mean the same containers.
        """
        if found := self.project or environ.get("COMPOSE_PROJECT_NAME"):
            return found
        try:
            if self.env_file is not None or self.variables_file.is_file():
                text = self.variables_file.read_text(encoding="utf-8-sig")
                if (named := _SET.findall(text)) and named[-1][1]:
                    return str(named[-1][1])
            named = _NAME.findall(self.file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise BotError(
                f"which compose project the bot is in cannot be known: {error}. Mend the file and its rights, or set "
                "bot.compose.project."
            ) from error
        if named and "$" in named[-1][1]:
            raise BotError(f"{self.file}: its `name:` has a variable in it. Set bot.compose.project.")
        name = named[-1][1] if named else self.file.parent.resolve().name
        return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-") or "default"

    @property
    def variables_file(self) -> Path:
        """Where compose finds the variables of the compose file, if it is there."""
        return self.env_file or self.file.parent / ".env"

    def variables(self) -> frozenset[str]:
        """The names in that file; none where it cannot be read, of which compose complains itself."""
        try:
            return frozenset(_VARIABLE.findall(self.variables_file.read_text(encoding="utf-8-sig")))
        except (OSError, ValueError):
            return frozenset()

    def files(self) -> list[Path]:
        """What compose reads when it is run by hand in the file's folder: with the file, its `.override`."""
        override = self.file.with_name(f"{self.file.stem}.override{self.file.suffix}")
        return [self.file, override] if self.file.name in NAMES and override.is_file() else [self.file]

    def made(self, container: Container) -> bool:
        """Whether a container of whatever project was made from this very file."""
        wanted = self.file.resolve()
        return any(path.resolve() == wanted for path in container.files)


@dataclass(frozen=True)
class Spelling:
    """How compose is called here."""

    command: Sequence[str]
    version: str

    @property
    def first(self) -> bool:
        """Whether it is compose v1, which ended in 2023 and is still there."""
        return self.version.lstrip("v").startswith("1.")


class Compose:
    """Runs compose for one service of one project."""

    def __init__(
        self, service: Service, project: str, engine: Engine, environ: Mapping[str, str] = os.environ
    ) -> None:
        self.project, self._environ = project, environ
        self._service, self._engine = service, engine
        self._spelling: Spelling | None = None
        self.unset: tuple[str, ...] = ()
        """Variables of the compose file that nothing gave a value, as of the last `config`: they are empty then."""

    async def spelling(self) -> Spelling:
        """The plugin, else the program; looked for until one is found. BotError when there is none."""
        if self._spelling is None:
            self._spelling = await find_spelling(self._engine.answer_s)
        return self._spelling

    async def stop(self, timeout_s: int, answer_s: float) -> Said:
        """Stops the service's containers: SIGTERM (or its own signal), SIGKILL after `timeout_s`. BotError."""
        return await self._run("stop", "--timeout", str(timeout_s), self._service.name, answer_s=answer_s)

    @property
    def prepares_stop(self) -> bool:
        """Whether the compose file has commands run before the bot is told to end (`pre_stop:`, of compose 2.30)."""
        try:
            return any("pre_stop" in path.read_text(encoding="utf-8") for path in self._service.files())
        except (OSError, ValueError):
            return False

    async def start(self, answer_s: float) -> Said:
        """Starts the containers that are there. BotError."""
        return await self._run("start", self._service.name, answer_s=answer_s)

    async def up(self, answer_s: float) -> Said:
        """Makes a container and starts it: no other service, no build, no pull. BotError.

        Compose v1 cannot be kept from pulling an image that is missing: the caller looks for it first.
        """
        no_pull = [] if (await self.spelling()).first else ["--pull", "never"]
        options = ["--detach", "--no-deps", "--no-build", "--no-recreate", *no_pull]
        return await self._run("up", *options, self._service.name, answer_s=answer_s)

    async def config(self) -> dict[str, Any]:
        """What the compose file says of the service, every variable put in: it may hold secrets. BotError."""
        # v2 leaves out what belongs to a profile, but for what is asked for; v1 tells all and takes no name.
        which = [] if (await self.spelling()).first else [self._service.name]
        said = await self._run("config", *which, answer_s=CONFIG_S)
        if said.code:
            raise BotError(f"{self._service.file} cannot be read by compose: {said.why}.")
        self.unset = tuple(dict.fromkeys(_UNSET.findall(said.errors)))
        try:
            services = (yaml.safe_load(said.text) or {})["services"]
        except (yaml.YAMLError, KeyError, TypeError, RecursionError):
            services = None
        if not isinstance(services, dict):
            raise BotError(f"{self._service.file}: compose says nothing of its services.")
        found = services.get(self._service.name)
        if not isinstance(found, dict):
            names = ", ".join(sorted(map(str, services))) or "none"
            raise BotError(
                f"{self._service.file} has no service {self._service.name}; set bot.compose.service to one of: {names}."
            )
        return found

    def image(self, config: Mapping[str, Any]) -> list[str]:
        """The names that the service's image may have: what is built without a name of its own is called after project
        and service, by v1 with another sign in between."""
        if named := config.get("image"):
            return [str(named)]
        return [f"{self.project}-{self._service.name}", f"{self.project}_{self._service.name}"]

    async def _run(self, *arguments: str, answer_s: float) -> Said:
        spelling = await self.spelling()
        env_file = [] if self._service.env_file is None else ["--env-file", str(self._service.env_file)]
        files = [part for path in self._service.files() for part in ("--file", str(path))]
        return await run(
            [*spelling.command, *files, *env_file, "--project-name", self.project, *arguments],
            answer_s,
            directory=self._service.file.parent if self._service.file.parent.is_dir() else None,
            environment=for_compose(self._environ, self._service.variables()),
        )


async def find_spelling(answer_s: float) -> Spelling:
    """The plugin, else the program. BotError when there is none."""
    tried = []
    for command in SPELLINGS:
        try:
            said = await run([*command, "version", "--short"], answer_s)
        except NoAnswerError:  # and the other spelling may be another compose, which makes other containers
            raise NoAnswerError(
                f"`{' '.join(command)} version`, which needs no engine, did not answer within {answer_s:g} s. See what "
                "that program waits for (a network mount, a plugin of docker's), or install it anew."
            ) from None
        except BotError:
            said = Said(127, "", "not found")
        if said.code == 0 and re.match(r"v?\d+\.", said.text):
            return Spelling(command, said.text.strip())
        tried.append(f"`{' '.join(command)}` ({said.why})")
    raise BotError(
        f"there is no compose here: {' and '.join(tried)}. Install one of them (docker-compose-plugin, or Debian's "
        "docker-compose), and let the watchdog's PATH have it."
    )
