"""What is played, when: the ground truth of a song, and the way it prints."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True)
class Note:
    """One sounding event.

    Attributes:
        source: the stem it is in.
        instrument: what plays it ("kick", "keys", "voice", …).
        start: when it begins to sound, in seconds. A sung note starts at its vowel: the consonants
            before the vowel are sung just ahead of the note, as singers do.
        duration: how long it is held, in seconds (it may ring on, in the instrument or the room).
        pitch: MIDI number; for drums the General MIDI key (36 kick, 38 snare, 42 closed hat, …).
        velocity: how hard, in (0, 1].
        syllable: what is sung, for the voice.
        phonemes: the same in ARPAbet.
    """

    source: str
    instrument: str
    start: float
    duration: float
    pitch: int
    velocity: float
    syllable: str = ""
    phonemes: str = ""


@dataclass(frozen=True)
class Chord:
    """A chord of the song: its name, when it sounds, and its pitch classes from the root up."""

    name: str
    start: float
    duration: float
    pitch_classes: tuple[int, ...]

    @property
    def root(self) -> int:
        """Pitch class of the root, 0 for C."""
        return self.pitch_classes[0]


@dataclass(frozen=True)
class Section:
    """A part of the form: "intro", "verse", "chorus", "bridge", "outro" or "end"."""

    name: str
    start: float
    duration: float
    bars: int


@dataclass(frozen=True)
class Line:
    """One sung line: its text and when it is sung."""

    text: str
    start: float
    duration: float


@dataclass(frozen=True)
class Score:
    """A whole song as it was played; `print` it (lesson 00).

    Times are in seconds from the first sample. `beats` lists every beat, `downbeats` the first of
    each bar; `swing` 1 would play every second sixteenth half a sixteenth late; `band` says which
    kit, bass, keys, strings, voice and room the renderer uses.

    >>> score = Score("Blue Moon", "train", 0, 30.0, "A minor", 9, 100.0, 4, 0.0, "pop")
    >>> Score.from_json(score.to_json()) == score
    True
    """

    title: str
    split: str
    index: int
    duration: float
    key: str
    tonic: int
    tempo: float
    meter: int
    swing: float
    style: str
    band: dict[str, Any] = field(default_factory=dict)
    sections: tuple[Section, ...] = ()
    chords: tuple[Chord, ...] = ()
    lyrics: tuple[Line, ...] = ()
    beats: tuple[float, ...] = ()
    downbeats: tuple[float, ...] = ()
    notes: tuple[Note, ...] = field(default=(), repr=False)

    def notes_of(self, source: str, instrument: str | None = None) -> list[Note]:
        """The notes of one stem, or of one instrument in it, in order of time."""
        return [
            note
            for note in self.notes
            if note.source == source and (instrument is None or note.instrument == instrument)
        ]

    def chord_at(self, time: float) -> Chord:
        """The chord that sounds at `time` seconds (the first before the song begins)."""
        current = self.chords[0]
        for chord in self.chords:
            if chord.start > time + 1e-6:
                break
            current = chord
        return current

    def section_at(self, time: float) -> Section:
        """The section that `time` seconds falls in (the first before the song begins)."""
        current = self.sections[0]
        for section in self.sections:
            if section.start > time + 1e-6:
                break
            current = section
        return current

    def to_json(self) -> str:
        """The score as JSON text, as it is stored beside the stems."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Score:
        """The score that `to_json` wrote."""
        values = json.loads(text)
        parts = {"sections": Section, "chords": Chord, "lyrics": Line, "notes": Note}
        for name, part in parts.items():
            for row in values[name]:
                if part is Chord:
                    row["pitch_classes"] = tuple(row["pitch_classes"])
            values[name] = tuple(part(**row) for row in values[name])
        values["beats"] = tuple(values["beats"])
        values["downbeats"] = tuple(values["downbeats"])
        return cls(**values)

    def __str__(self) -> str:
        swing = f", swing {self.swing:.0%}" if self.swing else ""
        band = ", ".join(str(self.band[k]) for k in ("kit", "bass", "keys", "pluck", "voice"))
        head = [
            f"{self.title}  ({self.split} {self.index}, {self.style})",
            f"{self.key}, {self.tempo:.1f} BPM, {self.meter}/4{swing}, {self.duration:g} s",
            f"band: {band}",
        ]
        rows = []
        for section in self.sections:
            end = section.start + section.duration - 1e-3
            chords = [c.name for c in self.chords if section.start - 1e-3 <= c.start < end]
            rows.append(f"{section.start:6.2f} s  {section.name:<7} {' '.join(chords)}")
            rows += [
                f"{'':18}“{line.text}”"
                for line in self.lyrics
                if section.start - 0.3 <= line.start < end - 0.3
            ]
        counts = [
            f"{source} {len(self.notes_of(source))}"
            for source in ("drums", "bass", "other", "vocals")
        ]
        return "\n".join([*head, *rows, f"notes: {', '.join(counts)}"])
