"""Downloads that can be interrupted, resumed and trusted."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

PATIENCE = 30  # seconds without a byte
_BLOCK = 1 << 20


class Missing(ConnectionError):
    """The server answered, and has no such file."""


def offline() -> bool:
    """Whether `DEMUCS_LAB_OFFLINE` forbids the network."""
    return os.environ.get("DEMUCS_LAB_OFFLINE", "0") not in ("", "0")


def download(url: str, path: Path, sha256: str | None = None, progress: bool = True) -> None:
    """Fetch a file atomically.

    What has arrived is kept beside the final name in `NAME.part`; a later call goes on from there.

    Args:
        url: of the file.
        path: where to.
        sha256: the hash of the file or the beginning of it; None: the one that the Hugging Face Hub
            states for its large files.

    Raises:
        ConnectionError: if the network is off, the server does not response, or no hash is known;
            `Missing` if it has no such file.
        ValueError: if the file is not what was published; it is removed.
        OSError: if it cannot be written.
    """
    if offline():
        raise ConnectionError("DEMUCS_LAB_OFFLINE forbids it")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    response = _open(url, part.stat().st_size if part.exists() else 0)
    try:
        expected = sha256 or _stated_hash(response)
        if expected is None:
            raise ConnectionError(f"{url} states no SHA-256 to compare with, so it is not trusted")
        _receive(response, part, path.name, progress)
    finally:
        response.close()
    found = file_hash(part)
    if not found.startswith(expected):
        part.unlink()
        raise ValueError(
            f"{path.name} is not what its authors published: its SHA-256 begins with {found[:8]}, "
            f"expected {expected[:8]}; it was removed, try again"
        )
    path.with_name(path.name + ".sha256").write_text(found + "\n", encoding="ascii")
    part.replace(path)


def is_whole(path: Path, sha256: str | None = None) -> bool:
    """Whether the file is there and has this hash, else the one that it had when it was fetched.

    A file that a person put there has none to compare with, and counts.
    """
    note = path.with_name(path.name + ".sha256")
    expected = sha256 or (note.read_text(encoding="ascii").strip() if note.exists() else "")
    return path.is_file() and file_hash(path).startswith(expected)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """The Hub states a file's hash where it redirects to the store that holds it."""

    def __init__(self) -> None:
        self.stated: str | None = None

    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        self.stated = headers.get("X-Linked-Etag") or self.stated
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and req.has_header("Range"):
            request.add_header("Range", req.get_header("Range"))
        return request


def _open(url: str, start: int) -> Any:
    redirects = _Redirects()
    request = urllib.request.Request(url, headers={"User-Agent": "demucs-lab"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.build_opener(redirects).open(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:  # nothing is left to send, or what we hold is too long
            return _open(url, 0)
        if error.code in (401, 403, 404, 410):
            raise Missing(f"{url} is not there ({error.code} {error.reason})") from error
        raise ConnectionError(f"{url} answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(f"{getattr(error, 'reason', error)}") from error
    if redirects.stated and "X-Linked-Etag" not in response.headers:
        response.headers["X-Linked-Etag"] = redirects.stated
    return response


def _stated_hash(response: Any) -> str | None:
    """The SHA-256 by which the Hub names a large file; small ones have other tags."""
    tag = response.headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"').lower()
    return tag if re.fullmatch("[0-9a-f]{64}", tag) else None


def _receive(response: Any, part: Path, name: str, progress: bool) -> None:
    from tqdm.auto import tqdm

    resumed = response.status == 206
    begin = part.stat().st_size if resumed else 0
    length = response.headers.get("Content-Length")
    total = begin + int(length) if length else None
    with (
        part.open("ab" if resumed else "wb") as file,
        tqdm(
            desc=name, total=total, initial=begin, unit="B", unit_scale=True, disable=not progress
        ) as bar,
    ):
        for block in _blocks(response.read):
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise OSError(
                    f"cannot write {part}: {error.strerror}; make room and start again to go on"
                ) from error
            bar.update(len(block))
    if total is not None and part.stat().st_size < total:
        raise ConnectionError(f"the connection broke off after {part.stat().st_size} of {total} B")


def _blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while True:
        try:
            block = read(_BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(
                f"the connection broke off ({error or type(error).__name__})"
            ) from error
        if not block:
            return
        yield block
