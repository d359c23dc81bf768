"""The drop-in, called with everything. Its messages are pydensecrf's, which names no functions."""

import numpy as np
import pytest
from fuzz_anything import anything, spoiled
from fuzz_judge import Refused, assert_marginals, judged
from fuzz_problems import cases
from hypothesis import given
from hypothesis import strategies as st
from inputs import picture, probabilities

from densecrf.pydensecrf import densecrf as dcrf
from densecrf.pydensecrf import eigen, utils

LABELS, HEIGHT, WIDTH = 3, 4, 5
POINTS = HEIGHT * WIDTH
ENERGIES = np.random.default_rng(4).normal(size=(LABELS, POINTS)).astype(np.float32)
HOW = {"kernel": dcrf.DIAG_KERNEL, "normalization": dcrf.NORMALIZE_AFTER}


def model():
    crf = dcrf.DenseCRF2D(WIDTH, HEIGHT, LABELS)
    crf.setUnaryEnergy(ENERGIES)
    crf.addPairwiseGaussian(1, 1)
    return crf


METHODS = {
    "setUnaryEnergy": {"u": ENERGIES},
    "setUnary": {"u": dcrf.ConstUnary(ENERGIES)},
    "addPairwiseEnergy": {"features": np.ones((2, POINTS), np.float32), "compat": 2.0, **HOW},
    "addPairwiseGaussian": {"sxy": (1.0, 2.0), "compat": np.ones(LABELS, np.float32), **HOW},
    "addPairwiseBilateral": {"sxy": 2.0, "srgb": 20.0, "rgbim": picture(HEIGHT, WIDTH, 3), "compat": 2.0, **HOW},
    "inference": {"niter": 2},
    "klDivergence": {"Q": model().inference(1)},
    "stepInference": {"Q": model().inference(1), "tmp1": eigen.MatrixXf(), "tmp2": eigen.MatrixXf()},
}


@cases(100)
@given(st.data())
def test_a_model_survives_whatever_it_is_given(data):
    crf = model()
    for name in data.draw(st.lists(st.sampled_from(list(METHODS)), min_size=1, max_size=3)):
        arguments = data.draw(spoiled(METHODS[name]))
        written = [arguments["Q"]] if name == "stepInference" else []
        judged(getattr(crf, name), **arguments, written=written, says="")
    answer = judged(crf.inference, 2)
    if not isinstance(answer, Refused):
        assert_marginals(np.asarray(answer))


@cases(40)
@given(st.data())
def test_a_model_of_anything_is_made_or_refused(data):
    classes = {dcrf.DenseCRF: {"nvar": POINTS, "nlabels": 2}, dcrf.DenseCRF2D: {"w": WIDTH, "h": HEIGHT, "nlabels": 2}}
    kind = data.draw(st.sampled_from(list(classes)))
    arguments = data.draw(spoiled(classes[kind], absurd=["nvar", "w", "h", "nlabels"]))
    crf = judged(kind, **arguments, says="")
    if not isinstance(crf, Refused):
        judged(crf.startInference)
        answer = judged(crf.inference, 1)
        assert isinstance(answer, Refused) or answer.shape[0] >= 2


@cases(40)
@given(anything, anything)
def test_matrices_and_unaries_of_anything_are_made_or_refused(one, other):
    for make in (eigen.matrixXf, eigen.vectorXf, dcrf.ConstUnary):
        judged(make, one, says="")
    judged(dcrf.LogisticUnary, one, other, says="")
    judged(dcrf.LogisticUnary, np.full((2, 3), 3e38, np.float32), np.full((3, 4), 3e38, np.float32), says="")


HELPERS = {
    utils.unary_from_labels: {"labels": np.arange(20) % 3, "n_labels": 3, "gt_prob": 0.7, "zero_unsure": False},
    utils.unary_from_softmax: {"sm": probabilities(3, 4, 5), "scale": 0.5, "clip": 1e-5},
    utils.create_pairwise_gaussian: {"sdims": (1.0, 2.0), "shape": (4, 5)},
    utils.create_pairwise_bilateral: {"sdims": (1.0, 2.0), "schan": 10.0, "img": picture(4, 5, 3), "chdim": 2},
}


@cases(100)
@given(st.data())
def test_helpers_answer_or_refuse_anything(data):
    function = data.draw(st.sampled_from(list(HELPERS)))
    arguments = data.draw(spoiled(HELPERS[function], absurd=["n_labels"]))
    try:
        answer = judged(function, **arguments, says="")
    except AssertionError as error:
        if not str(error).startswith("`"):  # pydensecrf's own words for a wrong share
            raise
        return
    if not isinstance(answer, Refused):
        assert answer.dtype == np.float32


@pytest.mark.parametrize("clip", [1e-5, 1e-300, None])
def test_the_softmax_helper_warns_of_nothing(clip):
    judged(utils.unary_from_softmax, np.array([[0.0, 1.0], [1.0, 0.0]], np.float32), clip=clip, says="")
