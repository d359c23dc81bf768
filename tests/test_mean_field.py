"""`refine` against values worked out by hand."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from inputs import black, softmax
from numpy.typing import NDArray

import densecrf
from densecrf import Bilateral, Gaussian

refine = functools.partial(densecrf.refine, from_logits=True, channel_axis=-1)


def column(*logits: float) -> NDArray[np.float32]:
    """Logits of a picture of one pixel, [L, 1, 1]."""
    return np.array(logits, np.float32).reshape(-1, 1, 1)


def softmax_of(logits: Sequence[float]) -> list[float]:
    powers = [math.exp(z) for z in logits]
    return [p / sum(powers) for p in powers]


def alone(logits: Sequence[float], weight: float, iterations: int) -> list[float]:
    """Mean field of one pixel whose filter is the identity: Q <- softmax(-U + weight * Q)."""
    q = softmax_of(logits)
    for _ in range(iterations):
        q = softmax_of([z + weight * p for z, p in zip(logits, q, strict=True)])
    return q


def assert_alone(q: NDArray[np.float32], logits: NDArray[np.float32], weight: float, iterations: int) -> None:
    expected = [alone(pixel, weight, iterations) for pixel in logits.reshape(len(logits), -1).T.tolist()]
    np.testing.assert_allclose(q.reshape(len(q), -1).T, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("normalization", ["symmetric", "before", "after"])
@pytest.mark.parametrize("iterations", [0, 1, 2, 10])
def test_a_lone_pixel_hears_only_itself(normalization: str, iterations: int) -> None:
    # One point: filter(in) = c * in for some c, and each of these normalisations divides by filter(1) = c.
    terms = [Gaussian(2, 1.5, normalization), Bilateral(3, 5, 0.7, normalization)]
    q = refine(black(1, 1), column(0.3, -0.4, 1.0), terms=terms, iterations=iterations)
    np.testing.assert_allclose(q.ravel(), alone([0.3, -0.4, 1.0], 1.5 + 0.7, iterations), atol=1e-6)


def test_two_rounds_of_a_lone_pixel_in_numbers() -> None:
    # Logits log 3 and 0: Q = 3/4, 1/4. Weight 2 log 2 adds log 2 * (3/2, 1/2): odds 3 * 2 = 6, Q = 6/7, 1/7.
    # Then odds 3 * 2 ** (2 * 5/7) = 8.07540, Q = 0.889812, 0.110188.
    logits, terms = column(math.log(3), 0), [Gaussian(1, 2 * math.log(2))]
    once, twice = (refine(black(1, 1), logits, terms=terms, iterations=n).ravel() for n in (1, 2))
    np.testing.assert_allclose(once, [6 / 7, 1 / 7], atol=1e-6)
    np.testing.assert_allclose(twice, [0.889812, 0.110188], atol=1e-6)


def test_the_raw_filter_of_a_lone_pixel_in_two_dimensions_is_nine_tenths() -> None:
    # The pixel sits on vertex 0 with weight (1, 0, 0). Blur along axis 0 pairs vertices 0 and 2: (1, 0, 1/2);
    # axis 1 pairs 1 and 2: (1, 1/4, 1/2); axis 2 pairs 0 and 1: (9/8, 3/4, 1/2). Slice: 9/8 / (1 + 2**-2) = 9/10.
    q = refine(black(1, 1), column(0.5, 0.1), terms=[Gaussian(1, 2, "none")], iterations=3)
    np.testing.assert_allclose(q.ravel(), alone([0.5, 0.1], 2 * 9 / 10, 3), atol=1e-6)


FAR = {
    "in position": (black(1, 2), Gaussian(1e-5, 1.3)),
    # Coordinates in the lattice are (x sqrt(3) + y, y - x sqrt(3), -2 y): here they differ by (3, -3, 0) * 2**16,
    # and by (3 * 2**16, -3, ...). Neither is 0, though in 16 bits each, or packed side by side, they may seem so.
    "by multiples of 65536": (black(1, 2), Gaussian((math.sqrt(3) / 196608, 1), 1.3)),
    "by one coordinate's overflow": (black(2, 2), Gaussian((math.sqrt(3) / 98305.5, 1 / 98302.5), 1.3)),
    "in x": (black(1, 2), Gaussian((1e-2, 1e5), 1.3)),
    "in y": (black(2, 1), Gaussian((1e5, 1e-2), 1.3)),
    "in colour": (np.array([[[0], [255]]], np.uint8), Bilateral(1e5, 0.01, 1.3)),
    "in one channel": (np.array([[[9, 9, 9], [9, 9, 12]]], np.uint8), Bilateral(1e5, (99.0, 99.0, 0.1), 1.3)),
}


@pytest.mark.parametrize("how", FAR)
def test_pixels_far_apart_do_not_hear_each_other(how: str) -> None:
    image, term = FAR[how]
    logits = np.random.default_rng(0).normal(size=(2, *image.shape[:2])).astype(np.float32)
    q = refine(image, logits, terms=[term], iterations=4)
    assert_alone(q, logits, 1.3, 4)


def test_two_pixels_in_one_place_hear_their_mean() -> None:
    # The kernel has four equal entries, which symmetric normalisation makes 1/2.
    logits = np.array([[0.5, -1.0], [0.1, 0.2]], np.float32).reshape(2, 1, 2)
    q = refine(black(1, 2), logits, terms=[Gaussian(1e9, 1.3)], iterations=4).reshape(2, 2)
    expected = softmax(logits.reshape(2, 2).astype(float))
    for _ in range(4):
        expected = softmax(logits.reshape(2, 2) + 1.3 * expected.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(q, expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 5, 10, 30])
def test_however_small_the_sigma_pixels_of_different_colour_stay_apart(channels: int) -> None:
    # The lattice's keys become several words wide.
    image = np.arange(12 * channels, dtype=np.uint8).reshape(3, 4, channels)[::-1] % 251
    logits = np.random.default_rng(0).normal(size=(3, 3, 4)).astype(np.float32)
    q = refine(image, logits, terms=[Bilateral(4, 0.05, 1.7)], iterations=3)
    assert_alone(q, logits, 1.7, 3)


@pytest.mark.parametrize("channels", [5, 10, 30])
def test_colours_stay_apart_that_differ_in_one_lattice_coordinate_alone(channels: int) -> None:
    # The last two features rise and fall by the same amount after scaling, so their sum, which all other
    # coordinates are made of, stays: most of the words of the keys are equal.
    d = channels + 2
    image = np.zeros((1, 250, channels), np.uint8)
    image[0, :, -2], image[0, :, -1] = np.arange(250), np.arange(250)[::-1]
    srgb = (1.0,) * (channels - 2) + (0.05 / math.sqrt(d - 1), 0.05 / math.sqrt(d + 1))
    logits = np.random.default_rng(0).normal(size=(2, 1, 250)).astype(np.float32)
    q = refine(image, logits, terms=[Bilateral(1e6, srgb, 1.7)], iterations=3)
    assert_alone(q, logits, 1.7, 3)
