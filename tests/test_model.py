"""`DenseCRF`: built once, inferred many times, and made of parts that can be put together again by hand."""

import copy
import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from inputs import NORMALIZATIONS, probabilities, scene, softmax
from numpy.testing import assert_allclose, assert_array_equal
from test_lattice import lattice_kernel, normalized

import densecrf
from densecrf import Bilateral, DenseCRF, Features, Gaussian
from densecrf.reference import kernel

LABELS, SHAPE = 4, (12, 15)
IMAGE, LOGITS = scene(*SHAPE, LABELS)
LOGITS = LOGITS / 4  # unsure, so that every iteration moves something
UNARY = -LOGITS
TERMS = (Gaussian((1.7, 2.3), 1.1), Bilateral((7.7, 11.3), (21.1, 33.7, 27.9), 1.3))
MIXED = (
    Gaussian((1.7, 2.3), 0.8, "after"),
    Bilateral((7.7, 11.3), (21.1, 33.7, 27.9), 0.9, "before"),
    Gaussian(1.3, 0.2, "none"),
)


@pytest.fixture(scope="module")
def crf():
    return DenseCRF(IMAGE, LABELS, TERMS)


def unaries(count):
    return [np.random.default_rng(seed).normal(size=UNARY.shape).astype(np.float32) for seed in range(count)]


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


# ---- messages and filters -----------------------------------------------------------------------------------


