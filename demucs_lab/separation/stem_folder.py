"""The folder of a song's stems: what is under way in it, what is finished, and who made it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demucs_lab.models.base import check_sources


@dataclass
class StemFolder:
    """Where the stems of one song go.

    While they are under way, `path/.partial` holds one file of raw float32 samples per stem, at the
    model's rate; `state.json`: up to which sample they are to be trusted, and for which song, model
    and options; and the sound file that is being written. All that a killed run leaves is there.

    `path/separation.json` says of which song and how the stems were made, and which files of the
    folder are this kit's own. No other file is ever overwritten.

    Attributes:
        song: the name of its file.
        names: the stems; `rest`, if any, is what a single one leaves of the mixture.
        fingerprint: all that the raw samples depend on.

    Raises:
        ValueError: if a stem's name would be a path out of the folder.
    """

    path: Path
    song: str
    names: list[str]
    rest: str | None
    format: str
    bits: int
    fingerprint: dict[str, Any]

    def __post_init__(self) -> None:
        check_sources([*self.names, *([self.rest] if self.rest else [])])

    @property
    def files(self) -> dict[str, Path]:
        rest = [self.rest] if self.rest else []
        return {name: self.path / f"{name}.{self.format}" for name in [*self.names, *rest]}

    @property
    def in_writing_order(self) -> list[tuple[str, Path]]:
        """The rest first: it needs the raw samples of the one stem, which that one uses up."""
        return sorted(self.files.items(), key=lambda item: item[0] != self.rest)

    @property
    def partial(self) -> Path:
        return self.path / ".partial"

    @property
    def note(self) -> Path:
        return self.path / "separation.json"

    @property
    def made(self) -> dict[str, Any]:
        """How the stems are made."""
        return {**self.fingerprint, "format": self.format, "bits": self.bits}

    def raw(self, name: str) -> Path:
        """The raw samples that a stem, or the rest, is made from."""
        return self.partial / f"{self.names[0] if name == self.rest else name}.f32"

    def finished(self) -> bool:
        """Whether an earlier run made these very stems.

        Raises:
            ValueError: if a file of another song, or one not made here, would be overwritten.
        """
        note, present = _json(self.note), [file for file in self.files.values() if file.exists()]
        if note.get("song", self.song) != self.song:
            raise ValueError(
                f"{self.path} holds the stems of {note['song']}: choose another folder for those "
                f"of {self.song}"
            )
        if foreign := [file for file in present if file.name not in self._own()]:
            raise ValueError(
                f"{foreign[0]} is not a stem that was separated here, so it is not overwritten: "
                f"move it away, or choose another folder (--out) for the stems of {self.song}"
            )
        made = {key: value for key, value in note.items() if key != "files"}
        if made == self.made:
            return len(present) == len(self.files)
        other = [_IN_WORDS.get(key, key) for key in self.made if made.get(key) != self.made[key]]
        if present and "stems" in made and other != ["stems"]:
            files = ", ".join(file.name for file in present)
            warnings.warn(
                f"{files} in {self.path} differ from what is wanted now in "
                f"{', '.join(dict.fromkeys(other))}: they are replaced",
                stacklevel=3,
            )
        return False

    def begin(self, frame: int, frames: int, stem: int) -> int:
        """Samples that an earlier run left and that can be trusted; a fresh folder otherwise.

        Args:
            frame: bytes of one raw sample of all channels.
            frames: such samples of the whole song.
            stem: bytes of a finished sound file.

        Raises:
            OSError: if the disk is too small.
        """
        state = self.state()
        if state.get("made") == self.fingerprint and state.get("done") in range(frames + 1):
            present = [file for file in map(self.raw, self.names) if file.exists()]
            written = state.get("written_as") == [self.format, self.bits]
            if all(
                self.raw(name).exists() or (written and file.is_file())
                for name, file in self.files.items()
            ) and all(file.stat().st_size >= state["done"] * frame for file in present):
                for file in present:
                    os.truncate(file, state["done"] * frame)
                return state["done"]
        shutil.rmtree(self.partial, ignore_errors=True)
        self._refuse_a_small_disk(frame * frames, stem)
        self.partial.mkdir(parents=True)
        for name in self.names:
            self.raw(name).touch()
        return 0

    def state(self) -> dict[str, Any]:
        """How far the work is."""
        return _json(self.partial / "state.json")

    def note_state(self, **state: Any) -> None:
        """Say how far the work is."""
        with self.whole(self.partial / "state.json") as beside:
            beside.write_text(json.dumps({"made": self.fingerprint, **state}), encoding="utf-8")

    def claim(self) -> None:
        """Say that stems are being written: neither these nor earlier ones are complete.

        Those of another song of the same name go: no folder holds the stems of two.
        """
        sound = {key: self.fingerprint[key] for key in _SOUND if key in self.fingerprint}
        note = _json(self.note)
        if any(note.get(key) != value for key, value in sound.items()):
            for name in self._own() - {file.name for file in self.files.values()}:
                if Path(name).name == name:
                    (self.path / name).unlink(missing_ok=True)
        self._write_note({"song": self.song, **sound})

    def finish(self) -> None:
        """Say how the stems were made, and tidy up."""
        self._write_note(self.made)
        shutil.rmtree(self.partial)

    @contextmanager
    def whole(self, target: Path) -> Iterator[Path]:
        """A name in `.partial`, which becomes `target` when the block ends well."""
        beside = self.partial / f"new-{target.name}"
        try:
            yield beside
            with beside.open("rb+") as written:
                os.fsync(written.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)

    def _write_note(self, made: dict[str, Any]) -> None:
        known = {name for name in self._own() if (self.path / name).exists()}
        own = sorted(known | {file.name for file in self.files.values()})
        with self.whole(self.note) as beside:
            beside.write_text(json.dumps({**made, "files": own}, indent=1) + "\n", encoding="utf-8")

    def _own(self) -> set[str]:
        """Files of the folder that this kit wrote."""
        note = _json(self.note)
        stems = [f"{stem}.{note.get('format')}" for stem in _names(note.get("stems"))]
        return {*_names(note.get("files")), *stems}

    def _refuse_a_small_disk(self, raw: int, stem: int) -> None:
        used = needed = raw * len(self.names)
        for name, file in self.in_writing_order:
            needed = max(needed, used + stem)
            replaced = file.stat().st_size if file.exists() else 0
            used += stem - replaced - (0 if name == self.rest else raw)
        there = next(p for p in (self.path, *self.path.absolute().parents) if p.exists())
        if (free := shutil.disk_usage(there).free) < needed:
            short = f"it takes {needed / 1e9:.3g} GB on the way and {free / 1e9:.3g} GB are free"
            raise OSError(errno.ENOSPC, short)


_SOUND = ("bytes", "changed")  # what tells a song from a namesake
_IN_WORDS = {"bytes": "sound", "changed": "sound", "weights": "model"}


def _names(value: Any) -> list[str]:
    """The names in a list that a note should hold: it may be damaged."""
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
