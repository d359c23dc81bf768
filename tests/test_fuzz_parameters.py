"""`densecrf.Parameters` and `densecrf.Refiner`, called with everything."""

import tempfile
from pathlib import Path

import numpy as np
from fuzz_anything import anything, spoiled, words
from fuzz_judge import Refused, assert_marginals, judged
from fuzz_problems import cases, normalizations
from hypothesis import given
from hypothesis import strategies as st
from inputs import picture, probabilities

import densecrf
from densecrf import Parameters, Refiner
from densecrf._parameters import resolve

VALID = {
    "w1": 4.0,
    "sigma_alpha": 30.0,
    "sigma_beta": 5.0,
    "w2": 3.0,
    "sigma_gamma": 2.0,
    "normalization": "after",
    "iterations": 2,
    "source": "nowhere",
}


@cases(60)
@given(spoiled(VALID))
def test_any_parameters_are_kept_in_their_file_or_refused(values):
    parameters = judged(Parameters, **values, says="CRF parameters: ")
    if isinstance(parameters, Refused):
        return
    assert len(judged(lambda: parameters.terms, says="")) == 2
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "crf.toml")
        judged(parameters.write, file)
        assert resolve(str(file)) == parameters


@cases(40)
@given(st.floats(0, 1e29) | st.integers(0, 10**29), st.floats(1e-29, 1e29), normalizations, st.text(), st.booleans())
def test_every_parameter_survives_its_file(weight, sigma, normalization, source, as_numpy):
    kind = np.float32 if as_numpy and sigma < 1e29 else float
    named = {"normalization": normalization, "iterations": np.int8(3), "source": source}
    parameters = Parameters(weight, kind(sigma), sigma, **named)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "crf.toml")
        judged(parameters.write, file)
        assert resolve(str(file)) == parameters


@cases(60)
@given(st.data())
def test_a_refiner_of_anything_is_made_or_refused_and_then_refines(data):
    valid = {
        "preset": data.draw(st.sampled_from(["irn", Parameters(1, 2, 3)])),
        "image": "image",
        "probs": "probs",
        "labels": "labels",
        "marginals": "marginals",
        "from_logits": False,
        "num_threads": 1,
        "device": "cpu",
    }
    says = ("densecrf.Refiner: ", "CRF parameters: ", "no CRF parameters", "the device")
    refiner = judged(Refiner, **data.draw(spoiled(valid)), says=says)
    if not isinstance(refiner, Refused):
        batch = {"image": picture(2, 4, 5, 3), "probs": probabilities(2, 3, 4, 5)}
        judged(refiner, batch, says=("densecrf.Refiner: ", "there is no cuda"))


@cases(80)
@given(st.data())
def test_a_batch_of_anything_is_refined_or_refused(data):
    images, probs = picture(2, 4, 5, 3), probabilities(2, 3, 4, 5)
    if data.draw(st.booleans()):
        images, probs = list(images), list(probs)
    batch = data.draw(spoiled({"image": images, "probs": probs, "name": ["a", "b"]}) | anything)
    answer = judged(Refiner("irn", marginals="marginals", num_threads=1), batch, says="densecrf.Refiner: ")
    if not isinstance(answer, Refused) and len(answer["marginals"]):
        for one in answer["marginals"]:
            assert_marginals(one)


@cases(40)
@given(st.data())
def test_parameters_refine_what_refine_does(data):
    valid = {
        "image": picture(4, 5, 3),
        "probs": probabilities(3, 4, 5),
        "from_logits": False,
        "num_threads": 1,
        "device": "cpu",
    }
    parameters = Parameters(1, 2, 3, iterations=2)
    says = ("densecrf.refine: ", "the device", "there is no")
    answer = judged(parameters.refine, **data.draw(spoiled(valid)), says=says)
    if not isinstance(answer, Refused):
        assert_marginals(answer, -3)


@cases(20)
@given(words | st.text(max_size=8), st.dictionaries(st.sampled_from(sorted(VALID)), anything, max_size=2))
def test_no_name_of_parameters_does_harm(name, overrides):
    found = judged(resolve, name, **overrides, says=("no CRF parameters", "CRF parameters"))
    assert isinstance(found, (Refused, densecrf.Parameters))
