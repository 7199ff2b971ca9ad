import importlib.metadata
import os
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from demucs_lab.cli import doctor
from demucs_lab.common.paths import checkout
from demucs_lab.datasets.labsongs import cache, dataset

SONGS = ("drums.flac", "bass.flac", "other.flac", "vocals.flac")


def examined():
    return {finding.what: finding for finding in doctor.examine()}


@pytest.fixture
def quick(monkeypatch, data_folder):
    """The doctor without the check that starts another Python."""
    monkeypatch.setattr(doctor, "_torch", lambda: iter([doctor.Finding("PyTorch", "there")]))
    return data_folder


def break_torch(folder, monkeypatch, code):
    """A package named torch that comes before the real one."""
    (folder / "torch.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_a_machine_that_runs_the_tests_can_run_the_lessons(capsys):
    assert doctor.main() == 0
    said = capsys.readouterr().out
    assert said.strip().endswith("The lessons can run.")
    assert f"torch {importlib.metadata.version('torch')}" in said
    for what in ("Python", "device", "ffmpeg", "anywidget", "disk", "starter songs", "MUSDB18"):
        assert f" {what} " in said


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ImportError('libcudart.so is not there')", "libcudart.so is not there"),
        ("import os; os._exit(134)", "exit code 134"),
        ("import os; os.abort()", "exit code"),
        ("x = = 1", "invalid syntax"),
    ],
)
def test_a_broken_torch_is_a_finding_and_no_traceback(
    data_folder, tmp_path, monkeypatch, capsys, code, reason
):
    break_torch(tmp_path, monkeypatch, code)
    assert doctor.main() == 1
    said = capsys.readouterr()
    assert reason in said.out
    assert "do not work together" in said.out
    assert "Traceback" not in said.out + said.err
    assert said.out.strip().endswith("The lessons cannot run yet.")


def test_a_torch_that_never_comes_back_is_a_finding(data_folder, tmp_path, monkeypatch):
    break_torch(tmp_path, monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(doctor, "PATIENCE", 0.5)
    monkeypatch.setattr(doctor.shutil, "which", lambda tool: None)
    assert "no result within 0.5 s" in examined()["PyTorch"].found


def test_a_torchaudio_of_another_release_is_a_finding(data_folder, tmp_path, monkeypatch):
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio" / "__init__.py").write_text(
        "__version__ = '2.6.0+cpu'\n"
        "class functional:\n"
        "    resample = staticmethod(lambda *arguments: None)\n"
    )
    break_torch(
        tmp_path,
        monkeypatch,
        "__version__ = '2.11.0'\n"
        "zeros = lambda *shape: None\n"
        "class cuda:\n    is_available = staticmethod(lambda: False)\n"
        "class backends:\n    pass\n",
    )
    finding = examined()["PyTorch"]
    assert finding.state == "MISSING"
    assert "different releases" in finding.found
    assert '"torch==2.11.*" "torchaudio==2.11.*"' in finding.fix


def test_missing_torch_is_installed_with_the_course(data_folder, tmp_path, monkeypatch):
    break_torch(tmp_path, monkeypatch, "raise ModuleNotFoundError('No module named torch')")
    version = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "torch" else version(name))
    finding = examined()["PyTorch"]
    assert finding.found == "torch not installed"
    assert finding.fix == doctor.install_command()


@pytest.mark.parametrize(
    ("system", "tools", "conda", "command"),
    [
        ("linux", {"apt-get"}, None, "apt-get install ffmpeg"),
        ("linux", {"dnf"}, None, "dnf install ffmpeg-free"),
        ("linux", set(), None, "conda install -c conda-forge ffmpeg"),
        ("darwin", set(), None, "brew install ffmpeg"),
        ("win32", set(), None, "winget install ffmpeg"),
        ("linux", {"apt-get"}, "/opt/conda", "conda install -c conda-forge ffmpeg"),
    ],
)
def test_missing_ffmpeg_has_the_command_of_the_system(
    quick, monkeypatch, system, tools, conda, command
):
    monkeypatch.setattr(
        doctor.shutil, "which", lambda tool: f"/usr/bin/{tool}" if tool in tools else None
    )
    monkeypatch.setattr(doctor.sys, "platform", system)
    if conda:
        monkeypatch.setenv("CONDA_PREFIX", conda)
    else:
        monkeypatch.delenv("CONDA_PREFIX", raising=False)
    (finding,) = doctor._ffmpeg()
    assert finding.state == "optional"
    assert finding.fix.removeprefix("sudo ") == command


def test_missing_and_old_packages_have_a_command(quick, monkeypatch):
    version = doctor._version
    changed = {"anywidget": None, "scipy": "1.2.3", "musdb": None}
    monkeypatch.setattr(
        doctor, "_version", lambda name: changed[name] if name in changed else version(name)
    )
    findings = examined()
    assert findings["anywidget"].state == "MISSING"
    assert findings["scipy"].state == "MISSING"
    assert "1.2.3, older than" in findings["scipy"].found
    assert findings["musdb"].state == "optional"
    for name in changed:
        assert f"{name}>=" in findings[name].fix


