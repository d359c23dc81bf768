"""The GPU's paths through the host twin, called with everything: see gpus.py."""

import gpus
import numpy as np
import pytest
from fuzz_anything import spoiled
from fuzz_judge import Refused, assert_marginals, judged
from fuzz_problems import cases, probs_kinds, right_arguments, seeds, sizes, some_image, some_probs, terms
from hypothesis import assume, given
from hypothesis import strategies as st
from inputs import picture, probabilities

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian


@pytest.fixture(scope="module", params=["twin-torch", "twin-cupy"])
def gpu(request):
    with pytest.MonkeyPatch.context() as patch:
        yield gpus.GPUS[request.param](patch)


image_kinds = st.sampled_from(["uint8", "flat", "booleans", "unit floats", "int32", "float32", "float64"])


@cases(20)
@given(st.data())
def test_every_problem_gets_the_answer_of_the_cpu(gpu, data):
    height, width, rng = data.draw(sizes), data.draw(sizes), np.random.default_rng(data.draw(seeds))
    labels, channels = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 5))
    kind = data.draw(image_kinds)
    image = some_image(rng, (height, width, channels), kind)
    probs = some_probs(rng, (labels, height, width), data.draw(probs_kinds)).astype(np.float32)
    chosen = data.draw(st.lists(terms(labels, 2, channels, height * width), max_size=2))
    options = {"terms": chosen, "iterations": data.draw(st.integers(0, 3)), "channel_axis": -1}
    answer = judged(densecrf.refine, gpu.put(image), gpu.put(probs), **options, says="densecrf.refine: ")
    on_cpu = judged(densecrf.refine, image, probs, **options, says="densecrf.refine: ")
    if isinstance(answer, Refused) and "sigma too small" in answer.message:  # a GPU waits for no largest value
        assume("float" not in kind)
    assert isinstance(answer, Refused) == isinstance(on_cpu, Refused), (answer, on_cpu)
    assume(not isinstance(answer, Refused))
    assert_marginals(gpu.get(answer))


@cases(50)
@given(st.data())
def test_anything_gets_marginals_or_a_sentence_that_helps(gpu, data):
    arguments = _there(gpu, data.draw(spoiled(right_arguments())))
    answer = judged(densecrf.refine, **arguments, written=[arguments["out"]], says="densecrf.refine: ")
    if not isinstance(answer, Refused):
        assert_marginals(gpu.get(answer) if type(answer) is type(gpu.put(1.0)) else answer, -3)


@cases(50)
@given(st.data())
def test_a_model_answers_or_refuses_anything(gpu, data):
    crf = DenseCRF(gpu.put(picture(4, 5, 3)), 3, [Gaussian(1, 1), Bilateral(2, 30, 1)], channel_axis=-1)
    unary, marginals = np.zeros((3, 4, 5), np.float32), probabilities(3, 4, 5)
    asked = {
        crf.infer: {"unary": unary, "iterations": 2, "start": marginals, "damping": 0.1, "tolerance": 1e-3,
                    "ignore": np.zeros((4, 5), bool), "return_iterations": False},
        crf.message: {"marginals": marginals},
        crf.filter: {"values": marginals, "term": 1},
        crf.energy: {"unary": unary, "labels": np.zeros((4, 5), int)},
        crf.free_energy: {"unary": unary, "marginals": marginals},
    }  # fmt: skip
    function = data.draw(st.sampled_from(list(asked)))
    keep = {"ignore", "labels"}  # of the host
    arguments = data.draw(spoiled(asked[function], spare=keep))
    judged(function, **_there(gpu, arguments, keep), says=("DenseCRF.", "densecrf.DenseCRF: "))


def _there(gpu, arguments, keep=()):
    """The arguments with plain arrays on the GPU, where its library has the dtype."""
    return {name: value if name in keep else _put(gpu, value) for name, value in arguments.items()}


def _put(gpu, value):
    if type(value) is not np.ndarray or value.dtype.kind not in "fiub" or not value.dtype.isnative:
        return value
    return value if value.dtype == np.longdouble else gpu.put(value)
