"""The one call: probabilities in, crisp probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from densecrf import _arrays, _core, _gpu_refine
from densecrf._features import FullTerm
from densecrf._request import CLIP, LABEL_TOLERANCE, Request, make_call, make_request
from densecrf._side_by_side import side_by_side
from densecrf.terms import Term


def refine(
    image: Any,
    probs: Any,
    *,
    terms: Sequence[Term] | None = None,
    preset: str = "deeplab-v2",
    iterations: int = 10,
    label_tolerance: float = LABEL_TOLERANCE,
    from_logits: bool = False,
    channel_axis: int | None = None,
    num_threads: int | None = None,
    out: Any = None,
) -> Any:
    """Refines a network's label probabilities so that they follow the edges of the image.

    Mean-field inference in a fully connected CRF with Potts compatibility (Krähenbühl & Koltun 2011, algorithm
    1). The unary energy is ``-log(max(probs, 1e-5))``, or ``-probs`` with ``from_logits``. There is no gradient.

    Args:
        image: the picture the network saw, at the size of ``probs``. NumPy ``(H, W)`` or ``(H, W, C)``, torch
            ``(H, W)`` or ``(C, H, W)``, with any number of channels; with a leading B for batches. Integers
            stand for themselves; floats from 0 to 1 are scaled to 0..255, floats up to 255 stand for
            themselves. Not mean-subtracted.
        probs: ``(L, H, W)`` or ``(B, L, H, W)`` label probabilities, each pixel summing to 1; float16, bfloat16,
            float32 or float64 (computed in float32). NumPy array, torch tensor or CuPy array, never modified. Where
            they lie on a GPU, the work is done there, in the library's current stream and memory; an image on the CPU
            is copied there. The host waits once, for the size of the lattices and a look at the values, and once
            more for an image of integers other than uint8.
        terms: pairwise terms, a list of `densecrf.Gaussian`, `densecrf.Bilateral` and `densecrf.Features`; overrides
            ``preset``.
        preset: the name of a published parameter set; ``densecrf.presets`` lists them.
        iterations: of mean field; 0 gives ``probs`` clipped at 1e-5 and normalised.
        label_tolerance: labels whose marginal stays below this everywhere take no part in filtering, which makes a
            network's output several times faster; they keep their share of every soft-max, so that the result
            changes by about the square of this. Taken smaller where the weights add up to more than 10. 0 filters
            every label.
        from_logits: ``probs`` are raw scores, from before the soft-max.
        channel_axis: the axis of ``image`` that holds the channels, where it is not where it usually is.
        num_threads: how many threads to use; by default ``DENSECRF_NUM_THREADS``, ``OMP_NUM_THREADS`` or all
            cores of this process. The result is the same bit for bit. Of a batch up to so many pictures are refined
            at once, fewer where memory is short.
        out: an array like ``probs`` to write the result to.

    Returns:
        The marginals, with the library, shape and dtype of ``probs``; ``out`` if given.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the message says how to mend it.
        MemoryError: the memory for this picture cannot be had; nothing was computed.
        CudaError: CUDA failed at something.
    """
    call = make_call(
        "densecrf.refine",
        image,
        probs,
        terms=terms,
        preset=preset,
        iterations=iterations,
        label_tolerance=label_tolerance,
        from_logits=from_logits,
        channel_axis=channel_axis,
        num_threads=num_threads,
        out=out,
        gpu=True,
    )
    return _gpu_refine.answer(call) if call.probs.gpu else answer(make_request(call))


def answer(request: Request, profile: _core.Profile | None = None) -> Any:
    """Refines what was asked for on the CPU; counts the time of every stage, where somebody wants to know."""
    call = request.call
    pictures = [term.channels for terms in request.terms for term in terms if term.channels is not None]
    result = _arrays.place_for(call.probs.values.shape, (request.scores, *pictures), call.out)
    _infer(request, result.reshape(request.scores.shape), profile)
    return _arrays.give_back(result, call.probs, call.out)


def _infer(request: Request, marginals: Any, profile: _core.Profile | None) -> None:
    """Runs the compiled core on every picture; marginals [B, L, N] is written.

    Pictures side by side first, threads within a picture second: pictures never wait for each other.
    """
    workers = min(len(marginals), request.call.threads)
    threads = request.call.threads // workers
    pictures = list(zip(request.terms, request.scores, marginals, strict=True))
    side_by_side(lambda picture, stop: _infer_one(request, threads, profile, stop, *picture), pictures, workers)


def _infer_one(
    request: Request,
    threads: int,
    profile: _core.Profile | None,
    stop: _core.Stop,
    terms: Sequence[FullTerm],
    scores: Any,
    marginals: Any,
) -> None:
    """One picture: scores [L, N] -> marginals [L, N]."""
    call = request.call
    core_terms = [term.for_core() for term in terms] if call.iterations else []
    model = _core.Model(call.shape[2:], core_terms, threads, profile, stop)
    kind = "logits" if call.from_logits else "probabilities"
    tolerance = call.label_tolerance
    model.infer(scores, kind, CLIP, call.iterations, None, 0.0, 0.0, tolerance, threads, marginals, profile, stop)
