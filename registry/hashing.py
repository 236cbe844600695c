"""SHA-256 of a file of any size, in constant memory."""

import errno
import hashlib
import os
import stat
from pathlib import Path

CHUNK = 1 << 20


def sha256_file(path: Path, chunk: int = CHUNK) -> str:
    """The SHA-256 of a regular file as 64 lower-case hex digits, read `chunk` bytes at a time.

    Raises OSError when it cannot be read, also for a folder, a pipe or a device: opening those must never
    block whoever asks.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 (a descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        digest, buffer = hashlib.sha256(), memoryview(bytearray(chunk))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()
