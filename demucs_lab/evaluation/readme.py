"""The table of scores in README.md, and whether it is that of results.json and of the models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from demucs_lab.audio import SOURCES
from demucs_lab.common.paths import atomic_path, checkout
from demucs_lab.evaluation import results as kept
from demucs_lab.evaluation.tables import COLUMNS, gap, models_of, names_of, shown_pairs, with_nan
from demucs_lab.pretrained import shipped
from demucs_lab.pretrained.download import file_hash
from demucs_lab.training.recipes import SHIPPED, hours_heard

BEGIN = "<!-- from results.json: python -m demucs_lab results --readme -->"
END = "<!-- end of the table from results.json -->"
LABELS = {
    "mixture": "the mixture",
    "ibm": "ideal binary mask",
    "irm1": "ideal ratio mask, p = 1",
    "irm2": "ideal ratio mask, p = 2",
    "psm": "phase-sensitive mask",
    "mwf": "multichannel Wiener filter",
}


def markdown(results: Mapping[str, Any]) -> str:
    """The block between the markers of README.md, without them."""
    real, made = results["real"], results["made"]
    count = len(results["songs"]["names"])
    header = ["nSDR / BSSEval SDR, dB", *COLUMNS, *(["real song"] if real else [])]
    lines = [_row(header), _row(["---", *["--:"] * (len(header) - 1)])]
    for name in names_of(results):
        summary = results["summary"][name]
        cells = [
            f"{a:.1f} / {b:.1f}"
            for a, b in zip(
                with_nan(summary["nsdr"]["mean"]), with_nan(summary["sdr"]["median"]), strict=True
            )
        ]
        if real:
            on_real = np.array(real["systems"][name]["nsdr"], dtype=float)
            cells.append(f"{np.nanmean(on_real):.1f}")
        lines.append(_row([LABELS.get(name, f"**{name}**"), *cells]))
    text = [
        f"{count} songs of LabSongs' test split at {results['songs']['samplerate'] / 1000:g} kHz: "
        f"nSDR (mean over songs) and the SDR of BSSEval v4 (median of medians). The masks know the "
        f"true sources; their windows have {results['settings']['n_fft']} samples. "
        f"To measure all this took {made['seconds'] / 60:.0f} minutes on {made['cores']} cores "
        f"({made['system']}).",
        "",
        *lines,
    ]
    notes = [
        f"{a} − {b}: {gap(results, a, b)} dB nSDR on the mean" for a, b in shown_pairs(results)
    ]
    if notes:
        text += ["", "With 95 % intervals (paired bootstrap over songs, one training each):", ""]
        text += [f"- {note}" for note in notes]
    if models := models_of(results):
        text += ["", *_beyond_masks(results, models)]
    if heard := [f"{n} {hours_heard(n):.1f}" for n in models_of(results) if n in SHIPPED]:
        text += ["", f"Hours of sound heard in training: {', '.join(heard)}."]
    if real:
        names = real["songs"]["names"]
        songs = names[0] if len(names) == 1 else f"{len(names)} songs"
        text += [
            "",
            f"The last column is the mean nSDR on real music ({songs} of MUSDB18, brought to "
            f"22.05 kHz). The models have heard synthetic songs only.",
        ]
    return "\n".join(text)


def write_readme(results: Mapping[str, Any] | None = None, readme: Path | None = None) -> Path:
    """Put the table between its markers in README.md.

    Raises:
        ValueError: if the markers are not there.
    """
    path = readme or _readme()
    text = path.read_text(encoding="utf-8")
    begin, end = _markers(text, path)
    block = markdown(results if results is not None else kept.read())
    with atomic_path(path) as beside:
        beside.write_text(f"{text[:begin]}\n{block}\n{text[end:]}", encoding="utf-8")
    return path


def check(readme: Path | None = None, path: Path | None = None) -> None:
    """See that README.md, results.json and the shipped models agree.

    Raises:
        ValueError: if they do not; it says where.
        FileNotFoundError: if there are no results.
    """
    results = kept.read(path)
    measured = {name: results["systems"][name]["sha256"] for name in models_of(results)}
    here = {name: file_hash(shipped.weights(name)) for name in shipped.names()}
    if measured != here:
        wrong = sorted(name for name in {*measured, *here} if measured.get(name) != here.get(name))
        raise ValueError(
            f"results.json was not measured with the {', '.join(wrong)} of this installation: "
            f"python -m demucs_lab results --measure"
        )
    file = readme or _readme()
    text = file.read_text(encoding="utf-8")
    begin, end = _markers(text, file)
    if text[begin:end].strip() != markdown(results):
        raise ValueError(
            f"the table in {file.name} is not that of results.json: "
            f"python -m demucs_lab results --readme"
        )


def _readme() -> Path:
    root = checkout()
    if root is None:
        raise FileNotFoundError("README.md is in the repository only: run this in a checkout")
    return root / "README.md"


def _markers(text: str, path: Path) -> tuple[int, int]:
    """Where the block begins and ends."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"{path} lacks the markers of the table, which begins with {BEGIN!r}")
    return text.index(BEGIN) + len(BEGIN), text.index(END)


def _beyond_masks(results: Mapping[str, Any], models: list[str]) -> list[str]:
    """The gaps on bass to both ratio masks, with the usual window and the one best for the bass."""
    bass, masks = SOURCES.index("bass"), {}
    for method in ("irm1", "irm2"):
        windows = [n for n, x in results["systems"].items() if x.get("method") == method]
        best = max(windows, key=lambda n: results["summary"][n]["nsdr"]["mean"][bass])
        for name in (method, best):
            masks[name] = f"p = {method[-1]}, window {results['systems'][name]['n_fft']}"
    header = ["bass: model − ideal ratio mask, dB nSDR", *masks.values()]
    rows = [
        [f"**{name}**", *(gap(results, name, mask, "bass") for mask in masks)] for name in models
    ]
    return [_row(cells) for cells in (header, ["---", *["--:"] * len(masks)], *rows)]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
