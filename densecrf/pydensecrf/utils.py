"""Unary energies and pairwise features, as pydensecrf's helpers make them.

Features here come in the order of the array's axes, (y, x, ...) for pictures, and in `DenseCRF2D`'s own terms as
(x, y, ...). The lattice is not the same for both, so neither are the last digits of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from logging import warning
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    if not 0 < gt_prob < 1:
        raise AssertionError("`gt_prob must be in (0,1).")
    if n_labels < 2:
        raise ValueError(f"n_labels must be at least 2, got {n_labels}: the others share what is left of 1")
    flat = _flat_labels(labels, n_labels, zero_unsure)
    energies = np.full((n_labels, flat.size), -np.log((1.0 - gt_prob) / (n_labels - 1)), np.float32)
    points = np.arange(flat.size)
    if zero_unsure:
        energies[flat - 1, points] = -np.log(gt_prob)
        energies[:, flat == 0] = -np.log(1.0 / n_labels)
    else:
        energies[flat, points] = -np.log(gt_prob)
    return energies


def _flat_labels(labels: Any, n_labels: int, zero_unsure: bool) -> NDArray[np.int64]:
    array = np.asarray(labels)
    if array.dtype.kind not in "iub":
        raise TypeError(f"labels must be integers, got {array.dtype}")
    flat = array.ravel().astype(np.int64)  # subtracting 1 would wrap around in uint8
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
        ValueError: a probability is NaN.
    """
    probs = np.asarray(sm)
    if scale is not None:
        if not 0 < scale <= 1:
            raise AssertionError("`scale` needs to be in (0,1]")
        probs = scale * probs + (1 - scale) * (np.ones(probs.shape) / len(probs))
    if clip is not None:
        probs = np.clip(probs, clip, 1.0)
    if np.isnan(probs).any():
        raise ValueError("sm must not hold NaN")
    energies = -np.log(probs).reshape(len(probs), -1).astype(np.float32)
    return np.ascontiguousarray(energies)


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
    return _positions(sdims, tuple(shape)).reshape(len(shape), -1)


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
            finite.
    """
    image = np.asarray(img)
    channels = (image[np.newaxis] if chdim == -1 else np.moveaxis(image, chdim, 0)).astype(np.float32)
    if not np.isfinite(channels).all():
        raise ValueError("img must be finite, got NaN or infinite values")
    if isinstance(schan, Number):
        schan = [schan] * len(channels)
    for values, sigma in zip(channels, _sigmas("schan", schan, len(channels), "channels"), strict=True):
        values /= sigma
    features = np.concatenate([_positions(sdims, channels.shape[1:]), channels])
    return features.reshape(len(features), -1)


def _positions(sdims: Sequence[float], shape: tuple[int, ...]) -> Floats:
    """Indices along each axis over its standard deviation, ``(axes, *shape)``."""
    positions = np.indices(shape, np.float32)
    for values, sigma in zip(positions, _sigmas("sdims", sdims, len(shape), "axes"), strict=True):
        values /= sigma
    return positions


def _sigmas(name: str, sigmas: Any, count: int, of_what: str) -> list[Any]:
    values = list(sigmas)
    if len(values) != count:
        raise ValueError(f"{name} must hold one number for each of {count} {of_what}, got {len(values)}")
    if not all(0 < value < float("inf") for value in values):
        raise ValueError(f"{name} are standard deviations and must be positive and finite, got {values}")
    return values


def _create_pairwise_gaussian_2d(sx: float, sy: float, shape: Sequence[int]) -> Floats:
    return create_pairwise_gaussian((sx, sy), tuple(shape)[:2])


def _create_pairwise_bilateral_2d(sx: float, sy: float, sr: float, sg: float, sb: float, img: Any) -> Floats:
    return create_pairwise_bilateral((sx, sy), (sr, sg, sb), img, chdim=2)
