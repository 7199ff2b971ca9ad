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
# # 01 · Listening and measuring
#
# **What does an SDR of 6 dB sound like, and when does it lie?**
#
# Every paper in this course ends in a table of decibels. You will learn to hear those decibels, to
# compute them, and to catch them when they praise what sounds bad or punish what nobody hears.
#
# | | |
# |---|---|
# | You will be able to | say what an SDR sounds like, write SDR and SI-SDR, read SDR, ISR, SIR and SAR, and build a paper's table |
# | Needs | lesson 00 |
# | Time | about 65 minutes; the cells alone run in about half a minute on two CPU cores (no GPU is used) |
# | Memory | under 2 GB |

# %%
import torch

import demucs_lab as lab
from demucs_lab import metrics, plots
from demucs_lab.spectral import istft, stft

songs = lab.datasets.LabSongs.starter("test")
# songs = lab.datasets.MUSDB18(split="train")  # real music
song = songs[0]
song = song.excerpt((song.duration - 6) / 2, 6)  # six seconds from its middle
voice = song.sources["vocals"]
band = song.mixture - voice  # the three other stems

# %% [markdown]
# (To run this whole lesson on real music, remove the `#` before the second `songs` in that cell.)
#
# ## Hear it
#
# These vocals come from a separator that left some hiss on them. Press play and step down through the
# systems, from 20 dB to −6 dB. Where do you first hear the hiss? Where does it start to hurt? (The number
# is the **SDR**, signal-to-distortion ratio. `metrics.sdr` is a black box for now; you will write it soon.)


# %%
def with_error(sound, error, db):
    """Measure how far off the SDR is, then correct the level of the error."""
    off = metrics.sdr(sound, sound + error) - db
    return sound + error * 10 ** (off / 20)


hiss = torch.randn(voice.shape, generator=torch.Generator().manual_seed(1))
levels = (20, 12, 6, 0, -6)
noisy = {f"{db} dB": {"vocals": with_error(voice, hiss, db)} for db in levels}
lab.widgets.StemPlayer({"vocals": voice}, song.samplerate, systems=noisy)

# %% [markdown]
# Now the error is not hiss but the **band**: the other three stems leak into the vocals. Separators really do
# this. The five numbers are the same. Does 12 dB sound as bad as it did?

# %%
leaky = {f"{db} dB": {"vocals": with_error(voice, band, db)} for db in levels}
lab.widgets.StemPlayer({"vocals": voice}, song.samplerate, systems=leaky)

# %% [markdown]
# Keep the sound of 6 dB in your ear: Demucs scored 6.28 dB in 2021, averaged over the four stems.
#
# ## Predict

# %% predict="three_db_down"

# %% [markdown]
# ## The idea, small enough to check by hand
#
# A sound of two samples, 3 and −4, comes back as 2.7 and −3.6. The *energy* of a sound is the sum of its
# squares. How much energy is in the truth, and how much in the error?

# %%
truth, estimate = torch.tensor([[3.0, -4.0]]), torch.tensor([[2.7, -3.6]])
error = truth - estimate
signal_energy, error_energy = truth.square().sum(), error.square().sum()
print(f"energy of the truth {signal_energy:.2f}, of the error {error_energy:.2f}")
ratio = signal_energy / error_energy
print(f"ratio {ratio:.0f}, in dB {metrics.sdr(truth, estimate):.1f}")

# %% [markdown]
# A hundred times the energy is 20 dB, since 10 · log₁₀ 100 = 20. As a formula:
#
# $$\mathrm{SDR} = 10 \log_{10} \frac{\sum s^2 + \delta}{\sum (s - \hat s)^2 + \delta}, \qquad \delta = 10^{-7}$$
#
# $s$ is the truth, $\hat s$ the estimate; the sums run over both channels and all samples. The tiny
# $\delta$ keeps silence from dividing by zero. In this form it was the score of the Music Demixing
# Challenge 2021 ([2111.03600](https://arxiv.org/abs/2111.03600), eq. 1), often called **nSDR**.
#
# ### Exercise 1.1 · Signal-to-distortion ratio
# ● ○ ○ difficulty · ● ● ● importance · 5–10 minutes
#
# Write it for any batch of sounds: [..., C, T] goes in, one number per sound comes out.
#
# <details><summary>Classic ways to get it wrong</summary>
#
# Norms instead of energies, which halves the decibels · 20·log10 · the natural logarithm · averaging
# the decibels of left and right · summing over the batch · δ in one place only.
# </details>


