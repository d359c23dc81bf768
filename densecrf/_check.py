"""Every TypeError and ValueError for what a user passes in.

Each message names the function, the argument, what was needed, what came, and what probably went wrong.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _core
from densecrf._arrays import Given, take

# Sums of probabilities further from 1 than this are no rounding error, not even of float16.
SUM_TOLERANCE = 1e-2
NEGATIVE_TOLERANCE = 1e-6


# ---- numbers ------------------------------------------------------------------------------------------------


def sigma(function: str, name: str, value: object) -> float | tuple[float, ...]:
    """A standard deviation: one number, or a sequence of them."""
    if isinstance(value, np.ndarray):
        value = value.tolist()  # of no dimensions: a number
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        if not value:
            raise ValueError(f"{function}: {name} must be one number, or one per axis or channel; got none")
        return tuple(_positive(function, name, one) for one in value)
    return _positive(function, name, value)


def _positive(function: str, name: str, value: object) -> float:
    number = _finite(function, name, value)
    if not 1e-30 < number < 1e30:  # what float32 can divide by
        raise ValueError(
            f"{function}: {name} is a standard deviation and must be positive and finite, got {value!r}; "
            f"to switch a term off, leave it out or give it weight 0"
        )
    return number


def weight(function: str, value: object) -> float | tuple[Any, ...]:
    """A compatibility: a number >= 0, numbers for each label, or for each pair of labels."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        number = _finite(function, "weight", value)
        if not 0 <= number < LARGEST_WEIGHT:
            raise ValueError(
                f"{function}: weight must be >= 0 and finite, got {value!r}; "
                f"neighbours that should differ are not a Potts model, but a matrix can say so"
            )
        return number
    rows = [isinstance(row, Sequence) and not isinstance(row, (str, bytes)) for row in value]
    if not any(rows) and value:
        return tuple(_entry(function, one) for one in value)
    if not all(rows) or not value or any(len(row) != len(value) for row in value):
        raise ValueError(f"{function}: weight must be a number, a list of L numbers or an L x L matrix")
    return tuple(tuple(_entry(function, one) for one in row) for row in value)


LARGEST_WEIGHT = 1e30  # far beyond what changes an answer, and still a float32 after a sum


def _entry(function: str, value: object) -> float:
    number = _finite(function, "weight", value)
    if abs(number) >= LARGEST_WEIGHT:
        raise ValueError(f"{function}: weight must hold finite numbers, got {value!r}")
    return number


def features(function: str, value: object) -> NDArray[Any]:
    """Features (D, N) of a term."""
    if not isinstance(value, np.ndarray) and not hasattr(value, "__array__"):
        raise TypeError(f"{function}: features must be an array of shape (D, N), got {type(value).__name__}")
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{function}: features must hold real numbers, got {array.dtype}")
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{function}: features must have shape (D, N), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{function}: features must be finite, got NaN or infinite values")
    return array


def _finite(function: str, name: str, value: object) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{function}: {name} must be a number, got {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{function}: {name} must be finite, got {value!r}")
    return number


def integer(function: str, name: str, value: object, least: int) -> int:
    """A whole number from ``least`` up."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{function}: {name} must be an integer, got {type(value).__name__}") from None
    if not least <= number < 2**31:
        raise ValueError(f"{function}: {name} must be an integer >= {least} and < 2^31, got {number}")
    return number


def choice(function: str, name: str, value: object, options: Sequence[str]) -> None:
    """One of several names."""
    if not isinstance(value, str) or value not in options:
        known = ", ".join(repr(option) for option in options)
        got = type(value).__name__ if isinstance(value, np.ndarray) else repr(value)
        raise ValueError(f"{function}: {name} must be one of {known}, got {got}")


def flag(function: str, name: str, value: object) -> bool:
    """True or False, and nothing that merely looks like it: 0.5 for a flag is an argument in the wrong place."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{function}: {name} must be True or False, got {type(value).__name__}")
    return bool(value)


# ---- probabilities ------------------------------------------------------------------------------------------


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
    return batch, labels, height, width


def probs_values(function: str, scores: NDArray[np.float32], from_logits: bool, threads: int) -> None:
    """Scores [B, L, N]: finite, and probabilities unless they are logits."""
    for one in scores:
        found = _core.survey(one, threads)
        if found["not_finite"]:
            raise ValueError(
                f"{function}: probs must be finite, got {found['not_finite']:.0f} NaN or infinite values; "
                f"logits of -inf can be replaced by -100"
            )
        if not from_logits:
            _distribution(function, found, one.shape[0])


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


def between(function: str, name: str, value: object, low: float, high: float) -> None:
    """A number in (low, high]."""
    number = _finite(function, name, value)
    if not low < number <= high:
        raise ValueError(f"{function}: {name} must be above {low} and at most {high}, got {value!r}")


