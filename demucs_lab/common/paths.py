"""Where the kit keeps its files, and how it writes one without ever leaving half of it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def checkout() -> Path | None:
    """The folder of the repository when the package runs from one, else None."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "course").is_dir() else None


def user_dir() -> Path:
    """The kit's folder among the user's own caches: what is personal, such as progress."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "demucs_lab"


def data_dir() -> Path:
    """`$DEMUCS_LAB_DATA` (may be shared), else `data/` of the checkout, else `user_dir()`."""
    if override := os.environ.get("DEMUCS_LAB_DATA"):
        return Path(override).expanduser()
    if root := checkout():
        return root / "data"
    return user_dir()


def cache_dir() -> Path:
    """Where rendered songs go; never in git."""
    return data_dir() / "cache"


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it when the block ends well and removed otherwise.

    A reader sees the old file or the whole new one, never a part, even after a crash.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(pathlib.Path(folder, "a.txt")) as beside:
    ...         _ = beside.write_text("whole")
    ...     pathlib.Path(folder, "a.txt").read_text()
    'whole'
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.stem}-", suffix=f".tmp{target.suffix}"
    )
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        if sys.platform != "win32":
            umask = os.umask(0)
            os.umask(umask)
            beside.chmod(0o666 & ~umask)  # mkstemp's 0600 would hide the file from a class's share
        with beside.open("rb+") as written:
            os.fsync(written.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
