"""Sound files read, resampled, looked at through a window and written, block by block."""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from demucs_lab.audio import ffmpeg
from demucs_lab.audio.files import SUBTYPES, audio_info, to_integers
from demucs_lab.audio.headers import c_name, existing, for_libsndfile, refuse_cut
from demucs_lab.audio.waveform import check_waveform, mix_down, resample


class SoundBlocks(Iterable[Tensor]):
    """The sound of a file as blocks `[C, n]`, float32, with the checks of `load_audio`.

    Args:
        path: the file.
        block: samples that are read at once.
        stereo: mix surround sound down to two channels (`mix_down`).

    Attributes:
        samplerate, channels: of the file.
        frames: samples read so far.

    Raises:
        FileNotFoundError, IsADirectoryError, ValueError, RuntimeError: as `load_audio` does; damage
            inside the file shows when the block that holds it is read.
    """

    def __init__(
        self, path: str | os.PathLike[str], block: int = 1 << 18, stereo: bool = False
    ) -> None:
        self.path = existing(path)
        refuse_cut(self.path)
        self.samplerate, self.promised, self.coded_channels = audio_info(self.path)
        self.stereo = stereo
        self.channels = min(2, self.coded_channels) if stereo else self.coded_channels
        self.block, self.frames = block, 0
        self.plain = for_libsndfile(self.path)

    def __iter__(self) -> Iterator[Tensor]:
        self.frames = 0
        for samples in self._soundfile() if self.plain else self._ffmpeg():
            block = torch.from_numpy(np.ascontiguousarray(samples.T))
            try:
                check_waveform(block, self.path.name, self.samplerate)
            except ValueError as error:
                seconds = self.frames / self.samplerate
                raise ValueError(f"{error} (in what follows {seconds:.1f} s)") from error
            self.frames += block.shape[1]
            yield mix_down(block) if self.stereo else block
        if self.frames == 0:
            raise ValueError(f"{self.path.name} holds no sound: its length is 0 samples")

    def _soundfile(self) -> Iterator[np.ndarray]:
        import soundfile

        try:
            with soundfile.SoundFile(c_name(self.path)) as file:
                while len(samples := file.read(self.block, dtype="float32", always_2d=True)):
                    yield samples
        except soundfile.SoundFileError as error:
            raise ValueError(
                f"{self.path.name} is damaged or cut short ({error}): copy or download it again"
            ) from error
        self._refuse_if_short(self.promised)

    def _ffmpeg(self) -> Iterator[np.ndarray]:
        exact, command = ffmpeg.probe(self.path).exact, ffmpeg.decoding(self.path)
        width = 4 * self.coded_channels
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as running,
        ):
            assert running.stdout is not None
            try:
                while data := running.stdout.read(self.block * width):
                    whole = len(data) // width * width
                    yield np.frombuffer(data[:whole], "<f4").reshape(-1, self.coded_channels).copy()
            except BaseException:  # also when the reader has enough
                running.kill()
                raise
            failed = running.wait() != 0
            errors.seek(0)
            said = errors.read()
            if failed:
                raise ffmpeg.refused(self.path, said)
            ffmpeg.refuse_cut(self.path, said)
        if exact:
            self._refuse_if_short(int(self.promised - self.samplerate / 10))

    def _refuse_if_short(self, least: int) -> None:
        if self.frames < least:
            raise ValueError(
                f"{self.path.name} is cut short: its header promises "
                f"{self.promised / self.samplerate:.2f} s, it holds "
                f"{self.frames / self.samplerate:.2f} s; copy or download it again"
            )


def write_blocks(
    path: str | os.PathLike[str],
    blocks: Iterable[Tensor],
    samplerate: int,
    channels: int,
    bits: int,
    kind: str,
) -> None:
    """Write blocks `[C, n]` as one sound file.

    Args:
        path: where to.
        blocks: the sound, within full scale unless `bits` is 32.
        samplerate: in Hz.
        channels: C.
        bits: 16 or 24 (integers), or 32 (floats).
        kind: "WAV", "RF64" (a WAV of more than 4 GB) or "FLAC".

    Raises:
        OSError, soundfile.SoundFileError: if the file cannot be written.
    """
    import soundfile

    name, subtype = c_name(Path(path)), SUBTYPES[bits]
    with soundfile.SoundFile(name, "w", samplerate, channels, subtype, format=kind) as file:
        for block in blocks:
            samples = block.double().numpy().T
            file.write(samples if bits == 32 else to_integers(samples, bits))


def resampled(blocks: Iterable[Tensor], old: int, new: int) -> Iterator[Tensor]:
    """What `resample` gives for the whole, `[..., T]` → `[..., ⌈T·new/old⌉]`, in blocks."""
    if old == new:
        yield from blocks
        return
    unit, made = old // math.gcd(old, new), new // math.gcd(old, new)
    half = math.ceil(64 * unit / (0.94 * min(unit, made)))  # the filter's, at the old rate
    margin = math.ceil(half / unit) + 1  # in units, of which each gives `made` whole samples
    buffer: Tensor | None = None
    known = 0  # units at the start of `buffer` whose sound was given already
    for block in blocks:
        buffer = block if buffer is None else torch.cat([buffer, block], -1)
        units = buffer.shape[-1] // unit
        if units > known + 2 * margin:
            finer = resample(buffer[..., : units * unit], old, new)
            yield finer[..., known * made : (units - margin) * made]
            buffer, known = buffer[..., (units - 2 * margin) * unit :].clone(), margin
    if buffer is not None:
        yield resample(buffer, old, new)[..., known * made :]


class Window:
    """A stream `[C, n]` that can be read like a tensor, as long as one never looks far back.

    Args:
        blocks: the stream.
        length: its length in samples; outside of it there is silence.
        keep: samples behind the latest one that stay readable.
    """

    def __init__(self, blocks: Iterator[Tensor], length: int, keep: int) -> None:
        self.blocks, self.length, self.keep = blocks, length, keep
        self.buffer = next(blocks)
        self.start = 0

    def read(self, start: int, stop: int) -> Tensor:
        """`[C, stop - start]`."""
        while self.start + self.buffer.shape[-1] < min(stop, self.length):
            block = next(self.blocks, None)
            if block is None:
                raise ValueError("the file became shorter while it was read: try again")
            self.buffer = torch.cat([self.buffer, block], -1)
            spare = self.buffer.shape[-1] - self.keep - block.shape[-1]
            if spare > block.shape[-1]:
                self.buffer, self.start = self.buffer[..., spare:].clone(), self.start + spare
        if max(0, start) < min(self.start, stop):
            raise IndexError(f"sample {start} is no longer kept: keep more than {self.keep}")
        return silent_outside(self.buffer, start - self.start, stop - self.start)


def silent_outside(song: Tensor, start: int, stop: int) -> Tensor:
    """`song[..., start:stop]`, with zeros before and after the song.

    >>> silent_outside(torch.ones(3), -2, 2)
    tensor([0., 0., 1., 1.])
    """
    length = song.shape[-1]
    left, right = min(max(0, start), stop), max(min(stop, length), start)
    if left >= right:
        return song.new_zeros(*song.shape[:-1], stop - start)
    return F.pad(song[..., left:right], (left - start, stop - right))
