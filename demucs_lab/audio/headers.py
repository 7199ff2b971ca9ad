"""What the header of a sound file promises, and whether the file keeps it."""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path
from typing import Any

from demucs_lab.audio.ffmpeg import have_ffmpeg

_SOUNDFILE = {".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".w64", ".rf64"}
_SEARCHED = 1 << 16  # bytes after the tags, among which the first frame begins
_UNKNOWN = 1 << 60  # samples; libsndfile's word for a length that is not stated
_TAGS = 1 << 16  # bytes at the end of an MP3 that may be no sound
_W64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"
_ASF_FILE = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"


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
    """Whether libsndfile reads all of the file; the others are ffmpeg's.

    These are other formats, whatever their ending says, files that do not state their length or
    state that of their first part only, and sound that is coded inside a WAV.
    """
    if path.suffix.lower() not in _SOUNDFILE:
        return False
    try:
        info = read_header(path)
    except _Unreadable:
        if have_ffmpeg():
            return False
        raise
    if info.format == "MP3":
        return states_length(path)
    if info.format == "OGG":
        return not is_chained(path)
    return info.frames < _UNKNOWN and not info.subtype.startswith("MPEG")


class _Unreadable(ValueError):
    """What libsndfile cannot read, and ffmpeg perhaps can."""


def read_header(path: Path) -> Any:
    """What libsndfile says of a file: `samplerate`, `frames`, `channels`, `format`, `subtype`."""
    import soundfile

    try:
        return soundfile.info(c_name(path))
    except soundfile.SoundFileError as error:
        with path.open("rb") as file:
            start = file.read(64)
        if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
            raise ValueError(
                f"{path.name} is a text file, whatever its ending says: find the sound file that "
                f"belongs there"
            ) from error
        raise _Unreadable(
            f"{path.name} cannot be read as {path.suffix}: it is another format, or damaged or cut "
            f"short; copy or download it again"
        ) from error


def c_name(path: Path) -> Path | bytes:
    """A name as libsndfile takes it: any bytes, where soundfile would insist on UTF-8."""
    return path if os.name == "nt" else os.fsencode(path)


def refuse_cut(path: Path) -> None:
    """Refuse a file that is shorter than its header says, or several that were joined.

    libsndfile and ffmpeg read what is there of a WAV, AIFF, CAF, AU, W64, WMA or OGG without a
    word, and of joined WAV or FLAC files only the first.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_SEARCHED)
        promised = _promised(head, size)
        file.seek(min(promised, size))
        joined = promised and head[:4] == b"RIFF" and file.read(4) == b"RIFF"
    if size < promised:
        raise ValueError(
            f"{path.name} is cut short: its header promises {promised} bytes, the file has "
            f"{size}; copy or download it again"
        )
    if joined or (head[:4] == b"fLaC" and _holds_another_flac(path)):
        raise ValueError(
            f"{path.name} is several files one after another, of which only the first would be "
            f"read: join them with ffmpeg's concat instead"
        )
    if head[:4] == b"OggS":
        _refuse_cut_ogg(path)


def _promised(head: bytes, size: int) -> int:
    """Bytes that a file has according to its header; 0 where that does not say.

    A program that writes to a pipe does not know the length: it leaves 0, or the largest number.
    """
    kind, form = head[:4], head[8:12]
    promised = unknown = 0
    if kind == b"RIFF" and form == b"WAVE":
        promised, unknown = 8 + int.from_bytes(head[4:8], "little"), 0xFFFFFFFF
    elif kind == b"FORM" and form in (b"AIFF", b"AIFC"):
        promised, unknown = 8 + int.from_bytes(head[4:8], "big"), 0x7FFFFFFF
    elif kind == b".snd":
        start, length = (int.from_bytes(head[at : at + 4], "big") for at in (4, 8))
        promised, unknown = start + length, 0xFFFFFFFF
    elif head[:16] == _W64:
        promised, unknown = int.from_bytes(head[16:24], "little"), 1 << 62
    elif kind == b"caff":
        return _promised_by_caf(head)
    elif head[:8] == _ASF and (at := head.find(_ASF_FILE)) >= 0:
        promised, unknown = int.from_bytes(head[at + 40 : at + 48], "little"), 1 << 62
    return promised if 64 < promised < unknown else 0


def _promised_by_caf(head: bytes) -> int:
    """The end of the chunk of sound: chunks follow each other, with their sizes."""
    at = 8
    while at + 12 <= len(head):
        length = int.from_bytes(head[at + 4 : at + 12], "big", signed=True)
        if length < 0:
            return 0
        at += 12 + length
        if head[at - 12 - length :][:4] == b"data":
            return at
    return 0


def _holds_another_flac(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"fLaC\x00\x00\x00\x22", 4) >= 0


def is_chained(path: Path) -> bool:
    """Whether an OGG begins anew within: joined files, of which libsndfile reads the first."""
    size, at, began = path.stat().st_size, 0, False
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            page = file.read(27 + 255)
            if page[:4] != b"OggS" or len(page) < 27:
                return False  # damaged, which shows when it is read
            first = bool(page[5] & 2)
            if first and began:
                return True
            began = began or not first
            at += 27 + page[26] + sum(page[27 : 27 + page[26]])
    return False


def _refuse_cut_ogg(path: Path) -> None:
    """An OGG is read up to where it stops; only its last page may carry the end mark."""
    with path.open("rb") as file:
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
    beginning or a loud one to a wrong end. Of Fraunhofer's "VBRI" it makes nothing. The next bit
    says that the number of bytes is given: where the file has many more, others were joined to it.
    """
    with path.open("rb") as file:
        while (head := file.read(10))[:3] == b"ID3":
            size = 0
            for byte in head[6:]:
                size = size << 7 | byte & 127
            footer = 10 if head[5] & 16 else 0
            file.seek(size + footer, os.SEEK_CUR)
        begin = file.tell() - len(head)
        sound = head + file.read(_SEARCHED)
    frame = re.search(rb"\xff[\xe0-\xff].{62}", sound, re.DOTALL)
    mark = frame and re.search(rb"(?:Xing|Info)...(.)....(....)", frame[0], re.DOTALL)
    if not frame or not mark or not mark[1][0] & 1:
        return False
    counted = int.from_bytes(mark[2], "big") if mark[1][0] & 2 else 0
    rest = path.stat().st_size - begin - frame.start() - counted
    return not counted or rest < min(_TAGS, max(1 << 12, counted // 2))
