"""What a model, its terms, unaries, labels and masks refuse, and how they say so.

The tables read like those of test_errors.py: the error and its message as far as it has to be so, and what earns it.
"""

import numpy as np
import pytest
from conftest import assert_says
from inputs import picture, probabilities

from densecrf import (
    Bilateral,
    DenseCRF,
    Features,
    Gaussian,
    refine_labels,
    refine_mask,
    unary_from_labels,
    unary_from_probs,
)

SHAPE = (5, 7)
IMAGE, UNARY = picture(*SHAPE, 3), -np.log(probabilities(4, *SHAPE))
LABELS = (np.arange(35) % 3).reshape(SHAPE).astype(np.uint8)
NEAR = (Gaussian(1, 1),)


def refused(expected, call):
    return pytest.param(expected, call, id=expected)


def assert_refused(function, expected, call, capfd):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert_says(caught, function, expected)
    assert tuple(capfd.readouterr()) == ("", "")


def with_one(value, array=UNARY):
    array = array.copy()
    array.flat[-1] = value
    return array


# ---- the model ----------------------------------------------------------------------------------------------


def build(image_or_shape=SHAPE, n_labels=4, terms=NEAR, **options):
    return lambda: DenseCRF(image_or_shape, n_labels, terms, **options)


COLOURFUL = Bilateral(3, (1, 2), 1)

BUILD = [
    refused("TypeError: image_or_shape .. NumPy array or a torch tensor .. int", build(35)),
    refused("TypeError: image_or_shape .. str", build("picture.png")),
    refused("TypeError: image_or_shape .. NoneType", build(None)),
    refused("TypeError: image_or_shape .. integer .. float", build((5.0, 7))),
    refused("TypeError: image_or_shape .. integer .. list", build([[1, 2], [3, 4]])),
    refused("TypeError: image_or_shape .. integer .. bool", build((True, 7))),
    refused("ValueError: image_or_shape .. empty shape", build(())),
    refused("ValueError: image_or_shape .. at most 32 axes .. 70", build((1,) * 70, terms=[])),
    refused("ValueError: image_or_shape .. >= 1 .. got 0", build((5, 0))),
    refused("ValueError: image_or_shape .. >= 1 .. got -5", build((-5, 7))),
    refused("ValueError: image_or_shape .. not be empty .. (0, 7, 3)", build(np.zeros((0, 7, 3), np.uint8))),
    refused("ValueError: image_or_shape .. ()", build(np.zeros((), np.uint8))),
    refused("TypeError: image_or_shape .. masked", build(np.ma.masked_less(IMAGE, 9))),
    refused("ValueError: image .. 0..1 or 0..255 .. mean", build(IMAGE - 120.0)),
    refused("ValueError: image .. finite .. NaN", build(np.full(SHAPE, np.nan))),
    refused("TypeError: image .. integers or floats .. complex128", build(np.zeros(SHAPE, complex))),
    refused("ValueError: n_labels .. >= 1 .. got 0", build(n_labels=0)),
    refused("TypeError: n_labels .. integer .. float", build(n_labels=4.0)),
    refused("TypeError: n_labels .. integer .. bool", build(n_labels=True)),
    refused("ValueError: preset .. 'deeplab-v2' .. 'mine'", build(IMAGE, terms=None, preset="mine")),
    refused("TypeError: terms .. list of Gaussian, Bilateral and Features .. Gaussian", build(terms=Gaussian(1, 1))),
    refused("TypeError: terms .. Gaussian, Bilateral and Features .. str", build(terms="irn")),
    refused("ValueError: Bilateral( .. looks at an image .. only a shape .. pass the image", build(terms=None)),
    refused("ValueError: Bilateral( .. 2 colour sigmas .. 3 channels", build(IMAGE, terms=[COLOURFUL])),
    refused("ValueError: Bilateral( .. 2 colour sigmas .. 1 channels", build(IMAGE[..., 0], terms=[COLOURFUL])),
    refused(
        "ValueError: Gaussian( .. 2 position sigmas .. 3 axes .. x first", build((2, 3, 4), terms=[Gaussian((1, 2), 1)])
    ),
    refused("ValueError: Gaussian( .. 3 position sigmas .. 2 axes", build(terms=[Gaussian((1, 2, 3), 1)])),
    refused("ValueError: weight of a Gaussian .. 3 labels .. 4", build(terms=[Gaussian(1, [1, 2, 3])])),
    refused("ValueError: weight of a Gaussian .. 2 labels .. 4", build(terms=[Gaussian(1, np.eye(2))])),
    refused("ValueError: weight of a Features .. 2 labels .. 4", build(terms=[Features(np.zeros((1, 35)), np.eye(2))])),
    refused(
        "ValueError: Features .. (D, N) with N = 35 .. (5, 7) .. got N = 34",
        build(terms=[Features(np.zeros((2, 34)), 1)]),
    ),
    refused("ValueError: Features .. N = 35 .. got N = 2", build(terms=[Features(np.zeros((35, 2)), 1)])),
    refused("ValueError: Features .. 33 feature dimensions .. 32", build(terms=[Features(np.zeros((33, 35)), 1)])),
    refused("ValueError: Features .. too small .. 1e+09", build(terms=[Features(np.full((2, 35), 1e9), 1)])),
    refused("ValueError: Gaussian( .. too small .. times as large", build(terms=[Gaussian(1e-6, 1)])),
    refused("ValueError: channel_axis .. 3", build(IMAGE, channel_axis=3)),
    refused("ValueError: channel_axis .. -4", build(IMAGE, channel_axis=-4)),
    refused("TypeError: channel_axis .. integer .. float", build(IMAGE, channel_axis=1.0)),
    refused("ValueError: channel_axis .. 'usual' .. 'last'", build(IMAGE, channel_axis="last")),
    refused("ValueError: channel_axis", build(picture(9), channel_axis=0)),
    refused("ValueError: num_threads .. >= 1 .. 0", build(num_threads=0)),
    refused("TypeError: num_threads .. integer .. float", build(num_threads=2.0)),
]


