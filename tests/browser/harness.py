"""What the browser tests hold on to: a server, a page, a player."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
QUIET_SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {
        "checkForUpdates": False,
        "doNotDisturbMode": True,
        "fetchNews": "false",
    }
}


class Watched:
    """A page, and what it must not do: complain in the console, or call outside."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.complaints: list[str] = []
        self.outside: list[str] = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._on_call(request.url))
        self.page.on("websocket", lambda socket: self._on_call(socket.url))

    def _on_console(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def _on_call(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("file", "blob", "data") and parts.hostname != "127.0.0.1":
            self.outside.append(url)

    def close(self) -> None:
        self.context.close()


class Lab:
    """A running JupyterLab whose root is a folder of the test's own."""

    def __init__(self, root: Path, private: Path) -> None:
        self.root = root
        self.token = secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        folders = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
        environment = {
            **os.environ,
            **{f"JUPYTER_{name}": str(private / name.lower()) for name in folders},
            "JUPYTERLAB_SETTINGS_DIR": str(private / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(private / "workspaces"),
            "IPYTHONDIR": str(private / "ipython"),
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])
            ),
        }
        for name, content in QUIET_SETTINGS.items():
            file = private / "settings" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content), encoding="utf-8")
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += ["--ip=127.0.0.1", f"--port={self.port}", "--ServerApp.port_retries=0"]
        command += [f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={root}"]
        command += ["--expose-app-in-browser"]
        self.log = private / "server.log"
        with self.log.open("w", encoding="utf-8") as log:
            self.server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self._wait()

    def _wait(self) -> None:
        for _ in range(300):
            if self.server.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api", timeout=1):
                    return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text(encoding='utf-8')}")

    def write(self, name: str, *cells: str) -> None:
        """A notebook of code cells in the root."""
        notebook = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {
                "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                "language_info": {"name": "python"},
            },
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"cell-{k}",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": [],
                    "source": source,
                }
                for k, source in enumerate(cells)
            ],
        }
        (self.root / name).write_text(json.dumps(notebook), encoding="utf-8")

    def open(self, page: Any, name: str) -> None:
        """Open a notebook of the root, and run all its cells once the kernel is ready."""
        page.goto(f"http://127.0.0.1:{self.port}/doc/tree/{name}?token={self.token}")
        page.wait_for_function(KERNEL_IDLE, timeout=60_000)
        page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def close(self) -> None:
        self.server.terminate()
        try:
            self.server.wait(20)
        except subprocess.TimeoutExpired:
            self.server.kill()


KERNEL_IDLE = """() =>
  window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === "idle" """


RENDER = """async (root) => {
  const sound = await root.player.render();
  const both = new Float32Array(2 * sound.length);
  for (const c of [0, 1]) both.set(sound.getChannelData(c), c * sound.length);
  const bytes = new Uint8Array(both.buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  }
  return btoa(text);
}"""


class Player:
    """One player on a page, seen as a learner and as its own script see it."""

    def __init__(self, page: Any, index: int = 0, name: str = "dl-player") -> None:
        self.page = page
        self.root = page.locator(f".{name}").nth(index)

    def get(self, expression: str) -> Any:
        return self.root.evaluate(f"root => {{ const p = root.player; return {expression}; }}")

    def click(self, label: str | re.Pattern[str]) -> None:
        self.root.get_by_role("button", name=label, exact=isinstance(label, str)).click()

    def press(self, key: str) -> None:
        self.root.focus()
        self.page.keyboard.press(key)

    @property
    def playing(self) -> bool:
        return self.get("Boolean(p.deck)")

    @property
    def position(self) -> float:
        return self.get("p.position()")

    @property
    def clocks(self) -> tuple[float, float]:
        """The player's position and the wall's clock, read at one moment, in seconds."""
        audio, wall = self.get("[p.position(), performance.now() / 1000]")
        return audio, wall

    def reset(self) -> None:
        self.get(
            "p.pause(), p.reset(), p.set({system: 'original', loop: [], looping: false,"
            " view: 'waveform'}), p.seek(0)"
        )

    def wait(self, condition: str) -> None:
        """Until the page has done what was asked: acting on a click takes a moment."""
        handle = self.root.element_handle()
        self.page.wait_for_function(
            f"root => {{ const p = root.player; return {condition}; }}", arg=handle
        )

    def render(self) -> np.ndarray:
        """Exactly what plays, `[2, T]`."""
        sound = self.root.evaluate(RENDER)
        return np.frombuffer(base64.b64decode(sound), dtype="<f4").reshape(2, -1)

    def click_at(self, share: float) -> None:
        box = self.root.locator(".dl-view").bounding_box()
        self.page.mouse.click(box["x"] + share * box["width"], box["y"] + 60)

    def drag(self, start: float, end: float) -> None:
        box = self.root.locator(".dl-view").bounding_box()
        self.page.mouse.move(box["x"] + start * box["width"], box["y"] + 60)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + end * box["width"], box["y"] + 60, steps=4)
        self.page.mouse.up()
