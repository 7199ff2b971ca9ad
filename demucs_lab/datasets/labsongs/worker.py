"""A process that renders songs: `python -m demucs_lab.datasets.labsongs.worker`.

It reads one request per line, `{"folder", "split", "index", "samplerate", "duration"}` as JSON, and
answers each with one line: "ok", or "error: " and a sentence. It ends when its input ends, that is,
also when the program that started it is gone.
"""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from pathlib import Path

from .cache import ensure_song


def main() -> None:
    """Render what each line requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's: it closes our input
    for request in sys.stdin:
        values = json.loads(request)
        try:
            ensure_song(Path(values.pop("folder")), **values)
            answer = "ok"
        except Exception as error:
            answer = f"error: {error}".replace("\n", " ")
        try:
            print(answer, flush=True)
        except BrokenPipeError:
            return


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
