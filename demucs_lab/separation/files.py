"""Sound files of any length, block by block: read, resampled, separated, written (lesson 08).

Nothing here holds more of a song than a few segments, so a three-hour file needs no more memory
than a three-minute one. What is separated is first kept as raw numbers in a hidden folder beside
the stems; a stem gets its name when it is whole, and an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import math
import os
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

from demucs_lab.audio.files import audio_info
from demucs_lab.audio.stream import SoundBlocks, Window, resampled, write_blocks
from demucs_lab.common.lock import alone_in
from demucs_lab.separation.device import device_of
from demucs_lab.separation.model import (
    Named,
    Separable,
    chosen_stems,
    parts_of,
    ready_model,
    with_channels,
)
from demucs_lab.separation.segments import Options, lookback
from demucs_lab.separation.stem_folder import StemFolder
from demucs_lab.separation.tricks import in_step
from demucs_lab.separation.waveform import EPS, separated

FORMATS = ("wav", "flac")
_BLOCK = 1 << 18  # samples
_SAVE_EVERY = 10.0  # seconds between two states from which a run can go on
_HEADER = 1 << 13  # bytes at most that a sound file takes besides its samples
_WAV_LIMIT = 0xFFFFFFFF - (1 << 16)  # bytes; a longer file is written as RF64


def separate_file(
    path: str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    model: Separable | nn.Module | Named = "htdemucs",
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
    mix_down: bool = False,
) -> dict[str, Path]:
    """Separate a sound file of any format and length into `out_dir/SONG/STEM.wav` (lesson 08).

    The same sound as `separate` gives, in constant memory. Stems have the length, rate and channels
    of the file. If one exceeds full scale, all are turned down alike and a warning says so. Called
    again after an interruption it goes on; called again after it has finished it has nothing to do.
    With other options or another model it says so and replaces the stems that it made; files that
    it did not make are never overwritten.

    Args:
        path: WAV, FLAC, OGG and MP3, or anything that ffmpeg reads.
        out_dir: where to; it is made if need be.
        model: a model, or what `pretrained.load` takes.
        two_stems: a stem, say "vocals": writes it and the rest of the mixture, "no_vocals".
        stems: those wanted; None: all.
        format: "wav" or "flac".
        bits: 16, 24, or 32 (floats, WAV only, never turned down).
        mix_down: take surround sound as the stereo that it folds down to (`audio.mix_down`).
        segment, overlap, shifts, seed, resample, device, progress, batch, precision, workers:
            see `separate`.

    Returns:
        The file of each stem.

    Raises:
        FileNotFoundError, ValueError: if the file is missing, damaged, cut short or holds NaN, an
            option makes no sense, or the folder holds stems of another song or other files
            under the same names; nothing is written then.
        BlockingIOError: if another program separates into that very folder now.
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
    SoundBlocks(path)  # a wrong name is an error before weights are downloaded
    separator = ready_model(model)
    device_of(separator, device)  # so is a device that is not there, before the song is read
    wanted = [two_stems] if two_stems is not None else stems
    chosen = chosen_stems(separator, wanted)
    song = _scan(SoundBlocks(path, stereo=mix_down), separator, progress)
    names = [separator.sources[stem] for stem in chosen]
    rest = None if two_stems is None else f"no_{two_stems}"
    made = _fingerprint(song, separator, options, [*names, *([rest] if rest else [])])
    where = Path(out_dir).expanduser() / stems_folder(song.path)
    folder = StemFolder(where, song.path.name, names, rest, format, bits, made)
    with _disk_errors_explained(folder), alone_in(where, "stems are written into it"):
        if not folder.finished():
            job = _Job(song, folder, separator.samplerate, separator.audio_channels)
            job.separate(separator, options, chosen, device, progress)
            job.write()
    return folder.files


def stems_folder(path: str | os.PathLike[str]) -> str:
    """What the folder of a song's stems is called: as its file, without the ending.

    >>> stems_folder("music/song.mp3"), stems_folder("...wav")
    ('song', '...wav')
    """
    path = Path(path)
    return path.name if path.stem in (".", "..") else path.stem


