"""Errors that the user can fix."""

import errno
import os


class UserError(Exception):
    """An error that the user can fix. Its message is one sentence: what is wrong, and what would work.

    Commands print the message alone and exit with status 2; in Python it is an ordinary exception.
    """


class RankError(RuntimeError):
    """Another rank failed in a part of the work that all ranks must complete; the message is its error's."""


def reason(error: BaseException) -> str:
    """Returns one line: the message of an error, after its name if it is not one of the user's making."""
    name = "" if isinstance(error, UserError | RankError) else f"{type(error).__name__}: "
    return name + " ".join(str(error).split())


DISK_ERRORS = frozenset(getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EROFS", "EFBIG") if hasattr(errno, name))
"""Numbers of errors that say that nothing more can be written to a disk."""
WRITE_ERRORS = DISK_ERRORS | {
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
}
"""Numbers of errors that say that a path cannot be written."""
MAKE_ERRORS = WRITE_ERRORS | {errno.ENOENT}
"""Numbers of errors that say that a folder cannot be made. Below /proc that is ENOENT, which elsewhere says that a file
that is read is missing."""


class WriteError(UserError, OSError):
    """A file that cannot be written, in one sentence that names it. ``errno`` is that of the cause."""


def disk_sentence(error: OSError, path: object = None) -> str:
    """Returns one sentence about a file that cannot be written.

    Args:
        error: the error.
        path: the file; by default the one that the error names.
    """
    name = path or error.filename or "A file"
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return f"{name} cannot be written, because the disk is full: free some space, or choose another disk."
    if error.errno == errno.EROFS:
        return f"{name} cannot be written, because its disk is read-only: choose another disk."
    reason = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
    return f"{name} cannot be written ({reason}): choose another place."
