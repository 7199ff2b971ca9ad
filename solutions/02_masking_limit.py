# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · The masking limit
#
# **How good can a mask get if it is told the right answer?**
#
# A mask works like a mixing desk with a fader for every patch of a spectrogram: it turns each patch of the
# mixture up or down, and can do nothing else. You will build the best possible mask, hear where it still
# fails, and find the one thing that it cannot change: the phase.
#
# | | |
# |---|---|
# | You will be able to | build binary and ratio masks, separate with them, and say what the mixture's phase costs |
# | Needs | lessons 00 and 01 |
# | Time | about 75 minutes; the cells alone run in about a minute on two CPU cores (no GPU is used) |
# | Memory | under 2 GB |

# %%
import math

import torch

import demucs_lab as lab
from demucs_lab import masking, metrics, plots
from demucs_lab.evaluation.ceiling import ceiling
from demucs_lab.spectral import istft, stft

songs = lab.datasets.LabSongs.starter("test")
# songs = lab.datasets.MUSDB18(split="train")  # real music

# %% [markdown]
# (To run this whole lesson on real music, remove the `#` before the second `songs` in that cell.)
#
# ## Hear it
#
# Press play, then solo the **bass**. Now switch from *original* to *ratio mask*: the same bass, as the
# ratio mask returns it when it is told the true stems. A method that is told the answer is an **oracle**. The
# notes are right and in place, yet it sounds as if heard through a door.


# %%
def middle(track, seconds=10.0):
    """The middle of a song, where every source plays."""
    seconds = min(seconds, track.duration)
    return track.excerpt((track.duration - seconds) / 2, seconds)


def named(stems):
    return dict(zip(lab.SOURCES, stems, strict=True))


song = middle(songs[0])
n_fft = 2 ** round(math.log2(0.093 * song.samplerate))  # about 93 ms
best = masking.oracle(song.stems, "irm1", n_fft)
lab.widgets.StemPlayer(song, systems={"ratio mask": named(best)})

# %% [markdown]
# ## Predict

# %% predict="bass_ceiling"

# %% [markdown]
# ## What is in a cell?
#
# You have seen spectrograms in the player. Here is how one is made. Cut the sound into short pieces, the
# **windows**. Of each, find out: how much of it stands still, how much swings once in this time, how much
# twice, and so on? Each of these frequencies is a **bin**. The result for a bin is an arrow, a complex number.
# Three sounds of eight samples:

# %%
turns = 2 * math.pi * torch.arange(8) / 8
twice = (2 * turns).cos()
sounds = {"once": turns.cos(), "once, later": turns.sin(), "twice": twice}
print(f"{'swings':12} bin:  0  1  2  3  4   phase of the largest")
for name, samples in sounds.items():
    arrows = torch.fft.rfft(samples)
    magnitudes = "".join(f"{size:3.0f}" for size in arrows.abs())
    phase = torch.rad2deg(arrows[arrows.abs().argmax()].angle())
    print(f"{name:12}     {magnitudes} {phase:14.0f}°")

# %% [markdown]
# The length of the arrow, its **magnitude**, says how loud. The same wave a quarter of its period later keeps
# its magnitude, and its arrow turns by 90°. The direction of the arrow, its **phase**, says where in its swing
# the wave is. The picture of a spectrogram shows the magnitudes alone.
#
# Done for every window, that is the **STFT**, the short-time Fourier transform. Each window is faded in and
# out, and the next one starts a **hop** later, here a quarter of a window, so that they overlap. In shapes,
# **F** counts the bins and **N** the windows (or *frames*). Nothing is lost: `istft` turns the arrows into
# sound again.

# %%
spectra = stft(song.stems, n_fft)  # complex numbers: arrows
window, hop = 1000 * n_fft / song.samplerate, 250 * n_fft / song.samplerate
print(f"windows of {window:.0f} ms, one every {hop:.0f} ms; ", end="")
print(f"bins {1000 / window:.1f} Hz apart")
print("[S, C, F, N] =", list(spectra.shape))
back = istft(spectra, song.stems.shape[-1], n_fft)
change = (back - song.stems).abs().max()
print("there and back, largest change below 0.00001:", bool(change < 1e-5))

# %% [markdown]
# ## The idea, in one cell
#
# A **cell** is one bin of one window. Two sources meet in it, with magnitudes of 3 and 4. Sounds add up, and
# so do their arrows. A mask may only make that sum smaller. It cannot turn it.

