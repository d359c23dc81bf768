"""Batches on a GPU: bit for bit what each picture gives alone, and as on the CPU."""

import numpy as np
import pytest
from gpus import assert_as_on_the_cpu, one_library
from inputs import picture, probabilities, scene, softmax
from numpy.testing import assert_array_equal

import densecrf
from densecrf import Bilateral, DenseCRF, Features, Gaussian, _gpu_refine
from densecrf._request import make_call

TERMS = [Gaussian((1.7, 2.3), 1), Bilateral((15, 11), (21, 33, 27), 1.5)]


def batch_of(size, labels, height, width):
    """Pictures and probabilities, each of its own."""
    pairs = [scene(height, width, labels, seed=seed) for seed in range(size)]
    return np.stack([image for image, _ in pairs]), np.stack([softmax(logits) for _, logits in pairs])


def refine(gpu, images, scores, **options):
    options = {"terms": TERMS, "channel_axis": -1, "iterations": 5, **options}
    return gpu.get(densecrf.refine(gpu.put(images), gpu.put(scores), **options))


def assert_bits_of_pictures_alone(gpu, images, scores, **options):
    alone = [refine(gpu, image, one, **options) for image, one in zip(images, scores, strict=True)]
    together = refine(gpu, images, scores, **options)
    assert_array_equal(together, np.stack(alone))
    return together


# ---- the same bits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_a_batch_has_the_bits_of_its_pictures_alone_and_is_as_on_the_cpu(size, gpu):
    images, scores = batch_of(size, 5, 16, 21)
    assert_bits_of_pictures_alone(gpu, images, scores)
    assert_as_on_the_cpu(gpu, images, scores, terms=TERMS, iterations=5)


@one_library
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (5, 1)], ids=str)
def test_batches_of_slight_pictures_have_the_bits_of_these_alone(size, gpu):
    assert_bits_of_pictures_alone(gpu, *batch_of(3, 4, *size))


@one_library
@pytest.mark.parametrize("terms", [[], [Gaussian(2, 0)], TERMS[:1], TERMS[1:]], ids=["none", "silent", "near", "far"])
@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_batches_without_much_to_do_have_the_bits_of_their_pictures_alone(iterations, terms, gpu):
    assert_bits_of_pictures_alone(gpu, *batch_of(3, 4, 9, 10), terms=terms, iterations=iterations)


@one_library
def test_pictures_of_few_and_of_many_vertices_go_together(gpu):
    images, scores = batch_of(4, 4, 70, 70)
    images[0] = images[2] = 7  # of one colour: long rows only
    images[1] = picture(70, 70, 3)  # noise: short ones
    terms = [Gaussian(500, 0.5), Bilateral(300, 4, 1)]
    assert_bits_of_pictures_alone(gpu, images, scores, terms=terms)
    assert_as_on_the_cpu(gpu, images, scores, terms=terms)


@one_library
def test_batches_with_weights_for_labels_have_the_bits_of_their_pictures_alone(gpu):
    matrix = np.random.default_rng(0).uniform(-0.3, 0.5, size=(4, 4))
    terms = [Gaussian(1, [0.5, 0.2, 0.1, 0.4]), Bilateral(9, 20, 0.7, "after"), Gaussian(3, matrix)]
    images, scores = batch_of(3, 4, 9, 10)
    assert_bits_of_pictures_alone(gpu, images, scores, terms=terms)
    assert_as_on_the_cpu(gpu, images, scores, terms=terms)


@one_library
def test_features_are_those_of_every_picture_of_a_batch(gpu):
    features = np.random.default_rng(0).normal(size=(2, 90))
    images, scores = batch_of(3, 4, 9, 10)
    assert_bits_of_pictures_alone(gpu, images, scores, terms=[Features(features, 1.5)])
    assert_as_on_the_cpu(gpu, images, scores, terms=[Features(features, 1.5), Bilateral(9, 20, 0.7)])


