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
# # 00 · Start here
#
# **Does everything work, and how do the players and the exercises work?**
#
# A song is four people talking at once. This course teaches a computer to listen to one of them. First
# you take a song apart and put it together again, by ear and then by hand.
#
# Three words come up all the time. A **source** is what plays: the drums, the bass, the vocals, and
# *other*, which is everything else, such as keys and guitars. A **stem** is the sound of one source alone.
# All stems together make the **mixture**, the song as you know it.
#
# | | |
# |---|---|
# | You will be able to | use a player, solve an exercise, read the shape of a sound, and mix four stems in decibels |
# | Needs | a little Python; nothing to install beyond this course |
# | Time | about 25 minutes; the cells alone run in about ten seconds on two CPU cores (no GPU is used) |
# | Memory | under 1 GB |
#
# Click into the next grey cell and press **Shift + Enter**. Then do the same with every cell you meet.

# %%
import torch

import demucs_lab as lab

song = lab.datasets.first_songs()[0]
lab.widgets.StemPlayer(song)

# %% [markdown]
# ## Hear it
#
# Press **play**. Now try this, while it plays:
#
# 1. **Solo** the vocals: one stem, alone. Solo the bass: do you know that line from the mixture?
# 2. **Mute** the vocals: the song without its singer.
# 3. **Click** anywhere on the waveforms to jump there. **Drag** over them to loop what you like.
# 4. Turn one stem down with its **gain** slider until you can just still hear it.
# 5. Switch from waveform to **spectrogram**: time runs to the right, pitch upwards, bright is loud.
#
# Keys: space plays and stops, 1 to 4 solo a stem, 0 brings the whole song back, ← and → seek.
# (No player, just a picture? Then the cell has not been run here yet. If it has, run the doctor below.)
#
# ## Is everything here?
#
# The doctor looks at this computer. It prints what is missing, with the one command that helps.

# %%
from demucs_lab.cli import doctor

gaps = [finding for finding in doctor.examine() if finding.fix and finding.essential]
for gap in gaps:
    print(f"{gap.what}: {gap.found}\n    run this in a terminal: {gap.fix}")
print("Close these gaps first." if gaps else "Everything a lesson needs is here.")

# %% [markdown]
# ## Who is playing?
#
# Nobody. A program composed this song, played every instrument and sang. Nothing was downloaded, and
# there are three reasons for it:
#
# - **Rights.** You may keep, change and share these songs. Of most real recordings you may not.
# - **Truth.** Every stem and every note is known exactly, so every measurement has a right answer.
# - **Sameness.** Your copy has the same samples as every other copy.
#
# Real music comes too: the lessons name the one line to change, for the data set MUSDB18 or for your own
# songs.

# %%
for track in lab.datasets.first_songs():
    score = track.score
    tempo = f"{score.tempo:.0f} beats per minute"
    print(f"{score.title}: {score.key}, {tempo}, {score.style}")
    print(f"    first words: {score.lyrics[0].text}")

# %% [markdown]
# ## Predict
#
# Every lesson asks you to guess before it measures. A wrong guess is worth more than none: you will
# remember what surprised you. Read the question below, replace `None` in the cell under it with your
# answer, and run that cell.

# %% predict="every_stem_6_db_down"

# %% [markdown]
# ## Sound is a table of numbers
#
# Here is a sound so short that you can read it: two channels, left and right, three moments.

# %%
drum = torch.tensor([[0.5, -0.5, 0.0], [0.5, -0.5, 0.0]])  # left, right
flute = torch.tensor([[0.0, 0.1, 0.2], [0.0, 0.0, 0.0]])  # it stands on the left
print(drum + flute)

# %% [markdown]
# That plus sign is all there is to mixing. Air adds up pressures; we do the same, sample by sample. The
# rest of the course is about taking the sum apart again.
#
# The real song is the same table, only longer:

# %%
print("sources:", lab.SOURCES)
print("one stem:  [channels, time] =", list(song.sources["bass"].shape))
print("all stems: [sources, channels, time] =", list(song.stems.shape))
print(f"{song.samplerate} samples per second, so {song.duration:g} seconds")
difference = (song.mixture - song.stems.sum(0)).abs().max().item()
print("mixture minus the sum of the stems:", difference)

# %% [markdown]
# The sources always come in that order: drums, bass, other, vocals. Time is always the last axis. From here
# on a shape is written in letters: **S** counts the sources, **C** the channels and **T** the samples of time,
# so all stems together are [S, C, T]. (Lesson 02 adds **F** for frequencies and **N** for moments.)
#
# Now look at four milliseconds through a magnifying glass.

# %%
start = round(song.duration / 2 * song.samplerate)
count = round(0.004 * song.samplerate)
window = slice(start, start + count)
milliseconds = [1000 * n / song.samplerate for n in range(count)]
waves = {name: wav[0, window].tolist() for name, wav in song.sources.items()}
waves["mixture"] = song.mixture[0, window].tolist()
lab.plots.curves(
    milliseconds,
    waves,
    "milliseconds",
    "left channel",
    "Every mark is one number of the table. Add up the four stems by eye.",
)

# %% [markdown]
# ## How an exercise works
#
# An exercise has three parts: a heading that says how hard it is, a cell where you write, and a cell
# that checks. The check never breaks the notebook. If your answer is wrong, it says how, and the lesson
# goes on with a right version, so you may skip an exercise and come back.
#
# Loudness is counted in **decibels**, because ears compare by ratio: from 1 to 10 is as big a step as
# from 10 to 100. Twenty decibels are one factor of ten for the waveform:
#
# | dB | −40 | −20 | 0 | +20 | +40 |
# |---|---|---|---|---|---|
# | the waveform is multiplied by | 0.01 | 0.1 | 1 | 10 | 100 |
#
# ### Exercise 0.1 · From decibels to a factor
# ● ○ ○ difficulty · ● ● ● importance · 5 minutes
#
# Write the function behind that table. It should work for every number in between, and for a tensor of
# numbers too. Replace the line that raises the error.
#
# <details><summary>Classic ways to get it wrong</summary>
#
# Dividing by 10, which is for power · e instead of 10 · `//`, which forgets small steps · a straight
# line through the table.
# </details>


# %% exercise="gain_from_db"
def gain_from_db(db):
    """The factor that changes the level of a waveform by `db` decibels.

    db: a number or a tensor of numbers. Returns the same kind.
    """
    ### BEGIN SOLUTION
    return 10 ** (db / 20)
    ### END SOLUTION


# %% check="gain_from_db" points=1
gain_from_db = lab.check("gain_from_db", gain_from_db)

# %% [markdown]
# Stuck? Ask for a hint. Each call gives a little more away. Here is the first:

# %%
lab.hint("gain_from_db")

# %% [markdown]
# Your function knows a famous rule of thumb. How good is it?

# %%
print("   dB   waveform   power")
for db in (-6.0, -3.0, 1.0, 6.0):
    factor = gain_from_db(db)
    print(f"{db:+5.1f}   × {factor:.3f}  × {factor**2:.3f}")

# %% [markdown]
# So 6 dB is *nearly* a factor of two for the waveform, and nearly four for the power. Compare that with
# your guess.
#
# ### Exercise 0.2 · A first mix
# ● ○ ○ difficulty · ● ● ● importance · 5 minutes
#
# Turn each stem up or down by its own number of decibels, then add them up. Use your `gain_from_db`.
# The difficulty is in the shapes: `stems` is [S, C, T], but the gains are only [S].
#
# <details><summary>Classic ways to get it wrong</summary>
#
# A mean instead of a sum · summing over the wrong axis · gains that run along time or channels ·
# multiplying with the decibels themselves · “helpfully” normalising or clipping the result.
# </details>