def test_the_lowest_versions_are_those_of_the_package(monkeypatch):
    """Read from pyproject.toml in a checkout, from the metadata elsewhere; packaging agrees."""
    in_checkout = doctor.requirements()
    monkeypatch.setattr(doctor, "checkout", lambda: None)
    assert doctor.requirements() == in_checkout
    declared = [Requirement(line) for line in importlib.metadata.requires("demucs-lab")]
    for group, environment in zip(in_checkout, ({"extra": ""}, {"extra": "lab"}), strict=True):
        for name, minimum in group.items():
            (line,) = (
                line for line in declared if line.name == name and "dev" not in str(line.marker)
            )
            assert not line.marker or line.marker.evaluate(environment)
            assert Version(minimum) in line.specifier
    assert {"torch", "torchaudio", "ipywidgets"} <= set(in_checkout[0])
    assert {"jupyterlab", "musdb", "museval"} <= set(in_checkout[1])


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1.9.2", "1.10"), ("2.10.0", "2.11.0+cpu"), ("7.7", "8"), ("0.4", "0.4.1")],
)
def test_versions_compare_as_numbers(older, newer):
    assert doctor._version_numbers(older) < doctor._version_numbers(newer)
    assert Version(older) < Version(newer)


def test_songs_are_counted(quick):
    assert examined()["first songs"].found.startswith("none")
    for name in ("a", "b", "c"):
        folder = quick / "songs" / name
        folder.mkdir(parents=True)
        for file in SONGS:
            (folder / file).touch()
    (folder / "bass.flac").unlink()
    assert examined()["first songs"].found.startswith("2 ")
    starter = examined()["starter songs"]
    assert starter.state == "optional"
    assert starter.fix.endswith("-m demucs_lab fetch starter")


def test_the_starter_set_is_whole_when_every_song_is_there(quick):
    """In the folders that LabSongs itself uses."""
    for split, count in dataset.STARTER.items():
        for index in range(count):
            folder = cache.song_folder(
                quick / "cache", split, index, dataset.STARTER_RATE, dataset.STARTER_SECONDS
            )
            folder.mkdir(parents=True)
            for name in cache.FILES:
                (folder / name).touch()
    assert examined()["starter songs"].state == "ok"
    (folder / "score.json").unlink()
    finding = examined()["starter songs"]
    assert finding.state == "optional"
    assert finding.found.startswith("71 of 72")


def test_musdb_is_looked_for_where_the_variable_points(quick, tmp_path, monkeypatch):
    finding = examined()["MUSDB18"]
    assert finding.state == "optional"
    assert finding.fix.endswith("fetch musdb-sample")
    monkeypatch.setenv("MUSDB_PATH", str(tmp_path))
    assert "set MUSDB_PATH" in examined()["MUSDB18"].fix
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.stem.mp4").touch()
    (tmp_path / "train" / "b").mkdir(parents=True)
    (tmp_path / "train" / "b" / "mixture.wav").touch()
    finding = examined()["MUSDB18"]
    assert finding.state == "ok"
    assert "1 train, 1 test" in finding.found


def test_a_full_disk_is_essential_only_while_songs_are_missing(quick, monkeypatch):
    usage = doctor.shutil.disk_usage
    monkeypatch.setattr(
        doctor.shutil, "disk_usage", lambda path: usage(path)._replace(free=1_000_000)
    )
    assert examined()["disk"].state == "MISSING"
    monkeypatch.setattr(doctor, "starter_is_rendered", lambda: True)
    assert examined()["disk"].state == "ok"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_that_cannot_be_written_is_a_finding(quick):
    quick.mkdir()
    quick.chmod(0o500)
    assert "DEMUCS_LAB_DATA" in examined()["disk"].fix


def test_a_check_that_fails_is_a_finding(quick, monkeypatch, capsys):
    def fail():
        raise PermissionError("no")

    monkeypatch.setattr(doctor, "_disk", fail)
    assert "could not be checked (no)" in examined()["disk"].found


def test_the_install_command_is_for_this_python(monkeypatch):
    command = doctor.install_command()
    assert command.startswith((sys.executable, f'"{sys.executable}"'))
    assert str(checkout()) in command
    assert Path(command.split(" -c ")[1].strip('"')).name == "constraints.txt"
    monkeypatch.setattr(doctor, "checkout", lambda: None)
    assert doctor.install_command().endswith('pip install "demucs-lab[lab]"')


def test_another_python_is_sent_to_the_one_of_the_course(quick, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "checkout", lambda: tmp_path)
    sick = iter([doctor.Finding("PyTorch", "not installed", "pip install", essential=True)])
    monkeypatch.setattr(doctor, "examine", lambda: sick)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert doctor.main() == 1
    said = capsys.readouterr().out
    assert f"{python} -m demucs_lab doctor" in said.replace('"', "")
    assert "pip install" not in said


def test_the_command_for_the_whole_course_stands_alone(monkeypatch, capsys):
    whole, one = doctor.install_command(), doctor.install_command("tqdm")
    found = [
        doctor.Finding("PyTorch", "not installed", whole, essential=True),
        doctor.Finding("tqdm", "not installed", one, essential=True),
        doctor.Finding("ffmpeg", "not found", "get ffmpeg"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda: iter(found))
    monkeypatch.setattr(doctor, "_course_python", lambda: "")
    assert doctor.main() == 1
    said = capsys.readouterr().out
    assert whole in said
    assert "get ffmpeg" in said
    assert f": {one}" not in said
