"""A singer: a glottal wavetable and noise, through formants that glide from sound to sound.

Source-filter synthesis (Fant 1960; formants of Peterson & Barney 1952; cascade after Klatt 1980).
The source is made sample by sample; the filter changes every 11.6 ms, by overlap-add.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d

from .score import Note
from .synth import Wavetable, noise

VOWELS = {
    "AA": (730, 1090, 2440), "AE": (660, 1720, 2410), "AH": (640, 1190, 2390),
    "AO": (570, 840, 2410), "EH": (530, 1840, 2480), "ER": (490, 1350, 1690),
    "IH": (390, 1990, 2550), "IY": (290, 2290, 3010), "UH": (440, 1020, 2240),
    "UW": (310, 870, 2240),
}  # fmt: skip
GLIDES = {
    "AY": ("AA", "IH"), "EY": ("EH", "IY"), "OW": ("AO", "UH"), "AW": ("AA", "UH"),
    "OY": ("AO", "IH"),
}  # fmt: skip
# Voiced consonants: formants, level of the voice, level of friction, seconds.
SONORANTS = {
    "M": ((250, 1000, 2200), 0.30, 0.0, 0.075), "N": ((250, 1450, 2300), 0.30, 0.0, 0.065),
    "NG": ((250, 1900, 2600), 0.28, 0.0, 0.075), "L": ((360, 1200, 2700), 0.5, 0.0, 0.065),
    "R": ((340, 1200, 1600), 0.55, 0.0, 0.070), "W": ((300, 650, 2200), 0.5, 0.0, 0.070),
    "Y": ((270, 2250, 3000), 0.5, 0.0, 0.065), "V": ((280, 1100, 2300), 0.28, 0.10, 0.060),
    "DH": ((290, 1400, 2500), 0.30, 0.08, 0.045), "Z": ((270, 1600, 2500), 0.20, 0.35, 0.075),
}  # fmt: skip
# Friction: centre in Hz, width in octaves, level, seconds.
FRICATIVES = {
    "S": (7000, 0.55, 0.75, 0.100), "SH": (3600, 0.6, 0.8, 0.100), "F": (6500, 1.4, 0.22, 0.080),
    "TH": (6800, 1.3, 0.18, 0.075), "HH": (1700, 1.3, 0.22, 0.065), "Z": (6800, 0.5, 0.35, 0.075),
    "V": (5500, 1.3, 0.1, 0.06), "DH": (5500, 1.3, 0.08, 0.045),
}  # fmt: skip
# Stops: centre and width of the burst, its level, silence before it, breath after it, voiced.
STOPS = {
    "P": (1100, 1.2, 0.45, 0.055, 0.030, False), "T": (4200, 0.9, 0.7, 0.050, 0.030, False),
    "K": (2000, 0.7, 0.6, 0.055, 0.035, False), "B": (900, 1.2, 0.3, 0.045, 0.008, True),
    "D": (3600, 0.9, 0.4, 0.040, 0.008, True), "G": (1900, 0.7, 0.4, 0.045, 0.010, True),
    "CH": (3500, 0.6, 0.8, 0.050, 0.060, False), "JH": (3400, 0.6, 0.5, 0.045, 0.045, True),
}  # fmt: skip
BANDWIDTHS = (95, 110, 150, 200, 260)
UPPER = (3150.0, 3900.0)
"""Fourth and fifth formant in Hz, close together: the singer's formant (Sundberg 1974)."""
EVENNESS = 0.6
"""How much of the difference in loudness between vowels the singer evens out, from 0 to 1."""
STEP = 0.005
"""Seconds between the points of the pitch, level and formant curves."""


@dataclass(frozen=True)
class Singer:
    """What makes one voice differ from another."""

    tract: float
    """formants relative to the tables: a shorter throat is above 1"""
    tilt: float
    """glottal harmonics fall as k^−tilt"""
    air: float
    vibrato: tuple[float, float]
    """Hz and semitones"""


