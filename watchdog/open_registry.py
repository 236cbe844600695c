"""The registry as the settings describe it: folder, links, and the key that versions have to be signed by."""

from collections.abc import Callable

from config import Settings
from registry import HashMemory, ModelRegistry


def _nothing() -> None:
    """Nobody cuts the hashing short."""


def open_registry(
    settings: Settings, hashes: HashMemory | None = None, look: Callable[[], None] = _nothing
) -> ModelRegistry:
    """`hashes`: what is known already; without it every look hashes. `look`: may raise to cut a hashing short."""
    found = settings.registry
    return ModelRegistry(found.path, found.links, public_key=found.signing_key, hashes=hashes, look=look)
