"""`label_tolerance` on a GPU: small labels take no part in filtering there either, and hardly anything changes."""

import numpy as np
import pytest
from crowds import COUNTS, TERMS, comeback, crowd
from gpus import Ledger, assert_same_answer, one_library
from inputs import picture, softmax
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian

pytestmark = one_library

SURE_NEIGHBOURS = (Gaussian(3, 5),)


def both(gpu, image, scores, tolerance, **options):
    """The answer with a tolerance, and that with all labels filtered; the first is as on the CPU."""
    options = {"terms": TERMS, "iterations": 5, "channel_axis": -1, **options}
    q, whole = (
        gpu.get(densecrf.refine(gpu.put(image), gpu.put(scores), label_tolerance=t, **options)) for t in (tolerance, 0)
    )
    assert_same_answer(q, densecrf.refine(image, scores, label_tolerance=tolerance, **options))
    return q, whole


def crowd_of(labels, from_logits, **options):
    image, logits = crowd(labels, size=(24, 30), **options)
    return image, logits if from_logits else softmax(logits).astype(np.float32)


# ---- who is left out ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("labels", COUNTS)
def test_any_number_of_labels_may_be_left_out(labels, from_logits, gpu):
    q, whole = both(gpu, *crowd_of(labels, from_logits), 3e-3, from_logits=from_logits)
    assert_allclose(q, whole, rtol=0, atol=5e-5)
    assert_allclose(q.sum(axis=0), 1, rtol=0, atol=2e-6)
    assert_allclose(q[whole > 1e-6], whole[whole > 1e-6], rtol=1e-2, atol=0)
    assert (q != whole).any() == (labels > 4)  # up to four, rows of the lattice are as narrow as can be


@pytest.mark.parametrize("labels", [150, 1000, 4096, 4097])
def test_hundreds_of_small_labels_may_be_left_out(labels, gpu):
    image, logits = crowd(labels, size=(5, 6), small=1e-2 / labels)
    q, whole = both(gpu, image, logits, 1e-3, iterations=2, from_logits=True)
    assert_allclose(q, whole, rtol=0, atol=5e-6)
    assert (q != whole).any() == (labels <= 4096)  # of more, all take part


def test_labels_left_out_send_themselves_no_messages(gpu):
    # Two labels of 0.02 and 0.01 everywhere: their odds move by what they hear of themselves, and only by that.
    image, logits = crowd(9, small=0.01)
    logits[[0, 8]] = np.log(np.reshape([0.02, 0.01], (2, 1, 1)) * np.exp(logits).sum(axis=0))
    q, whole = both(gpu, image, logits, 0.1, terms=[Gaussian(3, 0.7)], from_logits=True)
    assert np.abs(np.log(whole[0] / whole[8]) - np.log(2)).mean() > 2e-3
    assert_allclose(np.log(q[0] / q[8]), np.log(2), rtol=0, atol=2e-5)


def test_where_every_label_is_likely_somewhere_none_is_left_out(gpu):
    image, probs = crowd_of(21, False, likely=21)
    for label in range(21):  # a point of its own for each
        probs[:, label, 7] = 0
        probs[label, label, 7] = 1
    q, whole = both(gpu, image, probs, 1e-3, terms=[Gaussian(1.5, 0.5)])
    assert_array_equal(q, whole)


@pytest.mark.parametrize("iterations", [0, 1, 2, 3])
def test_few_iterations_are_as_near(iterations, gpu):
    q, whole = both(gpu, *crowd_of(21, True), 3e-3, iterations=iterations, from_logits=True)
    assert_allclose(q, whole, rtol=0, atol=2e-5)
    assert (q != whole).any() == (iterations > 0)


def test_the_tolerance_of_refine_is_a_thousandth_unless_told(gpu):
    image, probs = crowd_of(21, False, small=5e-4)
    plain = gpu.get(densecrf.refine(gpu.put(image), gpu.put(probs), terms=TERMS, iterations=5, channel_axis=-1))
    q, whole = both(gpu, image, probs, 1e-3)
    assert_array_equal(plain, q)
    assert (q != whole).any()


@pytest.mark.parametrize(("weight", "left_out"), [(8, True), (80, False)])
def test_the_tolerance_is_taken_smaller_where_weights_add_up_to_more_than_ten(weight, left_out, gpu):
    image, probs = crowd_of(9, False, small=0.01)
    terms = [Gaussian(2, weight / 2), Bilateral(9, 30, weight / 2)]
    q, whole = both(gpu, image, probs, 0.05, terms=terms, iterations=1)
    assert (q != whole).any() == left_out


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_labels_below_the_tolerance_together_with_all_others_still_decide_among_themselves(iterations, gpu):
    labels, size = 1000, 12
    rng = np.random.default_rng(3)
    centres = rng.uniform(size=(labels, 2, 1, 1)) * size
    distance = np.hypot(*(np.mgrid[:size, :size][:, np.newaxis] - centres.swapaxes(0, 1)))
    logits = 0.4 * np.exp(-(distance**2) / 18) + rng.normal(scale=0.02, size=distance.shape)
    logits -= rng.uniform(0, 3, size=(labels, 1, 1))
    logits[0, :4, :4] += 4
    probs = softmax(logits).astype(np.float32)
    small = probs.max(axis=(1, 2)) < 1e-3
    assert small.sum() > 500
    assert probs[small].sum(axis=0).max() > 0.15  # were all of them left out, so would much else be
    q, whole = both(gpu, picture(size, size, 3), probs, 1e-3, iterations=iterations)
    assert_allclose(q, whole, rtol=0, atol=5e-6)
    assert (q != whole).any()


