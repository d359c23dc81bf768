"""What the tests put into `refine`: pictures and network outputs, deterministic and of any size; layouts; terms."""

import numpy as np
import pytest
from numpy.typing import NDArray

import densecrf
from densecrf import Bilateral, Gaussian

LABELS, HEIGHT, WIDTH = 4, 12, 9
NORMALIZATIONS = ("symmetric", "before", "after", "none")

TERMS = [Gaussian(1, 1), Bilateral(6, (30, 40, 50), 2)]  # neither axes nor channels can be exchanged unnoticed
GREY_TERMS = [Gaussian(1, 1), Bilateral(6, 40, 4)]

REFINES = [
    pytest.param(densecrf.refine, id="refine"),
    pytest.param(densecrf.reference.refine, id="reference.refine"),
]


def picture(*shape: int) -> NDArray[np.uint8]:
    """Random colours, 0..255 with both ends in it; (H, W, 3) unless told otherwise."""
    values = np.random.default_rng(1).integers(0, 256, shape or (HEIGHT, WIDTH, 3)).astype(np.uint8)
    values.flat[:2] = 0, 255
    return values


def probabilities(*shape: int) -> NDArray[np.float32]:
    """Softly decided pixels, which the terms can still turn over; (L, H, W) unless told otherwise."""
    scores = np.exp(np.random.default_rng(2).normal(size=shape or (LABELS, HEIGHT, WIDTH)))
    return (scores / scores.sum(axis=-3, keepdims=True)).astype(np.float32)


def black(height: int, width: int) -> NDArray[np.uint8]:
    return np.zeros((height, width, 1), np.uint8)


def softmax(scores: NDArray) -> NDArray:
    """Over the first axis."""
    e = np.exp(scores - scores.max(axis=0))
    return e / e.sum(axis=0)


def scene(
    height: int, width: int, labels: int, *, channels: int = 3, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Make a picture [H, W, C] of noisy patches, and logits [L, H, W] of a network that is sure of itself.

    The network sees every patch a few pixels off, and goes from one label to the next within about two pixels.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    centres = rng.uniform(size=(max(labels, 5), 2, 1, 1)) * np.reshape([height, width], (2, 1, 1))
    owner = np.hypot(*np.moveaxis(centres - [y, x], 1, 0)).argmin(axis=0)
    colours = rng.integers(0, 256, size=(len(centres), channels))[owner]
    image = np.clip(colours + rng.normal(scale=6, size=colours.shape), 0, 255).astype(np.uint8)

    seen = centres + rng.normal(scale=2, size=centres.shape)
    distance = np.hypot(*np.moveaxis(seen - [y, x], 1, 0))
    logits = np.stack([-distance[label::labels].min(axis=0) for label in range(labels)])
    return image, np.maximum(logits, logits.max(axis=0) - 15).astype(np.float32)


def refine(image, probs, terms=TERMS, iterations=3, **options):
    return densecrf.refine(image, probs, terms=terms, iterations=iterations, **options)


def address(array):
    return array.__array_interface__["data"][0]


# ---- the same values in other layouts -----------------------------------------------------------------------


def fortran(array):
    return np.asfortranarray(array)


def backwards(array):
    return np.flip(np.flip(array).copy())


def every_other(array):
    wide = np.zeros(tuple(2 * size + 1 for size in array.shape), array.dtype)
    view = wide[tuple(slice(1, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def last_axis_moved_first(array):
    return np.moveaxis(np.moveaxis(array, 0, -1).copy(), -1, 0)


def first_axis_moved_last(array):
    return np.moveaxis(np.moveaxis(array, -1, 0).copy(), 0, -1)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def one_field_of_records(array):
    records = np.zeros(array.shape, [("other", np.uint8), ("values", array.dtype)])
    records["values"] = array
    return records["values"]


LAYOUTS = [
    fortran,
    backwards,
    every_other,
    last_axis_moved_first,
    first_axis_moved_last,
    read_only,
    unaligned,
    one_field_of_records,
]
