"""`densecrf.diagnose` finds what is wrong with a setting, and nothing where nothing is."""

import sys
from pathlib import Path

import numpy as np
import pytest
from inputs import picture, probabilities, scene, softmax
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
from densecrf import Bilateral, DenseCRF, Features, Gaussian, diagnose
from densecrf._diagnose.kernels import effect_of, span
from densecrf._diagnose.network import distance_to_other
from densecrf.data import example

sys.path.append(str(Path(__file__).resolve().parents[1]))

HEIGHT, WIDTH, LABELS = 60, 80, 3
TERMS = [Gaussian(1, 3), Bilateral(15, 13, 4)]
IMAGE, LOGITS = scene(HEIGHT, WIDTH, LABELS)
PROBS = softmax(LOGITS)
ONE_HOT = (LOGITS.argmax(axis=0) == np.arange(LABELS)[:, np.newaxis, np.newaxis]).astype(np.float32)
TWO_HALVES = np.repeat(np.uint8([[[30, 40, 50]], [[200, 190, 180]]]), 20, axis=0).swapaxes(0, 1).repeat(20, axis=0)
NOISE = np.random.default_rng(0).normal(128, 4, IMAGE.shape).astype(np.uint8)


def terms(near=(1, 3), alike=(15, 13, 4)):
    return [Gaussian(*near), Bilateral(*alike)]


def found(image=IMAGE, probs=PROBS, **options):
    """The codes of the findings."""
    return diagnose(image, probs, **{"terms": TERMS} | options).codes


def warnings(diagnosis):
    return [finding.code for finding in diagnosis.findings if finding.severity == "warning"]


# ---- no false alarms ----------------------------------------------------------------------------------------


def test_nothing_is_found_where_nothing_is_wrong():
    diagnosis = diagnose(IMAGE, PROBS, terms=TERMS)
    assert diagnosis.findings == ()
    assert diagnosis.changes.share > 0.02
    assert str(diagnosis).endswith("\nno findings")


@pytest.mark.parametrize("preset", densecrf.presets)
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "motorcycle"])
def test_no_warning_on_the_shipped_examples_with_any_preset(name, preset):
    pytest.importorskip("skimage")
    image, probs = example(name)
    assert warnings(diagnose(image[::2, ::2], probs[:, ::2, ::2], preset=preset)) == []


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["deeplab-v2", "deeplab-v1", "densecrf"])
def test_no_warning_on_real_pictures_of_voc_and_msrc(preset):
    pytest.importorskip("torch")  # deeplab.metrics
    pytest.importorskip("PIL")
    from benchmarks import labelled
    from benchmarks.workloads import MissingError

    try:
        pictures = [*labelled.voc(), *labelled.msrc()]
    except MissingError as error:
        pytest.skip(str(error))
    for one in pictures:
        assert warnings(diagnose(one.image, one.probs, preset=preset)) == [], one.name


# ---- the right finding on every broken setting --------------------------------------------------------------

BROKEN = {
    "saturated": {"probs": ONE_HOT},
    "softmax-twice": {"probs": softmax(PROBS)},
    "undecided": {"probs": LOGITS / 60, "from_logits": True},
    "probs-as-logits": {"probs": PROBS, "from_logits": True},
    "energies-as-logits": {"probs": -np.log(np.maximum(PROBS, 1e-7)), "from_logits": True},
    "one-label": {"probs": np.ones((1, HEIGHT, WIDTH), np.float32)},
    "same-label-everywhere": {"probs": softmax(LOGITS + 50 * np.eye(3, dtype=np.float32)[0][:, None, None])},
    "no-terms": {"terms": []},
    "no-appearance-term": {"terms": [Gaussian(1, 3)]},
    "flat-picture": {"image": np.full_like(IMAGE, 90)},
    "grey-picture": {"image": IMAGE[..., 0]},
    "colours-too-wide": {"terms": terms(alike=(15, 300, 4))},
    "colours-too-narrow": {"terms": terms(alike=(15, 0.3, 4))},
    "positions-too-narrow": {"terms": terms(near=(0.2, 3))},
    "positions-too-wide": {"terms": terms(near=(150, 3))},
    "no-iterations": {"iterations": 0},
    "not-converged": {"iterations": 1},
    "weights-too-weak": {"terms": terms((1, 0.03), (15, 13, 0.04))},
    "weights-too-strong": {"terms": terms((5, 100), (15, 80, 100))},
    "oscillates": {"terms": [Gaussian(2, [[0, 9, 9], [9, 0, 9], [9, 9, 0]])]},
    "swallowed": {"terms": terms((150, 100), (150, 300, 100))},
}