# ---- what is saved ------------------------------------------------------------------------------------------


def test_rows_of_points_become_as_narrow_as_the_labels_that_are_left(gpu, monkeypatch):
    if gpu.name != "cupy":
        pytest.skip("looks into memory of the host")
    ledger = Ledger(gpu, monkeypatch)
    ledger.fill = 0xFF
    image, logits = crowd(21, size=(24, 30))
    options = {"terms": TERMS, "iterations": 5, "channel_axis": -1, "from_logits": True, "label_tolerance": 3e-3}
    densecrf.refine(gpu.put(image), gpu.put(logits), **options)
    full = 16 * 6 * 24 * 30
    written = sorted(used for size, used in ledger.released if size == full)
    assert len(written) == 2
    assert written[1] > 0.95 * full  # all labels at first
    assert 0.95 * full / 6 < written[0] <= full / 6  # and a sixth of them then


# ---- labels that come back ----------------------------------------------------------------------------------


def on_both(gpu, unary, iterations, **options):
    here = DenseCRF(unary.shape[1:], len(unary), SURE_NEIGHBOURS)
    q = gpu.get(here.infer(gpu.put(unary), iterations, **options))
    assert_same_answer(q, here.infer(unary, iterations, **options))
    return q


@pytest.mark.parametrize("tolerance", [0.1, 0.15, 0.2])
def test_a_label_that_gains_after_it_was_left_out_is_not_lost(tolerance, gpu):
    unary = -comeback()
    whole = on_both(gpu, unary, 20)
    assert on_both(gpu, unary, 1)[4].max() < tolerance < whole[4].max()

    # Left out at first, as the answer shows that has it so to the end, ...
    assert np.abs(on_both(gpu, unary, 3, label_tolerance=tolerance) - on_both(gpu, unary, 3)).max() > 5e-4
    assert np.abs(on_both(gpu, unary, 20, label_tolerance=0.3) - whole).max() > 5e-3
    # ... and taken back.
    assert_allclose(on_both(gpu, unary, 20, label_tolerance=tolerance), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("others", [4, 12])
def test_a_label_that_gains_is_not_lost_among_others_that_do_not(others, gpu):
    logits = comeback()
    nobody = np.full((others, *logits.shape[1:]), -30, np.float32)
    unary = -np.concatenate([logits[4:], nobody, logits[:4]])
    whole = on_both(gpu, unary, 20)
    assert_allclose(on_both(gpu, unary, 20, label_tolerance=0.2 / (1 + others)), whole, rtol=0, atol=1e-5)


# ---- where it has no effect ---------------------------------------------------------------------------------

PLAIN = Gaussian(2, 1.5)
LABELS = 9
NO_EFFECT = {
    "a matrix": ([PLAIN, Gaussian(3, 1.5 * np.eye(LABELS) - 0.2 * (1 - np.eye(LABELS)))], {}),
    "a weight for each label": ([PLAIN, Gaussian(3, [1.0] * LABELS)], {}),
    "negative weights": ([PLAIN, Gaussian(3, [-0.5] * LABELS)], {}),
    "no normalisation": ([PLAIN, Gaussian(1, 0.1, "none")], {}),
    "damping": ([PLAIN], {"damping": 0.1}),
    "a tolerance": ([PLAIN], {"tolerance": 1e-6}),
    "a start": ([PLAIN], {"start": True}),
    "no terms": ([], {}),
    "none of these": ([PLAIN], {}),
}


@pytest.mark.parametrize("case", NO_EFFECT)
def test_it_has_no_effect_where_leaving_labels_out_would_do_harm(case, gpu):
    terms, options = NO_EFFECT[case]
    _, logits = crowd(LABELS, size=(24, 30))
    if "start" in options:
        options = {"start": gpu.put(softmax(logits).astype(np.float32))}
    crf, unary = DenseCRF(logits.shape[1:], LABELS, terms), gpu.put(-logits)
    q, whole = (gpu.get(crf.infer(unary, label_tolerance=t, **options)) for t in (0.01, 0))
    assert (q != whole).any() == (case == "none of these")
    assert_array_equal(gpu.get(crf.infer(unary, **options)), whole)  # a model filters every label unless told
