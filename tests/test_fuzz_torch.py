"""`densecrf.torch`, called with everything."""

import numpy as np
import pytest
from fuzz_anything import anything, odd_tensors, spoiled
from fuzz_judge import Refused, assert_marginals, assert_same, host, judged, shares_memory
from fuzz_layouts import TORCH_FLOATS, tensors
from fuzz_problems import cases, probs_kinds, seeds, some_probs
from hypothesis import given
from hypothesis import strategies as st
from inputs import picture, probabilities

import densecrf
from densecrf import Bilateral, Gaussian

torch = pytest.importorskip("torch")

import densecrf.torch  # noqa: E402

SAYS = (
    "densecrf.torch.refine: ",
    "densecrf.torch.DenseCRF: ",
    "densecrf.refine: ",  # from within the operator
    "Attempted to use an uninitialized parameter",  # torch's own, before the operator is asked
)
TERMS = [Gaussian(1, 1), Bilateral(2, 30, 1)]


@cases(30)
@given(st.data())
def test_the_operator_gives_what_refine_gives_for_tensors_of_every_form(data):
    rng = np.random.default_rng(data.draw(seeds))
    shape = (data.draw(st.integers(1, 5)), *data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5))))
    probs = data.draw(tensors(some_probs(rng, shape, data.draw(probs_kinds)), TORCH_FLOATS))
    image = data.draw(tensors(picture(*shape[1:])))
    with torch.no_grad():
        answer = judged(densecrf.torch.refine, image, probs, terms=TERMS, iterations=2, says=SAYS)
    assert not isinstance(answer, Refused), answer
    assert answer.is_contiguous()
    assert not shares_memory(answer, probs)
    assert_marginals(answer)
    assert_same(answer, densecrf.refine(image, probs, terms=TERMS, iterations=2))


@cases(60)
@given(st.data())
def test_the_operator_takes_or_refuses_anything(data):
    valid = {
        "image": torch.from_numpy(picture(3, 4, 5)),
        "probs": torch.from_numpy(probabilities(3, 4, 5)),
        "terms": TERMS,
        "preset": "irn",
        "iterations": 2,
        "label_tolerance": 1e-3,
        "from_logits": False,
    }
    arguments = data.draw(spoiled(valid))
    if data.draw(st.booleans()):
        arguments["probs"] = data.draw(odd_tensors)
    answer = judged(densecrf.torch.refine, **arguments, says=SAYS)
    if not isinstance(answer, Refused) and answer.device.type != "meta":
        assert_marginals(answer, -3)


@cases(40)
@given(st.data())
def test_a_layer_of_anything_is_made_or_refused_and_can_be_used(data):
    valid = {"terms": TERMS, "preset": "irn", "iterations": 2, "label_tolerance": 1e-3, "from_logits": True}
    layer = judged(densecrf.torch.DenseCRF, **data.draw(spoiled(valid)), says=SAYS)
    if isinstance(layer, Refused):
        return
    judged(repr, layer)
    image, scores = data.draw(odd_tensors | anything), torch.from_numpy(probabilities(3, 4, 5))
    answer = judged(layer, torch.from_numpy(picture(3, 4, 5)) if data.draw(st.booleans()) else image, scores, says=SAYS)
    if not isinstance(answer, Refused):
        assert_marginals(answer)
        assert np.isfinite(host(answer)).all()
