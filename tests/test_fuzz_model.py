"""`densecrf.DenseCRF`, what it makes, volumes and unary energies, called with everything."""

import pickle
from collections.abc import Hashable

import numpy as np
import pytest
from fuzz_anything import anything, spoiled, words
from fuzz_judge import Refused, assert_marginals, assert_same, judged, shares_memory
from fuzz_layouts import TORCH_FLOATS, float_dtypes, laid_out, tensors
from fuzz_problems import cases, image_kinds, iteration_counts, probs_kinds, seeds, some_image, some_probs, terms
from hypothesis import assume, given
from hypothesis import strategies as st
from inputs import picture, probabilities

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian

SHAPE, LABELS = (4, 5), 3
ENERGIES = np.random.default_rng(3).normal(size=(LABELS, *SHAPE)).astype(np.float32)
MARGINALS = probabilities(LABELS, *SHAPE)


def model():
    return DenseCRF(picture(*SHAPE, 3), LABELS, [Gaussian(1, 1), Bilateral(2, 30, 1)])


@st.composite
def models(draw):
    """A model of a grid of one to four axes, or a refusal of its sigmas."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    labels, channels = draw(st.integers(1, 6)), draw(st.sampled_from([0, 0, 1, 3, 8]))
    rng = np.random.default_rng(draw(seeds))
    chosen = draw(st.lists(terms(labels, len(shape), channels, int(np.prod(shape))), max_size=3))
    where = some_image(rng, (*shape, channels), draw(image_kinds)) if channels else shape
    axis = -1 if channels else "usual"
    crf = judged(DenseCRF, where, labels, chosen, channel_axis=axis, says="densecrf.DenseCRF: ")
    assume(not isinstance(crf, Refused))
    return crf


@st.composite
def energies(draw, crf):
    values = np.random.default_rng(draw(seeds)).normal(size=(crf.n_labels, *crf.shape))
    return (values * draw(st.sampled_from([0, 1, 1, 1e-40, 30, 1e30, 3e37]))).clip(-3e38, 3e38)


HOW = {"damping": st.sampled_from([0.0, 0.5, 0.999]), "tolerance": st.sampled_from([0.0, 1e-3, 0.5])}


@cases(40)
@given(st.data())
def test_energies_of_every_layout_get_the_marginals_of_plain_ones(data):
    crf = data.draw(models())
    dtype = data.draw(float_dtypes.filter(lambda dtype: dtype is not np.float16))  # which is too narrow for them
    unary = data.draw(laid_out(data.draw(energies(crf)).astype(dtype)))
    options = {name: data.draw(values) for name, values in HOW.items()}
    options["iterations"] = data.draw(iteration_counts)
    answer = judged(crf.infer, unary, **options)
    assert answer.dtype == unary.dtype
    assert_marginals(answer)
    again = crf.infer(np.array(unary, np.float32), **options)
    np.testing.assert_array_equal(answer, again.astype(unary.dtype))


@cases(20)
@given(st.data())
def test_tensors_of_energies_get_the_marginals_of_plain_ones(data):
    pytest.importorskip("torch")
    crf = data.draw(models())
    unary = data.draw(tensors(data.draw(energies(crf)).clip(-6e4, 6e4), TORCH_FLOATS))
    answer = judged(crf.infer, unary, 2)
    assert answer.dtype == unary.dtype
    assert_marginals(answer)
    assert not shares_memory(answer, unary)


@cases(25)
@given(st.data())
def test_steps_and_energies_are_finite_and_a_pickled_model_agrees(data):
    crf = data.draw(models())
    unary = data.draw(energies(crf))
    field = judged(crf.start, unary)
    assert_marginals(judged(field.step, data.draw(iteration_counts), damping=data.draw(HOW["damping"])))
    assert np.isfinite(judged(field.free_energy))
    labels = np.random.default_rng(0).integers(0, crf.n_labels, crf.shape)
    assert np.isfinite(judged(crf.energy, unary, labels))
    assert_same(crf.infer(unary, 2), pickle.loads(pickle.dumps(crf)).infer(unary, 2))


@cases(25)
@given(st.data())
def test_messages_and_filters_of_odd_arrays_are_those_of_plain_ones(data):
    crf = data.draw(models())
    kind, rng = data.draw(probs_kinds), np.random.default_rng(data.draw(seeds))
    marginals = data.draw(laid_out(some_probs(rng, (crf.n_labels, *crf.shape), kind)))
    answer = judged(crf.message, marginals)
    assert np.isfinite(answer).all()
    assert_same(answer, crf.message(np.array(marginals, np.float32)))
    filtered = judged(crf.filter, marginals, 0)
    assert isinstance(filtered, Refused) or np.isfinite(filtered).all()


@cases(80)
@given(st.data())
def test_a_model_of_anything_is_made_or_refused(data):
    valid = {
        "image_or_shape": data.draw(st.sampled_from([picture(*SHAPE, 3), SHAPE])),
        "n_labels": LABELS,
        "terms": [Gaussian(1, 1)],
        "preset": "irn",
        "channel_axis": "usual",
        "num_threads": 1,
    }
    if data.draw(st.booleans()):
        valid["terms"] = []  # nothing that might object to a size
    crf = judged(DenseCRF, **data.draw(spoiled(valid, absurd=["n_labels"])), says="densecrf.DenseCRF: ")
    if not isinstance(crf, Refused):
        assert isinstance(crf.n_vertices, int)
        judged(crf.infer, ENERGIES)
        judged(crf.energy, ENERGIES, np.zeros(crf.shape, int))


@cases(80)
@given(st.data())
def test_anything_is_inferred_or_refused(data):
    valid = {
        "unary": ENERGIES,
        "iterations": 2,
        "start": MARGINALS,
        "damping": 0.2,
        "tolerance": 1e-3,
        "label_tolerance": 1e-3,
        "ignore": np.zeros(SHAPE, bool),
        "return_iterations": False,
    }
    answer = judged(model().infer, **data.draw(spoiled(valid)))
    if not isinstance(answer, Refused):
        assert_marginals(answer[0] if isinstance(answer, tuple) else answer)


@cases(60)
@given(st.data())
def test_whatever_is_asked_of_a_model_is_answered_or_refused(data):
    crf = model()
    asked = {
        crf.message: {"marginals": MARGINALS},
        crf.filter: {"values": MARGINALS, "term": 1},
        crf.energy: {"unary": ENERGIES, "labels": np.zeros(SHAPE, int)},
        crf.free_energy: {"unary": ENERGIES, "marginals": MARGINALS},
        crf.start: {"unary": ENERGIES},
        crf.start(ENERGIES).step: {"iterations": 1, "damping": 0.1},
    }
    function = data.draw(st.sampled_from(list(asked)))
    answer = judged(function, **data.draw(spoiled(asked[function])))
    if isinstance(answer, float):
        assert np.isfinite(answer)


@cases(60)
@given(st.data())
def test_a_volume_of_anything_is_refined_or_refused(data):
    valid = {
        "volume": picture(3, 4, 5),
        "probs": np.moveaxis(probabilities(3, 2, 4, 5), 1, 0),
        "terms": [Gaussian((1, 2, 3), 1), Bilateral(2, 30, 1)],
        "spacing": (1.0, 2.0, 0.5),
        "iterations": 2,
        "label_tolerance": 1e-3,
        "channel_axis": None,
        "num_threads": 1,
    }
    says = ("densecrf.refine_volume: ", "densecrf.unary_from_probs: ", "densecrf.DenseCRF: ", "Gaussian: ")
    answer = judged(densecrf.refine_volume, **data.draw(spoiled(valid)), says=says)
    if not isinstance(answer, Refused):
        assert_marginals(answer)


@cases(60)
@given(st.data())
def test_unaries_of_anything_are_finite_or_refused(data):
    asked = {
        densecrf.unary_from_probs: {"probs": MARGINALS, "clip": 1e-5, "scale": 0.5},
        densecrf.unary_from_labels: {
            "labels": np.arange(20).reshape(4, 5) % 3, "n_labels": 3, "confidence": 0.6, "unsure": 255
        },
    }  # fmt: skip
    function = data.draw(st.sampled_from(list(asked)))
    arguments = data.draw(spoiled(asked[function], absurd=["n_labels"]))
    answer = judged(function, **arguments, says=f"densecrf.{function.__name__}: ")
    if not isinstance(answer, Refused):
        assert answer.dtype == np.float32
        assert np.isfinite(answer).all()


@cases(20)
@given(st.floats(1e-300, 1, exclude_max=True), st.floats(1e-300, 1), seeds, probs_kinds)
def test_probabilities_have_finite_energies_however_small_the_clip(clip, scale, seed, kind):
    probs = some_probs(np.random.default_rng(seed), (3, 4), kind)
    assert np.isfinite(judged(densecrf.unary_from_probs, probs, clip, scale, says="densecrf.unary_from_probs: ")).all()


@cases(40)
@given(st.data())
def test_the_memory_of_anything_is_estimated_or_refused(data):
    valid = {
        "shape": SHAPE,
        "n_labels": LABELS,
        "terms": [Gaussian(1, 1)],
        "preset": "irn",
        "channels": 3,
        "damped": False,
        "gpu": False,
    }
    arguments = data.draw(spoiled(valid, absurd=["n_labels", "channels"]))
    found = judged(densecrf.memory_estimate, **arguments, says="densecrf.memory_estimate: ")
    if not isinstance(found, Refused):
        assert 0 <= found.least <= found.most


@cases(20)
@given(words | anything.filter(lambda name: isinstance(name, Hashable)))
def test_no_look_into_the_table_of_presets_does_harm(name):
    assert name not in densecrf.presets or densecrf.presets[name].terms
    assert judged(densecrf.build_info) == densecrf.build_info()
