"""What users call in loops, on a small picture, by name: each a function of how often it was called before.

For whatever asks of all of them at once whether they leave something behind: tests/test_leaks.py, tests/soak/leaks.py,
tests/soak/valgrind.py and, under LeakSanitizer, `make sanitize`.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import gpus
import numpy as np
import pytest
from inputs import scene, softmax

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian
from densecrf.pydensecrf import densecrf as pydensecrf

Call = Callable[[int], object]

LABELS, HEIGHT, WIDTH = 5, 11, 13
PERIOD = 20  # calls, after which every call has been made with everything that it changes
TERMS = (Gaussian(1.5, 1), Bilateral(6, 20, 2))
IMAGE, LOGITS = scene(HEIGHT, WIDTH, LABELS)
UNARY = -LOGITS
MODEL = DenseCRF(IMAGE, LABELS, TERMS)
WIDE_IMAGE, WIDE_LOGITS = scene(160, 160, 2)  # points enough for two threads
# Large enough that the system is asked for its memory.
LARGE_IMAGE, LARGE_LOGITS = scene(64, 64, 21)


def refine(image: object, logits: object, **options: object) -> object:
    return densecrf.refine(image, logits, **{"terms": TERMS, "iterations": 2, "from_logits": True, **options})


def refine_threads(i: int) -> None:
    refine(WIDE_IMAGE, WIDE_LOGITS, terms=TERMS[:1], iterations=1, num_threads=1 + i % 2)


def refine_torch(i: int) -> None:
    import torch

    refine(torch.from_numpy(IMAGE).permute(2, 0, 1), torch.from_numpy(LOGITS))


def refine_batch(i: int) -> None:
    refine(np.stack([IMAGE] * 3), np.stack([LOGITS] * 3), num_threads=2)


def refine_two_labels(i: int) -> None:
    refine(IMAGE, LOGITS[:2])


def refine_other_sizes(i: int) -> None:
    height, width = 7 + i % 5, 7 + 2 * (i // 5 % 4)
    refine(IMAGE[:height, :width], LOGITS[: 2 + i % 4, :height, :width])


def build_and_infer(i: int) -> None:
    matrix = np.eye(LABELS)
    terms = (*TERMS, Gaussian(2, matrix, "after"), Bilateral(5, 30, [0.1] * LABELS, "before"))
    DenseCRF(IMAGE, LABELS, terms).infer(UNARY, 2, damping=0.1 * (i % 2), tolerance=1e-3)


def infer_again(i: int) -> None:
    MODEL.infer(UNARY, 2, start=MODEL.infer(UNARY, i % 3), ignore=IMAGE[..., 0] > 128)
    MODEL.energy(UNARY, UNARY.argmin(axis=0))
    MODEL.free_energy(UNARY, MODEL.infer(UNARY, 1))


def filter_and_message(i: int) -> None:
    MODEL.filter(LOGITS, i % 2)
    MODEL.message(MODEL.infer(UNARY, 1))


def steps(i: int) -> None:
    field = MODEL.start(UNARY)
    for damping in (0.0, 0.5):
        field.step(damping=damping)
    field.free_energy()


def refine_labels(i: int) -> None:
    densecrf.refine_labels(IMAGE, LOGITS.argmax(axis=0), iterations=2)


def refine_mask(i: int) -> None:
    densecrf.refine_mask(IMAGE, LOGITS.argmax(axis=0) == 1, iterations=2)


def refine_volume(i: int) -> None:
    volume, probs = np.stack([IMAGE[..., 0]] * 3), np.stack([softmax(LOGITS)] * 3, axis=1)
    densecrf.refine_volume(volume, probs, terms=TERMS, iterations=2)


def drop_in(i: int) -> None:
    crf = pydensecrf.DenseCRF2D(WIDTH, HEIGHT, LABELS)
    crf.setUnaryEnergy(UNARY.reshape(LABELS, -1))
    crf.addPairwiseGaussian(sxy=2, compat=1)
    crf.addPairwiseBilateral(sxy=6, srgb=20, rgbim=IMAGE, compat=2)
    np.array(crf.inference(2))


def threads_that_come_and_go(i: int) -> None:
    others = [threading.Thread(target=refine, args=(IMAGE, LOGITS), kwargs={"num_threads": 2}) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()


def refused(i: int) -> None:
    """A call that raises, each time for another reason, some of them only after work was done."""
    one_nan = LOGITS.copy()
    one_nan[2, 3, 4] = np.nan
    calls: list[Callable[[], object]] = [
        lambda: refine(IMAGE, one_nan),
        lambda: refine(IMAGE, LOGITS[:, 1:]),
        lambda: densecrf.refine(IMAGE, LOGITS),
        lambda: refine(IMAGE, LOGITS, terms=[Bilateral(1e-9, 1e-9, 1)]),
        lambda: DenseCRF(IMAGE, LABELS, [Gaussian(1, np.eye(LABELS + 1))]),
        lambda: MODEL.infer(UNARY, -1),
        lambda: MODEL.filter(LOGITS[:, 1:]),
        lambda: densecrf.refine_labels(IMAGE, LOGITS[0]),
        lambda: refine(np.stack([IMAGE] * 2), np.stack([LOGITS, one_nan]), num_threads=2),
        lambda: pydensecrf.DenseCRF2D(WIDTH, HEIGHT, LABELS).setUnaryEnergy(UNARY),
    ]
    with pytest.raises((ValueError, TypeError)):
        calls[i % len(calls)]()


def out_of_memory(i: int) -> None:
    """A call that finds no memory after ever more of it was had, and then, mostly, one that has enough."""
    with contextlib.suppress(MemoryError), address_space(more=i % PERIOD * 80_000):
        refine(LARGE_IMAGE, LARGE_LOGITS, label_tolerance=0, num_threads=1)


@contextlib.contextmanager
def address_space(more: int) -> Iterator[None]:
    """Lets this process have no more than it uses, and so many bytes."""
    ctypes.CDLL(None).malloc_trim(0)  # what it only holds would do instead
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def twin(i: int) -> None:
    """The host twin of the CUDA back end: the one call, a batch, and a model."""
    with pytest.MonkeyPatch.context() as patch:
        gpu = gpus.twin_behind_cupy(patch)
        refine(gpu.put(IMAGE), gpu.put(LOGITS))
        refine(gpu.put(np.stack([IMAGE] * 2)), gpu.put(np.stack([LOGITS] * 2)))
        model = DenseCRF(gpu.put(IMAGE), LABELS, TERMS, channel_axis=-1)
        model.infer(gpu.put(UNARY), 2, damping=0.1 * (i % 2))
        model.filter(gpu.put(LOGITS))


def twin_out_of_memory(i: int) -> None:
    """The twin, for which the library finds no memory: each time at another place."""
    with pytest.MonkeyPatch.context() as patch:
        gpu = gpus.twin_behind_cupy(patch)
        ledger = gpus.Ledger(gpu, patch)
        ledger.fails_at = 1 + i % 10
        with pytest.raises(MemoryError):
            refine(gpu.put(IMAGE), gpu.put(LOGITS))
        assert ledger.live == 0


CALLS: dict[str, Call] = {
    "refine": lambda i: refine(IMAGE, LOGITS),
    "refine, threads": refine_threads,
    "refine, torch": refine_torch,
    "refine, a batch": refine_batch,
    "refine, two labels": refine_two_labels,
    "refine, other sizes": refine_other_sizes,
    "build and infer": build_and_infer,
    "infer again": infer_again,
    "filter and message": filter_and_message,
    "steps": steps,
    "refine_labels": refine_labels,
    "refine_mask": refine_mask,
    "refine_volume": refine_volume,
    "drop-in": drop_in,
    "threads that come and go": threads_that_come_and_go,
    "refused": refused,
    "out of memory": out_of_memory,
    "twin": twin,
    "twin, out of memory": twin_out_of_memory,
}
