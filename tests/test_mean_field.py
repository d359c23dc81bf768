"""`refine` against values worked out by hand, against a lattice of plain dictionaries, and against itself."""

from __future__ import annotations

import functools
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import scene, softmax
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

import densecrf
from densecrf import Bilateral, Gaussian

Term = Gaussian | Bilateral

NORMALIZATIONS = ("symmetric", "before", "after", "none")
GENTLE = (Gaussian((1.3, 0.9), 0.8), Bilateral((7.7, 11.3), 23.1, 0.9))

refine = functools.partial(densecrf.refine, from_logits=True, channel_axis=-1)


def black(height: int, width: int) -> NDArray[np.uint8]:
    return np.zeros((height, width, 1), np.uint8)


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


# ---- worked out by hand ---------------------------------------------------------------------------------------


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


# ---- the same with plain dictionaries -----------------------------------------------------------------------


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


# ---- what holds for every picture ---------------------------------------------------------------------------


any_normalization = st.sampled_from(NORMALIZATIONS)


def terms_with(weights: st.SearchStrategy[float], normalizations: st.SearchStrategy[str]) -> st.SearchStrategy[Term]:
    positions = st.floats(0.05, 1e4)
    spatial = st.builds(Gaussian, st.tuples(positions, positions), weights, normalizations)
    bilateral = st.builds(Bilateral, positions, st.floats(0.5, 1e4), weights, normalizations)
    return spatial | bilateral


@st.composite
def problems(
    draw: st.DrawFn,
    logits: st.SearchStrategy[float] = st.floats(-8, 8, width=32),  # noqa: B008
    weights: st.SearchStrategy[float] = st.floats(0, 0.6),  # noqa: B008
    normalizations: st.SearchStrategy[str] = st.just("symmetric"),  # noqa: B008
) -> tuple[NDArray[np.uint8], NDArray[np.float32], list[Term], int]:
    """Any small picture [H, W, C], logits [L, H, W], up to three terms and five iterations.

    By default mean field on them is a contraction, so that rounding stays rounding.
    """
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    labels, channels = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    image = draw(hnp.arrays(np.uint8, (height, width, channels)))
    scores = draw(hnp.arrays(np.float32, (labels, height, width), elements=logits))
    chosen = draw(st.lists(terms_with(weights, normalizations), max_size=3))
    return image, scores, chosen, draw(st.integers(0, 5))


def assert_distribution(q: NDArray[np.float32]) -> None:
    assert np.isfinite(q).all()
    assert q.min() >= 0
    np.testing.assert_allclose(q.sum(axis=-3, dtype=np.float64), 1, rtol=0, atol=3e-6)


any_float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(problems(logits=any_float32, weights=st.floats(0, 9e29), normalizations=any_normalization))
def test_marginals_are_finite_and_sum_to_one_whatever_the_logits_and_weights(problem) -> None:
    image, logits, terms, iterations = problem
    assert_distribution(refine(image, logits, terms=terms, iterations=iterations))


@given(problems(), st.randoms(use_true_random=False))
def test_naming_the_labels_in_another_order_changes_nothing_else(problem, random) -> None:
    image, logits, terms, iterations = problem
    order = random.sample(range(len(logits)), len(logits))
    q = refine(image, logits, terms=terms, iterations=iterations)
    np.testing.assert_allclose(
        refine(image, logits[order], terms=terms, iterations=iterations), q[order], rtol=0, atol=1e-5
    )


@given(problems(logits=st.integers(-128, 128).map(lambda sixteenths: sixteenths / 16)), st.data())
def test_adding_a_constant_to_a_pixels_logits_changes_nothing(problem, data) -> None:
    image, logits, terms, iterations = problem
    shift = data.draw(hnp.arrays(np.float32, logits.shape[1:], elements=st.integers(-32, 32)))
    q = refine(image, logits, terms=terms, iterations=iterations)
    shifted = refine(image, logits + shift, terms=terms, iterations=iterations)
    np.testing.assert_allclose(shifted, q, rtol=0, atol=2e-5)


@given(problems(logits=st.floats(-4, 4, width=32)))  # probabilities of at least 1e-5: none is clipped
def test_probabilities_and_their_logarithms_as_logits_give_the_same(problem) -> None:
    image, logits, terms, iterations = problem
    probs = softmax(logits.astype(np.float64)).astype(np.float32)
    q = refine(image, np.log(probs), terms=terms, iterations=iterations)
    from_probs = densecrf.refine(image, probs, terms=terms, iterations=iterations, channel_axis=-1)
    np.testing.assert_allclose(from_probs, q, rtol=0, atol=1e-5)