# %% exercise="sdr"
def sdr(reference, estimate):
    """Signal-to-distortion ratio in dB.

    reference, estimate: [..., C, T]. Returns [...].
    """
    ### BEGIN SOLUTION
    signal = reference.square().sum((-2, -1)) + 1e-7
    error = (reference - estimate).square().sum((-2, -1)) + 1e-7
    return 10 * torch.log10(signal / error)
    ### END SOLUTION


# %% check="sdr" points=2
sdr = lab.check("sdr", sdr)

# %% [markdown]
# ## What is a decibel worth?

# %% predict="six_db"

# %%
print("SDR, dB   height: voice / error   energy: voice / error")
for db in (0, 3, 6, 10, 20):
    estimate = with_error(voice, hiss, db)
    energy = voice.square().sum() / (voice - estimate).square().sum()
    print(f"{db:7}   {energy.sqrt():21.2f}   {energy:21.2f}")

# %% [markdown]
# **Myth: “6 dB is twice, 10 dB is ten times as good.”** Each half is true, but the sentence mixes two units:
# 6 dB is twice the *height*, 10 dB is ten times the *energy*. In one unit it reads: 6 dB is twice and 10 dB
# about 3.2 times the height.
#
# **Not a myth: “at 0 dB the error is as big as the sound.”** The first row says so.
#
# ## What does doing nothing score?
#
# The laziest separator returns the mixture for every source. Here is its score over our songs:

# %%
lazy = (
    (track.name, track.stems, track.mixture.expand_as(track.stems), track.samplerate)
    for track in songs
)
print(metrics.report(lazy, bss=False))
print(f"silence instead of the vocals: {sdr(voice, 0 * voice):.2f} dB")

# %% [markdown]
# Every source scores below zero: all the others together are louder than it is. Note the last line. Pure
# **silence** scores 0 dB, better than the mixture. So look at the *improvement*, the SDR minus that of the
# mixture, before you admire a number.
#
# ## An error of a chosen size
#
# To compare errors by ear, they must score the same. Our `with_error` first measured and then corrected.
# You can do it in one step.
#
# ### Exercise 1.2 · An error of a chosen size
# ● ● ○ difficulty · ● ● ○ importance · 5–10 minutes
#
# Scale `error` by one factor, so that `reference` plus the scaled error has an SDR of exactly `db`. Leave
# δ out of it.
#
# <details><summary>Classic ways to get it wrong</summary>
#
# Multiplying a waveform by a ratio of energies · the sign of the decibels · ignoring how loud the error
# was · peaks instead of energies · a factor for each channel.
# </details>


# %% exercise="add_at_sdr"
def add_at_sdr(reference, error, db):
    """`reference` plus `error`, scaled so that the SDR is `db`.

    reference, error: [C, T], neither silent; db: a number. Returns [C, T].
    """
    ### BEGIN SOLUTION
    wanted = reference.square().sum() / 10 ** (db / 10)  # energy of the error
    return reference + error * (wanted / error.square().sum()).sqrt()
    ### END SOLUTION


# %% check="add_at_sdr" points=2
add_at_sdr = lab.check("add_at_sdr", add_at_sdr)

# %% [markdown]
# ## Same SDR; listen
#
# Four systems, four kinds of error: **hiss**; the band **leaks** in; the treble is **muffled**; or all is
# right but a bit **quieter**. (`stft` takes a sound apart by pitch and moment, `istft` puts it together
# again. Lesson 02 explains both.)


# %%
def muffle(wav, hz=500, n_fft=2048):
    """Take away everything above `hz`."""
    spectrum = stft(wav, n_fft)
    pitch = torch.arange(spectrum.shape[-2]) * song.samplerate / n_fft
    spectrum[..., pitch > hz, :] = 0
    return istft(spectrum, wav.shape[-1], n_fft)


muffled = muffle(voice) - voice
errors = {"hiss": hiss, "leak": band, "muffled": muffled, "quieter": -voice}
same = {name: add_at_sdr(voice, error, 10.0) for name, error in errors.items()}
for name, wav in same.items():
    print(f"{name:8} {sdr(voice, wav):.2f} dB")

