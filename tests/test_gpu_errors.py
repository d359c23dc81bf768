"""What is wrong with the values of arrays is said on a GPU as it is on the CPU, word for word."""

import re

import numpy as np
import pytest
import test_model_errors
from inputs import picture, probabilities
from numpy.testing import assert_array_equal
from test_errors import AXES, CHANNEL_AXIS, IMAGE, OPTIONS, OUT, PROBS, SIZES
from test_model_errors import INFER, METHODS

import densecrf
from densecrf import Bilateral, DenseCRF, Features, Gaussian

# Rows whose arrays no library has on a GPU, or that come in another dtype there; an image beyond float32 counts as
# infinite on a GPU, where it is looked at in float32.
ELSEWHERE = re.compile(
    r"list|tuple|NoneType|OnTheGpu|masked|object|<U|datetime64|>f4|str$|read-only|bool$|\('r'|1e\+300|ndarray$"
)


def there(gpu, value):
    """Arrays to the GPU, and anything else as it is."""
    return gpu.put(value) if isinstance(value, np.ndarray) and value.dtype.kind in "fiubc" else value


def message_of(call):
    """What a call is refused with."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    return caught.type, str(caught.value)


def rows(*tables):
    """Those rows of tables of arguments that can be had on a GPU."""
    return [
        row
        for table in tables
        for row in table
        if not any(
            isinstance(value, np.ma.MaskedArray) or (isinstance(value, np.ndarray) and not fits(value))
            for value in row.values[1].values()
        )
        and not ELSEWHERE.search(row.values[0])
    ]


def fits(value):
    return value.dtype.kind in "fiubc" and value.dtype.isnative and 0 not in value.strides and value.flags.writeable


@pytest.mark.parametrize(("expected", "arguments"), rows(SIZES, AXES, CHANNEL_AXIS, PROBS, IMAGE, OPTIONS, OUT))
def test_refine_refuses_what_it_refuses_on_the_cpu_in_the_same_words(expected, arguments, gpu, capfd):
    arguments = {"image": picture(5, 7, 3), "probs": probabilities(4, 5, 7), **arguments}
    kind, should = message_of(lambda: densecrf.refine(**arguments))
    if gpu.name == "torch":  # whose channels lie elsewhere unless told, and whose dtypes have other names
        pytest.skip("in CuPy's words, which are NumPy's")
    moved = {name: there(gpu, value) for name, value in arguments.items()}
    assert message_of(lambda: densecrf.refine(**moved)) == (kind, should.replace("NumPy images", "CuPy images"))
    assert tuple(capfd.readouterr()) == ("", "")


def values(expected, image=None, probs=None, **options):
    return pytest.param(expected, image, probs, options, id=expected)


def changed(array, value, dtype=np.float32):
    array = array.astype(dtype)
    array.flat[-1] = value
    return array


VALUES = [
    values("probs must be finite, got 1 NaN", probs=changed(probabilities(4, 5, 7), np.nan)),
    values("probs must be finite, got 1 NaN", probs=changed(probabilities(4, 5, 7), -np.inf), from_logits=True),
    values("probs must not be negative, got -0.5", probs=changed(probabilities(4, 5, 7), -0.5)),
    values("probs must not be negative, got -3", probs=np.full((4, 5, 7), -3, np.float32)),
    values("probs must sum to 1", probs=2 * probabilities(4, 5, 7)),
    values("probs must sum to 1", probs=(2 * probabilities(4, 5, 7)).astype(np.float16)),
    values("probs must sum to 1", probs=changed(probabilities(4, 5, 7), 0.9)),
    values("probs must sum to 1", probs=np.full((1, 5, 7), 0.3, np.float32)),
    values("probs must be finite", probs=np.full((4, 5, 7), 1e300), from_logits=True),
    values("image must be finite", image=changed(picture(5, 7, 3), np.nan)),
    values("image must be finite", image=changed(picture(5, 7, 3), np.inf, np.float64)),
    values("image must be finite", image=np.full((5, 7, 3), np.nan, np.float32)),
    values("0..1 or 0..255, got -120 to 135", image=picture(5, 7, 3).astype(np.float32) - 120),
    values("0..1 or 0..255, got 2550 to 2550", image=np.full((5, 7, 3), 2550.0)),
    values("sigma too small", terms=[Gaussian(1e-6, 1)]),
    values("sigma too small", terms=[Gaussian(1e-6, 1)], iterations=0),
    values("sigma too small", terms=[Bilateral(3, 1e-5, 1)]),
    values("sigma too small", terms=[Features(1e6 * np.arange(70.0).reshape(2, 35), 1)]),
    values("sigma too small", image=np.full((5, 7, 3), 2**40), terms=[Bilateral(3, 1, 1)]),
]


@pytest.mark.parametrize(("expected", "image", "probs", "options"), VALUES)
def test_values_that_mean_nothing_are_refused_in_the_same_words(expected, image, probs, options, gpu, capfd):
    image = picture(5, 7, 3) if image is None else image
    probs = probabilities(4, 5, 7) if probs is None else probs
    options = {"channel_axis": -1, **options}
    kind, should = message_of(lambda: densecrf.refine(image, probs, **options))
    assert expected in should
    assert message_of(lambda: densecrf.refine(gpu.put(image), gpu.put(probs), **options)) == (kind, should)
    fine = gpu.put(probabilities(4, 5, 7))
    assert gpu.get(densecrf.refine(gpu.put(picture(5, 7, 3)), fine, channel_axis=-1)).min() > 0
    assert tuple(capfd.readouterr()) == ("", "")


@pytest.mark.parametrize("iterations", [0, 1])
def test_values_are_looked_at_however_little_there_is_to_do(iterations, gpu):
    for terms in ([], [Gaussian(1, 1)]):
        options = {"iterations": iterations, "terms": terms, "channel_axis": -1}
        with pytest.raises(ValueError, match="probs must not be negative"):
            densecrf.refine(gpu.put(picture(5, 7, 3)), gpu.put(changed(probabilities(4, 5, 7), -0.5)), **options)
        broken = gpu.put(changed(picture(5, 7, 3), np.nan))
        with pytest.raises(ValueError, match="image must be finite"):
            densecrf.refine(broken, gpu.put(probabilities(4, 5, 7)), **options)


@pytest.mark.parametrize("points", [1, 255, 256, 257, 1000])
def test_a_single_bad_value_is_found_wherever_it_is(points, gpu):
    probs = probabilities(3, 1, points)
    for at in {0, points // 2, points - 1}:
        for label in (0, 2):
            broken = probs.copy()
            broken[label, 0, at] = np.nan
            with pytest.raises(ValueError, match="got 1 NaN"):
                densecrf.refine(gpu.put(picture(1, points)), gpu.put(broken))


def test_an_image_of_objects_is_refused_in_words_of_ours(gpu):
    image = picture(5, 7, 3).astype(object)
    with pytest.raises(TypeError, match=r"densecrf\.refine: image must"):
        densecrf.refine(image, gpu.put(probabilities(4, 5, 7)), channel_axis=-1)


def test_the_free_energy_of_what_are_no_marginals_is_no_warning(gpu):
    model = densecrf.DenseCRF(gpu.put(picture(5, 7, 3)), 2, channel_axis=-1)
    huge = gpu.put(np.full((2, 5, 7), 3e38, np.float32))
    assert not np.isfinite(model.free_energy(gpu.put(np.zeros((2, 5, 7), np.float32)), huge))


@pytest.mark.parametrize("kind", ["floats", "integers"])
def test_a_model_refuses_the_images_that_it_refuses_on_the_cpu(kind, gpu):
    bad = picture(5, 7, 3).astype(np.float32) - 120 if kind == "floats" else np.full((5, 7, 3), 2**40)
    terms = [Bilateral(3, 1, 1)]
    kind, should = message_of(lambda: DenseCRF(bad, 4, terms, channel_axis=-1))
    assert message_of(lambda: DenseCRF(gpu.put(bad), 4, terms, channel_axis=-1)) == (kind, should)


def test_values_of_a_models_arrays_are_not_looked_at(gpu):
    model = DenseCRF(gpu.put(picture(5, 7, 3)), 4, [Gaussian(1, 1)], channel_axis=-1)
    unary = -np.log(probabilities(4, 5, 7))
    unary[1, 2, 3] = np.nan
    q = gpu.get(model.infer(gpu.put(unary), 1))
    assert q.shape == unary.shape
    fine = np.nan_to_num(unary, nan=1.0)
    assert np.isfinite(gpu.get(model.infer(gpu.put(fine), 1))).all()  # and nothing of it stays


OF_VALUES = re.compile(r"finite( \.\.|$)|marginals .*0 to 1")


def shapes_and_options(table):
    """Rows that say nothing of values, which are looked at on the CPU only."""
    return [row for row in table if not OF_VALUES.search(row.values[0])]


class Moved:
    """A model whose arrays are taken to a GPU."""

    def __init__(self, gpu, crf):
        self._gpu, self._crf = gpu, crf

    def __getattr__(self, name):
        method = getattr(self._crf, name)
        return lambda *given, **options: method(
            *(there(self._gpu, one) for one in given),
            **{key: there(self._gpu, one) if key == "start" else one for key, one in options.items()},
        )


@pytest.mark.parametrize(("expected", "call"), shapes_and_options(INFER))
def test_infer_refuses_what_it_refuses_on_the_cpu_in_the_same_words(expected, call, gpu, monkeypatch):
    kind, should = message_of(call)
    monkeypatch.setattr(test_model_errors, "CRF", Moved(gpu, test_model_errors.CRF))
    got, says = message_of(call)
    assert (got, says.replace("torch.", "")) == (kind, should)


@pytest.mark.parametrize(
    "row", [row for row in METHODS if not OF_VALUES.search(row[1])], ids=lambda row: f"{row[0]} {row[1]}"
)
def test_methods_refuse_what_they_refuse_on_the_cpu_in_the_same_words(row, gpu, monkeypatch):
    function, expected, call = row
    if function in ("DenseCRF.energy", "MeanField.step") or "()" in expected:
        pytest.skip("arguments of the host")
    kind, should = message_of(call)
    monkeypatch.setattr(test_model_errors, "CRF", Moved(gpu, test_model_errors.CRF))
    got, says = message_of(call)
    assert (got, says.replace("torch.", "")) == (kind, should)


def test_a_refused_call_leaves_everything_as_it_was(gpu):
    images, probs = picture(2, 5, 7, 3), changed(probabilities(2, 4, 5, 7), np.nan)
    image, scores = gpu.put(images), gpu.put(probs)
    with pytest.raises(ValueError, match="finite"):
        densecrf.refine(image, scores, channel_axis=-1)
    assert_array_equal(gpu.get(image), images)
    assert_array_equal(gpu.get(scores), probs)
