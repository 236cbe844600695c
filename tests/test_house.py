"""The house itself: which package may import which, how long a module may be, and docs that name only what exists."""

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
import yaml
from pydantic import BaseModel

from config import Settings
from watchdog.cli import app

TOP = Path(__file__).parents[1]
PACKAGES = ("config", "triggers", "registry", "notifier", "watchdog", "demo", "scripts")
INDEPENDENT = {"config", "triggers", "registry", "notifier"}
DOCS = sorted([TOP / "README.md", TOP / "CHANGELOG.md", *(TOP / "docs").rglob("*.md")])
LONG = 300
WHY = re.compile(r"\b(long|one file)\b", re.IGNORECASE)
"""How a docstring owns up to it: "Long, because ..."."""

NOT_OURS = {"restart"}
"""Settings of others (a compose file's) that the docs speak of."""

MODULES = sorted(path for package in PACKAGES for path in (TOP / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(TOP))


def imports(path: Path) -> Iterator[str]:
    """The first part of every absolute import, also of those inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]


def level_outside(path: Path) -> bool:
    """Whether a relative import leaves the package."""
    depth = len(path.relative_to(TOP).parts) - 1
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return any(isinstance(node, ast.ImportFrom) and node.level > depth for node in nodes)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    """`watchdog` imports the four, these import neither `watchdog` nor each other, and nothing imports the tests."""
    forbidden = {"tests"}
    if package in INDEPENDENT:
        forbidden |= {"watchdog", "demo", "scripts", *INDEPENDENT} - {package}
    for path in (TOP / package).rglob("*.py"):
        assert not set(imports(path)) & forbidden, name_of(path)
        assert not level_outside(path), name_of(path)


def test_the_check_of_imports_sees_what_it_must_see(tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text("import os.path\ndef f():\n    from watchdog.cli import app\n", encoding="utf-8")
    assert set(imports(path)) == {"os", "watchdog"}


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def test_a_long_module_says_why() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    long = {name_of(path): lines for path, lines in lengths.items() if lines > LONG}
    assert {name: lines for name, lines in long.items() if not WHY.search(docstring(TOP / name))} == {}


def test_every_module_says_what_it_is_for() -> None:
    assert [name_of(p) for p in MODULES if p.read_text(encoding="utf-8").strip() and not docstring(p)] == []


def test_systemd_is_no_package() -> None:
    assert not list((TOP / "systemd").rglob("__init__.py"))
    assert {path.suffix for path in (TOP / "systemd").iterdir()} == {".conf", ".rules", ".service"}


def test_the_distribution_holds_every_package() -> None:
    listed = set(tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    shipped = {path.parent for path in MODULES if path.name == "__init__.py" and "scripts" not in path.parts}
    assert listed == {".".join(folder.relative_to(TOP).parts) for folder in shipped}


def test_what_the_readme_tells_newcomers_to_make_exists() -> None:
    makefile = (TOP / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert {"demo", "test", "lint", "bench", "coverage"} <= targets
    named = set(re.findall(r"^make (\w+)", "\n".join(code(TOP / "README.md")), re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_the_script_of_the_checks_can_be_run() -> None:
    script = TOP / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


# -- docs


def code(path: Path) -> Iterator[str]:
    """Every fenced block and every `span` of a text."""
    text = path.read_text(encoding="utf-8")
    fence = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
    yield from fence.findall(text)
    yield from (span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", fence.sub("", text)))


COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_every_command_in_the_docs_is_a_real_one(path: Path) -> None:
    for text in code(path):
        for command, rest in re.findall(r"\bmodel-watchdog[ \t]+([a-z]\w*)([^\n|`#]*)", text):
            assert command in COMMANDS, text
            known = {option for param in COMMANDS[command].params for option in param.opts} | {"--help"}
            assert set(re.findall(r"--[a-z-]+", rest)) <= known, text


def test_every_command_is_in_the_contracts() -> None:
    spans = " ".join(code(TOP / "docs" / "contracts.md"))
    assert COMMANDS.keys() <= set(re.findall(r"[a-z]+", spans))


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted keys of watchdog.yaml."""
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        yield key
        for option in (field.annotation, *get_args(field.annotation)):
            if isinstance(option, type) and issubclass(option, BaseModel):
                yield from keys(option, f"{key}.")


KEYS = set(keys(Settings))
SECTIONS = {key for key in KEYS if "." not in key}
FREE = {"registry.links"}
"""What stands below is the operator's."""


def written(found: Any, prefix: str = "") -> Iterator[str]:
    """The dotted keys of some YAML."""
    if isinstance(found, dict) and prefix.rstrip(".") not in FREE:
        for name, value in found.items():
            yield f"{prefix}{name}"
            yield from written(value, f"{prefix}{name}.")


def status_keys() -> set[str]:
    """The dotted keys of `status --json`, which the docs speak of as well."""
    blocks = re.findall(
        r"^```json\n(.*?)^```", (TOP / "docs" / "contracts.md").read_text(), re.MULTILINE | re.DOTALL
    )
    return set(written(json.loads(next(block for block in blocks if '"last_tick"' in block))))


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_every_key_of_the_configuration_in_the_docs_exists(path: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for block in map(yaml.safe_load, blocks):
        assert "services" in block or set(written(block)) <= KEYS, block  # a compose file is the operator's
    last = {key.rpartition(".")[2] for key in KEYS}
    for span in code(path):
        dotted = re.fullmatch(r"([a-z_]+)((?:\.[a-z_]+)+)(?:: .*)?", span)
        if dotted and dotted[1] in SECTIONS and not dotted[2].startswith(".json"):
            assert dotted[1] + dotted[2] in KEYS | status_keys(), span
        setting = re.fullmatch(r"([a-z_]+): [^{}\n]+", span)
        if setting:
            assert setting[1] in last | NOT_OURS, span


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def anchors(path: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_every_file_of_ours_in_the_docs_is_there(path: Path) -> None:
    for text in code(path):
        for name in re.findall(
            r"(?<![\w/.-])((?:scripts|systemd|requirements|config|docs)/[\w./@-]+\w)", text
        ):
            assert (TOP / name).exists(), name


def test_the_decisions_are_numbered_and_listed() -> None:
    folder = TOP / "docs" / "decisions"
    found = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [name[:4] for name in found] == [f"{number:04d}" for number in range(1, len(found) + 1)]
    listed = re.findall(r"\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert listed == found
    for name in found:
        text = (folder / name).read_text(encoding="utf-8")
        for part in (f"# {name[:4]} ", "**Decided.**", "**Why.**", "**Rejected.**"):
            assert part in text, f"{name}: {part}"
        assert len(text.split()) < 400, f"{name} is longer than half a page"


def test_the_changelog_begins_with_the_version_that_is_built() -> None:
    version = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"]
    heads = re.findall(r"^## (.+)$", (TOP / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heads[0] == version
