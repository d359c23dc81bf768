"""The pictures and probabilities that benchmarks and tests share: the same numbers on every machine.

Nothing is stored here: pictures come out of scikit-image's wheel (NASA's astronaut, Middlebury's
motorcycle, chelsea the cat; a synthetic texture stands in where scikit-image is missing), network outputs
out of the package's own sample data, and random ones out of a seeded generator. Pictures of PASCAL VOC 2012
are not shipped; they are looked for in `$DENSECRF_DATA` and ../shared/data. Probabilities lie on a grid of
2**-20, so that a last bit of `exp` that differs between machines cannot reach them.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from densecrf import Bilateral, Gaussian
from densecrf import data as network

Term: TypeAlias = Gaussian | Bilateral
Image = NDArray[np.uint8]  # [H, W, 3]; [B, H, W, 3] for a batch
Probs = NDArray[np.float32]  # [L, H, W]; [B, L, H, W] for a batch
Scores = NDArray[np.float64]  # [L, h, w], coarse

SAMPLES = ("chelsea", "astronaut", "motorcycle")
VOC = ("2007_000129", "2007_006171", "2008_001513", "2008_005197", "2010_004994")
DATA = Path(os.environ.get("DENSECRF_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
STRIDE = network.STRIDE  # pixels per score
TOLERANCE = 1e-3  # of labels, for what has few of them in any one place

_QUANTUM = 2.0**-20
_BAND = 64  # rows in float64 at a time


class MissingError(Exception):
    """What a workload is made of is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Workload:
    """One picture to refine, or a batch of them, and how.

    Attributes:
        name: what the tables call it.
        about: where the picture and the probabilities come from.
        image: uint8 [H, W, 3] or [B, H, W, 3].
        probs: float32 [L, H, W] or [B, L, H, W].
        terms: the pairwise terms.
        iterations: mean field iterations.
        tolerances: what this library is run with as ``label_tolerance``, one after the other.
    """

    name: str
    about: str
    image: Image
    probs: Probs
    terms: tuple[Term, ...]
    iterations: int = 10
    tolerances: tuple[float, ...] = (0.0,)

    @property
    def pictures(self) -> int | None:
        """B; None for a picture that is not in a batch."""
        return len(self.probs) if self.probs.ndim == 4 else None

    @property
    def labels(self) -> int:
        """L."""
        return int(self.probs.shape[-3])

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        H, W = self.probs.shape[-2:]
        return H, W


# ---------------------------------------------------------------------------------------- the list


def workload(name: str) -> Workload:
    """Build one of `NAMES`; raises `MissingError` where this machine has not got what it is made of."""
    return _BUILDERS[name](name)


def _smooth(H: int, W: int, L: int, terms: tuple[Term, ...]) -> Callable[[str], Workload]:
    """Random-smooth probabilities on a photograph: every label is present everywhere, the worst case."""

    def build(name: str) -> Workload:
        picture, image = photograph(H, W)
        return Workload(name, f"random-smooth on {picture}", image, smooth_probs(L, H, W), terms)

    return build