# %%
a = torch.tensor(3 + 0j)
print("angle of B   mixture   3/7 of it   distance from A")
for degrees in (0, 90, 180):
    b = torch.polar(torch.tensor(4.0), torch.tensor(math.radians(degrees)))
    mixture = a + b
    estimate = 3 / 7 * mixture  # A's share of the magnitudes
    print(
        f"{degrees:7d}°  {mixture.abs():10.2f}  {estimate.abs():10.2f}  "
        f"{(a - estimate).abs():14.2f}"
    )

# %% [markdown]
# When both arrows point the same way, the share 3/7 gives A back exactly. At 90° the estimate is too
# small *and* points elsewhere. At 180° the mixture points the other way, and so does the masked A.

# %%
plots.phasors(torch.tensor([3 + 0j, 4j]))

# %% [markdown]
# ## Build it
#
# The share of source $s$ in a cell, with an exponent $p$ that you choose, is the **ideal ratio mask**, IRM:
#
# $$M_s = \frac{|X_s|^p}{\sum_k |X_k|^p}$$
#
# It is *ideal* because it needs the true magnitudes $|X_s|$. With $p = 2$ it is the mask of the SiSEC 2018
# campaign ([arXiv:1804.06267](https://arxiv.org/abs/1804.06267)). You may meet a formula that divides by the
# magnitude of the *mixture* instead: that number has no upper bound, since two arrows can cancel.
#
# ### Exercise 2.1 · The ratio mask
# ● ○ ○ difficulty · ● ● ● importance · 5–10 minutes
#
# In every cell of the spectrogram, what share of the sound belongs to each source? A cell in which every
# source is silent is shared equally. A very quiet cell is not silent.
#
# <details><summary>Classic ways to get it wrong</summary>
#
# Adding up over time instead of over sources · dividing by zero in silence · a small constant
# that bends quiet cells · raising the finished share to the power.
# </details>


# %% exercise="ratio_mask"
def ratio_mask(magnitudes, power=1.0):
    """Share of each source in every cell.

    magnitudes: [S, ..., F, N], at least 0; power: p > 0.
    Returns shares of the same shape that add up to 1 over S. Magnitudes of 3 and 1
    have the shares 0.75 and 0.25; with power=2, 0.9 and 0.1.
    """
    ### BEGIN SOLUTION
    loudest = magnitudes.amax(0)
    share = (magnitudes / loudest.where(loudest > 0, 1.0)) ** power
    total = share.sum(0)
    equal = 1 / len(magnitudes)
    return torch.where(total > 0, share / total.where(total > 0, 1.0), equal)
    ### END SOLUTION


# %% check="ratio_mask" points=2
ratio_mask = lab.check("ratio_mask", ratio_mask)

# %% [markdown]
# Stuck? `lab.hint("ratio_mask")` gives one hint at a time. Right or wrong, the lesson goes on.
#
# Here are the masks of our song. A bright cell belongs to the source.

# %%
plots.masks(ratio_mask(spectra.abs()), song.samplerate, top_hz=2000)

# %% [markdown]
# ### Exercise 2.2 · The binary mask
# ● ○ ○ difficulty · ● ● ○ importance · 5 minutes
#
# The strictest desk has switches instead of faders: the loudest source takes the whole cell. If two are
# equally loud, the first one takes it.
#
# <details><summary>Classic ways to get it wrong</summary>
#
# Asking for more than half, which among four sources often none has · two winners in a tie · returning the
# winner's number · True and False instead of 1 and 0.
# </details>


# %% exercise="binary_mask"
def binary_mask(magnitudes):
    """1 for the loudest source of every cell, 0 for all others.

    magnitudes: [S, ..., F, N]. Returns the same shape and dtype.
    """
    ### BEGIN SOLUTION
    winner = magnitudes.argmax(0, keepdim=True)
    return torch.zeros_like(magnitudes).scatter_(0, winner, 1.0)
    ### END SOLUTION


# %% check="binary_mask" points=1
binary_mask = lab.check("binary_mask", binary_mask)

# %% [markdown]
# ### Exercise 2.3 · Separate with a mask
# ● ● ○ difficulty · ● ● ● importance · 10 minutes
#
# Now do all of it: from the stems to a mask, from the mixture to masked spectrograms, and back to sound.
# `stft(wav, n_fft)` and `istft(spec, length, n_fft)` are imported above.
#
# <details><summary>Classic ways to get it wrong</summary>
#
# Masking the true stem instead of the mixture · adding magnitudes instead of arrows · forgetting the song's
# own length · one mask for both channels.
# </details>


