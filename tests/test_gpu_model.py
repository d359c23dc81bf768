"""`DenseCRF` on a GPU: everything that a model does, as on the CPU, and for many callers at once."""

import numpy as np
import pytest
from gpus import assert_same_answer
from inputs import softmax
from models import IMAGE, LABELS, LOGITS, MIXED, SHAPE, TERMS, UNARY, unaries
from numpy.testing import assert_allclose, assert_array_equal

from densecrf import DenseCRF, Gaussian, MeanField

START = softmax(unaries(1)[0]).astype(np.float32)
MATRIX = np.random.default_rng(1).uniform(-0.3, 0.6, size=(LABELS, LABELS))
MIXING = (*MIXED, Gaussian(2, MATRIX), Gaussian((1, 3), [0.2, -0.1, 0.4, 0.3]))


@pytest.fixture(scope="module", params=[TERMS, MIXING], ids=["symmetric", "mixing"])
def here(request):
    return DenseCRF(IMAGE, LABELS, request.param)


@pytest.fixture
def there(gpu, here):
    """The same on a GPU."""
    return DenseCRF(gpu.put(IMAGE), LABELS, here._description[3], channel_axis=-1)


# ---- infer --------------------------------------------------------------------------------------------------

OPTIONS = {
    "nothing": {},
    "no iterations": {"iterations": 0},
    "one iteration": {"iterations": 1},
    "damping": {"damping": 0.3},
    "a tolerance": {"iterations": 60, "tolerance": 1e-2},
    "a tolerance that is never reached": {"iterations": 3, "tolerance": 1e-9},
    "damping and a tolerance": {"iterations": 60, "damping": 0.4, "tolerance": 1e-2},
    "a tolerance met at once": {"tolerance": 0.999},
    "a label tolerance": {"label_tolerance": 1e-2},
}


@pytest.mark.parametrize("case", OPTIONS)
@pytest.mark.parametrize("start", [None, START], ids=["", "start"])
@pytest.mark.parametrize("ignore", [None, np.arange(180).reshape(SHAPE) % 7 == 0], ids=["", "ignore"])
def test_infer_gives_the_answer_of_the_cpu_after_as_many_iterations(case, start, ignore, gpu, here, there):
    expected, should = here.infer(UNARY, **OPTIONS[case], start=start, ignore=ignore, return_iterations=True)
    begin = None if start is None else gpu.put(start)
    q, ran = there.infer(gpu.put(UNARY), **OPTIONS[case], start=begin, ignore=ignore, return_iterations=True)
    assert ran == should
    assert_same_answer(gpu.get(q), expected)
    plain = there.infer(gpu.put(UNARY), **OPTIONS[case], start=begin, ignore=ignore)
    assert_array_equal(gpu.get(plain), gpu.get(q))


def test_the_cases_above_end_at_different_times(here):
    ran = {case: here.infer(UNARY, **OPTIONS[case], return_iterations=True)[1] for case in OPTIONS}
    assert ran["a tolerance met at once"] == 1
    assert 1 < ran["a tolerance"] < 60
    assert 1 < ran["damping and a tolerance"] < 60
    assert ran["a tolerance that is never reached"] == 3


@pytest.mark.parametrize("iterations", [0, 1, 2, 3, 4])
def test_an_inference_that_could_end_in_its_last_but_one_iteration_does(iterations, gpu, here, there):
    end = here.infer(UNARY, 200)
    options = {"start": end, "tolerance": 1e-2, "return_iterations": True}
    assert here.infer(UNARY, iterations, **options)[1] == min(iterations, 1)
    assert there.infer(gpu.put(UNARY), iterations, **{**options, "start": gpu.put(end)})[1] == min(iterations, 1)


@pytest.mark.parametrize("tolerance", [0.3, 0.1, 1e-2, 1e-3, 1e-4])
def test_the_answer_of_an_early_end_is_that_of_as_many_iterations(tolerance, gpu, there):
    for damping in (0.0, 0.5):
        q, ran = there.infer(gpu.put(UNARY), 100, tolerance=tolerance, damping=damping, return_iterations=True)
        assert_allclose(gpu.get(q), gpu.get(there.infer(gpu.put(UNARY), ran, damping=damping)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("damping", [0.0, 0.4])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 2), (0, 4), (4, 0)])
