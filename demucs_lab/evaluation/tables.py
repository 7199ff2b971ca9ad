"""Scores of many songs in few figures, and the table of them in README.md."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from demucs_lab.audio import SOURCES
from demucs_lab.common.tables import Cell, text_table
from demucs_lab.metrics.intervals import difference

COLUMNS = (*SOURCES, "mean")
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
_ORDER = ("tiny-conv-tasnet", "tiny-demucs", "tiny-htdemucs-nocross", "tiny-htdemucs")
_PAIRS = (
    ("tiny-demucs", "tiny-conv-tasnet"),
    ("tiny-htdemucs", "tiny-demucs"),
    ("tiny-htdemucs", "tiny-htdemucs-nocross"),
)


def summarise(results: Mapping[str, Any]) -> dict[str, Any]:
    """Means and medians over songs, and the differences that the course speaks of."""
    systems = results["systems"]
    summary = {name: _summary(system) for name, system in systems.items()}
    models = [name for name, system in systems.items() if system["kind"] == "model"]
    others = [
        name
        for name, system in systems.items()
        if system["kind"] == "mixture" or system.get("method") in ("irm1", "irm2")
    ]
    pairs = [(a, b) for a, b in _PAIRS if a in models and b in models]
    pairs += list(itertools.product(models, others))
    rows = [row for a, b in pairs for row in _differences(systems, a, b)]
    return {"summary": summary, "differences": rows}


def _summary(system: Mapping[str, Any]) -> dict[str, dict[str, list[float | None]]]:
    found = {}
    for score, rows in _scores(system):
        per_song = np.array(rows, dtype=float)
        found[score] = {
            "mean": _with_mean(_over_songs(np.nanmean, per_song)),
            "median": _with_mean(_over_songs(np.nanmedian, per_song)),
        }
    return found


def _scores(system: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, rows) for name, rows in system.items() if isinstance(rows, list))


def _over_songs(statistic: Any, per_song: np.ndarray) -> np.ndarray:
    known = np.isfinite(per_song).any(0)
    return np.array(
        [statistic(column) if ok else np.nan for column, ok in zip(per_song.T, known, strict=True)]
    )


def _with_mean(per_source: np.ndarray) -> list[float | None]:
    mean = np.nanmean(per_source) if np.isfinite(per_source).any() else np.nan
    return [round(float(x), 4) if np.isfinite(x) else None for x in (*per_source, mean)]


def _differences(systems: Mapping[str, Any], a: str, b: str) -> Iterator[dict[str, Any]]:
    for score in ("nsdr", "sdr"):
        if score not in systems[a] or score not in systems[b]:
            continue
        first, second = (np.array(systems[name][score], dtype=float) for name in (a, b))
        gaps = first - second  # [songs, S]
        for index, source in enumerate(COLUMNS):
            per_song = gaps[:, index] if source != "mean" else _mean_of_songs(gaps)
            if np.isfinite(per_song).sum() < 2:
                continue
            found = difference(per_song, np.zeros_like(per_song))
            numbers = {name: round(getattr(found, name), 4) for name in ("mean", "low", "high")}
            facts = {"a": a, "b": b, "score": score, "source": source}
            yield {**facts, **numbers, "songs": found.songs}


def _mean_of_songs(gaps: np.ndarray) -> np.ndarray:
    known = np.isfinite(gaps).any(1)
    return np.array(
        [np.nanmean(row) if ok else np.nan for row, ok in zip(gaps, known, strict=True)]
    )


def table(results: Mapping[str, Any]) -> str:
    """nSDR and BSSEval's SDR of each system as text."""
    names = _names(results)
    parts = []
    for title, score, statistic in (
        ("nSDR in dB, mean over songs", "nsdr", "mean"),
        ("SDR of BSSEval v4 in dB, median over songs", "sdr", "median"),
    ):
        rows: list[list[Cell]] = [
            [name, *_numbers(results["summary"][name][score][statistic])] for name in names
        ]
        parts += [f"{title} ({len(results['songs']['names'])})", text_table(["", *COLUMNS], rows)]
    parts += [f"{_gap(results, a, b)} ({a} − {b}, nSDR, mean)" for a, b in _shown_pairs(results)]
    return "\n".join(parts)


def markdown(results: Mapping[str, Any]) -> str:
    """The block between the markers of README.md, without them."""
    from demucs_lab.experiments.shipping import SHIPPED, hours_heard

    real, made = results["real"], results["made"]
    count = len(results["songs"]["names"])
    header = ["nSDR / BSSEval SDR, dB", *COLUMNS, *(["real song"] if real else [])]
    lines = [_row(header), _row(["---", *["--:"] * (len(header) - 1)])]
    for name in _names(results):
        summary = results["summary"][name]
        cells = [
            f"{a:.1f} / {b:.1f}"
            for a, b in zip(
                _numbers(summary["nsdr"]["mean"]), _numbers(summary["sdr"]["median"]), strict=True
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
        f"{a} − {b}: {_gap(results, a, b)} dB nSDR on the mean" for a, b in _shown_pairs(results)
    ]
    if notes:
        text += ["", "With 95 % intervals (paired bootstrap over songs):", ""]
        text += [f"- {note}" for note in notes]
    if models := _models(results):
        text += ["", *_beyond_masks(results, models)]
    if heard := [f"{n} {hours_heard(n):.1f}" for n in _models(results) if n in SHIPPED]:
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
    from demucs_lab.common.paths import atomic_path
    from demucs_lab.evaluation import results as kept

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
    from demucs_lab.evaluation import results as kept
    from demucs_lab.pretrained import shipped
    from demucs_lab.pretrained.download import file_hash

    results = kept.read(path)
    measured = {name: results["systems"][name]["sha256"] for name in _models(results)}
    here = {name: file_hash(shipped.weights(name)) for name in shipped.names()}
    if measured != here:
        wrong = sorted(name for name in {*measured, *here} if measured.get(name) != here.get(name))
        raise ValueError(
            f"results.json was not measured with the {', '.join(wrong)} of this installation: "
            f"python -m demucs_lab results"
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
    from demucs_lab.common.paths import checkout

    root = checkout()
    if root is None:
        raise FileNotFoundError("README.md is in the repository only: run this in a checkout")
    return root / "README.md"


def _markers(text: str, path: Path) -> tuple[int, int]:
    """Where the block begins and ends."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"{path} has no place for the table: it begins with {BEGIN!r}")
    return text.index(BEGIN) + len(BEGIN), text.index(END)


def _models(results: Mapping[str, Any]) -> list[str]:
    models = [name for name, x in results["systems"].items() if x["kind"] == "model"]
    known = [name for name in _ORDER if name in models]
    return known + [name for name in models if name not in known]


def _names(results: Mapping[str, Any]) -> list[str]:
    """Systems in the order of the table: mixture, masks of the common window, models."""
    systems = results["systems"]
    others = [name for name, x in systems.items() if x["kind"] != "model" and "sdr" in x]
    return others + _models(results)


def _shown_pairs(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(a, b) for a, b in _PAIRS if {a, b} <= results["systems"].keys()]


def _gap(results: Mapping[str, Any], a: str, b: str, source: str = "mean") -> str:
    wanted = {"a": a, "b": b, "score": "nsdr", "source": source}
    row = next(x for x in results["differences"] if wanted.items() <= x.items())
    return f"{row['mean']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"


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
        [f"**{name}**", *(_gap(results, name, mask, "bass") for mask in masks)] for name in models
    ]
    return [_row(cells) for cells in (header, ["---", *["--:"] * len(masks)], *rows)]


def _numbers(row: list[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in row]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
