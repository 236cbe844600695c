import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The registry's folder in a bot's folder."""
    folder = tmp_path / "bot" / "models_saved"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may look into, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