@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_the_terms_does_not_matter(problem, random) -> None:
    image, logits, terms, iterations = problem
    q = refine(image, logits, terms=terms, iterations=iterations)
    shuffled = random.sample(terms, len(terms))
    np.testing.assert_allclose(refine(image, logits, terms=shuffled, iterations=iterations), q, rtol=0, atol=1e-5)


@given(problems(normalizations=any_normalization), st.floats(0, 1))
def test_a_term_weighs_as_much_as_two_parts_of_it(problem, share: float) -> None:
    image, logits, _, iterations = problem
    whole, part, rest = (Bilateral(2.3, 31.7, weight) for weight in (1.4, share * 1.4, (1 - share) * 1.4))
    q = refine(image, logits, terms=[whole], iterations=iterations)
    np.testing.assert_allclose(refine(image, logits, terms=[part, rest], iterations=iterations), q, rtol=0, atol=1e-5)


@given(problems(weights=st.floats(0, 1e4), normalizations=any_normalization))
def test_a_network_that_knows_nothing_is_told_nothing(problem) -> None:
    image, logits, terms, iterations = problem
    q = refine(image, np.zeros_like(logits), terms=terms, iterations=iterations)
    np.testing.assert_allclose(q, 1 / len(logits), rtol=0, atol=1e-6)


@given(problems(weights=st.floats(0, 100), normalizations=any_normalization))
def test_zero_iterations_are_a_softmax(problem) -> None:
    image, logits, terms, _ = problem
    q = refine(image, logits, terms=terms, iterations=0)
    np.testing.assert_allclose(q, softmax(logits.astype(np.float64)), rtol=0, atol=1e-6)


@given(problems(weights=st.just(0.0), normalizations=any_normalization))
def test_terms_of_zero_weight_leave_a_softmax(problem) -> None:
    image, logits, terms, iterations = problem
    q = refine(image, logits, terms=terms, iterations=iterations)
    np.testing.assert_allclose(q, softmax(logits.astype(np.float64)), rtol=0, atol=1e-6)


@given(problems())
def test_no_terms_leave_a_softmax(problem) -> None:
    image, logits, _, iterations = problem
    q = refine(image, logits, terms=[], iterations=iterations)
    np.testing.assert_allclose(q, softmax(logits.astype(np.float64)), rtol=0, atol=1e-6)


@given(hnp.arrays(np.float64, (4, 2, 3), elements=st.floats(-40, 40)))
def test_zero_iterations_clip_probabilities_at_one_in_a_hundred_thousand(logits: NDArray[np.float64]) -> None:
    probs = softmax(logits)
    clipped = np.maximum(probs, 1e-5)
    q = densecrf.refine(black(2, 3), probs, iterations=0)
    np.testing.assert_allclose(q, clipped / clipped.sum(axis=0), rtol=1e-5)


@given(st.integers(5, 40), st.integers(5, 40), st.integers(0, 255), st.floats(0.6, 0.95), st.data())
def test_one_deviant_pixel_in_a_flat_picture_is_smoothed_away(height, width, grey, certainty, data) -> None:
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    probs = np.full((2, height, width), 1 - certainty, np.float32)
    probs[0] = certainty
    probs[:, y, x] = 0.1, 0.9
    image = np.full((height, width, 3), grey, np.uint8)
    q = densecrf.refine(image, probs, channel_axis=-1)
    assert (q[0] > 0.9).all()


# ---- whole pictures -----------------------------------------------------------------------------------------


def test_labels_move_to_the_edge_of_the_picture_and_their_noise_goes() -> None:
    rng = np.random.default_rng(0)
    image = np.where(np.arange(40)[:, None] < 21, [200, 60, 60], [60, 60, 200])[None].repeat(30, axis=0)
    image = (image + rng.integers(-4, 5, image.shape)).astype(np.uint8)
    sure = np.clip((np.arange(40) - 24) / 4, -1, 1)  # the network sees the edge three pixels further right
    flipped = np.where(rng.uniform(size=(30, 40)) < 0.02, -1, 1)
    q = refine(image, np.stack([-sure * flipped, sure * flipped]).astype(np.float32))
    np.testing.assert_array_equal(q.argmax(axis=0), (np.arange(40) >= 21)[None].repeat(30, axis=0))


