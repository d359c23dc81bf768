"""The image, and how its axes lie."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from densecrf import _core
from densecrf._arrays import Given, take
from densecrf._check.numbers import choice, index, integer


def picture_axis(
    function: str, image: Given, probs: Given, shape: tuple[int, int, int, int], channel_axis: int | None
) -> int | None:
    """The axis of the image that holds channels; None if none does. Its sizes are those of probs, (B, L, H, W)."""
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
    axis = None
    if values.ndim > grey_dims:
        axis = _channel_axis(function, image, probs, channel_axis)
    elif channel_axis is not None:
        raise ValueError(f"{function}: channel_axis is given, but an image of shape {values.shape} has none")
    channels = 1 if axis is None else values.shape[axis]
    sizes = values.shape if axis is None else np.moveaxis(values, axis, -1).shape[:-1]
    if batched and sizes[0] != batch:
        raise ValueError(f"{function}: probs hold {batch} pictures and image {sizes[0]}; give one image for each")
    if sizes[-2:] != (height, width):
        raise ValueError(_wrong_size(function, image, (*sizes[-2:], channels), (height, width)))
    return axis


def picture_kind(function: str, image: Given) -> Literal["booleans", "bytes", "integers", "floats"]:
    """What the values of an image mean: black and white, 0..255, themselves, or 0..1 or 0..255."""
    dtype = image.values.dtype
    if dtype.kind == "b":
        return "booleans"
    if dtype == np.uint8:
        return "bytes"
    if dtype.kind in "iu":
        return "integers"
    if dtype.kind != "f":
        raise TypeError(f"{function}: image must hold integers or floats, got {image.dtype_name}")
    return "floats"


def picture_values(function: str, image: Given, picture: NDArray[Any]) -> NDArray[Any]:
    """The picture in the units of srgb, as uint8 or float32.

    uint8 and other integers stand for themselves. Floats from 0 to 1 are scaled to 0..255, floats from 0 to 255
    stand for themselves, and any others are refused.
    """
    kind = picture_kind(function, image)
    if kind == "booleans":
        return picture.astype(np.uint8) * np.uint8(255)
    if kind == "bytes":
        return picture
    if kind == "integers":
        return picture.astype(np.float32)
    return np.stack([_float_picture(function, one) for one in picture])


def grid(function: str, image_or_shape: Any, channel_axis: Any) -> tuple[tuple[int, ...], Given | None, int | None]:
    """The shape of the grid of points; the image that lies on it, if there is one, and its axis of channels."""
    if isinstance(image_or_shape, (tuple, list)):
        shape = tuple(integer(function, "image_or_shape", size, 1) for size in image_or_shape)
        if not shape:
            raise ValueError(f"{function}: image_or_shape must be an image or a shape, got an empty shape")
        if len(shape) > _core.max_dims:
            raise ValueError(f"{function}: image_or_shape must have at most {_core.max_dims} axes, got {len(shape)}")
        return shape, None, None
    image = take(function, "image_or_shape", image_or_shape, gpu=True)
    values = image.values
    if values.size == 0 or values.ndim == 0:
        raise ValueError(f"{function}: image_or_shape must not be empty, got shape {values.shape}")
    axis = channel_axis
    if isinstance(channel_axis, str):
        choice(function, "channel_axis", channel_axis, ("usual",))
        axis = None if values.ndim < 3 else (0 if image.framework == "torch" else -1)
    if axis is None:
        return values.shape, image, None
    axis = index(function, "channel_axis", axis, values.ndim)
    if values.ndim < 2:
        raise ValueError(f"{function}: channel_axis leaves no position in an image of shape {image.values.shape}")
    return np.moveaxis(values, axis, -1).shape[:-1], image, axis


def _wrong_dims(function: str, image: Given, batched: bool) -> str:
    colour = "C, H, W" if image.framework == "torch" else "H, W, C"
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
    function = "torch.movedim" if probs.framework == "torch" else "numpy.moveaxis"
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
    if image.framework != "torch":
        name = "CuPy" if image.framework == "cupy" else "NumPy"
        usual, convention, other = (-1, f"{name} images are (H, W, C)", first)
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


def float_range(function: str, low: float, high: float, finite: bool) -> float:
    """What a floating point image with these extremes is multiplied with: 255 for 0..1, 1 for 0..255."""
    if not finite:
        raise ValueError(f"{function}: image must be finite, got NaN or infinite values")
    if low < 0 or high > 255:
        raise ValueError(
            f"{function}: a floating point image must lie in 0..1 or 0..255, got {low:g} to {high:g}; "
            f"if the network's mean was subtracted, pass the picture before that; "
            f"if these are other units (a scan, a reflectance), pass integers, which stand for themselves"
        )
    return 255.0 if high <= 1 else 1.0


def _float_picture(function: str, picture: NDArray[Any]) -> NDArray[np.float32]:
    low, high = float(picture.min()), float(picture.max())
    scale = float_range(function, low, high, math.isfinite(low) and math.isfinite(high))
    values = picture.astype(np.float32)
    return values if scale == 1 else values * np.float32(scale)
