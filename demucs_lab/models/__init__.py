"""The four models, each in one file that reads beside its paper."""

from demucs_lab.models.conv_tasnet import ConvTasNet
from demucs_lab.models.demucs import Demucs
from demucs_lab.models.hdemucs import HDemucs
from demucs_lab.models.htdemucs import HTDemucs

__all__ = ["ConvTasNet", "Demucs", "HDemucs", "HTDemucs"]
