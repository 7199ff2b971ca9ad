"""What every widget shares: sound on request, a picture and a sentence where no widget can live."""

from __future__ import annotations

from typing import Any, ClassVar

import anywidget
import numpy as np

from demucs_lab.widgets._picture import picture
from demucs_lab.widgets._sound import Wave


class Sounding(anywidget.AnyWidget):
    """A widget whose sound travels on request, one binary message per track."""

    # ipywidgets 7.7 (Colab) would display through this and drop the picture and the text.
    _ipython_display_ = None

    files: ClassVar[str] = ""
    """Name of the widget's JavaScript and CSS files."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(self._on_message)

    def summary(self) -> str:
        """One line that is the same in every run: no address, no time."""
        raise NotImplementedError

    def rows(self) -> list[tuple[str, str, Wave]]:
        """`(name, colour, wave)` of every row in the picture that stands in for the widget."""
        raise NotImplementedError

    def audio_message(self, track: str, codec: str = "flac") -> tuple[dict[str, Any], bytes]:
        """The message that carries one track, and its encoded sound."""
        raise NotImplementedError

    def page(self, codec: str) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The state and the sounds by track id, for a page without a kernel."""
        ours = set(self.trait_names(sync=True)) - set(anywidget.AnyWidget.class_trait_names())
        state = {name: getattr(self, name) for name in sorted(ours) if not name.startswith("_")}
        ids = [track["id"] for track in state["tracks"]]
        return state, {track: self.audio_message(track, codec)[1] for track in ids}

    def _on_message(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        if content.get("type") == "want-audio":
            known = {track["id"] for track in self.trait_values()["tracks"]}
            for track in content.get("ids", []):
                if track in known:
                    message, sound = self.audio_message(track)
                    self.send(message, buffers=[sound])

    def __repr__(self) -> str:
        return self.summary()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        summary = self.summary()
        instead = {"text/plain": summary, "image/png": picture(self.rows(), summary)}
        return {**(data or {}), **instead}, {**metadata, "image/png": {"alt": summary}}


def level_note(gain: float) -> str:
    """What a learner must know about the common gain, or nothing when it is one.

    >>> level_note(0.5), level_note(1.0)
    ('all levels −6.0 dB so that nothing clips', '')
    """
    if gain == 1.0:
        return ""
    return f"all levels {20 * np.log10(gain):+.1f} dB so that nothing clips".replace("-", "−")
