"""The tune: motifs that return, on chord tones where it counts, with words that scan."""

from __future__ import annotations

import numpy as np

from .lyrics import TAILS, syllables, write_line
from .plan import Plan
from .score import Note

RANGES = {"alto": (57, 74), "mezzo": (60, 76), "tenor": (55, 70), "baritone": (55, 67)}
"""MIDI range of each voice."""
BREATH = 0.22
"""Seconds kept free at the end of a phrase for breathing."""


def _rhythm(rng: np.random.Generator, steps: int, count: int, busy: bool) -> list[int]:
    """Steps on which `count` syllables fall within a phrase; the last one is held."""
    first = int(rng.choice([0, 0, 2, 2, 3] if busy else [0, 0, 2, 4]))
    last = int(steps * rng.uniform(0.62, 0.76)) // 2 * 2
    slots = list(range(first, last + 1, 2))
    if len(slots) < count:
        slots = list(range(first, last + 1))
    inner = slots[1:-1]
    weight = np.array([1.6 if s % 4 == 0 else (1.2 if s % 2 == 0 else 0.35) for s in inner])
    take = max(0, min(count - 2, len(inner)))
    chosen = rng.choice(len(inner), size=take, replace=False, p=weight / weight.sum())
    return sorted({slots[0], slots[-1], *(inner[i] for i in chosen)})


def _contour(rng: np.random.Generator) -> np.ndarray:
    shapes = (
        lambda x: np.sin(np.pi * x),
        lambda x: 1 - 2 * x,
        lambda x: 2 * x - 1,
        lambda x: np.cos(2 * np.pi * x),
        lambda x: np.sin(2 * np.pi * x) * (1 - 0.4 * x),
    )
    x = np.linspace(0, 1, 33)
    return shapes[rng.integers(len(shapes))](x) * rng.uniform(2.0, 4.5) + rng.normal(0, 0.3, 33)


