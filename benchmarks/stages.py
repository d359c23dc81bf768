"""Where the time of a call goes: one profiled call, on one thread."""

from __future__ import annotations

import time
from collections.abc import Mapping

from benchmarks import workloads
from densecrf import _core
from densecrf._refine import answer
from densecrf._request import make_call, make_request

REST = "rest (checks, allocation)"


def measure(work: workloads.Workload, tolerance: float) -> dict[str, float]:
    """Seconds of each of the core's stages, and of everything else in the same call of `densecrf.refine`."""
    profile = _core.Profile()
    begin = time.perf_counter()
    call = make_call(
        "densecrf.refine",
        work.image,
        work.probs,
        terms=work.terms,
        preset="deeplab-v2",
        iterations=work.iterations,
        from_logits=False,
        channel_axis=None,
        num_threads=1,
        out=None,
        label_tolerance=tolerance,
    )
    kept = answer(make_request(call), profile)
    took = time.perf_counter() - begin
    del kept
    return with_rest(profile.seconds(), took)


def with_rest(seconds: Mapping[str, float], took: float) -> dict[str, float]:
    """Add what a call that took so long spent outside of the stages."""
    return {**seconds, REST: took - sum(seconds.values())}