# %% exercise="separate"
def separate(stems, mask, n_fft):
    """What a mask makes of the mixture of `stems`.

    stems: waveforms [S, C, T]; their sum is the mixture.
    mask: a function of magnitudes [S, C, F, N] that gives masks of the same shape.
    Returns estimated waveforms [S, C, T].
    """
    ### BEGIN SOLUTION
    spectra = stft(stems, n_fft)
    masked = mask(spectra.abs()) * spectra.sum(0)
    return istft(masked, stems.shape[-1], n_fft)
    ### END SOLUTION


# %% check="separate" points=2
separate = lab.check("separate", separate)

# %% [markdown]
# Three masks, one song. How well do they separate it?


# %%
def scored(estimates):
    """SDR of every source by its name."""
    return named(metrics.sdr(stems, estimates).tolist())


stems = song.stems
masked_by = {
    "binary": separate(stems, binary_mask, n_fft),
    "ratio p=1": separate(stems, ratio_mask, n_fft),
    "ratio p=2": separate(stems, lambda m: ratio_mask(m, 2.0), n_fft),
}
scores = {name: scored(wavs) for name, wavs in masked_by.items()}
plots.bars(scores, "SDR, dB")

# %% [markdown]
# Every mask was told the answer, and yet every source has an error that you can hear. Was your prediction
# right?
#
# ## Listen again
#
# Switch between the three masks while one source is on solo. The **binary** mask chirps: cells fall silent
# and come back (this is called *musical noise*). The **ratio** mask with p = 1 is smooth but lets the
# others through. Then choose *missing from binary*: everything you hear there was lost.

# %%
systems = {name: named(wavs) for name, wavs in masked_by.items()}
lab.widgets.StemPlayer(song, systems=systems)

# %% [markdown]
# ## Which is to blame, the magnitude or the phase?
#
# A mask gets two things wrong in each cell: the magnitude is not quite right, and the phase is the
# mixture's. To know which costs more, correct one and keep the other.
#
# ### Exercise 2.4 · Swap the phase
# ● ● ○ difficulty · ● ● ● importance · 5–10 minutes
#
# Take the magnitude of one cell and the phase of another: $|A|\,e^{i\angle B}$. Where B is zero it has no
# phase: use 0.
#
# <details><summary>Classic ways to get it wrong</summary>
#
# Leaving A's own phase inside · degrees for radians · multiplying with the angle itself · 0/0 where B is
# silent.
# </details>


# %% exercise="swap_phase"
def swap_phase(magnitude_of, phase_of):
    """Spectrogram with the magnitude of the first and the phase of the second.

    Both complex [..., F, N]; so is the result. The magnitude of 2i with the phase
    of −3 is −2.
    """
    ### BEGIN SOLUTION
    return torch.polar(magnitude_of.abs(), torch.angle(phase_of))
    ### END SOLUTION


# %% check="swap_phase" points=2
swap_phase = lab.check("swap_phase", swap_phase)

# %% [markdown]
# Now correct one thing at a time.

# %%
mixture = spectra.sum(0).expand_as(spectra)
masked = ratio_mask(spectra.abs()) * mixture
length = stems.shape[-1]
corrected = {
    "mask, mixture's phase": masked,
    "true magnitude, mixture's phase": swap_phase(spectra, mixture),
    "mask, true phase": swap_phase(masked, spectra),
}
corrected = {name: istft(spec, length, n_fft) for name, spec in corrected.items()}
scores = {name: scored(wavs) for name, wavs in corrected.items()}
plots.bars(scores, "SDR, dB")

# %% [markdown]
# With every magnitude *exactly* right and the mixture's phase, the SDR hardly changes. A source may even lose,
# because the error is smaller when an arrow that points the wrong way is short. With the mask's wrong
# magnitudes and the true phase, every source gains several decibels. That is the price of the phase.
#
# Can you hear it? This blind test plays the true bass as A, and the bass of true magnitude with the
# mixture's phase as B. X is one of them: which? There are ten trials. By guessing, nine or ten right answers
# happen about once in a hundred tests.

# %%
bass = lab.SOURCES.index("bass")
lab.widgets.ABX(
    stems[bass],
    corrected["true magnitude, mixture's phase"][bass],
    song.samplerate,
    names=("true bass", "wrong phase"),
)

# %% [markdown]
# ## A myth: low notes are more sensitive to phase
#
# You may read that a degree of phase costs more at 100 Hz than at 4 kHz, because it is a longer way in
# centimetres, and that this is why bass is hard to separate. First, guess.

