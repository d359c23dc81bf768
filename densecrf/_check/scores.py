"""Probabilities, energies, labels and masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _core
from densecrf._arrays import Given, for_core, is_plain, take
from densecrf._check.numbers import integer
from densecrf._check.room import room
from densecrf._check.words import shown

# Sums of probabilities further from 1 than this are no rounding error, not even of float16.
SUM_TOLERANCE = 1e-2
NEGATIVE_TOLERANCE = 1e-6

MOST_LABELS = 1 << 20  # each takes 3 KiB of a thread while it works on a run of points


def probs_shape(function: str, probs: Given) -> tuple[int, int, int, int]:
    """(B, L, H, W) of probabilities that come as (L, H, W) or (B, L, H, W)."""
    shape = probs.values.shape
    if not np.issubdtype(probs.values.dtype, np.floating):
        raise TypeError(
            f"{function}: probs must be floating point, got {probs.dtype_name}; "
            f"a map of labels has to become probabilities first; the order is refine(image, probs)"
        )
    if len(shape) not in (3, 4):
        raise ValueError(
            f"{function}: probs must have shape (L, H, W) or (B, L, H, W), got {shape}; "
            f"a single foreground probability p is numpy.stack([1 - p, p])"
        )
    if 0 in shape:
        raise ValueError(f"{function}: probs must have at least one label and one pixel, got shape {shape}")
    batch, labels, height, width = shape if len(shape) == 4 else (1, *shape)
    _not_too_many(function, "probs", labels, shape)
    return batch, labels, height, width


def probs_values(function: str, scores: NDArray[np.float32], from_logits: bool, threads: int) -> None:
    """Scores [B, L, N]: finite, and probabilities unless they are logits."""
    for one in scores:
        probs_found(function, _core.survey(one, threads), from_logits, one.shape[0])


def probs_found(function: str, found: dict[str, float], from_logits: bool, labels: int) -> None:
    """What a survey says of scores."""
    if found["not_finite"]:
        raise ValueError(
            f"{function}: probs must be finite, got {found['not_finite']:.0f} NaN or infinite values; "
            f"logits of -inf can be replaced by -100"
        )
    if not from_logits:
        _distribution(function, found, labels)


def plain_probs(function: str, probs: object) -> NDArray[np.float32]:
    """Probabilities (L, ...) as float32."""
    values = take(function, "probs", probs).values
    if not np.issubdtype(values.dtype, np.floating):
        raise TypeError(f"{function}: probs must be floating point, got {values.dtype}")
    if values.ndim < 2 or values.size == 0:
        raise ValueError(f"{function}: probs must have shape (L, ...), got {values.shape}")
    _room_for_float32(values)
    with np.errstate(over="ignore"):
        values = for_core(values)
    probs_values(function, values.reshape(1, len(values), -1), False, 1)
    return values


def planes_shape(function: str, name: str, given: Given, shape: tuple[int, ...]) -> None:
    """Floats (L, *shape)."""
    if given.values.dtype.kind != "f":
        raise TypeError(f"{function}: {name} must be floating point, got {given.dtype_name}")
    if given.values.shape != shape:
        raise ValueError(f"{function}: {name} must have shape {shown(shape)}, got {given.values.shape}")
    _not_too_many(function, name, shape[0], shape)


def planes(function: str, name: str, given: Given, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Values (L, *shape) as finite float32 [L, N]."""
    planes_shape(function, name, given, shape)
    _room_for_float32(given.values)
    with np.errstate(over="ignore"):
        flat = for_core(given.values).reshape(shape[0], -1)
    if _core.survey(flat, 1)["not_finite"]:
        raise ValueError(f"{function}: {name} must be finite, got NaN or infinite values")
    return flat


def marginals(function: str, name: str, given: Given, planes: Any) -> None:
    """Planes from 0 to 1: inference from others would make no marginals. On a GPU values are not looked at."""
    if given.gpu is not None:
        return
    found = _core.survey(planes, 1)
    if found["min"] < -NEGATIVE_TOLERANCE or found["max"] > 1 + SUM_TOLERANCE:
        raise ValueError(f"{function}: {name} must be marginals from 0 to 1, got {found['min']:g} to {found['max']:g}")


def labels_array(function: str, value: object) -> NDArray[Any]:
    """A map of labels as an array."""
    return array(function, "labels", value)


def array(function: str, name: str, value: object) -> NDArray[Any]:
    """An array, or lists of numbers as one."""
    if not isinstance(value, (list, tuple)):
        return take(function, name, value).values
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RecursionError):  # rows of different lengths, lists within themselves
        raise ValueError(f"{function}: {name} must be an array, and these lists are none; got {shown(value)}") from None


