"""`lab.check` in a real kernel: an endless loop ends, and the kernel goes on."""

from __future__ import annotations

import nbformat
from nbclient import NotebookClient

LOOPS = (
    "while True: pass",
    "while True:\n        try: x = wav + 1\n        except: print('no')",
    "while True:\n        try: time.sleep(0.05)\n        except BaseException: continue",
)
BEFORE = """\
import dataclasses, sys, time
import demucs_lab as lab
from demucs_lab.exercises.framework import all_exercises
known = all_exercises()
known["level"] = dataclasses.replace(known["level"], seconds=0.5)
lab.check("level", None)
threads = len(sys._current_frames())
"""
CHECK = """\
level = lab.check("level", level)
print("more threads:", len(sys._current_frames()) - threads)
"""


def test_endless_loops_in_a_kernel_are_stopped(monkeypatch):
    monkeypatch.setenv("DEMUCS_LAB_PROGRESS", "off")
    sources = [BEFORE]
    for loop in LOOPS:
        sources += [f"def level(wav):\n    {loop}", CHECK]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    for cell in notebook.cells[2::2]:
        assert {output.name for output in cell.outputs} == {"stdout"}
        text = "".join(output.text for output in cell.outputs)
        assert text.startswith("level: line "), text
        assert "stopped after 0.5 s: an endless loop" in text
        assert text.endswith("more threads: 0\n"), text
