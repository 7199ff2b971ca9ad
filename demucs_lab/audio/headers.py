"""What an MP3 says of its own length."""

from __future__ import annotations

import os
import re
from pathlib import Path

_SEARCHED = 1 << 16  # bytes after the tags, among which the first frame begins


def states_length(path: Path) -> bool:
    """Whether the first frame of an MP3 tells how many follow, in the way that libsndfile reads.

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
