"""How much memory separating takes beyond model and segment, by length of the song.

    python bench/separation.py                    30, 120, 600 and 3600 s
    python bench/separation.py --seconds 10800    three hours
    python bench/separation.py --song SONG.mp3    one's own file

The model is a stand-in with the segments of HTDemucs that costs next to nothing, so what is seen is
the separator: `separate_file` streams from disk to disk at any length, `separate` holds the song
(measured up to ten minutes). Each runs in a process of its own. Where demucs is installed, its
`apply_model` on the same song stands beside.
Writes results/separation.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _peers import run_there

RATE = 44100
LONG = 600  # seconds
ROOMS = {
    "separate_file": "streams",
    "separate": "holds the song",
    "apply_model": "demucs 4.1.0",
}


def measure(how: str, song: str) -> dict[str, float]:
    """Peak of resident memory beyond what importing, model and one segment take, in MB; seconds."""
    import resource

    import torch
    from torch import nn

    import demucs_lab as lab
    from demucs_lab import streaming  # noqa: F401

    class StandIn(nn.Module):
        sources = lab.SOURCES
        samplerate, audio_channels, segment = RATE, 2, 7.8

        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.full((4, 1, 1), 0.25))

        def forward(self, mix: torch.Tensor) -> torch.Tensor:
            return self.gain * mix.unsqueeze(1)

    def peak() -> float:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (1e6 if sys.platform == "darwin" else 1e3)

    model = StandIn()
    lab.separate(model, 0.1 * torch.randn(2, 10 * RATE), RATE, progress=False)
    before, began = peak(), time.perf_counter()
    if how == "separate_file":
        with tempfile.TemporaryDirectory(dir=Path(song).parent) as folder:
            lab.separate_file(song, folder, model, progress=False)
    else:
        wav, rate = lab.load_audio(song)
        if how == "separate":
            lab.separate(model, wav, rate, progress=False)
        else:
            from demucs.apply import apply_model

            normal = (wav - wav.mean()) / (wav.mean(0).std() + 1e-8)
            with torch.no_grad():
                apply_model(model, normal[None], shifts=0)[0].mul_(wav.std()).add_(wav.mean())
    return {"MB": round(peak() - before), "seconds": round(time.perf_counter() - began, 1)}


def make_song(path: Path, seconds: float) -> None:
    """Quiet noise, written a minute at a time."""
    import numpy as np
    import soundfile

    minute = (0.1 * np.random.default_rng(0).standard_normal((60 * RATE, 2))).astype(np.float32)
    left = round(seconds * RATE)
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16", format="RF64") as file:
        while left > 0:
            file.write(minute[:left])
            left -= len(minute)


def main() -> int:
    """Print the table and write results/separation.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[30, 120, 600, 3600])
    parser.add_argument("--song", type=Path, help="a file of one's own instead")
    parser.add_argument("--measure", nargs=2, metavar=("HOW", "SONG"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(*args.measure)))
        return 0
    here = Path(__file__).parent / "results" / "separation.json"
    if (elsewhere := run_there(__file__, here, alone=True)) is not None:
        return elsewhere
    rooms = {how: told for how, told in ROOMS.items() if how != "apply_model" or _has_demucs()}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seconds in [0.0] if args.song else args.seconds:
            song = args.song or Path(folder, "song.wav")
            if not args.song:
                make_song(song, seconds)
            row: dict[str, object] = {"song": song.name if args.song else f"{seconds:g} s"}
            for how in rooms if seconds <= LONG else ["separate_file"]:
                command = [sys.executable, __file__, "--measure", how, str(song)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
                row[how] = json.loads(done.stdout) if done.returncode == 0 else {"MB": None}
            rows.append(row)
            print(_line(row, rooms), flush=True)
    here.write_text(json.dumps({"memory": rows}, indent=1) + "\n", encoding="utf-8")
    return 0


def _line(row: dict, rooms: dict[str, str]) -> str:
    cells = []
    for how, told in rooms.items():
        if how not in row:
            continue
        found = row[how]
        value = (
            "failed" if found["MB"] is None else f"{found['MB']:6.0f} MB {found['seconds']:6.1f} s"
        )
        cells.append(f"{how} ({told}) {value}")
    return f"{row['song']:>10}   " + "   ".join(cells)


def _has_demucs() -> bool:
    return importlib.util.find_spec("demucs") is not None


if __name__ == "__main__":
    sys.exit(main())