@pytest.mark.parametrize("code", BROKEN)
def test_what_is_broken_is_found(code):
    assert code in found(**BROKEN[code])


@pytest.mark.parametrize(
    ("code", "alone"),
    [
        (code, code)
        for code in ("saturated", "softmax-twice", "no-iterations", "no-terms", "grey-picture", "colours-too-narrow")
    ],
)
def test_a_simple_cause_is_all_that_is_said(code, alone):
    assert found(**BROKEN[code]) == (alone,)


def test_a_label_that_is_a_speck_vanishes_without_a_warning():
    probs = np.concatenate([PROBS, np.zeros((1, HEIGHT, WIDTH), np.float32)])
    probs[:, 50:54, 15:19] = np.array([0.2, 0.2, 0.2, 0.4])[:, np.newaxis, np.newaxis]
    diagnosis = diagnose(IMAGE, probs, terms=TERMS)
    assert diagnosis.codes == ("vanished",)
    assert diagnosis.changes.vanished == (3,)
    assert warnings(diagnosis) == []


def test_labels_that_follow_the_edges_already_need_nothing():
    labels = np.arange(40) >= np.full((20, 1), 20)
    logits = -densecrf.unary_from_labels(labels.astype(np.uint8), 2, 0.9)
    assert found(TWO_HALVES, logits, from_logits=True) == ("follows-edges-already",)


def test_noise_without_contrast_makes_a_colour_sigma_too_wide():
    assert "colours-too-wide" in found(image=NOISE)


def test_a_bilateral_term_of_tiny_positions_is_not_blamed_on_its_colours():
    codes = found(terms=terms(alike=(0.2, 13, 4)))
    assert "positions-too-narrow" in codes
    assert "colours-too-narrow" not in codes


def test_what_was_found_comes_with_advice_warnings_first():
    diagnosis = diagnose(IMAGE[..., 0], ONE_HOT, terms=TERMS)
    assert diagnosis.codes == ("saturated", "grey-picture")
    assert [finding.severity for finding in diagnosis.findings] == ["warning", "note"]
    for finding in diagnosis.findings:
        assert f"[{finding.code}] {finding.says[:20]}" in str(diagnosis)
        assert f"-> {finding.advice[:20]}" in str(diagnosis)
        assert finding.says.endswith(".")
        assert finding.advice.endswith(".")


# ---- numbers ------------------------------------------------------------------------------------------------


def test_changes_are_those_of_refine():
    diagnosis = diagnose(IMAGE, PROBS, terms=TERMS, iterations=4)
    before, after = PROBS.argmax(axis=0), densecrf.refine(IMAGE, PROBS, terms=TERMS, iterations=4).argmax(axis=0)
    changes = diagnosis.changes
    assert changes.share == (before != after).mean() > 0
    assert_allclose(changes.areas_before, np.bincount(before.ravel(), minlength=LABELS) / before.size)
    assert_allclose(changes.areas_after, np.bincount(after.ravel(), minlength=LABELS) / after.size)
    assert len(changes.by_iteration) == 4
    following = densecrf.refine(IMAGE, PROBS, terms=TERMS, iterations=5).argmax(axis=0)
    assert changes.unsettled == (following != after).mean()


