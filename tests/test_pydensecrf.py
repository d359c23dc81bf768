"""The drop-in behaves as pydensecrf does, and says what is wrong where pydensecrf crashes or is silently wrong."""

from __future__ import annotations

import array
import copy
import enum
import inspect
import logging
import pickle
import re
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from inputs import picture, probabilities
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
import densecrf.pydensecrf.densecrf as dcrf
from densecrf.pydensecrf import eigen, utils

L, H, W = 4, 12, 10
N = H * W
IMAGE = picture(H, W, 3)
UNARY = -np.log(probabilities(L, H, W)).reshape(L, -1)


def crf2d():
    crf = dcrf.DenseCRF2D(W, H, L)
    crf.setUnaryEnergy(UNARY)
    return crf


def crf():
    crf = dcrf.DenseCRF(N, L)
    crf.setUnaryEnergy(UNARY)
    return crf


def with_terms():
    crf = crf2d()
    crf.addPairwiseGaussian(sxy=2, compat=1)
    crf.addPairwiseBilateral(sxy=6, srgb=40, rgbim=IMAGE, compat=2)
    return crf


def answer(add, iterations=3):
    """Marginals of a picture with the terms that ``add(crf)`` adds."""
    crf = crf2d()
    add(crf)
    return np.array(crf.inference(iterations))


def features(d=2, n=N):
    return np.random.default_rng(3).normal(size=(d, n)).astype(np.float32)


# ---- what can be imported -----------------------------------------------------------------------------------


def test_densecrf_does_not_import_it():
    program = "import sys, densecrf; print('densecrf.pydensecrf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_the_package_gives_its_modules():
    program = "import densecrf.pydensecrf as p; p.densecrf.DenseCRF; p.utils.unary_from_softmax; p.eigen.matrixXf"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_enums_have_pydensecrfs_members_and_numbers():
    assert {kind.name: kind.value for kind in dcrf.KernelType} == {
        "CONST_KERNEL": 0,
        "DIAG_KERNEL": 1,
        "FULL_KERNEL": 2,
    }
    assert {kind.name: kind.value for kind in dcrf.NormalizationType} == {
        "NO_NORMALIZATION": 0,
        "NORMALIZE_BEFORE": 1,
        "NORMALIZE_AFTER": 2,
        "NORMALIZE_SYMMETRIC": 3,
    }


@pytest.mark.parametrize("member", [*dcrf.KernelType, *dcrf.NormalizationType], ids=lambda member: member.name)
def test_members_are_attributes_of_the_module(member):
    assert getattr(dcrf, member.name) is member
    assert isinstance(member, enum.IntEnum)


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (dcrf.DenseCRF, "nvar, nlabels"),
        (dcrf.DenseCRF2D, "w, h, nlabels"),
        (dcrf.ConstUnary, "u"),
        (dcrf.LogisticUnary, "L, f"),
        (dcrf.DenseCRF.setUnaryEnergy, "self, u, f=None"),
        (dcrf.DenseCRF.setUnary, "self, u"),
        (dcrf.DenseCRF.addPairwiseEnergy, "self, features, compat, kernel=1, normalization=3"),
        (dcrf.DenseCRF2D.addPairwiseGaussian, "self, sxy, compat, kernel=1, normalization=3"),
        (dcrf.DenseCRF2D.addPairwiseBilateral, "self, sxy, srgb, rgbim, compat, kernel=1, normalization=3"),
        (dcrf.DenseCRF.inference, "self, niter"),
        (dcrf.DenseCRF.startInference, "self"),
        (dcrf.DenseCRF.stepInference, "self, Q, tmp1, tmp2"),
        (dcrf.DenseCRF.klDivergence, "self, Q"),
        (eigen.vectorXf, "arr"),
        (eigen.matrixXf, "arr"),
        (utils.unary_from_labels, "labels, n_labels, gt_prob, zero_unsure=True"),
        (utils.unary_from_softmax, "sm, scale=None, clip=1e-05"),
        (utils.compute_unary, "labels, M, GT_PROB=0.5"),
        (utils.softmax_to_unary, "sm, GT_PROB=1"),
        (utils.create_pairwise_gaussian, "sdims, shape"),
        (utils.create_pairwise_bilateral, "sdims, schan, img, chdim=-1"),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_arguments_have_pydensecrfs_names_and_defaults(function, parameters):
    found = inspect.signature(function).parameters.values()
    shown = [
        one.name
        if one.default is one.empty
        else f"{one.name}={int(one.default)}"
        if isinstance(one.default, enum.IntEnum)
        else f"{one.name}={one.default}"
        for one in found
    ]
    assert ", ".join(shown) == parameters