@pytest.mark.parametrize(("expected", "call"), BUILD)
def test_what_cannot_be_built_is_refused(expected, call, capfd):
    assert_refused("densecrf.DenseCRF", expected, call, capfd)


@pytest.mark.parametrize("shape", [(2**31 - 1,) * 3, (2**16,) * 4, (2**31 - 1,) * 32], ids=["2^93", "2^64", "2^992"])
def test_a_grid_that_no_memory_holds_is_refused_at_once(shape):
    with pytest.raises(MemoryError, match="memory"):
        DenseCRF(shape, 4, [])


@pytest.mark.parametrize("labels", [2**30, 2**31 - 1])
def test_labels_that_no_memory_holds_are_refused_at_once(labels):
    with pytest.raises(MemoryError, match="memory"):
        unary_from_labels(LABELS, labels)


CRF = DenseCRF(SHAPE, 4, NEAR)


def infer(unary=UNARY, iterations=2, **options):
    return lambda: CRF.infer(unary, iterations, **options)


INFER = [
    refused("TypeError: unary .. NumPy array or a torch tensor .. list", infer(UNARY.tolist())),
    refused("TypeError: unary .. NoneType", infer(None)),
    refused("TypeError: unary .. floating point .. int64", infer(UNARY.astype(np.int64))),
    refused("TypeError: unary .. floating point .. complex128", infer(UNARY.astype(complex))),
    refused("ValueError: unary .. (4, 5, 7) .. got (5, 7)", infer(UNARY[0])),
    refused("ValueError: unary .. (4, 5, 7) .. got (3, 5, 7)", infer(UNARY[:3])),
    refused("ValueError: unary .. (4, 5, 7) .. got (5, 7, 4)", infer(np.moveaxis(UNARY, 0, -1))),
    refused("ValueError: unary .. (4, 5, 7) .. got (4, 35)", infer(UNARY.reshape(4, 35))),
    refused("ValueError: unary .. finite .. NaN", infer(with_one(np.nan))),
    refused("ValueError: unary .. finite .. infinite", infer(with_one(np.inf))),
    refused("ValueError: unary .. finite", infer(with_one(1e300, UNARY.astype(np.float64)))),
    refused("ValueError: iterations .. >= 0 .. -1", infer(iterations=-1)),
    refused("TypeError: iterations .. integer .. float", infer(iterations=2.0)),
    refused("TypeError: iterations .. integer .. NoneType", infer(iterations=None)),
    refused("TypeError: start .. NumPy array or a torch tensor .. str", infer(start="uniform")),
    refused("ValueError: start .. (4, 5, 7) .. (4, 5)", infer(start=UNARY[:, :, 0])),
    refused("ValueError: start .. finite .. NaN", infer(start=with_one(np.nan))),
    refused("TypeError: start .. floating point .. bool", infer(start=UNARY > 0)),
    refused("ValueError: start .. marginals from 0 to 1 .. 3e+38", infer(start=with_one(3e38, 0 * UNARY))),
    refused("ValueError: start .. marginals from 0 to 1 .. -1", infer(start=with_one(-1, 0 * UNARY))),
    refused("TypeError: return_iterations .. True or False .. int", infer(return_iterations=2)),
    refused("ValueError: ignore .. lists are none", infer(ignore=[[True], [True, False]])),
    refused("ValueError: damping .. at least 0 .. below 1 .. 1", infer(damping=1)),
    refused("ValueError: damping .. -0.1", infer(damping=-0.1)),
    refused("ValueError: damping .. finite .. nan", infer(damping=np.nan)),
    refused("TypeError: damping .. number .. bool", infer(damping=True)),
    refused("TypeError: damping .. number .. str", infer(damping="0.5")),
    refused("ValueError: tolerance .. at least 0 .. below 1 .. 2", infer(tolerance=2)),
    refused("ValueError: tolerance .. -1e-06", infer(tolerance=-1e-6)),
    refused("TypeError: tolerance .. number .. NoneType", infer(tolerance=None)),
    refused("TypeError: ignore .. booleans .. uint8", infer(ignore=LABELS)),
    refused("ValueError: ignore .. (5, 7) .. got (7, 5)", infer(ignore=np.zeros((7, 5), bool))),
    refused("ValueError: ignore .. (5, 7) .. got (4, 5, 7)", infer(ignore=np.zeros((4, 5, 7), bool))),
]