# %%
lab.widgets.StemPlayer(
    {"vocals": voice},
    song.samplerate,
    systems={name: {"vocals": wav} for name, wav in same.items()},
)

# %% [markdown]
# 10 dB, all four. Yet you would publish one of them, and another one you would not. Choose *missing from …*
# to hear the errors alone. They are four sounds with the same energy, and SDR knows nothing else about them:
# it adds up squares. It has never heard a voice.
#
# ## Four scores instead of one
#
# **BSSEval** (*blind source separation evaluation*) asks *what kind* of error it is. It splits the estimate
# into the truth plus three parts. (The **image** of a source is its sound as it arrives in the mixture, left
# and right: what this course calls a stem.)
#
# | score | counted as error |
# |---|---|
# | ISR, image to *spatial distortion* | a short filter applied to the **true source** itself: level, tone, place, delay |
# | SIR, source to *interference* | leakage: what short filters of the **other sources** explain |
# | SAR, sources to *artefacts* | what no source explains: hiss, clicks, gargling |
# | SDR, source to *distortion* | all of it |
#
# A short filter has 512 taps: 512 samples, each with a weight. Version 4, used since
# [SiSEC 2018](https://arxiv.org/abs/1804.06267), finds one set of filters per song, then scores every
# second on its own and takes the median. Which score will fall for which of our four sounds?


# %%
def bss_scores(estimate):
    """SDR, ISR, SIR and SAR of an estimated voice, medians over seconds."""
    truth, guess = torch.stack([voice, band]), torch.stack([estimate, band])
    scores = metrics.bss_eval(truth, guess, song.samplerate).median()
    return {score.upper(): float(db[0]) for score, db in scores.items()}


plots.score_grid({name: bss_scores(wav) for name, wav in same.items()})

# %% [markdown]
# The column of SDR does not tell the sounds apart; the three others do. Hiss costs SAR, a leak costs SIR, and
# a change of the voice itself costs ISR.
#
# ## When it lies
#
# Five changes to the *true* vocals. Listen first: is there one that you would call damaged?


# %%
def late(wav, samples):
    return torch.nn.functional.pad(wav, (samples, 0))[..., : wav.shape[-1]]


changed = {
    "3 dB softer": 10 ** (-3 / 20) * voice,
    "upside down": -voice,
    "1 sample late": late(voice, 1),
    "20 samples late": late(voice, 20),
    "offset": voice + 0.05,
}
lab.widgets.StemPlayer(
    {"vocals": voice},
    song.samplerate,
    systems={name: {"vocals": wav} for name, wav in changed.items()},
)

# %% predict="upside_down_voice"

# %%
for name, wav in changed.items():
    print(f"{name:16} {sdr(voice, wav):6.1f} dB")

# %% [markdown]
# Compare these with your four sounds at 10 dB. A voice that you cannot tell from the true one may score
# less than a voice full of hiss.
#
# A wrong level, or a wave upside down, can be forgiven: first scale the truth so that it fits the estimate
# as well as it can, then compare. That is **SI-SDR**, scale-invariant SDR, the score of speech separation:
#
# $$\alpha = \frac{\langle \hat s, s \rangle}{\langle s, s \rangle}, \qquad
# \text{SI-SDR} = 10 \log_{10} \frac{\|\alpha s\|^2}{\|\alpha s - \hat s\|^2}$$
#
# where the mean of $s$ and of $\hat s$ is subtracted first
# ([Conv-TasNet, 1809.07454](https://arxiv.org/abs/1809.07454), eq. 15). $\langle a, b \rangle$ is the sum of
# the products, sample by sample.
#
# ### Exercise 1.3 · Scale-invariant SDR
# ● ● ○ difficulty · ● ● ● importance · 10 minutes
#
# One α for both channels: moving a source to the left is an error. Each channel's mean is its own.
#
# <details><summary>Classic ways to get it wrong</summary>
#
# `norm` without its square · forgetting the mean · scaling the estimate instead of the truth · dividing by
# the wrong energy · a separate α for each channel.
# </details>


