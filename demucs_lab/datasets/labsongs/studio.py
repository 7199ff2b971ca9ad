"""From a score to four stems: the band plays, the desk mixes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import instruments
from .composer import generator
from .drums import DrumKit
from .mixing import Room, balance, brighten, duck, echo, pan_gains, put
from .score import Score
from .synth import fade
from .voice import sing

SOURCES = ("drums", "bass", "other", "vocals")
PEAK = 0.95
RMS = 0.14
SHARES = {"drums": 0.26, "bass": 0.23, "other": 0.23, "vocals": 0.28}
"""Energy of each stem in the mixture before each song's own taste (±1 dB)."""
ROOM_SEND = {"drums": 0.07, "bass": 0.004, "other": 0.06, "vocals": 0.035}


class _Session:
    """One song at one rate: its players, tuned by the song's own seed."""

    def __init__(self, score: Score, rate: int) -> None:
        self.score, self.rate = score, rate
        self.samples = round(score.duration * rate)
        rng = generator(score.split, score.index, "render")
        self.seed = int(rng.integers(2**31))
        self.taste = rng.uniform(-1.0, 1.0, 4)
        self.sides = rng.uniform(0.15, 0.6, 3) * rng.choice([-1, 1])
        self.room = Room(score.band["room"], self.seed, rate, self.samples)

    def _bus(self) -> NDArray[np.float32]:
        return np.zeros((2, self.samples), np.float32)

    def _longest(self, source: str, instrument: str) -> float:
        return max(n.duration for n in self.score.notes_of(source, instrument)) + 0.4

    def drums(self) -> NDArray[np.float32]:
        kit = DrumKit(self.score.band["kit"], self.seed, self.rate)
        bus, send = self._bus(), np.zeros(self.samples, np.float32)
        for turn, note in enumerate(self.score.notes_of("drums")):
            wave, pan, amount = kit.hit(note.instrument, note.velocity, turn)
            at = round(note.start * self.rate)
            put(bus, wave, at, pan_gains(pan))
            size = min(len(wave), self.samples - at)
            send[at : at + size] += amount * wave[:size]
        return self._in_room(bus, send, "drums")

    def bass(self) -> NDArray[np.float32]:
        maker = instruments.bass_maker(self.score.band["bass"], self.seed, self.rate)
        bank = instruments.Bank(
            maker, self.seed, self.rate, self._longest("bass", "bass"), 0.003, 0.06
        )
        line = np.zeros((1, self.samples), np.float32)
        for note in self.score.notes_of("bass"):
            at = round(note.start * self.rate)
            wave = bank.note(note.pitch, note.velocity, note.duration)[: self.samples - at]
            line[0, at : at + len(wave)] += wave
        bus = np.repeat(line * np.float32(0.7), 2, 0)
        return self._in_room(bus, line[0], "bass")

    def other(self) -> NDArray[np.float32]:
        band, total = self.score.band, self._bus()
        makers = {
            "keys": (instruments.keys_maker(band["keys"], self.seed, self.rate), 0.006, 0.12, 1.0),
            "pluck": (
                instruments.pluck_maker(band["pluck"], self.seed, self.rate),
                0.001,
                0.15,
                1.0,
            ),
            "pad": (instruments.pad_maker(band["pad"], self.seed, self.rate), 0.02, 0.35, 0.5),
        }
        makers["lead"] = (makers["keys"][0], 0.006, 0.15, 0.7)
        for position, (name, (maker, attack, release, level)) in enumerate(makers.items()):
            notes = self.score.notes_of("other", name)
            if not notes:
                continue
            longest = self._longest("other", name)
            bank = instruments.Bank(
                maker, self.seed + position, self.rate, longest, attack, release
            )
            bus = self._bus()
            for note in notes:
                put(bus, bank.note(note.pitch, note.velocity, note.duration),
                    round(note.start * self.rate), (1.0, 1.0))  # fmt: skip
            power = np.sqrt(np.mean(bus**2, dtype=np.float64)) + 1e-9
            share = np.sqrt(sum(n.duration for n in notes) / self.score.duration / 3)
            left, right = pan_gains(float(self.sides[position % 3]) * (1 if position % 2 else -1))
            gain = level * min(1.0, share) / power
            total[0] += np.float32(gain * left) * bus[0]
            total[1] += np.float32(gain * right) * bus[1]
        brighten(total, self.rate, 1000.0, 1.2)
        if band["pump"]:
            kicks = [n.start for n in self.score.notes_of("drums", "kick")]
            total *= duck(kicks, band["pump"], self.rate, self.samples)
        return self._in_room(total, total.mean(0), "other")

    def vocals(self) -> NDArray[np.float32]:
        names = ("voice", "harmony voice")
        parts = {name: self.score.notes_of("vocals", name) for name in names}
        parts = {name: notes for name, notes in parts.items() if notes}
        voices = sing(parts, self.score.band["voice"], self.seed, self.rate, self.samples)
        bus, send = self._bus(), np.zeros(self.samples, np.float32)
        for position, wave in enumerate(voices.values()):
            level, pan = ((1.0, 0.0), (0.4, 0.45))[position]
            put(bus, wave * np.float32(level), 0, pan_gains(pan))
            send += np.float32(level) * wave
        if self.score.band["echo"]:
            echo(bus, self.rate, 45.0 / self.score.tempo, 0.16)
        return self._in_room(bus, send, "vocals")

    def _in_room(
        self, bus: NDArray[np.float32], send: NDArray[np.float32], source: str
    ) -> NDArray[np.float32]:
        bus += np.float32(ROOM_SEND[source] ** 0.5) * self.room.reverb(send)
        return bus


def render(score: Score, samplerate: int = 44100) -> dict[str, NDArray[np.int16]]:
    """Play a score: four stems of 16-bit samples, `[2, T]` each, by source.

    The mixture of a LabSong is the sum of these samples, exactly; it stays within ±0.95.

    Args:
        score: from `compose`, or one of your own.
        samplerate: in Hz, 8000 or more; everything is synthesised at this rate.
    """
    if samplerate < 8000:
        raise ValueError(f"songs are rendered at 8000 Hz or more, got samplerate={samplerate}")
    session = _Session(score, samplerate)
    stems = {name: getattr(session, name)() for name in SOURCES}
    for stem in stems.values():
        for row in stem:
            fade(row, samplerate, 0.0, 0.35)
    taste = dict(zip(SOURCES, session.taste, strict=True))
    shares = {name: SHARES[name] * 10 ** (taste[name] / 10) for name in SOURCES}
    balance(stems, shares, PEAK, RMS)
    return {name: np.round(stem * 32767).astype(np.int16) for name, stem in stems.items()}
