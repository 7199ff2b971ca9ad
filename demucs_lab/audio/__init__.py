"""The door through which sound comes in and goes out (lesson 00).

Inside the kit a waveform is a float32 tensor `[channels, time]` with full scale at ±1. Whatever
cannot become one is refused here, in one sentence, before it can spoil a result further on.
"""

from __future__ import annotations

from demucs_lab.audio.ffmpeg import FFMPEG_HELP, have_ffmpeg
from demucs_lab.audio.files import AudioInfo, audio_info, load_audio, save_audio
from demucs_lab.audio.waveform import (
    MAX_CHANNELS,
    SOURCES,
    check_waveform,
    resample,
    to_stereo,
)

__all__ = [
    "FFMPEG_HELP",
    "MAX_CHANNELS",
    "SOURCES",
    "AudioInfo",
    "audio_info",
    "check_waveform",
    "have_ffmpeg",
    "load_audio",
    "resample",
    "save_audio",
    "to_stereo",
]
