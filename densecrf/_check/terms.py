"""Terms on a grid of points and an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _core
from densecrf._arrays import take
from densecrf._check.words import shown


def features(function: str, value: object) -> NDArray[Any]:
    """A float32 copy of a term's features (D, N)."""
    array = take(function, "features", value).values
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{function}: features must hold real numbers, got {array.dtype}")
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{function}: features must have shape (D, N), got {array.shape}")
    with np.errstate(over="ignore"):
        copy = np.array(array, np.float32, order="C")
    if not np.isfinite(copy).all():
        raise ValueError(f"{function}: features must be finite, got NaN or infinite values")
    return copy


def weight_labels(function: str, term: Any, n_labels: int) -> None:
    """Weights for each label must be as many as there are labels."""
    if isinstance(term.weight, tuple) and len(term.weight) != n_labels:
        raise ValueError(
            f"{function}: the weight of a {type(term).__name__} is for {len(term.weight)} labels "
            f"and there are {n_labels}"
        )


def feature_points(function: str, n_features: int, shape: tuple[int, ...]) -> None:
    """Features of a term must be as many as there are points."""
    if n_features != math.prod(shape):
        raise ValueError(
            f"{function}: Features must have shape (D, N) with N = {math.prod(shape)} for points of shape {shape}, "
            f"got N = {n_features}"
        )


def axis_count(function: str, term: object, sxy: float | tuple[float, ...], axes: int) -> tuple[float, ...]:
    """Sxy as one sigma per axis."""
    sigmas = sxy if isinstance(sxy, tuple) else (sxy,) * axes
    if len(sigmas) != axes:
        raise ValueError(
            f"{function}: {shown(term)} has {len(sigmas)} position sigmas and there are {axes} axes; "
            f"give one number, or one per axis, x first"
        )
    return sigmas


def has_picture(function: str, term: object, channels: NDArray[Any] | None) -> NDArray[Any]:
    """A bilateral term needs something to look at."""
    if channels is None:
        raise ValueError(f"{function}: {shown(term)} looks at an image, and only a shape was given; pass the image")
    return channels


def channel_count(function: str, term: object, srgb: float | tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Srgb as one sigma per channel."""
    sigmas = srgb if isinstance(srgb, tuple) else (srgb,) * channels
    if len(sigmas) != channels:
        raise ValueError(
            f"{function}: {shown(term)} has {len(sigmas)} colour sigmas and the image {channels} channels; "
            f"give one number, or one per channel"
        )
    return sigmas


def feature_count(function: str, term: object, dims: int) -> None:
    """Not more feature dimensions than a lattice can have."""
    if dims > _core.max_dims:
        raise ValueError(
            f"{function}: {shown(term)} on this image has {dims} feature dimensions and at most "
            f"{_core.max_dims} are possible; reduce the channels, e.g. to their principal components"
        )


def feature_range(function: str, term: object, max_abs: Sequence[float]) -> None:
    """Features that a lattice can tell apart: not too many sigmas from end to end."""
    bound = _core.elevated_bound(max_abs)
    if not bound <= _core.max_elevated:
        raise ValueError(
            f"{function}: {shown(term)} has a sigma too small for this image, whose ends would lie {max(max_abs):.3g} "
            f"sigmas apart; make it at least {bound / _core.max_elevated:.3g} times as large"
        )
