"""The layers that Hybrid Demucs and Hybrid Transformer Demucs share.

One layer serves both branches. Its tensors are channels-last, `[B, F, T, C]`: F rows of
frequencies (one row in the time branch) of T frames of C channels. A layer of the frequency branch
strides over F, one of the time branch over T. Channels that lie side by side make a 1×1
convolution a plain matrix product, and rows need no copy to be treated one by one (lesson 09).

Défossez, "Hybrid Spectrogram and Waveform Source Separation" (arXiv:2111.03600).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demucs_lab.models.convolution import Conv, ConvTranspose, FrameConv, Pointwise
from demucs_lab.models.layers import Blstm, OverallNorm, deviation, in_parts

# The authors' names of what is inside a layer, and ours. Where a residual branch has an LSTM and
# attention, these are its numbers 3 and 4 and push the others back.
IN_EMBEDDING = ((r"freq_emb\.embedding\.weight", r"frequency_embedding.embedding"),)
BRANCH = r"(.*\.dconv\.layers\.\d+)\."
INSIDE_LAYERS = (
    (BRANCH + r"0\.(.*)", r"\1.shrink.\2"),
    (BRANCH + r"1\.(.*)", r"\1.norm1.\2"),
    (BRANCH + r"3\.((?:lstm|linear)\..*)", r"\1.lstm.\2"),
    (BRANCH + r"4\.((?:content|query|key|query_decay|proj)\..*)", r"\1.attention.\2"),
    (BRANCH + r"[35]\.(weight|bias)", r"\1.widen.\2"),
    (BRANCH + r"[46]\.(weight|bias)", r"\1.norm2.\2"),
    (BRANCH + r"[68]\.scale", r"\1.scale"),
    (r"(t?decoder\.\d+)\.norm2\.(.*)", r"\1.conv_tr.norm.\2"),
    (r"(t?(?:en|de)coder\.\d+\.(?:conv|conv_tr|rewrite|norm1|norm2)\..*)", r"\1"),
)


class EncoderLayer(nn.Module):
    """Strided convolution, residual branches, gated mix of channels (figure 2, left).

    Args:
        chin, chout: channels in and out.
        over: the axis that the convolution strides over, "frequency" or "time".
        kernel, stride: of that convolution.
        dconv: of the residual branches, by what the channels shrink in them and by what their
            output is scaled at first.
        context: whether the residual branches hold an LSTM and attention.
        groups: of the group norms, for layers that have one row left; 0: no norm.

    Shape: `[B, F, T, chin]` → `[B, F / stride, T, chout]`, or T / stride (rounded up).
    """

    def __init__(
        self, chin: int, chout: int, over: str, dconv: tuple[int, float],
        kernel: int = 8, stride: int = 4, padding: int = 2, context: bool = False, groups: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = StridedConv(chin, chout, over, kernel, stride, padding)
        self.norm1 = Norm(groups, chout) if groups else nn.Identity()
        self.dconv = DConv(chout, *dconv, context)
        self.rewrite = Pointwise(chout, 2 * chout)
        self.norm2 = Norm(groups, 2 * chout) if groups else nn.Identity()

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """`other` is the other branch, added where the two meet."""
        x = self.conv(x)  # [B, F/4, T, chout]
        return by_rows(self.inside, x if other is None else x + other)  # the same

    def inside(self, x: Tensor) -> Tensor:
        x = self.dconv(F.gelu(self.norm1(x)))  # [R, 1, T, chout]
        return F.glu(self.norm2(self.rewrite(x)), -1)  # [R, 1, T, chout]


class DecoderLayer(nn.Module):
    """Gated mix of neighbours, then a strided transposed convolution (figure 2, right).

    Args:
        last: give waveforms or spectrograms, with nothing after the transposed convolution.
        dconv: as in the encoder; None: no residual branches here.

    Shape: `[B, F, T, chin]` → `[B, F · stride, T, chout]`, or T cut to `length`.
    """

    def __init__(
        self, chin: int, chout: int, over: str, last: bool, dconv: tuple[int, float] | None = None,
        kernel: int = 8, stride: int = 4, padding: int = 2, context: bool = False, groups: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.last = last
        neighbours = (3, 3) if over == "frequency" else (1, 3)
        around = (neighbours[0] // 2, 1)
        self.rewrite = Conv(chin, 2 * chin, neighbours, padding=around)
        self.norm1 = Norm(groups, 2 * chin) if groups else nn.Identity()
        self.dconv = DConv(chin, *dconv, context) if dconv else nn.Identity()
        self.conv_tr = StridedConvTranspose(chin, chout, over, kernel, stride, padding, groups)

    def forward(self, x: Tensor, skip: Tensor, length: int | None = None) -> tuple[Tensor, Tensor]:
        """The output, and what the other branch starts from where the two part."""
        before = by_rows(self.inside, self.rewrite(x + skip))  # [B, F, T, chin]
        x = self.conv_tr(before, length)  # [B, 4F, T, chout]
        return x if self.last else F.gelu(x), before

    def inside(self, x: Tensor) -> Tensor:
        return self.dconv(F.glu(self.norm1(x), -1))  # [R, 1, T, 2 chin] → [R, 1, T, chin]


CACHE = 1 << 20  # values that a processor's cache holds at once


def by_rows(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What a layer makes of each row of frequencies; on a CPU, without gradients, of few at a time.

    Then all that the layer makes on its way stays in the processor's cache (lesson 09). Gradients
    need it kept, and small parts would only cost calls.

    Shape: `[B, F, T, chin]` → `[B, F, T, chout]`; the layer gets R rows as `[R, 1, T, chin]`.
    """
    rows = x.flatten(0, 1).unsqueeze(1)
    few = x.is_cpu and not torch.is_grad_enabled()
    at_once = max(1, CACHE // rows[0].numel()) if few else len(rows)
    return in_parts(layer, rows, at_once).reshape(*x.shape[:3], -1)


class StridedConv(Conv):
    """A convolution over one axis; an axis of time is first filled up to whole strides."""

    def __init__(
        self, chin: int, chout: int, over: str, kernel: int, stride: int, padding: int
    ) -> None:
        self.fill = stride if over == "time" else 1
        super().__init__(chin, chout, along(over, kernel, 1), along(over, stride, 1),
                         along(over, padding, 0))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 0, 0, -x.shape[2] % self.fill)))


