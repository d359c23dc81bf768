"""Annotations, pseudo labels and masks, refined so that they follow the edges of the picture."""

import numpy as np
import pytest
from inputs import TERMS, picture, scene
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
from densecrf import Bilateral, Gaussian, refine_labels, refine_mask, unary_from_labels

HEIGHT, WIDTH = 24, 30
SMOOTH = [Gaussian(1.5, 1), Bilateral(15, 20, 4)]


def shifted():
    """A picture of two colours, the map that follows it, and a map whose border is three pixels off."""
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    truth[:, WIDTH // 2 :] = 1
    noise = np.random.default_rng(0).normal(scale=5, size=(HEIGHT, WIDTH, 3))
    image = np.clip(70 + 100 * truth[..., np.newaxis] + noise, 0, 255).astype(np.uint8)
    labels = np.zeros_like(truth)
    labels[:, WIDTH // 2 + 3 :] = 1
    return image, truth, labels


# ---- labels -------------------------------------------------------------------------------------------------


def test_labels_move_to_the_edge_of_the_picture():
    image, truth, labels = shifted()
    assert (labels == truth).mean() < 0.91
    assert_array_equal(refine_labels(image, labels, terms=SMOOTH), truth)


def test_refining_labels_is_refining_their_energies():
    image, _, labels = shifted()
    logits = -unary_from_labels(labels, 2, 0.6)
    for options in ({"preset": "irn"}, {"terms": SMOOTH}, {"terms": SMOOTH, "iterations": 3}):
        expected = densecrf.refine(image, logits, from_logits=True, **options).argmax(axis=0)
        assert_array_equal(refine_labels(image, labels, confidence=0.6, **options), expected)


def test_the_preset_is_deeplab_v2_with_ten_iterations_at_seven_tenths_unless_said_otherwise():
    image, logits = scene(HEIGHT, WIDTH, 4)
    labels = logits.argmax(axis=0)
    expected = refine_labels(image, labels, 4, confidence=0.7, unsure=None, preset="deeplab-v2", iterations=10)
    assert_array_equal(refine_labels(image, labels), expected)


def test_unsure_pixels_get_the_label_of_what_they_look_like():
    image, truth, _ = shifted()
    labels = truth.copy()
    labels[:, WIDTH // 2 - 4 : WIDTH // 2 + 4] = 255
    labels[3:6] = 255
    refined = refine_labels(image, labels, unsure=255, terms=SMOOTH)
    assert_array_equal(refined, truth)
    assert 255 not in refined
    assert refined.dtype == np.uint8


def test_scribbles_grow_to_what_they_mark():
    image, truth, _ = shifted()
    labels = np.full((HEIGHT, WIDTH), -1)
    labels[5, 2:6], labels[15, 20:24] = 0, 1
    refined = refine_labels(
        image, labels, unsure=-1, confidence=0.95, terms=[Bilateral(30, 20, 10, "after")], iterations=20
    )
    assert (refined == truth).mean() > 0.99


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.int64, np.uint64])
def test_labels_keep_their_dtype(dtype):
    image, truth, labels = shifted()
    refined = refine_labels(image, labels.astype(dtype), terms=SMOOTH)
    assert refined.dtype == dtype
    assert_array_equal(refined, truth)


def test_labels_are_as_many_as_the_largest_unless_said_otherwise():
    """Labels that are not in the map make the others less unlikely, each by itself."""
    image, logits = scene(HEIGHT, WIDTH, 4)
    labels = np.where(logits.argmax(axis=0) == 3, 255, logits.argmax(axis=0)).astype(np.uint8)
    options = {"unsure": 255, "confidence": 0.5, "terms": SMOOTH}
    assert_array_equal(refine_labels(image, labels, **options), refine_labels(image, labels, 3, **options))
    assert refine_labels(image, labels, 7, **options).max() < 3


def test_the_less_the_confidence_the_more_changes():
    image, logits = scene(HEIGHT, WIDTH, 4)
    labels = logits.argmax(axis=0)
    changed = [(refine_labels(image, labels, confidence=c, terms=SMOOTH) != labels).sum() for c in (0.4, 0.7, 0.99999)]
    assert changed[0] > changed[1] > changed[2]


def test_without_iterations_labels_stay_as_they_are():
    image, _, labels = shifted()
    assert_array_equal(refine_labels(image, labels, iterations=0), labels)


def test_a_map_of_one_label_stays_as_it_is():
    image = picture(HEIGHT, WIDTH, 3)
    for labels in (np.zeros((HEIGHT, WIDTH), int), np.full((HEIGHT, WIDTH), 3)):
        assert_array_equal(refine_labels(image, labels), labels)


def test_a_map_with_nothing_but_unsure_pixels_becomes_the_first_label():
    labels = np.full((HEIGHT, WIDTH), 255, np.uint8)
    assert_array_equal(refine_labels(picture(HEIGHT, WIDTH, 3), labels, unsure=255), 0)


def test_labels_the_dtype_cannot_hold_never_come_out():
    """More labels than 256 for a map of bytes: those beyond cannot win, where nothing speaks for them."""
    image, _, labels = shifted()
    refined = refine_labels(image, labels, 300, terms=SMOOTH, iterations=2)
    assert set(np.unique(refined)) <= {0, 1}


def test_grey_pictures_and_tensors_of_pictures_will_do(torch):
    image, truth, labels = shifted()
    assert_array_equal(refine_labels(image[..., 0], labels, terms=SMOOTH), truth)
    assert_array_equal(refine_labels(torch.from_numpy(image).movedim(-1, 0), labels, terms=SMOOTH), truth)


def test_neither_labels_nor_masks_are_changed():
    image, _, labels = shifted()
    before = image.copy(), labels.copy()
    refine_labels(image, labels, terms=SMOOTH)
    refine_mask(image, labels > 0, terms=SMOOTH)
    assert_array_equal(image, before[0])
    assert_array_equal(labels, before[1])


# ---- masks --------------------------------------------------------------------------------------------------


def test_a_boolean_mask_moves_to_the_edge_of_the_picture():
    image, truth, labels = shifted()
    refined = refine_mask(image, labels == 1, terms=SMOOTH)
    assert refined.dtype == np.float32
    assert refined.shape == truth.shape
    assert_array_equal(refined > 0.5, truth == 1)


def test_a_boolean_mask_is_a_map_of_two_labels():
    image, _, labels = shifted()
    logits = -unary_from_labels(labels, 2, 0.8)
    expected = densecrf.refine(image, logits, from_logits=True, terms=TERMS, iterations=4)[1]
    assert_array_equal(refine_mask(image, labels == 1, confidence=0.8, terms=TERMS, iterations=4), expected)


def test_a_mask_of_probabilities_is_that_of_the_foreground():
    image, truth, labels = shifted()
    mask = np.where(labels == 1, 0.8, 0.3).astype(np.float32)
    expected = densecrf.refine(image, np.stack([1 - mask, mask]), terms=SMOOTH)[1]
    assert_array_equal(refine_mask(image, mask, terms=SMOOTH), expected)
    assert_array_equal(expected > 0.5, truth == 1)


def test_a_mask_of_logits_is_its_sigmoid():
    image, truth, labels = shifted()
    logits = (3.0 * labels - 1.2).astype(np.float32)
    by_logits = refine_mask(image, logits, from_logits=True, terms=SMOOTH)
    by_probs = refine_mask(image, 1 / (1 + np.exp(-logits)), terms=SMOOTH)
    assert_allclose(by_logits, by_probs, rtol=0, atol=1e-4)
    assert_array_equal(by_logits > 0.5, truth == 1)


@pytest.mark.parametrize("level", [-40.0, -2.0, 0.0, 2.0, 40.0])
def test_without_iterations_a_logit_becomes_its_sigmoid(level):
    mask = np.full((HEIGHT, WIDTH), level)
    refined = refine_mask(picture(HEIGHT, WIDTH, 3), mask, from_logits=True, iterations=0)
    assert_allclose(refined, 1 / (1 + np.exp(-level)), rtol=1e-5, atol=1e-7)


def test_without_iterations_probabilities_stay_and_booleans_become_their_confidence():
    image, _, labels = shifted()
    mask = np.linspace(0.01, 0.99, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    assert_allclose(refine_mask(image, mask, iterations=0), mask, rtol=0, atol=1e-6)
    refined = refine_mask(image, labels == 1, confidence=0.9, iterations=0)
    assert_allclose(refined, np.where(labels == 1, 0.9, 0.1), rtol=0, atol=1e-6)


def test_probabilities_of_none_and_of_one_are_masks_too():
    image, truth, labels = shifted()
    refined = refine_mask(image, labels.astype(np.float32), terms=[Bilateral(15, 20, 30)], iterations=10)
    assert np.isfinite(refined).all()
    assert_array_equal(refined > 0.5, truth == 1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_masks_of_every_float_will_do(dtype):
    image, truth, labels = shifted()
    refined = refine_mask(image, np.where(labels == 1, 0.75, 0.25).astype(dtype), terms=SMOOTH)
    assert refined.dtype == np.float32
    assert_array_equal(refined > 0.5, truth == 1)


def test_a_mask_and_its_opposite_sum_to_one():
    image, logits = scene(HEIGHT, WIDTH, 2)
    mask = (logits[1] - logits[0]) / 4
    one, other = (refine_mask(image, sign * mask, from_logits=True, terms=TERMS) for sign in (1, -1))
    assert_allclose(one + other, 1, rtol=0, atol=1e-4)
    assert_allclose(
        refine_mask(image, mask > 0, terms=TERMS) + refine_mask(image, mask <= 0, terms=TERMS), 1, rtol=0, atol=1e-4
    )
