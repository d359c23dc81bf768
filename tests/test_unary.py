"""Energies of probabilities and of labels, worked out by hand."""

from fractions import Fraction

import numpy as np
import pytest
from inputs import probabilities
from numpy.testing import assert_allclose, assert_array_equal

from densecrf import DenseCRF, Gaussian, unary_from_labels, unary_from_probs

LOG = np.log

# ---- probabilities ------------------------------------------------------------------------------------------


def test_the_energy_of_a_probability_is_minus_its_logarithm():
    probs = np.array([[0.5, 0.25, 1.0], [0.5, 0.75, 0.0]], np.float32)
    expected = [[0.693147, 1.386294, 0], [0.693147, 0.287682, 11.512925]]
    assert_allclose(unary_from_probs(probs), expected, rtol=0, atol=1e-5)
    assert unary_from_probs(probs).dtype == np.float32


def test_probabilities_below_the_clip_count_as_it():
    probs = np.array([[1.0, 0.999, 0.9], [0.0, 0.001, 0.1]])
    assert_allclose(unary_from_probs(probs, clip=0.01)[1], -LOG([0.01, 0.01, 0.1]), rtol=1e-6)
    assert_allclose(unary_from_probs(probs, clip=0.01)[0], -LOG([1, 0.999, 0.9]), rtol=0, atol=1e-6)
    assert_allclose(unary_from_probs(probs, clip=1e-12)[1], -LOG([1e-12, 0.001, 0.1]), rtol=1e-6)
    assert_array_equal(unary_from_probs(probs), unary_from_probs(probs, clip=1e-5))


def test_a_scale_mixes_with_the_uniform_distribution():
    probs = np.array([[1.0, 0.6], [0.0, 0.3], [0.0, 0.1], [0.0, 0.0]])
    expected = -LOG(0.8 * probs + 0.2 / 4)
    assert_allclose(unary_from_probs(probs, scale=0.8), expected, rtol=1e-5, atol=1e-6)
    assert_allclose(unary_from_probs(probs, scale=0.8)[:, 0], -LOG([0.85, 0.05, 0.05, 0.05]), rtol=1e-5)
    assert_array_equal(unary_from_probs(probs, scale=1), unary_from_probs(probs))


def test_a_scale_is_applied_before_the_clip():
    probs = np.array([[1.0], [0.0]])
    assert_allclose(unary_from_probs(probs, clip=0.2, scale=0.9), -LOG([[0.95], [0.2]]), rtol=1e-5)


def test_a_clip_that_float32_does_not_know_is_kept():
    assert_allclose(unary_from_probs(np.array([[1, 0], [0, 1]], np.float32), 1e-300).max(), 690.7755, rtol=1e-6)


def test_numbers_that_are_no_floats_are_as_good():
    labels, probs = np.array([0, 1]), probabilities(2, 3, 4)
    assert_array_equal(unary_from_labels(labels, 2, Fraction(3, 4)), unary_from_labels(labels, 2, 0.75))
    assert_array_equal(unary_from_probs(probs, Fraction(1, 4)), unary_from_probs(probs, 0.25))


@pytest.mark.parametrize("shape", [(3, 1), (3, 5), (3, 4, 5), (3, 2, 4, 5), (1, 6)], ids=str)
def test_probabilities_of_any_shape_will_do(shape):
    scores = np.random.default_rng(0).random(shape)
    probs = scores / scores.sum(axis=0)
    assert_allclose(unary_from_probs(probs), -LOG(probs), rtol=1e-4, atol=1e-6)
    assert unary_from_probs(probs).shape == shape


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_energies_of_every_dtype_are_float32(dtype):
    probs = probabilities()
    energies = unary_from_probs(probs.astype(dtype))
    assert energies.dtype == np.float32
    assert_allclose(energies, -LOG(probs), rtol=0, atol=0.01 if dtype == np.float16 else 1e-5)


def test_any_layout_will_do_and_nothing_is_changed():
    probs = probabilities()
    before = probs.copy()
    expected = unary_from_probs(probs)
    assert_array_equal(unary_from_probs(np.asfortranarray(probs)), expected)
    assert_array_equal(unary_from_probs(np.moveaxis(np.moveaxis(probs, 0, -1).copy(), -1, 0)), expected)
    assert_array_equal(probs, before)


def test_a_probability_of_one_costs_nothing_and_none_costs_less():
    energies = unary_from_probs(np.array([[1.0], [0.0]]))
    assert energies[0, 0] == 0
    assert energies.min() >= 0