# %% predict="phase_myth"

# %% [markdown]
# ### Exercise 2.5 · What a phase error costs
# ● ● ○ difficulty · ● ● ○ importance · 10 minutes
#
# The true arrow has magnitude 1, and so has the wrong one, φ degrees away. The error is the arrow that joins
# their tips. How large is it, and what SDR is that? Check by hand: at 60° the triangle has three equal sides.
#
# <details><summary>Classic ways to get it wrong</summary>
#
# Degrees into a function that wants radians · 10·log10 for a magnitude · sin φ for the third side ·
# forgetting that −40° is an error too.
# </details>


# %% exercise="sdr_of_phase_error"
def sdr_of_phase_error(degrees):
    """SDR in dB of a sound whose phase is off by `degrees` everywhere.

    degrees: a number or tensor, any sign. Returns a tensor of the same shape.
    """
    ### BEGIN SOLUTION
    half = torch.deg2rad(torch.as_tensor(degrees)) / 2
    return -20 * torch.log10(2 * torch.sin(half).abs())
    ### END SOLUTION


# %% check="sdr_of_phase_error" points=2
sdr_of_phase_error = lab.check("sdr_of_phase_error", sdr_of_phase_error)

# %% [markdown]
# ### Exercise 2.6 · What a delay costs
# ● ● ○ difficulty · ● ● ○ importance · 5 minutes
#
# What *is* worse at some frequencies is an error in **time**. A tone of `hz` hertz comes `seconds` too
# late: by how many degrees is its phase turned? Your last function does the rest.
#
# <details><summary>Classic ways to get it wrong</summary>
#
# 2πft into a function that wants degrees · half a turn per period · dividing by the frequency.
# </details>


# %% exercise="sdr_of_delay"
def sdr_of_delay(seconds, hz):
    """SDR in dB of a tone of `hz` hertz that comes `seconds` late."""
    ### BEGIN SOLUTION
    return sdr_of_phase_error(360 * torch.as_tensor(hz) * torch.as_tensor(seconds))
    ### END SOLUTION


# %% check="sdr_of_delay" points=1
sdr_of_delay = lab.check("sdr_of_delay", sdr_of_delay)

# %% [markdown]
# The same two errors, measured on real tones. The dots are the measurement, your formula is the line.


# %%
def tone_sdr(hz, turn):
    time = torch.arange(48000, dtype=torch.float64) / 48000
    angle = math.tau * hz * time  # τ is 2π
    tone, wrong = angle.sin()[None], (angle - turn).sin()[None]
    return metrics.sdr(tone, wrong).item()


pitches = [50.0, 100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0]
late = 1 / 36000  # 27.8 microseconds: one degree at 100 Hz
lines = {
    "10° wrong, your formula": [float(sdr_of_phase_error(10.0))] * len(pitches),
    "27.8 µs late, your formula": [float(sdr_of_delay(late, hz)) for hz in pitches],
}
dots = {
    "10° wrong, measured": [tone_sdr(hz, math.radians(10)) for hz in pitches],
    "27.8 µs late, measured": [tone_sdr(hz, math.tau * hz * late) for hz in pitches],
}
plots.curves(
    pitches,
    lines,
    "pitch, Hz",
    "SDR, dB",
    "The SDR of a tone with an error of phase, and with an error of time.",
    dots=dots,
    log_x=True,
)

# %% [markdown]
# So the myth is wrong. The same error of phase costs the same SDR at any pitch: 1° gives 35.2 dB, 10° gives
# 15.2 dB, 60° gives 0 dB. The same error of *time* costs more at a high pitch.
#
# ## A surprise: random errors are cheaper
#
# Now turn every cell of the real spectrogram by its own random angle. Does your formula hold?

# %%
spread = (3, 10, 30, 60)
header = "   ".join(f"{name:>6}" for name in lab.SOURCES)
print(f"turned by   formula   {header}")
for degrees in spread:
    turned = istft(masking.rotate_phase(spectra, degrees), length, n_fft)
    row = "   ".join(f"{db:6.1f}" for db in metrics.sdr(stems, turned))
    formula = round(float(sdr_of_phase_error(float(degrees))), 1)
    print(f"{degrees:8d}°   {formula + 0.0:7.1f}   {row}")  # + 0.0: never -0.0

# %% [markdown]
# The measured SDR is several decibels *better* than the formula. Every sample lies in four overlapping
# windows, and when `istft` adds them, random errors partly cancel. Does the mixture's phase get the
# same help? Compare the error in the cells with the error in the sound.


