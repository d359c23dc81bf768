"""`densecrf.refine` on a GPU: the same call, without the values ever leaving it."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from densecrf import _arrays, _check
from densecrf._gpu import Array, Gpu
from densecrf._gpu_model import GpuModel, Pictures, context, core, in_core_dtype, largest, write_out
from densecrf._request import CLIP, Call
from densecrf.terms import Features

MOST_PICTURES = 1 << 15  # of a launch
MOST_CORNERS = 1 << 31  # of a term: their numbers have 32 bits


def answer(call: Call) -> Any:
    """Refines what was asked for, many pictures at once.

    The host waits once for each share of the batch: for the number of lattice vertices, and what surveys of the
    arrays found. A picture of integers other than uint8 takes one more wait, for its range.
    """
    gpu = call.probs.gpu
    assert gpu is not None
    module = core(call.function)
    batch, labels, height, width = call.shape
    with gpu.work():
        scores = gpu.contiguous(gpu.convert(call.probs.original, "float32")).reshape(batch, labels, height * width)
        pictures = _pictures(call, gpu)
        out = _place_for(call, gpu, (scores, pictures))
        marginals = out.reshape(scores.shape)
        at_once = pictures_at_once(call)
        for first in range(0, batch, at_once):
            share = slice(first, first + at_once)
            _answer_share(call, gpu, module, scores[share], pictures[share], marginals[share])
        return _arrays.give_back(out, call.probs, call.out)


def pictures_at_once(call: Call) -> int:
    """How many pictures of a batch are refined in one go."""
    _, _, height, width = call.shape
    dims = [2 + call.pictures.shape[-1], *(len(term.features) for term in call.terms if isinstance(term, Features))]
    corners: int = height * width * (max(dims) + 1)
    return max(1, min(MOST_PICTURES, MOST_CORNERS // corners))


def _answer_share(call: Call, gpu: Gpu, module: ModuleType, scores: Array, pictures: Array, marginals: Array) -> None:
    """Scores (B, L, N) -> marginals (B, L, N), for pictures (B, N, C)."""
    batch, labels, points = scores.shape
    where = context(module, gpu)
    looked_at = [module.Survey(where, gpu.address(scores), batch, labels, points)]
    if _check.picture_kind(call.function, call.image) == "floats":
        pictures = gpu.contiguous(pictures)
        size = math.prod(pictures.shape[1:])
        looked_at.append(module.Survey(where, gpu.address(pictures), batch, 1, size))
    seen = Pictures(pictures, _bound(call, gpu, pictures), looked_at[1] if len(looked_at) > 1 else None)
    if not call.iterations:  # needs no lattices; the terms are judged all the same
        for term in call.terms:
            write_out(call.function, term, call.shape[2:], labels, seen)
    terms = call.terms if call.iterations else []
    model = GpuModel(call.function, gpu, call.shape[2:], labels, terms, seen, batch, looked_at)
    for found in looked_at[0].found:
        _check.probs_found(call.function, found, call.from_logits, labels)
    for survey in looked_at[1:]:
        for found in survey.found:
            _check.float_range(call.function, found["min"], found["max"], not found["not_finite"])
    kind = "logits" if call.from_logits else "probabilities"
    model.infer(scores, kind, CLIP, call.iterations, marginals, label_tolerance=call.label_tolerance)


def _pictures(call: Call, gpu: Gpu) -> Array:
    """The image as (B, N, C), uint8 or float32, on the GPU; floats not scaled yet."""
    kind = _check.picture_kind(call.function, call.image)
    pictures = call.pictures
    if call.image.gpu is None:
        pictures = gpu.on_device(np.ascontiguousarray(pictures))
    return in_core_dtype(gpu, kind, pictures).reshape(call.shape[0], -1, pictures.shape[-1])


def _bound(call: Call, gpu: Gpu, pictures: Array) -> float:
    """What no value of the pictures is larger than, once they are scaled."""
    if _check.picture_kind(call.function, call.image) == "integers":
        return largest(pictures)
    return 255.0


def _place_for(call: Call, gpu: Gpu, inputs: tuple[Array, ...]) -> Array:
    """A float32 array to compute the answer in: ``out`` itself where that is safe, else a new one."""
    shape = call.probs.values.shape
    if call.out is not None and call.out.values.dtype == np.float32:
        out = call.out.original
        direct = gpu.address(gpu.contiguous(out)) == gpu.address(out)
        if direct and not any(_overlap(gpu, out, one) for one in inputs):
            return gpu.detached(out)
    return gpu.empty(shape)


def _overlap(gpu: Gpu, a: Array, b: Array) -> bool:
    """Whether two arrays may share memory."""
    (first_a, end_a), (first_b, end_b) = _extent(gpu, a), _extent(gpu, b)
    return first_a < end_b and first_b < end_a


def _extent(gpu: Gpu, array: Array) -> tuple[int, int]:
    """The addresses an array lies between."""
    size = gpu.numpy_dtype(array).itemsize
    steps = [(n - 1) * stride for n, stride in zip(array.shape, gpu.strides(array), strict=True)]
    first = gpu.address(array)
    low, high = sum(min(step, 0) for step in steps), sum(max(step, 0) for step in steps)
    return first + low * size, first + (high + 1) * size
