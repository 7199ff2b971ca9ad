import pytest

from demucs_lab.exercises import _progress


@pytest.fixture(autouse=True)
def own_progress_file(tmp_path, monkeypatch):
    """No test reads or writes the progress of whoever runs it."""
    path = tmp_path / "progress.json"
    monkeypatch.setenv("DEMUCS_LAB_PROGRESS", str(path))
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(_progress, "_HERE", set())
    return path