# %%
def in_cells(spec):
    error = (spectra - spec).abs().square().sum((1, 2, 3))
    return 10 * torch.log10(power.sum((1, 2, 3)) / error)


power = spectra.abs() ** 2
cases = {
    "random, 30°": masking.rotate_phase(spectra, 30),
    "mixture's phase": swap_phase(spectra, mixture),
}
for name, spec in cases.items():
    cells = in_cells(spec).mean()
    sound = metrics.sdr(stems, istft(spec, length, n_fft)).mean()
    print(f"{name:15}  in the cells {cells:5.1f} dB   in the sound {sound:5.1f} dB")

# %% [markdown]
# Hardly. Neighbouring windows hold the same two sources, so their errors agree and do not cancel. An error
# that is the same everywhere is the worst kind.
#
# ## Why the bass, then?
#
# In the published table of oracles, further down, the bass comes last. On our songs it shares the last place
# with *other*. If low notes are not more sensitive, why? Take four songs and ask of each source: how much of
# its energy lies below 250 Hz? How much lies in cells where it is *outvoted*, that is, where its share is
# below one half? And by which angle does the phase of the mixture differ from its own?


# %%
def crowding(track):
    """[S, 3]: energy below 250 Hz, energy where outvoted, angle to the mixture.

    The angle is the mean over all cells, weighted by the energy of the source.
    """
    X = stft(track.stems, n_fft)
    weight = X.abs() ** 2 / (X.abs() ** 2).sum((1, 2, 3), keepdim=True)
    hz = torch.arange(X.shape[-2]) * track.samplerate / n_fft
    low = (hz < 250)[:, None]
    outvoted = ratio_mask(X.abs()) < 0.5
    angle = torch.rad2deg(torch.angle(X * X.sum(0).conj()).abs())
    columns = [(weight * what).sum((1, 2, 3)) for what in (low, outvoted, angle)]
    return torch.stack(columns, 1)


few = [middle(track) for track in songs[:4]]
print("         below 250 Hz   outvoted   angle to the mixture")
mean = sum(map(crowding, few)) / len(few)
for name, row in zip(lab.SOURCES, mean, strict=True):
    print(f"{name:7}  {row[0]:12.0%}  {row[1]:9.0%}  {row[2]:20.1f}°")

# %% [markdown]
# Below 250 Hz a window of 93 ms has some twenty bins. The bass and the kick drum share them, and the bass is
# outvoted most. Is it because it is low, or because it is *crowded*? There is a test: leave one source out of
# the mixture, and separate the other three again. The bass stays as low as it was.

# %%
everyone = range(len(lab.SOURCES))
without = {
    ", ".join(lab.SOURCES[s] for s in everyone if s != out): out
    for out in (None, *everyone)
}
print(f"{'who plays':28}" + "".join(f"{name:>9}" for name in lab.SOURCES))
for names, out in without.items():
    playing = [s for s in everyone if s != out]
    db = torch.zeros(len(lab.SOURCES), dtype=torch.float64)
    for track in few:
        wavs = track.stems[playing]
        found = metrics.sdr(wavs, separate(wavs, ratio_mask, n_fft))
        db[playing] += found.double() / len(few)
    cells = (f"{db[s]:9.1f}" if s != out else f"{'–':>9}" for s in everyone)
    print(f"{names:28}" + "".join(cells) + " dB")

# %% [markdown]
# Read the column of the bass. Without the drums it gains a lot; without the vocals, next to nothing, because
# they share few cells with it. So the reason is not the pitch, nor a phase that is more sensitive. The bass
# suffers because it is *crowded*: in a shared cell the mixture has another phase. In the same way the vocals
# and *other* crowd one another, at higher frequencies.
#
# If crowding is to blame, narrower bins must help. A longer window has narrower bins. (`ibm` is your ideal
# binary mask; `irm1` and `irm2` are your ratio mask with p = 1 and 2; `magnitude` has the true magnitude and
# the mixture's phase; `psm` is explained below.)

