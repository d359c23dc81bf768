"""Weights for each label and for each pair of labels: positive attracts, negative repels, matrices are symmetrised."""

import numpy as np
import pytest
from inputs import NORMALIZATIONS, softmax
from numpy.testing import assert_allclose, assert_array_equal
from test_lattice import COLOUR, SPATIAL, features_of, lattice_kernel, normalized, random_picture

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian

SHAPE = (6, 7)
ALL_LABELS = (1, 2, 3, 8, 9, 16, 17, 21, 40)

GAUSSIAN = (SPATIAL.sxy,)
BILATERAL = (COLOUR.sxy, COLOUR.srgb)


def signed_matrix(labels, scale=0.6):
    """Of any sign and not symmetric."""
    return np.random.default_rng(labels).normal(scale=scale, size=(labels, labels))


def signed_vector(labels, scale=0.6):
    return np.random.default_rng([labels, 1]).normal(scale=scale, size=labels)


def as_matrix(weight, labels):
    weight = np.asarray(weight, np.float64)
    matrix = weight if weight.ndim == 2 else np.diag(np.broadcast_to(weight, labels))
    return (matrix + matrix.T) / 2


def plain_mean_field(image, logits, terms, iterations):
    """In float64, with the lattice of dictionaries of test_lattice.py."""
    labels = len(logits)
    parts = [
        (as_matrix(term.weight, labels), normalized(lattice_kernel(features_of(image, term)), term.normalization))
        for term in terms
    ]
    scores = logits.reshape(labels, -1).astype(np.float64)
    q = softmax(scores)
    for _ in range(iterations):
        q = softmax(scores + sum(W @ q @ k.T for W, k in parts))
    return q.reshape(logits.shape)


def assert_plain(labels, terms, iterations=4, atol=5e-6):
    image, logits = random_picture(*SHAPE, 3, labels)
    q = DenseCRF(image, labels, terms).infer(-logits, iterations)
    assert_allclose(q, plain_mean_field(image, logits, terms, iterations), rtol=0, atol=atol)
    assert_array_equal(
        q, densecrf.refine(image, logits, terms=terms, iterations=iterations, from_logits=True, channel_axis=-1)
    )


# ---- against plain lattices and the exact sum ---------------------------------------------------------------


@pytest.mark.parametrize("labels", ALL_LABELS)
def test_matrices_of_any_sign_do_what_the_paper_says_for_every_number_of_labels(labels):
    assert_plain(labels, [Gaussian(*GAUSSIAN, signed_matrix(labels)), Bilateral(*BILATERAL, signed_matrix(labels).T)])


@pytest.mark.parametrize("labels", ALL_LABELS)
def test_vectors_of_any_sign_do_what_the_paper_says_for_every_number_of_labels(labels):
    assert_plain(labels, [Gaussian(*GAUSSIAN, signed_vector(labels)), Bilateral(*BILATERAL, -signed_vector(labels))])


