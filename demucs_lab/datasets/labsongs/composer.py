"""Write a song: form, key, tempo and chords, then a part for each player."""

from __future__ import annotations

import math
import zlib

import numpy as np

from .band import play_bass, play_drums, play_other
from .lyrics import title_from
from .melody import sing
from .plan import LEAD_IN, Plan
from .score import FLATS, SHARPS, Chord, Line, Note, Score, Section
from .styles import PROGRESSIONS, SCALES, STYLES, Style

SHORTEST = 4.0
"""The shortest song that has a form, in seconds."""


def generator(split: str, index: int, purpose: str) -> np.random.Generator:
    """The random stream of one purpose in one song: no two splits, songs or purposes share one.

    >>> first, again = (generator("train", 3, "form").integers(100, size=5) for _ in range(2))
    >>> bool((first == again).all())
    True
    """
    keys = [zlib.crc32(f"labsongs/{split}".encode()), index, zlib.crc32(purpose.encode())]
    return np.random.default_rng(np.random.SeedSequence(keys))


def build_form(bars: int, intro_limit: int) -> tuple[tuple[str, int], ...]:
    """Sections that fill `bars` bars: verse and chorus return as soon as there is room.

    >>> build_form(12, 2)
    (('intro', 2), ('verse', 2), ('chorus', 2), ('verse', 2), ('chorus', 2), ('chorus', 2))
    """
    if bars < 4:
        return {1: (("chorus", 1),), 2: (("verse", 1), ("chorus", 1))}.get(
            bars, (("intro", 1), ("verse", 1), ("chorus", 1))
        )
    if bars < 8:
        extra = bars - 4
        form = [("verse", 2), ("chorus", 2)]
        if extra >= 1:
            form.insert(0, ("intro", 1))
        if extra >= 2:
            form.append(("outro", 1) if extra == 2 else ("chorus", 2))
        return tuple(form)
    unit = max(u for u in (2, 4, 8) if 4 * u <= bars)
    rest = bars - 4 * unit
    core = [("verse", unit), ("chorus", unit), ("verse", unit), ("chorus", unit)]
    while rest >= 2 * unit + 2:
        core += [("verse", unit), ("chorus", unit)]
        rest -= 2 * unit
    intro = min(rest, intro_limit)
    rest -= intro
    if rest >= unit:
        if unit >= 4:
            core.insert(len(core) - 1, ("bridge", unit))
        else:
            core.append(("chorus", unit))
        rest -= unit
    if rest > 2:
        core.append(("chorus", rest - rest % 2))
        rest %= 2
    head = [("intro", intro)] if intro else []
    tail = [("outro", rest)] if rest else []
    return tuple(head + core + tail)


def _tempo_and_bars(duration: float, nominal: float, meter: int, ring: float) -> tuple[float, int]:
    tail = 0.9 + ring * min(1.4, 0.1 * duration)
    room = duration - LEAD_IN - tail
    options = []
    for bars in range(1, int(room * 160 / 60 / meter) + 2):
        tempo = bars * meter * 60 / room
        if 70 <= tempo <= 160:
            options.append((abs(math.log(tempo / nominal)) + 0.03 * (bars % 2), tempo, bars))
    _, tempo, bars = min(options)
    return min(160.0, math.ceil(tempo * 100) / 100), bars


def _names(tonic: int, mode: str) -> tuple[str, ...]:
    """Note names with sharps or flats, as the key signature has them."""
    major = (tonic + {"major": 0, "minor": 3, "dorian": -2, "mixolydian": 5}[mode]) % 12
    return SHARPS if major in (7, 2, 9, 4, 11, 6) else FLATS


def _spell(classes: tuple[int, ...], notes: tuple[str, ...]) -> str:
    root = classes[0]
    shape = tuple((c - root) % 12 for c in classes)
    names = {
        (0, 4, 7): "", (0, 3, 7): "m", (0, 3, 6): "dim", (0, 4, 7, 11): "maj7",
        (0, 4, 7, 10): "7", (0, 3, 7, 10): "m7", (0, 3, 6, 10): "m7b5",
    }  # fmt: skip
    return notes[root] + names[shape]


def _chord(rng: np.random.Generator, tonic: int, mode: str, degree: int, style: Style) -> tuple:
    scale = SCALES[mode]
    tones = [scale[(degree - 1 + skip) % 7] for skip in (0, 2, 4, 6)]
    classes = [(tonic + tone) % 12 for tone in tones]
    seventh = rng.random() < style.sevenths
    if mode == "minor" and degree == 5 and rng.random() < 0.6:
        classes[1] = (classes[0] + 4) % 12
    return tuple(classes if seventh else classes[:3])


