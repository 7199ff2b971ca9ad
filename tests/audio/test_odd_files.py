"""Files as they are found: joined, piped, cut, misnamed; ffmpeg is the referee.

Each gives the length that ffmpeg decodes, or one sentence.
"""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from demucs_lab import audio
from demucs_lab.audio.stream import SoundBlocks

pytestmark = pytest.mark.skipif(
    not audio.have_ffmpeg(), reason="NEEDS FFMPEG: `python -m demucs_lab doctor` says how"
)
RATE, SECONDS = 44100, 3
FRAMES = RATE * SECONDS

WHOLE = ("wav", "flac", "ogg", "mp3", "aiff", "w64", "au", "caf")  # as libsndfile writes them
CODED = ("m4a", "mp4", "mov", "opus", "wma", "mka", "webm", "aac", "wv", "ac3", "tta", "mp2", "oga",
         "ts", "avi", "flv")  # fmt: skip
PIPED = {"flac": "flac", "wav": "wav", "mp3": "mp3", "ogg": "ogg", "mka": "matroska",
         "webm": "webm", "au": "au", "caf": "caf"}  # fmt: skip
CODECS = {"mp3": "libmp3lame", "adpcm": "adpcm_ms", "mulaw": "pcm_mulaw", "float": "pcm_f64le"}
READ_WHOLE = [
    *[f"a.{ending}" for ending in (*WHOLE, *CODED)],
    *[f"pipe.{ending}" for ending in PIPED],
    *[f"{codec} inside.wav" for codec in CODECS],
    "no length.mp3", "short.mp3", "an m4a.mp3", "an mp3.wav", "a wav.mp3", "a flac.ogg",
    "tagged.mp3", "mono.flac", "joined.mp3", "joined, others.mp3", "joined, no length.mp3",
    "joined.ogg", "joined.opus", "joined.aac",
]  # fmt: skip
UNKNOWABLE = ("aac", "ac3", "mp2", "ts")  # frame after frame, with no word on how many
REFUSED = [
    *[f"cut a.{ending}" for ending in (*WHOLE, *CODED) if ending not in UNKNOWABLE],
    "cut pipe.flac", "cut pipe.ogg", "cut pipe.mka", "cut pipe.webm", "joined.wav", "joined.flac",
    "a text.wav", "a text.m4a", "noise.mp3", "noise.wav", "noise.opus", "zeros.flac", "a page.ogg",
    "no sound.mp4",
]  # fmt: skip


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-y", "-nostdin", "-v", "error", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A folder of all of them."""
    at = tmp_path_factory.mktemp("odd")
    sound = 0.2 * np.random.default_rng(0).standard_normal((FRAMES, 2)).astype(np.float32)
    for ending in WHOLE:
        soundfile.write(at / f"a.{ending}", sound, RATE)
    for ending in CODED:
        ffmpeg("-i", at / "a.wav", at / f"a.{ending}")
    for ending, kind in PIPED.items():
        command = ["ffmpeg", "-v", "error", "-i", at / "a.wav", "-f", kind, "-"]
        (at / f"pipe.{ending}").write_bytes(
            subprocess.run(command, capture_output=True, check=True).stdout
        )
    for name, codec in CODECS.items():
        ffmpeg("-i", at / "a.wav", "-c:a", codec, at / f"{name} inside.wav")
    ffmpeg("-i", at / "a.wav", "-write_xing", "0", "-b:a", "128k", at / "no length.mp3")
    ffmpeg("-i", at / "a.wav", "-metadata", "title=" + "x" * 30000, at / "tagged.mp3")
    ffmpeg("-f", "lavfi", "-i", "color=s=32x32:d=1", at / "no sound.mp4")
    soundfile.write(at / "short.mp3", sound[:229], RATE)
    soundfile.write(at / "mono.flac", sound[:, 0], RATE)

    def put(name, *parts):
        (at / name).write_bytes(b"".join(p if isinstance(p, bytes) else read(p) for p in parts))

    def read(name):
        return (at / name).read_bytes()

    put("an m4a.mp3", "a.m4a")
    put("an mp3.wav", "a.mp3")
    put("a wav.mp3", "a.wav")
    put("a flac.ogg", "a.flac")
    put("joined, others.mp3", "a.mp3", "tagged.mp3")
    put("joined, no length.mp3", "no length.mp3", "no length.mp3")
    for ending in ("mp3", "ogg", "opus", "aac", "wav", "flac"):
        put(f"joined.{ending}", f"a.{ending}", f"a.{ending}")
    for name in REFUSED:
        if name.startswith("cut "):
            whole = read(name.removeprefix("cut "))
            put(name, whole[: len(whole) // 2])
    for name in ("a text.wav", "a text.m4a"):
        put(name, b"Once upon a time there was a file that held no sound at all. " * 20)
    noise = np.random.default_rng(1).bytes(50_000)
    for name in ("noise.mp3", "noise.wav", "noise.opus"):
        put(name, noise)
    put("zeros.flac", bytes(50_000))
    put("a page.ogg", b"OggS" + noise)
    return at


def decoded(path: Path) -> int:
    """Samples that ffmpeg, asked directly, finds in it."""
    command = ["ffmpeg", "-nostdin", "-v", "quiet", "-i", path, "-f", "s16le", "-ac", "2", "-"]
    return len(subprocess.run(command, capture_output=True, timeout=30, check=False).stdout) // 4


@pytest.mark.filterwarnings("ignore:.*8 bits a sample")
@pytest.mark.parametrize("name", READ_WHOLE)
def test_a_valid_file_is_read_to_its_end(odd, name):
    path = odd / name
    expected = decoded(path)
    assert expected >= (229 if name == "short.mp3" else FRAMES - 2100)
    if name.startswith("joined"):
        assert expected >= 2 * FRAMES
    wav, rate = audio.load_audio(path)
    assert abs(wav.shape[1] - expected) <= 1200 * (name == "short.mp3")
    blocks = SoundBlocks(path)
    assert sum(block.shape[1] for block in blocks) == wav.shape[1]
    assert blocks.samplerate == rate
    assert audio.audio_info(path).channels == wav.shape[0]


@pytest.mark.parametrize("name", REFUSED)
def test_a_damaged_file_gives_one_sentence(odd, name):
    for read in (audio.load_audio, lambda path: list(SoundBlocks(path))):
        with pytest.raises(ValueError, match=name) as caught:
            read(odd / name)
        sentence = str(caught.value)
        assert "\n" not in sentence
        assert any(
            word in sentence
            for word in ("cut short", "several files", "text file", "no sound", "damaged")
        )