# ---- what comes out -----------------------------------------------------------------------------------------


def test_marginals_are_a_buffer_of_floats():
    Q = with_terms().inference(3)
    view = memoryview(Q)
    assert (view.format, view.shape, view.itemsize, view.readonly) == ("f", (L, N), 4, False)
    assert type(np.array(Q)) is np.ndarray
    assert np.array(Q).dtype == np.float32
    assert_allclose(np.array(Q).sum(axis=0), 1, atol=1e-5)


def test_marginals_are_a_plain_array_to_numpy():
    Q = with_terms().inference(3)
    for made in (np.argmax(Q, axis=0), np.asarray(Q), 2 * Q, Q.sum(axis=0), np.stack([Q, Q])):
        assert type(made) is np.ndarray
    assert np.argmax(Q, axis=0).reshape(H, W).shape == (H, W)
    out = np.empty((L, N), np.float32)
    assert np.add(Q, 1, out=out) is out
    assert_allclose(out, np.array(Q) + 1)


def test_marginals_can_be_looked_into_and_written_to():
    Q = with_terms().inference(3)
    np.asarray(Q)[0, 0] = 7
    assert np.array(Q)[0, 0] == 7


def test_negative_iterations_are_none():
    expected = np.exp(-UNARY) / np.exp(-UNARY).sum(axis=0)
    for iterations in (0, -1, -100):
        assert_allclose(with_terms().inference(iterations), expected, atol=1e-6)


def test_no_unary_is_zeros():
    crf = dcrf.DenseCRF2D(W, H, L)
    crf.addPairwiseBilateral(6, 40, IMAGE, 2)
    assert_allclose(crf.inference(3), np.full((L, N), 1 / L), atol=1e-6)
    Q, tmp1, tmp2 = crf.startInference()
    assert not np.any(Q)
    assert crf.klDivergence(Q) == 0
    crf.stepInference(Q, tmp1, tmp2)
    assert_allclose(Q, np.full((L, N), 1 / L), atol=1e-6)


def test_steps_write_to_the_marginals_they_are_given():
    crf = with_terms()
    Q, tmp1, tmp2 = crf.startInference()
    assert isinstance(Q, eigen.MatrixXf)
    assert [np.array(one).shape for one in (Q, tmp1, tmp2)] == [(L, N), (0, 0), (0, 0)]
    seen = np.asarray(Q)
    for _ in range(3):
        assert crf.stepInference(Q, tmp1, tmp2) is None
    assert_allclose(seen, crf.inference(3), atol=2e-6)


def test_steps_start_from_any_marginals():
    crf = with_terms()
    Q = eigen.matrixXf(np.array(crf.inference(2)))
    crf.stepInference(Q, eigen.MatrixXf(), eigen.MatrixXf())
    assert_allclose(Q, crf.inference(3), atol=2e-6)


def test_divergence_is_pydensecrfs():
    """Its pairwise part counts every pair twice."""
    crf, Q = with_terms(), with_terms().inference(4)
    native = densecrf.DenseCRF(IMAGE, L, [densecrf.Gaussian(2, 1), densecrf.Bilateral(6, 40, 2)])
    q = np.array(Q, np.float64)
    message = native.message(np.array(Q).reshape(L, H, W)).reshape(L, N)
    found = crf.klDivergence(Q)
    assert type(found) is float
    assert found == pytest.approx((q * (np.log(q) + UNARY - message)).sum(), rel=1e-5)


def test_terms_can_be_added_after_inference():
    crf = crf2d()
    crf.addPairwiseGaussian(2, 1)
    before = np.array(crf.inference(3))
    crf.addPairwiseBilateral(6, 40, IMAGE, 2)
    assert np.abs(np.array(crf.inference(3)) - before).max() > 0.01
    assert_array_equal(crf.inference(3), with_terms().inference(3))


def test_unary_can_be_set_again():
    crf = with_terms()
    expected = np.array(crf.inference(3))
    crf.setUnaryEnergy(UNARY[::-1].copy())
    assert np.abs(np.array(crf.inference(3)) - expected).max() > 0.1
    crf.setUnaryEnergy(UNARY)
    assert_array_equal(crf.inference(3), expected)


