"""Trained weights: tiny models that the kit brings, and the authors' own to download (lesson 09).

`available()` lists them, `load(name)` gives a model; `card(name)` says how a tiny one was made,
and `fetch(name)` downloads an official one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from demucs_lab.common.paths import cache_dir
from demucs_lab.pretrained import download as _download
from demucs_lab.pretrained import shipped
from demucs_lab.pretrained.bag import Bag
from demucs_lab.pretrained.official import HUB_ROOT, OFFICIAL, TH_ROOT, Published
from demucs_lab.pretrained.reader import Package, read
from demucs_lab.pretrained.shipped import card

__all__ = ["OFFICIAL", "Bag", "Package", "available", "card", "fetch", "folder", "load", "read"]


def folder() -> Path:
    """Where downloaded weights are kept."""
    return cache_dir() / "pretrained"


def available() -> dict[str, str]:
    """What `load` knows by name (lesson 09).

    Returns:
        A few words on each name: first the tiny models, which come with the kit, then the authors'
        models, whose weights are downloaded on first use.

    >>> "htdemucs_ft" in available()
    True
    """
    official = {name: published.about for name, published in OFFICIAL.items()}
    return {name: shipped.about(name) for name in shipped.names()} | official


def fetch(name: str, progress: bool = True) -> list[Path]:
    """Make sure that the weights of a model are on this machine.

    The safetensors of the Hugging Face Hub first, the older `.th` files where there are none. Both
    are checked: a `.th` against the hash in its name, safetensors against the one that the Hub
    states. What was fetched once is not fetched again, and an interrupted download goes on where
    it stopped. With `DEMUCS_LAB_OFFLINE=1` nothing is downloaded. A tiny model is here already.

    Args:
        name: one of `available()`.
        progress: show a bar.

    Returns:
        One file per model of the bag.

    Raises:
        ValueError: if there is no such model, or a file is not what was published.
        ConnectionError: if a file is neither here nor to be had.
    """
    if name in shipped.names():
        return [shipped.weights(name)]
    published = _published(name)
    return [
        _fetch_part(name, published, number, progress) for number in range(len(published.files))
    ]


def load(name: str | os.PathLike[str], progress: bool = True) -> Any:
    """A model with trained weights, ready to separate.

    Args:
        name: one of `available()`, downloaded if it did not come with the kit; or the path of a
            file: the authors' `.th` or `.safetensors`, or what `model.save` wrote; or the folder of
            a training.
        progress: show a bar while downloading.

    Returns:
        A model of `demucs_lab.models`, or a `Bag` of them, in evaluation mode.

    Raises:
        ValueError: if there is no such model, or the file is damaged, malicious, or of a model that
            this kit does not have.
        ConnectionError: if the weights are neither here nor to be had.
    """
    if str(name) in shipped.names():
        return _load_file(shipped.weights(str(name)))
    if str(name) not in OFFICIAL and (isinstance(name, os.PathLike) or _looks_like_a_path(name)):
        return _load_file(Path(name).expanduser())
    published = _published(str(name))
    models = [build(read(path), published) for path in fetch(str(name), progress)]
    for model in models:
        model.segment = float(published.segment or model.segment)
    return models[0] if len(models) == 1 else Bag(models, published.weights).eval()


def build(package: Package, published: Published | None = None) -> Any:
    """The model that a file of weights describes.

    Raises:
        ValueError: if this kit has no such model, or a weight does not fit.
    """
    from demucs_lab import models

    klass, kwargs = package.klass, package.kwargs
    if klass is None and published is not None:
        klass, kwargs = published.klass, published.settings
    known = ("ConvTasNet", "Demucs", "HDemucs", "HTDemucs")
    if klass not in known:
        raise ValueError(
            f"this kit has no model {klass!r}, only {', '.join(known)}"
            if klass
            else "the file holds bare weights and does not say of which model: build the model and "
            "give them to its from_official(state_dict)"
        )
    return getattr(models, klass).from_official(package.state, **(kwargs or {})).eval()


def _published(name: str) -> Published:
    if name not in OFFICIAL:
        raise ValueError(
            f"there is no pretrained model {name!r}: choose from {', '.join(available())}"
        )
    return OFFICIAL[name]


def _looks_like_a_path(name: str | os.PathLike[str]) -> bool:
    return Path(name).suffix in (".th", ".safetensors") or Path(name).exists()


def _load_file(path: Path) -> Any:
    from demucs_lab import models

    if (weights := path / "model.safetensors").is_file():
        path = weights  # of a training
    if path.suffix == ".safetensors" and path.is_file() and _is_ours(path):
        return models.load(path).eval()
    return build(read(path))


def _is_ours(path: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return "klass" not in (file.metadata() or {})
    except SafetensorError:
        return False


def _fetch_part(name: str, published: Published, number: int, progress: bool) -> Path:
    """One file of a bag: here already, or from the Hub, or as `.th`."""
    th = folder() / Path(published.files[number]).name
    digits = th.stem.rpartition("-")[2]
    tensors = folder() / f"{published.signatures[number]}.safetensors"
    if _download.is_whole(tensors):
        return tensors
    if _download.is_whole(th, digits):
        return th
    sources: list[tuple[str, Path, str | None]] = []
    if published.repository:
        url = f"{HUB_ROOT}{published.repository}/resolve/main/{tensors.name}"
        sources.append((url, tensors, None))
    sources.append((f"{TH_ROOT}{published.files[number]}", th, digits))
    reasons = []
    for url, path, sha256 in sources:
        try:
            _download.download(url, path, sha256, progress)
            for _, other, _ in sources:  # what an earlier try left of the other file
                other.with_name(other.name + ".part").unlink(missing_ok=True)
            return path
        except ConnectionError as error:
            reasons.append(str(error))
    raise ConnectionError(
        f"{name} is not on this machine and could not be downloaded "
        f"({'; '.join(dict.fromkeys(reasons))}): "
        f"connect to the network, or put {tensors.name} or {th.name} into {folder()}"
    )