@one_library
@pytest.mark.parametrize("srgb", [2.0**-k for k in range(-4, 9)])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_pictures_are_told_apart_whatever_room_their_keys_leave(channels, srgb, gpu):
    """The number of the picture stands above the coordinates, in a word of its own where there is no bit left."""
    images = np.random.default_rng(0).integers(0, 3, size=(5, 4, 5, channels)).astype(np.uint8)
    images[:, 0, 0] = 255
    scores = probabilities(5, 3, 4, 5)
    assert_bits_of_pictures_alone(gpu, images, scores, terms=[Bilateral(2, srgb, 1)])
    assert_as_on_the_cpu(gpu, images, scores, terms=[Bilateral(2, srgb, 1)], iterations=3)


def test_grey_pictures_may_be_a_batch(gpu):
    images, scores = batch_of(3, 4, 9, 10)
    assert_bits_of_pictures_alone(gpu, images[..., 0], scores, terms=[Bilateral(5, 20, 1)], channel_axis=None)


def test_a_batch_may_be_logits(gpu):
    images, scores = batch_of(3, 4, 9, 10)
    assert_bits_of_pictures_alone(gpu, images, 3 * np.log(scores), from_logits=True)


def test_each_picture_leaves_out_its_own_labels(gpu):
    rng = np.random.default_rng(0)
    images, few = batch_of(5, 3, 20, 25)
    scores = rng.normal(-12, 0.3, size=(5, 21, 20, 25)).astype(np.float32)
    for number, (one, likely) in enumerate(zip(scores, few, strict=True)):
        one[rng.permutation(21)[:3]] = np.log(likely) - np.log(likely.max(axis=0))
        one[rng.permutation(21)[: 4 * number]] = -2 - rng.random((4 * number, 20, 25))  # of these, more every time
    together = assert_bits_of_pictures_alone(gpu, images, scores, from_logits=True)
    whole = refine(gpu, images, scores, from_logits=True, label_tolerance=0)
    assert (together != whole).any(axis=(1, 2, 3)).sum() >= 3
    assert_as_on_the_cpu(gpu, images, scores, terms=TERMS, iterations=5, from_logits=True)


# ---- floats -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_each_picture_of_floats_has_a_range_of_its_own(dtype, gpu):
    images, scores = batch_of(4, 4, 9, 10)
    floats = images.astype(dtype)
    floats[0] /= 255
    floats[3] = np.minimum(floats[3] / 255, 1)
    assert floats[1].max() > 1 >= floats[0].max()
    assert_bits_of_pictures_alone(gpu, floats, scores)
    assert_as_on_the_cpu(gpu, floats, scores, terms=TERMS)


def test_a_picture_out_of_range_is_refused_in_a_batch_as_alone(gpu):
    images, scores = batch_of(3, 4, 9, 10)
    floats = images.astype(np.float32)
    floats[1] -= 100
    with pytest.raises(ValueError, match=r"densecrf\.refine: .* 0\.\.1 or 0\.\.255, got -") as alone:
        densecrf.refine(floats[1], scores[1])
    with pytest.raises(ValueError, match=r"0\.\.1 or 0\.\.255") as caught:
        refine(gpu, floats, scores)
    assert str(caught.value) == str(alone.value)


# ---- in shares ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 2, 3, 5])
def test_pictures_too_many_for_one_go_are_refined_in_several(at_once, gpu, monkeypatch):
    images, scores = batch_of(5, 4, 9, 10)
    floats = np.stack([image / (255.0 if number % 2 else 1.0) for number, image in enumerate(images)])
    together = {}
    for kind, pictures in {"bytes": images, "floats": floats}.items():
        together[kind] = refine(gpu, pictures, scores)
    shares = []
    answer_share = _gpu_refine._answer_share
    monkeypatch.setattr(_gpu_refine, "MOST_CORNERS", at_once * 9 * 10 * (2 + 3 + 1))
    monkeypatch.setattr(
        _gpu_refine, "_answer_share", lambda *given: shares.append(len(given[3])) or answer_share(*given)
    )
    for kind, pictures in {"bytes": images, "floats": floats}.items():
        assert_array_equal(refine(gpu, pictures, scores), together[kind])
    assert shares == 2 * [min(at_once, 5 - first) for first in range(0, 5, at_once)]


