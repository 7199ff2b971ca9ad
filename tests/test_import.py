import re
import subprocess
import sys
from pathlib import Path

import demucs_lab
from demucs_lab import datasets

HEAVY = {"torch", "numpy", "scipy", "musdb", "museval", "librosa", "accelerate", "matplotlib"}


def loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_importing_the_package_imports_nothing_heavy():
    loaded = loaded_by("import demucs_lab, demucs_lab.cli, demucs_lab.cli.doctor")
    assert not loaded & HEAVY


def test_the_library_leaves_optional_packages_alone_until_they_are_used():
    names = ", ".join(f"demucs_lab.{name}" for name in demucs_lab.__all__)
    loaded = loaded_by(f"import demucs_lab; {names}; demucs_lab.datasets.MUSDB18")
    assert not loaded & {"musdb", "museval", "librosa", "accelerate"}


def test_every_public_name_resolves():
    for module in (demucs_lab, datasets):
        assert set(module.__all__) <= set(dir(module))
        for name in module.__all__:
            assert getattr(module, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    for module in (demucs_lab, datasets):
        assert not hasattr(module, "no_such_name")


def test_the_rooms_that_the_readme_lists_are_there():
    readme = Path(demucs_lab.__file__).parents[1] / "README.md"
    table = re.search(r"\| Room \|.*?\n\n", readme.read_text(encoding="utf-8"), re.DOTALL)
    assert table
    names = re.findall(r"`([\w.]+)`", " ".join(re.findall(r"^\| (.*?) \|", table[0], re.M)))
    assert len(names) > 15
    program = "import demucs_lab as lab; " + "; ".join(f"lab.{name}" for name in names)
    subprocess.run([sys.executable, "-c", program], check=True)