SINGERS = {
    "alto": Singer(1.12, 1.05, 0.035, (5.6, 0.42)),
    "mezzo": Singer(1.17, 1.15, 0.045, (5.9, 0.38)),
    "tenor": Singer(1.03, 0.95, 0.025, (5.4, 0.36)),
    "baritone": Singer(0.97, 0.90, 0.030, (5.1, 0.32)),
}


@dataclass
class _Curves:
    """Control points over time, joined by straight lines."""

    formants: list[tuple[float, tuple[float, float, float]]] = field(default_factory=list)
    voice: list[tuple[float, float]] = field(default_factory=list)
    friction: list[tuple[float, float]] = field(default_factory=list)
    colour: list[tuple[float, float, float]] = field(default_factory=list)

    def sound(self, start: float, end: float, level: float, edge: float = 0.012) -> None:
        self.voice += [(start, level), (max(start + 0.001, end - edge), level)]

    def hiss(self, start: float, end: float, level: float, centre: float, width: float) -> None:
        edge = min(0.015, 0.3 * (end - start))
        self.friction += [(start, 0.0), (start + edge, level), (end - edge, level), (end, 0.0)]
        self.colour += [(start, centre, width), (end, centre, width)]


def _split(phonemes: str) -> tuple[list[str], str, list[str]]:
    """Consonants before the vowel, the vowel, consonants after it."""
    sounds = phonemes.split()
    position = next(i for i, s in enumerate(sounds) if s in VOWELS or s in GLIDES)
    return sounds[:position], sounds[position], sounds[position + 1 :]


def _length(sound: str) -> float:
    if sound in STOPS:
        return STOPS[sound][3] + STOPS[sound][4]
    return SONORANTS[sound][3] if sound in SONORANTS else FRICATIVES[sound][3]


def _consonants(curves: _Curves, sounds: list[str], start: float, end: float, level: float) -> None:
    """Put consonants between two times, squeezed or not, in proportion to their lengths."""
    if not sounds:
        return
    scale = (end - start) / sum(_length(s) for s in sounds)
    for sound in sounds:
        stop = start + _length(sound) * scale
        if sound in STOPS:
            centre, width, burst, closed, _, voiced = STOPS[sound]
            release = start + closed * scale
            curves.sound(start + 0.008, release, 0.06 * level if voiced else 0.0)
            curves.hiss(release, max(stop, release + 0.012), 2.2 * burst * level, centre, width)
            curves.sound(release, stop, 0.25 * level if voiced else 0.0, 0.002)
        else:
            if sound in SONORANTS:
                formants, share, _, _ = SONORANTS[sound]
                curves.formants += [
                    (start + 0.3 * (stop - start), formants),
                    (stop - 0.012, formants),
                ]
                curves.sound(start + 0.008, stop, share * level)
            else:
                curves.sound(start + 0.008, stop, 0.0)
            if sound in FRICATIVES:
                centre, width, friction, _ = FRICATIVES[sound]
                curves.hiss(start, stop, 2.2 * friction * level, centre, width)
        start = stop


def _phrases(notes: list[Note]) -> list[list[Note]]:
    groups: list[list[Note]] = []
    for note in notes:
        if groups and note.start - (groups[-1][-1].start + groups[-1][-1].duration) < 0.09:
            groups[-1].append(note)
        else:
            groups.append([note])
    return groups