@pytest.mark.parametrize("weight", [signed_matrix(4, 0.3), signed_vector(4, 0.3)], ids=["matrix", "vector"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_every_normalisation_goes_with_every_compatibility(weight, normalization):
    weight = weight if normalization != "none" else weight / 5  # what the raw filter answers to ones is far from 1
    assert_plain(4, [Gaussian(*GAUSSIAN, weight, normalization), Bilateral(*BILATERAL, weight, normalization)])


def test_terms_of_every_compatibility_and_normalisation_add_up():
    terms = [
        Gaussian((1.1, 2.9), 0.4, "after"),
        Bilateral(*BILATERAL, signed_matrix(5), "before"),
        Gaussian(2.3, signed_vector(5)),
        Bilateral(7.7, 41.3, signed_matrix(5).T / 9, "none"),
        Gaussian(1.3, 0),
    ]
    assert_plain(5, terms)


# Mean total variation between lattice and exact answer; 0.001 to 0.003 for these pictures of noise.
EXACT_BOUND = 0.006


@pytest.mark.parametrize("labels", [2, 5, 18])
@pytest.mark.parametrize("signed", [signed_matrix, signed_vector])
def test_the_lattice_is_near_the_exact_sum_for_every_compatibility(signed, labels):
    image, logits = random_picture(12, 13, 3, labels)
    terms = [Gaussian(*GAUSSIAN, signed(labels)), Bilateral((11.3, 7.7), 53.1, 2 * signed(labels))]
    options = {"terms": terms, "iterations": 5, "from_logits": True, "channel_axis": -1}
    difference = densecrf.refine(image, logits, **options) - densecrf.reference.refine(image, logits, **options)
    assert np.abs(difference).sum(axis=0).mean() / 2 < EXACT_BOUND
    assert np.abs(densecrf.refine(image, logits, **options) - softmax(logits)).max() > 0.05


def test_the_reference_reads_all_forms_of_a_weight_alike():
    image, logits = random_picture(*SHAPE, 3)
    answers = [
        densecrf.reference.refine(image, logits, terms=[Gaussian(*GAUSSIAN, weight)], from_logits=True)
        for weight in (1.5, (1.5,) * 4, 1.5 * np.eye(4))
    ]
    for answer in answers[1:]:
        assert_allclose(answer, answers[0], rtol=0, atol=1e-6)


# ---- one convention -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", ALL_LABELS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_number_is_a_vector_of_it_is_a_diagonal_matrix_of_it(labels, normalization):
    image, logits = random_picture(*SHAPE, 3, labels)
    weight = 0.75 if normalization != "none" else 0.125
    number, vector, matrix = (
        DenseCRF(
            image, labels, [Gaussian(*GAUSSIAN, form, normalization), Bilateral(*BILATERAL, form, normalization)]
        ).infer(-logits, 5)
        for form in (weight, (weight,) * labels, weight * np.eye(labels))
    )
    assert_array_equal(vector, matrix)
    assert_allclose(number, vector, rtol=0, atol=5e-6)


@pytest.mark.parametrize("labels", [2, 5, 17])
def test_a_vector_is_the_diagonal_of_a_matrix(labels):
    image, logits = random_picture(*SHAPE, 3, labels)
    vector = signed_vector(labels)
    answers = [DenseCRF(image, labels, [Gaussian(*GAUSSIAN, w)]).infer(-logits, 4) for w in (vector, np.diag(vector))]
    assert_array_equal(*answers)


def test_a_matrix_counts_as_the_mean_of_itself_and_its_transpose():
    image, logits = random_picture(*SHAPE, 3)
    matrix = np.round(8 * signed_matrix(4)) / 8  # so that the mean is a float32
    answers = [
        DenseCRF(image, 4, [Bilateral(*BILATERAL, form)]).infer(-logits, 4)
        for form in (matrix, matrix.T, (matrix + matrix.T) / 2)
    ]
    assert_array_equal(answers[1], answers[0])
    assert_array_equal(answers[2], answers[0])


def test_row_l_and_column_m_say_what_label_l_gains_from_label_m():
    image, _ = random_picture(*SHAPE, 3)
    matrix = as_matrix(signed_matrix(4), 4)
    model = DenseCRF(image, 4, [Bilateral(*BILATERAL, matrix)])
    q = softmax(np.random.default_rng(1).normal(size=(4, *SHAPE))).astype(np.float32)
    expected = np.einsum("lm,mij->lij", matrix, model.filter(q))
    assert_allclose(model.message(q), expected, rtol=0, atol=2e-6)
    assert_allclose(
        DenseCRF(image, 4, [Bilateral(*BILATERAL, signed_vector(4))]).message(q),
        signed_vector(4)[:, None, None] * model.filter(q),
        rtol=0,
        atol=2e-6,
    )


def test_a_filter_does_not_know_of_the_weight():
    image, _ = random_picture(*SHAPE, 3)
    values = np.random.default_rng(1).normal(size=(4, *SHAPE)).astype(np.float32)
    weights = (2.5, 0, signed_vector(4), signed_matrix(4))
    expected, *others = (DenseCRF(image, 4, [Bilateral(*BILATERAL, w)]).filter(values) for w in weights)
    for other in others:
        assert_array_equal(other, expected)


def test_a_permutation_of_the_labels_permutes_the_answer():
    image, logits = random_picture(*SHAPE, 3, 5)
    order, matrix = np.array([3, 0, 4, 1, 2]), signed_matrix(5)
    q = DenseCRF(image, 5, [Bilateral(*BILATERAL, matrix)]).infer(-logits, 4)
    permuted = DenseCRF(image, 5, [Bilateral(*BILATERAL, matrix[np.ix_(order, order)])]).infer(-logits[order], 4)
    assert_allclose(permuted, q[order], rtol=0, atol=5e-6)


@pytest.mark.parametrize("weight", [0, (0,) * 4, np.zeros((4, 4))], ids=["number", "vector", "matrix"])
def test_a_weight_of_nothing_says_nothing(weight):
    image, logits = random_picture(*SHAPE, 3)
    assert_allclose(
        DenseCRF(image, 4, [Gaussian(*GAUSSIAN, weight)]).infer(-logits, 3), softmax(logits), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("weight", [2, [2], [-2], [[3]], [[-3]]], ids=str)
def test_a_single_label_is_certain_whatever_the_weight(weight):
    model = DenseCRF(SHAPE, 1, [Gaussian(2, weight)])
    assert_allclose(model.infer(np.random.default_rng(1).normal(size=(1, *SHAPE)), 3), 1, rtol=0, atol=1e-6)


# ---- attraction and repulsion -------------------------------------------------------------------------------


def beside_a_sure_neighbour(weight, labels=2):
    """Marginals of an undecided point, one pixel from a point that is sure of label 0."""
    unary = np.zeros((labels, 2), np.float32)
    unary[1:, 0] = 20
    return DenseCRF((2,), labels, [Gaussian(2, weight)]).infer(unary, 1)[:, 1]


def test_positive_weights_attract_and_negative_ones_repel():
    assert beside_a_sure_neighbour([2, 2])[0] > 0.6
    assert beside_a_sure_neighbour([-2, -2])[0] < 0.4
    assert beside_a_sure_neighbour([[2, 0], [0, 2]])[0] > 0.6
    assert beside_a_sure_neighbour([[0, 2], [2, 0]])[0] < 0.4
    assert beside_a_sure_neighbour([[0, -2], [-2, 0]])[0] > 0.6
    assert beside_a_sure_neighbour([2, 2])[0] == pytest.approx(beside_a_sure_neighbour(2)[0], abs=1e-6)


def test_a_negative_entry_keeps_one_pair_of_labels_apart():
    """Labels 0 and 1 must not lie side by side; 0 and 2 may."""
    first, second, third = beside_a_sure_neighbour([[1, -3, 0], [-3, 1, 0], [0, 0, 1]], 3)
    assert second < 0.1 < 0.4 < min(first, third)


def test_repelling_what_differs_is_attracting_what_is_alike():
    """Where the kernel leaves ones as they are, as after normalisation, the two differ by a constant."""
    image, logits = random_picture(*SHAPE, 3)
    attracting, repelling = (
        DenseCRF(image, 4, [Bilateral(*BILATERAL, weight, "after")]).infer(-logits, 5)
        for weight in (1.3, 1.3 * (np.eye(4) - 1))
    )
    assert_allclose(repelling, attracting, rtol=0, atol=1e-5)


def test_a_chain_of_points_that_repel_alternates():
    unary = np.zeros((2, 9), np.float32)
    unary[1, 4] = 5  # the one in the middle is of label 0
    q = DenseCRF((9,), 2, [Gaussian(0.7, [-6, -6])]).infer(unary, 60, damping=0.5)
    assert_array_equal(q.argmax(axis=0), [0, 1, 0, 1, 0, 1, 0, 1, 0])


def test_a_label_without_a_weight_of_its_own_loses_to_those_that_have_one():
    unary = np.zeros((3, 20), np.float32)
    q = DenseCRF((20,), 3, [Gaussian(2, [2, 2, 0])]).infer(unary, 5)
    assert_allclose(q[0], q[1], rtol=0, atol=1e-6)
    assert (q[2] < 0.3).all()


def test_strong_repulsion_and_attraction_stay_distributions():
    image, logits = random_picture(*SHAPE, 3, 17)
    matrix = 200 * signed_matrix(17)
    q = DenseCRF(image, 17, [Gaussian(*GAUSSIAN, matrix), Bilateral(*BILATERAL, matrix)]).infer(-logits, 10)
    assert np.isfinite(q).all()
    assert_allclose(q.sum(axis=0), 1, rtol=0, atol=1e-5)
    assert q.min() >= 0


@pytest.mark.parametrize("labels", [3, 9, 30])
def test_labels_that_all_repel_each_other_are_still_as_likely_as_certain(labels):
    shape, weight = (5, 9), np.full((labels, labels), -200.0)
    q = DenseCRF(shape, labels, [Gaussian(3, weight, normalization="none")]).infer(np.zeros((labels, *shape)), 3)
    assert_allclose(q, 1 / labels, rtol=1e-5)