@pytest.mark.parametrize(("expected", "call"), INFER)
def test_what_cannot_be_inferred_is_refused(expected, call, capfd):
    assert_refused("DenseCRF.infer", expected, call, capfd)


METHODS = [
    ("DenseCRF.message", "ValueError: marginals .. (4, 5, 7) .. (3, 5, 7)", lambda: CRF.message(UNARY[:3])),
    ("DenseCRF.message", "TypeError: marginals .. floating point .. int64", lambda: CRF.message(UNARY.astype(int))),
    ("DenseCRF.message", "ValueError: marginals .. finite", lambda: CRF.message(with_one(np.nan))),
    ("DenseCRF.filter", "ValueError: values .. (4, 5, 7) .. (4, 7, 5)", lambda: CRF.filter(UNARY.swapaxes(1, 2))),
    ("DenseCRF.filter", "TypeError: values .. floating point .. uint8", lambda: CRF.filter(LABELS[np.newaxis])),
    ("DenseCRF.filter", "ValueError: values .. finite", lambda: CRF.filter(with_one(np.inf))),
    ("DenseCRF.filter", "ValueError: values .. ()", lambda: CRF.filter(np.float32(3))),
    ("DenseCRF.filter", "ValueError: values .. (0, 5, 7)", lambda: CRF.filter(np.zeros((0, 5, 7), np.float32))),
    ("DenseCRF.filter", "ValueError: term .. 1", lambda: CRF.filter(UNARY, 1)),
    ("DenseCRF.filter", "ValueError: term .. -2", lambda: CRF.filter(UNARY, -2)),
    ("DenseCRF.filter", "TypeError: term .. integer .. str", lambda: CRF.filter(UNARY, "0")),
    ("DenseCRF.energy", "ValueError: unary .. (4, 5, 7) .. (2, 5, 7)", lambda: CRF.energy(UNARY[:2], LABELS)),
    ("DenseCRF.energy", "ValueError: labels .. (5, 7) .. (7, 5)", lambda: CRF.energy(UNARY, LABELS.T)),
    ("DenseCRF.energy", "TypeError: labels .. integers .. float64", lambda: CRF.energy(UNARY, LABELS + 0.5)),
    ("DenseCRF.energy", "ValueError: labels .. 0..n_labels - 1 .. 4", lambda: CRF.energy(UNARY, LABELS + 2)),
    ("DenseCRF.free_energy", "ValueError: marginals .. 0 to 1", lambda: CRF.free_energy(UNARY, 0 * UNARY - 1)),
    ("DenseCRF.start", "ValueError: unary .. (4, 5, 7) .. (3, 5, 7)", lambda: CRF.start(UNARY[:3])),
    ("MeanField.step", "ValueError: iterations .. >= 0 .. -1", lambda: CRF.start(UNARY).step(-1)),
    ("MeanField.step", "ValueError: damping .. below 1 .. 1", lambda: CRF.start(UNARY).step(1, damping=1)),
]


