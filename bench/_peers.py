"""The environment of the authors' own code, for measurements that stand beside it."""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

PEERS = Path(os.environ.get("DEMUCS_LAB_PEERS", Path(__file__).parent.parent / ".venv-peers"))
SOURCES = ["drums", "bass", "other", "vocals"]


def run_there(script: str, result: Path, alone: bool = False) -> int | None:
    """Run `script` again among the peers and give its exit code; None if this is there already.

    Without the peers nothing is measured: `result` says so, and the exit code is 0. A script that
    has something to say `alone` goes on without them, as if it were there.
    """
    result.parent.mkdir(exist_ok=True)
    if Path(sys.prefix).resolve() == PEERS.resolve():
        return None
    python = PEERS / ("Scripts" if os.name == "nt" else "bin") / "python"
    if python.exists():
        return subprocess.run([python, script, *sys.argv[1:]], check=False).returncode
    print(f"not measured: the peers' code is not in {PEERS.name}; `make parity` installs it")
    if alone:
        return None
    result.write_text(json.dumps({"skipped": "no peers"}) + "\n", encoding="utf-8")
    return 0


def peer_class(path: str) -> type:
    """The authors' class; version 2.0.3 needs little of what it imports."""
    module, _, name = path.rpartition(".")
    if module.startswith("demucs2.") and "demucs2" not in sys.modules:
        package, utils = types.ModuleType("demucs2"), types.ModuleType("demucs2.utils")
        package.__path__ = [str(Path(sys.prefix) / "demucs2" / "demucs")]
        vars(utils)["capture_init"] = lambda init: init
        sys.modules.update({"demucs2": package, "demucs2.utils": utils})
    return getattr(importlib.import_module(module), name)


class Side:
    """One side of a comparison in a process of its own, so that its memory is its own."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def run(self, task: str, save: Path | None = None) -> dict[str, float]:
        """Seconds of a task, and the peak of memory in it, in MB beyond that of the imports."""
        assert self.process.stdin
        assert self.process.stdout
        print(task, save or "", sep="\t", file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{' '.join(map(str, self.process.args))} did not finish {task!r}")


def serve(tasks: dict[str, Callable[[], Any]], empty: float) -> None:
    """What a `Side` does: run the tasks that are asked for; `empty` is its memory after imports."""
    import torch

    for line in sys.stdin:
        task, _, save = line.rstrip("\n").partition("\t")
        forget_peak()
        began = time.perf_counter()
        answer = tasks[task]()
        told = {"seconds": time.perf_counter() - began, "MB": round(memory("VmHWM") - empty)}
        if save:
            torch.save(answer, save)
        del answer
        print(json.dumps(told), flush=True)


def compare(
    ours: Side, theirs: Side, task: str, rounds: int, same: bool = True, warm: bool = True
) -> dict[str, Any]:
    """Run a task on both sides in turns, and compare what they give first."""
    import torch

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if same:
            paths = [Path(folder, side) for side in ("ours", "theirs")]
            pairs = [[side.run(task, p) for side, p in zip((ours, theirs), paths, strict=True)]]
            mine, peer = (torch.load(path) for path in paths)
            found["error"] = float((mine - peer).abs().max() / peer.abs().max())
            del mine, peer
        elif warm:
            pairs = [[side.run(task) for side in (ours, theirs)]]
        if warm:
            pairs = []
        pairs += [[side.run(task) for side in (ours, theirs)] for _ in range(rounds - len(pairs))]
    for i, name in enumerate(("ours", "peer")):
        found[name] = statistics.median(pair[i]["seconds"] for pair in pairs)
        found[f"{name} MB"] = max(pair[i]["MB"] for pair in pairs)
    found["ratio"] = statistics.median(b["seconds"] / a["seconds"] for a, b in pairs)
    return found


HEADER = f"{'':<44} {'ours':>8} {'peer':>8}  peer / ours  MB: ours   MB: peer    error"


def line(name: str, row: dict[str, Any]) -> str:
    """A row of the table: seconds, ratio, peaks of memory, largest difference."""
    error = f"{row['error']:8.0e}" if "error" in row else ""
    return (
        f"{name:<44} {row['ours']:7.2f}s {row['peer']:7.2f}s {row['ratio']:9.2f} ×  "
        f"{row['ours MB']:8.0f}   {row['peer MB']:8.0f} {error}"
    )


def memory(what: str = "VmRSS") -> float:
    """MB of this process, now ("VmRSS") or at most since `forget_peak` ("VmHWM").

    Where the system does not tell, the most since the process began.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for told in status.read_text(encoding="utf-8").splitlines():
            if told.startswith(what):
                return int(told.split()[1]) / 1e3
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def forget_peak() -> None:
    """Let "VmHWM" begin again, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return
