"""Make the notebooks of a lesson from its one source, `solutions/NN_name.py`.

    python solutions/build.py              every lesson; what code has not changed is not run again
    python solutions/build.py 02 05        these
    python solutions/build.py --run        run them all the same: the package has changed
    python solutions/build.py --students   the learner's copies only, nothing is run
    python solutions/build.py --check      change nothing; fail if a notebook is not what its source gives

`solutions/NN_name.ipynb` is the lesson solved and executed, `course/NN_name.ipynb` the learner's copy:
no solutions, no outputs. A lesson is run as a whole, or not at all: if each code cell is as it was
when the outputs were recorded, they stay and only the text is new.

The source is jupytext's percent format, with these markers:

    # %% exercise="ratio_mask"            what the learner writes stands between the lines
                                          `### BEGIN SOLUTION` and `### END SOLUTION`
    # %% check="ratio_mask" points=2      locked, graded by nbgrader; points default to 1
    # %% predict="phase_cost"             an empty cell: question, options and the cell with the
                                          guess are written here, from the lesson's PREDICTIONS
    # %% tags=["gpu"]                     run only where CUDA is; elsewhere the recorded result stays,
                                          and nbval skips the cell. The code itself must ask for CUDA
                                          first, since a learner without a GPU runs it too.

The folded cell for Colab and the link to it are added here, the same in every lesson.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
COURSE = ROOT / "course"
LARGEST = 2_000_000  # bytes: beyond it GitHub shows no notebook
REPOSITORY = "demucs-lab/demucs-lab"
# A link, not the badge's picture: opening a lesson must not fetch anything.
BADGE = (
    "[Open this lesson in Google Colab]"
    f"(https://colab.research.google.com/github/{REPOSITORY}/blob/main/{{folder}}/{{stem}}.ipynb)"
)
FOLDED = {
    "cellView": "form",
    "jupyter": {"source_hidden": True},
}  # on Colab, in JupyterLab
COLAB = f"""\
# @title On Google Colab this installs the course; anywhere else it does nothing.
import importlib.util
import sys