@pytest.mark.parametrize(
    ("function", "expected", "call"), [pytest.param(*row, id=f"{row[0]} {row[1]}") for row in METHODS]
)
def test_methods_refuse_in_their_own_names(function, expected, call, capfd):
    assert_refused(function, expected, call, capfd)


def test_energy_does_not_advise_an_argument_it_does_not_have():
    with pytest.raises(ValueError, match="labels must lie in") as caught:
        CRF.energy(UNARY, LABELS + 2)
    assert "unsure" not in str(caught.value)


def test_a_model_without_terms_has_nothing_to_filter_with():
    with pytest.raises(ValueError, match=r"^DenseCRF\.filter: term "):
        DenseCRF(SHAPE, 4, []).filter(UNARY)


# ---- terms --------------------------------------------------------------------------------------------------

FEATURES = [
    refused("TypeError: features .. array .. list", lambda: Features([[1.0, 2.0]], 1)),
    refused("TypeError: features .. array .. NoneType", lambda: Features(None, 1)),
    refused("TypeError: features .. real numbers .. complex128", lambda: Features(np.zeros((2, 3), complex), 1)),
    refused("TypeError: features .. real numbers .. <U1", lambda: Features(np.array([["1"]]), 1)),
    refused("ValueError: features .. (D, N) .. got (3,)", lambda: Features(np.zeros(3), 1)),
    refused("ValueError: features .. (D, N) .. got (2, 3, 4)", lambda: Features(np.zeros((2, 3, 4)), 1)),
    refused("ValueError: features .. (D, N) .. got (0, 3)", lambda: Features(np.zeros((0, 3)), 1)),
    refused("ValueError: features .. finite .. NaN", lambda: Features(np.full((2, 3), np.nan), 1)),
    refused("ValueError: features .. finite", lambda: Features(np.full((2, 3), 1e300), 1)),
    refused("ValueError: weight .. >= 0 .. -1", lambda: Features(np.zeros((2, 3)), -1)),
    refused("ValueError: weight .. L x L matrix", lambda: Features(np.zeros((2, 3)), np.zeros((2, 3)))),
    refused("ValueError: normalization .. 'symmetric' .. 'both'", lambda: Features(np.zeros((2, 3)), 1, "both")),
]


@pytest.mark.parametrize(("expected", "call"), FEATURES)
def test_features_that_mean_nothing_cannot_be_made(expected, call, capfd):
    assert_refused("Features", expected, call, capfd)


# ---- unaries ------------------------------------------------------------------------------------------------

HALVES = np.full((2, *SHAPE), 0.5, np.float32)

FROM_PROBS = [
    refused("TypeError: probs .. floating point .. uint8", lambda: unary_from_probs(LABELS)),
    refused("TypeError: probs .. array .. NoneType", lambda: unary_from_probs(None)),
    refused("ValueError: probs .. (L, ...) .. (2,)", lambda: unary_from_probs(np.full(2, 0.5))),
    refused("ValueError: probs .. (L, ...) .. (2, 0)", lambda: unary_from_probs(np.zeros((2, 0)))),
    refused("ValueError: probs .. finite", lambda: unary_from_probs(with_one(np.nan, HALVES))),
    refused("ValueError: probs .. finite", lambda: unary_from_probs(with_one(1e300, HALVES.astype(float)))),
    refused("ValueError: probs .. negative .. -0.5", lambda: unary_from_probs(with_one(-0.5, HALVES))),
    refused("ValueError: probs .. sum to 1 .. 1 to 1.25", lambda: unary_from_probs(with_one(0.75, HALVES))),
    refused("ValueError: clip .. between 0 and 1 .. got 0", lambda: unary_from_probs(HALVES, clip=0)),
    refused("ValueError: clip .. got -1e-05", lambda: unary_from_probs(HALVES, clip=-1e-5)),
    refused("ValueError: clip .. got 1.5", lambda: unary_from_probs(HALVES, clip=1.5)),
    refused("ValueError: clip .. got 1", lambda: unary_from_probs(HALVES, clip=1)),
    refused("TypeError: clip .. number .. NoneType", lambda: unary_from_probs(HALVES, clip=None)),
    refused("ValueError: scale .. between 0 and 1 .. got 0", lambda: unary_from_probs(HALVES, scale=0)),
    refused("ValueError: scale .. between 0 and 1 .. got 1.1", lambda: unary_from_probs(HALVES, scale=1.1)),
    refused("TypeError: scale .. number .. bool", lambda: unary_from_probs(HALVES, scale=True)),
]


