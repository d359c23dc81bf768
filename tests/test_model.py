"""`DenseCRF`: built once, inferred many times, and made of parts that can be put together again by hand."""

import itertools

import numpy as np
import pytest
from inputs import probabilities, softmax
from models import IMAGE, LABELS, LOGITS, MIXED, SHAPE, TERMS, UNARY, unaries
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
from densecrf import DenseCRF

# ---- the same as refine -------------------------------------------------------------------------------------


@pytest.mark.parametrize("iterations", [0, 1, 2, 7])
@pytest.mark.parametrize("terms", [TERMS, MIXED, (), TERMS[:1]], ids=["symmetric", "mixed", "none", "one"])
def test_a_model_infers_the_bits_that_refine_gives_for_logits(terms, iterations):
    q = DenseCRF(IMAGE, LABELS, terms).infer(UNARY, iterations)
    assert_array_equal(q, densecrf.refine(IMAGE, LOGITS, terms=terms, iterations=iterations, from_logits=True))
    assert q.dtype == np.float32


def test_a_model_infers_what_refine_gives_for_probabilities():
    """The logarithm is NumPy's here and the core's own there."""
    probs = probabilities(LABELS, *SHAPE)
    q = DenseCRF(IMAGE, LABELS, TERMS).infer(densecrf.unary_from_probs(probs), 5)
    assert_allclose(q, densecrf.refine(IMAGE, probs, terms=TERMS, iterations=5), rtol=0, atol=3e-6)


@pytest.mark.parametrize("preset", densecrf.presets)
def test_the_terms_are_those_of_the_preset_unless_given(preset):
    named, spelled = DenseCRF(IMAGE, LABELS, preset=preset), DenseCRF(IMAGE, LABELS, densecrf.presets[preset].terms)
    assert_array_equal(named.infer(UNARY), spelled.infer(UNARY))
    assert named.n_vertices == spelled.n_vertices


def test_the_preset_is_deeplab_v2_and_there_are_ten_iterations_unless_said_otherwise():
    assert_array_equal(DenseCRF(IMAGE, LABELS).infer(UNARY), densecrf.refine(IMAGE, LOGITS, from_logits=True))


def test_a_model_without_terms_gives_the_soft_max_of_the_energies():
    assert_allclose(DenseCRF(SHAPE, LABELS, []).infer(UNARY, 3), softmax(LOGITS), rtol=0, atol=1e-6)


def test_one_model_serves_many_unaries_and_remembers_none(crf):
    for unary in unaries(3):
        assert_array_equal(crf.infer(unary, 4), DenseCRF(IMAGE, LABELS, TERMS).infer(unary, 4))
    assert_array_equal(crf.infer(UNARY, 4), DenseCRF(IMAGE, LABELS, TERMS).infer(UNARY, 4))


def test_a_model_says_its_shape_its_labels_and_its_vertices(crf):
    assert (crf.shape, crf.n_labels) == (SHAPE, LABELS)
    parts = [DenseCRF(IMAGE, LABELS, [term]).n_vertices for term in TERMS]
    assert crf.n_vertices == sum(parts)
    assert min(parts) > 0
    assert DenseCRF(SHAPE, LABELS, []).n_vertices == 0


def test_infer_changes_nothing_it_is_given(crf):
    unary, start = UNARY.copy(), softmax(LOGITS).astype(np.float32)
    ignore = np.zeros(SHAPE, bool)
    ignore[3:5] = True
    before = start.copy()
    crf.infer(unary, 3, start=start, damping=0.3, tolerance=1e-3, ignore=ignore)
    assert_array_equal(unary, UNARY)
    assert_array_equal(start, before)
    assert_array_equal(np.flatnonzero(ignore.any(axis=1)), [3, 4])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_marginals_are_of_the_dtype_of_the_unary(crf, dtype):
    unary = UNARY.astype(dtype)
    q = crf.infer(unary, 4)
    assert q.dtype == unary.dtype
    assert_allclose(q.astype(np.float32), crf.infer(unary.astype(np.float32), 4), rtol=0, atol=5e-4)


def test_any_layout_of_the_unary_will_do(crf):
    expected = crf.infer(UNARY, 3)
    assert_array_equal(crf.infer(np.asfortranarray(UNARY), 3), expected)
    assert_array_equal(crf.infer(np.moveaxis(np.moveaxis(UNARY, 0, -1).copy(), -1, 0), 3), expected)
    assert_array_equal(crf.infer(UNARY[:, ::-1].copy()[:, ::-1], 3), expected)


