"""The demo's own format of model files. Nothing in a file is code, and any damage is found when it is loaded.

8 bytes   magic
4 bytes   length of the payload, little-endian
4 bytes   CRC-32 of the payload
payload   a JSON object in UTF-8: {"kind": "ensemble", "version": "v2.0.0", ...parameters}
"""

import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAGIC = b"DEMO-MDL"
HEADER = struct.Struct("<8sII")


class ModelFileError(Exception):
    """The file is there and is no whole model file; the message is as terse as those of real loaders."""


def encode(payload: Mapping[str, Any]) -> bytes:
    """The bytes of a model file."""
    body = json.dumps(payload, sort_keys=True).encode()
    return HEADER.pack(MAGIC, len(body), zlib.crc32(body)) + body


def decode(data: bytes) -> dict[str, Any]:
    """The payload; ModelFileError when a byte is missing, wrong or too many."""
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise ModelFileError(f"invalid load key, {chr(data[0])!r}.")
    if len(data) < HEADER.size:
        raise ModelFileError("Ran out of input")
    _, length, crc = HEADER.unpack_from(data)
    body = data[HEADER.size :]
    if len(body) != length:
        raise ModelFileError(f"the file holds {len(body)} bytes of a model of {length}")
    if zlib.crc32(body) != crc:
        raise ModelFileError("bad CRC-32, the file is damaged")
    payload = json.loads(body)
    if not isinstance(payload, dict):
        raise ModelFileError("the payload is not an object")
    return payload


def read(path: Path) -> dict[str, Any]:
    """The payload of a file; ModelFileError, or OSError when it cannot be read."""
    return decode(path.read_bytes())


def write(path: Path, payload: Mapping[str, Any]) -> None:
    """Writes a model file."""
    path.write_bytes(encode(payload))
