"""The walls between the rooms of the package: who may import whom.

Every import is read with `ast`, those inside functions and below `if TYPE_CHECKING` too. So what
the test sees is what a reader meets who follows a name from file to file.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import demucs_lab

PACKAGE = Path(demucs_lab.__file__).parent

# From the lowest to the highest; a file may import its own room and those on lines above its own.
# Rooms on one line do not know each other.
FLOORS = [
    ["common", "spectral"],  # paths, tables, memory; the STFT
    ["audio", "losses"],  # losses are formulas on waveforms and need the STFT alone
    ["datasets"],
    ["models"],
    ["pretrained", "attention"],  # weights for the models; what a trained model attends to
    ["separation", "masking"],  # both turn a mixture into stems: by a model, by the true stems
    ["metrics"],
    ["plots"],
    ["widgets"],  # players wear the palette of the plots
    ["exercises"],  # what learners write, judged with all of the above, shown by widgets
    ["training"],
    ["evaluation"],
    ["experiments"],
    ["cli"],
    ["__main__", "__init__"],  # the front door: nothing inside may go through it
]
RANK = {room: rank for rank, rooms in enumerate(FLOORS) for room in rooms}

MODELS_MAY_USE = {"torch", "safetensors", "models", "common", "spectral"}
"""A model file reads beside its paper: PyTorch and nothing of ours but the STFT and the file's
safe writing. The standard library does not count."""


def files(package: Path) -> dict[str, Path]:
    """Every file of the package by its dotted name below the package."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = path
    return found


def imports(path: Path, package: Path) -> Iterator[tuple[int, str, list[str]]]:
    """`(line, module, names)` of each import of a file, relative ones spelled out."""
    home = (package.name, *path.relative_to(package).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, []
        elif isinstance(node, ast.ImportFrom):
            base = list(home[: len(home) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield node.lineno, module, [alias.name for alias in node.names]


def edges(package: Path) -> list[tuple[str, int, str]]:
    """`(file, line, imported file)` within the package."""
    known = files(package)
    found = set()
    for name, path in known.items():
        for line, module, names in imports(path, package):
            if module.split(".")[0] != package.name:
                continue
            inside = module.split(".")[1:]
            for imported in names or [""]:
                full = ".".join([*inside, *([imported] if imported else [])])
                target = full if full in known else ".".join(inside) or "__init__"
                found.add((name, line, target))
    return sorted(found)


def room(name: str) -> str:
    return name.split(".")[0]


def up(package: Path) -> list[str]:
    """Imports against the current, a sentence each."""
    return [
        f"{name}, line {line}, imports {target}: {room(name)} lies below or beside {room(target)}"
        for name, line, target in edges(package)
        if room(name) != room(target) and RANK[room(target)] >= RANK[room(name)]
    ]


def circles(package: Path) -> list[str]:
    """Files that import each other, directly or through others, a sentence each."""
    graph: dict[str, set[str]] = {name: set() for name in files(package)}
    for name, _, target in edges(package):
        if target in graph:
            graph[name].add(target)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [*graph[start]]
        while todo:
            if (name := todo.pop()) not in seen:
                seen.add(name)
                todo += graph[name]
        return seen

    below = {name: reached(name) for name in graph}
    groups = {
        tuple(sorted(other for other in below[name] if name in below[other]))
        for name in graph
        if name in below[name]
    }
    return [f"{' and '.join(group)} import each other" for group in sorted(groups)]


def lost(package: Path) -> list[str]:
    """Imports of files that are not there: lazy ones fail only when they are used."""
    known = files(package)
    return [
        f"{name}, line {line}, imports {target}, which does not exist"
        for name, line, target in edges(package)
        if target not in known
    ]


def private_at_the_top(package: Path) -> list[str]:
    return [
        f"{path.name} lies at the package's top, where every name is public: put it into the "
        f"folder of its owner"
        for path in sorted(package.glob("_*.py"))
        if not path.name.startswith("__")
    ]


def foreign_in_models(package: Path) -> list[str]:
    found = []
    for name, path in files(package).items():
        if room(name) != "models":
            continue
        for line, module, names in imports(path, package):
            first, *inside = module.split(".")
            used = [inside[0]] if first == package.name and inside else names
            used = used if first == package.name else [first]
            found += [
                f"{name}, line {line}, imports {one}: a model needs torch, common and spectral only"
                for one in used
                if one not in MODELS_MAY_USE and one not in sys.stdlib_module_names
            ]
    return found


def private_names_of_others(package: Path) -> list[str]:
    """`_names` are for their own room."""
    found = []
    for name, path in files(package).items():
        for line, module, names in imports(path, package):
            first, *inside = module.split(".")
            if first != package.name or (inside and inside[0] == room(name)):
                continue
            found += [
                f"{name}, line {line}, imports {one} of {module}, which is private to its room"
                for one in (*inside, *names)
                if one.startswith("_") and not one.startswith("__")
            ]
    return found


RULES = [up, circles, lost, private_at_the_top, foreign_in_models, private_names_of_others]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_wall_is_broken(rule):
    broken = rule(PACKAGE)
    assert not broken, "\n" + "\n".join(broken)


def test_every_room_has_its_floor():
    rooms = {room(name) for name in files(PACKAGE)}
    assert rooms == set(RANK), "draw the new room, or remove the old one, in FLOORS"


@pytest.mark.parametrize(
    ("rule", "path", "text", "sentence"),
    [
        (up, "audio/a.py", "import demucs_lab.cli.b", "audio.a, line 1, imports cli.b: audio lies"),
        (up, "audio/a.py", "def f():\n    from ..cli import b", "audio.a, line 2, imports cli.b"),
        (up, "audio/a.py", "if TYPE_CHECKING:\n    from demucs_lab import cli", "imports cli: "),
        (up, "masking.py", "from demucs_lab.separation import x", "lies below or beside separati"),
        (up, "audio/a.py", "from demucs_lab import separate", "audio.a, line 1, imports __init__"),
        (circles, "cli/b.py", "def f():\n    from .c import g", "cli.b and cli.c import each ot"),
        (circles, "cli/b.py", "from . import c", "cli.b and cli.c import each other"),
        (
            lost,
            "audio/a.py",
            "def f():\n    import demucs_lab.audio.b",
            "imports audio.b, which does",
        ),
        (private_at_the_top, "_a.py", "", "_a.py lies at the package's top"),
        (foreign_in_models, "models/a.py", "import numpy as np", "imports numpy: a model"),
        (foreign_in_models, "models/a.py", "from demucs_lab.audio import x", "imports audio: a"),
        (foreign_in_models, "models/a.py", "from demucs_lab import cli", "imports cli: a model"),
        (private_names_of_others, "cli/b.py", "from demucs_lab.audio import _x", "imports _x of"),
    ],
)
def test_a_broken_wall_is_seen(tmp_path, rule, path, text, sentence):
    package = tmp_path / "demucs_lab"
    plain = {
        "__init__.py": "",
        "audio/__init__.py": "import torch\nfrom demucs_lab.common import paths",
        "common/paths.py": "import os",
        "cli/__init__.py": "from . import b, c",
        "cli/b.py": "from demucs_lab.audio import x",
        "cli/c.py": "from demucs_lab.cli.b import y",
        "models/a.py": "import math\nimport torch\nfrom demucs_lab.spectral import stft",
        "separation/__init__.py": "",
        "spectral.py": "",
    }
    for name, content in plain.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(content)
    for one in RULES:
        assert one(package) == []
    (package / path).parent.mkdir(exist_ok=True)
    (package / path).write_text(text)
    assert sentence in "\n".join(rule(package))
