"""The list of all targets, by name."""

from tests.fuzz.collecting import COLLECTING
from tests.fuzz.configuration import CONFIGURATIONS
from tests.fuzz.exchanges import EXCHANGES
from tests.fuzz.files import FILES
from tests.fuzz.flags import FLAGS
from tests.fuzz.journals import JOURNALS
from tests.fuzz.logs import LOGS
from tests.fuzz.registries import REGISTRIES
from tests.fuzz.target import Target
from tests.fuzz.telegrams import TELEGRAMS
from tests.fuzz.times import TIMES

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        *LOGS,
        *FILES,
        *COLLECTING,
        *REGISTRIES,
        *FLAGS,
        *JOURNALS,
        *CONFIGURATIONS,
        *TELEGRAMS,
        *EXCHANGES,
        *TIMES,
    )
}


def _fails(data: bytes) -> None:
    assert b"halt" not in data


BROKEN = Target("broken", _fails, (b"a seed",), (b"halt", b"pause"))
"""None of the list: it proves that the fuzzer finds what is there to be found."""
