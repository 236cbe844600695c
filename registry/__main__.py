"""`python -P -m registry keygen | sign | release`: what people do to a registry by hand.

Exit 0 good, 1 refused, 2 wrong usage.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from registry.errors import RegistryError, remedy
from registry.memory import HashMemory
from registry.model_registry import ModelRegistry
from registry.signing import KEY_FILE_VARIABLE, SigningKey, generate, write_private
from registry.store import sync_folder

PRIVATE, PUBLIC = "model-signing.pem", "model-signing.pub"

app = typer.Typer(
    name="python -P -m registry",
    help="Keys, signatures and quarantine of a model registry.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

RegistryPath = Annotated[Path, typer.Option("--registry-path", metavar="P", help="Folder of registry.json")]
HERE = Path("models_saved")


@app.command()
def keygen(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the two files")],
) -> None:
    """Make a key to sign versions with.

    The private one stays where models are made, never on the machine where the bot trades. The public one goes into
    watchdog.yaml.
    """
    pem, public = generate()
    private, beside = out.absolute() / PRIVATE, out.absolute() / PUBLIC
    try:
        for path in (private, beside):
            if os.path.lexists(path):
                _fail(f"{path} is there already and stays as it is; choose another --out")
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(private, pem)
        beside.write_text(f"{public.text}\n", encoding="ascii")
        sync_folder(out)
    except OSError as error:
        _fail(f"{error.filename or out}: cannot be written: {error.strerror}; {remedy(error)}")
    typer.echo(f"private key, for your eyes only: {private}")
    typer.echo(f"to sign what is registered: export {KEY_FILE_VARIABLE}={private}")
    typer.echo("into watchdog.yaml, under registry:")
    typer.echo(f"  signing_key: {public.text}")


@app.command()
def sign(
    versions: Annotated[list[str] | None, typer.Argument(metavar="VERSION...", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every version whose files verify")] = False,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help=f"Private key; else ${KEY_FILE_VARIABLE}")
    ] = None,
    registry_path: RegistryPath = HERE,
) -> None:
    """Vouch for versions that are registered already.

    A signature says that the files and the entry, as they are now, are good. One by another key stays beside it.
    """
    if every == bool(versions):
        raise typer.BadParameter("name the versions to sign, or give --all")
    _act(lambda: _sign(registry_path, versions, key))


def _sign(folder: Path, versions: list[str] | None, key: Path | None) -> None:
    source = key or os.environ.get(KEY_FILE_VARIABLE)
    if not source:
        raise RegistryError(f"there is no key to sign with; give --key FILE, or set {KEY_FILE_VARIABLE}")
    SigningKey(source)  # what is wrong with it is said once
    registry, faults = ModelRegistry(folder, hashes=HashMemory(), signing_key=source), []
    for version in versions or list(registry.read()["models"]):
        try:
            registry.verify_checksum(version)  # large files are hashed before the lock is taken
            public = registry.sign(version)
        except RegistryError as error:
            faults.append(str(error))
        else:
            typer.echo(f"signed {version}; its public key is {public}")
    if faults:
        raise RegistryError("\n".join(faults))


@app.command()
def release(version: str, registry_path: RegistryPath = HERE) -> None:
    """Lift the quarantine of a version that was rolled back from.

    It may then be gone back to, and started, again.
    """
    _act(lambda: _release(ModelRegistry(registry_path), version))


def _release(registry: ModelRegistry, version: str) -> None:
    held = registry.is_quarantined(version)
    registry.release(version)
    if not held:
        typer.echo(f"{version} was not in quarantine; nothing was changed")
        return
    if version == registry.read()["current_version"]:
        then = "it is the current version, and the bot may be started on it again"
    else:
        target = registry.target()
        now = (
            "it is now the target"
            if target == version
            else f"it is now not the target ({target or 'none'} is)"
        )
        then = f"it may be rolled back to again, by the watchdog itself; {now}"
    typer.echo(f"{version} is released: {then}")


def _act(what: Callable[[], None]) -> None:
    logging.basicConfig(level=logging.CRITICAL)  # what went wrong is said once, below
    try:
        what()
    except RegistryError as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app(prog_name="python -P -m registry")
