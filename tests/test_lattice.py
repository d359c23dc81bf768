"""`refine` against a lattice of plain dictionaries."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from inputs import NORMALIZATIONS, softmax
from numpy.typing import NDArray

import densecrf
from densecrf import Bilateral, Gaussian

Term = Gaussian | Bilateral

refine = functools.partial(densecrf.refine, from_logits=True, channel_axis=-1)


def simplex(feature: list[float]) -> tuple[list[tuple[int, ...]], list[float]]:
    """Vertices and barycentric weights (Adams, Baek & Davis 2010, section 3.1)."""
    d = len(feature)
    scales = [math.sqrt(2 / 3) * (d + 1) / math.sqrt((i + 1) * (i + 2)) for i in range(d)]
    c = [f * float(np.float32(scale)) for f, scale in zip(feature, scales, strict=True)]
    elevated = [sum(c[i:]) - (i * c[i - 1] if i else 0) for i in range(d + 1)]
    vertex0 = [round(e / (d + 1)) * (d + 1) for e in elevated]
    offsets = [e - v for e, v in zip(elevated, vertex0, strict=True)]
    order = sorted(range(d + 1), key=lambda i: -offsets[i])  # stable: ties go to the lower axis
    excess = sum(vertex0) // (d + 1)
    weights, rank = [0.0] * (d + 2), [0] * (d + 1)
    for place, i in enumerate(order):
        wrap = 1 if place + excess < 0 else -1 if place + excess > d else 0
        rank[i] = place + excess + wrap * (d + 1)
        vertex0[i] += wrap * (d + 1)
        weights[d - rank[i]] += (elevated[i] - vertex0[i]) / (d + 1)
        weights[d - rank[i] + 1] -= (elevated[i] - vertex0[i]) / (d + 1)
    weights[0] += 1 + weights.pop()
    vertices = [
        tuple(v + (r if q <= d - r else r - (d + 1)) for v, q in zip(vertex0, rank, strict=True)) for r in range(d + 1)
    ]
    return vertices, weights


def lattice_kernel(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the lattice filter does to N points, [N, N]: its answer to each unit vector, side by side."""
    n, d = features.shape
    corners = [simplex(feature) for feature in features.tolist()]
    values: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for point, corner in enumerate(corners):  # splat
        for vertex, weight in zip(*corner, strict=True):
            values.setdefault(vertex, np.zeros(n))[point] += weight
    nothing = np.zeros(n)
    for axis in range(d + 1):  # blur
        step = [-d if i == axis else 1 for i in range(d + 1)]
        up = {v: tuple(k + s for k, s in zip(v, step, strict=True)) for v in values}
        down = {v: tuple(k - s for k, s in zip(v, step, strict=True)) for v in values}
        values = {
            v: here + 0.5 * (values.get(up[v], nothing) + values.get(down[v], nothing)) for v, here in values.items()
        }
    rows = [sum(w * values[v] for v, w in zip(*corner, strict=True)) for corner in corners]  # slice
    return np.array(rows) / (1 + 2.0**-d)


def features_of(image: NDArray[np.uint8], term: Term) -> NDArray[np.float64]:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    sx, sy = np.broadcast_to(term.sxy, 2)
    planes = [x / sx, y / sy]
    if isinstance(term, Bilateral):
        planes += list(np.moveaxis(image / np.array(term.srgb), -1, 0))
    return np.stack([plane.ravel() for plane in planes], axis=1)


def normalized(kernel: NDArray[np.float64], normalization: str) -> NDArray[np.float64]:
    norm = kernel.sum(axis=1)
    on_input, on_result = {"symmetric": (0.5, 0.5), "before": (1, 0), "after": (0, 1), "none": (0, 0)}[normalization]
    return kernel / np.outer(norm**on_result, norm**on_input)


