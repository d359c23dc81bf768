"""What the drop-in refuses: as pydensecrf does, and where pydensecrf crashes or is silently wrong."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from dropin import IMAGE, UNARY, H, L, N, W, crf, crf2d, features, with_terms
from numpy.testing import assert_allclose, assert_array_equal

import densecrf.pydensecrf.densecrf as dcrf
from densecrf.pydensecrf import eigen, utils

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
    (lambda: dcrf.DenseCRF(2**70, 2), "nvar must be below 2^31"),
    (lambda: crf2d().addPairwiseGaussian(itertools.repeat(3.0), 3), "sxy must be a number or 2 of them, got 32"),
    (lambda: crf2d().addPairwiseGaussian(3, 10**400), "compat must be finite"),
    (lambda: crf2d().addPairwiseGaussian(3, 1e300), "compat must be finite"),
    (lambda: crf2d().addPairwiseGaussian(3, np.complex64(1)), "TypeError: must be real number, not complex64"),
    (lambda: crf().setUnary(dcrf.LogisticUnary(np.full((L, 1), 3e38, F32), np.full((1, N), 3e38, F32))), "finite"),
    (lambda: utils.unary_from_softmax(-(UNARY**2), clip=None), "sm must not be negative"),
    (lambda: utils.unary_from_labels([1], 2, 0.7, np.ones(2)), "TypeError: zero_unsure must be true or false"),
    (lambda: utils.unary_from_softmax(UNARY.astype(str)), "TypeError: sm must hold real numbers"),
    (lambda: utils.create_pairwise_bilateral((3, 3), 1, IMAGE, 3), "chdim must be an axis of img"),
    (lambda: utils.create_pairwise_gaussian(itertools.repeat(1.0), (H, W)), "sdims must hold one number"),
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


def test_a_model_that_no_memory_holds_is_refused_at_once():
    with pytest.raises(MemoryError, match="memory"):
        dcrf.DenseCRF2D(2**30, 2**30, 2)
