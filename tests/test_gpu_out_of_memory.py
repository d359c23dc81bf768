"""Memory of a GPU comes from the caller's library; all is given back, and where there is none it is a MemoryError."""

import gc

import numpy as np
import pytest
from crowds import crowd
from gpus import ledger_that_balances
from inputs import scene, softmax
from numpy.testing import assert_array_equal

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian

TERMS = [Gaussian(3, 3), Bilateral(30, 13, 4)]


@pytest.fixture
def ledger(gpu, monkeypatch):
    yield from ledger_that_balances(gpu, monkeypatch)


def calls(gpu):
    """Everything that asks for memory, as (name, call)."""
    image, logits = crowd(9, size=(9, 11))
    images, scores = np.stack([image] * 3) / 255, np.stack([softmax(logits)] * 3).astype(np.float32)
    there, unary = gpu.put(image), gpu.put(-logits)
    terms = [Gaussian(1, 1), Bilateral(9, 30, np.eye(9)), Gaussian(3, [0.5] * 9)]

    def refine():
        return gpu.get(densecrf.refine(gpu.put(images), gpu.put(scores), channel_axis=-1))

    def refine_to_half():
        out = gpu.put(scores.astype(np.float16))
        return gpu.get(
            densecrf.refine(images, gpu.put(scores.astype(np.float16)), terms=terms, out=out, channel_axis=-1)
        )

    def model():
        crf = DenseCRF(there, 9, terms, channel_axis=-1)
        q = crf.infer(unary, 3, tolerance=1e-2, damping=0.1, start=gpu.put(scores[0]), ignore=np.zeros((9, 11), bool))
        return np.stack([gpu.get(one) for one in (q, crf.message(unary), crf.filter(unary, 1))])

    def model_of_the_cpu():
        crf = DenseCRF(image, 9, [Gaussian(1, 1)])
        return gpu.get(crf.start(unary).step(2)) + crf.free_energy(unary, gpu.put(scores[0]))

    return refine, refine_to_half, model, model_of_the_cpu


CALLS = ["refine", "refine_to_half", "model", "model_of_the_cpu"]


@pytest.mark.parametrize("name", CALLS)
def test_all_memory_is_given_back(name, gpu, ledger):
    call = next(call for call in calls(gpu) if call.__name__ == name)
    for _ in range(2):
        call()
        gc.collect()
        assert ledger.live == 0
        assert ledger.peak > 0


@pytest.mark.parametrize("name", CALLS)
def test_memory_that_runs_out_anywhere_is_a_memory_error_and_leaves_nothing_behind(name, gpu, ledger):
    call = next(call for call in calls(gpu) if call.__name__ == name)
    expected = call()
    wanted = ledger.empties
    assert wanted > 20
    for number in range(1, wanted + 1):
        ledger.empties, ledger.fails_at = 0, number
        with pytest.raises(MemoryError):
            call()
        if ledger.live:  # in a cycle, perhaps, with the error
            gc.collect()
        assert ledger.live == 0, number
    ledger.fails_at = None
    assert_array_equal(call(), expected)


def test_the_error_says_where_memory_is_missing_and_what_to_do(gpu, ledger):
    image, logits = scene(40, 50, 4)
    ledger.fails_at = 3
    with pytest.raises(MemoryError, match=r"^densecrf: cuda:0 has no memory left; refine fewer pictures at once, or"):
        densecrf.refine(gpu.put(image), gpu.put(softmax(logits)), channel_axis=-1)


def test_an_error_of_the_librarys_that_is_not_about_memory_is_passed_on(gpu, monkeypatch):
    def broken(self, *arguments):
        raise RuntimeError("the device is on fire")

    image, logits = scene(9, 11, 4)
    probs, there = gpu.put(softmax(logits)), gpu.put(image)
    monkeypatch.setattr(gpu.adapter, "empty", broken)
    with pytest.raises(RuntimeError, match="the device is on fire"):
        densecrf.refine(there, probs, channel_axis=-1)


def test_a_refused_call_gives_all_memory_back(gpu, ledger):
    image, logits = scene(9, 11, 4)
    for scores in (logits, np.full_like(logits, np.nan)):
        with pytest.raises(ValueError, match="probs must"):
            densecrf.refine(gpu.put(image), gpu.put(scores), channel_axis=-1)
        gc.collect()
        assert ledger.live == 0
    noise = np.random.default_rng(0).integers(0, 255, size=(9, 11, 30)).astype(np.uint8)
    with pytest.raises(ValueError, match="sigma too small"):
        DenseCRF(gpu.put(noise), 4, [Gaussian(1, 1), Bilateral(1, 1e-5, 1)], channel_axis=-1)
    gc.collect()
    assert ledger.live == 0


def test_a_model_that_is_deleted_gives_its_lattices_back(gpu, ledger):
    image, _ = scene(20, 30, 4)
    models = [DenseCRF(gpu.put(image), 4, TERMS, channel_axis=-1) for _ in range(3)]
    each = ledger.live / 3
    models.pop()
    gc.collect()
    assert ledger.live == 2 * each
    models.clear()
