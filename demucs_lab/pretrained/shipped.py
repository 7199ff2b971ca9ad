"""The tiny models that come with the kit: trained on LabSongs, here without a network (lesson 08).

`tiny/NAME.safetensors` holds the weights in float16 and `tiny/NAME.md` says what they are; both are
written by `python -m demucs_lab ship NAME` (`demucs_lab.experiments.shipping`).
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "tiny"


def names() -> list[str]:
    """Models that came with this installation, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def weights(name: str) -> Path:
    """The file of one of `names()`."""
    return FOLDER / f"{name}.safetensors"


def card(name: str) -> str:
    """The model card of a shipped model, in Markdown: data, settings, scores, limits.

    Raises:
        ValueError: if no model of this name came with the kit.
    """
    path = FOLDER / f"{name}.md"
    if name not in names() or not path.is_file():
        raise ValueError(
            f"there is no model card for {name!r}: the kit brings {', '.join(names()) or 'none'}"
        )
    return path.read_text(encoding="utf-8")


def about(name: str) -> str:
    """What a model is, in a few words: the first sentence of its card."""
    return card(name).split("\n\n")[1].replace("\n", " ").split(". ")[0].rstrip(".")
