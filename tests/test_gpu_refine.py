"""`refine` on a GPU: the same answer as on the CPU, in the caller's library."""

import pytest
from inputs import NORMALIZATIONS, scene, softmax
from numpy.testing import assert_allclose

import densecrf
from densecrf import Bilateral, Gaussian

TOLERANCE = 1e-4  # of a marginal: what docs/accuracy.md promises between any two back ends


def assert_as_on_the_cpu(gpu, image, probs, **options):
    """Refines on both; the picture as (H, W, C)."""
    expected = densecrf.refine(image, probs, channel_axis=-1, **options)
    result = densecrf.refine(gpu.put(image), gpu.put(probs), channel_axis=-1, **options)
    assert type(result) is type(gpu.put(probs))
    result = gpu.get(result)
    assert result.dtype == probs.dtype
    assert_allclose(result, expected, rtol=0, atol=TOLERANCE)
    axis = probs.ndim - 3
    assert (result.argmax(axis) == expected.argmax(axis)).mean() >= 0.9999


@pytest.mark.parametrize("preset", densecrf.presets)
def test_every_preset_gives_the_answer_of_the_cpu(preset, gpu):
    image, logits = scene(40, 53, 5)
    assert_as_on_the_cpu(gpu, image, softmax(logits), preset=preset)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_every_normalization_gives_the_answer_of_the_cpu(normalization, gpu):
    image, logits = scene(30, 41, 4)
    terms = [Gaussian((2, 3), 1, normalization), Bilateral(20, (10, 12, 14), 1, normalization)]
    assert_as_on_the_cpu(gpu, image, softmax(logits), terms=terms)