def test_n_and_m_iterations_are_n_iterations_and_then_m_more(n, m, damping, gpu, there):
    between = there.infer(gpu.put(UNARY), n, damping=damping)
    both = there.infer(gpu.put(UNARY), m, start=between, damping=damping)
    assert_allclose(gpu.get(both), gpu.get(there.infer(gpu.put(UNARY), n + m, damping=damping)), rtol=0, atol=1e-6)


def test_infer_is_messages_and_soft_max_in_turn(gpu, there):
    q = softmax(LOGITS)
    for n in range(1, 5):
        q = softmax(LOGITS + gpu.get(there.message(gpu.put(q.astype(np.float32)))))
        assert_allclose(gpu.get(there.infer(gpu.put(UNARY), n)), q, rtol=0, atol=3e-6)
    assert np.abs(q - softmax(LOGITS)).max() > 0.1


def test_messages_are_filtered_values_times_weights(gpu):
    model, values = DenseCRF(gpu.put(IMAGE), LABELS, TERMS, channel_axis=-1), gpu.put(START)
    filtered = [term.weight * gpu.get(model.filter(values, number)) for number, term in enumerate(TERMS)]
    assert_allclose(gpu.get(model.message(values)), sum(filtered), rtol=0, atol=3e-6)


def test_messages_and_filters_are_those_of_the_cpu(gpu, here, there):
    assert_allclose(gpu.get(there.message(gpu.put(START))), here.message(START), rtol=0, atol=1e-5)
    values = np.random.default_rng(0).normal(size=(7, *SHAPE)).astype(np.float32)
    for term in (0, 1, -1):
        for count in (1, 3, 7):  # of channels: any number
            result = gpu.get(there.filter(gpu.put(values[:count]), term))
            assert_allclose(result, here.filter(values[:count], term), rtol=0, atol=1e-5)


def test_ones_filtered_by_a_normalised_kernel_stay_ones(gpu):
    model = DenseCRF(gpu.put(IMAGE), LABELS, [Gaussian(2.5, 1, "after")], channel_axis=-1)
    assert_allclose(gpu.get(model.filter(gpu.put(np.ones((2, *SHAPE), np.float32)))), 1, rtol=0, atol=2e-6)


# ---- energies, steps ----------------------------------------------------------------------------------------


def test_energies_are_those_of_the_cpu(gpu, here, there):
    labels = START.argmax(axis=0)
    unary = gpu.put(UNARY)
    assert there.energy(unary, labels) == pytest.approx(here.energy(UNARY, labels), rel=1e-5)
    expected = here.free_energy(UNARY, START)
    assert there.free_energy(unary, gpu.put(START)) == pytest.approx(expected, rel=1e-5)


def test_a_mean_field_steps_to_what_infer_gives(gpu, there):
    unary = gpu.put(UNARY)
    field = there.start(unary)
    assert isinstance(field, MeanField)
    assert_array_equal(gpu.get(field.marginals), gpu.get(there.infer(unary, 0)))
    assert_allclose(gpu.get(field.step()), gpu.get(there.infer(unary, 1)), rtol=0, atol=1e-6)
    assert_allclose(gpu.get(field.step(3)), gpu.get(there.infer(unary, 4)), rtol=0, atol=1e-6)
    damped = there.start(unary)
    damped.step(1, damping=0.3)
    expected = there.infer(unary, 3, damping=0.3)
    assert_allclose(gpu.get(damped.step(2, damping=0.3)), gpu.get(expected), rtol=0, atol=1e-6)
    assert field.free_energy() == pytest.approx(there.free_energy(unary, field.marginals), rel=1e-6)


def test_a_mean_field_keeps_its_unary_and_its_marginals_to_itself(gpu, there):
    unary = gpu.put(UNARY)
    field = there.start(unary)
    unary[...] = 0
    field.step(2)[...] = 0
    field.marginals[...] = 0
    assert_allclose(gpu.get(field.step(1)), gpu.get(there.infer(gpu.put(UNARY), 3)), rtol=0, atol=1e-6)
