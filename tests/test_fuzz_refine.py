"""`densecrf.refine` and its kin, called with everything: see fuzz_judge.py and its neighbours."""

import numpy as np
import pytest
from fuzz_anything import spoiled
from fuzz_judge import Refused, assert_marginals, assert_same, host, judged, shares_memory
from fuzz_layouts import TORCH_FLOATS, float_dtypes, laid_out, plain, tensors
from fuzz_problems import (
    cases,
    image_kinds,
    iteration_counts,
    label_counts,
    logits_scales,
    probs_kinds,
    right_arguments,
    seeds,
    sizes,
    some_image,
    some_probs,
    terms,
)
from hypothesis import given
from hypothesis import strategies as st
from inputs import picture, probabilities

import densecrf
from densecrf import Bilateral, Gaussian


@st.composite
def problems(draw, labels=label_counts, iterations=iteration_counts, batches=st.sampled_from([0, 0, 0, 1, 3])):  # noqa: B008
    """Arguments of `densecrf.refine`, plain and right, unless a sigma is too small for the picture."""
    batch, height, width = draw(batches), draw(sizes), draw(sizes)
    channels = draw(st.sampled_from([0, 1, 3, 3]) | st.integers(1, 14))
    L, rng = draw(labels), np.random.default_rng(draw(seeds))
    shape = (height, width, channels) if channels else (height, width)
    image = some_image(rng, ((batch, *shape) if batch else shape), draw(image_kinds))
    kind = draw(probs_kinds)
    probs = np.stack([some_probs(rng, (L, height, width), kind) for _ in range(max(batch, 1))])
    chosen = draw(st.none() | st.lists(terms(L, 2, channels or 1, height * width), max_size=3))
    return {
        "image": image,
        "probs": probs if batch else probs[0],
        "terms": chosen,
        "iterations": draw(iterations),
        "label_tolerance": draw(st.sampled_from([0.0, 1e-3, 0.5])),
        "channel_axis": -1 if channels else None,
    }


def float32(probs):
    """A plain copy in the dtype that the library computes in, native and without a subclass."""
    return np.array(probs, np.float32, order="C")


def native(image):
    return np.array(image, image.dtype.newbyteorder("="), order="C")


def small_sigma(answer) -> bool:
    """Whether a call was refused for the one reason that a right one may be."""
    return isinstance(answer, Refused) and "times as large" in answer.message


@cases(40)
@given(st.data())
def test_numpy_arrays_of_every_layout_and_dtype_get_the_answer_of_plain_ones(data):
    problem = data.draw(problems())
    image = data.draw(laid_out(problem["image"]))
    probs = data.draw(laid_out(problem["probs"].astype(data.draw(float_dtypes))))
    answer = judged(densecrf.refine, **{**problem, "image": image, "probs": probs}, says="densecrf.refine: ")
    expected = refined(**{**problem, "image": native(image), "probs": float32(probs)})
    if small_sigma(answer):
        assert_same(answer, expected)
        return
    assert type(answer) is np.ndarray, answer
    assert answer.dtype == probs.dtype
    assert not shares_memory(answer, probs)
    assert_marginals(answer, -3)
    np.testing.assert_array_equal(answer, expected.astype(probs.dtype))


def refined(**arguments):
    return judged(densecrf.refine, **arguments, says="densecrf.refine: ")


@cases(40)
@given(st.data())
def test_tensors_of_every_form_get_the_answer_of_plain_arrays(data):
    pytest.importorskip("torch")
    problem = data.draw(problems())
    probs = data.draw(tensors(problem["probs"], TORCH_FLOATS))
    image = data.draw(tensors(problem["image"]))
    answer = judged(densecrf.refine, **{**problem, "image": image, "probs": probs}, says="densecrf.refine: ")
    expected = refined(**{**problem, "image": plain(host(image)), "probs": float32(host(probs))})
    if small_sigma(answer):
        assert_same(answer, expected)
        return
    assert not isinstance(answer, Refused), answer
    assert answer.dtype == probs.dtype
    assert not shares_memory(answer, probs)
    assert_marginals(answer, -3)
    np.testing.assert_array_equal(host(answer), host(expected_as(expected, probs)))


def expected_as(expected, like):
    import torch

    return torch.from_numpy(expected).to(like.dtype)


@cases(25)
@given(problems(), st.sampled_from([1, 2, 1000]))
def test_logits_of_every_size_get_marginals_and_the_same_ones_twice(problem, threads):
    rng = np.random.default_rng(len(problem["probs"]))
    for scale in (0, 1e-40, 10, 1e30, 3e37):
        logits = (rng.normal(size=problem["probs"].shape) * scale).clip(-3e38, 3e38).astype(np.float32)
        arguments = {**problem, "probs": logits, "from_logits": True}
        answer = refined(**arguments)
        if not small_sigma(answer):
            assert_marginals(answer, -3)
        assert_same(refined(**arguments, num_threads=threads), answer)


@cases(10)
@given(problems(labels=st.integers(1, 3), iterations=st.integers(100, 10_000), batches=st.just(0)))
def test_ten_thousand_iterations_leave_marginals(problem):
    answer = refined(**{**problem, "image": problem["image"], "num_threads": 1})
    if not small_sigma(answer):
        assert_marginals(answer)


