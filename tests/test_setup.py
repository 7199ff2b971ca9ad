"""The files that set things up agree with each other."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lines_of(path):
    lines = (line.strip() for line in (ROOT / path).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def pins():
    """Name to exact version, from constraints.txt."""
    found = {}
    for line in lines_of("constraints.txt"):
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        found[canonicalize_name(requirement.name)] = Version(specifier.version)
    return found


def workflows():
    return sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_every_dependency_is_pinned_to_a_public_release_in_its_range():
    pinned = pins()
    assert len(pinned) == len(lines_of("constraints.txt"))
    assert all(version.local is None for version in pinned.values())
    assert "://" not in (ROOT / "constraints.txt").read_text(encoding="utf-8")
    extras = PROJECT["optional-dependencies"]
    for line in (*PROJECT["dependencies"], *extras["lab"], *extras["dev"]):
        requirement = Requirement(line)
        if canonicalize_name(requirement.name) != PROJECT["name"]:
            assert pinned[canonicalize_name(requirement.name)] in requirement.specifier


def test_torch_and_torchaudio_are_of_one_release():
    assert pins()["torch"] == pins()["torchaudio"]


def test_binder_installs_the_same_torch_without_cuda():
    lines = lines_of("binder/requirements.txt")
    versions = dict(line.split("==") for line in lines if "==" in line)
    assert versions == {name: f"{pins()[name]}+cpu" for name in ("torch", "torchaudio")}
    assert "-c ../constraints.txt" in lines
    assert lines_of("binder/apt.txt") == ["ffmpeg"]
    python = lines_of("binder/runtime.txt")[0].removeprefix("python-")
    assert Version(python) >= Version(PROJECT["requires-python"].removeprefix(">="))


def test_the_workflows_test_the_oldest_torch_that_is_promised():
    (oldest,) = (line for line in PROJECT["dependencies"] if line.startswith("torch>"))
    matrix = yaml.safe_load(workflows()[0].read_text(encoding="utf-8"))["jobs"]["systems"]
    (row,) = (row for row in matrix["strategy"]["matrix"]["include"] if row["torch"] == "oldest")
    assert row["pins"].split()[0] == oldest.replace(">=", "==") + ".*"
    assert row["python"] == PROJECT["requires-python"].removeprefix(">=")


@pytest.mark.parametrize("path", workflows(), ids=lambda path: path.name)
def test_workflows_ask_for_little_and_pin_their_actions(path):
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    for action in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"actions/[\w-]+@v\d+", action)
    for job in workflow["jobs"].values():
        assert job["runs-on"]


@pytest.mark.parametrize("path", [".ci/run", "binder/postBuild"])
def test_scripts_are_executable_and_stop_on_mistakes(path):
    script = ROOT / path
    assert script.read_text(encoding="utf-8").startswith("#!")
    assert "pipefail" in script.read_text(encoding="utf-8")
    if sys.platform != "win32":
        assert script.stat().st_mode & 0o111


def test_what_is_documented_in_the_makefile_is_there():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    documented = re.findall(r"^# make (\w+) ", text, re.MULTILINE)
    assert documented == ["lab", "test", "course", "parity", "bench", "check", "clean"]
    for target in documented:
        assert re.search(rf"^{target}:", text, re.MULTILINE)