def plain_mean_field(
    image: NDArray[np.uint8], logits: NDArray[np.float32], terms: Sequence[Term], iterations: int
) -> NDArray[np.float64]:
    kernels = [term.weight * normalized(lattice_kernel(features_of(image, term)), term.normalization) for term in terms]
    unary = logits.reshape(len(logits), -1).astype(np.float64)
    q = softmax(unary)
    for _ in range(iterations):
        q = softmax(unary + sum(q @ kernel.T for kernel in kernels))
    return q.reshape(logits.shape)


def assert_plain(image: NDArray[np.uint8], logits: NDArray[np.float32], terms: Sequence[Term], iterations: int) -> None:
    q = refine(image, logits, terms=terms, iterations=iterations)
    np.testing.assert_allclose(q, plain_mean_field(image, logits, terms, iterations), rtol=0, atol=3e-6)


def random_picture(height: int, width: int, channels: int, labels: int = 4) -> tuple[NDArray, NDArray]:
    """Colours in a few steps of a bilateral sigma, and undecided logits."""
    rng = np.random.default_rng([height, width, channels])
    image = rng.integers(0, 90, size=(height, width, channels)).astype(np.uint8)
    return image, (2 * rng.normal(size=(labels, height, width))).astype(np.float32)


# No sigma divides another and none is a power of two: where float32 and float64 would break a tie differently,
# they would find other vertices.
SPATIAL = Gaussian((1.7, 2.3), 1.1)
GREY = Bilateral((5.9, 7.1), 19.3, 1.2)
COLOUR = Bilateral((11.3, 7.7), (21.1, 33.7, 27.9), 1.3)
MANY = Bilateral((11.3, 7.7), tuple(np.linspace(31.1, 83.3, 10)), 1.3)
CHANNELS = {SPATIAL: 1, GREY: 1, COLOUR: 3, MANY: 10}


@pytest.mark.parametrize("shape", [(5, 7), (1, 11), (9, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("term", CHANNELS, ids=["2 dims", "3 dims", "5 dims", "12 dims"])
def test_a_term_is_the_filter_of_the_paper(term: Term, normalization: str, shape: tuple[int, int]) -> None:
    image, logits = random_picture(*shape, CHANNELS[term])
    # What the raw filter answers to ones is far from 1, unlike what the others do.
    weight = term.weight if normalization != "none" else 0.3
    changed = type(term)(**{**vars(term), "weight": weight, "normalization": normalization})
    assert_plain(image, logits, [changed], iterations=5)


@pytest.mark.parametrize("channels", [2, 4, 6, 7])
def test_other_numbers_of_channels_too(channels: int) -> None:
    image, logits = random_picture(5, 6, channels)
    srgb = tuple(np.linspace(31.1, 53.3, channels))
    assert_plain(image, logits, [Bilateral(7.7, srgb, 1.3), SPATIAL], iterations=4)


def test_terms_add_up_each_with_its_own_normalization() -> None:
    image, logits = random_picture(7, 9, 3)
    terms = [
        Bilateral((5.3, 7.9), 23.7, 0.4),
        Gaussian(2.9, 0.6, "before"),
        Bilateral(9.1, (17.3, 25.1, 41.9), 0.5, "after"),
        Gaussian((1.1, 3.7), 0.1, "none"),
    ]
    assert_plain(image, logits, terms, iterations=6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (31, 33), (16, 17), (33, 15), (3, 64)], ids=str)
def test_every_shape_is_refined_as_the_paper_says(shape: tuple[int, int]) -> None:
    image, logits = random_picture(*shape, 3)
    assert_plain(image, logits, [SPATIAL, COLOUR], iterations=3)


@pytest.mark.parametrize("labels", [1, 2, 7, 8, 9, 16, 17, 21, 24, 25, 33, 40, 130])
def test_every_number_of_labels_is_refined_as_the_paper_says(labels: int) -> None:
    image, logits = random_picture(6, 7, 3, labels)
    assert_plain(image, logits, [SPATIAL, COLOUR], iterations=3)
