"""Model versions: verify, promote, roll back, quarantine. The JSON format of the rollback playbook."""

from registry.artifacts import Artifact, ArtifactState
from registry.errors import RegistryError
from registry.history import Deployment
from registry.memory import HashMemory
from registry.model_registry import ModelRegistry
from registry.snapshot import Survey

__all__ = [
    "Artifact",
    "ArtifactState",
    "Deployment",
    "HashMemory",
    "ModelRegistry",
    "RegistryError",
    "Survey",
]