@dataclass(frozen=True)
class _Song:
    """What is known of a sound file once it was read from end to end.

    Attributes:
        stereo: whether surround sound is mixed down.
        samplerate, channels, frames: of the file.
        length: in samples at the model's rate.
        mean, std: of its mono sum at the model's rate.
    """

    path: Path
    stereo: bool
    samplerate: int
    channels: int
    frames: int
    length: int
    mean: float
    std: float

    def sound(self) -> SoundBlocks:
        """It, read again."""
        return SoundBlocks(self.path, stereo=self.stereo)


def _as_input(sound: SoundBlocks, model: Separable) -> Iterator[Tensor]:
    """The sound at the rate and with the channels of the model, `[C, n]`."""
    if sound.channels not in (1, model.audio_channels):
        raise ValueError(
            f"{sound.path.name} has {sound.channels} channels, the model takes "
            f"{model.audio_channels}: mix it down to stereo with --mix-down (in Python, "
            f"mix_down=True)"
        )
    blocks = (with_channels(block, model.audio_channels) for block in sound)
    return resampled(blocks, sound.samplerate, model.samplerate)


def _scan(sound: SoundBlocks, model: Separable, progress: bool) -> _Song:
    """Read the file through: is it whole, how long is it, how loud is it."""
    from tqdm.auto import tqdm

    length, total, squares, offset = 0, 0.0, 0.0, 0.0
    with tqdm(
        desc=f"reading {sound.path.name}", unit="s", disable=not progress, leave=False
    ) as bar:
        for block in _as_input(sound, model):
            mono = block.mean(0).double()
            offset = offset if length else float(mono.mean())  # near the mean: exact squares
            length += len(mono)
            total += float((mono - offset).sum())
            squares += float((mono - offset).square().sum())
            bar.update(round(len(mono) / model.samplerate, 1))
    variance = max(0.0, squares - total**2 / length) / max(1, length - 1)
    return _Song(
        path=sound.path,
        stereo=sound.stereo,
        samplerate=sound.samplerate,
        channels=sound.channels,
        frames=sound.frames,
        length=length,
        mean=offset + total / length,
        std=math.sqrt(variance) + EPS,
    )