def test_a_mirrored_picture_gives_nearly_the_mirrored_answer() -> None:
    # Not exactly: the lattice lies differently under the mirrored pixels. Measured: 0.005 and 99.5 %.
    image, logits = scene(64, 80, 21)
    q = refine(image, logits)
    mirrored = refine(image[:, ::-1], logits[:, :, ::-1])[:, :, ::-1]
    assert np.abs(mirrored - q).sum(axis=0).mean() / 2 < 0.008
    assert (mirrored.argmax(axis=0) == q.argmax(axis=0)).mean() > 0.99


def test_a_spatial_term_does_not_look_at_the_picture() -> None:
    image, logits = scene(20, 30, 4)
    q = refine(image, logits, terms=[Gaussian(2, 3)])
    np.testing.assert_array_equal(refine(np.zeros_like(image), logits, terms=[Gaussian(2, 3)]), q)


def test_twice_the_contrast_and_twice_the_sigma_is_the_same_picture() -> None:
    image, logits = scene(20, 30, 4)
    dark = image // 2
    q = refine(dark, logits, terms=[Bilateral(30, 5, 4)])
    np.testing.assert_allclose(refine(2 * dark, logits, terms=[Bilateral(30, 10, 4)]), q, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float32, np.float64])
def test_numbers_of_every_type_stand_for_the_same_colours(dtype: type) -> None:
    image, logits = scene(20, 30, 4)
    np.testing.assert_array_equal(refine(image.astype(dtype), logits), refine(image, logits))


def test_a_batch_is_its_pictures_one_by_one() -> None:
    scenes = [scene(23, 37, 5, seed=seed) for seed in range(3)]
    images, logits = (np.stack(arrays) for arrays in zip(*scenes, strict=True))
    q = refine(images, logits)
    for one, image, scores in zip(q, images, logits, strict=True):
        np.testing.assert_array_equal(one, refine(image, scores))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 3), (31, 33), (16, 17), (1, 40000), (40000, 1)], ids=str)
@pytest.mark.parametrize("labels", [1, 2, 21])
def test_sure_networks_of_every_shape_get_distributions(shape: tuple[int, int], labels: int) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, size=(*shape, 3)).astype(np.uint8)
    logits = (10 * rng.normal(size=(labels, *shape))).astype(np.float32)
    assert_distribution(refine(image, logits, iterations=3))