def plain_probs(function: str, probs: object) -> NDArray[np.float32]:
    """Probabilities (L, ...) as float32."""
    values = np.asarray(probs)
    if not np.issubdtype(values.dtype, np.floating):
        raise TypeError(f"{function}: probs must be floating point, got {values.dtype}")
    if values.ndim < 2 or values.size == 0:
        raise ValueError(f"{function}: probs must have shape (L, ...), got {values.shape}")
    values = np.ascontiguousarray(values, np.float32)
    probs_values(function, values.reshape(1, len(values), -1), False, 1)
    return values


def labels(function: str, value: object, n_labels: int | None, unsure: int | None) -> NDArray[Any]:
    """A map of labels, 0 to n_labels - 1 or unsure."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{function}: labels must be integers, got {array.dtype}; probabilities go to densecrf.refine")
    if array.size == 0:
        raise ValueError(f"{function}: labels must not be empty, got shape {array.shape}")
    known = array if unsure is None else array[array != unsure]
    if known.size and (known.min() < 0 or (n_labels is not None and known.max() >= n_labels)):
        wrong = int(known.min() if known.min() < 0 else known.max())
        raise ValueError(
            f"{function}: labels must lie in 0..n_labels - 1, got {wrong}; "
            f"if that stands for no opinion, say unsure={wrong}"
        )
    return array.astype(np.int64)


def mask(function: str, value: object, from_logits: bool) -> NDArray[Any]:
    """A mask (H, W), of booleans or float32."""
    array = np.asarray(value)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{function}: mask must have shape (H, W), got {array.shape}")
    if array.dtype == bool:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"{function}: mask must hold booleans or floats, got {array.dtype}; say mask > 0")
    if not np.isfinite(array).all():
        raise ValueError(f"{function}: mask must be finite, got NaN or infinite values")
    if not from_logits and (array.min() < 0 or array.max() > 1):
        raise ValueError(
            f"{function}: mask must hold probabilities from 0 to 1, got {array.min():g} to {array.max():g}; "
            f"if these are raw scores pass from_logits=True"
        )
    return array.astype(np.float32)


# ---- the image ----------------------------------------------------------------------------------------------


def picture_layout(
    function: str, image: Given, probs: Given, shape: tuple[int, int, int, int], channel_axis: int | None
) -> NDArray[Any]:
    """The image as a view (B, H, W, C), its sizes those of probs, of shape (B, L, H, W)."""
    values = image.values
    batched = probs.values.ndim == 4
    if values.size == 0:
        raise ValueError(f"{function}: image must not be empty, got shape {values.shape}")
    batch, _, height, width = shape
    grey_dims = 3 if batched else 2
    if values.ndim not in (grey_dims, grey_dims + 1):
        raise ValueError(_wrong_dims(function, image, batched))
    if batched and values.ndim == grey_dims and values.shape[0] != batch:
        raise ValueError(
            f"{function}: probs hold {batch} pictures and have a batch axis, the image of shape {values.shape} holds "
            f"{values.shape[0]} grey ones or has no batch axis; give (B, ...) with one picture for each"
        )
    _labels_last(function, image, probs, shape)
    if values.ndim == grey_dims:
        if channel_axis is not None:
            raise ValueError(f"{function}: channel_axis is given, but an image of shape {values.shape} has none")
        picture = values[..., np.newaxis]
    else:
        axis = _channel_axis(function, image, probs, channel_axis)
        picture = np.moveaxis(values, axis, -1)
    if not batched:
        picture = picture[np.newaxis]
    if picture.shape[0] != batch:
        raise ValueError(
            f"{function}: probs hold {batch} pictures and image {picture.shape[0]}; give one image for each"
        )
    if picture.shape[1:3] != (height, width):
        raise ValueError(_wrong_size(function, image, picture.shape[1:], (height, width)))
    return picture


def _wrong_dims(function: str, image: Given, batched: bool) -> str:
    colour = "C, H, W" if image.library == "torch" else "H, W, C"
    needed = f"(B, H, W) or (B, {colour})" if batched else f"(H, W) or ({colour})"
    why = "probs have a batch axis" if batched else "probs have no batch axis"
    return f"{function}: image must have shape {needed} because {why}, got {image.values.shape}"


def _labels_last(function: str, image: Given, probs: Given, shape: tuple[int, int, int, int]) -> None:
    """Probabilities (..., H, W, L), read as (..., L, H, W), show the image's height as their labels."""
    _, labels, height, width = shape
    spatial = image.values.shape[probs.values.ndim - 3 :]
    sizes = (spatial[-2:], spatial[:2])  # channels first, channels last
    if (labels, height) in sizes and (height, width) not in sizes:
        raise ValueError(
            f"{function}: probs have their labels last, got {probs.values.shape} for an image of shape "
            f"{image.values.shape}; {_move_labels(probs)}"
        )


