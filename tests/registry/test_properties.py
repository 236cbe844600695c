"""Random lives of a registry against an independent account of who was current, who is barred and who is whole."""

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from registry import ModelRegistry, RegistryError
from registry.history import current_before, rolled_back_from
from registry.view import RegistryView
from tests.registry.shop import LINKS, add, damage, edit, main_file, model_bytes

VERSIONS = st.sampled_from([f"v{number}" for number in range(6)])


class Life(RuleBasedStateMachine):
    """`timeline` is the sequence of current versions, newest last; nothing here looks into a history."""

    @initialize(linked=st.booleans())
    def begin(self, linked: bool) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.registry = ModelRegistry(self.folder, LINKS if linked else None)
        self.linked = linked
        self.registered: set[str] = set()
        self.whole: set[str] = set()
        self.barred: set[str] = set()
        self.timeline: list[str] = []

    @property
    def current(self) -> str | None:
        return self.timeline[-1] if self.timeline else None

    def newest_good(self, exclude: frozenset[str] = frozenset()) -> str | None:
        for version in reversed(self.timeline):
            if version != self.current and version in self.whole - self.barred - exclude:
                return version
        return None

    @rule(version=VERSIONS)
    def register(self, version: str) -> None:
        if version in self.registered:
            return
        add(self.registry, version)
        self.registered.add(version)
        self.whole.add(version)

    @rule(version=VERSIONS)
    def promote(self, version: str) -> None:
        if version in self.whole:
            self.registry.promote_model(version, {})
            self.timeline.append(version)
            self.barred.discard(version)
        else:
            self.refused(lambda: self.registry.promote_model(version, {}))

    @precondition(lambda self: self.registered)
    @rule(exclude=st.frozensets(VERSIONS, max_size=2))
    def roll_back(self, exclude: frozenset[str]) -> None:
        target, left = self.newest_good(exclude), self.current
        assert self.registry.rollback(exclude=exclude) == target
        if target is not None and left is not None:
            self.timeline.append(target)
            self.barred.add(left)

    @precondition(lambda self: self.registered)
    @rule(version=VERSIONS)
    def roll_back_to(self, version: str) -> None:
        left = self.current
        if version in self.whole - self.barred and version != left:
            assert self.registry.rollback(version) == version
            self.timeline.append(version)
            if left is not None:
                self.barred.add(left)
        else:
            self.refused(lambda: self.registry.rollback(version))

    @precondition(lambda self: self.registered)
    @rule(version=VERSIONS)
    def release(self, version: str) -> None:
        if version in self.registered:
            self.registry.release(version)
            self.barred.discard(version)
        else:
            self.refused(lambda: self.registry.release(version))

    @precondition(lambda self: self.registered)
    @rule(version=VERSIONS)
    def a_file_is_damaged(self, version: str) -> None:
        if version in self.whole:
            damage(main_file(self.folder, version))
            self.whole.discard(version)

    @precondition(lambda self: self.registered)
    @rule(version=VERSIONS)
    def a_file_is_restored(self, version: str) -> None:
        if version in self.registered:
            main_file(self.folder, version).write_bytes(model_bytes(version))
            self.whole.add(version)

    @precondition(lambda self: self.registered)
    @rule()
    def another_program_wipes_every_status(self) -> None:
        edit(
            self.registry, lambda data: [entry.update(status="archived") for entry in data["models"].values()]
        )

    def refused(self, change: Any) -> None:
        before = self.registry.path.read_bytes() if self.registry.path.exists() else b""
        try:
            change()
        except RegistryError:
            assert (self.registry.path.read_bytes() if before else b"") == before
        else:
            raise AssertionError("that had to be refused")

    @invariant()
    def the_registry_agrees(self) -> None:
        assert self.registry.registry["current_version"] == self.current
        assert self.registry.target() == self.newest_good()
        assert {
            version for version in self.registered if self.registry.is_quarantined(version)
        } == self.barred
        deployment = self.registry.deployment()
        assert (deployment.version if deployment else None) == self.current
        if self.linked and self.current is not None:
            assert self.registry.links_right()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)

NAMES = st.one_of(st.none(), st.integers(), st.just(""), VERSIONS, st.lists(VERSIONS, max_size=1))
EVENTS = st.one_of(
    st.none(),
    st.text(max_size=3),
    st.dictionaries(
        st.sampled_from(["version", "previous_version", "from"]),
        NAMES,
    ).flatmap(
        lambda event: st.sampled_from(["promoted", "rollback", "registered", "other", None]).map(
            lambda action: {**event, "action": action}
        )
    ),
)


@given(history=st.lists(EVENTS, max_size=12), current=VERSIONS)
def test_no_history_of_any_shape_is_an_error_or_names_the_current_version(
    history: list[Any], current: str
) -> None:
    order = current_before(history, current)
    assert current not in order
    assert len(set(order)) == len(order)
    assert all(isinstance(version, str) and version for version in order)
    assert all(isinstance(version, str) and version for version in rolled_back_from(history))


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(models=SHAPES | st.dictionaries(VERSIONS, SHAPES), current=SHAPES | VERSIONS, history=SHAPES)
@settings(max_examples=60, deadline=None)
def test_whatever_registry_json_holds_the_only_error_is_ours(models: Any, current: Any, history: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = {"models": models, "current_version": current, "history": history}
        (folder / "registry.json").write_text(json.dumps(data))
        registry = RegistryView(folder, LINKS, lock_timeout_s=0.1)
        calls: list[Callable[[], object]] = [
            registry.read,
            registry.get_current_model,
            registry.list_models,
            registry.deployment,
            registry.targets,
            registry.survey,
            registry.links_right,
            lambda: registry.why_not("v1"),
            lambda: registry.check("v1"),
            lambda: registry.verify_checksum("v1"),
        ]
        for call in calls:
            with suppress(RegistryError):
                call()
