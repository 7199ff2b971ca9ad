"""Sound files of any length, block by block: read, resampled, separated, written (lesson 08).

Nothing here holds more of a song than a few segments, so a three-hour file needs no more memory
than a three-minute one. What is separated is first kept as raw numbers in a hidden folder beside
the stems; a stem gets its name when it is whole, and an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import time
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor, nn

from demucs_lab import audio
from demucs_lab._paths import atomic_path
from demucs_lab._segments import Options, place, reach
from demucs_lab._sound_blocks import SoundBlocks, Window, resampled
from demucs_lab.separation import (
    EPS,
    as_heard,
    chosen_stems,
    in_step,
    parts,
    ready_model,
    separated,
)

FORMATS = ("wav", "flac")
_BLOCK = 1 << 18  # samples
_SAVE_EVERY = 10.0  # seconds between two states from which a run can go on
_WAV_LIMIT = 0xFFFFFFFF - (1 << 16)  # bytes; a longer file is written as RF64


def separate_file(
    path: str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    model: nn.Module | str | os.PathLike[str] = "htdemucs",
    *,
    two_stems: str | None = None,
    stems: Sequence[str] | None = None,
    format: str = "wav",
    bits: int = 16,
    segment: float | None = None,
    overlap: float = 0.25,
    shifts: int = 0,
    seed: int = 0,
    resample: int = 1,
    device: str | torch.device | None = None,
    progress: bool = True,
    batch: int | None = None,
    precision: str = "float32",
    workers: int = 1,
) -> dict[str, Path]:
    """Separate a sound file of any format and length into `out_dir/SONG/STEM.wav` (lesson 08).

    The same sound as `separate` gives, in constant memory. Stems have the length, rate and channels
    of the file. If one exceeds full scale, all are turned down alike and a warning says so. Called
    again after an interruption it goes on; called again after it has finished it has nothing to do.

    Args:
        path: WAV, FLAC, OGG and MP3, or anything that ffmpeg reads.
        out_dir: where to; it is made if need be.
        model: a model, or what `pretrained.load` takes.
        two_stems: a stem, say "vocals": writes it and the rest of the mixture, "no_vocals".
        stems: those wanted; None: all.
        format: "wav" or "flac".
        bits: 16, 24, or 32 (floats, WAV only, never turned down).
        segment, overlap, shifts, seed, resample, device, progress, batch, precision, workers:
            see `separate`.

    Returns:
        The file of each stem.

    Raises:
        FileNotFoundError, ValueError: if the file is missing, damaged, cut short or holds NaN, or
            an option makes no sense; nothing is written then.
        OSError: if the stems cannot be written, or the disk is too small. What was separated is
            kept, and the next call goes on from there.
    """
    options = Options(segment, overlap, shifts, seed, resample, batch, precision, workers)
    if format not in FORMATS or bits not in (16, 24, 32) or (format == "flac" and bits == 32):
        raise ValueError(
            f"expected format 'wav' with 16, 24 or 32 bits or 'flac' with 16 or 24, got {format!r} "
            f"with {bits!r}"
        )
    if two_stems is not None and stems is not None:
        raise ValueError("choose either two_stems or stems, not both")
    SoundBlocks(path)  # a wrong name is told before weights are downloaded
    separator: Any = ready_model(model)
    wanted = [two_stems] if two_stems is not None else stems
    chosen = chosen_stems(separator, wanted)
    song = _scan(path, separator, progress)
    names = [separator.sources[stem] for stem in chosen]
    rest = None if two_stems is None else f"no_{two_stems}"
    folder = Path(out_dir).expanduser() / song.path.stem
    made = _fingerprint(song, separator, options, [*names, *([rest] if rest else [])])
    rate, channels = separator.samplerate, separator.audio_channels
    job = _Job(song, folder, names, rest, format, bits, made, rate, channels)
    if not job.finished():
        with _told_in_a_sentence(folder):
            job.separate(separator, options, chosen, device, progress)
            job.write()
    return job.files


@dataclass(frozen=True)
class _Song:
    """What one reading of a sound file from end to end tells.

    Attributes:
        samplerate, channels, frames: of the file.
        length: in samples at the model's rate.
        mean, deviation: of its mono sum at the model's rate.
    """

    path: Path
    samplerate: int
    channels: int
    frames: int
    length: int
    mean: float
    deviation: float


def _heard(sound: SoundBlocks, model: Any) -> Iterator[Tensor]:
    """The sound as the model hears it, `[C, n]`."""
    blocks = (as_heard(block, model.audio_channels, sound.path.name) for block in sound)
    return resampled(blocks, sound.samplerate, model.samplerate)


def _scan(path: str | os.PathLike[str], model: Any, progress: bool) -> _Song:
    """Read the file through: is it whole, how long is it, how loud is it."""
    from tqdm.auto import tqdm

    sound = SoundBlocks(path)
    length, total, squares, offset = 0, 0.0, 0.0, 0.0
    with tqdm(
        desc=f"reading {sound.path.name}", unit="s", disable=not progress, leave=False
    ) as bar:
        for block in _heard(sound, model):
            mono = block.mean(0).double()
            offset = offset if length else float(mono.mean())  # near the mean: exact squares
            length += len(mono)
            total += float((mono - offset).sum())
            squares += float((mono - offset).square().sum())
            bar.update(round(len(mono) / model.samplerate, 1))
    variance = max(0.0, squares - total**2 / length) / max(1, length - 1)
    return _Song(
        path=sound.path,
        samplerate=sound.samplerate,
        channels=sound.channels,
        frames=sound.frames,
        length=length,
        mean=offset + total / length,
        deviation=math.sqrt(variance) + EPS,
    )


@dataclass
class _Job:
    """One song on its way to its stems.

    `rest`, if any, is what the one stem leaves of the mixture.

    While it is under way, `folder/.partial` holds one file of raw float32 samples per stem, at the
    model's rate, and `state.json`: up to which sample they are to be trusted, and for which song,
    model and options.
    """

    song: _Song
    folder: Path
    names: list[str]
    rest: str | None
    format: str
    bits: int
    fingerprint: dict[str, Any]
    model_rate: int
    model_channels: int

    @property
    def files(self) -> dict[str, Path]:
        rest = [self.rest] if self.rest else []
        return {name: self.folder / f"{name}.{self.format}" for name in [*self.names, *rest]}

    @property
    def partial(self) -> Path:
        return self.folder / ".partial"

    @property
    def note(self) -> Path:
        """Says, beside the stems, how they were made."""
        return self.folder / "separation.json"

    def finished(self) -> bool:
        """Whether an earlier run made these very stems; those of another song are no prey."""
        note = _json(self.note)
        if note.get("song", self.song.path.name) != self.song.path.name:
            raise ValueError(
                f"{self.folder} holds the stems of {note['song']}: choose another folder for those "
                f"of {self.song.path.name}"
            )
        return note == self.made and all(map(Path.is_file, self.files.values()))

    @property
    def made(self) -> dict[str, Any]:
        return {**self.fingerprint, "format": self.format, "bits": self.bits}

    def raw(self, name: str) -> Path:
        return self.partial / f"{name}.f32"

    def separate(
        self, model: Any, options: Options, stems: list[int], device: Any, progress: bool
    ) -> None:
        """Append to the raw files what is still missing."""
        song = self.song
        begin = self._resume()
        if begin == song.length:
            return
        mean, deviation = song.mean, song.deviation
        normal = ((block - mean) / deviation for block in _heard(SoundBlocks(song.path), model))
        where = place(model, device)
        keep = max(reach(part, options, song.length, where) for part, _ in parts(model))
        window = Window(normal, song.length, keep)
        blocks = separated(model, window.read, song.length, options, stems, begin, device, progress)
        with ExitStack() as stack:
            raw = [stack.enter_context(self.raw(name).open("ab")) for name in self.names]
            stack.enter_context(closing(blocks))
            done, saved = begin, time.monotonic()
            try:
                for block in blocks:
                    for file, stem in zip(raw, block * deviation + mean, strict=True):
                        file.write(stem.T.contiguous().numpy().tobytes())
                    done += block.shape[-1]
                    if time.monotonic() - saved > _SAVE_EVERY:
                        self._save(raw, done)
                        saved = time.monotonic()
            finally:
                self._save(raw, done)

    def write(self) -> None:
        """Turn the raw files into sound files, one after the other."""
        gain = self._gain()
        if self.rest and self.raw(self.names[0]).exists():
            self._write_stem(self.files[self.rest], self._rest(), gain)
        for name in self.names:
            if self.raw(name).exists():
                self._write_stem(self.files[name], self._stem(name), gain)
                self.raw(name).unlink()
        with atomic_path(self.note) as beside:
            beside.write_text(json.dumps(self.made, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(self.partial)

    def _resume(self) -> int:
        """Samples that an earlier run left and that can be trusted; a fresh folder otherwise."""
        state = _json(self.partial / "state.json")
        if state.pop("made", None) == self.fingerprint:
            done = state["done"]
            present = [self.raw(name) for name in self.names if self.raw(name).exists()]
            written = state.get("written_as") == [self.format, self.bits]
            if len(present) == len(self.names) or written:
                size = done * self.model_channels * 4
                if all(file.stat().st_size >= size for file in present):
                    for file in present:
                        os.truncate(file, size)
                    return done
        shutil.rmtree(self.partial, ignore_errors=True)
        self._refuse_a_small_disk()
        self.partial.mkdir(parents=True)
        for name in self.names:
            self.raw(name).touch()
        return 0

    def _refuse_a_small_disk(self) -> None:
        raw = len(self.names) * self.model_channels * self.song.length * 4
        needed = raw + self.song.channels * self.song.frames * self.bits // 8  # and one stem
        place = next(p for p in (self.folder, *self.folder.absolute().parents) if p.exists())
        if (free := shutil.disk_usage(place).free) < needed:
            short = f"it takes {needed / 1e9:.3g} GB on the way and {free / 1e9:.3g} GB are free"
            raise OSError(errno.ENOSPC, short)

    def _save(self, raw: Sequence[IO[bytes]], done: int) -> None:
        for file in raw:
            file.flush()
            os.fsync(file.fileno())
        self._note_state(done=done)

    def _note_state(self, **state: Any) -> None:
        with atomic_path(self.partial / "state.json") as beside:
            beside.write_text(json.dumps({"made": self.fingerprint, **state}), encoding="utf-8")

    def _stem(self, name: str) -> Iterator[Tensor]:
        """One raw file as it will be heard, `[C, n]`: rate, channels and length of the song."""
        blocks = _raw_blocks(self.raw(name), self.model_channels)
        left = self.song.frames
        for block in resampled(blocks, self.model_rate, self.song.samplerate):
            block = block[..., :left]
            left -= block.shape[-1]
            yield block.mean(0, keepdim=True) if self.song.channels == 1 else block

    def _rest(self) -> Iterator[Tensor]:
        """What the one stem leaves of the mixture, `[C, n]`."""
        for mixture, stem in in_step([SoundBlocks(self.song.path), self._stem(self.names[0])]):
            yield mixture - stem

    def _gain(self) -> float:
        """What brings the loudest stem to full scale: one for all, kept over interruptions."""
        state, kind = _json(self.partial / "state.json"), [self.format, self.bits]
        if state.get("written_as") != kind:
            peak = 1.0
            if self.bits != 32:
                streams = [self._stem(name) for name in self.names]
                streams += [self._rest()] if self.rest else []
                peak = max(float(block.abs().max()) for stream in streams for block in stream)
            state = {"done": self.song.length, "gain": 1 / max(1.0, peak), "written_as": kind}
            self._note_state(**state)
        if state["gain"] < 1:
            warnings.warn(
                f"{self.song.path.name}: a stem was {-20 * math.log10(state['gain']):.1f} dB above "
                f"full scale, so all are saved that much quieter; bits=32 keeps their level",
                stacklevel=4,
            )
        return state["gain"]

    def _write_stem(self, path: Path, blocks: Iterator[Tensor], gain: float) -> None:
        import soundfile

        song, subtype = self.song, audio._SUBTYPES[self.bits]
        long = song.frames * song.channels * self.bits // 8 > _WAV_LIMIT
        kind = "FLAC" if self.format == "flac" else "RF64" if long else "WAV"
        with (
            atomic_path(path) as beside,
            soundfile.SoundFile(
                beside, "w", song.samplerate, song.channels, subtype, format=kind
            ) as file,
        ):
            for block in blocks:
                samples = block.double().numpy().T
                file.write(
                    samples if self.bits == 32 else audio._to_integers(samples * gain, self.bits)
                )


def _raw_blocks(path: Path, channels: int) -> Iterator[Tensor]:
    with path.open("rb") as file:
        while data := file.read(_BLOCK * channels * 4):
            yield torch.from_numpy(np.frombuffer(data, np.float32).reshape(-1, channels).T.copy())


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _fingerprint(
    song: _Song, model: nn.Module, options: Options, names: list[str]
) -> dict[str, Any]:
    """What stems depend on; it tells the leavings of this very job from those of another."""
    crc = 0
    for weight in model.state_dict().values():
        crc = zlib.crc32(weight.detach().cpu().reshape(-1).view(torch.uint8).numpy(), crc)
    stat = song.path.stat()
    return {
        "song": song.path.name,
        "bytes": stat.st_size,
        "changed": stat.st_mtime_ns,
        "model": " ".join(repr(model).split())[:200],
        "weights": f"{crc:08x}",
        **{k: v for k, v in asdict(options).items() if k not in ("batch", "workers")},
        "stems": names,
    }


@contextmanager
def _told_in_a_sentence(folder: Path) -> Iterator[None]:
    """What goes wrong with the disk, in words that say what to do."""
    import soundfile

    try:
        yield
    except (OSError, soundfile.SoundFileError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "error_string", None) or error
        kept = (folder / ".partial" / "state.json").exists()
        raise OSError(
            f"cannot write the stems into {folder}: {str(reason).rstrip('.')}; "
            + (
                "what is separated so far is kept: make room and start again to go on"
                if kept
                else "nothing was left behind: choose another folder"
            )
        ) from error