def test_nothing_the_caller_does_to_his_arrays_later_matters():
    image, unary, feats, compat = IMAGE.copy(), UNARY.copy(), features(), -np.ones(L, np.float32)
    crf = dcrf.DenseCRF2D(W, H, L)
    crf.setUnaryEnergy(unary)
    crf.addPairwiseBilateral(6, 40, image, 2)
    crf.addPairwiseEnergy(feats, compat)
    expected = np.array(copy.deepcopy(crf).inference(3))
    for one in (image, unary, feats, compat):
        one[...] = 0
    assert_array_equal(crf.inference(3), expected)


def test_a_model_can_be_pickled():
    crf = with_terms()
    assert_array_equal(pickle.loads(pickle.dumps(crf)).inference(3), crf.inference(3))


def test_subclasses_work():
    class Mine(dcrf.DenseCRF2D):
        def __init__(self, image, nlabels):
            super().__init__(image.shape[1], image.shape[0], nlabels)
            self.image = image

    assert np.array(Mine(IMAGE, L).inference(1)).shape == (L, N)


def test_the_readmes_way_through():
    d = dcrf.DenseCRF2D(W, H, L)
    U = utils.unary_from_softmax(probabilities(L, H, W))
    d.setUnaryEnergy(U)
    how = {"kernel": dcrf.DIAG_KERNEL, "normalization": dcrf.NORMALIZE_SYMMETRIC}
    d.addPairwiseGaussian(sxy=(3, 3), compat=3, **how)
    d.addPairwiseBilateral(sxy=(80, 80), srgb=(13, 13, 13), rgbim=IMAGE, compat=10, **how)
    Q = d.inference(5)
    assert np.argmax(Q, axis=0).reshape((H, W)).shape == (H, W)
    native = densecrf.refine(IMAGE, probabilities(L, H, W), preset="densecrf", iterations=5)
    assert_allclose(np.array(Q).reshape(L, H, W), native, atol=2e-6)


# ---- forms of arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sxy", [2.0, (2, 2), [2, 2], np.array([2, 2.0]), np.float32(2), Fraction(2), Decimal(2)])
def test_forms_of_sigmas(sxy):
    expected = answer(lambda crf: crf.addPairwiseBilateral(2, 40, IMAGE, 2))
    assert_array_equal(answer(lambda crf: crf.addPairwiseBilateral(sxy, (40, 40, 40), IMAGE, 2)), expected)


def test_sx_comes_before_sy():
    crf = crf2d()
    crf.addPairwiseGaussian((1, 5), 2)
    other = dcrf.DenseCRF(N, L)
    other.setUnaryEnergy(UNARY)
    y, x = np.indices((H, W), np.float32)
    other.addPairwiseEnergy(np.stack([x / 1, y / 5]).reshape(2, -1), 2)
    assert_allclose(crf.inference(3), other.inference(3), atol=1e-5)


@pytest.mark.parametrize("compat", [2.0, np.float32(2), np.int64(2), Fraction(2), Decimal(2)])
def test_forms_of_a_number(compat):
    expected = answer(lambda crf: crf.addPairwiseGaussian(2, 2))
    assert_array_equal(answer(lambda crf: crf.addPairwiseGaussian(2, compat)), expected)


@pytest.mark.parametrize(
    "array_of_it",
    [
        np.full(L, -2, np.float32),
        array.array("f", [-2] * L),
        eigen.vectorXf(np.full(L, -2, np.float32)),
        -2 * np.eye(L, dtype=np.float32),
        eigen.matrixXf(-2 * np.eye(L, dtype=np.float32)),
    ],
    ids=["vector", "array.array", "VectorXf", "matrix", "MatrixXf"],
)
def test_arrays_have_the_opposite_sign_of_numbers(array_of_it):
    expected = answer(lambda crf: crf.addPairwiseGaussian(2, 2))
    assert_allclose(answer(lambda crf: crf.addPairwiseGaussian(2, array_of_it)), expected, atol=2e-6)


def test_a_negative_number_repels():
    expected = answer(lambda crf: crf.addPairwiseGaussian(2, np.full(L, 0.5, np.float32)))
    assert_allclose(answer(lambda crf: crf.addPairwiseGaussian(2, -0.5)), expected, atol=2e-6)