if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()
    if importlib.util.find_spec("demucs_lab") is None:
        # Colab's own torch and numpy stay.
        course = "demucs-lab @ git+https://github.com/{REPOSITORY}"
        %pip install -q --no-deps "{{course}}"
        %pip install -q anywidget soundfile safetensors musdb museval"""
# How the kernel of a build, and of nbval, differs from a learner's: it remembers no solved
# exercise and draws no progress bars, so that what it prints is the same every time.
KERNEL_ENV = {
    "DEMUCS_LAB_PROGRESS": "off",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "TQDM_DISABLE": "1",
}


class BuildError(Exception):
    """A lesson that cannot be built; the text says which cell and why."""


# -- source → notebook ----------------------------------------------------------------------------


def read_source(path: Path, folder: str = "solutions") -> NotebookNode:
    """The lesson as a notebook, unexecuted, with ids, nbgrader's metadata and the Colab cell.

    In the folder "course" the guesses are still to be made.
    """
    plain = jupytext.read(path, fmt="py:percent")
    try:
        cells = [
            made
            for cell in plain.cells
            for made in _cells(cell, guessed=folder != "course")
        ]
    except BuildError as error:
        raise BuildError(f"{path.name}: {error}") from None
    badge = BADGE.format(folder=folder, stem=path.stem)
    if cells and cells[0].cell_type == "markdown":
        cells[0].source += f"\n\n{badge}"
    else:
        cells.insert(0, nbformat.v4.new_markdown_cell(badge))
    cells.insert(1, nbformat.v4.new_code_cell(COLAB, metadata=FOLDED))
    for number, cell in enumerate(cells):
        cell.id = f"{path.stem}-{number:03d}"
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=_metadata())
    _refuse_repeated_names(path, notebook)
    return notebook


def _metadata() -> dict[str, Any]:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"kernelspec": kernel, "language_info": {"name": "python"}}


def _cells(cell: NotebookNode, guessed: bool) -> list[NotebookNode]:
    if "predict" in cell.metadata:
        return _prediction(cell, guessed)
    marks = dict(cell.metadata)
    exercise, check = marks.pop("exercise", None), marks.pop("check", None)
    points = marks.pop("points", 1)
    if exercise:
        marks["nbgrader"] = _nbgrader(exercise, solution=True)
    elif check:
        marks["nbgrader"] = _nbgrader(
            f"check-{check}", grade=True, locked=True, points=points
        )
    if "gpu" in marks.get("tags", []):
        marks["tags"] = [*marks["tags"], "nbval-skip"]
    if cell.cell_type == "code":
        return [nbformat.v4.new_code_cell(cell.source, metadata=marks)]
    return [nbformat.v4.new_markdown_cell(cell.source, metadata=marks)]


def _prediction(cell: NotebookNode, guessed: bool) -> list[NotebookNode]:
    """The question with its options, and the cell that takes the guess."""
    from demucs_lab.exercises.framework import all_predictions

    name = cell.metadata["predict"]
    prediction = all_predictions().get(name)
    if prediction is None:
        raise BuildError(f"there is no prediction {name!r} in demucs_lab/exercises")
    if cell.source:
        raise BuildError(
            f'the build writes the cell predict="{name}": leave it empty'
        )
    options = [
        f"- **{letter}** {text}"
        for letter, text in (prediction.options or {}).items()
    ]
    question = "\n\n".join(
        [prediction.question, *filter(None, ["\n".join(options)])]
    )
    guess = json.dumps(prediction.answer) if guessed else "None  # your guess"
    code = f'choice = {guess}\nlab.predict("{name}", choice)'
    return [
        nbformat.v4.new_markdown_cell(question),
        nbformat.v4.new_code_cell(code, metadata={"predict": name}),
    ]


def _nbgrader(name: str, **what: Any) -> dict[str, Any]:
    plain = {"grade": False, "locked": False, "solution": False, "task": False}
    return {"schema_version": 3, "grade_id": name, **plain, **what}


def _refuse_repeated_names(path: Path, notebook: NotebookNode) -> None:
    seen: set[str] = set()
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in seen:
            raise BuildError(
                f"{path.name}: two cells are marked {name!r} ({cell.id} is the second)"
            )
        seen |= {name} if name else set()


# -- the solved notebook --------------------------------------------------------------------------


def execute(
    notebook: NotebookNode, recorded: NotebookNode | None = None
) -> NotebookNode:
    """Run every cell; GPU cells keep their `recorded` result where there is no CUDA.

    Raises:
        BuildError: if a cell fails, writes to stderr, or prints what differs from run to run.
    """
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import (
        CellExecutionError,
        CellTimeoutError,
        DeadKernelError,
    )

    on_gpu = _has_cuda()
    with tempfile.TemporaryDirectory(
        prefix="lab-", ignore_cleanup_errors=True
    ) as folder:
        manager = AsyncKernelManager(
            kernel_name="python3",
            connection_file=str(Path(folder, "k.json")),
            transport="ipc"
            if os.name == "posix"
            else "tcp",  # no port for others to take
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=900,
            record_timing=False,
            skip_cells_with_tag="" if on_gpu else "gpu",
            resources={"metadata": {"path": str(HERE)}},
        )
        try:
            client.execute(env={**os.environ, **KERNEL_ENV}, cleanup_kc=True)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise BuildError(_failure(notebook, error)) from None
    notebook.metadata = nbformat.from_dict(_metadata())
    old = {cell.source: cell for cell in recorded.cells} if recorded else {}
    for cell in _code_cells(notebook):
        if "gpu" in cell.metadata.get("tags", []) and not on_gpu:
            cell.outputs = old[cell.source].outputs if cell.source in old else []
        cell.metadata.pop("execution", None)
        cell.outputs = [_clean(cell, output) for output in _joined(cell.outputs)]
    return notebook


def with_outputs(
    notebook: NotebookNode, recorded: NotebookNode
) -> NotebookNode | None:
    """The `recorded` outputs in a lesson of which only the text has changed; else None.

    What a guess is told comes with its question from PREDICTIONS, so it is no reason to run either.
    """
    from demucs_lab.exercises.framework import all_predictions

    new, old = _code_cells(notebook), _code_cells(recorded)
    if [_what_runs(cell) for cell in new] != [_what_runs(cell) for cell in old]:
        return None
    if any(
        cell.execution_count is None and "gpu" not in _what_runs(cell)[1]
        for cell in old
    ):
        return None
    for cell, before in zip(new, old, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
        if "predict" in cell.metadata:
            prediction = all_predictions()[cell.metadata["predict"]]
            _, said = prediction.judge(prediction.answer)
            cell.outputs = [
                nbformat.v4.new_output("stream", name="stdout", text=f"{said}\n")
            ]
    return notebook


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _what_runs(cell: NotebookNode) -> tuple[str, list[str]]:
    return cell.source, cell.metadata.get("tags", [])


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _failure(notebook: NotebookNode, error: Exception) -> str:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback))
                return f"cell {cell.id} fails:\n\n{cell.source}\n\n{trace}"
    return f"the kernel stopped: {error}"


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Prints in a row are one output, however the kernel happened to cut them."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if (
            last
            and output.output_type == "stream" == last.output_type
            and output.name == last.name
        ):
            last.text += output.text
        else:
            joined.append(output)
    return joined


def _clean(cell: NotebookNode, output: NotebookNode) -> NotebookNode:
    if output.output_type == "stream" and output.name == "stderr":
        raise BuildError(f"cell {cell.id} writes to stderr, which nbgrader and nbval take for an "
                         f"error; silence it:\n\n{output.text}")  # fmt: skip
    if "data" in output:
        output.data.pop("application/vnd.jupyter.widget-view+json", None)
        output.data.pop("application/vnd.jupyter.widget-state+json", None)
    for text in _texts(output):
        for what, pattern in _UNSTABLE.items():
            if found := re.search(pattern, text):
                raise BuildError(
                    f"cell {cell.id} shows {what}: {found.group()!r}; print less"
                )
    return output


_UNSTABLE = {
    "a path of this machine": "|".join(re.escape(str(p)) for p in (ROOT, Path.home()) if len(str(p)) > 4)
    or "$^",
    "a temporary path": r"/tmp/\w+|ipykernel_\d+",
    "an address in memory": r"\b0x[0-9a-f]{6,}",
}  # fmt: skip


def _texts(output: NotebookNode) -> list[str]:
    if output.output_type == "stream":
        return [output.text]
    data = output.get("data", {})
    texts = [
        data[kind]
        for kind in ("text/plain", "text/markdown", "text/html")
        if kind in data
    ]
    return [re.sub(r"data:image/png;base64,[\w+/=]*", "", text) for text in texts]


# -- the learner's copy ---------------------------------------------------------------------------


def student_copy(path: Path) -> NotebookNode:
    """What `nbgrader generate_assignment` makes of the lesson, with no guess made."""
    import logging

    from nbgrader import preprocessors as steps

    notebook = read_source(path, folder="course")
    resources = {"nbgrader": {"notebook": path.stem}}
    for step in (
        steps.LockCells,
        steps.ClearSolutions,
        steps.ClearOutput,
        steps.ComputeChecksums,
        steps.ClearHiddenTests,
        steps.ClearMarkScheme,
        steps.ComputeChecksums,
        steps.CheckCellMetadata,
    ):
        made = step()
        made.log.setLevel(logging.ERROR)
        try:
            notebook, resources = made.preprocess(notebook, resources)
        except Exception as error:
            raise BuildError(
                f"{path.name}: nbgrader's {step.__name__} says: {error}"
            ) from None
    return notebook


# -- files ----------------------------------------------------------------------------------------


def as_text(notebook: NotebookNode) -> str:
    """The file's content: the same bytes for the same notebook."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4) + "\n"


