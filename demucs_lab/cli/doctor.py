"""What is there, what is missing, and the one command that closes each gap.

Everything here runs without torch, numpy or any other package: the patient may have none of them.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from demucs_lab.common.paths import cache_dir, checkout, data_dir

SOURCE_FILES = ("drums.flac", "bass.flac", "other.flac", "vocals.flac")
STARTER_SONGS, STARTER_FOLDER = 72, "22050hz-12s"
STARTER_SPACE = 200_000_000
"""Bytes that the starter songs may take."""
PATIENCE = 120
"""Seconds after which an import that has not ended counts as broken."""

_PROBE = """
import json, warnings
warnings.simplefilter("ignore")
import torch, torchaudio
torchaudio.functional.resample(torch.zeros(1, 64), 2, 1)
mps = getattr(torch.backends, "mps", None)
print(json.dumps({
    "torch": torch.__version__,
    "torchaudio": torchaudio.__version__,
    "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    "mps": bool(mps and mps.is_available()),
}))
"""


@dataclass(frozen=True)
class Finding:
    """One row of the table.

    Attributes:
        what: the thing that was looked for.
        found: what is there.
        fix: the command that closes the gap; empty when there is none.
        essential: whether the lessons cannot run while the gap is open.
    """

    what: str
    found: str
    fix: str = ""
    essential: bool = False

    @property
    def state(self) -> str:
        """`ok`, `optional` (a gap that most lessons can live with) or `MISSING`."""
        return "ok" if not self.fix else "MISSING" if self.essential else "optional"


def examine() -> Iterator[Finding]:
    """Look at one thing after the other; a check that fails itself is a finding, not an error."""
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("Python", _python),
        ("PyTorch", _torch),
        ("packages", _packages),
        ("ffmpeg", _ffmpeg),
        ("disk", _disk),
        ("songs", _songs),
        ("MUSDB18", _musdb),
    )
    for what, check in checks:
        try:
            yield from check()
        except Exception as error:
            yield Finding(what, f"could not be checked ({error})", install_command())


def main() -> int:
    """Print the table and the commands; 0 when the lessons can run, 1 when they cannot."""
    findings = []
    for finding in examine():
        findings.append(finding)
        print(f"{finding.state:<9} {finding.what:<14} {finding.found}", flush=True)
    gaps = _without_repeats([finding for finding in findings if finding.fix])
    sick = any(gap.essential for gap in gaps)
    other = _course_python()
    if sick and other:
        print(f"\nThe course was set up in another Python. Use that one:\n  {other}")
        print("\nThe lessons cannot run in this one.")
        return 1
    for essential, title in ((True, "The lessons need this"), (False, "Optional")):
        if chosen := [gap for gap in gaps if gap.essential == essential]:
            print(f"\n{title}:")
            for gap in chosen:
                print(f"  {gap.what}: {gap.fix}")
    print("\n" + ("The lessons cannot run yet." if sick else "The lessons can run."))
    return int(sick)


def _without_repeats(gaps: list[Finding]) -> list[Finding]:
    """The gaps, without the packages that the command for the whole course installs as well."""
    whole, pip = install_command(), f"{_quoted(sys.executable)} -m pip install"
    if all(gap.fix != whole for gap in gaps):
        return gaps
    return [gap for gap in gaps if gap.fix == whole or not gap.fix.startswith(pip)]


def _course_python() -> str:
    """The doctor's command for the checkout's `.venv`, when this is another Python."""
    root = checkout()
    if root is None or Path(sys.prefix).resolve() == (root / ".venv").resolve():
        return ""
    for python in (root / ".venv/bin/python", root / ".venv/Scripts/python.exe"):
        if python.exists():
            return f"{_quoted(str(python))} -m demucs_lab doctor"
    return ""


def install_command(packages: str = "") -> str:
    """The pip line for this Python: the whole course, or the packages named."""
    pip = f"{_quoted(sys.executable)} -m pip install"
    if packages:
        return f"{pip} {packages}"
    root = checkout()
    if root is None:
        return f'{pip} "demucs-lab[lab]"'
    constraints = root / "constraints.txt"
    return f'{pip} -e "{root}[lab]" -c {_quoted(str(constraints))}'


def ffmpeg_command() -> str:
    """How this machine gets ffmpeg and ffprobe."""
    if os.environ.get("CONDA_PREFIX"):
        return "conda install -c conda-forge ffmpeg"
    if sys.platform == "darwin":
        return "brew install ffmpeg"
    if sys.platform == "win32":
        return "winget install ffmpeg"
    for tool, command in (
        ("apt-get", "apt-get install ffmpeg"),
        ("dnf", "dnf install ffmpeg-free"),
        ("pacman", "pacman -S ffmpeg"),
        ("zypper", "zypper install ffmpeg"),
    ):
        if shutil.which(tool):
            root = hasattr(os, "geteuid") and os.geteuid() == 0
            return command if root else f"sudo {command}"
    return "conda install -c conda-forge ffmpeg"


def _python() -> Iterator[Finding]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    old = sys.version_info < (3, 11)
    fix = "install Python 3.11 or later from https://www.python.org/downloads/" if old else ""
    yield Finding("Python", found, fix, essential=True)


def _torch() -> Iterator[Finding]:
    """In a process of its own: a broken build may end the process, or never come back."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=PATIENCE
        )
        said = done.stderr.strip().splitlines()
        reason = said[-1] if said else f"exit code {done.returncode}"
    except subprocess.TimeoutExpired:
        done, reason = None, f"no result within {PATIENCE} s"
    if done is None or done.returncode:
        versions = {name: _version(name) for name in ("torch", "torchaudio")}
        absent = [name for name, version in versions.items() if version is None]
        found = (
            f"{' and '.join(absent)} not installed"
            if absent
            else f"torch {versions['torch']} and torchaudio {versions['torchaudio']} are installed "
            f"but do not work together: {reason}"
        )
        fix = install_command() if absent else install_command(_matching(versions["torch"] or ""))
        yield Finding("PyTorch", found, fix, essential=True)
        return
    probe = json.loads(done.stdout.strip().splitlines()[-1])
    found = f"torch {probe['torch']}, torchaudio {probe['torchaudio']}"
    torch, torchaudio = (_version_numbers(probe[name])[:2] for name in ("torch", "torchaudio"))
    if torch != torchaudio:
        yield Finding(
            "PyTorch",
            f"{found}: made for different releases",
            install_command(_matching(probe["torch"])),
            essential=True,
        )
    else:
        yield Finding("PyTorch", found)
    device = probe["cuda"] or ("Apple GPU (MPS)" if probe["mps"] else f"CPU, {cores()} cores")
    yield Finding("device", device)


