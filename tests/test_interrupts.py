"""A signal's handler runs while the core works: Ctrl-C ends a long call within a second, and leaves nothing behind."""

import contextlib
import functools
import gc
import os
import signal
import threading
import time

import gpus
import numpy as np
import pytest
from conftest import run
from inputs import picture, probabilities
from numpy.testing import assert_array_equal

import densecrf
from densecrf import DenseCRF, Gaussian, _core

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that send signals here")

FOR_EVER = 10**6  # iterations; minutes
PROMISE = 1.0  # seconds until a call has ended
IMAGE, PROBS = picture(), probabilities()


class EndedError(Exception):
    """What the handler of a test raises."""


def stop(*_):
    raise EndedError


@contextlib.contextmanager
def handled(handler, after, every=0.0):
    """Within: SIGALRM, sent after some seconds and again and again, calls the handler."""
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, after, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def seconds_until_ended(call, after=0.3):
    """How long after the signal a call that takes for ever ends with the handler's exception."""
    begin = time.perf_counter()
    with pytest.raises(EndedError), handled(stop, after):
        call()
    return time.perf_counter() - begin - after


def model(**options):
    return DenseCRF(IMAGE, len(PROBS), [Gaussian(2, 3)], **options)


@functools.cache
def noise(side):
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)


def two_labels():
    probs = np.stack([PROBS[0], 1 - PROBS[0]])
    return densecrf.refine(IMAGE, probs, iterations=FOR_EVER)


def matrices():
    compatibility = np.eye(len(PROBS), dtype=np.float32)
    return DenseCRF(IMAGE, len(PROBS), [Gaussian(2, compatibility)]).infer(PROBS, iterations=FOR_EVER)


def many_labels():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(1500, 0.1), IMAGE.shape[:2]).transpose(2, 0, 1).astype(np.float32)
    return densecrf.refine(IMAGE, probs, iterations=FOR_EVER // 100)


LONG = {
    "refine on one thread": lambda: densecrf.refine(IMAGE, PROBS, iterations=FOR_EVER, num_threads=1),
    "refine on four threads": lambda: densecrf.refine(IMAGE, PROBS, iterations=FOR_EVER, num_threads=4),
    "two labels": two_labels,
    "many labels": many_labels,
    "compatibilities that are matrices": matrices,
    "a batch side by side": lambda: densecrf.refine(
        np.stack([IMAGE] * 4), np.stack([PROBS] * 4), iterations=FOR_EVER, num_threads=2
    ),
    "a model's inference": lambda: model().infer(PROBS, iterations=FOR_EVER, damping=0.5),
    "the lattices of a large picture": lambda: DenseCRF(noise(3000), 2, num_threads=2),
}


@pytest.mark.parametrize("call", LONG.values(), ids=LONG)
def test_a_long_call_ends_within_a_second_of_a_signal(call):
    noise(3000)
    assert seconds_until_ended(call) < PROMISE


def test_a_long_call_on_a_gpu_ends_within_a_second_of_a_signal(gpu):
    image, probs = gpu.put(IMAGE), gpu.put(PROBS)
    assert seconds_until_ended(lambda: densecrf.refine(image, probs, iterations=FOR_EVER, channel_axis=-1)) < PROMISE


def test_ctrl_c_is_a_keyboard_interrupt_within_a_second():
    answer = run("""
import json, os, signal, threading, time
import numpy as np
import densecrf

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started this may have chosen to ignore it
sent = []
def press():
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)

image, probs = np.zeros((30, 40, 3), np.uint8), np.full((5, 30, 40), 0.2, np.float32)
threading.Timer(0.5, press).start()
try:
    densecrf.refine(image, probs, iterations=10**6)
except KeyboardInterrupt:
    print(json.dumps(time.perf_counter() - sent[0]))
""")
    assert answer < PROMISE


def test_a_handler_that_returns_changes_nothing():
    expected, seen = densecrf.refine(IMAGE, PROBS), []
    with handled(lambda *_: seen.append(densecrf.refine(IMAGE, PROBS)), 0.05, 0.2):
        begin = time.perf_counter()
        while len(seen) < 3 and time.perf_counter() - begin < 60:
            long = densecrf.refine(IMAGE, PROBS, iterations=3000, num_threads=2)
    assert len(seen) >= 3
    assert_array_equal(seen[-1], expected)
    assert_array_equal(long, densecrf.refine(IMAGE, PROBS, iterations=3000))


def test_calls_of_other_threads_go_on_while_one_is_ended():
    answers = []
    other = threading.Thread(target=lambda: answers.append(densecrf.refine(IMAGE, PROBS, iterations=3000)))
    other.start()
    assert seconds_until_ended(LONG["refine on one thread"], 0.1) < PROMISE
    other.join()
    assert_array_equal(answers[0], densecrf.refine(IMAGE, PROBS, iterations=3000))


def test_a_picture_that_fails_ends_the_others_of_its_batch(monkeypatch):
    class Failing(_core.Model):
        def __init__(self, shape, terms, *rest):
            super().__init__(shape, terms, *rest)
            if next(numbers) == 0:
                raise RuntimeError("no lattice for this one")

    numbers = iter(range(9))
    monkeypatch.setattr(_core, "Model", Failing)
    begin = time.perf_counter()
    with pytest.raises(RuntimeError, match="no lattice for this one"):
        LONG["a batch side by side"]()
    assert time.perf_counter() - begin < PROMISE


def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")
@pytest.mark.parametrize(
    ("side", "after"),
    # The lattice of the large picture takes a second, that of the small one a tenth.
    [pytest.param(900, 0.05, id="while lattices are built"), pytest.param(300, 0.3, id="in an iteration")],
)
def test_calls_that_are_ended_give_their_memory_back(side, after):
    probs = np.random.default_rng(0).dirichlet(np.ones(4), (side, side)).transpose(2, 0, 1).astype(np.float32)

    def end_some(count):
        for _ in range(count):
            with pytest.raises(EndedError), handled(stop, after):
                densecrf.refine(noise(side), probs, iterations=FOR_EVER, num_threads=1)

    end_some(10)  # until what is kept for the next call on purpose is there
    before = resident()
    end_some(20)
    assert resident() - before < 16 << 20  # one call takes several times as much


def test_an_ended_call_leaves_the_next_one_as_it_was():
    expected = densecrf.refine(IMAGE, PROBS)
    seconds_until_ended(LONG["refine on four threads"], 0.1)
    assert_array_equal(densecrf.refine(IMAGE, PROBS), expected)


def test_an_ended_inference_leaves_its_model_as_it_was():
    crf = model(num_threads=2)
    before = crf.infer(PROBS)
    seconds_until_ended(lambda: crf.infer(PROBS, iterations=FOR_EVER), 0.1)
    assert_array_equal(crf.infer(PROBS), before)


@pytest.fixture
def ledger(gpu, monkeypatch):
    yield from gpus.ledger_that_balances(gpu, monkeypatch)


def test_an_ended_call_gives_the_memory_of_a_gpu_back(gpu, ledger):
    image, probs = gpu.put(IMAGE), gpu.put(PROBS)
    seconds_until_ended(lambda: densecrf.refine(image, probs, iterations=FOR_EVER, channel_axis=-1), 0.1)
    gc.collect()
    assert ledger.peak > 0
    assert ledger.live == 0
