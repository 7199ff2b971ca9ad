# %% [markdown]
# # A lesson for the tests
#
# How loud is a wave?

# %%
import matplotlib.pyplot as plt
import torch

import demucs_lab as lab

torch.manual_seed(0)
sine = torch.sin(2 * torch.pi * torch.arange(1000) / 100)
print("before")

# %% predict="level_of_a_sine"


# %% exercise="level"
def level(wav):
    """Root mean square of each channel, `[..., C, T]` → `[..., C]`."""
    ### BEGIN SOLUTION
    if wav.shape[-1] == 0:
        raise ValueError("no sound at all")
    return wav.square().mean(-1).sqrt()
    ### END SOLUTION


# %% check="level" points=2
level = lab.check("level", level)

# %% [markdown]
# The lesson goes on with it.

# %%
print(f"level of a sine: {level(sine[None]).item():.2f}")
_ = plt.figure(figsize=(2, 1))
plt.plot(sine[:100])
plt.show()

# %% tags=["gpu"]
print("on CUDA:", sine.cuda().device.type)

# %%
f"{torch.rand(1).item():.3f}"
