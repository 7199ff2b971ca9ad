import random
import subprocess
import sys

import pytest
import torch
from separators import RATE, Fussy, Padded, Shares, Windowed
from torch import nn
from torch.nn import functional as F

import demucs_lab
from demucs_lab import audio, models
from demucs_lab.pretrained import Bag
from demucs_lab.separation import waveform
from demucs_lab.separation.tricks import overlap_add, shift_trick, triangle
from demucs_lab.separation.waveform import separate

KINDS = [Shares, Fussy, Padded, Windowed]


def noise(seconds=3.3, channels=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    wav = 0.1 * torch.randn(channels, round(seconds * RATE), generator=generator)
    return wav - wav.mean()


def by_hand(model, mixture, segment, overlap, shifts=(0,), always=None):
    """The published recipe sample by sample: no streams, no batches, no clever bookkeeping."""
    mono = mixture.mean(0)
    normal = (mixture - mono.mean()) / (mono.std() + 1e-8)
    size, T = int(model.samplerate * segment), mixture.shape[-1]
    stride = int((1 - overlap) * size)
    weight = torch.tensor([min(i + 1, size - i) for i in range(size)]).float()
    answers = []
    for shift in shifts:
        total = torch.zeros(len(model.sources), len(mixture), T + shift)
        norm = torch.zeros(T + shift)
        far = 4 * size
        padded = F.pad(normal, (shift + far, far))
        for start in range(0, T + shift, stride):
            n = min(size, T + shift - start)
            padded_length = always or getattr(model, "valid_length", int)(n)
            begin = far + start - (padded_length - n) // 2
            with torch.no_grad():
                answer = model(padded[None, :, begin : begin + padded_length])[0]
            left = (padded_length - n) // 2
            total[..., start : start + n] += weight[:n] * answer[..., left : left + n]
            norm[start : start + n] += weight[:n]
        answers.append((total / norm)[..., shift:])
    return torch.stack(answers).mean(0) * (mono.std() + 1e-8) + mono.mean()


def close(found, expected, tolerance=1e-6):
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


# --- the three tricks -----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_a_triangle_rises_and_falls_by_equal_steps(length):
    top = (length + 1) // 2
    expected = torch.tensor([min(i + 1, length - i) / top for i in range(length)])
    assert torch.allclose(triangle(length), expected)


def test_overlap_add_returns_what_the_chunks_were_cut_from():
    song = torch.randn(3, 2, 1000)
    for size, stride in [(100, 75), (100, 100), (64, 10), (1000, 1), (5000, 4000)]:
        chunks = [song[..., start : start + size] for start in range(0, 1000, stride)]
        joined = torch.cat([*overlap_add(chunks, stride, triangle(size))], -1)
        assert torch.allclose(joined, song, atol=1e-5)


def test_overlap_add_holds_one_chunk_at_a_time():
    taken = []

    def chunks():
        for number in range(4):
            taken.append(number)
            yield torch.ones(8)

    blocks = overlap_add(chunks(), 6, triangle(8))
    assert len(next(blocks)) == 6
    assert taken == [0]


def test_the_shift_trick_averages_and_undoes_the_shifts():
    song = torch.arange(10.0)

    def run(shift):  # in two blocks; an estimate that tells how far the song was shifted
        padded = F.pad(song, (shift, 0)) + shift
        return [padded[:7], padded[7:]]

    found = torch.cat([*shift_trick(run, [1, 3, 8])])
    assert torch.equal(found, song + 4)


def test_each_trick_fits_on_a_screen():
    import inspect

    for trick in (overlap_add, shift_trick, waveform.resampling_trick):
        code = inspect.getsource(trick).replace(f'"""{trick.__doc__}"""', "")
        assert len(code.splitlines()) <= 20


def test_the_resampling_trick_lets_the_model_hear_a_finer_mixture():
    heard = []

    def model(mix):
        heard.append(mix.shape[-1])
        return mix

    tone = torch.sin(torch.arange(4000) * 0.3)[None, None]
    found = waveform.resampling_trick(model, tone, RATE, 3)
    assert heard == [12000]
    assert torch.allclose(found[..., 200:-200], tone[..., 200:-200], atol=1e-3)


# --- the separator --------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1 / RATE, 0.4, 0.75, 1.0, 1.01, 3.3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_song_of_any_length_is_separated_as_by_hand(kind, seconds):
    model, mixture = kind(), noise(seconds)
    always = RATE if kind is Windowed else None
    expected = by_hand(model, mixture, 1.0, 0.25, always=always) if seconds > 1 / RATE else None
    found = separate(model, mixture, RATE, progress=False)
    assert found.shape == (4, *mixture.shape)
    assert found.isfinite().all()
    if expected is not None:
        close(found, expected, 1e-5)


@pytest.mark.parametrize("overlap", [0, 0.1, 0.5, 0.8])
@pytest.mark.parametrize("kind", [Fussy, Padded, Windowed])
def test_segment_and_overlap_are_as_by_hand(kind, overlap):
    model, mixture = kind(), noise()
    always = 4800 if kind is Windowed else None
    if kind is Windowed:
        model.forward = lambda mix: Fussy.forward(model, mix)
    expected = by_hand(model, mixture, 0.6, overlap, always=always)
    close(
        separate(model, mixture, RATE, segment=0.6, overlap=overlap, progress=False), expected, 1e-5
    )


@pytest.mark.parametrize(("batch", "workers"), [(1, 1), (3, 1), (100, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("kind", [Fussy, Padded, Windowed])
def test_random_shifts_are_drawn_as_published_and_averaged(kind, batch, workers):
    model, mixture = kind(), noise()
    draw = random.Random(5)
    shifts = [RATE // 2 - draw.randint(0, RATE // 2) for _ in range(3)]
    always = RATE if kind is Windowed else None
    expected = by_hand(model, mixture, 1.0, 0.25, shifts, always)
    options = {"shifts": 3, "seed": 5, "batch": batch, "workers": workers, "progress": False}
    close(separate(model, mixture, RATE, **options), expected, 1e-5)


def test_the_same_seed_gives_the_same_answer_and_another_one_does_not():
    model, mixture = Fussy(), noise()
    first, again, other = (
        separate(model, mixture, RATE, shifts=2, seed=seed, progress=False) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-4)


def test_shares_are_exact_at_the_models_own_rate_and_near_at_others():
    model, mixture = Shares(), noise()
    exact = model.shares.detach() * mixture
    close(separate(model, mixture, RATE, progress=False), exact, 1e-5)
    soft = audio.resample(audio.resample(mixture, RATE, 4000), 4000, RATE)  # nothing above 2 kHz
    for rate in (5000, 44100):
        model.samplerate = rate
        found = separate(model, soft, RATE, progress=False)
        close(found[..., 500:-500], (model.shares.detach() * soft)[..., 500:-500], 5e-3)


def test_the_whole_song_at_once():
    model, mixture = Padded(), noise()
    expected = by_hand(model, mixture, 10.0, 0.0)
    found = separate(model, mixture, RATE, segment=float("inf"), progress=False)
    close(found, expected, 1e-5)


@pytest.mark.parametrize("name", ["tiny-conv-tasnet", "tiny-demucs", "tiny-htdemucs"])
def test_all_options_at_once_with_real_models(name):
    model = models.build(name)
    mixture = noise(seconds=1.5 * model.samplerate / RATE)
    options = {"segment": 0.7, "overlap": 0.1, "shifts": 2, "resample": 2, "progress": False}
    found = separate(model, mixture, model.samplerate, **options)
    assert found.shape == (4, *mixture.shape)
    assert found.isfinite().all()


def test_resample_lets_the_model_hear_its_own_number_of_samples():
    heard = []

    class Listener(Shares):
        def forward(self, mix):
            heard.append(mix.shape[-1])
            return super().forward(mix)

    model, mixture = Listener(), audio.resample(noise(2.0), 4000, RATE)[:, : 2 * RATE]
    found = separate(model, mixture, RATE, resample=2, progress=False)
    assert max(heard) == RATE
    middle = slice(500, -500)
    close(found[..., middle], (model.shares.detach() * mixture)[..., middle], 2e-2)


def test_chosen_stems_come_in_the_order_they_were_asked_for():
    model, mixture = Fussy(), noise()
    everything = separate(model, mixture, RATE, progress=False)
    found = separate(model, mixture, RATE, stems=["vocals", "drums"], progress=False)
    assert torch.equal(found, everything[[3, 0]])


def test_mono_is_heard_in_stereo_and_answered_in_mono():
    model, mixture = Fussy(), noise(channels=1)
    found = separate(model, mixture, RATE, progress=False)
    stereo = separate(model, mixture.expand(2, -1), RATE, progress=False)
    assert found.shape == (4, 1, mixture.shape[-1])
    close(found[:, 0], stereo[:, 0], 1e-5)


def test_silence_stays_silence():
    found = separate(Fussy(), torch.zeros(2, 20000), RATE, progress=False)
    assert found.abs().max() == 0


def test_a_model_in_double_precision_answers_a_double_mixture():
    mixture = noise()
    found = separate(Fussy().double(), mixture.double(), RATE, progress=False)
    assert found.dtype == torch.float64
    close(found.float(), separate(Fussy(), mixture, RATE, progress=False), 1e-4)


def test_the_model_is_given_back_as_it_was():
    model = nn.ModuleDict({"a": nn.Dropout()}).train()
    fussy = Fussy().train()
    fussy.inner = model
    fussy.inner["a"].eval()
    before = [module.training for module in fussy.modules()]
    separate(fussy, noise(), RATE, progress=False)
    assert [module.training for module in fussy.modules()] == before


def test_workers_share_the_threads_and_give_them_back():
    class Counting(Shares):
        def forward(self, mix):
            threads.append(torch.get_num_threads())
            return super().forward(mix)

    before, threads = torch.get_num_threads(), []
    separate(Counting(), noise(), RATE, workers=2, progress=False)
    assert set(threads) == {max(1, before // 2)}
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_passes_through_and_leaves_the_model_as_it_was(error, workers):
    class Interrupted(Shares):
        calls = 0

        def forward(self, mix):
            assert not self.training
            self.calls += 1
            if self.calls == 3:
                raise error
            return super().forward(mix)

    model = Interrupted().train()
    with pytest.raises(error):
        separate(model, noise(), RATE, workers=workers, progress=False)
    assert model.training


def test_gradients_are_not_kept():
    assert not separate(Shares(), noise(), RATE, progress=False).requires_grad


def test_progress_counts_the_seconds_of_the_song(capsys):
    separate(Shares(), noise(3.3), RATE, shifts=2)
    assert "7/7 s of sound" in capsys.readouterr().err


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shifts", [0, 3])
def test_the_bar_ends_at_the_whole_song(shifts, capsys):
    """Seconds add up with rounding; tqdm warns of a bar that is fuller than full."""
    for length in range(5000, 7000, 37):
        mixture = noise()[:, :length]
        separate(Shares(samplerate=1000, segment=0.6), mixture, 1000, shifts=shifts)
        assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ConvTasNet", "Demucs", "HDemucs", "HTDemucs"])
def test_every_model_of_the_kit_separates_any_length(name):
    model = getattr(models, name).tiny(samplerate=RATE, segment=0.5)
    for samples in (1, 3999, 9001):
        mixture = 0.1 * torch.randn(2, samples)
        found = separate(model, mixture, RATE, shifts=1, progress=False)
        assert found.shape == (4, 2, samples)
        assert found.isfinite().all()


@pytest.mark.parametrize("name", ["ConvTasNet", "Demucs", "HTDemucs"])
def test_bfloat16_is_near_the_exact_answer_and_not_the_same(name):
    """It has 8 significant bits, so that one rounding lies 50 dB or so below the sound."""
    torch.manual_seed(0)
    model = getattr(models, name).tiny(samplerate=RATE, segment=0.5)
    exact, fast = (
        separate(model, noise(1.2), RATE, precision=precision, progress=False)
        for precision in ("float32", "bfloat16")
    )
    assert fast.dtype == torch.float32
    assert fast.isfinite().all()
    error = (exact - fast).square().sum() / exact.square().sum()
    assert -70 < 10 * error.log10() < -30


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="PyTorch before 2.9")
@pytest.mark.parametrize(
    "setting",
    [
        "pass",
        "torch.backends.cuda.matmul.allow_tf32 = True",
        "torch.set_float32_matmul_precision('high')",
        "torch.backends.fp32_precision = 'tf32'",
        "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
        "torch.backends.cudnn.conv.fp32_precision = 'ieee'",
    ],
)
def test_tf32_is_switched_whatever_was_set_before_and_by_which_name(setting):
    """In a process of its own: some of these settings cannot be taken back."""
    program = f"""
import torch
from demucs_lab.separation.device import float32_products

def precisions():
    cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
    return [backend.fp32_precision for backend in (cuda.matmul, cudnn.conv, cudnn.rnn)]

{setting}
before = precisions()
for tf32, inside in ((False, "ieee"), (True, "tf32")):
    with float32_products(tf32, torch.device("cuda")):
        assert precisions() == 3 * [inside], precisions()
    assert precisions() == before, precisions()
    with float32_products(tf32, torch.device("cpu")):
        assert precisions() == before, precisions()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)


# --- bags -----------------------------------------------------------------------------------------


def test_a_bag_averages_its_models_with_their_weights():
    mixture = noise()
    parts = [Shares((1.0, 0.0)), Shares((0.0, 1.0)), Shares((0.5, 0.5))]
    bag = Bag(parts, [[1, 1], [0, 2], [1, 1]])
    found = separate(bag, mixture, RATE, progress=False)
    expected = torch.tensor([1.5 / 2, 2.5 / 4])[:, None, None] * mixture
    close(found, expected, 1e-5)
    with torch.no_grad():
        close(bag(mixture[None])[0], expected, 1e-5)


def test_the_models_of_a_bag_get_shifts_and_segments_of_their_own():
    mixture, draw = noise(), random.Random(9)
    parts = [Fussy(), Padded((0.1, 0.2, 0.3, 0.4), segment=0.7)]
    answers = []
    for part in parts:
        shifts = [RATE // 2 - draw.randint(0, RATE // 2) for _ in range(2)]
        answers.append(by_hand(part, mixture, part.segment, 0.25, shifts))
    found = separate(Bag(parts), mixture, RATE, shifts=2, seed=9, progress=False)
    close(found, sum(answers) / 2, 1e-5)


def test_one_stem_of_a_one_hot_bag_runs_the_one_model_that_counts():
    class Counted(Fussy):
        calls = 0

        def forward(self, mix):
            self.calls += 1
            return super().forward(mix)

    parts = [Counted() for _ in range(4)]
    bag = Bag(parts, torch.eye(4).tolist())
    everything = separate(bag, noise(), RATE, shifts=2, progress=False)
    for part in parts:
        part.calls = 0
    alone = separate(bag, noise(), RATE, shifts=2, stems=["bass"], progress=False)
    assert [part.calls > 0 for part in parts] == [False, True, False, False]
    close(alone[0], everything[1])


def test_a_bag_refuses_models_and_weights_that_do_not_fit():
    with pytest.raises(ValueError, match="same sources"):
        Bag([Shares(), Shares(samplerate=16000)])
    with pytest.raises(ValueError, match="2 rows of 2 weights"):
        Bag([Shares((1.0, 0.0))] * 2, [[1, 0]])
    with pytest.raises(ValueError, match="count for every source"):
        Bag([Shares((1.0, 0.0))] * 2, [[1, 0], [1, 0]])


# --- bad input ------------------------------------------------------------------------------------


def spoilt():
    mixture = noise()
    mixture[0, 100] = torch.nan
    return mixture


@pytest.mark.parametrize(
    ("mixture", "rate", "said"),
    [
        (spoilt(), RATE, "NaN"),
        (noise().T, RATE, r"transpose"),
        (torch.zeros(2, 0), RATE, "is empty"),
        (noise(channels=3), RATE, "has 3 channels, the model takes 2"),
        (noise()[0], RATE, r"wav\[None\]"),
        (noise(), 44.1, "is it in kHz"),
        (noise().numpy(), RATE, "torch tensor"),
        ((noise() * 32768).short(), RATE, "divide by full scale"),
    ],
)
def test_bad_mixtures_are_refused_in_one_sentence(mixture, rate, said):
    with pytest.raises((TypeError, ValueError), match=said) as refusal:
        separate(Shares(), mixture, rate, progress=False)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "option",
    [
        {"overlap": 1.0},
        {"overlap": -0.1},
        {"shifts": -1},
        {"shifts": 1.5},
        {"segment": 0},
        {"resample": 0},
        {"batch": 0},
        {"workers": 0},
        {"precision": "float8"},
        {"stems": ["voice"]},
        {"stems": []},
    ],
)
def test_options_that_make_no_sense_are_refused(option):
    with pytest.raises(ValueError, match=next(iter(option)).rstrip("s")):
        separate(Shares(), noise(), RATE, progress=False, **option)


def test_ten_hours_are_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(waveform, "_machine_memory", lambda: 16e9)
    mixture = torch.zeros(1).expand(2, 10 * 3600 * 44100)
    with pytest.raises(MemoryError, match=r"10\.0 h takes some 152 GB.*separate_file"):
        separate(Shares(samplerate=44100), mixture, 44100)


def test_the_machine_memory_of_this_machine_is_known_or_unlimited():
    assert waveform._machine_memory() > 1e8


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="Linear without sources"):
        separate(nn.Linear(1, 1), noise(), RATE)
    with pytest.raises(ValueError, match="no pretrained model 'nobody'"):
        separate("nobody", noise(), RATE)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda mix: mix * torch.nan, "NaN"),
        (lambda mix: mix[..., ::2], "too few"),
        (lambda mix: mix[0], "expected an estimate"),
    ],
)
def test_a_broken_model_is_named(answer, said):
    class Broken(Shares):
        def forward(self, mix):
            return answer(super().forward(mix))

    with pytest.raises(ValueError, match=said) as refusal:
        separate(Broken(), noise(), RATE, progress=False)
    assert "Broken" in str(refusal.value)


def test_the_package_offers_it():
    assert demucs_lab.separate is separate
