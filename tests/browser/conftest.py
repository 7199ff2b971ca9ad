"""A real JupyterLab on 127.0.0.1 and a real Chromium that opens notebooks in it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # pytest's importlib mode adds no folder itself
from harness import Lab

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The system's Chromium, or the one that playwright has installed."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="NEEDS PLAYWRIGHT: install it with `pip install playwright`"
    )
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Lab]:
    pytest.importorskip(
        "jupyterlab", reason="NEEDS JUPYTERLAB: install it with `pip install -e .[lab]`"
    )
    server = Lab(tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("private"))
    yield server
    server.close()
