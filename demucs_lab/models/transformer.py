"""The bottom of Hybrid Transformer Demucs: each branch attends to itself and to the other.

Rouard, Massa & Défossez, "Hybrid Transformers for Music Source Separation" (arXiv:2211.08553),
figure 1; layers are pre-norm, with a learned scale on what they add (lesson 10).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CrossTransformer(nn.Module):
    """Alternating layers: attend to oneself, attend to the other branch, ….

    Args:
        dim: channels of a token.
        layers: of each branch, 5 as published: self, cross, self, cross, self.
        heads: of each attention; must divide `dim`.
        cross: False lets every layer attend to its own branch.
        dropout: of attention weights and of what a layer adds, in training.

    Shape: frequency tokens `[B, F, N, dim]` and time tokens `[B, T, dim]` → the same.
    """

    def __init__(
        self, dim: int, layers: int = 5, heads: int = 8, cross: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm, self.norm_t = nn.LayerNorm(dim), nn.LayerNorm(dim)
        crossing = [cross and i % 2 == 1 for i in range(layers)]
        self.layers, self.layers_t = (
            nn.ModuleList(TransformerLayer(dim, heads, c, dropout) for c in crossing)
            for _ in range(2)
        )

    def forward(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        rows, frames = grid = x.shape[1:3]
        x = self.norm(x) + positions_2d(rows, frames, x)  # [B, F, N, dim]
        xt = self.norm_t(xt) + positions_1d(xt.shape[1], xt)  # [B, T, dim]
        x = x.flatten(1, 2)  # [B, F·N, dim]
        for layer, layer_t in zip(self.layers, self.layers_t, strict=True):
            x, xt = layer(x, xt), layer_t(xt, x)  # both look at what the other was before
        return x.unflatten(1, grid), xt


class TransformerLayer(nn.Module):
    """Attention, then two linear layers on each token; each adds to what it was given.

    What is added is scaled channel by channel (layer scale): by 1e-4 at first, so that a fresh
    layer changes nothing but the norm, and then by what is learned.

    Shape: tokens `[B, N, dim]` and the other branch's `[B, M, dim]` → `[B, N, dim]`.
    """

    def __init__(self, dim: int, heads: int, cross: bool, dropout: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim)
        self.norm_other = nn.LayerNorm(dim) if cross else None
        self.attention = Attention(dim, heads, dropout)
        self.scale_attention = nn.Parameter(torch.full((dim,), 1e-4))
        self.norm_dense = nn.LayerNorm(dim)
        self.dense1, self.dense2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.scale_dense = nn.Parameter(torch.full((dim,), 1e-4))
        self.norm_out = nn.GroupNorm(1, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        query = self.norm_attention(x)
        keys = query if self.norm_other is None else self.norm_other(other)
        x = x + self.scale_attention * self.dropout(self.attention(query, keys))  # [B, N, dim]
        hidden = self.dropout(F.gelu(self.dense1(self.norm_dense(x))))  # [B, N, 4 dim]
        x = x + self.scale_dense * self.dropout(self.dense2(hidden))  # [B, N, dim]
        return self.norm_out(x.transpose(1, 2)).transpose(1, 2)  # one mean for all tokens


class Attention(nn.Module):
    """Multi-head attention: softmax(Q Kᵀ / √d) V in each head (Vaswani et al. 2017, eq. 1).

    The fused product never holds the weights. Where `watch` is set they are made, handed to it as
    `[B, heads, N, M]`, and used; the output is the same (`demucs_lab.attention`).

    Shape: queries `[B, N, dim]`, keys `[B, M, dim]` → `[B, N, dim]`.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide {dim} channels")
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(dim, 3 * dim)  # three matrices, one below the other
        self.out = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)
        self.watch: Callable[[Tensor], None] | None = None

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        dim = queries.shape[-1]
        weight, bias = self.qkv.weight, self.qkv.bias
        q = F.linear(queries, weight[:dim], bias[:dim])  # [B, N, dim]
        k, v = F.linear(keys, weight[dim:], bias[dim:]).chunk(2, -1)  # [B, M, dim] twice
        q, k, v = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in (q, k, v))
        p = self.dropout if self.training else 0.0
        if self.watch is None:
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=p)  # [B, heads, N, d]
        else:
            weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
            self.watch(weights)
            y = F.dropout(weights, p) @ v
        return self.out(y.transpose(1, 2).flatten(2))


def positions_1d(length: int, like: Tensor) -> Tensor:
    """Sinusoidal positions of tokens in a row: all cosines, then all sines (lesson 10).

    Position t has cos and sin of t / 10000^(i / (dim / 2 - 1)), i = 0 … dim / 2 - 1, in the order
    of the authors' code (demucs 4).

    Args:
        length: number of tokens.
        like: a tensor `[..., dim]` whose width, precision and device to take; `dim` is even, at
            least 4.

    Returns:
        `[length, dim]`.

    >>> positions_1d(3, torch.zeros(4))[2]  # cos 2, cos 2/10000; sin 2, sin 2/10000
    tensor([-4.1615e-01,  1.0000e+00,  9.0930e-01,  2.0000e-04])
    """
    half = like.shape[-1] // 2
    time = _count(length, like)[:, None]
    phase = time / 10000 ** (_count(half, like) / (half - 1))
    return torch.cat([phase.cos(), phase.sin()], -1).to(like)


def positions_2d(rows: int, frames: int, like: Tensor) -> Tensor:
    """Sinusoidal positions of tokens in a grid, half of the channels for each axis (lesson 10).

    First time, then frequency. Within a half, sin and cos of t / 10000^(4 i / dim) take turns,
    i = 0 … dim / 4 - 1, in the order of the authors' code (demucs 4).

    Args:
        rows: tokens over frequency.
        frames: tokens over time.
        like: a tensor `[..., dim]` whose width, precision and device to take; 4 divides `dim`.

    Returns:
        `[rows, frames, dim]`.

    >>> positions_2d(2, 3, torch.zeros(4))[1, 2]  # sin 2, cos 2 for frame 2; sin 1, cos 1 for row 1
    tensor([ 0.9093, -0.4161,  0.8415,  0.5403])
    """
    half = like.shape[-1] // 2
    rates = 10000 ** (-2 * _count(half // 2, like) / half)

    def waves(count: int) -> Tensor:
        phase = _count(count, like)[:, None] * rates
        return torch.stack([phase.sin(), phase.cos()], -1).flatten(1)  # [count, half]

    time = waves(frames).expand(rows, frames, half)
    frequency = waves(rows)[:, None].expand(rows, frames, half)
    return torch.cat([time, frequency], -1).to(like)


def _count(n: int, like: Tensor) -> Tensor:
    exact = torch.promote_types(like.dtype, torch.float32)
    return torch.arange(n, device=like.device, dtype=exact)
