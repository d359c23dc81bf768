"""What holds on a GPU for every small picture and all terms, drawn by hypothesis: above all the answer of the CPU."""

import numpy as np
from gpus import assert_same_answer, one_library
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from inputs import NORMALIZATIONS, softmax
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
from densecrf import Bilateral, DenseCRF, Features, Gaussian

pytestmark = one_library

# The fixture is the same for every example: a place for arrays, which remembers none.
small = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

positions = st.floats(0.05, 1e4)
normalizations = st.sampled_from(NORMALIZATIONS)


def terms_for(labels, points):
    """A term of any kind with any weights, so gentle that rounding stays rounding."""
    numbers = st.floats(0, 0.5)
    entries = st.floats(-0.3, 0.3)
    vectors = st.lists(entries, min_size=labels, max_size=labels)
    matrices = hnp.arrays(np.float64, (labels, labels), elements=entries)
    weights = numbers | vectors | matrices
    features = hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.just(points)), elements=st.integers(-40, 40))
    return (
        st.builds(Gaussian, st.tuples(positions, positions), weights, normalizations)
        | st.builds(Bilateral, positions, st.floats(0.5, 1e4), weights, normalizations)
        | st.builds(Features, features.map(lambda values: values / 8), weights, normalizations)
    )


@st.composite
def problems(draw):
    """Pictures [B, H, W, C], logits [B, L, H, W], up to three terms and five iterations."""
    batch, height, width = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    labels, channels = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    images = draw(hnp.arrays(np.uint8, (batch, height, width, channels)))
    logits = draw(hnp.arrays(np.float32, (batch, labels, height, width), elements=st.floats(-8, 8, width=32)))
    terms = draw(st.lists(terms_for(labels, height * width), max_size=3))
    return images, logits, terms, draw(st.integers(0, 5))


@small
@given(problems(), st.booleans(), st.sampled_from([0, 1e-3, 0.1]))
def test_refine_gives_the_answer_of_the_cpu(gpu, problem, from_logits, label_tolerance):
    images, logits, terms, iterations = problem
    scores = logits if from_logits else np.stack([softmax(one) for one in logits])
    options = {"terms": terms, "iterations": iterations, "from_logits": from_logits, "channel_axis": -1}
    q = gpu.get(densecrf.refine(gpu.put(images), gpu.put(scores), **options, label_tolerance=0))
    assert_same_answer(q, densecrf.refine(images, scores, **options, label_tolerance=0), 1)
    near = gpu.get(densecrf.refine(gpu.put(images), gpu.put(scores), **options, label_tolerance=label_tolerance))
    assert_allclose(near, q, rtol=0, atol=max(2e-6, label_tolerance**2))


@small
@given(problems(), st.floats(0, 0.9), st.sampled_from([0, 1e-5, 1e-2, 0.3]))
def test_a_model_gives_the_answer_of_the_cpu(gpu, problem, damping, tolerance):
    images, logits, terms, iterations = problem
    options = {"iterations": iterations, "damping": damping, "tolerance": tolerance}
    here = DenseCRF(images[0], logits.shape[1], terms, channel_axis=-1)
    there = DenseCRF(gpu.put(images[0]), logits.shape[1], terms, channel_axis=-1)
    assert there.n_vertices == here.n_vertices
    assert_same_answer(gpu.get(there.infer(gpu.put(-logits[0]), **options)), here.infer(-logits[0], **options))
    assert_allclose(gpu.get(there.message(gpu.put(logits[0]))), here.message(logits[0]), rtol=0, atol=1e-4)


@small
@given(problems())
def test_a_batch_has_the_bits_of_its_pictures_alone(gpu, problem):
    images, logits, terms, iterations = problem
    options = {"terms": terms, "iterations": iterations, "from_logits": True, "channel_axis": -1}
    together = gpu.get(densecrf.refine(gpu.put(images), gpu.put(logits), **options))
    for one, image, scores in zip(together, images, logits, strict=True):
        assert_array_equal(gpu.get(densecrf.refine(gpu.put(image), gpu.put(scores), **options)), one)


any_float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@small
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 5)), elements=any_float32),
    st.lists(st.builds(Gaussian, positions, st.floats(0, 9e29), normalizations), max_size=3),
    st.integers(0, 4),
)
def test_marginals_are_finite_and_sum_to_one_whatever_the_logits_and_weights(gpu, logits, terms, iterations):
    image = np.zeros(logits.shape[1:], np.uint8)
    options = {"terms": terms, "iterations": iterations, "from_logits": True}
    q = gpu.get(densecrf.refine(gpu.put(image), gpu.put(logits), **options))
    assert np.isfinite(q).all()
    assert q.min() >= 0
    assert_allclose(q.sum(axis=0, dtype=np.float64), 1, rtol=0, atol=3e-6)