def labels(
    function: str, value: object, n_labels: int | None, unsure: int | None, may_be_unsure: bool = True
) -> NDArray[Any]:
    """A map of labels, 0 to n_labels - 1 or unsure, as int64."""
    given = labels_array(function, value)
    if given.dtype.kind not in "iu":
        raise TypeError(f"{function}: labels must be integers, got {given.dtype}; probabilities go to densecrf.refine")
    if given.size == 0:
        raise ValueError(f"{function}: labels must not be empty, got shape {given.shape}")
    if unsure is not None:
        unsure = integer(function, "unsure", unsure, -(2**31))
    room(8 * given.size)
    known = given if unsure is None else given[given != unsure]
    if known.size and (known.min() < 0 or known.max() >= (n_labels or 2**31)):
        wrong = int(known.min() if known.min() < 0 else known.max())
        hint = f"; if that stands for no opinion, say unsure={wrong}" if may_be_unsure else ""
        raise ValueError(f"{function}: labels must lie in 0..n_labels - 1, got {wrong}{hint}")
    return given.astype(np.int64)


def mask(function: str, value: object, from_logits: bool) -> NDArray[Any]:
    """A mask (H, W), of booleans or float32."""
    given = take(function, "mask", value).values
    if given.ndim != 2 or given.size == 0:
        raise ValueError(f"{function}: mask must have shape (H, W), got {given.shape}")
    if given.dtype == bool:
        return given
    if not np.issubdtype(given.dtype, np.floating):
        raise TypeError(f"{function}: mask must hold booleans or floats, got {given.dtype}; say mask > 0")
    room(4 * given.size)
    with np.errstate(over="ignore"):
        scores = given.astype(np.float32)
    if not np.isfinite(scores).all():
        raise ValueError(f"{function}: mask must be finite, got NaN or infinite values")
    if not from_logits and (scores.min() < 0 or scores.max() > 1):
        raise ValueError(
            f"{function}: mask must hold probabilities from 0 to 1, got {scores.min():g} to {scores.max():g}; "
            f"if these are raw scores pass from_logits=True"
        )
    return scores


def points_mask(function: str, name: str, value: object, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Booleans for each point."""
    given = array(function, name, value)
    if given.dtype != bool:
        raise TypeError(f"{function}: {name} must hold booleans, got {given.dtype}")
    if given.shape != shape:
        raise ValueError(f"{function}: {name} must have shape {shown(shape)}, got {given.shape}")
    return given


def out_matches(function: str, out: Given, probs: Given) -> None:
    """A place for the answer: of the library, device, shape and dtype of probs, and writable."""
    if out.framework != probs.framework or (out.framework == "numpy" and not isinstance(out.original, np.ndarray)):
        raise TypeError(
            f"{function}: out must be of the same library as probs, "
            f"got {type(out.original).__name__} for {type(probs.original).__name__}"
        )
    same_place(function, "out", out, probs)
    if out.values.shape != probs.values.shape:
        raise ValueError(f"{function}: out must have the shape of probs {probs.values.shape}, got {out.values.shape}")
    if out.dtype_name != probs.dtype_name:
        raise TypeError(f"{function}: out must have the dtype of probs {probs.dtype_name}, got {out.dtype_name}")
    if getattr(out.original, "requires_grad", False):
        raise ValueError(f"{function}: out must not require a gradient, because none is computed; pass out.detach()")
    if out.gpu is None and not out.values.flags.writeable:
        raise ValueError(f"{function}: out must be writable, got a read-only array")
    strides = out.values.strides if out.gpu is None else out.gpu.strides(out.original)
    if any(stride == 0 and size > 1 for stride, size in zip(strides, out.values.shape, strict=True)):
        raise ValueError(f"{function}: out must have memory of its own for every element, got one that repeats some")


def same_place(function: str, name: str, array: Given, probs: Given) -> None:
    """An array that has to lie where probs lie."""
    if array.gpu != probs.gpu:
        raise TypeError(
            f"{function}: {name} must lie where probs lie, got {name} on {array.gpu or 'the CPU'} and probs on "
            f"{probs.gpu or 'the CPU'}; move one of them"
        )


def _not_too_many(function: str, name: str, labels: int, shape: tuple[int, ...]) -> None:
    if labels > MOST_LABELS:
        raise ValueError(
            f"{function}: {name} must have at most {MOST_LABELS} labels, got {labels} in shape {shape}; "
            f"is the axis of the labels the first, or the second of a batch?"
        )


def _room_for_float32(values: NDArray[Any]) -> None:
    """Room for a contiguous copy, unless the values are one already."""
    if not is_plain(values):
        room(4 * values.size)


def _distribution(function: str, found: dict[str, float], labels: int) -> None:
    if found["min"] < -NEGATIVE_TOLERANCE:
        raise ValueError(
            f"{function}: probs must not be negative, got {found['min']:g}; "
            f"if these are a network's raw scores pass from_logits=True"
        )
    if abs(found["sum_min"] - 1) > SUM_TOLERANCE or abs(found["sum_max"] - 1) > SUM_TOLERANCE:
        hint = "apply a soft-max over the labels first, or pass raw scores with from_logits=True"
        if labels == 1:
            hint = "a single foreground probability p is numpy.stack([1 - p, p])"
        raise ValueError(
            f"{function}: probs must sum to 1 over the labels at every pixel, got sums from "
            f"{found['sum_min']:g} to {found['sum_max']:g}; {hint}"
        )