def test_energies_give_their_probabilities_back():
    probs = probabilities()
    assert_allclose(DenseCRF(probs.shape[1:], len(probs), []).infer(unary_from_probs(probs)), probs, rtol=0, atol=1e-6)


def test_tensors_are_read(torch):
    probs = probabilities()
    assert_array_equal(unary_from_probs(torch.from_numpy(probs)), unary_from_probs(probs))


# ---- labels -------------------------------------------------------------------------------------------------


def test_a_label_has_its_confidence_and_the_others_share_the_rest():
    energies = unary_from_labels(np.array([0, 2, 1]), 3, confidence=0.8)
    expected = -LOG([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]])
    assert_allclose(energies, expected, rtol=1e-6)
    assert energies.dtype == np.float32


def test_the_confidence_is_seven_tenths_unless_said_otherwise():
    assert_allclose(unary_from_labels(np.array([1]), 4)[:, 0], -LOG([0.1, 0.7, 0.1, 0.1]), rtol=1e-6)
    assert_array_equal(unary_from_labels(np.array([1]), 4), unary_from_labels(np.array([1]), 4, 0.7, None))


def test_where_the_label_is_unsure_all_labels_are_equally_likely():
    labels = np.array([[0, 255], [255, 1]], np.uint8)
    energies = unary_from_labels(labels, 2, confidence=0.9, unsure=255)
    assert_allclose(energies[0], -LOG([[0.9, 0.5], [0.5, 0.1]]), rtol=1e-6)
    assert_allclose(energies[1], -LOG([[0.1, 0.5], [0.5, 0.9]]), rtol=1e-6)


@pytest.mark.parametrize("unsure", [-1, 0, 1, 3, 255, np.uint8(255), np.int64(-1)])
def test_any_value_may_stand_for_no_opinion(unsure):
    labels = np.array([0, 1, 2, int(unsure)], np.int16)
    energies = unary_from_labels(labels, 3, unsure=unsure)
    for label, column in zip(labels, energies.T, strict=True):
        if label == unsure:
            assert_allclose(column, LOG(3), rtol=1e-6)
        else:
            assert column.argmin() == label


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.int64, np.uint64, ">i4"])
def test_labels_of_every_integer_dtype_will_do(dtype):
    labels = np.array([[0, 1, 2], [2, 1, 0]])
    assert_array_equal(unary_from_labels(labels.astype(dtype), 3), unary_from_labels(labels, 3))


def test_unsure_may_be_a_value_that_the_dtype_does_not_have():
    labels = np.array([0, 1], np.uint8)
    for unsure in (-1, 256):
        assert_array_equal(unary_from_labels(labels, 2, unsure=unsure), unary_from_labels(labels, 2))


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 3, 4)], ids=str)
def test_labels_of_any_shape_will_do(shape):
    assert unary_from_labels(np.ones(shape, int), 5).shape == (5, *shape)


@pytest.mark.parametrize("confidence", [0.01, 0.5, 0.999999])
def test_the_probabilities_of_a_label_sum_to_one(confidence):
    for n_labels in (2, 3, 21):
        energies = unary_from_labels(np.array([1, 0, 255]), n_labels, confidence, unsure=255)
        assert_allclose(np.exp(-energies).sum(axis=0), 1, rtol=1e-5)


def test_labels_that_nobody_has_are_as_likely_as_any_other_wrong_one():
    energies = unary_from_labels(np.array([0]), 21)
    assert_allclose(energies[1:, 0], -LOG(0.3 / 20), rtol=1e-6)


def test_one_label_is_all_there_is():
    energies = unary_from_labels(np.zeros((2, 3), int), 1)
    assert energies.shape == (1, 2, 3)
    assert np.isfinite(energies).all()
    assert_allclose(DenseCRF((2, 3), 1, [Gaussian(1, 1)]).infer(energies), 1, rtol=0, atol=1e-6)


def test_all_may_be_unsure():
    assert_allclose(unary_from_labels(np.full((2, 3), 255), 4, unsure=255), LOG(4), rtol=1e-6)


def test_labels_are_not_changed():
    labels = np.array([0, 255, 1], np.uint8)
    unary_from_labels(labels, 2, unsure=255)
    assert_array_equal(labels, [0, 255, 1])


def test_nested_lists_and_tensors_of_labels_are_read(torch):
    expected = unary_from_labels(np.array([[0, 1], [1, 0]]), 2)
    assert_array_equal(unary_from_labels([[0, 1], [1, 0]], 2), expected)
    assert_array_equal(unary_from_labels(torch.tensor([[0, 1], [1, 0]]), 2), expected)
