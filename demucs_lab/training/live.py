"""What a training shows while it runs: a bar with the time left, and a figure in a notebook."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from demucs_lab.training.record import in_notebook

if TYPE_CHECKING:
    from pathlib import Path

_BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed} elapsed, {remaining} left{postfix}"
_REDRAW_SECONDS = 3.0


class Display:
    """The bar, the figure and the TensorBoard files of one training, each if it is wanted.

    Args:
        name: of the run.
        progress: show the bar.
        figure: show the figure; None: in a notebook with a bar.
        tensorboard: folder of TensorBoard's files; None: write none.
        plain: a bar of letters also in a notebook.

    Raises:
        ModuleNotFoundError: if TensorBoard is wanted and missing.
    """

    def __init__(
        self,
        name: str,
        progress: bool,
        figure: bool | None,
        tensorboard: Path | None,
        plain: bool = False,
    ) -> None:
        if plain:
            from tqdm import tqdm
        else:
            from tqdm.auto import tqdm
        self.writer = need_tensorboard()(str(tensorboard)) if tensorboard else None
        self.bar = tqdm(
            desc=name, total=1.0, disable=not progress, file=sys.stdout, bar_format=_BAR
        )
        self.figure = progress and in_notebook() if figure is None else figure
        self._handle: Any = None
        self._drawn = 0.0

    def step(self, line: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> None:
        """Show a line of the metrics."""
        self.bar.update(max(0.0, min(1.0, line["progress"]) - self.bar.n))
        if "sdr" in line:
            self.bar.set_postfix_str(f"SDR {line['mean']:.2f} dB", refresh=False)
        if self.writer:
            values = {f"sdr/{k}": v for k, v in line.get("sdr", {}).items()}
            for name in ("loss", "learning_rate", "mean"):
                if name in line:
                    values[name] = line[name]
            for name, value in values.items():
                self.writer.add_scalar(name, value, line["step"])
        if self.figure and time.monotonic() - self._drawn > _REDRAW_SECONDS:
            self._draw(history)

    def close(self, history: Sequence[Mapping[str, Any]]) -> None:
        """The last state of the figure; the bar stays."""
        if self.figure and history:
            self._draw(history)
        self.bar.close()
        if self.writer:
            self.writer.close()

    def _draw(self, history: Sequence[Mapping[str, Any]]) -> None:
        from IPython.display import display

        from demucs_lab.plots import learning

        drawing = learning(history)
        if self._handle is None:
            self._handle = display(drawing, display_id=True)
        elif self._handle:
            self._handle.update(drawing)
        self._drawn = time.monotonic()


def need_tensorboard() -> Any:
    """The class that writes TensorBoard's files, or one sentence on how to get it."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ModuleNotFoundError(
            "TensorBoard files need the package tensorboard: install it with "
            "`pip install tensorboard`, or train with tensorboard=False"
        ) from error
    return SummaryWriter