def test_changed_pixels_are_as_far_from_the_border_as_the_network_is_off():
    logit = np.broadcast_to((np.arange(40) - 22.5) / 4, (20, 40)).astype(np.float32)  # three pixels off
    diagnosis = diagnose(TWO_HALVES, np.stack([0 * logit, logit]), from_logits=True, terms=TERMS)
    assert diagnosis.changes.share == 3 / 40
    assert diagnosis.changes.median_distance == 2
    assert diagnosis.changes.far_distance == 3


def test_logits_and_their_probabilities_are_one_network():
    of_probs = diagnose(IMAGE, PROBS, terms=TERMS)
    of_logits = diagnose(IMAGE, LOGITS, from_logits=True, terms=TERMS)
    assert_array_equal(of_probs.network.labels, of_logits.network.labels)
    assert_allclose(of_probs.network.border_margin, of_logits.network.border_margin, rtol=1e-4)
    assert of_probs.codes == of_logits.codes


def test_margins_are_differences_of_the_two_best_energies():
    network = diagnose(IMAGE, LOGITS, from_logits=True, terms=TERMS).network
    first, second = np.sort(LOGITS, axis=0)[::-1][:2]
    assert_allclose(network.margins, first - second, atol=1e-5)
    assert network.largest_margin == pytest.approx((first - second).max())


def test_distances_to_other_labels_are_the_fewest_steps():
    labels = np.random.default_rng(0).integers(0, 40, (15, 20)) // 38
    places = list(np.ndindex(labels.shape))
    steps = [min(abs(y - b) + abs(x - a) for b, a in places if labels[b, a] != labels[y, x]) for y, x in places]
    assert_array_equal(distance_to_other(labels).ravel(), steps)
    assert np.isinf(distance_to_other(np.zeros((3, 4), int))).all()


@pytest.mark.parametrize("term", [Gaussian(1.5, 2), Bilateral(4, 60, 2), Gaussian(2, 2, normalization="after")])
def test_the_own_share_is_the_diagonal_of_the_kernel(term):
    image = picture(24, 30, 3)
    crf = DenseCRF(image, 2, [term])
    impulses = np.eye(24 * 30, dtype=np.float32).reshape(-1, 24, 30)
    diagonal = crf.filter(impulses).reshape(720, 720).diagonal()
    expected = (diagonal / crf.filter(np.ones((1, 24, 30), np.float32))[0].ravel()).mean()
    effect = effect_of(crf, 0, term, np.moveaxis(image, -1, 0).astype(np.float32))
    assert effect.own_share == pytest.approx(expected, rel=0.15)
    assert effect.neighbours == pytest.approx(1 / effect.own_share)


@pytest.mark.parametrize("sxy", [1, 3, 6])
def test_the_radius_of_a_gaussian_is_its_sigma(sxy):
    (effect,) = diagnose(
        np.zeros((90, 120), np.uint8), np.full((2, 90, 120), 0.5, np.float32), terms=[Gaussian(sxy, 1)]
    ).terms
    assert effect.radius == pytest.approx(sxy, rel=0.08)
    assert effect.strength == pytest.approx(1, abs=0.1)
    assert np.isnan(effect.colour_spread)


def test_colours_spread_less_the_smaller_srgb_is():
    spreads = [
        diagnose(IMAGE, PROBS, terms=terms(alike=(15, srgb, 4))).terms[1].colour_spread for srgb in (3, 13, 60, 300)
    ]
    assert_array_equal(spreads, sorted(spreads))
    assert spreads[0] < 0.3
    assert spreads[-1] > 0.9


@pytest.mark.parametrize(
    ("weight", "most"),
    [
        (3.0, 3),
        ((1.0, 2.0, -4.0), 4),
        (((1.0, 0.0), (0.0, 2.0)), 2),
        (((0.0, -3.0), (1.0, 0.0)), 1),  # symmetrised: -1 beside the diagonal
        (((5.0, 5.0), (5.0, 5.0)), 0),
    ],
)
def test_the_span_of_a_weight_is_what_neighbours_of_one_label_can_say(weight, most):
    assert span(weight) == most