# %% exercise="si_sdr"
def si_sdr(reference, estimate):
    """Scale-invariant SDR in dB.

    reference, estimate: [..., C, T], neither silent. Returns [...].
    """
    ### BEGIN SOLUTION
    reference = reference - reference.mean(-1, keepdim=True)
    estimate = estimate - estimate.mean(-1, keepdim=True)
    dot = (reference * estimate).sum((-2, -1), keepdim=True)
    target = dot / reference.square().sum((-2, -1), keepdim=True) * reference
    signal = target.square().sum((-2, -1))
    error = (target - estimate).square().sum((-2, -1))
    return 10 * torch.log10(signal / error)
    ### END SOLUTION


# %% check="si_sdr" points=3
si_sdr = lab.check("si_sdr", si_sdr)

# %% [markdown]
# **Myth: the popular code.** You may meet this function on the web. Spot the two mistakes before you run
# the cell.


# %%
def popular_si_snr(reference, estimate):
    target = (estimate * reference).sum() / (reference * reference).sum() * reference
    return 10 * torch.log10(target.norm() / (estimate - target).norm())


clean = add_at_sdr(voice, hiss, 20.0)
pair = {"hiss at 20 dB": clean, "the same, offset by 0.1": clean + 0.1}
for name, wav in pair.items():
    print(f"{name:24} popular {popular_si_snr(voice, wav):5.1f} dB", end="")
    print(f"   SI-SDR {si_sdr(voice, wav):5.1f} dB")

# %% [markdown]
# It shows half the decibels, because a norm is the *root* of an energy. And it keeps the mean, so an
# inaudible offset ruins the score.
#
# ## Late
#
# A delay is harder to forgive.

# %% predict="late_voice"

# %%
plots.score_grid(
    {
        name: {"SI-SDR": float(si_sdr(voice, wav)), **bss_scores(wav)}
        for name, wav in changed.items()
    }
)

# %% [markdown]
# Read it row by row. SI-SDR forgives the level, the flip and the offset, but no delay. SIR and SAR forgive
# everything that a short filter of the voice can do, the delay too. The offset costs SAR: no filter makes an
# offset out of a voice, so it counts as an artefact.
#
# **Myth: “BSSEval's SDR forgives a delay.”** It did in an older form, `bss_eval_sources` of version 3. In
# version 4, the one in the papers' tables, SDR and ISR compare with the truth as it is. You can prove it: its
# SDR is your own function, second by second.


# %%
def sdr_by_second(references, estimates, samplerate):
    """SDR of each source and second, [S, seconds]; NaN where a source is silent.

    references, estimates: [S, C, T].
    """
    truth, guess = (
        wav.unfold(-1, samplerate, samplerate).transpose(1, 2)
        for wav in (references, estimates)
    )  # both [S, seconds, C, samples]
    silent = (truth.sum(2) == 0).all(-1) | (guess.sum(2) == 0).all(-1)
    return sdr(truth, guess).masked_fill(silent.any(0), torch.nan)


# %%
truth, guess = torch.stack([voice, band]), torch.stack([clean, late(band, 20)])
ours = sdr_by_second(truth, guess, song.samplerate)
theirs = metrics.bss_eval(truth, guess, song.samplerate).sdr
print(f"largest difference: {(ours - theirs).abs().max():.3f} dB")

# %% [markdown]
# How late is too late? It depends on the source. The next cell delays each true stem and measures.

# %%
delays = [1, 2, 4, 8, 16, 32, 64]
lines = {
    name: [float(sdr(wav, late(wav, samples))) for samples in delays]
    for name, wav in song.sources.items()
}
one_ms = song.samplerate / 1000
plots.curves(
    delays,
    lines,
    f"delay in samples ({one_ms:.0f} samples are one millisecond)",
    "SDR, dB",
    "The SDR of each true stem when it comes some samples late.",
    log_x=True,
)

# %% [markdown]
# In a millisecond sound travels a third of a metre. Move your chair that far: you hear no difference, but
# SDR does. The low bass suffers least at first, since its slow wave has hardly turned. Lesson 02 makes that
# exact.
#
# ## Silence
#
# Sometimes a source rests. What is the score of an estimate that hisses quietly while the singer waits?

# %%
rest = torch.zeros_like(voice)
for level in (-100, -80, -60):
    quiet = 10 ** (level / 20) * hiss
    print(f"hiss at {level:4} dB of full scale: {sdr(rest, quiet):6.1f} dB")
