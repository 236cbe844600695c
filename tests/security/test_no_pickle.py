"""No pickle is ever loaded by the watchdog: a model file is bytes with a hash, and no more.

Who can write a model file runs code in the bot, which loads it; never in the watchdog, which may have more rights.
"""

import ast
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.bombs import MARKER, bomb, bombs

TOP = Path(__file__).parents[2]
PACKAGES = ("config", "triggers", "registry", "notifier", "watchdog", "scripts")
LOADERS = frozenset({
    "pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "torch", "shelve", "marshal", "numpy", "pandas",
    "sklearn", "xgboost", "lightgbm", "tensorflow", "keras", "onnxruntime", "multiprocessing", "jsonpickle", "ctypes",
    "runpy",
})  # fmt: skip
"""Modules that run what a file holds, or load what others wrote in a way that may."""

DANGEROUS = frozenset({"eval", "exec", "__import__", "compile"})
UNSAFE_YAML = frozenset({"Loader", "FullLoader", "UnsafeLoader", "CLoader", "CFullLoader", "CUnsafeLoader"})
MODULES = sorted(path for package in PACKAGES for path in (TOP / package).rglob("*.py"))


def faults(source: str) -> Iterator[str]:
    """What a module must not hold."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (f"import {a.name}" for a in node.names if a.name.partition(".")[0] in LOADERS)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] in LOADERS:
                yield f"from {node.module} import"
        elif isinstance(node, ast.Call):
            yield from _calls(node)
        elif isinstance(node, ast.Attribute) and _of(node.value) == "yaml" and node.attr in UNSAFE_YAML:
            yield f"yaml.{node.attr}"


def _calls(node: ast.Call) -> Iterator[str]:
    name = node.func.id if isinstance(node.func, ast.Name) else None
    if name in DANGEROUS:
        yield f"{name}()"
    if isinstance(node.func, ast.Attribute):
        called = f"{_of(node.func.value)}.{node.func.attr}"
        if called in {"yaml.full_load", "yaml.unsafe_load", "os.system", "os.popen"}:
            yield f"{called}()"
        if called == "importlib.import_module":
            argument = node.args[0] if node.args else None
            if not isinstance(argument, ast.Constant) or str(argument.value).partition(".")[0] in LOADERS:
                yield f"{called}({ast.unparse(argument) if argument else ''})"
    if any(
        k.arg == "shell" and not (isinstance(k.value, ast.Constant) and not k.value.value)
        for k in node.keywords
    ):
        yield "shell="


def _of(value: ast.expr) -> str:
    return value.id if isinstance(value, ast.Name) else ""


def test_no_module_imports_what_loads_code_or_runs_it() -> None:
    found = {str(path.relative_to(TOP)): list(faults(path.read_text(encoding="utf-8"))) for path in MODULES}
    assert len(found) > 50
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "source",
    """\
import pickle
def f(): import joblib.numpy_pickle
from torch import load
importlib.import_module('dill')
importlib.import_module(name)
__import__('pickle')
eval('1')
yaml.load(x, yaml.UnsafeLoader)
yaml.load(x, Loader=yaml.FullLoader)
yaml.full_load(x)
subprocess.run(x, shell=True)
os.system(x)""".splitlines(),
)
def test_the_search_sees_what_it_must_see(source: str) -> None:
    assert list(faults(source))


@pytest.mark.parametrize(
    "source", ["import json", "re.compile('x')", "yaml.load(x, yaml.BaseLoader)", "run(shell=False)"]
)
def test_the_search_leaves_alone_what_is_harmless(source: str) -> None:
    assert list(faults(source)) == []


def test_the_bombs_are_live(tmp_path: Path) -> None:
    """Otherwise nothing would be proved by their not going off."""
    marker = tmp_path / MARKER
    assert set(bombs(marker)) == {"ensemble.pkl", "rl_agent.joblib", "net.pt", "scaler.npy"}
    pickle.loads(bomb(marker)).close()
    assert marker.exists()


def test_no_bomb_goes_off_in_registering_checking_and_a_whole_rollback(tmp_path: Path) -> None:
    top = tmp_path / "bot"
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.bombs", str(top)], cwd=TOP, capture_output=True, text=True, timeout=100,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    life = json.loads(done.stdout)
    said = life["said"]
    assert life["noted"] == []
    assert not (top / MARKER).exists()
    # The bombs were there all along, were hashed, and were what the bot was started on.
    assert life["current"] == "v3.0.0"
    assert "4 files verified" in said["check"]
    assert said["rollback"].startswith("0 "), said["rollback"]
    assert "v3.0.0" in said["rollback"]
    assert said["verify"] == "True"
    assert sorted(path.name for path in (top / "models_saved").glob("v3.0.0-*")) == [
        f"v3.0.0-{name}" for name in sorted(bombs(top))
    ]