def _articulate(notes: list[Note]) -> _Curves:
    """Formants, voice and friction over time for a whole song."""
    curves = _Curves()
    for phrase in _phrases(notes):
        for position, note in enumerate(phrase):
            before, vowel, after = _split(note.phonemes)
            first, last = position == 0, position == len(phrase) - 1
            room = 0.12 if first else min(0.13, 0.42 * phrase[position - 1].duration)
            lead = min(sum(map(_length, before)), room)
            ending = note.start + note.duration
            if not last:
                following, _, _ = _split(phrase[position + 1].phonemes)
                ending -= min(sum(map(_length, following)), 0.13, 0.42 * note.duration)
            tail = min(sum(map(_length, after)), 0.38 * (ending - note.start))
            level = note.velocity**1.2
            if first:
                begin = note.start - lead
                curves.voice.append((begin - 0.02, 0.0))
                curves.hiss(max(0.0, begin - 0.30), begin - 0.03, 0.045, 1900, 1.6)
            _consonants(curves, before, note.start - lead, note.start, level)
            stop = ending - tail
            start, goal = GLIDES.get(vowel, (vowel, vowel))
            turn = note.start + 0.55 * (stop - note.start)
            curves.formants += [
                (note.start + 0.02, VOWELS[start]), (turn, VOWELS[start]),
                (stop - 0.015, VOWELS[goal]),
            ]  # fmt: skip
            attack = 0.05 if first and not before else 0.02
            middle = note.start + 0.6 * (stop - note.start)
            curves.voice += [
                (note.start - 0.004, curves.voice[-1][1] if before else 0.15 * level),
                (note.start + attack, 0.95 * level), (middle, level),
            ]  # fmt: skip
            if last and not after:
                curves.voice += [(max(middle + 0.01, stop - 0.09), 0.75 * level), (stop, 0.0)]
            else:
                curves.voice.append((stop - 0.01, 0.8 * level))
            _consonants(curves, after, stop, ending, 0.8 * level)
            if last:
                curves.voice.append((ending + 0.02, 0.0))
    return curves


def pitch_curve(
    notes: list[Note], seconds: float, singer: Singer, seed: int
) -> NDArray[np.float64]:
    """MIDI pitch every `STEP` seconds: glides, scoops into phrases, vibrato, drift."""
    rng = np.random.default_rng([seed, 3])
    count = int(seconds / STEP) + 2
    time = np.arange(count) * STEP
    pitch = np.full(count, float(notes[0].pitch))
    depth = np.zeros(count)
    for phrase in _phrases(notes):
        for position, note in enumerate(phrase):
            pitch[time >= note.start - 0.03] = note.pitch
            end = note.start + note.duration
            if position == 0:
                scoop = rng.uniform(0.4, 1.6)
                into = (time >= note.start - 0.2) & (time < note.start + 0.05)
                pitch[into] = note.pitch - scoop
            if note.duration > 0.32:
                held = (time > note.start + 0.16) & (time < end)
                depth[held] = np.minimum(1, (time[held] - note.start - 0.16) / 0.2)
    pitch = uniform_filter1d(pitch, 13, mode="nearest")
    depth = uniform_filter1d(depth, 15, mode="nearest")
    rate, width = singer.vibrato
    speed = rate * (1 + 0.05 * uniform_filter1d(rng.standard_normal(count), 60, mode="nearest") * 8)
    vibrato = width * np.sin(2 * np.pi * np.cumsum(speed) * STEP + rng.uniform(0, 6))
    drift = uniform_filter1d(rng.standard_normal(count), 40, mode="nearest") * 0.25
    jitter = uniform_filter1d(rng.standard_normal(count), 3, mode="nearest") * 0.03
    return pitch + vibrato * depth + drift + jitter


def _along(points: list[tuple], column: int, time: NDArray) -> NDArray[np.float64]:
    ordered = sorted(points, key=lambda point: point[0])
    return np.interp(time, [p[0] for p in ordered], [p[column] for p in ordered])


