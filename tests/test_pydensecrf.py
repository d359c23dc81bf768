"""The drop-in's classes: names, arguments, buffers, and what comes out."""

from __future__ import annotations

import array
import copy
import enum
import inspect
import pickle
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from dropin import IMAGE, UNARY, H, L, N, W, answer, crf2d, features, with_terms
from inputs import probabilities
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
import densecrf.pydensecrf.densecrf as dcrf
from densecrf.pydensecrf import eigen, utils

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
