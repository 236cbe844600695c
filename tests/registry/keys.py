"""Keys to sign with, made once: they are for tests alone."""

from functools import cache
from pathlib import Path

from registry.signing import generate, write_private


@cache
def _made(name: str) -> tuple[bytes, str]:
    pem, public = generate()
    return pem, public.text


def key(name: str = "ours") -> tuple[bytes, str]:
    """A private key as PEM, and its public key as text; another pair for each name."""
    return _made(name)


def key_file(folder: Path, name: str = "ours") -> Path:
    """The private key in a file that its owner alone can read."""
    path = folder / f"{name}.pem"
    write_private(path, key(name)[0])
    return path