@cases(25)
@given(st.data())
def test_an_out_of_any_layout_is_written_and_given_back(data):
    problem = data.draw(problems())
    probs = problem["probs"].astype(data.draw(float_dtypes))
    expected = refined(**{**problem, "probs": probs})
    out = data.draw(st.just(probs) | laid_out(plain(probs)))
    arguments = {**problem, "probs": probs, "out": out}
    answer = judged(densecrf.refine, **arguments, written=[out, probs], says="densecrf.refine: ")
    if isinstance(answer, Refused):
        assert small_sigma(expected) or "out must" in answer.message
    else:
        assert answer is out
        np.testing.assert_array_equal(np.asarray(answer), expected)


@pytest.mark.parametrize("function", [densecrf.refine, densecrf.reference.refine])
@cases(60)
@given(data=st.data())
def test_anything_gets_marginals_or_a_sentence_that_helps(function, data):
    arguments = data.draw(spoiled(right_arguments(), absurd=["num_threads"] if function is densecrf.refine else []))
    says = f"{function.__module__.removesuffix('._refine')}.refine: "
    answer = judged(function, **arguments, written=[arguments["out"]], says=says)
    if not isinstance(answer, Refused):
        assert_marginals(answer, -3)


@cases(40)
@given(st.data())
def test_any_terms_are_made_or_refused_and_can_be_refined_with(data):
    function = data.draw(st.sampled_from([Gaussian, Bilateral, densecrf.Features]))
    valid = {"weight": 1.0, "normalization": "after"}
    valid |= {"features": np.ones((2, 20), np.float32)} if function is densecrf.Features else {"sxy": 2.0}
    valid |= {"srgb": 10.0} if function is Bilateral else {}
    term = judged(function, **data.draw(spoiled(valid)), says=f"{function.__name__}: ")
    if not isinstance(term, Refused):
        judged(repr, term)
        answer = refined(image=picture(4, 5, 3), probs=probabilities(2, 4, 5), terms=[term])
        if not isinstance(answer, Refused):
            assert_marginals(answer)


# ---- labels and masks ---------------------------------------------------------------------------------------

integer_dtypes = st.sampled_from(["u1", "i1", "<i2", ">u2", "i4", "u4", ">i8", "u8"])


@cases(25)
@given(st.data())
def test_labels_of_every_layout_and_dtype_are_refined_as_plain_ones(data):
    height, width, rng = data.draw(sizes), data.draw(sizes), np.random.default_rng(data.draw(seeds))
    values = rng.integers(0, data.draw(st.sampled_from([1, 2, 5, 100])), (height, width))
    labels = data.draw(laid_out(values.astype(data.draw(integer_dtypes))))
    unsure = data.draw(st.sampled_from([None, 0, 3, 255, -1, -(2**31), 2**31 - 1]))
    options = {"unsure": unsure, "confidence": data.draw(st.floats(1e-300, 1 - 1e-16)), "iterations": 2}
    image = picture(height, width)
    answer = judged(densecrf.refine_labels, image, labels, **options, says="densecrf.refine_labels: ")
    assert answer.dtype == labels.dtype
    np.testing.assert_array_equal(answer, densecrf.refine_labels(image, np.array(labels, np.int64), **options))
    assert answer.min() >= 0


@cases(60)
@given(st.data())
def test_any_labels_are_refined_or_refused(data):
    valid = {
        "image": picture(4, 5, 3),
        "labels": np.arange(20).reshape(4, 5) % 3,
        "n_labels": 3,
        "confidence": 0.6,
        "unsure": 255,
        "terms": [Gaussian(1, 1)],
        "preset": "irn",
        "iterations": 2,
    }
    if data.draw(st.booleans()):
        valid.update(n_labels=None)
    arguments = data.draw(spoiled(valid, absurd=["n_labels", "unsure"]))
    answer = judged(densecrf.refine_labels, **arguments, says="densecrf.refine_labels: ")
    assert isinstance(answer, Refused) or answer.dtype.kind in "iu"


@cases(60)
@given(st.data())
def test_any_mask_is_refined_or_refused(data):
    valid = {
        "image": picture(4, 5, 3),
        "mask": data.draw(st.sampled_from([picture(4, 5) > 99, picture(4, 5) / np.float32(255)])),
        "from_logits": False,
        "confidence": 0.6,
        "terms": [Gaussian(1, 1)],
        "preset": "irn",
        "iterations": 2,
    }
    answer = judged(densecrf.refine_mask, **data.draw(spoiled(valid)), says="densecrf.refine_mask: ")
    if not isinstance(answer, Refused):
        assert answer.dtype == np.float32
        assert 0 <= answer.min() <= answer.max() <= 1


# ---- diagnose -----------------------------------------------------------------------------------------------


@cases(20)
@given(problems(labels=st.integers(1, 6), batches=st.just(0)), st.none() | logits_scales)
def test_a_diagnosis_of_every_problem_prints(problem, scale):
    del problem["label_tolerance"]
    if scale is not None:
        values = np.random.default_rng(0).normal(size=problem["probs"].shape) * scale
        problem.update(probs=values.clip(-3e38, 3e38), from_logits=True)
    diagnosis = judged(densecrf.diagnose, **problem, says="densecrf.diagnose: ")
    if not small_sigma(diagnosis):
        assert judged(str, diagnosis)


@cases(30)
@given(st.data())
def test_anything_is_diagnosed_or_refused(data):
    valid = right_arguments()
    del valid["num_threads"], valid["out"]
    diagnosis = judged(densecrf.diagnose, **data.draw(spoiled(valid)), says="densecrf.diagnose: ")
    assert isinstance(diagnosis, Refused) or judged(str, diagnosis)