def test_a_matrix_is_symmetrised():
    matrix = np.random.default_rng(0).normal(size=(L, L)).astype(np.float32)
    first = answer(lambda crf: crf.addPairwiseGaussian(2, matrix))
    second = answer(lambda crf: crf.addPairwiseGaussian(2, matrix.T.copy()))
    assert_allclose(first, second, atol=2e-6)


@pytest.mark.parametrize("kernel", [0, 1, 2, dcrf.CONST_KERNEL, dcrf.FULL_KERNEL, np.int64(1), 1.0])
def test_kernels_are_all_the_same(kernel):
    expected = answer(lambda crf: crf.addPairwiseGaussian(2, 2))
    assert_array_equal(answer(lambda crf: crf.addPairwiseGaussian(2, 2, kernel)), expected)


@pytest.mark.parametrize("member", dcrf.NormalizationType, ids=lambda member: member.name)
def test_normalizations_are_taken_as_members_and_as_numbers(member):
    answers = [
        answer(lambda crf, how=how: crf.addPairwiseGaussian(2, 0.3, dcrf.DIAG_KERNEL, how))
        for how in (member, int(member), getattr(dcrf, member.name))
    ]
    assert_array_equal(answers[0], answers[1])
    assert_array_equal(answers[0], answers[2])
    name = {0: "none", 1: "before", 2: "after", 3: "symmetric"}[int(member)]
    native = densecrf.DenseCRF((H, W), L, [densecrf.Gaussian(2, 0.3, name)])
    assert_array_equal(answers[0], native.infer(UNARY.reshape(L, H, W), 3).reshape(L, N))


def test_sizes_may_be_numpys_or_whole_floats():
    for crf in (dcrf.DenseCRF2D(np.int64(W), float(H), np.uint8(L)), dcrf.DenseCRF(nvar=N, nlabels=L)):
        assert np.array(crf.inference(1.0)).shape == (L, N)


def test_read_only_arrays_are_welcome():
    image, unary = IMAGE.copy(), UNARY.copy()
    image.flags.writeable = unary.flags.writeable = False
    crf = dcrf.DenseCRF2D(W, H, L)
    crf.setUnaryEnergy(unary)
    crf.addPairwiseBilateral(6, 40, image, 2)
    crf.addPairwiseGaussian(2, 1)
    assert_allclose(crf.inference(3), with_terms().inference(3), atol=2e-6)


def test_unaries_as_objects():
    expected = np.array(crf2d().inference(0))
    weights, feats = np.random.default_rng(0).normal(size=(L, 3)).astype(np.float32), features(3)
    crf = dcrf.DenseCRF2D(W, H, L)
    const = dcrf.ConstUnary(UNARY)
    crf.setUnary(const)
    assert_array_equal(crf.inference(0), expected)
    crf.setUnary(dcrf.LogisticUnary(weights, feats))
    energies = weights @ feats
    assert_allclose(crf.inference(0), np.exp(-energies) / np.exp(-energies).sum(axis=0), atol=1e-5)
    crf.setUnary(const)  # which pydensecrf takes away for good
    assert_array_equal(crf.inference(0), expected)


def test_unary_energy_of_features():
    crf = dcrf.DenseCRF(N, L)
    crf.setUnaryEnergy(UNARY, np.eye(N, dtype=np.float32))
    assert_allclose(crf.inference(0), crf2d().inference(0), atol=1e-6)


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


# ---- errors as pydensecrf's ---------------------------------------------------------------------------------

F32, F64 = np.float32, np.float64

