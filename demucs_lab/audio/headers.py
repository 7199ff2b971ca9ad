"""What the header of a sound file promises, and whether the file keeps it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_SOUNDFILE = {".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".w64", ".rf64"}
_SEARCHED = 1 << 16  # bytes after the tags, among which the first frame begins


def existing(path: str | os.PathLike[str]) -> Path:
    """The path of a file that is there and not empty, or one sentence."""
    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder, not a sound file: for a folder of stems use datasets.StemsFolder"
        )
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path} (looked from {Path.cwd()})")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty (0 bytes): copy or download it again")
    return path


def for_libsndfile(path: Path) -> bool:
    """Whether libsndfile reads all of the file; the others are ffmpeg's."""
    if path.suffix.lower() not in _SOUNDFILE:
        return False
    return read_header(path).format != "MP3" or states_length(path)


def read_header(path: Path) -> Any:
    """What libsndfile says of a file: `samplerate`, `frames`, `channels`, `format`, `subtype`."""
    import soundfile

    try:
        return soundfile.info(path)
    except soundfile.SoundFileError as error:
        with path.open("rb") as file:
            start = file.read(64)
        if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
            raise ValueError(
                f"{path.name} is a text file, whatever its ending says: find the sound file that "
                f"belongs there"
            ) from error
        raise ValueError(
            f"{path.name} cannot be read as {path.suffix}: it is another format, or damaged or cut "
            f"short; copy or download it again"
        ) from error


def refuse_cut_wav(path: Path) -> None:
    """libsndfile reads a truncated WAV without a word, so the header is compared with the file."""
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return
        promised = int.from_bytes(file.read(4), "little") + 8
        if file.read(4) != b"WAVE":
            return
        size = path.stat().st_size
        streamed = promised - 8 in (0, 0xFFFFFFFF)  # written to a pipe: the length is not known
        if size < promised and not streamed:
            raise ValueError(
                f"{path.name} is cut short: its header promises {promised} bytes, the file has "
                f"{size}; copy or download it again"
            )


def refuse_cut_ogg(path: Path) -> None:
    """libsndfile reads an OGG up to where it stops; only its last page may carry the end mark."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return
        file.seek(-min(path.stat().st_size, 1 << 17), os.SEEK_END)  # a page has at most 64 KiB
        tail = file.read()
    last = tail.rfind(b"OggS")
    marked_last = last >= 0 and tail[last + 5 : last + 6] and tail[last + 5] & 4
    segments = tail[last + 27 : last + 27 + tail[last + 26]] if marked_last else b""
    if not marked_last or len(tail) < last + 27 + len(segments) + sum(segments):
        raise ValueError(f"{path.name} is cut short: its end is missing; copy or download it again")


def states_length(path: Path) -> bool:
    """Whether the first frame of an MP3 says how many follow, in the way that libsndfile reads.

    Encoders put a frame without sound there, marked "Xing" (variable bit rate) or "Info"
    (constant), with flags: the lowest bit says that the number of frames is given. Without it
    libsndfile takes the size of the first frames for that of all, and reads a song with a quiet
    beginning or a loud one to a wrong end. Of Fraunhofer's "VBRI" it makes nothing.
    """
    with path.open("rb") as file:
        while (head := file.read(10))[:3] == b"ID3":
            size = 0
            for byte in head[6:]:
                size = size << 7 | byte & 127
            footer = 10 if head[5] & 16 else 0
            file.seek(size + footer, os.SEEK_CUR)
        sound = head + file.read(_SEARCHED)
    frame = re.search(rb"\xff[\xe0-\xff].{62}", sound, re.DOTALL)
    mark = frame and re.search(rb"(?:Xing|Info)...(.)", frame[0], re.DOTALL)
    return bool(mark and mark[1][0] & 1)