@dataclass
class _Job:
    """One song on its way to its stems: separated into raw samples, then written one by one."""

    song: _Song
    folder: StemFolder
    model_rate: int
    model_channels: int

    def separate(
        self,
        model: Separable,
        options: Options,
        stems: list[int],
        device: str | torch.device | None,
        progress: bool,
    ) -> None:
        """Append to the raw files what is still missing."""
        song, names = self.song, self.folder.names
        stem_bytes = song.frames * song.channels * self.folder.bits // 8 + _HEADER
        begin = self.folder.begin(4 * self.model_channels, song.length, stem_bytes)
        if begin == song.length:
            return
        mean, std = song.mean, song.std
        normal = ((block - mean) / std for block in _as_input(song.sound(), model))
        where = device_of(model, device)
        keep = max(lookback(part, options, song.length, where) for part, _ in parts_of(model))
        window = Window(normal, song.length, keep)
        blocks = separated(model, window.read, song.length, options, stems, begin, device, progress)
        with ExitStack() as stack:
            raw = [stack.enter_context(self.folder.raw(name).open("ab")) for name in names]
            stack.enter_context(closing(blocks))
            done, saved = begin, time.monotonic()
            try:
                for block in blocks:
                    for file, stem in zip(raw, block * std + mean, strict=True):
                        file.write(stem.T.contiguous().numpy().tobytes())
                    done += block.shape[-1]
                    if time.monotonic() - saved > _SAVE_EVERY:
                        self._save(raw, done)
                        saved = time.monotonic()
            finally:
                self._save(raw, done)

    def write(self) -> None:
        """Turn the raw files into sound files, one after the other."""
        folder, gain = self.folder, self._gain()
        folder.claim()
        for name, file in folder.in_writing_order:
            if folder.raw(name).exists():
                self._write_stem(file, self._sound(name), gain)
                if name != folder.rest:
                    folder.raw(name).unlink()
        folder.finish()

    def _save(self, raw: Sequence[IO[bytes]], done: int) -> None:
        for file in raw:
            file.flush()
            os.fsync(file.fileno())
        self.folder.note_state(done=done)

    def _sound(self, name: str) -> Iterator[Tensor]:
        """A stem as it is written, `[C, n]`, or what the one stem leaves of the mixture."""
        stem = self._stem(name)
        if name != self.folder.rest:
            return stem
        mixture = self.song.sound()
        return (whole - part for whole, part in in_step([mixture, stem]))

    def _stem(self, name: str) -> Iterator[Tensor]:
        """Raw samples at the rate and with the channels and the length of the song, `[C, n]`."""
        blocks = _raw_blocks(self.folder.raw(name), self.model_channels)
        left = self.song.frames
        for block in resampled(blocks, self.model_rate, self.song.samplerate):
            block = block[..., :left]
            left -= block.shape[-1]
            yield block.mean(0, keepdim=True) if self.song.channels == 1 else block

    def _gain(self) -> float:
        """What brings the loudest stem to full scale: one for all, kept over interruptions."""
        folder, state = self.folder, self.folder.state()
        known = isinstance(state.get("gain"), float) and 0 < state["gain"] <= 1
        if not known or state.get("written_as") != [folder.format, folder.bits]:
            peak = 1.0
            if folder.bits != 32:
                peak = max(
                    float(block.abs().max()) for name in folder.files for block in self._sound(name)
                )
            state = {
                "done": self.song.length,
                "gain": 1 / max(1.0, peak),
                "written_as": [folder.format, folder.bits],
            }
            folder.note_state(**state)
        if state["gain"] < 1:
            warnings.warn(
                f"{self.song.path.name}: a stem was {-20 * math.log10(state['gain']):.1f} dB above "
                f"full scale, so all are saved that much quieter; bits=32 keeps their level",
                stacklevel=4,
            )
        return state["gain"]

    def _write_stem(self, path: Path, blocks: Iterator[Tensor], gain: float) -> None:
        song, bits = self.song, self.folder.bits
        long = song.frames * song.channels * bits // 8 > _WAV_LIMIT
        kind = "FLAC" if self.folder.format == "flac" else "RF64" if long else "WAV"
        scaled = blocks if bits == 32 else (block.double() * gain for block in blocks)
        with self.folder.whole(path) as beside:
            write_blocks(beside, scaled, song.samplerate, song.channels, bits, kind)
            if (written := audio_info(beside).frames) != song.frames:
                raise OSError(
                    f"{path.name} has {written} samples where the song has {song.frames}, so "
                    f"something else changed {self.folder.partial}"
                )


def _raw_blocks(path: Path, channels: int) -> Iterator[Tensor]:
    with path.open("rb") as file:
        while data := file.read(_BLOCK * channels * 4):
            yield torch.from_numpy(np.frombuffer(data, np.float32).reshape(-1, channels).T.copy())


def _fingerprint(
    song: _Song, model: Separable, options: Options, names: list[str]
) -> dict[str, Any]:
    """What stems depend on: partial files of another job have another fingerprint."""
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
        **({"mix_down": True} if song.stereo else {}),
    }


@contextmanager
def _disk_errors_explained(folder: StemFolder) -> Iterator[None]:
    """An error of the disk becomes one sentence that says what to do."""
    import soundfile

    try:
        yield
    except BlockingIOError:
        raise
    except (OSError, soundfile.SoundFileError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "error_string", None) or error
        kept = bool(folder.state())
        raise OSError(
            f"cannot write the stems into {folder.path}: {str(reason).rstrip('.')}; "
            + (
                "what is separated so far is kept: make room and start again to go on"
                if kept
                else "nothing was left behind: choose another folder"
            )
        ) from error