# %% exercise="mix"
def mix(stems, gains_db):
    """Mix stems, each at its own level.

    stems: [S, C, T]; gains_db: a tensor [S], in dB (minus infinity mutes).
    Returns the mix [C, T].
    """
    ### BEGIN SOLUTION
    return (stems * gain_from_db(gains_db)[:, None, None]).sum(0)
    ### END SOLUTION


# %% check="mix" points=1
mix = lab.check("mix", mix)

# %% [markdown]
# ## Listen again
#
# Your first mix: a karaoke version. The gains are for drums, bass, other and vocals. Change them, run the
# cell again, and make it yours.

# %%
gains_db = torch.tensor([0.0, 3.0, 0.0, float("-inf")])
yours = mix(song.stems, gains_db)
lab.widgets.StemPlayer(
    {"song": song.mixture}, song.samplerate, systems={"your mix": {"song": yours}}
)

# %% [markdown]
# The player compares **systems**: different ways to make the same sounds. Here there are two, *original* and
# *your mix*. Switch between them while it plays: the player stays at the same moment of the song. Then
# choose **missing from your mix**. That is the original minus yours: everything you took away. In every
# later lesson this button plays what a model has lost.
#
# ## Can you hear one decibel?
#
# When you know what you should hear, you hear it. So this test is blind. A is the mixture; in B the vocals
# are one decibel softer. X is one of the two: which? Answer ten times.

# %%
softer = mix(song.stems, torch.tensor([0.0, 0.0, 0.0, -1.0]))
names = ("as mixed", "vocals −1 dB")
test = lab.widgets.ABX(song.mixture, softer, song.samplerate, names=names)
test

# %%
n, right, p = test.results
print(f"{right} of {n} right; guessing does as well with probability {p:.3f}")

# %% [markdown]
# (Run that cell again after your ten answers. Below 0.05 you may begin to believe your ears.)
#
# ## Measure
#
# How loud is each stem? The usual level is the root of the mean of the squares. It is counted in dB from
# **full scale**, a wave of height 1, which is the tallest that a sound file can hold. So most levels are
# below zero.

# %%
print("          level dB    highest sample")
for name, wav in [*song.sources.items(), ("mixture", song.mixture)]:
    level = 20 * torch.log10(wav.square().mean().sqrt())
    print(f"{name:8} {level:9.1f}  {wav.abs().max():16.2f}")

# %% [markdown]
# The mixture is louder than each stem, but by far less than the plus sign suggests: where one wave goes
# up, another goes down.
#
# ## What the papers use
#
# The data set of nearly every paper in this course is **MUSDB18**: 150 real songs, 100 to learn from and
# 50 to be tested on, about ten hours in stereo at 44,100 samples per second, with the same four stems
# ([SiSEC 2018](https://arxiv.org/abs/1804.06267)). Ours has the same shape, so that all code fits both. But
# it has no real singer. Keep that in mind whenever our numbers look better than a paper's.
#
# ## Summary
#
# - A waveform is a table [channels, time] or [C, T]; a song's stems are [S, C, T].
# - A mixture is the plain sum of its stems.
# - A level in dB is a factor of 10^(dB/20) for the waveform.
# - Guess, listen, check, take a hint; the notebook always runs to its end.
#
# ## Quiz

# %% predict="factor_of_12_db"

# %% predict="shape_of_a_song"

# %% [markdown]
# What have you solved so far? (It is remembered when you come back.)

# %%
lab.progress("00")

# %% [markdown]
# ## Go deeper
#
# Read next: `demucs_lab/datasets/track.py`, the one type that every song of this course has, and
# `print(song.score)`, which shows what the program played.
#
# Two open experiments:
#
# 1. **Your own song.** `wav, samplerate = lab.load_audio("song.mp3")` reads nearly any file. Play it with
#    `lab.widgets.StemPlayer({"song": wav}, samplerate)`. Which sources would you like to take out of it?
# 2. **Cancel it.** Subtract the vocals from the mixture, but delay them by one sample first
#    (`torch.roll(vocals, 1, dims=-1)`). How much of the singer comes back? Lesson 01 measures it.