truth, guess = torch.stack([rest, band]), torch.stack([quiet, band])
try:
    metrics.bss_eval(truth, guess, song.samplerate)
except ValueError as reason:
    print(f"bss_eval: {reason}")

# %% [markdown]
# The scores are far below zero, for a hiss that you would need a quiet night to hear. δ decides these
# numbers, not your ear. One such song pulls a mean down. BSSEval refuses to answer at all, and gives no score
# (NaN, *not a number*) to any second in which a source rests. So tables need a rule for silence.
#
# ## From seconds to a table
#
# The tables on MUSDB18 print the **median of medians**: the median over a song's seconds, then the median
# over songs. One bad second does no harm.
#
# ### Exercise 1.4 · From windows to a table
# ● ● ○ difficulty · ● ● ○ importance · 5–10 minutes
#
# Songs differ in length, so they come as a list. Leave NaN out, both times. Of two middle values, take
# the mean.
#
# <details><summary>Classic ways to get it wrong</summary>
#
# Means · one NaN that spoils all · all seconds in one pot, so that long songs count more · `nanmedian`,
# which takes the lower of two middle values · dropping a whole song for one silent second.
# </details>


# %% exercise="median_of_medians"
def median_of_medians(songs):
    """One score per source, as tables on MUSDB18 print it.

    songs: a list of [S, windows], NaN where there is no score. Returns [S].
    """
    ### BEGIN SOLUTION
    per_song = torch.stack([song.nanquantile(0.5, dim=1) for song in songs])
    return per_song.nanquantile(0.5, dim=0)
    ### END SOLUTION


# %% check="median_of_medians" points=2
median_of_medians = lab.check("median_of_medians", median_of_medians)

# %% [markdown]
# ## Measure
#
# We need a separator that is neither perfect nor bad. Lesson 02 builds the *ratio mask*: it knows the true
# stems, which makes it an **oracle**, but may only turn parts of the mixture up and down. Here it is ready
# made. Its scores by the second, for the song with the longest rests:

# %%
seconds, whole = [], []
for track in songs:
    estimates = lab.masking.oracle(track.stems, "irm1")
    seconds.append(sdr_by_second(track.stems, estimates, track.samplerate))
    whole.append(sdr(track.stems, estimates))
pick = max(range(len(songs)), key=lambda i: int(seconds[i].isnan().sum()))
plots.score_over_time(seconds[pick], whole[pick])

# %% [markdown]
# One separator, the same songs, three honest ways to make a row of a table:

# %%
rows = {
    "nSDR: whole songs, mean": torch.stack(whole).mean(0),
    "every second, mean": torch.cat(seconds, 1).nanmean(1),
    "median of medians": median_of_medians(seconds),
}
header = " ".join(f"{name:>7}" for name in (*lab.SOURCES, "all"))
print(f"{'SDR, dB':24} {header}")
for name, row in rows.items():
    print(f"{name:24} " + " ".join(f"{db:7.2f}" for db in (*row, row.mean())))
table = torch.stack(list(rows.values()))
spread = table.amax(0) - table.amin(0)
most = lab.SOURCES[int(spread.argmax())]
print(f"\nThe choice of the recipe alone moves the {most} by {spread.max():.2f} dB.")

# %% [markdown]
# Not one sample of sound has changed between these rows. Compare that with the steps between the rows of
# the papers' table below. **Myth: “the SDR of the tables is 10·log₁₀ of two energies.”** Per second, yes; but
# the number in print is a median of medians. Compare numbers only when recipe and songs are the same.
#
# ## Listen again: blind
#
# Can you hear the difference between 20 dB and 30 dB? A is a voice with hiss at 20 dB, B has it at 30 dB,
# and X is one of the two. There are ten trials. By guessing, nine or ten right answers happen about once in
# a hundred tests.

# %%
kind = hiss  # later: band
lab.widgets.ABX(
    add_at_sdr(voice, kind, 20.0),
    add_at_sdr(voice, kind, 30.0),
    song.samplerate,
    names=("20 dB", "30 dB"),
)