@pytest.mark.parametrize(("expected", "call"), FROM_PROBS)
def test_probabilities_that_have_no_energies_are_refused(expected, call, capfd):
    assert_refused("densecrf.unary_from_probs", expected, call, capfd)


FROM_LABELS = [
    refused("TypeError: labels .. integers .. float64", lambda: unary_from_labels(LABELS / 2, 3)),
    refused("TypeError: labels .. integers .. bool", lambda: unary_from_labels(LABELS > 0, 2)),
    refused("ValueError: labels .. empty .. (0, 7)", lambda: unary_from_labels(LABELS[:0], 3)),
    refused("ValueError: labels .. 0..n_labels - 1 .. 2 .. unsure=2", lambda: unary_from_labels(LABELS, 2)),
    refused("ValueError: labels .. -1 .. unsure=-1", lambda: unary_from_labels(LABELS.astype(int) - 1, 3)),
    refused("ValueError: labels .. 255 .. unsure=255", lambda: unary_from_labels(with_one(255, LABELS), 3, unsure=254)),
    refused("TypeError: n_labels .. integer .. float", lambda: unary_from_labels(LABELS, 3.0)),
    refused("ValueError: n_labels .. >= 1 .. 0", lambda: unary_from_labels(LABELS, 0)),
    refused("ValueError: confidence .. between 0 and 1 .. got 0", lambda: unary_from_labels(LABELS, 3, confidence=0)),
    refused("ValueError: confidence .. got 1", lambda: unary_from_labels(LABELS, 3, confidence=1)),
    refused("ValueError: confidence .. got 2", lambda: unary_from_labels(LABELS, 3, confidence=2)),
    refused("TypeError: confidence .. number .. str", lambda: unary_from_labels(LABELS, 3, confidence="high")),
    refused("TypeError: unsure .. integer .. str", lambda: unary_from_labels(LABELS, 3, unsure="255")),
    refused("TypeError: unsure .. integer .. float", lambda: unary_from_labels(LABELS, 3, unsure=1.5)),
    refused("ValueError: labels .. lists are none", lambda: unary_from_labels([[1], [1, 2]], 3)),
    refused("TypeError: labels .. masked", lambda: unary_from_labels(np.ma.masked_equal(LABELS, 0), 3)),
]


@pytest.mark.parametrize(("expected", "call"), FROM_LABELS)
def test_labels_that_have_no_energies_are_refused(expected, call, capfd):
    assert_refused("densecrf.unary_from_labels", expected, call, capfd)


# ---- labels and masks ---------------------------------------------------------------------------------------