def make_plan(split: str, index: int, duration: float) -> tuple[Plan, str]:
    """Choose style, key, tempo, form and chords; returns the plan and the style's name."""
    rng = generator(split, index, "plan")
    names = list(STYLES)
    name = names[(index + int(rng.integers(3))) % len(names)]
    style = STYLES[name]
    tonic = int(rng.integers(12))
    mode = str(rng.choice(["major", "minor", "minor", "major", "dorian", "mixolydian"]))
    nominal = float(rng.uniform(*style.tempo))
    swing = float(rng.choice(style.swing))
    tempo, bars = _tempo_and_bars(duration, nominal, style.meter, float(rng.random()))
    bar_seconds = style.meter * 60 / tempo
    form = build_form(bars, intro_limit=2 if 2 * bar_seconds < 6.5 else 1)

    pool = PROGRESSIONS[mode]
    picks = rng.permutation(len(pool))
    loops = {"verse": pool[picks[0]], "chorus": pool[picks[1]], "bridge": pool[picks[2]]}
    loops |= {"intro": loops["verse"], "outro": loops["chorus"]}
    colours = {
        (part, position): _chord(rng, tonic, mode, degree, style)
        for part in ("verse", "chorus", "bridge")
        for position, degree in enumerate(loops[part])
    }
    twice = {part: bool(rng.random() < 0.3) for part in ("verse", "chorus", "bridge")}
    steps, bar, chords = 4 * style.meter, 0, []
    for section, length in form:
        part = {"intro": "verse", "outro": "chorus"}.get(section, section)
        per_bar = 2 if style.meter == 4 and (length < 4 or twice[part]) else 1
        for position in range(length * per_bar):
            first = (position % per_bar) * steps // per_bar
            chords.append(
                (bar + position // per_bar, first, steps // per_bar, colours[part, position % 4])
            )
        bar += length
    final = _chord(rng, tonic, mode, 1, STYLES["punk"])
    chords.append((bar, 0, steps, final))
    return Plan(style, tempo, swing, tonic, mode, form, tuple(chords)), name


def _choose_band(split: str, index: int, style: Style) -> dict:
    rng = generator(split, index, "band")

    def pick(options: tuple[str, ...]) -> str:
        return options[rng.integers(len(options))]

    return {
        "kit": pick(style.kits),
        "bass": pick(style.basses),
        "keys": pick(style.keys),
        "pluck": pick(style.plucks),
        "pad": pick(style.pads),
        "voice": pick(("alto", "mezzo", "tenor", "baritone")),
        "harmony": bool(rng.random() < 0.45),
        "room": round(float(rng.uniform(0.35, 1.5)), 2),
        "echo": bool(rng.random() < 0.4),
        "pump": style.pump,
    }


def compose(split: str, index: int, duration: float = 30.0) -> Score:
    """The score of song `index` of a split.

    Key, style, players and chords depend on (split, index) only; the form, and with it the tempo
    and the melody, also on the duration: a song of 12 s is not a part of the song of 30 s, it is
    the same band's shorter song.

    Args:
        split: name of the split; splits share no random stream.
        index: which song, from 0; there is no last one.
        duration: length in seconds, 4 or more.

    Raises:
        ValueError: if the song is too short for any form, or the index is negative.
    """
    if duration < SHORTEST:
        raise ValueError(f"a song needs {SHORTEST:g} s or more for its form, got {duration:g} s")
    if index < 0:
        raise ValueError(f"songs are counted from 0, got index {index}")
    plan, style_name = make_plan(split, index, duration)
    band = _choose_band(split, index, plan.style)
    vocals, lines, hook, lead = sing(plan, generator(split, index, "melody"), band, duration)
    notes: list[Note] = [
        *play_drums(plan, generator(split, index, "drums"), duration),
        *play_bass(plan, generator(split, index, "bass"), duration),
        *play_other(plan, generator(split, index, "other"), lead, duration),
        *vocals,
    ]
    notes.sort(key=lambda note: (note.start, note.source, note.instrument, note.pitch))
    end = plan.time(plan.bars, 0)
    sections = [
        Section(name, plan.time(bar, 0), plan.time(bar + bars, 0) - plan.time(bar, 0), bars)
        for name, bar, bars in plan.sections()
    ]
    sections.append(Section("end", end, duration - end, 0))
    chords, names = [], _names(plan.tonic, plan.mode)
    for bar, step, steps, classes in plan.chords:
        start = plan.time(bar, step)
        length = (duration if bar == plan.bars else plan.time(bar, step + steps)) - start
        chords.append(Chord(_spell(classes, names), start, length, classes))
    beats = [plan.time(0, 4 * beat) for beat in range(plan.bars * plan.style.meter + 1)]
    return Score(
        title=title_from(hook),
        split=split,
        index=index,
        duration=float(duration),
        key=f"{names[plan.tonic]} {plan.mode}",
        tonic=plan.tonic,
        tempo=plan.tempo,
        meter=plan.style.meter,
        swing=plan.swing,
        style=style_name,
        band=band,
        sections=tuple(sections),
        chords=tuple(chords),
        lyrics=tuple(Line(text, start, length) for text, start, length in lines),
        beats=tuple(beats),
        downbeats=tuple(beats[:: plan.style.meter]),
        notes=tuple(notes),
    )