# %% [markdown]
# Easy? Then put `band` in the place of `hiss` and try again. Which of the two errors hides better?
#
# ## What the papers found
#
# BSSEval v4 on the 50 test songs of MUSDB18, median of medians in dB. “All” is the mean of the four.
#
# | | all | drums | bass | other | vocals | from |
# |---|---|---|---|---|---|---|
# | Wave-U-Net | 3.23 | 4.22 | 3.21 | 2.25 | 3.25 | 1911.13254, 2019 |
# | Open-Unmix | 5.33 | 5.73 | 5.23 | 4.02 | 6.32 | 1911.13254, 2019 |
# | Conv-TasNet | 5.73 | 6.02 | 6.20 | 4.27 | 6.43 | 1911.13254, 2021 |
# | Demucs | 6.28 | 6.86 | 7.01 | 4.42 | 6.84 | 1911.13254, 2021 |
# | Demucs, 150 more songs | 6.79 | 7.58 | 7.60 | 4.69 | 7.29 | 1911.13254, 2021 |
# | Hybrid Demucs | 7.68 | 8.24 | 8.76 | 5.59 | 8.13 | 2111.03600, Table 3 |
# | HT Demucs, fine-tuned, 800 more songs | 9.00 | 10.08 | 10.39 | 6.32 | 9.20 | 2211.08553, Table 1 |
# | ratio mask (p = 2), an oracle | 8.22 | 8.45 | 7.12 | 7.85 | 9.43 | 2211.08553, Table 1 |
#
# *The rows of [1911.13254](https://arxiv.org/abs/1911.13254) come from its authors' result files; the others
# are [2111.03600](https://arxiv.org/abs/2111.03600) and [2211.08553](https://arxiv.org/abs/2211.08553).*
#
# In the Music Demixing Challenge, on other songs and as nSDR, the same Hybrid Demucs scored 7.33, not 7.68
# (2111.03600, Table 1). Neither number is wrong. They answer different questions.
#
# Find your 6 dB in the table. Now you know what those models sounded like, *if* their errors were hiss. They are
# not, so papers also ask people. Listeners rated the quality of two systems from 1 to 5 (2111.03600, Table
# 4; SDR from its Table 3):
#
# | | drums | bass | other | vocals |
# |---|---|---|---|---|
# | SDR, Hybrid Demucs | **8.24** | **8.76** | 5.59 | 8.13 |
# | SDR, KUIELAB-MDX-Net | 7.20 | 7.83 | **5.90** | **8.97** |
# | listeners, Hybrid Demucs | **3.18** | 2.58 | 2.98 | 2.55 |
# | listeners, KUIELAB-MDX-Net | 2.70 | **2.68** | **2.99** | **3.05** |
# | listeners, the true stem | 4.12 | 4.25 | 3.92 | 4.18 |
#
# Ears and SDR agree on drums and vocals. On the bass, 0.93 dB more SDR went with a slightly *lower*
# rating. And the truth itself gets about 4.1, not 5: people are instruments too, with a scale of their own.
#
# Our small experiment agrees in kind: one SDR, four sounds. It cannot say which sound people dislike most;
# for that you need more ears than yours.
#
# ## Summary
#
# - SDR is the energy of the truth over the energy of the error. Silence scores 0 dB, the mixture less.
# - Many sounds have the same SDR. ISR, SIR and SAR say which kind of error it is.
# - SDR counts what you do not hear: level, flip, offset, delay. SI-SDR forgives the first three.
# - BSSEval v4's SDR is plain SDR per second. Only SIR and SAR forgive a delay.
# - Behind a table's number is a recipe: the window, median or mean, and the rule for silence.
#
# ## Quiz

# %% predict="bleeding"

# %% predict="best_bad_estimate"

# %% predict="which_sdr"

# %%
lab.progress("01")

# %% [markdown]
# ## Go deeper
#
# Read next: `demucs_lab/metrics/__init__.py`, the same scores with their error messages, and
# `demucs_lab/metrics/bsseval.py`, which finds the filters of 512 taps.
#
# Two open experiments:
#
# 1. **Hidden by the band.** Repeat the blind test with the whole song: `band + clean` against
#    `band + add_at_sdr(voice, hiss, 30.0)`. At how many dB can you no longer tell? People listen to songs,
#    not to single stems, and yet every table scores the stems.
# 2. **A better SDR?** Invent a score that ranks your four sounds as your ear does. Then try it on the five
#    inaudible changes. What does it get wrong?
