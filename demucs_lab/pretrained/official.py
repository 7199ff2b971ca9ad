"""What the authors of Demucs and Conv-TasNet published: names, files, hashes.

Facts from the packages demucs 2.0.3 and 4.1.0. A signature names one training; the eight digits
after it are the start of the SHA-256 of its `.th` file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TH_ROOT = "https://dl.fbaipublicfiles.com/demucs/"
HUB_ROOT = "https://huggingface.co/adefossez/"
ONE_HOT = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))


@dataclass(frozen=True)
class Published:
    """A model or bag of models with published weights.

    Attributes:
        about: what it is, in a few words.
        files: `.th` files of its models below `TH_ROOT`.
        repository: on the Hugging Face Hub below `HUB_ROOT`; None where there is none.
        weights: one row per model, one column per source; None: all count the same.
        segment: seconds, where the bag's differs from what its models state.
        klass, settings: of the model, where the file holds nothing but its weights.
    """

    about: str
    files: tuple[str, ...]
    repository: str | None = None
    weights: tuple[tuple[float, ...], ...] | None = None
    segment: float | None = None
    klass: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def signatures(self) -> list[str]:
        """The names of its trainings, without hashes."""
        return [file.rpartition("/")[2].split("-")[0] for file in self.files]


_SOURCES = ["drums", "bass", "other", "vocals"]
_V2: dict[str, Any] = {"klass": "Demucs", "settings": {"sources": _SOURCES, "channels": 64}}
_TASNET: dict[str, Any] = {"klass": "ConvTasNet", "settings": {"sources": _SOURCES, "X": 10}}

OFFICIAL: dict[str, Published] = {
    "htdemucs": Published(
        "HTDemucs, MUSDB18-HQ and 800 songs (arXiv:2211.08553)",
        ("hybrid_transformer/955717e8-8726e21a.th",),
        "HTDemucs",
    ),
    "htdemucs_ft": Published(
        "HTDemucs fine-tuned for each source: a bag of four",
        (
            "hybrid_transformer/f7e0c4bc-ba3fe64a.th",
            "hybrid_transformer/d12395a8-e57c48e6.th",
            "hybrid_transformer/92cfc3b6-ef3bcb9c.th",
            "hybrid_transformer/04573f0d-f3cf25b2.th",
        ),
        "HTDemucs-ft",
        weights=ONE_HOT,
    ),
    "htdemucs_6s": Published(
        "HTDemucs with guitar and piano, experimental",
        ("hybrid_transformer/5c90dfd2-34c22ccb.th",),
        "HTDemucs-6s",
    ),
    "hdemucs_mmi": Published(
        "HDemucs, MUSDB18-HQ and 800 songs",
        ("hybrid_transformer/75fc33f5-1941ce65.th",),
        "Demucs-hdemucs_mmi",
        segment=44,
    ),
    "repro_mdx_a_hybrid_only": Published(
        "HDemucs, MUSDB18-HQ only: a bag of two (arXiv:2111.03600, table 6)",
        ("mdx_final/fa0cb7f9-100d8bf4.th", "mdx_final/902315c2-b39ce9c9.th"),
        "Demucs-repro_mdx_a_hybrid_only",
        segment=44,
    ),
    "demucs": Published(
        "Demucs v2, MUSDB18 (arXiv:1911.13254)", ("v3.0/demucs-e07c671f.th",), **_V2
    ),
    "demucs_extra": Published(
        "Demucs v2, MUSDB18 and 150 songs", ("v3.0/demucs_extra-3646af93.th",), **_V2
    ),
    "demucs48_hq": Published(
        "Demucs v2 of 48 channels, MUSDB18-HQ",
        ("v3.0/demucs48_hq-28a1282c.th",),
        klass="Demucs",
        settings={"sources": _SOURCES, "channels": 48},
    ),
    "tasnet": Published(
        "Conv-TasNet for music, MUSDB18 (arXiv:1911.13254)", ("v3.0/tasnet-beb46fac.th",), **_TASNET
    ),
    "tasnet_extra": Published(
        "Conv-TasNet for music, MUSDB18 and 150 songs",
        ("v3.0/tasnet_extra-df3777b2.th",),
        **_TASNET,
    ),
}
# Not listed: `mdx`, `mdx_extra` and other bags that hold the time-domain Demucs of v3, a network
# that this course does not build, and `mdx_q`, `mdx_extra_q`, whose weights are quantized.