SAME = [
    (
        lambda: crf().setUnaryEnergy(np.zeros((L, N - 1), F32)),
        f"Bad shape for unary energy (Need ({L}, {N}), got ({L}, {N - 1}))",
    ),
    (
        lambda: crf().setUnaryEnergy(np.zeros((N, L), F32)),
        f"Bad shape for unary energy (Need ({L}, {N}), got ({N}, {L}))",
    ),
    (lambda: crf().addPairwiseEnergy(features(2, 7), 3), f"Bad shape for pairwise energy (Need (?, {N}), got (2, 7))"),
    (
        lambda: crf2d().addPairwiseBilateral(3, 3, np.zeros((W, H, 3), np.uint8), 3),
        f"Bad shape for pairwise bilateral (Need ({H}, {W}, 3), got ",
    ),
    (
        lambda: crf2d().addPairwiseBilateral(3, 3, np.zeros((H, W, 4), np.uint8), 3),
        "addPairwiseBilateral only works for RGB images",
    ),
    (
        lambda: crf2d().addPairwiseGaussian(3, np.zeros((L, L, L), F32)),
        "LabelCompatibility of dimension >2 not meaningful.",
    ),
    (lambda: crf2d().addPairwiseGaussian(3, np.zeros(L)), "Buffer dtype mismatch, expected 'float' but got 'double'"),
    (lambda: crf().setUnaryEnergy(np.zeros((L, N))), "Buffer dtype mismatch, expected 'float' but got 'double'"),
    (lambda: crf().setUnaryEnergy(np.zeros((L, N), int)), "Buffer dtype mismatch, expected 'float' but got 'long'"),
    (lambda: crf().setUnaryEnergy(np.zeros((L, N), ">f4")), "Buffer dtype mismatch, expected 'float' but got"),
    (lambda: crf().addPairwiseEnergy(np.zeros((2, N)), 3), "Buffer dtype mismatch, expected 'float' but got 'double'"),
    (
        lambda: crf2d().addPairwiseBilateral(3, 3, IMAGE.astype(F32), 3),
        "Buffer dtype mismatch, expected 'unsigned char' but got 'float'",
    ),
    (lambda: dcrf.ConstUnary(np.zeros((L, N))), "Buffer dtype mismatch, expected 'float' but got 'double'"),
    (lambda: eigen.vectorXf(np.zeros(3)), "Buffer dtype mismatch, expected 'float' but got 'double'"),
    (lambda: crf().setUnaryEnergy(UNARY.reshape(L, H, W)), "Buffer has wrong number of dimensions (expected 2, got 3)"),
    (
        lambda: crf2d().addPairwiseBilateral(3, 3, IMAGE[..., 0].copy(), 3),
        "Buffer has wrong number of dimensions (expected 3, got 2)",
    ),
    (lambda: eigen.matrixXf(UNARY[0]), "Buffer has wrong number of dimensions (expected 2, got 1)"),
    (lambda: crf().setUnaryEnergy(np.asfortranarray(UNARY)), "ndarray is not C-contiguous"),
    (lambda: crf().addPairwiseEnergy(features(2, 2 * N)[:, ::2], 3), "ndarray is not C-contiguous"),
    (lambda: crf2d().addPairwiseBilateral(3, 3, IMAGE.transpose(1, 0, 2), 3), "ndarray is not C-contiguous"),
    (lambda: crf().setUnaryEnergy(None), "TypeError: Argument 'u' must not be None"),
    (lambda: crf().addPairwiseEnergy(None, 3), "TypeError: Argument 'features' must not be None"),
    (lambda: crf2d().addPairwiseBilateral(3, 3, None, 3), "TypeError: Argument 'rgbim' must not be None"),
    (lambda: crf().setUnaryEnergy(UNARY.tolist()), "TypeError: a bytes-like object is required, not 'list'"),
    (lambda: crf2d().addPairwiseGaussian(3, [1, 2, 3, 4]), "TypeError: a bytes-like object is required, not 'list'"),
    (lambda: crf2d().addPairwiseGaussian(3, 3j), "TypeError: must be real number, not complex"),
    (lambda: crf2d().addPairwiseGaussian("33", 3), "TypeError: .*must be real number, not str"),
    (lambda: crf2d().addPairwiseGaussian(3, 3, None), "TypeError: an integer is required"),
    (lambda: crf().setUnary(UNARY), "TypeError: Argument 'u' has incorrect type (expected .*Unary, got numpy.ndarray)"),
    (
        lambda: crf().klDivergence(UNARY),
        "TypeError: Argument 'Q' has incorrect type (expected .*MatrixXf, got numpy.ndarray)",
    ),
    (
        lambda: crf().stepInference(UNARY, eigen.MatrixXf(), eigen.MatrixXf()),
        "TypeError: Argument 'Q' has incorrect type (expected .*MatrixXf, got numpy.ndarray)",
    ),
    (lambda: dcrf.DenseCRF(3), "TypeError: .*nlabels"),
    (lambda: utils.unary_from_labels(np.ones(3, int), 3, 1), "AssertionError: `gt_prob must be in (0,1)."),
    (lambda: utils.unary_from_softmax(UNARY, scale=1.5), "AssertionError: `scale` needs to be in (0,1]"),
]


