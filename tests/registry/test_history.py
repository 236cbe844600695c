from typing import Any

from registry import Deployment
from registry.history import current_before, deployment, rolled_back_from


def promoted(version: object, previous: object = None, **more: Any) -> dict[str, Any]:
    return {"version": version, "action": "promoted", "previous_version": previous, **more}


def rollback(version: object, left: object, **more: Any) -> dict[str, Any]:
    return {"version": version, "action": "rollback", "from": left, **more}


def registered(version: str) -> dict[str, Any]:
    return {"version": version, "action": "registered"}


def test_the_version_that_was_current_last_comes_first() -> None:
    history = [promoted("v1"), promoted("v2", "v1"), registered("v9"), promoted("v3", "v2")]
    assert current_before(history, "v3") == ["v2", "v1"]


def test_each_version_is_named_once_at_its_newest_place() -> None:
    history = [promoted("v1"), promoted("v2", "v1"), promoted("v1", "v2"), promoted("v3", "v1")]
    assert current_before(history, "v3") == ["v1", "v2"]


def test_a_previous_version_without_an_event_of_its_own_counts() -> None:
    assert current_before([promoted("v2.0.0", "v1.9.0")], "v2.0.0") == ["v1.9.0"]


def test_what_was_rolled_back_from_was_current_too() -> None:
    assert current_before([rollback("v2", "v3")], "v2") == ["v3"]


def test_an_empty_history_has_no_before() -> None:
    assert current_before([], "v1") == []


def test_garbage_in_the_history_is_passed_over() -> None:
    history = [
        None,
        3,
        "promoted",
        {},
        {"action": "promoted"},
        promoted(["v8"]),
        promoted(""),
        {"version": "v7", "action": ["promoted"]},
        promoted("v1", 5),
        promoted("v2", {"v": 1}),
    ]
    assert current_before(history, "v2") == ["v1"]
    assert rolled_back_from(history) == {}


def test_a_rollback_quarantines_what_it_left_until_a_promotion() -> None:
    history = [promoted("v1"), promoted("v2", "v1"), rollback("v1", "v2")]
    assert list(rolled_back_from(history)) == ["v2"]
    assert list(rolled_back_from([*history, promoted("v2", "v1")])) == []
    assert list(rolled_back_from([*history, promoted("v3", "v1")])) == ["v2"]
    assert list(rolled_back_from([*history, registered("v2")])) == ["v2"]


def test_a_rollback_to_a_version_does_not_free_it() -> None:
    history = [promoted("v2"), rollback("v1", "v2"), rollback("v2", "v1")]
    assert list(rolled_back_from(history)) == ["v2", "v1"]


def test_a_release_frees_and_a_later_rollback_holds_again() -> None:
    history = [promoted("v2"), rollback("v1", "v2", released_at="2026-03-01T10:00:00+00:00")]
    assert list(rolled_back_from(history)) == []
    assert list(rolled_back_from([*history, rollback("v1", "v2")])) == ["v2"]


def test_other_programs_rollbacks_quarantine_without_a_from() -> None:
    by_previous = {"version": "v1", "action": "rollback", "previous_version": "v2"}
    assert list(rolled_back_from([by_previous])) == ["v2"]
    by_order = [promoted("v1"), promoted("v2"), {"version": "v1", "action": "rollback"}]
    assert list(rolled_back_from(by_order)) == ["v2"]


def test_a_rollback_from_nothing_holds_nothing() -> None:
    assert rolled_back_from([promoted("v2"), rollback("v1", None)]) == {}


def test_a_rollback_to_itself_holds_nothing() -> None:
    assert rolled_back_from([rollback("v1", "v1")]) == {}
    assert rolled_back_from([{"version": "v1", "action": "rollback"}]) == {}


def test_the_deployment_began_with_the_newest_switch() -> None:
    history = [promoted("v1", timestamp="A"), promoted("v2", timestamp="B"), registered("v3")]
    assert deployment(history, "v2") == Deployment("v2", "B")
    assert deployment([*history, rollback("v1", "v2", timestamp="C")], "v1") == Deployment("v1", "C")


def test_the_start_is_unknown_when_somebody_set_the_version_by_hand() -> None:
    history = [promoted("v1", timestamp="A"), promoted("v2", timestamp="B")]
    assert deployment(history, "v1") == Deployment("v1", None)
    assert deployment([], "v1") == Deployment("v1", None)
    assert deployment([promoted("v1", timestamp=7)], "v1") == Deployment("v1", None)
    assert deployment([promoted("v1", timestamp="9" * 1000)], "v1") == Deployment("v1", None)
