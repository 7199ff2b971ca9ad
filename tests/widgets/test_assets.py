from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from demucs_lab.plots import style
from demucs_lab.widgets._assets import css, esm

MODULES = [("stem_player",), ("abx",), ("stem_player", "page"), ("abx", "page")]


@pytest.mark.parametrize("names", MODULES)
def test_a_joined_module_imports_nothing_and_declares_no_name_twice(names: tuple[str, ...]) -> None:
    source = esm(*names)
    assert not re.search(r"^import\b", source, re.MULTILINE)
    declared = re.findall(r"^(?:export )?(?:function|class|const|let) (\w+)", source, re.MULTILINE)
    assert len(declared) == len(set(declared))


@pytest.mark.parametrize("names", MODULES)
def test_a_joined_module_is_valid_javascript(names: tuple[str, ...], tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("NEEDS NODE: install Node.js 20 or newer (`apt-get install nodejs`)")
    file = tmp_path / "module.mjs"
    file.write_text(esm(*names), encoding="utf-8")
    done = subprocess.run([node, "--check", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_no_file_reaches_for_the_network() -> None:
    for name in ("stem_player", "abx"):
        assert not re.search(r"https?://|@import|url\(", esm(name, "page") + css(name))


@pytest.mark.parametrize("name", ["stem_player", "abx"])
def test_players_wear_the_palette_of_the_figures(name: str) -> None:
    sheet = css(name)
    named = dict(re.findall(r"(--dl-[a-z-]+): (#[0-9A-Fa-f]{6});", sheet.splitlines()[0]))
    assert list(named.values()) == [
        style.PAPER,
        style.INK,
        style.SOFT,
        style.LINE,
        *style.PAIR_COLORS,
    ]
    written = {color.upper() for color in re.findall(r"#[0-9A-Fa-f]{6}", sheet.split("\n", 1)[1])}
    palette = {*named.values(), *style.SOURCE_COLORS.values(), *style.OTHER_COLORS}
    assert not written & {color.upper() for color in palette}, "take it from the first line"
