"""What the authors call the weights and settings of their models, and what they are called here.

One table of names for each model, one of settings, and `from_official`, which reads a state dict
by them. A name is rewritten by the first pattern that matches all of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

Names = Sequence[tuple[str, str]]

# --- Conv-TasNet: demucs 2.0.3 --------------------------------------------------------------------

# With the indices of repeat and block.
BLOCK = r"separator\.network\.2\.(\d+)\.(\d+)\.net\."
CONV_TASNET = (
    (r"encoder\.conv1d_U\.(.*)", r"encoder.\1"),
    (r"separator\.network\.0\.(.*)", r"input_norm.\1"),
    (r"separator\.network\.1\.(.*)", r"bottleneck.\1"),
    (BLOCK + r"0\.(.*)", r"repeats.\1.\2.expand.\3"),
    (BLOCK + r"1\.(.*)", r"repeats.\1.\2.prelu1.\3"),
    (BLOCK + r"2\.(.*)", r"repeats.\1.\2.norm1.\3"),
    (BLOCK + r"3\.net\.0\.(.*)", r"repeats.\1.\2.depthwise.\3"),
    (BLOCK + r"3\.net\.[12]\.(weight)", r"repeats.\1.\2.prelu2.\3"),
    (BLOCK + r"3\.net\.[23]\.(gamma|beta)", r"repeats.\1.\2.norm2.\3"),
    (BLOCK + r"3\.net\.[34]\.(weight)", r"repeats.\1.\2.project.\3"),
    (r"separator\.network\.3\.(.*)", r"masks.\1"),
    (r"decoder\.basis_signals\.(.*)", r"decoder.\1"),
)


def conv_tasnet_settings(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Of the music model; their default is X=8, and their segment is in samples."""
    same = ("sources", "audio_channels", "samplerate", *"NLBHPXR", "causal")
    takes = {**_same(same), "norm_type": "norm", "segment_length": "segment"}
    settings = take_official({"X": 8, **kwargs}, takes, fixed={"mask_nonlinear": "relu"})
    if "segment" in settings:
        settings["segment"] /= settings.get("samplerate", 44100)
    return settings


# --- Demucs: 2.0.3, or 4.x set to the same network ------------------------------------------------

# A layer's second convolution is number 2 in version 2.0.3 of their code, number 3 in later ones.
DEMUCS = (
    (r"encoder\.(\d+)\.0\.(.*)", r"encoder.\1.conv.\2"),
    (r"encoder\.(\d+)\.[23]\.(.*)", r"encoder.\1.rewrite.\2"),
    (r"lstm\.(.*)", r"lstm.\1"),
    (r"decoder\.(\d+)\.0\.(.*)", r"decoder.\1.rewrite.\2"),
    (r"decoder\.(\d+)\.[23]\.(.*)", r"decoder.\1.conv_tr.\2"),
)
DEMUCS_WITHOUT_REWRITE = ((r"decoder\.(\d+)\.0\.(.*)", r"decoder.\1.conv_tr.\2"), *DEMUCS)


