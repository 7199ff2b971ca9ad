"""The four models, each in one file that reads beside its paper."""

from demucs_lab.models.conv_tasnet import ConvTasNet
from demucs_lab.models.demucs import Demucs
from demucs_lab.models.hdemucs import HDemucs

__all__ = ["ConvTasNet", "Demucs", "HDemucs"]
