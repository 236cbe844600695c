"""How often an owner has restarted the bot lately."""

from watchdog.bots.restarts import LATELY_S, Restarts


def test_the_first_look_says_nothing_of_what_was_before() -> None:
    assert Restarts().lately(0.0, 700) == 0


def test_restarts_are_counted_and_forgotten_after_a_while() -> None:
    seen = Restarts()
    assert [seen.lately(at, count) for at, count in ((0, 0), (10, 1), (20, 1), (30, 4))] == [0, 1, 1, 4]
    assert seen.lately(30 + LATELY_S, 5) == 1
    assert seen.lately(30 + 3 * LATELY_S, 5) == 0


def test_a_start_by_hand_begins_anew() -> None:
    seen = Restarts()
    assert [seen.lately(0, 3), seen.lately(1, 5), seen.lately(2, 0), seen.lately(3, 1)] == [0, 2, 0, 1]
