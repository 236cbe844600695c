"""The one error of this package, and what to do about the system's own errors."""

import errno


class RegistryError(Exception):
    """Something about the registry that a person has to mend; the text names file, fault and remedy."""


_REMEDIES = {
    errno.ENOSPC: "free some space on that disk",
    errno.EDQUOT: "free some space: the quota is used up",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EACCES: "give this user access to it (chmod, chown)",
    errno.EPERM: "give this user access to it (chmod, chown)",
    errno.EROFS: "the file system is read-only: mount it writable here",
    errno.EINVAL: "put a plain file in its place",
    errno.EISDIR: "put a plain file in its place",
    errno.ELOOP: "the link leads to itself: put the file in its place",
    errno.EBUSY: "mount the whole folder, not the single file",
    errno.ENOTDIR: "give the folder that holds registry.json, not a file",
    errno.ENOENT: "check the path, and the folder the command is run in",
    errno.EIO: "the disk fails: look at `dmesg`, restore from a backup",
    errno.ENOLCK: "this file system has no flock: keep the registry on a local disk",
}


def remedy(error: OSError) -> str:
    """The first thing to try against a system error, as half a sentence."""
    return _REMEDIES.get(error.errno or 0, "look at the file and at the disk it is on")