def _tune(
    plan: Plan, bar: int, onsets: list[int], contour: np.ndarray, centre: float,
    limits: tuple[int, int], close: bool,
) -> list[int]:  # fmt: skip
    """A pitch for each onset: chord tones on beats and long notes, steps of the scale between."""
    ladder = [p for p in range(limits[0], limits[1] + 1) if p % 12 in plan.scale]
    pitches: list[int] = []
    for position, step in enumerate(onsets):
        aim = centre + float(contour[int(32 * position / max(1, len(onsets) - 1))]) * 1.7
        chord = plan.chord_at(bar + step // plan.steps, step % plan.steps)
        final = position == len(onsets) - 1
        strong = step % 4 == 0 or final
        options = [p for p in range(limits[0], limits[1] + 1) if p % 12 in chord]
        if final and close and plan.tonic in chord:
            options = [p for p in options if p % 12 == plan.tonic] or options
        if not strong:
            options = ladder
        before = pitches[-1] if pitches else aim
        pitches.append(
            min(
                options,
                key=lambda p: abs(p - aim) + 0.55 * max(0, abs(p - before) - 4) + 0.01 * p,
            )
        )
    return pitches


class _Part:
    """What returns each time a section returns: rhythm, contours and rhymes."""

    def __init__(self, rng: np.random.Generator, plan: Plan, name: str, bars: int) -> None:
        bar_seconds = plan.steps * 15 / plan.tempo
        self.bars = 2 if bar_seconds < 2.35 and bars >= 2 else 1
        seconds = self.bars * bar_seconds
        density = rng.uniform(1.9, 2.5) if name == "chorus" else rng.uniform(2.2, 3.0)
        self.count = int(np.clip(round(seconds * density), 3, 11))
        self.rhythms = [
            _rhythm(rng, self.bars * plan.steps, self.count, name != "chorus") for _ in range(2)
        ]
        if rng.random() < 0.6:
            self.rhythms[1] = self.rhythms[0]
        self.contours = [_contour(rng), _contour(rng)]
        self.rhymes = [int(r) for r in rng.choice(len(TAILS), size=2, replace=False)]
        self.pattern = ((0, 0, 0, 1), (0, 1, 0, 1), (0, 1, 0, 0))[rng.integers(3)]
        self.texts: list[str] = []


def sing(
    plan: Plan, rng: np.random.Generator, band: dict, duration: float
) -> tuple[list[Note], list[tuple[str, float, float]], str, list[tuple[float, float, int]]]:
    """Melody and words.

    Returns:
        the notes of the vocals; the lines as (text, start, duration); the hook (first line of the
        chorus); and the chorus tune an octave up, as (start, duration, pitch), for the intro.
    """
    low, high = RANGES[band["voice"]]
    middle = (low + high) / 2
    centres = {"verse": middle - 2.5, "chorus": middle + 2.0, "bridge": middle + 0.5}
    longest: dict[str, int] = {}
    for name, _, bars in plan.sections():
        longest[name] = max(longest.get(name, 0), bars)
    parts = {
        name: _Part(rng, plan, name, longest.get(name, longest.get("chorus", 1)))
        for name in ("verse", "chorus", "bridge")
    }
    used: set[str] = set()
    chorus = parts["chorus"]
    for phrase in range(4):
        chorus.texts.append(write_line(rng, chorus.count, chorus.rhymes[phrase // 2], used))
    notes: list[Note] = []
    lines: list[tuple[str, float, float]] = []
    tune: list[tuple[int, int, int]] = []

    for name, first, bars in plan.sections():
        part = parts.get("chorus" if name == "outro" else name)
        if part is None:
            continue
        size = min(part.bars, bars)
        for phrase in range(bars // size):
            bar = first + phrase * size
            which = part.pattern[phrase % 4]
            onsets = [s for s in part.rhythms[which] if s < size * plan.steps * 0.8]
            if part is chorus:
                text = chorus.texts[phrase % 4]
            else:
                text = write_line(rng, len(onsets), part.rhymes[phrase // 2 % 2], used)
            words = syllables(text)
            if len(words) > len(onsets):
                words = words[-len(onsets) :]
                text = " ".join(w for w, _ in words if "-" not in w)
            while len(onsets) > len(words):
                onsets.remove(max(onsets[1:-1] or onsets, key=lambda s: (s % 4 != 0, s % 2, s)))
            last = phrase == bars // size - 1
            pitches = _tune(
                plan,
                bar,
                onsets,
                part.contours[which],
                centres.get(name, middle),
                (low, high),
                last,
            )
            if part is chorus and not tune:
                tune = [
                    (s, b - s, p)
                    for s, b, p in zip(
                        onsets, [*onsets[1:], size * plan.steps - 2], pitches, strict=True
                    )
                ]
            ends = [plan.time(bar, s) for s in onsets[1:]]
            limit = plan.time(bar, size * plan.steps) - BREATH
            hold = plan.time(bar, onsets[-1]) + float(rng.uniform(0.6, 1.5))
            ends.append(max(min(limit, hold), plan.time(bar, onsets[-1]) + 0.2))
            level = {"chorus": 0.95, "outro": 0.85, "verse": 0.78, "bridge": 0.8}[name]
            shift = np.clip(rng.normal(0.004, 0.008, len(onsets)), -0.02, 0.03)
            starts = [
                max(0.12, plan.time(bar, s) + float(d)) for s, d in zip(onsets, shift, strict=True)
            ]
            for position, (word, sounds) in enumerate(words):
                end = starts[position + 1] if position + 1 < len(words) else ends[-1]
                accent = 1.0 if onsets[position] % 4 == 0 else 0.9
                velocity = float(np.clip(level * accent * rng.uniform(0.92, 1.05), 0.1, 1))
                notes.append(
                    Note("vocals", "voice", round(starts[position], 5),
                         round(end - starts[position], 5), pitches[position], round(velocity, 3),
                         word, sounds)
                )  # fmt: skip
            lines.append((text, round(starts[0], 5), round(ends[-1] - starts[0], 5)))
    end = plan.time(plan.bars, 0)
    if rng.random() < 0.5 and notes and notes[-1].start + notes[-1].duration < end - 0.1:
        chord = plan.chords[-1][3]
        pitch = min(
            (p for p in range(low, high + 1) if p % 12 in chord),
            key=lambda p: abs(p - notes[-1].pitch),
        )
        length = round(min(1.2, duration - 0.35 - end), 5)
        notes.append(Note("vocals", "voice", round(end, 5), length, pitch, 0.8, "oh", "OW"))
        lines.append(("oh", round(end, 5), length))
    if band["harmony"]:
        notes += _harmony(plan, notes, low, high)
    lead = []
    for name, first, bars in plan.sections():
        if name == "intro":
            lead = [
                (plan.time(first, s), (plan.time(first, s + n) - plan.time(first, s)) * 0.9, p + 12)
                for s, n, p in tune
                if s < bars * plan.steps
            ]
    return notes, lines, chorus.texts[0], lead


def _harmony(plan: Plan, notes: list[Note], low: int, high: int) -> list[Note]:
    """A second voice a third away in the scale, in choruses."""
    spans = [
        (plan.time(bar, 0) - 0.2, plan.time(bar + bars, 0) - 0.2)
        for name, bar, bars in plan.sections()
        if name in ("chorus", "outro")
    ]
    ladder = [p for p in range(40, 100) if p % 12 in plan.scale]
    extra = []
    for note in notes:
        if not any(begin <= note.start < end for begin, end in spans):
            continue
        position = min(range(len(ladder)), key=lambda i: abs(ladder[i] - note.pitch))
        above, below = ladder[position + 2], ladder[position - 2]
        pitch = above if above <= high else below
        if low <= pitch <= high:
            extra.append(
                Note("vocals", "harmony voice", note.start, note.duration, pitch,
                     note.velocity, note.syllable, note.phonemes)
            )  # fmt: skip
    return extra
