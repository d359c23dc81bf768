"""The pictures and probabilities that benchmarks and tests share: the same numbers on every machine.

Nothing is stored here: pictures come out of scikit-image's wheel (NASA's astronaut, Middlebury's
motorcycle, chelsea the cat; a synthetic texture stands in where scikit-image is missing), network outputs
out of the package's own sample data, and random ones out of a seeded generator. Probabilities lie on a
grid of 2**-20, so that a last bit of `exp` that differs between machines cannot reach them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from densecrf import Bilateral, Gaussian
from densecrf import data as network

Term: TypeAlias = Gaussian | Bilateral
Image = NDArray[np.uint8]  # [H, W, 3]
Probs = NDArray[np.float32]  # [L, H, W]
Scores = NDArray[np.float64]  # [L, h, w], coarse

SAMPLES = ("chelsea", "astronaut", "motorcycle")
STRIDE = network.STRIDE  # pixels per score

_QUANTUM = 2.0**-20
_BAND = 64  # rows in float64 at a time


@dataclass(frozen=True)
class Workload:
    """One picture to refine, and how.

    Attributes:
        name: what the tables call it.
        about: where the picture and the probabilities come from.
        image: uint8 [H, W, 3].
        probs: float32 [L, H, W].
        terms: the pairwise terms.
        iterations: mean field iterations.
    """

    name: str
    about: str
    image: Image
    probs: Probs
    terms: tuple[Term, ...]
    iterations: int = 10


# ---------------------------------------------------------------------------------------- the list


def workload(name: str) -> Workload:
    """Build one of `NAMES`."""
    return _BUILDERS[name](name)


def _smooth(H: int, W: int, L: int, terms: tuple[Term, ...]) -> Callable[[str], Workload]:
    """Random-smooth probabilities on a photograph: every label is present everywhere, the worst case."""

    def build(name: str) -> Workload:
        picture, image = photograph(H, W)
        return Workload(name, f"random-smooth on {picture}", image, smooth_probs(L, H, W), terms)

    return build


def _real(picture: str) -> Callable[[str], Workload]:
    """Take a real network's output on a real picture, with the default parameters."""

    def build(name: str) -> Workload:
        image, probs = sample(picture)
        return Workload(name, f"DeepLabv3's output on {picture}", image, probs, (NEAR_1, ALIKE_3))

    return build


NEAR_1 = Gaussian(1, 3)
NEAR_3 = Gaussian(3, 3)
ALIKE_3 = Bilateral(67, 3, 4)
ALIKE_13 = Bilateral(67, 13, 4)

_BUILDERS: dict[str, Callable[[str], Workload]] = {
    "375x500x21 srgb 3": _smooth(375, 500, 21, (NEAR_3, ALIKE_3)),
    "375x500x21 srgb 13": _smooth(375, 500, 21, (NEAR_3, ALIKE_13)),
    "375x500x2 srgb 13": _smooth(375, 500, 2, (NEAR_3, Bilateral(80, 13, 10))),
    "513x513x21 srgb 3": _smooth(513, 513, 21, (NEAR_3, ALIKE_3)),
    "real chelsea": _real("chelsea"),
    "real astronaut": _real("astronaut"),
    "real motorcycle": _real("motorcycle"),
    "1024x2048x19 srgb 3": _smooth(1024, 2048, 19, (NEAR_3, ALIKE_3)),
}
NAMES = tuple(_BUILDERS)
SLOW = ("1024x2048x19 srgb 3",)  # about ten seconds a call in pydensecrf


# ---------------------------------------------------------------------------------------- pictures


def photograph(H: int, W: int) -> tuple[str, Image]:
    """Make a textured picture of any size: what it is, and its pixels."""
    try:
        data: Any = importlib.import_module("skimage.data")
    except ModuleNotFoundError:
        return "a synthetic texture", _texture(H, W)
    return "astronaut", resize(data.astronaut(), H, W)


def resize(image: Image, H: int, W: int) -> Image:
    """Bilinear, corner pixel on corner pixel, to [H, W, 3]."""
    rows = np.linspace(0, image.shape[0] - 1, H)
    columns = np.linspace(0, image.shape[1] - 1, W)
    planes = _sampled(_sampled(image.astype(np.float64), rows, 0), columns, 1)
    return np.rint(planes).astype(np.uint8)


def _texture(H: int, W: int) -> Image:
    """Smooth blobs with sharp borders between them, and grain on top."""
    rng = np.random.default_rng(0)
    blobs = _smooth_scores(rng, 3, H, W, cell=40.0)
    grain = _smooth_scores(rng, 3, H, W, cell=3.0)
    levels = 128 + 60 * np.sign(blobs) + 12 * blobs + 6 * grain
    return np.rint(np.clip(levels, 0, 255)).astype(np.uint8).transpose(1, 2, 0).copy()


# ----------------------------------------------------------------------------------- probabilities


def smooth_probs(L: int, H: int, W: int) -> Probs:
    """Soft-max of random scores, one per 16 pixels and label, with bilinear interpolation between."""
    h, w = -(-H // STRIDE) + 1, -(-W // STRIDE) + 1
    scores = np.random.default_rng(1).random((L, h, w)) * 6
    return probabilities(scores, np.arange(H) / STRIDE, np.arange(W) / STRIDE)


def sample(name: str) -> tuple[Image, Probs]:
    """One of `SAMPLES`: a picture of scikit-image's, and what a real network answers for it."""
    image = network.photograph(name)
    H, W = image.shape[:2]
    probs = probabilities(network.logits(name).astype(np.float64), np.arange(H) / STRIDE, np.arange(W) / STRIDE)
    return np.ascontiguousarray(image), probs


def probabilities(scores: Scores, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Probs:
    """Soft-max over the labels of scores at a grid of positions, bilinear between the scores.

    Args:
        scores: [L, h, w].
        rows: [H] positions along h, in scores.
        columns: [W] positions along w, in scores.

    Returns:
        [L, H, W], each value a multiple of 2**-20, so the sum over labels is off 1 by at most L * 2**-21.
    """
    probs = np.empty((len(scores), len(rows), len(columns)), np.float32)
    across = _sampled(scores, columns, 2)
    for first in range(0, len(rows), _BAND):
        band = slice(first, first + _BAND)
        values = _sampled(across, rows[band], 1)
        values -= values.max(axis=0)
        np.exp(values, out=values)
        values /= values.sum(axis=0)
        probs[:, band] = np.rint(values / _QUANTUM) * _QUANTUM
    return probs


def _sampled(values: NDArray[np.float64], positions: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Linear interpolation along one axis."""
    left = np.clip(np.floor(positions).astype(np.intp), 0, values.shape[axis] - 2)
    share = (positions - left).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    lower, upper = values.take(left, axis), values.take(left + 1, axis)
    return lower + share * (upper - lower)


def _smooth_scores(rng: np.random.Generator, L: int, H: int, W: int, cell: float) -> Scores:
    """Random scores in -1..1 at every pixel, smooth over ``cell`` pixels: [L, H, W]."""
    coarse = rng.random((L, int(H / cell) + 2, int(W / cell) + 2)) * 2 - 1
    return _sampled(_sampled(coarse, np.arange(H) / cell, 1), np.arange(W) / cell, 2)