def test_tensors_come_in_and_go_out(crf, torch):
    unary = torch.from_numpy(UNARY)
    q, ran = crf.infer(unary, 4, start=torch.from_numpy(softmax(LOGITS)), return_iterations=True)
    assert isinstance(q, torch.Tensor)
    assert (q.dtype, ran) == (torch.float32, 4)
    assert_allclose(q.numpy(), crf.infer(UNARY, 4), rtol=0, atol=1e-6)
    half = crf.infer(unary.bfloat16(), 4, ignore=torch.zeros(SHAPE, dtype=torch.bool))
    assert half.dtype == torch.bfloat16
    assert_allclose(half.float().numpy(), crf.infer(unary.bfloat16().float().numpy(), 4), rtol=0, atol=5e-3)


def test_a_torch_image_has_its_channels_first(crf, torch):
    image = torch.from_numpy(IMAGE).movedim(-1, 0)
    assert_array_equal(DenseCRF(image, LABELS, TERMS).infer(UNARY, 3), crf.infer(UNARY, 3))
    assert DenseCRF(image, LABELS, TERMS).shape == SHAPE


def test_a_tensor_is_stepped_and_its_energies_are_found(crf, torch):
    unary = torch.from_numpy(UNARY)
    tensors, arrays = crf.start(unary), crf.start(UNARY)
    assert isinstance(tensors.step(3), torch.Tensor)
    arrays.step(3)
    assert_array_equal(tensors.marginals.numpy(), arrays.marginals)
    assert tensors.free_energy() == arrays.free_energy()
    labels = tensors.marginals.argmax(0)
    assert crf.energy(unary, labels) == crf.energy(UNARY, labels.numpy())
    assert_array_equal(crf.message(tensors.marginals), crf.message(arrays.marginals))
    assert_array_equal(crf.filter(tensors.marginals), crf.filter(arrays.marginals))


@pytest.mark.parametrize("make", [lambda t: t.bfloat16(), lambda t: t.clone().requires_grad_()], ids=["bf16", "grad"])
def test_every_method_takes_the_tensors_that_infer_takes(crf, torch, make):
    unary = make(torch.from_numpy(UNARY))
    values = unary.detach().float().numpy()
    labels = np.zeros(SHAPE, int)
    assert crf.energy(unary, labels) == crf.energy(values, labels)
    assert_array_equal(crf.message(unary), crf.message(values))
    assert_array_equal(crf.filter(unary), crf.filter(values))
    assert crf.start(unary).free_energy() == pytest.approx(crf.start(values).free_energy(), rel=1e-2)


# ---- iterations, one by one ---------------------------------------------------------------------------------


@pytest.mark.parametrize("terms", [TERMS, MIXED], ids=["symmetric", "mixed"])
@pytest.mark.parametrize("damping", [0.0, 0.4])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 2), (0, 4), (4, 0)])
def test_n_and_m_iterations_are_n_iterations_and_then_m_more(terms, damping, n, m):
    model = DenseCRF(IMAGE, LABELS, terms)
    between = model.infer(UNARY, n, damping=damping)
    both = model.infer(UNARY, m, start=between, damping=damping)
    assert_array_equal(both, model.infer(UNARY, n + m, damping=damping))


def test_a_start_is_where_the_iterations_start(crf):
    start = softmax(unaries(1)[0]).astype(np.float32)
    assert_array_equal(crf.infer(UNARY, 0, start=start), start)
    other = crf.infer(UNARY, 1, start=start)
    assert_allclose(other, softmax(LOGITS + crf.message(start)), rtol=0, atol=2e-6)
    assert np.abs(other - crf.infer(UNARY, 1)).max() > 0.01


def test_mean_field_steps_from_the_soft_max_to_what_infer_gives(crf):
    field = crf.start(UNARY)
    assert_array_equal(field.marginals, crf.infer(UNARY, 0))
    assert_allclose(field.marginals, softmax(LOGITS), rtol=0, atol=1e-6)
    assert_array_equal(field.step(), crf.infer(UNARY, 1))
    assert_array_equal(field.step(3), crf.infer(UNARY, 4))
    assert_array_equal(field.marginals, crf.infer(UNARY, 4))
    assert_array_equal(field.step(0), crf.infer(UNARY, 4))


def test_mean_fields_of_one_model_do_not_know_of_each_other(crf):
    first, second = unaries(2)
    one, other = crf.start(first), crf.start(second)
    for _ in range(3):
        one.step()
        other.step(2)
    assert_array_equal(one.marginals, crf.infer(first, 3))
    assert_array_equal(other.marginals, crf.infer(second, 6))


def test_steps_of_half_precision_do_not_lose_what_infer_keeps(crf):
    """Five single steps, each through float16, end within float16's rounding of five at once."""
    unary = UNARY.astype(np.float16)
    field = crf.start(unary)
    for _ in range(5):
        field.step()
    assert field.marginals.dtype == np.float16
    assert_allclose(field.marginals.astype(float), crf.infer(unary.astype(np.float32), 5), rtol=0, atol=2e-3)


