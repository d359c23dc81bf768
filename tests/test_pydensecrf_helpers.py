"""The drop-in's eigen and utils."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from dropin import IMAGE, UNARY, H, L, N, W, crf2d
from inputs import probabilities
from numpy.testing import assert_allclose, assert_array_equal

from densecrf.pydensecrf import eigen, utils

# ---- eigen --------------------------------------------------------------------------------------------------


def test_vectors_and_matrices_copy():
    for make, values in ((eigen.vectorXf, UNARY[0]), (eigen.matrixXf, UNARY)):
        made = make(values)
        assert_array_equal(np.array(made), values)
        assert not np.may_share_memory(np.asarray(made), values)
        assert memoryview(made).shape == values.shape
    assert isinstance(eigen.vectorXf(UNARY[0]), eigen.VectorXf)
    assert isinstance(eigen.matrixXf(UNARY), eigen.MatrixXf)


def test_empty_vectors_and_matrices():
    assert memoryview(eigen.VectorXf()).shape == (0,)
    assert memoryview(eigen.MatrixXf()).shape == (0, 0)


# ---- utils --------------------------------------------------------------------------------------------------


def test_unary_from_labels_with_an_unsure_zero():
    labels = np.array([[0, 1], [3, 2]])
    right, wrong, unsure = -np.log(0.7), -np.log(0.15), np.log(3)
    expected = [[unsure, right, wrong, wrong], [unsure, wrong, wrong, right], [unsure, wrong, right, wrong]]
    for kind in (np.int64, np.uint8):
        found = utils.unary_from_labels(labels.astype(kind), 3, 0.7)
        assert found.dtype == np.float32
        assert_allclose(found, expected, rtol=1e-6)


def test_unary_from_labels_with_an_ordinary_zero():
    right, wrong = -np.log(0.9), -np.log(0.1)
    expected = [[right, wrong], [wrong, right]]
    assert_allclose(utils.unary_from_labels(np.array([0, 1]), 2, 0.9, zero_unsure=False), expected, rtol=1e-6)
    assert_allclose(utils.unary_from_labels(np.array([False, True]), 2, 0.9, False), expected, rtol=1e-6)


def test_unary_from_softmax():
    probs = np.array([[[0.2, 1.0]], [[0.8, 0.0]]])
    found = utils.unary_from_softmax(probs)
    assert found.dtype == np.float32
    assert found.shape == (2, 2)
    assert_allclose(found, -np.log([[0.2, 1], [0.8, 1e-5]]), rtol=1e-6, atol=1e-7)
    assert_allclose(utils.unary_from_softmax(probs, scale=0.5), -np.log([[0.35, 0.75], [0.65, 0.25]]), rtol=1e-6)
    assert_allclose(utils.unary_from_softmax(probs, clip=0.3), -np.log([[0.3, 1], [0.8, 0.3]]), rtol=1e-6, atol=1e-7)


def test_energies_can_be_set_whatever_the_layout_of_the_probabilities():
    for probs in (np.asfortranarray(probabilities(L, H, W)), np.asfortranarray(probabilities(L, H, W).reshape(L, N))):
        crf2d().setUnaryEnergy(utils.unary_from_softmax(probs))


@pytest.mark.parametrize("old", ["compute_unary", "softmax_to_unary"])
def test_deprecated_helpers_say_so_and_work(old, caplog):
    with caplog.at_level(logging.WARNING):
        if old == "compute_unary":
            labels = np.array([0, 1, 2])
            assert_array_equal(utils.compute_unary(labels, 2, 0.6), utils.unary_from_labels(labels, 2, 0.6))
            assert_array_equal(utils.compute_unary(labels, 2), utils.unary_from_labels(labels, 2, 0.5))
        else:
            probs = probabilities(L, H, W)
            assert_array_equal(utils.softmax_to_unary(probs), utils.unary_from_softmax(probs, clip=None))
            assert_array_equal(utils.softmax_to_unary(probs, 0.9), utils.unary_from_softmax(probs, 0.9, clip=None))
    new = {"compute_unary": "unary_from_labels", "softmax_to_unary": "unary_from_softmax"}[old]
    assert {record.getMessage() for record in caplog.records} == {f"pydensecrf.{old} is deprecated, use {new} instead."}


def test_features_come_in_the_order_of_the_axes():
    y, x = np.indices((H, W))
    gaussian = utils.create_pairwise_gaussian((2, 5), (H, W))
    assert gaussian.dtype == np.float32
    assert_allclose(gaussian, np.stack([y / 2, x / 5]).reshape(2, -1), rtol=1e-6)
    colours = (np.moveaxis(IMAGE, -1, 0) / np.reshape([7, 8, 9], (3, 1, 1))).reshape(3, -1)
    expected = np.concatenate([gaussian, colours])
    for image, axis in ((IMAGE, 2), (np.moveaxis(IMAGE, -1, 0), 0), (np.moveaxis(IMAGE, -1, 1), 1)):
        assert_allclose(utils.create_pairwise_bilateral((2, 5), (7, 8, 9), image, chdim=axis), expected, rtol=1e-6)


def test_features_of_an_image_without_channels_and_of_any_dimension():
    volume = np.random.default_rng(0).uniform(size=(3, 4, 5))
    found = utils.create_pairwise_bilateral((1, 2, 4), 0.1, volume)
    assert found.shape == (4, 60)
    assert_allclose(found[3], volume.ravel() / 0.1, rtol=1e-5)
    assert_array_equal(found[:3], utils.create_pairwise_gaussian((1, 2, 4), (3, 4, 5)))


@pytest.mark.parametrize("sigma", [1e-45, 1e-300])
def test_a_standard_deviation_too_small_for_float32_is_refused(sigma):
    with pytest.raises(ValueError, match="sdims has a standard deviation too small for float32"):
        utils.create_pairwise_gaussian((sigma, 1), (3, 4))
    with pytest.raises(ValueError, match="schan has a standard deviation too small for float32"):
        utils.create_pairwise_bilateral((1, 1), sigma, np.ones((3, 4, 3), np.uint8), chdim=2)


def test_a_standard_deviation_too_large_for_float32_makes_all_alike():
    assert not utils.create_pairwise_bilateral((1e39, 1e39), 1e39, np.ones((3, 4, 3), np.uint8), chdim=2).any()


def test_what_is_neither_true_nor_false_is_refused():
    for value in (NotImplemented, np.ones(2)):
        with pytest.raises(TypeError, match="zero_unsure must be true or false"):
            utils.unary_from_labels(np.zeros(3, int), 2, 0.7, value)


def test_a_tensor_without_values_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="labels must be an array of numbers, got Tensor"):
        utils.unary_from_labels(torch._efficientzerotensor(3, 4), 2, 0.7)
