"""Volumes in one call."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
from densecrf import Bilateral, Features, Gaussian, refine_volume

SHAPE = (6, 9, 7)
TERMS = [Gaussian((2, 3, 4), 2), Bilateral(6, 200, 3)]  # x, y, z


def scan(*shape):
    return np.random.default_rng(1).integers(-500, 500, shape or SHAPE).astype(np.int16)


def probs(*shape):
    scores = np.exp(np.random.default_rng(2).normal(size=shape or (3, *SHAPE)))
    return (scores / scores.sum(axis=0)).astype(np.float32)


def test_a_volume_is_refined_as_the_model_does_it():
    crf = densecrf.DenseCRF(scan(), 3, TERMS, channel_axis=None)
    expected = crf.infer(densecrf.unary_from_probs(probs()), 4)
    assert_array_equal(refine_volume(scan(), probs(), TERMS, iterations=4), expected)
    assert np.abs(expected - probs()).max() > 0.1


def test_spacing_is_z_y_x_and_sigmas_are_in_its_units():
    in_voxels = [Gaussian((2 / 0.5, 3 / 2, 4 / 5), 2), Bilateral((6 / 0.5, 6 / 2, 6 / 5), 200, 3)]
    found = refine_volume(scan(), probs(), TERMS, spacing=(5, 2, 0.5))
    assert_allclose(found, refine_volume(scan(), probs(), in_voxels), atol=1e-6)
    assert np.abs(found - refine_volume(scan(), probs(), TERMS)).max() > 0.01


def test_channels_may_lie_on_any_axis():
    volume = scan(*SHAPE, 2)
    found = refine_volume(volume, probs(), TERMS, channel_axis=-1)
    assert_array_equal(refine_volume(np.moveaxis(volume, -1, 0), probs(), TERMS, channel_axis=0), found)


def test_features_are_left_as_they_are():
    features = [Features(np.random.default_rng(0).random((2, np.prod(SHAPE))), 2)]
    assert_array_equal(
        refine_volume(scan(), probs(), features, spacing=(5, 2, 1)), refine_volume(scan(), probs(), features)
    )


def test_a_volume_one_voxel_deep_is_a_picture():
    terms = [Gaussian((2, 2), 3)]
    flat = refine_volume(scan(9, 7), probs(3, 9, 7), terms)
    assert_allclose(flat, densecrf.refine(scan(9, 7), probs(3, 9, 7), terms=terms), atol=1e-6)


def test_tensors_come_back_as_tensors():
    torch = pytest.importorskip("torch")
    found = refine_volume(torch.from_numpy(scan()), torch.from_numpy(probs()).half(), TERMS)
    assert found.dtype == torch.float16
    assert found.shape == (3, *SHAPE)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("same size.*channel_axis", {"volume": scan(6, 9, 8)}),
        ("spacing must be 3 numbers", {"spacing": (1, 2)}),
        ("spacing must be 3 numbers", {"spacing": 2.0}),
        ("spacing must be positive", {"spacing": (1, 0, 1)}),
        ("sum to 1", {"probs": probs() * 2}),
        ("refine_volume: terms must be a list", {"terms": None}),
        ("refine_volume: terms must hold", {"terms": [3]}),
        ("refine_volume: Gaussian.* 2 position sigmas", {"terms": [Gaussian((1, 2), 1)]}),
    ],
)
def test_what_does_not_fit_is_refused(words, arguments):
    with pytest.raises((TypeError, ValueError), match=words):
        refine_volume(**{"volume": scan(), "probs": probs(), "terms": TERMS, **arguments})