@pytest.mark.parametrize("shape", [(1, 90000), (90000, 1)], ids=str)
def test_the_start_of_a_long_strip_does_not_depend_on_its_end(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, *shape)).astype(np.float32)
    short = logits[:, :600, :600]
    terms = [Gaussian(1.3, 2.0)]
    q = refine(black(*shape), logits, terms=terms, iterations=2)[:, :500, :500]
    expected = refine(black(*short.shape[1:]), short, terms=terms, iterations=2)[:, :500, :500]
    np.testing.assert_allclose(q, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("certain", [50.0, 1e4, 1e30, 3e38])
def test_huge_logits_outweigh_the_picture(certain: float) -> None:
    image, logits = scene(20, 30, 4)
    labels = logits.argmax(axis=0)
    huge = np.where(np.arange(4)[:, None, None] == labels, certain, -certain).astype(np.float32)
    q = refine(image, huge)
    assert_distribution(q)
    np.testing.assert_array_equal(q.argmax(axis=0), labels)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("weight", [1e2, 1e6, 1e12, 1e18, 1e20, 1e22, 9e29])
@pytest.mark.parametrize("labels", [3, 8, 21])
def test_huge_weights_leave_one_label_everywhere(weight: float, labels: int, normalization: str) -> None:
    image, logits = scene(12, 15, labels)
    logits[labels // 2] += 3
    terms = [Gaussian(1e3, weight, normalization), Bilateral(1e3, 1e4, weight, normalization)]
    q = refine(image, logits, terms=terms)
    assert_distribution(q)
    np.testing.assert_array_equal(q.argmax(axis=0), labels // 2)


# ---- the same bits --------------------------------------------------------------------------------------------

THREADED = {
    "one partition": (48, 64, 5, densecrf.presets["deeplab-v2"].terms),
    "several partitions": (300, 500, 3, densecrf.presets["deeplab-v2"].terms),
    "partitions that share most vertices": (300, 500, 9, (Gaussian(3, 3, "after"), Bilateral(80, 13, 10, "before"))),
    "a strip": (1, 90000, 2, GENTLE),
}


@pytest.mark.parametrize("case", THREADED)
def test_every_number_of_threads_gives_the_same_bits(case: str) -> None:
    height, width, labels, terms = THREADED[case]
    image, logits = scene(height, width, labels)
    logits /= 8  # unsure, so that every order of summation shows
    one, *others = (refine(image, logits, terms=terms, iterations=4, num_threads=n) for n in (1, 2, 5, 16))
    assert np.abs(one - softmax(logits)).max() > 0.1
    for other in others:
        np.testing.assert_array_equal(other, one)


def test_partitions_add_up_to_one_picture() -> None:
    # The picture is cut for threads at rows 96 and 224 or so. A part across the first cut, in colours that the
    # rest does not have, hears only itself: the same answer as alone, where it is not cut.
    height, width = 200, 100
    image, logits = scene(height, width, 9)
    image = image // 3
    whole_image, whole_logits = np.full((300, 500, 3), 255, np.uint8), np.zeros((9, 300, 500), np.float32)
    whole_image[:height, :width], whole_logits[:, :height, :width] = image, logits
    terms = [Bilateral(30, 11, 1.2), Bilateral(90, 14, 0.9, "after")]
    alone = refine(image, logits, terms=terms, iterations=3)
    assert (alone.argmax(axis=0) != logits.argmax(axis=0)).mean() > 0.01
    q = refine(whole_image, whole_logits, terms=terms, iterations=3)
    np.testing.assert_allclose(q[:, :height, :width], alone, rtol=0, atol=1e-5)


# ---- instruction sets -------------------------------------------------------------------------------------------

ISA_CASES = {
    "21 labels": (64, 80, 21, 3, densecrf.presets["deeplab-v2"].terms, 10),
    "2 labels": (37, 53, 2, 3, densecrf.presets["deeplab-v1"].terms, 10),
    "9 labels": (16, 17, 9, 1, GENTLE, 5),
    "130 labels": (9, 11, 130, 3, densecrf.presets["densecrf"].terms, 5),
    "12 dimensions": (15, 33, 5, 10, (Bilateral(20, 60, 3),), 5),
    "a soft-max": (7, 9, 21, 3, (), 0),
}

ISA_PROGRAM = """
import sys
import numpy as np
import densecrf
import test_mean_field as tests
try:
    isa = densecrf.build_info()["isa"]
except RuntimeError as error:
    assert "this machine runs no such kernels" in str(error)
    sys.exit(3)
assert isa == sys.argv[2], isa
np.savez(sys.argv[1], **tests.isa_answers())
"""


def isa_answers() -> dict[str, NDArray[np.float32]]:
    answers = {}
    for name, (height, width, labels, channels, terms, iterations) in ISA_CASES.items():
        image, logits = scene(height, width, labels, channels=channels)
        answers[f"{name}, logits"] = refine(image, logits, terms=terms, iterations=iterations)
        answers[f"{name}, probs"] = refine(
            image, softmax(logits), terms=terms, iterations=iterations, from_logits=False
        )
    return answers


def answers_with(isa: str, folder: Path) -> dict[str, NDArray[np.float32]]:
    """Run `isa_answers` in a process that uses this instruction set; skip if the machine has none."""
    paths = [str(Path(densecrf.__file__).parents[1]), str(Path(__file__).parent)]
    environment = {**os.environ, "DENSECRF_ISA": isa, "PYTHONPATH": os.pathsep.join(paths)}
    file = folder / f"{isa}.npz"
    done = subprocess.run(
        [sys.executable, "-c", ISA_PROGRAM, str(file), isa], env=environment, capture_output=True, text=True
    )
    if done.returncode == 3:
        pytest.skip(f"this machine or build has no {isa}")
    assert done.returncode == 0, done.stderr
    with np.load(file) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def baseline_answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[np.float32]]:
    return answers_with("baseline", tmp_path_factory.mktemp("isa"))


@pytest.mark.parametrize("isa", ["avx2", "avx512"])
def test_every_instruction_set_gives_the_same_answer(
    isa: str, baseline_answers: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    answers = answers_with(isa, tmp_path)
    assert len(answers) == 2 * len(ISA_CASES)
    for name, answer in answers.items():
        np.testing.assert_allclose(answer, baseline_answers[name], rtol=0, atol=1e-5, err_msg=name)
        np.testing.assert_array_equal(answer.argmax(axis=0), baseline_answers[name].argmax(axis=0), err_msg=name)