def _move_labels(probs: Given) -> str:
    function = "torch.movedim" if probs.library == "torch" else "numpy.moveaxis"
    return f"move them first with {function}(probs, -1, -3)"


def _channel_axis(function: str, image: Given, probs: Given, channel_axis: int | None) -> int:
    shape, size = image.values.shape, probs.values.shape[-2:]
    first = probs.values.ndim - 3  # the first axis after the batch
    if channel_axis is not None:
        axis = integer(function, "channel_axis", channel_axis, -len(shape))
        if axis >= len(shape):
            raise ValueError(f"{function}: channel_axis must be an axis of the image {shape}, got {axis}")
        if first and axis % len(shape) == 0:
            raise ValueError(f"{function}: channel_axis must not be 0, which is the batch axis of the image")
        return axis
    last_fits = shape[first : first + 2] == size
    first_fits = shape[first + 1 :] == size
    if last_fits and first_fits and shape[-1] > 1:
        raise ValueError(f"{function}: an image of shape {shape} can be read channels first or last; say channel_axis=")
    usual, convention, other = (first, "torch images are (C, H, W)", -1)
    if image.library == "numpy":
        usual, convention, other = (-1, "NumPy images are (H, W, C)", first)
    if last_fits != first_fits and first_fits != (usual == first):
        hint = f"; or, if probs have their labels last, {_move_labels(probs)}" if shape == probs.values.shape else ""
        raise ValueError(
            f"{function}: {convention}, and this one of shape {shape} is the other way round; "
            f"say channel_axis={other}{hint}"
        )
    return usual


def _wrong_size(function: str, image: Given, picture: tuple[int, ...], size: tuple[int, int]) -> str:
    """Message for a picture (H, W, C) whose size is not that of probs."""
    shape = image.values.shape
    if picture[:2] == size[::-1]:
        hint = "height and width are swapped in one of them"
    else:
        hint = (
            f"resize the scores to {picture[:2]} first, e.g. with torch.nn.functional.interpolate(..., "
            f"size={picture[:2]}, mode='bilinear') or skimage.transform.resize"
        )
    if picture[2] > 4 and min(shape) <= 4:
        hint = (
            f"its {picture[2]} channels look like a width or a height: say channel_axis={shape.index(min(shape))}, "
            + hint
        )
    return (
        f"{function}: image and probs must have the same height and width, got {picture[:2]} from an image of shape "
        f"{shape} and {size} from probs; {hint}"
    )


def picture_values(function: str, image: Given, picture: NDArray[Any]) -> NDArray[Any]:
    """The picture in the units of srgb, as uint8 or float32.

    uint8 and other integers stand for themselves. Floats from 0 to 1 are scaled to 0..255, floats from 0 to 255
    stand for themselves, and any others are refused.
    """
    kind = picture.dtype.kind
    if kind == "b":
        return picture.astype(np.uint8) * np.uint8(255)
    if picture.dtype == np.uint8:
        return picture
    if kind in "iu":
        return picture.astype(np.float32)
    if kind != "f":
        raise TypeError(f"{function}: image must hold integers or floats, got {image.dtype_name}")
    return np.stack([_float_picture(function, one) for one in picture])


def _float_picture(function: str, picture: NDArray[Any]) -> NDArray[np.float32]:
    low, high = float(picture.min()), float(picture.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{function}: image must be finite, got NaN or infinite values")
    if low < 0 or high > 255:
        raise ValueError(
            f"{function}: a floating point image must lie in 0..1 or 0..255, got {low:g} to {high:g}; "
            f"if the network's mean was subtracted, pass the picture before that; "
            f"if these are other units (a scan, a reflectance), pass integers, which stand for themselves"
        )
    values = picture.astype(np.float32)
    return values * np.float32(255) if high <= 1 else values


# ---- terms against the image --------------------------------------------------------------------------------


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
            f"{function}: {term!r} has {len(sigmas)} position sigmas and there are {axes} axes; "
            f"give one number, or one per axis, x first"
        )
    return sigmas


def has_picture(function: str, term: object, channels: NDArray[Any] | None) -> NDArray[Any]:
    """A bilateral term needs something to look at."""
    if channels is None:
        raise ValueError(f"{function}: {term!r} looks at an image, and only a shape was given; pass the image")
    return channels