def _packages() -> Iterator[Finding]:
    """Every package that the course needs, and whether its version is new enough."""
    essential, lab = requirements()
    shown = ("jupyterlab", "ipywidgets", "anywidget")
    for name in shown:
        minimum = (essential | lab)[name]
        yield _package(name, minimum, name in essential)
    rest = [
        (name, minimum, group is essential)
        for group in (essential, lab)
        for name, minimum in group.items()
        if name not in (*shown, "torch", "torchaudio")
    ]
    findings = [_package(*row) for row in rest]
    good = [finding for finding in findings if not finding.fix]
    yield Finding("libraries", f"{len(good)} of {len(findings)}")
    yield from (finding for finding in findings if finding.fix)


def _package(name: str, minimum: str, essential: bool) -> Finding:
    version = _version(name)
    if version is None:
        return Finding(name, "not installed", install_command(f'"{name}>={minimum}"'), essential)
    if _version_numbers(version) < _version_numbers(minimum):
        fix = install_command(f'--upgrade "{name}>={minimum}"')
        return Finding(name, f"{version}, older than {minimum}", fix, essential)
    return Finding(name, version)


def requirements() -> tuple[dict[str, str], dict[str, str]]:
    """Names and lowest versions: what every lesson needs, and what the extra `lab` adds."""
    lines: list[str] = []
    extras: list[str] = []
    if root := checkout():
        import tomllib

        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        lines, extras = project["dependencies"], project["optional-dependencies"]["lab"]
    else:
        for line in importlib.metadata.requires("demucs-lab") or []:
            if "extra ==" not in line:
                lines.append(line)
            elif re.search(r"extra == ['\"]lab['\"]", line):
                extras.append(line)
    return _minimums(lines), _minimums(extras)


