"""Widgets to hear with: the stem player, the blind comparison, and a page that keeps them.

Each is `name.py` + `name.js` + `name.css`; `engine.js` holds what they compute, without a page.
"""

from demucs_lab.widgets.abx import ABX
from demucs_lab.widgets.html import to_html
from demucs_lab.widgets.stem_player import StemPlayer

__all__ = ["ABX", "StemPlayer", "to_html"]
