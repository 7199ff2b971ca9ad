"""From a mixture of any length to its stems, in memory or from file to file (lesson 08)."""

from demucs_lab.separation.files import separate_file
from demucs_lab.separation.waveform import separate

__all__ = ["separate", "separate_file"]