REFINE_LABELS = [
    refused("TypeError: labels .. integers .. float64", lambda: refine_labels(IMAGE, LABELS / 2)),
    refused("ValueError: labels .. 0..n_labels - 1 .. 2", lambda: refine_labels(IMAGE, LABELS, 2)),
    refused("ValueError: labels .. empty", lambda: refine_labels(IMAGE, LABELS[:0])),
    refused("ValueError: labels .. (H, W) .. (7,)", lambda: refine_labels(IMAGE, LABELS[0])),
    refused("ValueError: labels .. (5, 7) .. (4, 7)", lambda: refine_labels(IMAGE, LABELS[:4])),
    refused("ValueError: labels .. 1099511627778", lambda: refine_labels(IMAGE, LABELS + np.int64(2**40))),
    refused("ValueError: labels .. 18446744073709551615", lambda: refine_labels(IMAGE, LABELS | np.uint64(2**64 - 1))),
    refused("ValueError: n_labels .. >= 1 .. 0", lambda: refine_labels(IMAGE, LABELS, 0)),
    refused("TypeError: n_labels .. integer .. float", lambda: refine_labels(IMAGE, LABELS, 3.5)),
    refused("TypeError: n_labels .. integer .. str", lambda: refine_labels(IMAGE, LABELS, "3")),
    refused("ValueError: confidence .. got 2", lambda: refine_labels(IMAGE, LABELS, confidence=2)),
    refused("ValueError: confidence .. got 1", lambda: refine_labels(IMAGE, LABELS, confidence=1)),
    refused("ValueError: preset .. 'mine'", lambda: refine_labels(IMAGE, LABELS, preset="mine")),
    refused("TypeError: terms .. list of Gaussian", lambda: refine_labels(IMAGE, LABELS, terms=3)),
    refused("ValueError: iterations .. -1", lambda: refine_labels(IMAGE, LABELS, iterations=-1)),
    refused("TypeError: image .. NoneType", lambda: refine_labels(None, LABELS)),
    refused("ValueError: image .. mean", lambda: refine_labels(IMAGE - 120.0, LABELS)),
]


@pytest.mark.parametrize(("expected", "call"), REFINE_LABELS)
def test_labels_that_cannot_be_refined_are_refused(expected, call, capfd):
    assert_refused("densecrf.refine_labels", expected, call, capfd)


MASK = probabilities(2, *SHAPE)[1]

REFINE_MASK = [
    refused("ValueError: mask .. (H, W) .. (1, 5, 7)", lambda: refine_mask(IMAGE, MASK[np.newaxis])),
    refused("ValueError: mask .. (H, W) .. (0, 7)", lambda: refine_mask(IMAGE, MASK[:0])),
    refused("TypeError: mask .. booleans or floats .. uint8 .. mask > 0", lambda: refine_mask(IMAGE, LABELS)),
    refused("ValueError: mask .. 0 to 1 .. from_logits=True", lambda: refine_mask(IMAGE, 3 * MASK - 1)),
    refused("ValueError: mask .. finite", lambda: refine_mask(IMAGE, with_one(np.nan, MASK))),
    refused("ValueError: mask .. finite", lambda: refine_mask(IMAGE, with_one(np.inf, MASK), from_logits=True)),
    refused(
        "ValueError: mask .. finite", lambda: refine_mask(IMAGE, with_one(1e300, MASK.astype(float)), from_logits=True)
    ),
    refused("ValueError: mask .. (5, 7) .. (4, 7)", lambda: refine_mask(IMAGE, MASK[:4])),
    refused("TypeError: from_logits .. True or False .. int", lambda: refine_mask(IMAGE, MASK, from_logits=1)),
    refused("TypeError: from_logits .. True or False .. str", lambda: refine_mask(IMAGE, MASK > 0, from_logits="no")),
    refused("ValueError: confidence .. got 1", lambda: refine_mask(IMAGE, MASK > 0.5, confidence=1)),
    refused("ValueError: preset .. 'mine'", lambda: refine_mask(IMAGE, MASK, preset="mine")),
    refused("TypeError: iterations .. float", lambda: refine_mask(IMAGE, MASK, iterations=2.0)),
    refused("TypeError: image .. NoneType", lambda: refine_mask(None, MASK)),
]


@pytest.mark.parametrize(("expected", "call"), REFINE_MASK)
def test_masks_that_cannot_be_refined_are_refused(expected, call, capfd):
    assert_refused("densecrf.refine_mask", expected, call, capfd)


def test_a_volume_whose_axis_was_taken_for_channels_is_refused_by_the_shape_of_the_unary():
    volume = picture(3, 5, 7)
    terms = [Gaussian(1, 1), Bilateral(3, 40, 1)]
    with pytest.raises(ValueError, match=r"^DenseCRF\.infer: unary must have shape \(2, 3, 5\), got \(2, 3, 5, 7\)"):
        DenseCRF(volume, 2, terms).infer(np.zeros((2, 3, 5, 7), np.float32))
    assert DenseCRF(volume, 2, terms, channel_axis=None).shape == (3, 5, 7)