class StridedConvTranspose(ConvTranspose):
    """The way back: transposed convolution, norm, and the edges cut off that padding had added.

    Over time it gives `length` frames, over frequency (no length) all rows between the edges.
    """

    def __init__(
        self, chin: int, chout: int, over: str, kernel: int, stride: int, cut: int, groups: int
    ) -> None:
        super().__init__(chin, chout, along(over, kernel, 1), along(over, stride, 1))
        self.norm = Norm(groups, chout) if groups else nn.Identity()
        self.cut = cut

    def forward(self, x: Tensor, length: int | None = None) -> Tensor:  # type: ignore[override]
        x = self.norm(super().forward(x))
        if length is None:
            return x[:, self.cut : x.shape[1] - self.cut]
        return x[:, :, self.cut : self.cut + length]


def along(over: str, value: int, other: int) -> tuple[int, int]:
    """The pair (frequency, time) with `value` on the axis named."""
    return (value, other) if over == "frequency" else (other, value)


class Norm(nn.GroupNorm):
    """Group norm over frequencies, frames and a group's channels, `[B, F, T, C]` → the same."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(-1, 1).contiguous()).movedim(1, -1)


class DConv(nn.Module):
    """Two residual branches over time, narrow and dilated, for each frequency by itself (figure 3).

    Shape: `[B, F, T, C]` → the same.
    """

    def __init__(self, channels: int, compress: int, init: float, context: bool = False) -> None:
        super().__init__()
        hidden = channels // compress
        self.layers = nn.ModuleList(
            ResidualBranch(channels, hidden, dilation, init, context) for dilation in (1, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1)  # [B F, T, C]
        for layer in self.layers:
            rows = layer(rows)
        return rows.unflatten(0, x.shape[:2])


class ResidualBranch(nn.Module):
    """Shrink, look around in time, widen, gate, scale, add: `[R, T, C]` → the same."""

    def __init__(
        self, channels: int, hidden: int, dilation: int, init: float, context: bool
    ) -> None:
        super().__init__()
        self.shrink = FrameConv(channels, hidden, 3, padding=dilation, dilation=dilation)
        self.norm1 = OverallNorm(hidden)
        self.lstm = WindowedBlstm(hidden) if context else nn.Identity()
        self.attention = LocalAttention(hidden) if context else nn.Identity()
        self.widen = Pointwise(hidden, 2 * channels)
        self.norm2 = OverallNorm(2 * channels)
        self.scale = nn.Parameter(torch.full((channels,), init))

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.norm1(self.shrink(x)))  # [R, T, hidden]
        y = self.attention(self.lstm(y))  # [R, T, hidden]
        y = F.glu(self.norm2.of(self.widen, y), -1)  # [R, T, C]
        return torch.addcmul(x, self.scale, y)


class WindowedBlstm(Blstm):
    """A residual LSTM over windows of 200 frames; they overlap by half, their middles are kept."""

    WINDOW = 200

    def forward(self, x: Tensor) -> Tensor:
        width, hop, edge = self.WINDOW, self.WINDOW // 2, self.WINDOW // 4
        length = x.shape[1]
        if length <= width:
            return x + super().forward(x)
        windows = math.ceil(length / hop)
        filled = F.pad(x, (0, 0, 0, (windows - 1) * hop + width - length))
        framed = filled.unfold(1, width, hop).transpose(2, 3)  # [R, windows, 200, C]
        y = super().forward(framed.flatten(0, 1)).unflatten(0, (-1, windows))
        middles = y[:, :, edge:-edge].flatten(1, 2)
        y = torch.cat([y[:, 0, :edge], middles, y[:, -1, -edge:]], 1)  # [R, ≥ T, C]
        return x + y[:, :length]


class LocalAttention(nn.Module):
    """Attention that decays with distance, at a rate that each frame chooses (section 3.3).

    Shape: `[R, T, C]` → the same.
    """

    HEADS, DECAYS = 4, 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = Pointwise(channels, channels)
        self.key = Pointwise(channels, channels)
        self.content = Pointwise(channels, channels)
        self.query_decay = Pointwise(channels, self.HEADS * self.DECAYS)
        self.proj = Pointwise(channels, channels)
        with torch.no_grad():  # hardly any decay at first: the window is wide
            self.query_decay.weight *= 0.01
            nn.init.constant_(self.query_decay.bias, -2)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        query, key, content = (
            layer(x).unflatten(-1, (self.HEADS, -1)).transpose(1, 2)  # [R, heads, T, C / heads]
            for layer in (self.query, self.key, self.content)
        )
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5  # [R, heads, T, T]
        rates = torch.sigmoid(self.query_decay(x)) / 2
        rates = rates.unflatten(-1, (self.HEADS, self.DECAYS))  # [R, T, heads, decays]
        multiples = torch.arange(1, self.DECAYS + 1, device=x.device, dtype=x.dtype)
        decay = (rates @ multiples / self.DECAYS**0.5).transpose(1, 2)  # [R, heads, T]
        frames = torch.arange(x.shape[1], device=x.device, dtype=x.dtype)
        distance = (frames[:, None] - frames).abs()
        scores = scores - decay[..., None] * distance
        oneself = torch.eye(len(frames), dtype=torch.bool, device=x.device)
        weights = scores.masked_fill(oneself, -100).softmax(-1)
        return x + self.proj((weights @ content).transpose(1, 2).flatten(2))


class FrequencyEmbedding(nn.Module):
    """Tells each row which frequency it is: `[B, F, T, C]` → the same."""

    WEIGHT, SPEED = 0.2, 10.0  # how much it counts, and how much faster it learns

    def __init__(self, rows: int, channels: int) -> None:
        super().__init__()
        walk = torch.randn(rows, channels).cumsum(0)  # neighbours start alike
        steps = torch.arange(1, rows + 1).sqrt()[:, None]
        self.embedding = nn.Parameter(walk / steps / self.SPEED)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.WEIGHT * self.SPEED * self.embedding[:, None]


def to_channels(spec: Tensor) -> Tensor:
    """Complex as channels: `[B, C, F, N]` → real `[B, F, N, 2C]`, real and imaginary in turn."""
    return torch.view_as_real(spec).permute(0, 2, 3, 1, 4).flatten(3)


def from_channels(x: Tensor, sources: int) -> Tensor:
    """Back to complex spectrograms: real `[B, F, N, 2SC]` → `[B, S, C, F, N]`."""
    x = x.unflatten(-1, (sources, -1, 2)).permute(0, 3, 4, 1, 2, 5)
    return torch.view_as_complex(x.contiguous())


def standardize(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Zero mean and deviation 1 for each of a batch, with the mean and deviation it had."""
    dims = tuple(range(1, x.dim()))
    mean, std = x.mean(dims, keepdim=True), deviation(x, dims)
    return (x - mean) / (1e-5 + std), mean, std
