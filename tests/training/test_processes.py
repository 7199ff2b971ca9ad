"""Several processes: what they learn together, and how they are started."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from nbclient import NotebookClient
from songs import MICRO, songs

from demucs_lab import training
from demucs_lab.training import checkpoint

HELPERS = Path(__file__).parents[1] / "helpers"
# Short excerpts: the bias of the last layer sums over all samples in float32.
ONE_STEP = {
    "steps": 1, "clip": None, "validations": 1, "warmup": 0, "pitch_tempo": 0.5, "segment": 0.03,
}  # fmt: skip


def gradients(folder):
    """Adam's first moment after one step is a tenth of the gradient."""
    tensors, _, _ = checkpoint.load_checkpoint(Path(folder) / "checkpoints")
    return {name: 10 * value for name, value in tensors.items() if name.endswith("exp_avg")}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    options = {**MICRO, **ONE_STEP, "batch": 8}
    return training.train("tiny-demucs", songs(), folder=folder, progress=False, **options)


def assert_the_same_gradients(folder, alone):
    found, expected = gradients(folder), gradients(alone.folder)
    assert found.keys() == expected.keys()
    assert found
    largest = max(float(value.abs().max()) for value in expected.values())
    for name, value in expected.items():
        assert float((found[name] - value).abs().max()) <= 1e-5 * largest, name


def test_two_processes_launched_in_a_notebook_give_the_gradients_of_one(tmp_path, alone):
    cells = f"""
import sys
sys.path.insert(0, {str(HELPERS)!r})
import torch
import songs
from demucs_lab import training
torch.set_num_threads(1)
---
training.train("tiny-demucs", songs.songs(), folder={str(tmp_path / "one")!r}, steps=2, cpu=True,
               **songs.MICRO).stopped
---
options = dict(songs.MICRO, **{ONE_STEP!r}, batch=4)
result = training.train(
    "tiny-demucs", songs.songs(), folder={str(tmp_path / "run")!r}, processes=2, cpu=True, **options
)
---
print(result)
"""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells.split("---")]
    )
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [o for o in outputs if o.get("name") == "stderr"]
    figures = [o for o in notebook.cells[1].outputs if "image/png" in o.get("data", {})]
    assert len(figures) == 1  # redrawn in place
    printed = notebook.cells[-1].outputs[0].text
    assert "Stopped after 1 steps" in printed
    assert "SDR, dB" in printed
    assert_the_same_gradients(tmp_path / "run", alone)


def test_two_processes_of_accelerate_launch_give_the_gradients_of_one(tmp_path, alone):
    script = tmp_path / "script.py"
    script.write_text(f"""
import sys
sys.path.insert(0, {str(HELPERS)!r})
import torch
import songs
from demucs_lab import training
torch.set_num_threads(1)
options = dict(songs.MICRO, **{ONE_STEP!r}, batch=4)
result = training.train("tiny-demucs", songs.songs(), folder=sys.argv[1], cpu=True, **options)
assert result.best.songs == 1
""")
    launch = [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
        "--num_cpu_threads_per_process", "1",
    ]  # fmt: skip
    done = subprocess.run(
        [*launch, str(script), str(tmp_path / "run")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert_the_same_gradients(tmp_path / "run", alone)


def test_half_the_batch_alone_has_other_gradients(tmp_path, alone):
    """So the comparison above sees what it should."""
    options = {**MICRO, **ONE_STEP, "batch": 4}
    half = training.train(
        "tiny-demucs", songs(), folder=tmp_path / "run", progress=False, **options
    )
    assert any(
        not torch.allclose(value, gradients(alone.folder)[name], atol=1e-4)
        for name, value in gradients(half.folder).items()
    )