def _minimums(lines: list[str]) -> dict[str, str]:
    matches = (re.match(r"([\w.-]+)\s*>=\s*([\w.]+)", line) for line in lines)
    return {match[1].lower(): match[2] for match in matches if match}


def _ffmpeg() -> Iterator[Finding]:
    missing = [tool for tool in ("ffmpeg", "ffprobe") if shutil.which(tool) is None]
    if missing:
        found = f"{' and '.join(missing)} not found (MUSDB18, museval and AAC files need both)"
        yield Finding("ffmpeg", found, ffmpeg_command())
        return
    said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, timeout=PATIENCE)
    match = re.match(r"ffmpeg version (\S+)", said.stdout)
    if match is None:
        yield Finding("ffmpeg", "is there but does not start", ffmpeg_command())
    else:
        yield Finding("ffmpeg", match[1])


def _disk() -> Iterator[Finding]:
    folder = data_dir()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    found = f"{free / 1e9:.1f} GB free for songs in {folder}"
    if not os.access(existing, os.W_OK):
        fix = "set DEMUCS_LAB_DATA to a folder that you may write to"
        yield Finding("disk", f"{folder} cannot be written", fix, essential=True)
    elif free < STARTER_SPACE and not starter_is_rendered():
        fix = "set DEMUCS_LAB_DATA to a folder on a disk with 200 MB free"
        yield Finding("disk", found, fix, essential=True)
    else:
        yield Finding("disk", found)


def _songs() -> Iterator[Finding]:
    folder = data_dir() / "songs"
    songs = [
        song for song in folder.glob("*/") if all((song / name).exists() for name in SOURCE_FILES)
    ]
    found = (
        f"{len(songs)} at hand" if songs else "none at hand: lesson 00 renders them when it starts"
    )
    yield Finding("first songs", found)
    if starter_is_rendered():
        yield Finding("starter songs", f"{STARTER_SONGS} rendered")
    else:
        fetch = f"{_quoted(sys.executable)} -m demucs_lab fetch starter"
        found = f"{_starter_songs()} of {STARTER_SONGS} rendered (the rest takes under a minute)"
        yield Finding("starter songs", found, fetch)
    sets = {
        folder.parent.name: len(list(folder.glob("*/score.json")))
        for folder in cache_dir().glob("labsongs/v*/*/train")
        if folder.parent.name != STARTER_FOLDER
    }
    if sets:
        found = ", ".join(f"{count} train songs of {name}" for name, count in sorted(sets.items()))
        yield Finding("LabSongs", found)


def _starter_songs() -> int:
    return len(list(cache_dir().glob(f"labsongs/v*/{STARTER_FOLDER}/*/*/score.json")))


def starter_is_rendered() -> bool:
    """Whether all starter songs are there, so that they take no more room."""
    return _starter_songs() >= STARTER_SONGS


def _musdb() -> Iterator[Finding]:
    fetch = f"{_quoted(sys.executable)} -m demucs_lab fetch musdb-sample"
    given = os.environ.get("MUSDB_PATH")
    root = Path(given).expanduser() if given else data_dir() / "musdb18"
    counts = {
        split: sum(
            1 for pattern in ("*.stem.mp4", "*/mixture.wav") for _ in (root / split).glob(pattern)
        )
        for split in ("train", "test")
    }
    if any(counts.values()):
        songs = ", ".join(f"{count} {split}" for split, count in counts.items())
        yield Finding("MUSDB18", f"{songs} songs in {root}")
    elif given:
        fix = "set MUSDB_PATH to the folder that holds MUSDB18's train and test"
        yield Finding("MUSDB18", f"MUSDB_PATH is {root}, where there are no songs", fix)
    else:
        yield Finding("MUSDB18", "not here (MUSDB_PATH is not set)", fetch)


def _matching(torch: str) -> str:
    """The torchaudio of the same release as an installed torch."""
    major_minor = ".".join(map(str, _version_numbers(torch)[:2]))
    return f'--upgrade "torch=={major_minor}.*" "torchaudio=={major_minor}.*"'


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: `2.11.0+cpu` gives (2, 11, 0)."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def cores() -> int:
    """Processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path
