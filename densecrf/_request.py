"""From what a user passes to `refine` to what an engine needs: checked and resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _arrays, _check
from densecrf._arrays import Given
from densecrf._build import default_threads
from densecrf._features import FullTerm, full_term, resolve_terms
from densecrf.terms import Term

# Probabilities below this count as this: a network's certainty is not a proof, and log(0) has no value.
CLIP = 1e-5

# Labels that stay below this everywhere are not filtered: on real outputs the result differs by less than float32
# rounding is amplified anyway (docs/accuracy.md), and few labels are left.
LABEL_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Call:
    """A call of `refine`, checked but for the values of its arrays, wherever these lie.

    Attributes:
        function: its name, for messages.
        image: as the caller gave it.
        channel_axis: of the image; None if it has none.
        probs: as the caller gave them.
        out: where the caller wants the answer, if anywhere.
        shape: (B, L, H, W).
        terms: the pairwise terms.
        from_logits: what probs are.
        iterations: of mean field.
        label_tolerance: labels below it everywhere are not filtered.
        threads: how many to use on the CPU.
    """

    function: str
    image: Given
    channel_axis: int | None
    probs: Given
    out: Given | None
    shape: tuple[int, int, int, int]
    terms: Sequence[Term]
    from_logits: bool
    iterations: int
    label_tolerance: float
    threads: int

    @property
    def pictures(self) -> Any:
        """The image as a view (B, H, W, C), where it lies."""
        return _arrays.as_pictures(self.image, self.channel_axis, self.probs.values.ndim == 4)


@dataclass(frozen=True)
class Request:
    """A call on the CPU after every check.

    Attributes:
        call: what was asked for.
        terms: [B], the pairwise terms on each picture.
        scores: [B, L, N] float32, contiguous.
    """

    call: Call
    terms: tuple[tuple[FullTerm, ...], ...]
    scores: NDArray[np.float32]


def make_call(
    function: str,
    image: Any,
    probs: Any,
    *,
    terms: Sequence[Term] | None,
    preset: str,
    iterations: int,
    label_tolerance: float,
    from_logits: bool,
    channel_axis: int | None,
    num_threads: int | None,
    out: Any,
    gpu: bool = False,
) -> Call:
    """Checks the arguments of `densecrf.refine`, see there; `gpu` where probs may lie on one."""
    threads = _check.threads(function, num_threads, default_threads())
    given = _arrays.take(function, "probs", probs, gpu=gpu)
    given_image = _arrays.take(function, "image", image, gpu=gpu)
    given_out = None if out is None else _arrays.take(function, "out", out, gpu=gpu)
    from_logits = _check.flag(function, "from_logits", from_logits)
    shape = _check.probs_shape(function, given)
    axis = _check.picture_axis(function, given_image, given, shape, channel_axis)
    if given_image.gpu is not None:  # one on the CPU is taken to where probs lie
        _check.same_place(function, "image", given_image, given)
    if given_out is not None:
        _check.out_matches(function, given_out, given)
    return Call(
        function,
        given_image,
        axis,
        given,
        given_out,
        shape,
        resolve_terms(function, terms, preset),
        from_logits,
        _check.integer(function, "iterations", iterations, 0),
        _check.share(function, "label_tolerance", label_tolerance),
        threads,
    )


def make_request(call: Call) -> Request:
    """Checks the values of a call on the CPU, and writes out its terms."""
    batch, labels, height, width = call.shape
    points = height * width
    pictures = call.pictures
    # At least: the scores where they have to be copied, the answer, the unaries of the pictures that are refined side
    # by side, and the pictures.
    copied = not _arrays.is_plain(call.probs.values)
    planes = (1 + copied) * batch + min(batch, call.threads)
    values = batch * pictures.shape[-1]
    _check.room(4 * points * (planes * labels + values))
    with _check.promise(4 * points * (copied * batch * labels + values)):
        pictures = _check.picture_values(call.function, call.image, pictures)
        with np.errstate(over="ignore"):  # beyond float32: becomes infinite, and is refused as such
            scores = _arrays.for_core(call.probs.values).reshape(batch, labels, points)
    _check.probs_values(call.function, scores, call.from_logits, call.threads)
    terms = tuple(
        tuple(full_term(call.function, term, (height, width), labels, one.reshape(points, -1)) for term in call.terms)
        for one in pictures
    )
    return Request(call, terms, scores)