def pattern(words):
    return ".*".join(re.escape(part) for part in words.split(".*"))


def assert_raises(call, expected):
    kind, words = "ValueError", expected
    if re.match(r"\w+Error: ", expected):
        kind, words = expected.split(": ", 1)
    with pytest.raises((TypeError, ValueError, AssertionError), match=pattern(words)) as caught:
        call()
    assert caught.type.__name__ == kind
    assert len(str(caught.value)) < 500  # says what came, and spares us its values


@pytest.mark.parametrize(("call", "expected"), SAME, ids=[words for _, words in SAME])
def test_errors_are_pydensecrfs(call, expected):
    assert_raises(call, expected)


# ---- errors where pydensecrf crashes or is silently wrong ---------------------------------------------------


def spoilt(values, value):
    values = values.copy()
    values.flat[3] = value
    return values


BETTER = [
    (lambda: crf().setUnaryEnergy(spoilt(UNARY, np.nan)), "Unary energies must be finite"),
    (lambda: crf().setUnaryEnergy(spoilt(UNARY, np.inf)), "Unary energies must be finite.*clip"),
    (lambda: crf().setUnary(dcrf.ConstUnary(spoilt(UNARY, np.nan))), "Unary energies must be finite"),
    (lambda: crf().setUnary(dcrf.ConstUnary(UNARY[:, 1:].copy())), "Bad shape for unary energy"),
    (lambda: crf().setUnary(None), "TypeError: Argument 'u' has incorrect type"),
    (lambda: crf().setUnary(dcrf.Unary()), "TypeError: Argument 'u' must be a ConstUnary or a LogisticUnary"),
    (lambda: dcrf.LogisticUnary(np.ones((L, 3), F32), features(2)), "Bad shape for f"),
    (lambda: crf().setUnaryEnergy(UNARY, features(3)), "Bad shape for f"),
    (lambda: crf().addPairwiseEnergy(spoilt(features(), np.nan), 3), "features must be finite"),
    (lambda: dcrf.DenseCRF(4, L).addPairwiseEnergy(spoilt(features(1, 4), 1e30), 3), "a sigma too small"),
    (lambda: crf().addPairwiseEnergy(np.zeros((0, N), F32), 3), "features must have shape"),
    (lambda: crf2d().addPairwiseGaussian(0, 3), "sxy is a standard deviation and must be positive"),
    (lambda: crf2d().addPairwiseGaussian((3, -1), 3), "sxy is a standard deviation and must be positive"),
    (lambda: crf2d().addPairwiseGaussian(np.nan, 3), "sxy must be finite"),
    (lambda: crf2d().addPairwiseGaussian((3, 3, 3), 3), "sxy must be a number or 2 of them, got 3"),
    (lambda: crf2d().addPairwiseGaussian((3,), 3), "sxy must be a number or 2 of them, got 1"),
    (lambda: crf2d().addPairwiseGaussian(None, 3), "TypeError: sxy must be a number or 2 of them"),
    (lambda: crf2d().addPairwiseBilateral(3, 0, IMAGE, 3), "srgb is a standard deviation and must be positive"),
    (lambda: crf2d().addPairwiseBilateral(3, (3, 3), IMAGE, 3), "srgb must be a number or 3 of them, got 2"),
    (lambda: crf2d().addPairwiseBilateral(3, 1e-9, IMAGE, 3), "a sigma too small"),
    (lambda: crf2d().addPairwiseGaussian(3, np.nan), "compat must be finite"),
    (lambda: crf2d().addPairwiseGaussian(3, np.full(L, np.inf, F32)), "compat must be finite"),
    (
        lambda: crf2d().addPairwiseGaussian(3, np.ones(L + 1, F32)),
        f"Bad shape for compat (Need ({L},), got ({L + 1},))",
    ),
    (
        lambda: crf2d().addPairwiseGaussian(3, np.ones((L, 2), F32)),
        f"Bad shape for compat (Need ({L}, {L}), got ({L}, 2))",
    ),
    (lambda: crf2d().addPairwiseGaussian(3, 3, kernel=5), "kernel must be one of CONST_KERNEL (0)"),
    (lambda: crf2d().addPairwiseGaussian(3, 3, normalization=-1), "normalization must be one of NO_NORMALIZATION (0)"),
    (lambda: crf2d().addPairwiseGaussian(3, 3, 1.5), "kernel must be a whole number"),
    (lambda: dcrf.DenseCRF(0, 2), "nvar must be at least 1, got 0"),
    (lambda: dcrf.DenseCRF(-4, 2), "nvar must be at least 1, got -4"),
    (lambda: dcrf.DenseCRF2D(0, 3, 2), "w must be at least 1, got 0"),
    (lambda: dcrf.DenseCRF2D(10.5, 3, 2), "w must be a whole number, got 10.5"),
    (lambda: dcrf.DenseCRF(4, 1), "nlabels must be at least 2, got 1"),
    (lambda: crf().stepInference(None, None, None), "TypeError: Argument 'Q' has incorrect type"),
    (lambda: crf().stepInference(crf().inference(0), None, None), "TypeError: Argument 'tmp1' has incorrect type"),
    (lambda: crf().klDivergence(eigen.MatrixXf()), f"Bad shape for Q (Need ({L}, {N}), got (0, 0))"),
    (lambda: crf().klDivergence(eigen.matrixXf(spoilt(UNARY, np.nan))), "Q must be finite"),
    (lambda: utils.unary_from_labels(np.array([1, 4]), 3, 0.7), "labels must lie in 0..3.*got 1 to 4"),
    (lambda: utils.unary_from_labels(np.array([-1, 2]), 3, 0.7), "labels must lie in 0..3.*got -1 to 2"),
    (lambda: utils.unary_from_labels(np.array([3]), 3, 0.7, False), "labels must lie in 0..2"),
    (lambda: utils.unary_from_labels(np.array([1.0]), 3, 0.7), "TypeError: labels must be integers, got float64"),
    (lambda: utils.unary_from_labels(np.array([1]), 1, 0.7), "n_labels must be at least 2"),
    (lambda: utils.unary_from_softmax(spoilt(UNARY, np.nan)), "sm must not hold NaN"),
    (lambda: utils.create_pairwise_gaussian((3,), (H, W)), "sdims must hold one number for each of 2 axes, got 1"),
    (lambda: utils.create_pairwise_gaussian((3, 0), (H, W)), "sdims are standard deviations and must be positive"),
    (
        lambda: utils.create_pairwise_bilateral((3, 3), (1, 2), IMAGE, 2),
        "schan must hold one number for each of 3 channels",
    ),
    (
        lambda: utils.create_pairwise_bilateral((3, 3), -1, IMAGE, 2),
        "schan are standard deviations and must be positive",
    ),
    (lambda: utils.create_pairwise_bilateral((3, 3), 1, IMAGE), "sdims must hold one number for each of 3 axes, got 2"),
    (lambda: utils.create_pairwise_bilateral((3, 3), 1, spoilt(IMAGE.astype(F32), np.inf), 2), "img must be finite"),
]