def write(notebook: NotebookNode, path: Path) -> None:
    from demucs_lab.common.paths import atomic_path

    with atomic_path(path) as beside:
        beside.write_bytes(as_text(notebook).encode("utf-8"))


def lessons(wanted: list[str]) -> list[Path]:
    """The sources asked for, by number or name; all of them if none is."""
    known = sorted(HERE.glob("[0-9][0-9]_*.py"))
    if not wanted:
        return known
    chosen = [
        p
        for p in known
        if any(p.stem == w or p.stem.startswith(f"{w}_") for w in wanted)
    ]
    missing = [
        w
        for w in wanted
        if not any(p.stem in (w,) or p.stem.startswith(f"{w}_") for p in known)
    ]
    if missing:
        names = ", ".join(p.stem for p in known) or "none yet"
        raise BuildError(f"no lesson {', '.join(missing)}; there are: {names}")
    return chosen


def build(path: Path, run: bool = False) -> str:
    """Write both notebooks of one lesson, or, if anything fails, neither; say what was done.

    Args:
        run: execute it even if none of its code has changed.
    """
    solved_path = HERE / f"{path.stem}.ipynb"
    student = student_copy(path)
    recorded = (
        nbformat.read(solved_path, as_version=4) if solved_path.exists() else None
    )
    kept = (
        None
        if run or recorded is None
        else with_outputs(read_source(path), recorded)
    )
    solved = kept or execute(read_source(path), recorded)
    size = len(as_text(solved).encode("utf-8"))
    if size > LARGEST:
        raise BuildError(
            f"{path.stem}.ipynb would be {size / 1e6:.1f} MB; at most 2 MB, please"
        )
    write(solved, solved_path)
    write(student, COURSE / f"{path.stem}.ipynb")
    return "its code has not changed, the outputs stay" if kept else "executed"


