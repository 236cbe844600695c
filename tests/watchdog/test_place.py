import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watchdog.rotating_log import RotatingLog, drain
from watchdog.follow import Follower
from watchdog.place import HEAD_BYTES, TAIL_BYTES, Place, Position


@pytest.mark.parametrize(
    "state", [None, 5, [], {"offset": "x"}, {"offset": -1}, {"unknown": 1}, {"before": {}}]
)
def test_a_place_that_does_not_fit_is_refused(state: object) -> None:
    with pytest.raises(ValueError, match="not a place in a log"):
        Place.restore(state)


def test_a_place_is_json_and_comes_back_as_it_was(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path)
    log.append(1)
    log.rename()
    log.append(1)
    follower = Follower(log.path)
    drain(follower)
    place = follower.place
    assert place.before
    assert Place.restore(json.loads(json.dumps(place.dump()))) == place


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_a_position_knows_its_surroundings_however_it_was_reached(pieces: list[bytes]) -> None:
    position = Position()
    for piece in pieces:
        position = position.after(piece)
    text = b"".join(pieces)
    assert position == Position(len(text), text[:HEAD_BYTES], text[-TAIL_BYTES:])
