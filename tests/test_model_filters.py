"""Messages and filters of a model."""

import models
import numpy as np
import pytest
from inputs import NORMALIZATIONS, softmax
from models import IMAGE, LABELS, LOGITS, MIXED, SHAPE, TERMS, UNARY, unaries
from numpy.testing import assert_allclose, assert_array_equal
from test_lattice import lattice_kernel, normalized

from densecrf import Bilateral, DenseCRF, Features, Gaussian
from densecrf.reference import kernel

# ---- messages and filters -----------------------------------------------------------------------------------


def grid_features(term):
    """[N, D] in float64."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    sx, sy = np.broadcast_to(term.sxy, 2)
    planes = [x / sx, y / sy]
    if isinstance(term, Bilateral):
        planes += list(np.moveaxis(IMAGE / np.array(term.srgb), -1, 0))
    return np.stack([plane.ravel() for plane in planes], axis=1)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_filter_is_the_lattice_of_its_term_normalised(normalization):
    terms = [Gaussian((1.7, 2.3), 5, normalization), Bilateral((7.7, 11.3), (21.1, 33.7, 27.9), 0, normalization)]
    model = DenseCRF(IMAGE, LABELS, terms)
    for i, term in enumerate(terms):
        expected = UNARY.reshape(LABELS, -1) @ normalized(lattice_kernel(grid_features(term)), normalization).T
        assert_allclose(model.filter(UNARY, i).reshape(LABELS, -1), expected, rtol=2e-6, atol=2e-5)


@pytest.mark.parametrize("dims", [1, 2, 3, 4, 5, 7, 10])
def test_a_filter_is_the_dictionary_lattice_in_every_number_of_dimensions(dims):
    features = np.random.default_rng(dims).normal(scale=1.5, size=(dims, 60)).astype(np.float32)
    values = np.random.default_rng(99).normal(size=(3, 60)).astype(np.float32)
    model = DenseCRF((60,), 3, [Features(features, 1, normalization) for normalization in NORMALIZATIONS])
    plain = lattice_kernel(features.T.astype(np.float64))
    for i, normalization in enumerate(NORMALIZATIONS):
        expected = values @ normalized(plain, normalization).T
        assert_allclose(model.filter(values, i), expected, rtol=2e-6, atol=2e-5)


# How far the lattice is from the exact Gaussian, as a share of the largest answer. Not normalised, the lattice loses
# mass to vertices that it does not have: half of it and more for pictures of noise, which normalisation gives back.
LATTICE_ERROR = {"symmetric": 0.1, "before": 0.15, "after": 0.1, "none": 0.2}


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_filter_is_near_the_exact_gaussian(normalization):
    values = softmax(LOGITS).astype(np.float32)
    terms = [Gaussian((1.7, 2.3), 5, normalization), Bilateral((7.7, 11.3), (41.1, 53.7, 47.9), 3, normalization)]
    model = DenseCRF(IMAGE, LABELS, terms)
    for i, term in enumerate(terms if normalization != "none" else terms[:1]):
        f = grid_features(term)
        exact = np.exp(-0.5 * ((f[:, None] - f[None]) ** 2).sum(-1))
        expected = values.reshape(LABELS, -1) @ normalized(exact, normalization).T
        got = model.filter(values, i).reshape(LABELS, -1)
        assert np.abs(got - expected).max() <= LATTICE_ERROR[normalization] * expected.max()


@pytest.mark.parametrize("term", [0, 1])
def test_a_filter_is_linear(crf, term):
    a, b = unaries(2)
    together = crf.filter(2 * a - 3 * b, term)
    assert_allclose(together, 2 * crf.filter(a, term) - 3 * crf.filter(b, term), rtol=0, atol=2e-5)
    assert_array_equal(crf.filter(np.zeros_like(a), term), 0)


def test_after_normalisation_leaves_ones_as_they_are():
    model = DenseCRF(IMAGE, LABELS, [Gaussian(2.3, 1, "after"), Bilateral(7.7, 21, 1, "after")])
    for term in (0, 1):
        assert_allclose(model.filter(np.ones((1, *SHAPE), np.float32), term), 1, rtol=0, atol=1e-5)


def test_before_normalisation_keeps_the_sum_in_one_dimension():
    """In one dimension the kernel is symmetric, so what a point gives away sums to one."""
    model = DenseCRF((40,), 1, [Gaussian(2.3, 1, "before")])
    values = np.random.default_rng(3).uniform(size=(2, 40)).astype(np.float32)
    assert_allclose(model.filter(values).sum(axis=1), values.sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 8, 17, 40])
def test_a_filter_takes_any_number_of_channels_each_by_itself(crf, channels):
    values = np.random.default_rng(channels).normal(size=(channels, *SHAPE)).astype(np.float32)
    together = crf.filter(values, 1)
    assert together.shape == values.shape
    assert together.dtype == np.float32
    for c in (0, channels - 1):
        assert_allclose(together[c], crf.filter(values[c : c + 1], 1)[0], rtol=0, atol=1e-6)


def test_filters_are_numbered_from_either_end(crf):
    assert_array_equal(crf.filter(UNARY), crf.filter(UNARY, 0))
    assert_array_equal(crf.filter(UNARY, -1), crf.filter(UNARY, 1))
    assert np.abs(crf.filter(UNARY, 0) - crf.filter(UNARY, 1)).max() > 0.01


@pytest.mark.parametrize("terms", [TERMS, MIXED], ids=["symmetric", "mixed"])
def test_a_message_is_the_sum_of_weight_times_filter(terms):
    model, q = DenseCRF(IMAGE, LABELS, terms), softmax(LOGITS).astype(np.float32)
    expected = sum(term.weight * model.filter(q, i) for i, term in enumerate(terms))
    assert_allclose(model.message(q), expected, rtol=1e-5, atol=1e-6)
    assert model.message(q).dtype == np.float32


def test_the_reference_has_the_same_filters_within_the_error_of_the_lattice(crf):
    q = softmax(LOGITS).astype(np.float32)
    for i, term in enumerate(models.full_terms(crf)):
        exact = (q.reshape(LABELS, -1) @ kernel(term).T).reshape(q.shape)
        assert np.abs(crf.filter(q, i) - exact).max() < 0.1