def _filters(
    curves: _Curves, singer: Singer, centres: NDArray, frequency: NDArray
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Responses of the throat `[N, F]` and colours of the friction `[N, F]` at some times."""
    f = frequency.astype(np.float32)[None]
    response = np.ones((len(centres), len(frequency)), np.complex64)
    points = [(t, *values) for t, values in curves.formants]
    tracks = [_along(points, column, centres) * singer.tract for column in (1, 2, 3)]
    tracks += [np.full(len(centres), hz * singer.tract) for hz in UPPER]
    for track, bandwidth in zip(tracks, BANDWIDTHS, strict=True):
        square = (track[:, None] ** 2).astype(np.float32)
        loss = np.complex64(1j) * f * np.float32(bandwidth * singer.tract)
        response *= square / (square - f * f + loss)
    response *= np.sqrt(1 + (f / 900) ** 2) * (1 + (f / 3400) ** 8)
    heard = f[0] > 200
    loudness = np.square(np.abs(response)[:, heard] / f[:, heard]).sum(1)
    response *= (loudness / loudness.mean())[:, None] ** np.float32(-EVENNESS / 2)
    centre, width = (_along(curves.colour, column, centres)[:, None] for column in (1, 2))
    octaves = np.log2(np.maximum(f, 20) / centre.astype(np.float32)) / width.astype(np.float32)
    return response, np.exp(-0.5 * octaves**2)


def sing(
    parts: dict[str, list[Note]], voice: str, seed: int, rate: int, samples: int
) -> dict[str, NDArray[np.float32]]:
    """Sing the notes of the voice and of the voices that double it on the same words.

    Args:
        parts: notes by instrument; the first part is the lead and gives the words.
        voice: one of `SINGERS`.
        seed: of the small things: drift, vibrato, breath.
        rate: samplerate in Hz.
        samples: length of the song.

    Returns:
        One mono signal `[T]` for each part, not yet levelled.
    """
    singer = SINGERS[voice]
    lead = next(iter(parts.values()))
    curves = _articulate(lead)
    seconds = samples / rate
    points = np.arange(int(seconds / STEP) + 2) * STEP
    clock = np.arange(samples) / rate
    voiced = np.interp(clock, points, _along(curves.voice, 1, points)).astype(np.float32)
    rubbed = np.interp(clock, points, _along(curves.friction, 1, points)).astype(np.float32)

    rng = np.random.default_rng([seed, 9])
    table = Wavetable(
        rate,
        lambda k: k**-singer.tilt / (1 + (k / 45) ** 2),
        150,
        np.random.default_rng([seed, 4]),
        15000,
    )
    hiss = noise(rng, rate, seconds, lambda f: 1.0 + 0 * f)[:samples].astype(np.float32)

    hop = max(16, round(0.0116 * rate))
    window = np.sin(np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop)).astype(np.float32) ** 2
    size = next_fast_len(4 * hop, real=True)
    count = samples // hop + 2
    centres = np.arange(count) * hop / rate
    response, colour = _filters(curves, singer, centres, np.fft.rfftfreq(size, 1 / rate))

    def frames(signal: NDArray[np.float32]) -> NDArray[np.complex64]:
        padded = np.zeros((count + 1) * hop, np.float32)
        padded[hop : hop + samples] = signal[:samples]
        pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop]
        return rfft(pieces * window, size)

    result = {}
    friction = frames(hiss * rubbed) * colour
    for number, (name, notes) in enumerate(parts.items()):
        curve = pitch_curve(notes, seconds, singer, seed + 101 * number)
        pitch = np.interp(clock, points[: len(curve)], curve[: len(points)])
        glottis = table.play(440.0 * np.exp2((pitch - 69) / 12))
        sung = voiced if number == 0 else voiced * _mask(notes, clock)
        glottis += singer.air * hiss * (0.6 + 0.4 * np.abs(glottis))
        glottis *= sung
        spectrum = frames(glottis) * response
        if number == 0:
            spectrum += friction
        result[name] = _overlap(irfft(spectrum, size)[:, : 4 * hop], hop, samples)
    return result


def _mask(notes: list[Note], clock: NDArray) -> NDArray[np.float32]:
    edges = [(0.0, 0.0)]
    for phrase in _phrases(notes):
        start, end = phrase[0].start, phrase[-1].start + phrase[-1].duration
        edges += [(start - 0.14, 0.0), (start - 0.12, 1.0), (end, 1.0), (end + 0.03, 0.0)]
    return _along(edges, 1, clock).astype(np.float32)


def _overlap(pieces: NDArray[np.float32], hop: int, samples: int) -> NDArray[np.float32]:
    count = len(pieces)
    total = np.zeros(((count + 4), hop), np.float32)
    for part in range(pieces.shape[1] // hop):
        total[part : part + count] += pieces[:, part * hop : (part + 1) * hop]
    return total.reshape(-1)[hop : hop + samples]
