"""What a pairwise term really does on a picture, asked of its own filter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from densecrf._model import DenseCRF
from densecrf.terms import Bilateral, Gaussian, Term, Weight

Floats = NDArray[np.float32]

_PROBES = 16  # of random signs; the mean over a picture of 100 x 100 is then known to about 1 %
_ALONE = 0.5  # a pixel that hears itself louder than all others
_TINY = 1e-9  # keeps a pixel that hears nothing from being divided by 0


@dataclass(frozen=True, eq=False)
class TermEffect:
    """One term on this picture, as its filter shows it.

    Attributes:
        term: the term.
        strength: the most that it can raise one label over another at a pixel, in the units of the margins; the median
            over the picture of the response to ones times the weight.
        own_share: the share of what a pixel hears that it said itself, 0 to 1, in the mean over the picture.
        alone: the share of pixels that hear themselves louder than all others.
        blur_alone: the same for a Gaussian of the same ``sxy`` without colours; NaN for a term that knows no colours.
        radius: how far away a pixel listens: the standard deviation of the positions that it hears, along one axis,
            in pixels.
        colour_spread: the standard deviation of the colours that a pixel hears, as a share of what a Gaussian of the
            same ``sxy`` without colours hears: 1 knows no edges, 0 hears its own colour alone. NaN for a term that
            does not look at the picture, and on a picture of one colour.
    """

    term: Term
    strength: float
    own_share: float
    alone: float
    blur_alone: float
    radius: float
    colour_spread: float

    @property
    def neighbours(self) -> float:
        """How many pixels one listens to, itself included: 1 / own_share."""
        return 1 / max(self.own_share, 1e-9)


def effect_of(crf: DenseCRF, index: int, term: Term, picture: Floats) -> TermEffect:
    """Measures one term.

    Args:
        crf: the model.
        index: of the term in it.
        term: the same.
        picture: ``(C, H, W)``, in the units of srgb.
    """
    kernel = _Kernel(crf, index)
    own = kernel.own_shares()
    position = np.indices(crf.shape).astype(np.float32)
    blur_alone, colour_spread = np.nan, np.nan
    if isinstance(term, Bilateral):
        blur = _Kernel(DenseCRF(crf.shape, 1, [Gaussian(term.sxy, 1.0)]), 0)
        blur_alone, colour_spread = _alone(blur.own_shares()), _spread(kernel, blur, picture)
    return TermEffect(
        term,
        strength=span(term.weight) * float(np.median(kernel.response)),
        own_share=float(own.mean()),
        alone=_alone(own),
        blur_alone=blur_alone,
        radius=math.sqrt(kernel.variance(position)),
        colour_spread=colour_spread,
    )


def span(weight: Weight) -> float:
    """The most that neighbours of one label can raise a label over another, per unit of the kernel."""
    if isinstance(weight, float):
        return weight
    matrix = np.asarray(weight, np.float64)
    if matrix.ndim == 1:
        return float(np.abs(matrix).max())
    symmetric = (matrix + matrix.T) / 2
    return float(np.ptp(symmetric, axis=0).max())


class _Kernel:
    """The filter of one term of a model, without its weight."""

    def __init__(self, crf: DenseCRF, index: int) -> None:
        self._crf, self._index = crf, index
        self.response: Floats = self._filter(np.ones((1, *crf.shape), np.float32))[0]

    def own_shares(self) -> Floats:
        """The share of what a pixel hears that it said itself, about, ``(H, W)``; the mean of it is sharp.

        What comes back of random signs, times the signs, is the kernel's diagonal in the mean (Hutchinson 1990; pixel
        by pixel Bekas, Kokiopoulou & Saad 2007).
        """
        signs = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), (_PROBES, *self._crf.shape))
        diagonal = (signs * self._filter(signs)).mean(axis=0)
        shares: Floats = diagonal / np.maximum(self.response, _TINY)
        return shares

    def variance(self, planes: Floats) -> float:
        """The variance of planes ``(C, H, W)`` over what a pixel hears, in the mean of pixels and planes."""
        centred = planes - planes.mean(axis=(1, 2), keepdims=True)
        mean, of_squares = (self._filter(one) / np.maximum(self.response, _TINY) for one in (centred, centred**2))
        return max(0.0, float((of_squares - mean**2).mean()))

    def _filter(self, planes: Floats) -> Floats:
        heard: Floats = self._crf.filter(planes, self._index)
        return heard


def _alone(own_shares: Floats) -> float:
    return float((own_shares > _ALONE).mean())


def _spread(kernel: _Kernel, blur: _Kernel, picture: Floats) -> float:
    """The deviation of the colours that a kernel hears, as a share of what a blur hears; NaN where that is none."""
    deviation = picture.std()
    if deviation == 0:
        return np.nan
    planes = picture / deviation
    blurred = blur.variance(planes)
    return math.sqrt(kernel.variance(planes) / blurred) if blurred > 0 else np.nan