@pytest.mark.parametrize(("call", "expected"), BETTER, ids=[words for _, words in BETTER])
def test_errors_where_pydensecrf_has_none(call, expected):
    assert_raises(call, expected)


def test_a_refused_term_leaves_the_model_as_it_was():
    crf = with_terms()
    expected = np.array(crf.inference(3))
    with pytest.raises(ValueError, match="a sigma too small"):
        crf.addPairwiseBilateral(3, 1e-9, IMAGE[::-1].copy(), 3)
    assert_array_equal(crf.inference(3), expected)


def test_no_values_overflow_a_key():
    """Positions 40000 sigmas apart wrap around in pydensecrf's 16 bits; here far points stay far."""
    crf = dcrf.DenseCRF(4, 2)
    crf.setUnaryEnergy(np.array([[0, 1, 0, 1], [1, 0, 1, 0]], F32))
    crf.addPairwiseEnergy(np.array([[0, 43690.67, 87381.33, 131072]], F32), 0.5)
    alone = dcrf.DenseCRF(4, 2)
    alone.setUnaryEnergy(np.array([[0, 1, 0, 1], [1, 0, 1, 0]], F32))
    alone.addPairwiseEnergy(np.array([[0, 1000, 2000, 3000]], F32), 0.5)
    assert_allclose(crf.inference(5), alone.inference(5), atol=0.02)
