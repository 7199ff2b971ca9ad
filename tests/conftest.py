"""What every test may use, and what the machine must have for some of them."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
from torch import Tensor

os.environ.setdefault("MPLBACKEND", "Agg")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background jobs
    signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore_glob = ["notebooks/[0-9]*.py"]  # lessons to run as notebooks, not modules

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_musdb() -> Path | None:
    """The folder that MUSDB_PATH names, if it holds songs."""
    root = Path(os.environ.get("MUSDB_PATH") or os.devnull)
    songs = any(root.glob("*/*.stem.mp4")) or any(root.glob("*/*/mixture.wav"))
    return root if songs else None


def find_browser() -> bool:
    """Whether Chromium is there: the system's, or the one that playwright installs."""
    if any(map(shutil.which, BROWSERS)):
        return True
    try:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as driver:
            return Path(driver.chromium.executable_path).exists()
    except Exception:
        return False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = {
        name: [item for item in items if item.get_closest_marker(name)]
        for name in ("musdb", "browser")
    }
    ffmpeg = bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))
    if marked["musdb"] and not (ffmpeg and find_musdb()):
        _skip(
            marked["musdb"],
            "NEEDS REAL SONGS: set MUSDB_PATH to a copy of MUSDB18, or get its 7-second sample "
            "with `python -m demucs_lab fetch musdb-sample`"
            if ffmpeg
            else "NEEDS FFMPEG: `python -m demucs_lab doctor` says how to install it",
        )
    if marked["browser"] and not find_browser():
        _skip(
            marked["browser"],
            "NEEDS CHROMIUM: install it with `python -m playwright install --with-deps chromium` "
            "or `apt-get install chromium`",
        )


def _skip(items: list[pytest.Item], reason: str) -> None:
    for item in items:
        item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what this machine could not test, and how to get it."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    gaps = {reason: count for reason, count in reasons.items() if reason.startswith("NEEDS ")}
    if gaps:
        terminalreporter.section("NOT TESTED ON THIS MACHINE", sep="!", yellow=True, bold=True)
        for reason, count in gaps.items():
            terminalreporter.line(f"{count} tests: {reason}", yellow=True)


@pytest.fixture(scope="session")
def musdb_root() -> Path:
    """The real MUSDB18 songs; only for tests marked `musdb`."""
    root = find_musdb()
    assert root is not None
    return root


@pytest.fixture(scope="session")
def real_stems(musdb_root: Path) -> Tensor:
    """The excerpt "Music Delta - 80s Rock" of MUSDB18's 7-second sample, `[4, 2, T]`."""
    from demucs_lab.datasets import MUSDB18

    track = next((t for t in MUSDB18(musdb_root, "train") if "80s Rock" in t.name), None)
    if track is None or track.duration > 7:
        pytest.skip("NEEDS THE 7-SECOND SAMPLE of MUSDB18: the figures are those of its excerpt")
    return track.stems


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for songs, instead of the user's own; no MUSDB18 either."""
    folder = tmp_path / "data"
    monkeypatch.setenv("DEMUCS_LAB_DATA", str(folder))
    monkeypatch.delenv("MUSDB_PATH", raising=False)
    return folder