# %%
sizes = [n_fft // 8, n_fft // 4, n_fft // 2, n_fft, 2 * n_fft, 8 * n_fft]
ceiling(few, ("ibm", "irm1", "irm2", "psm", "magnitude"), sizes).figure()

# %% [markdown]
# Up to a point it does. Then the window lasts so long that drum hits are smeared over it and successive
# notes share it, and the curves fall again. No window suits every sound.
#
# The same as a table, for the window of this lesson. Two rows are new: `mwf` is the multichannel Wiener
# filter, which may also mix the two channels, and `irm1_phase` is your ratio mask with the true phase.

# %%
methods = ("mixture", "ibm", "irm1", "irm2", "psm", "mwf", "irm1_phase")
print(ceiling(few, methods, [n_fft]))

# %% [markdown]
# `psm` is the *phase-sensitive* mask: in every cell, the one number between 0 and 1 that leaves the
# least error. No real mask in that range can do better, cell by cell. It is the true ceiling of this
# lesson, and still far below a perfect result.
#
# One more number shows that the transform is not to blame: a **complex** mask may turn the arrow too.

# %%
turned = metrics.sdr(stems, masking.oracle(stems, "complex", n_fft))
print(f"complex mask: every source above {10 * math.floor(turned.min() / 10)} dB")

# %% [markdown]
# Only rounding is left. So the limit does not come from the spectrogram, which loses nothing. It comes from
# keeping the mixture's phase.
#
# ## What the papers found
#
# SiSEC 2018 measured the IRM with p = 2 and a window of 2048 samples (46 ms) on the 50 test songs of
# MUSDB18, with BSSEval v4. Papers have drawn it as *the* oracle line since:
#
# | dB | drums | bass | other | vocals | mean |
# |---|---|---|---|---|---|
# | IRM, p = 2 (oracle) | 8.45 | 7.12 | 7.85 | 9.43 | 8.22 |
#
# *Source: the result files of the authors of [1911.13254](https://arxiv.org/abs/1911.13254), printed
# again in [2211.08553](https://arxiv.org/abs/2211.08553), Table 1.*
#
# The same measure on our four songs:

# %%
short = 2 ** round(math.log2(0.046 * song.samplerate))
separated = [
    (one.name, one.stems, masking.oracle(one.stems, "irm2", short), one.samplerate)
    for one in few
]
print(metrics.report(separated))

# %% [markdown]
# The scores are of the same order, and the bass is low here too. The numbers cannot be the same: these are a
# few short songs of another kind. The recipes differ too: BSSEval's rows are medians over seconds and songs,
# nSDR is one number for a whole song (lesson 01).
#
# Has a model passed the line of the oracle?
#
# | dB | bass | all | |
# |---|---|---|---|
# | IRM, p = 2 (oracle) | 7.12 | 8.22 | |
# | Demucs, 2021 | 7.01 | 6.28 | no; MUSDB18 alone (the authors' repository, 1911.13254) |
# | Demucs, 2021, 150 more songs | 7.60 | 6.79 | bass only (the same repository) |
# | Hybrid Demucs | 8.76 | 7.68 | bass only (2111.03600, Table 3) |
# | Band-Split RNN | 7.22 | 8.24 | bass, drums (9.01), vocals (10.01) and the mean (2211.08553, Table 1) |
# | HT Demucs, fine-tuned, 800 more songs | 10.39 | 9.00 | bass, drums (10.08) and the mean (2211.08553, Table 1) |
#
# You often read that Demucs beat the oracle on bass with 7.6 dB. It did, but it was trained on 150 songs more
# than MUSDB18 has; without them it scored 7.01.
#
# ## Summary
#
# - A mask keeps the mixture's phase. In cells that two sources share, that phase is wrong.
# - Knowing every magnitude exactly does not help much. Knowing the phase does.
# - A phase error costs the same at every pitch. The bass loses because its cells are crowded.
# - Longer windows help, until sounds share a cell in time instead of frequency.
# - The oracle limits *real masks*, not separation. Models that make their own phase can score higher.
#
# ## Quiz

# %% predict="best_in_range"

# %% predict="oracle_beaten"

# %% predict="window_question"

# %%
lab.progress("02")

# %% [markdown]
# ## Go deeper
#
# Read next: `demucs_lab/masking.py`, where every oracle of this lesson is a few lines,
# `demucs_lab/evaluation/ceiling.py`, which measures them, and `demucs_lab/spectral.py`, the STFT behind them.
#
# Two open experiments:
#
# 1. **Mono.** Average the channels of every stem (`stems.mean(1, keepdim=True)`) and compare `mwf` with
#    `irm2` again. How much of the Wiener filter's lead was stereo?
# 2. **Your own band.** Put the stems of one of your songs (`drums.wav`, `bass.wav`, `other.wav`,
#    `vocals.wav`) into a folder and set `songs = lab.datasets.StemsFolder("that folder")` at the top.
#    In which band is the bass more crowded?