def test_a_margin_beyond_the_reach_of_the_terms_stands():
    diagnosis = diagnose(IMAGE, PROBS, terms=terms((1, 0.5), (15, 13, 0.5)))
    after = densecrf.refine(IMAGE, PROBS, terms=terms((1, 0.5), (15, 13, 0.5))).argmax(axis=0)
    changed = diagnosis.network.margins[after != diagnosis.network.labels]
    assert changed.size
    assert changed.max() < diagnosis.reach < diagnosis.strength


# ---- what may be passed -------------------------------------------------------------------------------------


def test_it_takes_what_refine_takes_and_changes_none_of_it(torch):
    expected = diagnose(IMAGE, PROBS, terms=TERMS)
    tensors = torch.from_numpy(np.moveaxis(IMAGE, -1, 0).copy()), torch.from_numpy(PROBS.astype(np.float64))
    before = [tensor.clone() for tensor in tensors]
    for image, probs, options in (
        (*tensors, {}),
        (IMAGE / 255, PROBS, {}),
        (np.moveaxis(IMAGE, -1, 0), PROBS, {"channel_axis": 0}),
        (IMAGE.astype(np.int64), PROBS.astype(np.float64), {}),
    ):
        diagnosis = diagnose(image, probs, terms=TERMS, **options)
        assert diagnosis.changes.share == pytest.approx(expected.changes.share, abs=1e-3)
        assert diagnosis.picture.contrast == pytest.approx(expected.picture.contrast, rel=1e-3)
    assert all(bool((a == b).all()) for a, b in zip(tensors, before, strict=True))


def test_it_takes_terms_over_features_and_compatibilities_of_every_form():
    features = Features(np.random.default_rng(0).normal(size=(2, HEIGHT * WIDTH)), (1, 2, 3))
    diagnosis = diagnose(IMAGE, PROBS, terms=[*TERMS, features, Gaussian(2, np.eye(3))])
    assert len(diagnosis.terms) == 4
    assert "Features: up to" in str(diagnosis)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2)])
def test_the_smallest_pictures_are_diagnosed(shape):
    diagnosis = diagnose(np.zeros((*shape, 3), np.uint8), np.full((2, *shape), 0.5, np.float32))
    assert "flat-picture" in diagnosis.codes
    assert "undecided" in diagnosis.codes
    assert str(diagnosis)


def test_it_refuses_what_refine_refuses_in_its_own_name():
    for arguments, options in (
        ((picture(), probabilities() * 2), {}),
        ((picture()[:5], probabilities()), {}),
        ((picture(), probabilities()), {"preset": "none"}),
        ((picture(), probabilities()), {"iterations": -1}),
    ):
        with pytest.raises(ValueError, match=r"^densecrf\.refine: ") as of_refine:
            densecrf.refine(*arguments, **options)
        with pytest.raises(ValueError, match=r"^densecrf\.diagnose: ") as of_diagnose:
            diagnose(*arguments, **options)
        assert str(of_diagnose.value).replace("diagnose", "refine") == str(of_refine.value)


def test_a_batch_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"densecrf\.diagnose: probs must be those of one picture.*image\[0\]"):
        diagnose(np.stack([picture()] * 2), np.stack([probabilities()] * 2))


def test_logits_at_both_ends_of_float32_are_diagnosed():
    logits = np.where(np.arange(LABELS)[:, None, None] == 1, 3e38, -3e38) * np.ones((LABELS, 5, 7))
    diagnosis = diagnose(picture(5, 7, 3), logits, terms=TERMS, from_logits=True)
    assert diagnosis.network.largest_margin == np.finfo(np.float32).max
    assert str(diagnosis)
