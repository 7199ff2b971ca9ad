"""The players: drums, bass, and the chords (keys, pads, plucked strings)."""

from __future__ import annotations

import numpy as np

from .plan import Plan
from .score import Note
from .styles import FILLS, GM_DRUMS

DYNAMICS = {
    "intro": 0.78, "verse": 0.82, "chorus": 1.0, "bridge": 0.8, "outro": 0.85, "end": 0.95
}  # fmt: skip
STRENGTH = {"X": 0.95, "x": 0.72, "o": 0.48, ".": 0.24}


def _human(rng: np.random.Generator, time: float, spread: float) -> float:
    late = min(max(rng.standard_normal(), -2.5), 2.5) * spread
    return max(0.0, time + late)


def _hit(rng: np.random.Generator, level: float) -> float:
    return round(min(max(level * rng.uniform(0.9, 1.08), 0.05), 1.0), 3)


def _drum(instrument: str, time: float, velocity: float, duration: float) -> Note:
    length = min(0.5 if instrument in ("crash", "ride", "open hat") else 0.12, duration - time)
    return Note(
        "drums", instrument, round(time, 5), round(length, 5), GM_DRUMS[instrument], velocity
    )


def play_drums(plan: Plan, rng: np.random.Generator, duration: float) -> list[Note]:
    """Grooves with ghost notes, a fill where a section ends, a crash where a chorus begins."""
    style, steps = plan.style, plan.steps
    verse = style.verse[rng.integers(len(style.verse))]
    chorus = style.chorus[rng.integers(len(style.chorus))]
    fills = [FILLS[i] for i in rng.permutation(len(FILLS))]
    notes: list[Note] = []
    for position, (name, first, bars) in enumerate(plan.sections()):
        groove = chorus if name in ("chorus", "outro") else verse
        if name == "intro":
            groove = {k: v for k, v in verse.items() if k not in ("snare", "clap", "rim")}
        for bar in range(first, first + bars):
            last = bar == first + bars - 1
            fill = fills[position % len(fills)] if last and rng.random() < 0.8 else None
            half = steps // 2
            for drum in sorted({*groove, *(fill or {})}):
                pattern = groove.get(drum, "-" * steps)
                if fill is not None:
                    pattern = pattern[:half] + fill.get(drum, "-" * 16)[16 - (steps - half) :]
                for step, mark in enumerate(pattern):
                    if mark == "-":
                        continue
                    level = STRENGTH[mark] * DYNAMICS[name]
                    if fill is not None and step >= half and drum != "kick":
                        level *= 0.8 + 0.25 * (step - half) / half
                    time = _human(rng, plan.time(bar, step), 0.003)
                    notes.append(_drum(drum, time, _hit(rng, level), duration))
        if name == "chorus" or (position and rng.random() < 0.3):
            time = _human(rng, plan.time(first, 0), 0.002)
            notes.append(_drum("crash", time, _hit(rng, 0.8 * DYNAMICS[name]), duration))
    end = plan.time(plan.bars, 0)
    for drum, level in (("kick", 0.9), ("crash", 0.85), ("snare", 0.7)):
        notes.append(_drum(drum, _human(rng, end, 0.002), _hit(rng, level), duration))
    return notes


def _near(pitch_class: int, centre: float, low: int, high: int) -> int:
    """The pitch of a class that is nearest to a centre within a range of an octave or more."""
    pitch = pitch_class + 12 * round((centre - pitch_class) / 12)
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch


def _tokens(pattern: str) -> list[tuple[str, int, int]]:
    """(mark, first step, steps held) of every mark in a pattern."""
    result, step = [], 0
    while step < len(pattern):
        length = 1
        if pattern[step] not in "-.":
            while step + length < len(pattern) and pattern[step + length] == "-":
                length += 1
            result.append((pattern[step], step, length))
        step += length
    return result


def _on_chords(
    events: list[tuple[str, int, int]], changes: list[int], steps: int
) -> list[tuple[str, int, int]]:
    """The same bar with a root wherever a chord begins, unless the line rests or pushes there."""
    starts = {step for _, step, _ in events}
    events = [("R" if s in changes and m not in "R8" else m, s, n) for m, s, n in events]
    for at in changes:
        if starts.isdisjoint((at - 1, at, at + 1)):
            events = [(m, s, min(n, at - s) if s < at else n) for m, s, n in events]
            following = min((s for s in starts if s > at), default=steps)
            events.append(("R", at, following - at))
    return sorted(events, key=lambda event: event[1])