def test_out_may_be_the_probabilities_when_they_are_refined_in_several_goes(gpu, monkeypatch):
    images, scores = batch_of(5, 4, 9, 10)
    expected = refine(gpu, images, scores)
    monkeypatch.setattr(_gpu_refine, "MOST_PICTURES", 2)
    there = gpu.put(scores)
    assert densecrf.refine(gpu.put(images), there, terms=TERMS, channel_axis=-1, iterations=5, out=there) is there
    assert_array_equal(gpu.get(there), expected)


def test_out_may_be_the_probabilities_one_picture_on_or_lie_over_the_images(gpu, monkeypatch):
    images, scores = batch_of(5, 4, 9, 10)
    expected = refine(gpu, images, scores)
    monkeypatch.setattr(_gpu_refine, "MOST_PICTURES", 2)
    memory = gpu.put(np.concatenate([scores, np.zeros_like(scores[:1])]))
    options = {"terms": TERMS, "channel_axis": 1, "iterations": 5}
    floats = np.moveaxis(images, -1, 1).astype(np.float32)
    densecrf.refine(gpu.put(floats), memory[:5], **options, out=memory[1:])
    assert_array_equal(gpu.get(memory[1:]), expected)
    memory = gpu.put(np.zeros((10, 4, 9, 10), np.float32))
    memory[4:9, 1:] = gpu.put(floats)
    densecrf.refine(memory[4:9, 1:], gpu.put(scores), **options, out=memory[5:])
    assert_array_equal(gpu.get(memory[5:]), expected)


def test_a_picture_of_nan_is_refused_wherever_it_is_in_the_batch(gpu, monkeypatch):
    monkeypatch.setattr(_gpu_refine, "MOST_PICTURES", 2)
    images, scores = batch_of(5, 4, 9, 10)
    for number in range(5):
        broken = scores.copy()
        broken[number, 1, 3, 4] = np.nan
        with pytest.raises(ValueError, match=r"densecrf\.refine: probs must be finite, got 1 NaN"):
            refine(gpu, images, broken)
    assert_bits_of_pictures_alone(gpu, images, scores)


def test_a_model_has_the_bits_that_refine_has_for_logits(gpu):
    image, logits = scene(9, 10, 4)
    model = DenseCRF(gpu.put(image), 4, TERMS, channel_axis=-1)
    expected = refine(gpu, image, logits, from_logits=True, label_tolerance=0)
    assert_array_equal(gpu.get(model.infer(gpu.put(-logits), 5)), expected)


@pytest.mark.parametrize(("dims", "at_once"), [(0, 16), (5, 16), (11, 8), (23, 4)])
def test_as_many_pictures_go_together_as_the_term_of_most_dimensions_lets(dims, at_once, gpu, monkeypatch):
    monkeypatch.setattr(_gpu_refine, "MOST_CORNERS", 16 * 6 * 20)
    terms = [Gaussian(3, 1), *([Features(np.zeros((dims, 20), np.float32), 1)] if dims else [])]
    images, probs = np.zeros((2, 4, 5, 3), np.uint8), np.full((2, 2, 4, 5), 0.5, np.float32)
    options = {"terms": terms, "preset": "deeplab-v2", "iterations": 1, "label_tolerance": 0.0, "from_logits": False}
    options |= {"channel_axis": -1, "num_threads": 1, "out": None, "gpu": True}
    assert _gpu_refine.pictures_at_once(make_call("test", gpu.put(images), gpu.put(probs), **options)) == at_once
