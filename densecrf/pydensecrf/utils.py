"""Unary energies and pairwise features, as pydensecrf's helpers make them.

Features here come in the order of the array's axes, (y, x, ...) for pictures, and in `DenseCRF2D`'s own terms as
(x, y, ...). The lattice is not the same for both, so neither are the last digits of an answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from logging import warning
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _check, _core
from densecrf.pydensecrf._arguments import array, integer, real, size, truth

__all__ = [
    "compute_unary",
    "create_pairwise_bilateral",
    "create_pairwise_gaussian",
    "softmax_to_unary",
    "unary_from_labels",
    "unary_from_softmax",
]

Floats = NDArray[np.float32]


def unary_from_labels(labels: Any, n_labels: int, gt_prob: float, zero_unsure: bool = True) -> Floats:
    """Energies of annotated labels: each is right with probability gt_prob, and the others share the rest.

    Args:
        labels: integers of any shape, N of them. With ``zero_unsure`` 0 stands for no opinion, and 1 to
            n_labels for the labels; else 0 to n_labels - 1 do.
        n_labels: L, at least 2, not counting the 0 that stands for no opinion.
        gt_prob: in (0, 1).
        zero_unsure: whether 0 stands for no opinion: there all labels are equally likely.

    Returns:
        ``(L, N)``.

    Raises:
        AssertionError: gt_prob is not in (0, 1).
        TypeError, ValueError: labels are not integers or out of range, or there are fewer than two.
    """
    gt_prob, n_labels = real(gt_prob), size("n_labels", n_labels, least=-(2**31))
    if not 0 < gt_prob < 1:
        raise AssertionError("`gt_prob must be in (0,1).")
    if n_labels < 2:
        raise ValueError(f"n_labels must be at least 2, got {n_labels}: the others share what is left of 1")
    zero_unsure = truth("zero_unsure", zero_unsure)
    flat = _flat_labels(labels, n_labels, zero_unsure)
    _check.room(4 * n_labels * flat.size)
    energies = np.full((n_labels, flat.size), -np.log((1.0 - gt_prob) / (n_labels - 1)), np.float32)
    points = np.arange(flat.size)
    if zero_unsure:
        energies[flat - 1, points] = -np.log(gt_prob)
        energies[:, flat == 0] = -np.log(1.0 / n_labels)
    else:
        energies[flat, points] = -np.log(gt_prob)
    return energies


def _flat_labels(labels: Any, n_labels: int, zero_unsure: bool) -> NDArray[np.int64]:
    given = array("labels", labels)
    if given.dtype.kind not in "iub":
        raise TypeError(f"labels must be integers, got {given.dtype}")
    flat = given.ravel().astype(np.int64)  # subtracting 1 would wrap around in uint8
    most = n_labels if zero_unsure else n_labels - 1
    if flat.size and not (flat.min() >= 0 and flat.max() <= most):
        raise ValueError(
            f"labels must lie in 0..{most} for n_labels={n_labels} and zero_unsure={bool(zero_unsure)}, "
            f"got {flat.min()} to {flat.max()}"
        )
    return flat


def unary_from_softmax(sm: Any, scale: float | None = None, clip: float | None = 1e-5) -> Floats:
    """Energies of probabilities, their negative logarithms.

    Args:
        sm: probabilities ``(L, ...)``, N points.
        scale: mix with the uniform distribution, ``scale * sm + (1 - scale) / L``; in (0, 1], None for no mixing.
        clip: probabilities below count as this; None to take them as they are.

    Returns:
        ``(L, N)``, contiguous.

    Raises:
        AssertionError: scale is not in (0, 1].
        TypeError, ValueError: sm holds no numbers, or NaN, or negative ones that no clip has raised.
    """
    probs = array("sm", sm)
    if probs.dtype.kind not in "fiub":
        raise TypeError(f"sm must hold real numbers, got {probs.dtype}")
    if probs.size == 0 or probs.ndim == 0:
        raise ValueError(f"sm must have shape (L, ...), got {probs.shape}")
    if scale is not None:
        scale = real(scale)
        if not 0 < scale <= 1:
            raise AssertionError("`scale` needs to be in (0,1]")
        probs = scale * probs + (1 - scale) * (np.ones(probs.shape) / len(probs))
    if clip is not None:
        probs = _clipped(probs, real(clip))
    if np.isnan(probs).any():
        raise ValueError("sm must not hold NaN")
    if probs.min() < 0:
        raise ValueError("sm must not be negative; clip it")
    with np.errstate(divide="ignore"):  # without a clip, 0 has an infinite energy
        energies = -np.log(probs).reshape(len(probs), -1).astype(np.float32)
    return np.ascontiguousarray(energies)


def _clipped(probs: NDArray[Any], least: float) -> NDArray[Any]:
    known = probs.dtype.kind != "f" or least == 0 or least >= np.finfo(probs.dtype).tiny  # to the dtype, from 0
    clipped: NDArray[Any] = np.clip(probs if known else probs.astype(np.float64), least, 1.0)
    return clipped


def compute_unary(labels: Any, M: int, GT_PROB: float = 0.5) -> Floats:
    """Deprecated name of `unary_from_labels`."""
    warning("pydensecrf.compute_unary is deprecated, use unary_from_labels instead.")
    return unary_from_labels(labels, M, GT_PROB)


def softmax_to_unary(sm: Any, GT_PROB: float = 1) -> Floats:
    """Deprecated form of `unary_from_softmax`, with GT_PROB for its scale (1 for None) and without its clip."""
    warning("pydensecrf.softmax_to_unary is deprecated, use unary_from_softmax instead.")
    return unary_from_softmax(sm, None if GT_PROB == 1 else GT_PROB, clip=None)


def create_pairwise_gaussian(sdims: Sequence[float], shape: Sequence[int]) -> Floats:
    """Features of the smoothness term on a grid: positions in units of their standard deviations.

    Args:
        sdims: one standard deviation per axis.
        shape: of the grid.

    Returns:
        ``(len(shape), N)``, in the order of the axes.

    Raises:
        ValueError: a standard deviation is not positive, or there are not as many as axes.
    """
    positions = _positions(sdims, tuple(islice(shape, _core.max_dims)))  # a shape that ends
    return positions.reshape(len(positions), -1)


def create_pairwise_bilateral(sdims: Sequence[float], schan: Any, img: Any, chdim: int = -1) -> Floats:
    """Features of the appearance term on a grid: positions and channels in units of their standard deviations.

    Args:
        sdims: one standard deviation per axis of the grid.
        schan: standard deviation of the channels, one number for all or one for each.
        img: an array of as many axes as the grid, or of one more that holds channels.
        chdim: the axis of the channels; -1 if there is none.

    Returns:
        ``(axes + channels, N)``, positions first, in the order of the axes.

    Raises:
        ValueError: a standard deviation is not positive, there are not as many as axes or channels, or img is not
            finite, or leaves what float32 holds.
    """
    image = array("img", img)
    chdim = integer("chdim", chdim)
    if chdim != -1 and not -image.ndim <= chdim < image.ndim:
        raise ValueError(f"chdim must be an axis of img, which has {image.ndim}, got {_check.shown(chdim)}")
    if image.dtype.kind not in "fiub":
        raise TypeError(f"img must hold real numbers, got {image.dtype}")
    with np.errstate(over="ignore"):  # beyond float32: refused as not finite
        channels = (image[np.newaxis] if chdim == -1 else np.moveaxis(image, chdim, 0)).astype(np.float32)
    if not np.isfinite(channels).all():
        raise ValueError("img must be finite, got NaN or infinite values")
    if isinstance(schan, Number):
        schan = [schan] * len(channels)
    for values, sigma in zip(channels, _sigmas("schan", schan, len(channels), "channels"), strict=True):
        _divide("schan", values, sigma)
    features = np.concatenate([_positions(sdims, channels.shape[1:]), channels])
    return features.reshape(len(features), -1)


def _positions(sdims: Sequence[float], shape: tuple[int, ...]) -> Floats:
    """Indices along each axis over its standard deviation, ``(axes, *shape)``."""
    sizes = [size("shape", axis, 1) for axis in shape]
    _check.room(4 * len(sizes) * math.prod(sizes))
    positions = np.indices(sizes, np.float32)
    for values, sigma in zip(positions, _sigmas("sdims", sdims, len(sizes), "axes"), strict=True):
        _divide("sdims", values, sigma)
    return positions


def _divide(name: str, values: Floats, sigma: float) -> None:
    """Puts values in units of a standard deviation."""
    with np.errstate(all="ignore"):  # what is no float32 any more is refused below
        values /= sigma
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has a standard deviation too small for float32: {sigma!r}")


def _sigmas(name: str, sigmas: Any, count: int, of_what: str) -> list[Any]:
    values = [real(one) for one in islice(sigmas, _core.max_dims)]  # which may never end
    if len(values) != count:
        raise ValueError(f"{name} must hold one number for each of {count} {of_what}, got {len(values)}")
    if not all(0 < value < float("inf") for value in values):
        raise ValueError(f"{name} are standard deviations and must be positive and finite, got {_check.shown(values)}")
    return values


def _create_pairwise_gaussian_2d(sx: float, sy: float, shape: Sequence[int]) -> Floats:
    return create_pairwise_gaussian((sx, sy), tuple(shape)[:2])


def _create_pairwise_bilateral_2d(sx: float, sy: float, sr: float, sg: float, sb: float, img: Any) -> Floats:
    return create_pairwise_bilateral((sx, sy), (sr, sg, sb), img, chdim=2)