def demucs_settings(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Those of 4.x (known by `dconv_mode`) must turn off what came later: `dconv_mode=0`,
    `gelu=False`, `norm_starts` at least `depth`.
    """
    takes = _same((
        "sources", "audio_channels", "samplerate", "segment", "channels", "depth", "glu",
        "lstm_layers", "rewrite", "rescale", "resample", "normalize", "context", "context_padding",
    ))  # fmt: skip
    fixed: dict[str, Any] = {"kernel_size": 8, "stride": 4, "growth": 2.0}
    if "dconv_mode" in kwargs:
        kwargs = {"lstm_layers": 0, "normalize": True, "context": 1, **kwargs}
        kwargs |= {"context": 2 * kwargs["context"] + 1, "context_padding": True}
        fixed |= {"dconv_mode": 0, "gelu": False}
        takes["norm_starts"] = "norm_starts"
        kwargs.setdefault("gelu", True)
    elif "segment_length" in kwargs:
        kwargs["segment"] = kwargs.pop("segment_length") / kwargs.get("samplerate", 44100)
    idle = (
        "norm_groups", "dconv_depth", "dconv_comp", "dconv_attn", "dconv_lstm", "dconv_init",
    )  # fmt: skip
    settings = take_official(kwargs, takes, fixed, idle)
    if "dconv_mode" in kwargs and settings.pop("norm_starts", 4) < settings.get("depth", 6):
        raise ValueError("the authors' group norm is not supported here: norm_starts >= depth")
    return settings


# --- the hybrid models: demucs 3 and 4 ------------------------------------------------------------

# Where a residual branch has an LSTM and attention, these are its numbers 3 and 4 and push the
# others back.
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

# What the published models share.
HYBRID_FIXED: dict[str, Any] = {
    "channels_time": None, "growth": 2, "wiener_iters": 0, "end_iters": 0, "cac": True,
    "rewrite": True, "multi_freqs": None, "freq_emb": 0.2, "emb_scale": 10, "emb_smooth": True,
    "kernel_size": 8, "time_stride": 2, "stride": 4, "context": 1, "context_enc": 0,
    "norm_starts": 4, "norm_groups": 4, "dconv_depth": 2,
}  # fmt: skip
HYBRID_IDLE = ("wiener_residual", "multi_freqs_depth")

HDEMUCS_FIXED: dict[str, Any] = {
    **HYBRID_FIXED, "hybrid": True, "hybrid_old": False, "dconv_mode": 1, "dconv_comp": 4,
    "dconv_attn": 4, "dconv_lstm": 4, "dconv_init": 1e-4,
}  # fmt: skip


def hdemucs_names(apart: int) -> Names:
    """Around the layer in which the branches meet, and inside all."""
    return (
        (rf"tencoder\.{apart}\.conv\.(.*)", rf"tencoder.{apart}.\1"),
        (r"tdecoder\.0\.conv_tr\.(.*)", r"tdecoder.0.\1"),
        (r"tdecoder\.0\.norm2\.(.*)", r"tdecoder.0.norm.\1"),
        *IN_EMBEDDING,
        *INSIDE_LAYERS,
    )


def hdemucs_settings(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Of demucs 3 and 4; torchaudio's class has them too."""
    same = ("sources", "audio_channels", "samplerate", "segment", "channels", "depth", "rescale")
    takes = {**_same(same), "nfft": "n_fft"}
    return take_official(kwargs, takes, HDEMUCS_FIXED, HYBRID_IDLE)


# Even layers of the transformer are self-attention, odd ones cross-attention, which has one norm
# more (`norm2`).
LAYER = r"crosstransformer\.layers(_t)?\."
SELF, CROSS = LAYER + r"(\d*[02468])\.", LAYER + r"(\d*[13579])\."
QKV = LAYER + r"(\d+)\.(?:self|cross)_attn\."
IN_TRANSFORMER = (
    (r"crosstransformer\.norm_in(_t)?\.(.*)", r"transformer.norm\1.\2"),
    (LAYER + r"(\d+)\.norm1\.(.*)", r"transformer.layers\1.\2.norm_attention.\3"),
    (CROSS + r"norm2\.(.*)", r"transformer.layers\1.\2.norm_other.\3"),
    (CROSS + r"norm3\.(.*)", r"transformer.layers\1.\2.norm_dense.\3"),
    (SELF + r"norm2\.(.*)", r"transformer.layers\1.\2.norm_dense.\3"),
    (LAYER + r"(\d+)\.norm_out\.(.*)", r"transformer.layers\1.\2.norm_out.\3"),
    (LAYER + r"(\d+)\.linear([12])\.(.*)", r"transformer.layers\1.\2.dense\3.\4"),
    (LAYER + r"(\d+)\.gamma_1\.scale", r"transformer.layers\1.\2.scale_attention"),
    (LAYER + r"(\d+)\.gamma_2\.scale", r"transformer.layers\1.\2.scale_dense"),
    (QKV + r"in_proj_(.*)", r"transformer.layers\1.\2.attention.qkv.\3"),
    (QKV + r"out_proj\.(.*)", r"transformer.layers\1.\2.attention.out.\3"),
)

# Around the transformer, and which branch has which.
BETWEEN = (
    (r"channel_upsampler(_t)?\.(.*)", r"bottom.widen\1.\2"),
    (r"channel_downsampler(_t)?\.(.*)", r"bottom.narrow\1.\2"),
)
BRANCHES = (
    (r"t(en|de)coder\.(.*)", r"\1coder.time.\2"),
    (r"(en|de)coder\.(.*)", r"\1coder.frequency.\2"),
    (r"frequency_embedding\.(.*)", r"encoder.embedding.\1"),
    (r"(transformer\..*)", r"bottom.\1"),
    (r"(bottom\..*)", r"\1"),
)

HTDEMUCS_FIXED: dict[str, Any] = {
    **HYBRID_FIXED, "dconv_comp": 8, "dconv_init": 1e-3,
    "t_emb": "sin", "t_hidden_scale": 4.0, "t_norm_in": True, "t_norm_in_group": False,
    "t_group_norm": False, "t_norm_first": True, "t_norm_out": True, "t_max_period": 10000.0,
    "t_layer_scale": True, "t_gelu": True, "t_weight_pos_embed": 1.0, "t_sin_random_shift": 0,
    "t_sparse_self_attn": False, "t_sparse_cross_attn": False, "t_cross_first": False,
}  # fmt: skip
HTDEMUCS_IDLE = (
    *HYBRID_IDLE, "t_max_positions", "t_weight_decay", "t_lr", "t_cape_mean_normalize",
    "t_cape_augment", "t_cape_glob_loc_scale", "t_mask_type", "t_mask_random_seed",
    "t_sparse_attn_window", "t_global_window", "t_sparsity", "t_auto_sparsity",
)  # fmt: skip


def htdemucs_settings(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Of demucs 4, whose defaults are not those of the published models."""
    kwargs = {"segment": 10, "bottom_channels": 0, "dconv_mode": 1, **kwargs}
    if kwargs["dconv_mode"] not in (1, 3):
        raise ValueError(f"dconv_mode={kwargs['dconv_mode']!r} is not supported here, only 1 and 3")
    kwargs["dconv_mode"] = kwargs["dconv_mode"] == 3
    same = (
        "sources", "audio_channels", "samplerate", "segment", "channels", "depth",
        "bottom_channels", "t_layers", "t_heads", "t_dropout", "rescale",
    )  # fmt: skip
    takes = {
        **_same(same), "nfft": "n_fft", "dconv_mode": "dconv_decoder",
        "use_train_segment": "pad_to_segment",
    }  # fmt: skip
    return take_official(kwargs, takes, HTDEMUCS_FIXED, HTDEMUCS_IDLE)


# --- reading by these tables ----------------------------------------------------------------------


SETTINGS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "ConvTasNet": conv_tasnet_settings,
    "Demucs": demucs_settings,
    "HDemucs": hdemucs_settings,
    "HTDemucs": htdemucs_settings,
}


def settings(cls: type, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The authors' keyword arguments for one of our classes, as ours.

    Raises:
        ValueError: naming a setting that has no place here.
    """
    return SETTINGS[_family(cls)](dict(kwargs))


def translate(model: Any, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state dict under the names of this model.

    Raises:
        ValueError: naming a weight that has no place here.
    """
    match _family(type(model)):
        case "ConvTasNet":
            return rename(state, CONV_TASNET)
        case "Demucs":
            return rename(state, DEMUCS if model.rewrite else DEMUCS_WITHOUT_REWRITE)
        case "HDemucs":
            return rename(state, hdemucs_names(model.apart))
        case _:
            inner = rename(state, (*BETWEEN, *IN_TRANSFORMER, *IN_EMBEDDING, *INSIDE_LAYERS))
            return rename(inner, BRANCHES)


def _family(cls: type) -> str:
    return next(base.__name__ for base in cls.__mro__ if base.__name__ in SETTINGS)


def _same(names: Sequence[str]) -> dict[str, str]:
    return {name: name for name in names}


def rename(state: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    """The state dict with its keys rewritten, each by the first pattern that matches all of it.

    Args:
        state: names and tensors.
        names: pairs of a regular expression and what to write instead, with its groups as `\\1`;
            a pattern whose replacement is "" drops the tensor.

    Raises:
        ValueError: if no pattern matches a key.

    >>> import torch
    >>> list(rename({"net.0.weight": torch.zeros(1)}, [(r"net\\.0\\.(.*)", r"conv.\\1")]))
    ['conv.weight']
    """
    renamed = {}
    for key, value in state.items():
        for pattern, replacement in names:
            if match := re.fullmatch(pattern, key):
                if replacement:
                    renamed[match.expand(replacement)] = value
                break
        else:
            raise ValueError(f"the state dict holds {key!r}, which this model does not know")
    return renamed


def take_official(
    kwargs: Mapping[str, Any],
    takes: Mapping[str, str],
    fixed: Mapping[str, Any],
    idle: Sequence[str] = (),
) -> dict[str, Any]:
    """The authors' keyword arguments as ours.

    Args:
        kwargs: settings that a checkpoint carries.
        takes: name there → name here.
        fixed: settings that this kit has only one value of.
        idle: settings that change nothing once those are fixed.

    Raises:
        ValueError: naming the first setting that is not supported.
    """
    ours = {}
    for name, value in kwargs.items():
        if name in takes:
            ours[takes[name]] = value
        elif name in idle:
            continue
        elif name not in fixed:
            raise ValueError(f"the authors' setting {name}={value!r} is not known here")
        elif value != fixed[name]:
            raise ValueError(
                f"the authors' setting {name}={value!r} is not supported here, only "
                f"{name}={fixed[name]!r}"
            )
    return ours
