"""Runs the tests of engine.js under node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_the_engine_passes_its_own_tests_under_node() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("NEEDS NODE: install Node.js 20 or newer (`apt-get install nodejs`)")
    done = subprocess.run(
        [node, "--test", str(HERE / "engine.test.mjs")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