def _batch(B: int, H: int, W: int, L: int, terms: tuple[Term, ...]) -> Callable[[str], Workload]:
    """Random-smooth probabilities on as many windows of one photograph, all in one call."""

    def build(name: str) -> Workload:
        picture, image = photograph(2 * H, 2 * W)
        corners = [(i % 4 * H // 3, i // 4 % 4 * W // 3) for i in range(B)]
        images = np.stack([image[top : top + H, left : left + W] for top, left in corners])
        probs = np.stack([smooth_probs(L, H, W, seed=1 + i) for i in range(B)])
        return Workload(name, f"random-smooth on windows of {picture}", images, probs, terms)

    return build


def _real(picture: str, read: Callable[[str], tuple[Image, Probs]]) -> Callable[[str], Workload]:
    """Take a real network's output on a real picture, with the default parameters."""

    def build(name: str) -> Workload:
        image, probs = read(picture)
        about = f"DeepLabv3's output on {picture}"
        return Workload(name, about, image, probs, (NEAR_1, ALIKE_3), tolerances=(0.0, TOLERANCE))

    return build


def _stored(picture: str) -> tuple[Image, Probs]:
    return voc(picture)


def _shipped(picture: str) -> tuple[Image, Probs]:
    try:
        return sample(picture)
    except ModuleNotFoundError as error:
        raise MissingError(f"its picture comes with scikit-image ({error}): pip install scikit-image") from error


NEAR_1 = Gaussian(1, 3)
NEAR_3 = Gaussian(3, 3)
ALIKE_3 = Bilateral(67, 3, 4)
ALIKE_13 = Bilateral(67, 13, 4)

_BUILDERS: dict[str, Callable[[str], Workload]] = {
    "375x500x21 srgb 3": _smooth(375, 500, 21, (NEAR_3, ALIKE_3)),
    "375x500x21 srgb 13": _smooth(375, 500, 21, (NEAR_3, ALIKE_13)),
    "375x500x2 srgb 13": _smooth(375, 500, 2, (NEAR_3, Bilateral(80, 13, 10))),
    "513x513x21 srgb 3": _smooth(513, 513, 21, (NEAR_3, ALIKE_3)),
    **{f"real {name}": _real(name, _shipped) for name in SAMPLES},
    **{f"real VOC {name}": _real(name, _stored) for name in VOC},
    "batch of 16 pictures 240x320x21": _batch(16, 240, 320, 21, (NEAR_3, ALIKE_3)),
    "1024x2048x19 srgb 3": _smooth(1024, 2048, 19, (NEAR_3, ALIKE_3)),
}
NAMES = tuple(_BUILDERS)
# Not for --quick: ten seconds a call in pydensecrf, and more of what another workload shows.
SLOW = ("1024x2048x19 srgb 3", "real chelsea", "real motorcycle", *(f"real VOC {name}" for name in VOC[1:]))


# ---------------------------------------------------------------------------------------- pictures


def photograph(H: int, W: int) -> tuple[str, Image]:
    """Make a textured picture of any size: what it is, and its pixels."""
    try:
        data: Any = importlib.import_module("skimage.data")
    except ModuleNotFoundError:
        return "a synthetic texture", _texture(H, W)
    return "astronaut", resize(data.astronaut(), H, W)


def tiled(H: int, W: int) -> tuple[str, Image]:
    """Make a picture of any size with the same detail per pixel: photograph and mirror images of it, side by side."""
    picture, image = photograph(512, 512)
    return picture, np.pad(image, ((0, max(0, H - 512)), (0, max(0, W - 512)), (0, 0)), "symmetric")[:H, :W].copy()


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


def smooth_probs(L: int, H: int, W: int, seed: int = 1) -> Probs:
    """Soft-max of random scores, one per 16 pixels and label, with bilinear interpolation between."""
    h, w = -(-H // STRIDE) + 1, -(-W // STRIDE) + 1
    scores = np.random.default_rng(seed).random((L, h, w)) * 6
    return probabilities(scores, np.arange(H) / STRIDE, np.arange(W) / STRIDE)


def sample(name: str) -> tuple[Image, Probs]:
    """One of `SAMPLES`: a picture of scikit-image's, and what a real network answers for it."""
    return _upsampled(np.ascontiguousarray(network.photograph(name)), network.logits(name).astype(np.float64))


def voc(name: str) -> tuple[Image, Probs]:
    """One of `VOC`: a picture of PASCAL VOC 2012, and what a real network answers for it; raises `MissingError`."""
    stored, picture = DATA / "voc" / f"{name}_logits.npz", DATA / "voc" / f"{name}.jpg"
    for path in (stored, picture):
        if not path.exists():
            raise MissingError(f"there is no {path}; DENSECRF_DATA names the folder that voc/ lies in")
    try:
        reader: Any = importlib.import_module("PIL.Image")
    except ModuleNotFoundError as error:
        raise MissingError("reading its picture takes Pillow: pip install pillow") from error
    with np.load(stored) as file:
        scores = (file["logits"].astype(np.float64) - int(file["zero_point"])) * float(file["scale"])
    with reader.open(picture) as file:
        return _upsampled(np.array(file.convert("RGB")), scores)


def _upsampled(image: Image, scores: Scores) -> tuple[Image, Probs]:
    """Scores of a network with output stride 16 become probabilities at every pixel."""
    rows, columns = (np.arange(size) / STRIDE for size in image.shape[:2])
    return image, probabilities(scores, rows, columns)


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
