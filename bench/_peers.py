"""The environment of the authors' own code, for measurements that stand beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PEERS = Path(os.environ.get("DEMUCS_LAB_PEERS", Path(__file__).parent.parent / ".venv-peers"))


def run_there(script: str, result: Path) -> int | None:
    """Run `script` again among the peers and give its exit code; None if this is there already.

    Without the peers nothing is measured: `result` says so, and the exit code is 0.
    """
    result.parent.mkdir(exist_ok=True)
    if Path(sys.prefix).resolve() == PEERS.resolve():
        return None
    python = PEERS / ("Scripts" if os.name == "nt" else "bin") / "python"
    if python.exists():
        return subprocess.run([python, script, *sys.argv[1:]], check=False).returncode
    print(f"not measured: the peers' code is not in {PEERS.name}; `make parity` installs it")
    result.write_text(json.dumps({"skipped": "no peers"}) + "\n", encoding="utf-8")
    return 0