def out_of_date(path: Path) -> list[str]:
    """What is wrong with the two notebooks that belong to `path`."""
    wrong = []
    student_path, solved_path = (
        COURSE / f"{path.stem}.ipynb",
        HERE / f"{path.stem}.ipynb",
    )
    for kind in (student_path, solved_path):
        if not kind.exists():
            wrong.append(f"{kind.parent.name}/{kind.name} is missing")
    if (
        student_path.exists()
        and student_path.read_bytes() != as_text(student_copy(path)).encode()
    ):
        wrong.append(f"course/{student_path.name} is not what its source gives")
    if solved_path.exists():
        solved = nbformat.read(solved_path, as_version=4)
        for cell in _code_cells(solved):
            cell.outputs, cell.execution_count = [], None
        if as_text(solved) != as_text(read_source(path)):
            wrong.append(
                f"solutions/{solved_path.name} is not what its source gives"
            )
    return wrong


def orphans() -> list[str]:
    """Notebooks whose source is gone."""
    known = {path.stem for path in lessons([])}
    notebooks = [*COURSE.glob("*.ipynb"), *HERE.glob("*.ipynb")]
    found = [path for path in notebooks if path.stem not in known]
    return [
        f"{path.parent.name}/{path.name} has no source" for path in sorted(found)
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Make the notebooks from solutions/NN_name.py."
    )
    parser.add_argument(
        "lessons", nargs="*", metavar="NN", help="which lessons (default: all)"
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing, report what is old"
    )
    parser.add_argument(
        "--students", action="store_true", help="learner's copies only, run nothing"
    )
    parser.add_argument(
        "--run", action="store_true", help="run lessons whose code is unchanged too"
    )
    options = parser.parse_args(arguments)
    failed = False
    try:
        chosen = lessons(options.lessons)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 2
    for path in chosen:
        try:
            if options.check:
                wrong = out_of_date(path)
            else:
                wrong = []
                if options.students:
                    write(student_copy(path), COURSE / f"{path.stem}.ipynb")
                    done = "learner's copy"
                else:
                    done = build(path, run=options.run)
                print(f"{path.stem}: {done}")
        except BuildError as error:
            wrong = [f"{path.stem}: {error}"]
        failed = failed or bool(wrong)
        for line in wrong:
            print(line, file=sys.stderr)
    if options.check and not options.lessons:
        lost = orphans()
        failed = failed or bool(lost)
        for line in lost:
            print(line, file=sys.stderr)
    if failed and options.check:
        print(
            "Run `make course` (python solutions/build.py) and commit.",
            file=sys.stderr,
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