def channel_count(function: str, term: object, srgb: float | tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Srgb as one sigma per channel."""
    sigmas = srgb if isinstance(srgb, tuple) else (srgb,) * channels
    if len(sigmas) != channels:
        raise ValueError(
            f"{function}: {term!r} has {len(sigmas)} colour sigmas and the image {channels} channels; "
            f"give one number, or one per channel"
        )
    return sigmas


def feature_range(function: str, term: object, max_abs: Sequence[float]) -> None:
    """Features a lattice can tell apart: not too many dimensions, not too many sigmas from end to end."""
    if len(max_abs) > _core.max_dims:
        raise ValueError(
            f"{function}: {term!r} on this image has {len(max_abs)} feature dimensions and at most "
            f"{_core.max_dims} are possible; reduce the channels, e.g. to their principal components"
        )
    bound = _core.elevated_bound(max_abs)
    if not bound <= _core.max_elevated:
        raise ValueError(
            f"{function}: {term!r} has a sigma too small for this image, whose ends would lie {max(max_abs):.3g} "
            f"sigmas apart; make it at least {bound / _core.max_elevated:.3g} times as large"
        )


# ---- out ----------------------------------------------------------------------------------------------------


def out_matches(function: str, out: Given, probs: Given) -> None:
    """A place for the answer: of the library, shape and dtype of probs, and writable."""
    if out.library != probs.library or (out.library == "numpy" and not isinstance(out.original, np.ndarray)):
        raise TypeError(
            f"{function}: out must be of the same library as probs, "
            f"got {type(out.original).__name__} for {type(probs.original).__name__}"
        )
    if out.values.shape != probs.values.shape:
        raise ValueError(f"{function}: out must have the shape of probs {probs.values.shape}, got {out.values.shape}")
    if out.dtype_name != probs.dtype_name:
        raise TypeError(f"{function}: out must have the dtype of probs {probs.dtype_name}, got {out.dtype_name}")
    if getattr(out.original, "requires_grad", False):
        raise ValueError(f"{function}: out must not require a gradient, because none is computed; pass out.detach()")
    if not out.values.flags.writeable:
        raise ValueError(f"{function}: out must be writable, got a read-only array")
    if any(stride == 0 and size > 1 for stride, size in zip(out.values.strides, out.values.shape, strict=True)):
        raise ValueError(f"{function}: out must have memory of its own for every element, got one that repeats some")


# ---- the model ----------------------------------------------------------------------------------------------


def threads(function: str, value: int | None, default: int) -> int:
    """How many threads to use."""
    return default if value is None else integer(function, "num_threads", value, 1)


def grid(function: str, image_or_shape: Any, channel_axis: Any) -> tuple[tuple[int, ...], NDArray[Any] | None]:
    """The shape of the grid of points, and their channels [N, C] where there is an image."""
    if isinstance(image_or_shape, (tuple, list)):
        shape = tuple(integer(function, "image_or_shape", size, 1) for size in image_or_shape)
        if not shape:
            raise ValueError(f"{function}: image_or_shape must be an image or a shape, got an empty shape")
        return shape, None
    image = take(function, "image_or_shape", image_or_shape)
    values = image.values
    if values.size == 0 or values.ndim == 0:
        raise ValueError(f"{function}: image_or_shape must not be empty, got shape {values.shape}")
    axis = channel_axis
    if isinstance(channel_axis, str):
        choice(function, "channel_axis", channel_axis, ("usual",))
        axis = None if values.ndim < 3 else (0 if image.library == "torch" else -1)
    if axis is not None:
        axis = index(function, "channel_axis", axis, values.ndim)
        values = np.moveaxis(values, axis, -1)
    else:
        values = values[..., np.newaxis]
    pixels = picture_values(function, image, values[np.newaxis])[0]
    return values.shape[:-1], pixels.reshape(-1, values.shape[-1])


def index(function: str, name: str, value: object, size: int) -> int:
    """An index into something of this size."""
    number = integer(function, name, value, -size)
    if number >= size:
        raise ValueError(f"{function}: {name} must be below {size}, got {number}")
    return number % size


def planes(function: str, name: str, values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Values (L, *shape) as finite float32 [L, N]."""
    if values.dtype.kind != "f":
        raise TypeError(f"{function}: {name} must be floating point, got {values.dtype}")
    if values.shape != shape:
        raise ValueError(f"{function}: {name} must have shape {shape}, got {values.shape}")
    with np.errstate(over="ignore"):
        flat = np.ascontiguousarray(values, np.float32).reshape(shape[0], -1)
    if _core.survey(flat, 1)["not_finite"]:
        raise ValueError(f"{function}: {name} must be finite, got NaN or infinite values")
    return flat


def points_mask(function: str, name: str, value: object, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Booleans for each point."""
    array = np.asarray(value)
    if array.dtype != bool:
        raise TypeError(f"{function}: {name} must hold booleans, got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{function}: {name} must have shape {shape}, got {array.shape}")
    return array


def share(function: str, name: str, value: object) -> float:
    """A number from 0 to below 1."""
    number = _finite(function, name, value)
    if not 0 <= number < 1:
        raise ValueError(f"{function}: {name} must be at least 0 and below 1, got {value!r}")
    return number
