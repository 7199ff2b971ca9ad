"""Memory that is used again, instead of being returned to the system and requested again."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Of glibc's malloc.h: from which size on a block is one that the system gives and takes back by
# itself, and how much freed memory stays with the process. Left alone, the first rises to 32 MiB.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_USUAL = (32 << 20, 64 << 20)
_KEEPING = (1 << 30, (1 << 31) - 1)

_lock = threading.Lock()
_users = 0


@contextmanager
def reused_memory() -> Iterator[None]:
    """Meanwhile, what a tensor leaves is there for the next one; afterwards all is given back.

    glibc takes tensors of more than 32 MiB from the system and gives them back at once when they
    are freed. The system hands out zeroed pages, one fault for each, and that takes longer than
    most of what is then computed in them. With other C libraries (macOS, Windows, musl) nothing
    changes. May be nested, and entered by several threads.
    """
    global _users
    malloc = _glibc()
    if malloc is None:
        yield
        return
    with _lock:
        _users += 1
        _limit(malloc, *_KEEPING)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _limit(malloc, *_USUAL)
                malloc.malloc_trim(0)


def _limit(malloc: ctypes.CDLL, mmap: int, trim: int) -> None:
    malloc.mallopt(_MMAP_THRESHOLD, mmap)
    malloc.mallopt(_TRIM_THRESHOLD, trim)


def _glibc() -> ctypes.CDLL | None:
    try:
        version = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError):  # Windows; macOS
        return None
    return ctypes.CDLL(None) if version else None
