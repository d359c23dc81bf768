"""The float64 reference that drift is measured against is right, and it is the core's lattice."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpus import one_library
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import NORMALIZATIONS, picture, scene
from instruction_sets import ISAS, answers_with
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from test_gpu_properties import problems

from densecrf import Bilateral, DenseCRF, Features, Gaussian, unary_from_probs

sys.path += [str(Path(__file__).resolve().parent / "fixtures")]

pytest.importorskip("scipy")  # comes with scikit-image

import lattice64
import make_fixtures
from lattice64 import Kernel, Lattice

RNG = np.random.default_rng(0)
SHAPE = (19, 26)
IMAGE, LOGITS = scene(*SHAPE, 4)
GENTLE = LOGITS / 4
OWN = RNG.normal(scale=3, size=(4, SHAPE[0] * SHAPE[1]))

TERMS = {
    "near": Gaussian(3, 1.0),
    "near, each axis its own": Gaussian((0.7, 5.3), 1.0),
    "sharp": Bilateral(0.5, 0.7, 1.0),
    "alike": Bilateral((17, 13), (9, 23, 31), 1.0),
    "wide": Bilateral(3000, 4000, 1.0),
    "features of either sign": Features(OWN, 1.0),
    "features of one dimension": Features(OWN[:1], 1.0),
    "features of 12 dimensions": Features(RNG.normal(size=(12, SHAPE[0] * SHAPE[1])), 1.0),
}


# ---- geometry -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_every_point_is_the_weighted_mean_of_its_corners(dims: int, real: Any) -> None:
    features = RNG.normal(scale=4, size=(200, dims))
    place = lattice64.elevated(features.astype(np.float32))
    simplices = lattice64.find_simplices(place)
    weights = lattice64.barycentric(lattice64.elevated(features.astype(np.float32).astype(real)), simplices)
    assert weights.dtype == real
    corners = simplices.vertices()
    exact = real is np.float64
    assert_allclose(weights.sum(axis=1), 1, rtol=0, atol=1e-14 if exact else 1e-6)
    assert weights.min() > -1e-5
    mean = (weights[:, :, np.newaxis] * corners).sum(axis=1)
    assert_allclose(mean, place[:, :-1], rtol=0, atol=2e-5)


def test_corners_are_vertices_of_the_lattice() -> None:
    """Coordinates of a vertex are all congruent, and it has one vertex of each remainder."""
    dims = 5
    place = lattice64.elevated(RNG.normal(scale=9, size=(100, dims)).astype(np.float32))
    corners = lattice64.find_simplices(place).vertices()
    last = -corners.sum(axis=2, keepdims=True)
    remainders = np.concatenate([corners, last], axis=2) % (dims + 1)
    assert_array_equal(remainders, np.broadcast_to(np.arange(dims + 1)[:, np.newaxis], remainders.shape))


def test_in_one_dimension_it_is_linear_interpolation_and_two_blurs() -> None:
    """Vertices lie on a line; the two axes of the blur are its two directions."""
    points = np.linspace(-20, 20, 1201).astype(np.float32)[:, np.newaxis]
    values = RNG.random(1201)
    lattice = Lattice(points, points.astype(np.float64))
    place = points[:, 0].astype(np.float64) * np.sqrt(4 / 3)
    grid = np.arange(-24, 25)
    assert lattice.vertices == 49
    hat = np.maximum(1 - np.abs(place[:, np.newaxis] - grid), 0)
    blur = np.eye(49) + np.eye(49, k=1) / 2 + np.eye(49, k=-1) / 2
    assert_allclose(lattice(values), hat @ blur @ blur @ hat.T @ values / 1.5, rtol=1e-12)


def test_equal_keys_are_one_and_neighbours_are_a_step_apart() -> None:
    keys = RNG.integers(-3, 3, size=(500, 3))
    vertices, row = lattice64.distinct(keys)
    assert_array_equal(vertices[row], keys)
    assert len(vertices) == len(np.unique(keys, axis=0))
    here, there = lattice64.pairs(vertices, np.array([1, -2, 1]))
    assert_array_equal(vertices[there] - vertices[here], np.broadcast_to([1, -2, 1], (len(here), 3)))
    known = set(map(tuple, vertices))
    assert len(here) == sum((a + 1, b - 2, c + 1) in known for a, b, c in known)


# ---- the core's lattice ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TERMS)
def test_the_core_finds_as_many_vertices(name: str) -> None:
    kernel = Kernel(TERMS[name], SHAPE, IMAGE)
    assert kernel.lattice.vertices == DenseCRF(IMAGE, 4, [TERMS[name]]).n_vertices


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("name", TERMS)
def test_the_core_spreads_single_points_over_the_same_vertices(name: str, normalization: Any) -> None:
    term = replace(TERMS[name], normalization=normalization)
    points = np.zeros((40, SHAPE[0] * SHAPE[1]))
    points[np.arange(40), RNG.permutation(points.shape[1])[:40]] = 1
    expected = Kernel(term, SHAPE, IMAGE).filter(points.T).T
    found = DenseCRF(IMAGE, 4, [term]).filter(points.reshape(-1, *SHAPE).astype(np.float32))
    assert_allclose(found.reshape(expected.shape), expected, rtol=0, atol=1e-6 * expected.max())


@pytest.mark.parametrize("channels", [1, 2, 10])
def test_pictures_of_any_number_of_channels_have_the_cores_vertices(channels: int) -> None:
    image = picture(11, 13, channels)
    term = Bilateral(8, 45, 1.0)
    assert Kernel(term, (11, 13), image).lattice.vertices == DenseCRF(image, 2, [term]).n_vertices


def test_volumes_have_the_cores_vertices() -> None:
    volume = picture(5, 7, 9)
    for term in (Gaussian((3, 2, 1), 1.0), Bilateral(4, 30, 1.0)):
        crf = DenseCRF(volume, 2, [term], channel_axis=None)
        assert Kernel(term, volume.shape, volume).lattice.vertices == crf.n_vertices


# ---- its mean field -------------------------------------------------------------------------------------------

MODELS = {
    "a number": [Gaussian((1.7, 2.3), 1.1), Bilateral((7.7, 11.3), (21.1, 33.7, 27.9), 1.3)],
    "after and before": [Gaussian(2, 0.8, "after"), Bilateral(9, 30, 0.9, "before")],
    "none": [Gaussian(1.3, 0.2, "none")],
    "a vector": [Gaussian(2, [1, 0.5, -0.3, 0.8])],
    "a matrix": [Bilateral(9, 30, RNG.uniform(-0.5, 1, size=(4, 4)))],
    "features": [Features(OWN, 0.7), Gaussian(1, 0.5)],
    "no terms": [],
}


@pytest.mark.parametrize("damping", [0.0, 0.4])
@pytest.mark.parametrize("model", MODELS)
def test_the_core_infers_the_same_from_gentle_scores(model: str, damping: float) -> None:
    kernels = lattice64.kernels(MODELS[model], SHAPE, IMAGE)
    expected = lattice64.infer(-GENTLE, kernels, 5, damping)
    assert_allclose(expected.sum(axis=0), 1, rtol=1e-12)
    q = DenseCRF(IMAGE, 4, MODELS[model]).infer(-GENTLE, 5, damping=damping)
    assert_allclose(q, expected, rtol=0, atol=1e-6)
    assert_allclose(lattice64.infer_plainly(-GENTLE, kernels, 5, damping), expected, rtol=0, atol=1e-5)
    assert lattice64.infer_plainly(-GENTLE, kernels, 5, damping).dtype == np.float32


def test_messages_are_sums_over_all_pairs_of_points() -> None:
    """The filter written out as a matrix, and mean field as a loop over points and labels."""
    shape, labels = (3, 4), 3
    image, energies = picture(*shape, 3), RNG.normal(size=(labels, *shape))
    weights = RNG.uniform(-1, 1, size=(labels, labels))
    kernels = lattice64.kernels([Gaussian(1, 1.5, "after"), Bilateral(2, 90, weights)], shape, image)
    near, alike = (kernel.filter(np.eye(12)) for kernel in kernels)
    q = np.exp(-energies.reshape(labels, 12))
    q /= q.sum(axis=0)
    for _ in range(3):
        exponents = -energies.reshape(labels, 12)
        for i in range(12):
            for a in range(labels):
                exponents[a, i] += sum(1.5 * near[i, j] * q[a, j] for j in range(12))
                for b in range(labels):
                    exponents[a, i] += sum(
                        (weights[a, b] + weights[b, a]) / 2 * alike[i, j] * q[b, j] for j in range(12)
                    )
        q = np.exp(exponents) / np.exp(exponents).sum(axis=0)
    assert_allclose(lattice64.infer(energies, kernels, 3).reshape(labels, 12), q, rtol=1e-12)


def test_energies_are_those_of_the_library() -> None:
    probs = np.array([[0, 1e-7, 0.3, 1], [1, 1 - 1e-7, 0.7, 0]], np.float32)
    for clip in (1e-5, 0.02):
        assert_allclose(lattice64.energies_of(probs, clip), unary_from_probs(probs, clip), rtol=2e-7)


@settings(max_examples=60)
@given(problems(), st.floats(0, 0.9))
def test_any_small_model_has_its_vertices_and_nearly_its_marginals(problem: Any, damping: float) -> None:
    images, logits, terms, iterations = problem
    kernels = lattice64.kernels(terms, images.shape[1:3], images[0])
    crf = DenseCRF(images[0], logits.shape[1], terms, channel_axis=-1)
    heard = [
        kernel
        for kernel, term in zip(kernels, terms, strict=True)
        if np.any(np.float32(term.weight)) or np.ndim(term.weight)
    ]
    assert crf.n_vertices == sum(kernel.lattice.vertices for kernel in heard)
    q = lattice64.infer(-logits[0], kernels, iterations, damping)
    assert_allclose(crf.infer(-logits[0], iterations, damping=damping), q, rtol=0, atol=2e-5)


SMALL = ("symmetric", "after", "before", "none", "mixed", "three_terms", "sxy_per_axis", "srgb_per_channel", "64x1")


@pytest.mark.parametrize("case", [one for one in make_fixtures.CASES if one.name in SMALL], ids=lambda case: case.name)
def test_pydensecrfs_stored_answers_are_near(case: make_fixtures.Case) -> None:
    image, probs = make_fixtures.inputs(case)
    labels, pixels, marginals = make_fixtures.stored(case)
    kernels = lattice64.kernels(case.terms, probs.shape[1:], image)
    q = lattice64.infer(lattice64.energies_of(probs), kernels, case.iterations)
    assert_array_equal(q.argmax(axis=0), labels)
    assert_allclose(q.reshape(len(q), -1)[:, pixels], marginals, rtol=0, atol=1e-5)


def test_exact_weights_are_near_the_rounded_ones() -> None:
    for term in TERMS.values():
        values = RNG.random((SHAPE[0] * SHAPE[1], 2))
        rounded, exact = (Kernel(term, SHAPE, IMAGE, exact).filter(values) for exact in (False, True))
        assert_allclose(rounded, exact, rtol=0, atol=2e-4)
        assert (rounded != exact).any()


# ---- sums of many points --------------------------------------------------------------------------------------

CROWD = (150, 160)
CROWDED = Gaussian(189, 28)  # five vertices, and each hears most of 24,000 points


@functools.cache
def crowded(labels: int) -> tuple[NDArray[np.float32], Kernel]:
    """Energies that are sure of one of two labels, and in a few columns make up for what the term says there; and its
    kernel."""
    kernel = Kernel(CROWDED, CROWD)
    energies = np.zeros((labels, *CROWD), np.float32)
    energies[2:] = 60
    energies[1] = np.where(np.arange(CROWD[1]) < 20, 9, -9)
    for _ in range(3):
        message = kernel.message(first_marginals(energies).reshape(labels, -1).T).T.reshape(energies.shape)
        energies[1, :, 85:91] = (message[1] - message[0])[:, 85:91]
    return energies, kernel


def first_marginals(energies: NDArray) -> NDArray:
    return lattice64.infer(energies, [], 0)


def crowded_answers(put: Callable = np.asarray, get: Callable = np.asarray) -> dict[str, NDArray]:
    """Of each walk that adds up points: messages by themselves, two labels, and any number of them."""
    models = {labels: DenseCRF(CROWD, labels, [CROWDED]) for labels in (2, 3)}
    energies = {labels: crowded(labels)[0] for labels in models}
    answers = {f"{labels} labels": get(crf.infer(put(energies[labels]), 1)) for labels, crf in models.items()}
    answers["message"] = get(models[2].message(put(first_marginals(energies[2]).astype(np.float32))))
    return answers


isa_answers = crowded_answers


def assert_sums_are_exact(answers: dict[str, NDArray]) -> None:
    """Points added up one after the other leave marginals that are off by 3e-5, and messages by 4e-4."""
    for labels in (2, 3):
        energies, kernel = crowded(labels)
        expected = lattice64.infer(energies, [kernel], 1)
        assert_allclose(expected[0, :, 85:91], 0.5, rtol=0, atol=0.01)
        assert_allclose(answers[f"{labels} labels"], expected, rtol=0, atol=6e-6)
    energies, kernel = crowded(2)
    message = kernel.message(first_marginals(energies).reshape(2, -1).T).T
    assert_allclose(answers["message"].reshape(message.shape), message, rtol=0, atol=4e-5)


@pytest.mark.parametrize("isa", ISAS)
def test_sums_of_all_points_of_a_picture_lose_next_to_nothing(isa: str, tmp_path: Path) -> None:
    assert_sums_are_exact(answers_with(isa, __name__, tmp_path))


@one_library
def test_the_sums_of_the_cuda_kernels_lose_as_little(gpu: Any) -> None:
    assert_sums_are_exact(crowded_answers(gpu.put, gpu.get))
