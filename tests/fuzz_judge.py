"""The judge of the fuzz tests: calls the API with anything, and says whether what came of it was promised.

Promised are an answer, or an exception that the docstrings name, of one sentence that says where; at once, without a
warning, without a change to what was passed in, and in a process that is as healthy as before.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import json
import os
import sys
import time
import warnings
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from inputs import TERMS, picture, probabilities

import densecrf

DOCUMENTED = (TypeError, ValueError, MemoryError, densecrf.CudaError)
SLOW = 2.0  # seconds of processor time: whatever takes longer for a few pixels hangs
LONGEST = 500  # characters of a message
CANARY_EVERY = 50  # calls


class MischiefError(Exception):
    """What the arguments in fuzz_liars.py raise themselves: may pass through."""


@dataclass(frozen=True)
class Refused:
    """A call that ended in an exception that may be."""

    kind: str
    message: str


@dataclass
class Tally:
    """What was asked, for tests/soak/api.py; a process writes its own where DENSECRF_FUZZ_TALLY says when it ends."""

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_call: str = ""

    def count(self, function: str, outcome: str, seconds: float) -> None:
        self.cases += 1
        self.outcomes[outcome] += 1
        if seconds > self.slowest:
            self.slowest, self.slowest_call = seconds, function

    def add(self, other: Tally) -> None:
        self.cases += other.cases
        self.outcomes.update(other.outcomes)
        if other.slowest > self.slowest:
            self.slowest, self.slowest_call = other.slowest, other.slowest_call

    def write(self, path: str) -> None:
        Path(path).write_text(json.dumps(vars(self)))


TALLY = Tally()
if "DENSECRF_FUZZ_TALLY" in os.environ:
    atexit.register(TALLY.write, os.environ["DENSECRF_FUZZ_TALLY"])


def judged(function, *arguments, says=None, written=(), during: AbstractContextManager | None = None, **options):
    """The answer of a call, or a `Refused`; anything else fails.

    Args:
        function: of the API.
        arguments: for it.
        says: what an error's message begins with: one word or several, of which one must fit; "" for any.
        written: arguments that may be written to.
        during: a context for the call.
        options: for it.
    """
    name = getattr(function, "__qualname__", type(function).__name__)
    given = [*arguments, *options.values()]
    mine = [value for value in given if not any(value is one for one in written)]
    before = [memory(value) for value in mine]
    started = time.process_time()
    try:
        with warnings.catch_warnings(), during or nullcontext():
            warnings.simplefilter("error")
            answer = function(*arguments, **options)
    except (MischiefError, *DOCUMENTED) as error:
        answer = _refusal(error, name if says is None else says)
    seconds = time.process_time() - started
    TALLY.count(name, answer.kind if isinstance(answer, Refused) else "an answer", seconds)
    assert seconds < SLOW, f"{name} took {seconds:.1f} s"
    assert before == [memory(value) for value in mine], f"{name} wrote to what it was given"
    if TALLY.cases % CANARY_EVERY == 0:
        assert_healthy()
    return answer


def _refusal(error: Exception, says) -> Refused:
    """An exception that may be, or the exception."""
    if isinstance(error, MischiefError):
        return Refused("the argument's own", "")
    if isinstance(error, MemoryError):
        return Refused("MemoryError", str(error))
    if type(error) not in DOCUMENTED:  # an IndexError in disguise, such as NumPy's AxisError
        raise error
    starts = (says,) if isinstance(says, str) else tuple(says)
    message = str(error)
    if not message.startswith(starts) or not 0 < len(message) < LONGEST:
        raise AssertionError(f"an unhelpful message, of {len(message)} characters: {message[:1000]}") from error
    return Refused(type(error).__name__, message)


# ---- what must not change -----------------------------------------------------------------------------------


def memory(value: object) -> bytes | None:
    """All bytes of what an array looks into, which may be more than it shows; None for what is no array."""
    if isinstance(value, np.ndarray):
        while isinstance(value.base, np.ndarray):
            value = value.base
        return None if value.dtype.hasobject else value.tobytes()
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _storage(value)
    return None


def _storage(tensor) -> bytes | None:
    try:
        storage = tensor.untyped_storage()
        return ctypes.string_at(storage.data_ptr(), storage.nbytes()) if storage.device.type == "cpu" else None
    except (NotImplementedError, RuntimeError, ValueError):  # one that has none: sparse, nested, not initialised
        return None


def shares_memory(one: object, other: object) -> bool:
    """Whether two arrays, of NumPy or torch, may look into the same memory."""
    if isinstance(one, np.ndarray):
        return np.may_share_memory(one, other)
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def canary() -> bytes:
    """The bits of an answer that everything takes part in."""
    options = {"terms": TERMS, "iterations": 3, "channel_axis": -1}
    return densecrf.refine(picture(5, 7, 3), probabilities(5, 5, 7), **options).tobytes()


known = functools.cache(canary)
known()  # before anything can have gone wrong


def assert_healthy() -> None:
    assert canary() == known(), "the process gives other bits than in the beginning"


# ---- answers ------------------------------------------------------------------------------------------------


def host(array) -> np.ndarray:
    """An answer, of NumPy or torch, in NumPy."""
    if isinstance(array, np.ndarray):
        return np.asarray(array)
    array = array.detach().resolve_conj().resolve_neg()
    return (array.float() if str(array.dtype) == "torch.bfloat16" else array).numpy()


def assert_marginals(answer, label_axis: int = 0) -> None:
    """Finite, not negative, and 1 in the sum over the labels, as far as the dtype can tell."""
    values = host(answer)
    coarse = answer.dtype.itemsize == 2
    assert np.isfinite(values).all()
    assert values.min() >= 0
    sums = values.sum(axis=label_axis, dtype=np.float64)
    np.testing.assert_allclose(sums, 1, rtol=0, atol=1e-2 if coarse else 1e-5)


def assert_same(one, other) -> None:
    """The same answer to the bit, or the same kind of refusal."""
    if isinstance(one, Refused) or isinstance(other, Refused):
        assert isinstance(one, Refused) and isinstance(other, Refused), (one, other)  # noqa: PT018
        assert one.kind == other.kind, (one, other)
    else:
        assert host(one).tobytes() == host(other).tobytes()