def play_bass(plan: Plan, rng: np.random.Generator, duration: float) -> list[Note]:
    """One pattern per part that follows the chords and walks into the next; MIDI 28 to 52."""
    style, steps = plan.style, plan.steps
    choice = rng.permutation(len(style.bass_lines))
    lines = {"verse": style.bass_lines[choice[0]], "chorus": style.bass_lines[choice[1]]}
    calm = "R-------5-------" if style.meter == 4 else "R-----------"
    notes: list[Note] = []
    previous = float(rng.uniform(32, 38))

    def add(start: float, end: float, pitch: int, level: float) -> None:
        begin = _human(rng, start, 0.004)
        velocity = _hit(rng, level)
        notes.append(
            Note("bass", "bass", round(begin, 5), round(max(0.05, end - begin), 5), pitch, velocity)
        )

    for name, first, bars in plan.sections():
        quiet = name in ("intro", "bridge") and rng.random() < 0.6
        line = calm if quiet else lines.get(name, lines["chorus" if name == "outro" else "verse"])
        for bar in range(first, first + bars):
            events = _on_chords(
                _tokens(line), [at for b, at, _, _ in plan.chords if b == bar], steps
            )
            for position, (mark, step, length) in enumerate(events):
                chord = plan.chord_at(bar, step)
                root = _near(chord[0], 0.5 * previous + 0.5 * 35, 28, 43)
                if mark == "A":
                    next_step = events[position + 1][1] if position + 1 < len(events) else steps
                    ahead = _near(plan.chord_at(bar, next_step)[0], root, 28, 43)
                    options = (ahead - 1, ahead + 1, ahead - 2, ahead + 2)
                    pitch = next((p for p in options if p % 12 in plan.scale), ahead - 1)
                else:
                    classes = {"R": 0, "8": 0, "3": 1, "5": 2, "7": min(3, len(chord) - 1)}
                    pitch = root + (chord[classes[mark]] - chord[0]) % 12
                    pitch += 12 if mark == "8" else 0
                    if mark == "5" and pitch > 43:
                        pitch -= 12
                previous = root
                span = plan.time(bar, step + length) - plan.time(bar, step)
                hold = 0.92 if length > 1 else 0.8
                level = (0.85 if step % 4 == 0 else 0.7) * DYNAMICS[name]
                start = plan.time(bar, step)
                add(start, start + hold * span, int(np.clip(pitch, 28, 52)), level)
    end = plan.time(plan.bars, 0)
    add(end, duration - 0.2, _near(plan.chords[-1][3][0], previous, 28, 43), 0.85)
    notes.sort(key=lambda note: note.start)
    for position in range(len(notes) - 1):
        now, after = notes[position], notes[position + 1]
        longest = max(0.04, after.start - now.start - 0.005)
        if now.duration > longest:
            notes[position] = Note("bass", "bass", now.start, longest, now.pitch, now.velocity)
    return notes


def _voicing(chord: tuple[int, ...], centre: float, size: int) -> list[int]:
    """The chord in close position around a centre, lowest first."""
    pitches = sorted(_near(c, centre, 36, 96) for c in chord)
    while len(pitches) < size:
        pitches.append(pitches[len(pitches) - len(chord)] + 12)
    return sorted(pitches)


def play_other(
    plan: Plan, rng: np.random.Generator, lead: list[tuple[float, float, int]], duration: float
) -> list[Note]:
    """Comping keys, pads under them, plucked strings, and the tune where there is no voice."""
    style = plan.style
    comp = {
        part: style.comp[i]
        for part, i in zip(("verse", "chorus"), rng.integers(len(style.comp), size=2), strict=True)
    }
    order = rng.permutation(len(style.pluck_lines))
    pluck = {"verse": style.pluck_lines[order[0]], "chorus": style.pluck_lines[order[1]]}
    verse_has = ("keys", "pluck", "pad") if rng.random() < 0.35 else (
        ("keys", "pad") if rng.random() < 0.4 else ("pluck", "keys")
    )  # fmt: skip
    plays = {
        "intro": ("pluck", "pad"), "verse": verse_has, "chorus": ("keys", "pluck", "pad"),
        "bridge": ("pad", "keys"), "outro": ("keys", "pluck", "pad"),
    }  # fmt: skip
    key_centre, pluck_centre = float(rng.uniform(60, 67)), float(rng.uniform(58, 65))
    pad_centre = float(rng.uniform(63, 71))
    notes: list[Note] = []

    def add(instrument: str, start: float, end: float, pitch: int, level: float) -> None:
        length = round(max(0.06, min(end, duration) - start), 5)
        notes.append(Note("other", instrument, round(start, 5), length, pitch, _hit(rng, level)))

    def strike(instrument: str, bar: int, pattern: str, centre: float, size: int, dyn: float):
        strum = 0.012 if instrument == "pluck" else 0.002
        for mark, step, length in _tokens(pattern):
            voices = _voicing(plan.chord_at(bar, step), centre, size)
            start = _human(rng, plan.time(bar, step), 0.004)
            end = plan.time(bar, step) + 0.93 * (
                plan.time(bar, step + length) - plan.time(bar, step)
            )
            if mark.isdigit():
                add(instrument, start, end + 0.25, voices[int(mark) % len(voices)], 0.75 * dyn)
                continue
            down = step % 4 in (0, 1)
            for position, pitch in enumerate(voices if down else voices[::-1]):
                late = position * strum * float(rng.uniform(0.7, 1.3))
                add(instrument, start + late, max(end, start + late + 0.08), pitch,
                    (0.8 if mark == "X" else 0.62) * dyn)  # fmt: skip

    for name, first, bars in plan.sections():
        part = "chorus" if name in ("chorus", "outro") else "verse"
        for bar in range(first, first + bars):
            if "keys" in plays[name]:
                strike("keys", bar, comp[part], key_centre, 3, DYNAMICS[name])
            if "pluck" in plays[name]:
                strike("pluck", bar, pluck[part], pluck_centre, 4, DYNAMICS[name])
        if "pad" in plays[name]:
            for bar, step, steps, classes in plan.chords:
                if first <= bar < first + bars:
                    start = _human(rng, plan.time(bar, step), 0.006)
                    for pitch in _voicing(classes, pad_centre, 3):
                        add("pad", start, plan.time(bar, step + steps), pitch, 0.7 * DYNAMICS[name])
    end = plan.time(plan.bars, 0)
    for instrument, centre in (("keys", key_centre), ("pluck", pluck_centre), ("pad", pad_centre)):
        for pitch in _voicing(plan.chords[-1][3], centre, 3):
            add(instrument, _human(rng, end, 0.004), duration - 0.15, pitch, 0.75)
    for start, length, pitch in lead:
        add("lead", _human(rng, start, 0.005), start + length, pitch, 0.7)
    return notes