def grid_features(term):
    """[N, D] in float64."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    sx, sy = np.broadcast_to(term.sxy, 2)
    planes = [x / sx, y / sy]
    if isinstance(term, Bilateral):
        planes += list(np.moveaxis(IMAGE / np.array(term.srgb), -1, 0))
    return np.stack([plane.ravel() for plane in planes], axis=1)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_filter_is_the_lattice_of_its_term_normalised(normalization):
    terms = [Gaussian((1.7, 2.3), 5, normalization), Bilateral((7.7, 11.3), (21.1, 33.7, 27.9), 0, normalization)]
    model = DenseCRF(IMAGE, LABELS, terms)
    for i, term in enumerate(terms):
        expected = UNARY.reshape(LABELS, -1) @ normalized(lattice_kernel(grid_features(term)), normalization).T
        assert_allclose(model.filter(UNARY, i).reshape(LABELS, -1), expected, rtol=2e-6, atol=2e-5)


@pytest.mark.parametrize("dims", [1, 2, 3, 4, 5, 7, 10])
def test_a_filter_is_the_dictionary_lattice_in_every_number_of_dimensions(dims):
    features = np.random.default_rng(dims).normal(scale=1.5, size=(dims, 60)).astype(np.float32)
    values = np.random.default_rng(99).normal(size=(3, 60)).astype(np.float32)
    model = DenseCRF((60,), 3, [Features(features, 1, normalization) for normalization in NORMALIZATIONS])
    plain = lattice_kernel(features.T.astype(np.float64))
    for i, normalization in enumerate(NORMALIZATIONS):
        expected = values @ normalized(plain, normalization).T
        assert_allclose(model.filter(values, i), expected, rtol=2e-6, atol=2e-5)


# How far the lattice is from the exact Gaussian, as a share of the largest answer. Not normalised, the lattice loses
# mass to vertices that it does not have: half of it and more for pictures of noise, which normalisation gives back.
LATTICE_ERROR = {"symmetric": 0.1, "before": 0.15, "after": 0.1, "none": 0.2}


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_filter_is_near_the_exact_gaussian(normalization):
    values = softmax(LOGITS).astype(np.float32)
    terms = [Gaussian((1.7, 2.3), 5, normalization), Bilateral((7.7, 11.3), (41.1, 53.7, 47.9), 3, normalization)]
    model = DenseCRF(IMAGE, LABELS, terms)
    for i, term in enumerate(terms if normalization != "none" else terms[:1]):
        f = grid_features(term)
        exact = np.exp(-0.5 * ((f[:, None] - f[None]) ** 2).sum(-1))
        expected = values.reshape(LABELS, -1) @ normalized(exact, normalization).T
        got = model.filter(values, i).reshape(LABELS, -1)
        assert np.abs(got - expected).max() <= LATTICE_ERROR[normalization] * expected.max()


@pytest.mark.parametrize("term", [0, 1])
def test_a_filter_is_linear(crf, term):
    a, b = unaries(2)
    together = crf.filter(2 * a - 3 * b, term)
    assert_allclose(together, 2 * crf.filter(a, term) - 3 * crf.filter(b, term), rtol=0, atol=2e-5)
    assert_array_equal(crf.filter(np.zeros_like(a), term), 0)


def test_after_normalisation_leaves_ones_as_they_are():
    model = DenseCRF(IMAGE, LABELS, [Gaussian(2.3, 1, "after"), Bilateral(7.7, 21, 1, "after")])
    for term in (0, 1):
        assert_allclose(model.filter(np.ones((1, *SHAPE), np.float32), term), 1, rtol=0, atol=1e-5)


def test_before_normalisation_keeps_the_sum_in_one_dimension():
    """In one dimension the kernel is symmetric, so what a point gives away sums to one."""
    model = DenseCRF((40,), 1, [Gaussian(2.3, 1, "before")])
    values = np.random.default_rng(3).uniform(size=(2, 40)).astype(np.float32)
    assert_allclose(model.filter(values).sum(axis=1), values.sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 8, 17, 40])
def test_a_filter_takes_any_number_of_channels_each_by_itself(crf, channels):
    values = np.random.default_rng(channels).normal(size=(channels, *SHAPE)).astype(np.float32)
    together = crf.filter(values, 1)
    assert together.shape == values.shape
    assert together.dtype == np.float32
    for c in (0, channels - 1):
        assert_allclose(together[c], crf.filter(values[c : c + 1], 1)[0], rtol=0, atol=1e-6)


def test_filters_are_numbered_from_either_end(crf):
    assert_array_equal(crf.filter(UNARY), crf.filter(UNARY, 0))
    assert_array_equal(crf.filter(UNARY, -1), crf.filter(UNARY, 1))
    assert np.abs(crf.filter(UNARY, 0) - crf.filter(UNARY, 1)).max() > 0.01


@pytest.mark.parametrize("terms", [TERMS, MIXED], ids=["symmetric", "mixed"])
def test_a_message_is_the_sum_of_weight_times_filter(terms):
    model, q = DenseCRF(IMAGE, LABELS, terms), softmax(LOGITS).astype(np.float32)
    expected = sum(term.weight * model.filter(q, i) for i, term in enumerate(terms))
    assert_allclose(model.message(q), expected, rtol=1e-5, atol=1e-6)
    assert model.message(q).dtype == np.float32


def test_the_reference_has_the_same_filters_within_the_error_of_the_lattice(crf):
    q = softmax(LOGITS).astype(np.float32)
    for i, term in enumerate(crf._terms):
        exact = (q.reshape(LABELS, -1) @ kernel(term).T).reshape(q.shape)
        assert np.abs(crf.filter(q, i) - exact).max() < 0.1


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


# ---- threads, copies ----------------------------------------------------------------------------------------


def test_eight_threads_at_once_get_the_bits_of_eight_calls_in_turn():
    inputs, crf = unaries(24), DenseCRF(IMAGE, LABELS, TERMS)
    expected = [crf.infer(unary, 6, damping=0.1) for unary in inputs]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda unary: crf.infer(unary, 6, damping=0.1), inputs))
        filtered = list(pool.map(lambda unary: crf.filter(unary, 1), inputs))
        messages = list(pool.map(crf.message, inputs))
    for answer, one in zip(answers, expected, strict=True):
        assert_array_equal(answer, one)
    for unary, values, message in zip(inputs, filtered, messages, strict=True):
        assert_array_equal(values, crf.filter(unary, 1))
        assert_array_equal(message, crf.message(unary))


def test_every_number_of_threads_gives_the_same_bits():
    image, logits = scene(200, 300, 3)  # several partitions
    unary, ones = -logits / 8, np.ones((3, 200, 300), np.float32)
    terms = (
        Gaussian(2.3, 0.7, "after"),
        Bilateral(17, 23, [[1, -0.5, 0], [-0.5, 1, 0.2], [0, 0.2, 1]]),
        Gaussian((31, 23), (0.5, 0.4, 0.3), "before"),
    )

    def answers(threads):
        model = DenseCRF(image, 3, terms, num_threads=threads)
        q, ran = model.infer(unary, 4, damping=0.2, tolerance=1e-6, return_iterations=True)
        yield from (q, np.array(ran), model.infer(unary, 4), model.message(q), model.filter(ones, 1))
        yield np.array(model.energy(unary, q.argmax(axis=0)))

    one = list(answers(1))
    for threads in (2, 5, 16):
        for answer, expected in zip(answers(threads), one, strict=True):
            assert_array_equal(answer, expected)


COPIES = [
    pytest.param(lambda model: pickle.loads(pickle.dumps(model)), id="pickle"),
    pytest.param(copy.deepcopy, id="deepcopy"),
    pytest.param(copy.copy, id="copy"),
]


@pytest.mark.parametrize("again", COPIES)
def test_a_copy_of_a_model_gives_the_same_bits(again):
    features = np.random.default_rng(8).normal(size=(3, SHAPE[0] * SHAPE[1]))
    terms = [*MIXED, Features(features, np.eye(LABELS) - 0.1), Gaussian(2, (0.1, 0.2, 0.3, -0.4))]
    model = DenseCRF(IMAGE, LABELS, terms, num_threads=2)
    other = again(model)
    assert (other.shape, other.n_labels, other.n_vertices) == (model.shape, model.n_labels, model.n_vertices)
    assert_array_equal(other.infer(UNARY, 4), model.infer(UNARY, 4))
    assert_array_equal(other.filter(UNARY, 3), model.filter(UNARY, 3))


@pytest.mark.parametrize("again", COPIES)
def test_a_copy_keeps_the_channel_axis_and_the_preset(again):
    image = np.moveaxis(IMAGE, -1, 0)
    other = again(DenseCRF(image, LABELS, preset="irn", channel_axis=0))
    assert_array_equal(other.infer(UNARY, 4), DenseCRF(IMAGE, LABELS, preset="irn").infer(UNARY, 4))


def test_a_model_stays_as_it_was_built_when_the_image_and_the_list_of_terms_change():
    image, terms = IMAGE.copy(), list(TERMS)
    model = DenseCRF(image, LABELS, terms)
    other = DenseCRF(IMAGE, LABELS, TERMS)
    expected = other.infer(UNARY, 4), other.filter(UNARY, 1)
    image[...] = 0
    terms.pop()
    assert_array_equal(model.infer(UNARY, 4), expected[0])
    assert_array_equal(model.filter(UNARY, 1), expected[1])
    assert_array_equal(pickle.loads(pickle.dumps(model)).infer(UNARY, 4), expected[0])


def test_a_mean_field_stays_with_the_unary_it_was_started_with(crf):
    unary = UNARY.copy()
    field = crf.start(unary)
    unary[...] = 0
    assert_array_equal(field.step(3), crf.infer(UNARY, 3))


def test_writing_to_marginals_that_were_handed_out_does_not_change_a_mean_field(crf):
    field = crf.start(UNARY)
    field.step(2)[...] = 0
    assert_array_equal(field.step(1), crf.infer(UNARY, 3))
