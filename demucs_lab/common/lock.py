"""One writer at a time in a folder."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

_held: set[int] = set()  # open folders, which a child of this process must not hold too


@contextlib.contextmanager
def alone_in(folder: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Meanwhile no other process or thread that asks may write into a folder.

    The system itself holds the lock, on the open folder, and lets go of it when its owner ends,
    however it ends: nothing is left behind that could be stale. The folder is made if need be; if
    nothing was written into it, it is removed again. Where the system has no such lock (Windows,
    some network disks) nothing is locked.

    Args:
        folder: which one.
        what: that is being done in it, for the sentence.

    Raises:
        BlockingIOError: if another one writes there.
    """
    path = Path(folder)
    made = [p for p in (path, *path.parents) if not p.exists()]
    path.mkdir(parents=True, exist_ok=True)
    descriptor = _locked(path, what)
    try:
        yield
    finally:
        for empty in made:
            with contextlib.suppress(OSError):
                empty.rmdir()
        if descriptor is not None:
            _held.discard(descriptor)
            os.close(descriptor)


def _locked(path: Path, what: str) -> int | None:
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    while True:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return None
            raise BlockingIOError(
                f"{path} is in use: {what} by another program that is still running; wait for it, "
                f"or choose another folder"
            ) from error
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            _held.add(descriptor)
            return descriptor
        os.close(descriptor)  # its former owner removed it meanwhile
        path.mkdir(parents=True, exist_ok=True)


def _let_go() -> None:
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