@pytest.mark.parametrize("damping", [0.1, 0.5, 0.9])
def test_damping_keeps_a_share_of_the_marginals_before(crf, damping):
    q = softmax(LOGITS)
    for n in range(1, 5):
        q = damping * q + (1 - damping) * softmax(LOGITS + crf.message(q.astype(np.float32)))
        assert_allclose(crf.infer(UNARY, n, damping=damping), q, rtol=0, atol=3e-6)
    field = crf.start(UNARY)
    field.step(1, damping=damping)
    assert_array_equal(field.step(3, damping=damping), crf.infer(UNARY, 4, damping=damping))


@pytest.mark.parametrize("terms", [TERMS, MIXED], ids=["symmetric", "mixed"])
def test_infer_is_messages_and_soft_max_in_turn(terms):
    model = DenseCRF(IMAGE, LABELS, terms)
    q = softmax(LOGITS)
    for n in range(1, 6):
        q = softmax(LOGITS + model.message(q.astype(np.float32)))
        assert_allclose(model.infer(UNARY, n), q, rtol=0, atol=3e-6)
    assert np.abs(q - softmax(LOGITS)).max() > 0.1


# ---- tolerance ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damping", [0.0, 0.5])
@pytest.mark.parametrize("tolerance", [0.1, 1e-2, 1e-4])
def test_a_tolerance_stops_at_the_first_iteration_that_moves_no_marginal_by_more(crf, tolerance, damping):
    q, ran = crf.infer(UNARY, 100, tolerance=tolerance, damping=damping, return_iterations=True)
    assert 1 < ran < 100
    assert_allclose(q, crf.infer(UNARY, ran, damping=damping), rtol=0, atol=1e-7)
    steps = [crf.infer(UNARY, n, damping=damping) for n in range(ran + 1)]
    moved = [np.abs(after - before).max() for before, after in itertools.pairwise(steps)]
    assert moved[-1] <= tolerance + 1e-6
    assert min(moved[:-1]) > tolerance - 1e-6


def test_the_lower_the_tolerance_the_more_iterations_run(crf):
    ran = [
        crf.infer(UNARY, 200, tolerance=t, damping=0.3, return_iterations=True)[1] for t in (0.3, 3e-2, 1e-3, 1e-5, 0)
    ]
    assert ran == sorted(ran)
    assert len(set(ran)) == len(ran)
    assert ran[-1] == 200


def test_without_a_tolerance_all_iterations_run(crf):
    for iterations in (0, 1, 9):
        q, ran = crf.infer(UNARY, iterations, return_iterations=True)
        assert ran == iterations
        assert_array_equal(q, crf.infer(UNARY, iterations, tolerance=0.0))


def test_a_tolerance_never_runs_more_iterations_than_asked_for(crf):
    for iterations in (0, 1, 2, 3):
        q, ran = crf.infer(UNARY, iterations, tolerance=1e-7, return_iterations=True)
        assert ran == iterations
        assert_allclose(q, crf.infer(UNARY, iterations), rtol=0, atol=1e-7)


def test_what_is_settled_stops_after_one_iteration():
    q, ran = DenseCRF(SHAPE, LABELS, []).infer(UNARY, 50, tolerance=1e-3, return_iterations=True)
    assert ran == 1
    assert_allclose(q, softmax(LOGITS), rtol=0, atol=1e-6)


def test_a_start_near_the_end_saves_iterations(crf):
    end = crf.infer(UNARY, 200)
    assert crf.infer(UNARY, 200, start=end, tolerance=1e-3, return_iterations=True)[1] == 1


# ---- points without an opinion ------------------------------------------------------------------------------


def test_ignored_points_are_points_whose_energies_are_all_the_same(crf):
    ignore = np.random.default_rng(5).random(SHAPE) < 0.3
    uniform = np.where(ignore, np.float32(0), UNARY)
    options = {"iterations": 5, "damping": 0.2}
    ignored = crf.infer(UNARY, **options, ignore=ignore)
    assert_array_equal(ignored, crf.infer(uniform, **options))
    assert_allclose(ignored, crf.infer(np.where(ignore, np.float32(7), UNARY), **options), rtol=0, atol=2e-6)
    assert np.abs(ignored - crf.infer(UNARY, **options)).max() > 0.1


def test_ignored_points_start_undecided_and_hear_their_neighbours(crf):
    ignore = np.zeros(SHAPE, bool)
    ignore[5, 7] = True
    assert_allclose(crf.infer(UNARY, 0, ignore=ignore)[:, 5, 7], 1 / LABELS, rtol=0, atol=1e-6)
    assert crf.infer(UNARY, 5, ignore=ignore)[:, 5, 7].max() > 0.5


def test_ignoring_nothing_or_everything_is_possible(crf):
    assert_array_equal(crf.infer(UNARY, 3, ignore=np.zeros(SHAPE, bool)), crf.infer(UNARY, 3))
    assert_allclose(crf.infer(UNARY, 3, ignore=np.ones(SHAPE, bool)), 1 / LABELS, rtol=0, atol=1e-5)
