"""From what a user passes to `refine` to what an engine needs: checked, resolved, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _arrays, _check, _core
from densecrf._arrays import Given
from densecrf._build import default_threads
from densecrf._presets import presets
from densecrf.terms import Bilateral, Gaussian, Term

# Probabilities below this count as this: a network's certainty is not a proof, and log(0) has no value.
CLIP = 1e-5


@dataclass(frozen=True)
class Request:
    """A call of `refine` after every check.

    Attributes:
        pictures: [B, H, W, C], uint8 or float32, in units of srgb.
        scores: [B, L, N] float32, contiguous.
        terms: the pairwise terms, with one sigma per axis and channel.
        from_logits: what scores are.
        iterations: of mean field.
        threads: how many to use.
        probs: as the caller gave them, for the answer to be like.
        out: where the caller wants the answer, if anywhere.
    """

    pictures: NDArray[Any]
    scores: NDArray[np.float32]
    terms: tuple[FullTerm, ...]
    from_logits: bool
    iterations: int
    threads: int
    probs: Given
    out: Given | None


@dataclass(frozen=True)
class FullTerm:
    """A pairwise term with its sigmas written out: x, y, then one per channel of the picture."""

    position_sigma: tuple[float, float]
    channel_sigma: tuple[float, ...]
    weight: float
    normalization: str

    def for_core(self, channels: NDArray[Any]) -> _core.Term:
        """The term as the compiled core takes it, on a picture [N, C]."""
        return _core.Term(self.position_sigma, self.channel_sigma, channels, self.normalization, self.weight)


def make_request(
    function: str,
    image: Any,
    probs: Any,
    *,
    terms: Sequence[Term] | None,
    preset: str,
    iterations: int,
    from_logits: bool,
    channel_axis: int | None,
    num_threads: int | None,
    out: Any,
) -> Request:
    """Checks all arguments of `densecrf.refine`; see there."""
    threads = default_threads() if num_threads is None else _check.integer(function, "num_threads", num_threads, 1)
    given = _arrays.take(function, "probs", probs)
    given_image = _arrays.take(function, "image", image)
    given_out = None if out is None else _arrays.take(function, "out", out)
    from_logits = _check.flag(function, "from_logits", from_logits)

    shape = _check.probs_shape(function, given)
    pictures = _check.picture_layout(function, given_image, given, shape, channel_axis)
    if given_out is not None:
        _check.out_matches(function, given_out, given)

    # Everything from here on may copy. At least: the scores, the picture, the answer, one picture's unaries.
    batch, labels, height, width = shape
    points = height * width
    _core.require_memory(4 * points * (2 * batch * labels + labels + batch * pictures.shape[-1]))
    pictures = _check.picture_values(function, given_image, pictures)
    with np.errstate(over="ignore"):  # beyond float32: becomes infinite, and is refused as such
        scores = np.ascontiguousarray(given.values, np.float32).reshape(batch, labels, points)
    _check.probs_values(function, scores, from_logits, threads)
    return Request(
        pictures,
        scores,
        tuple(_full_term(function, term, pictures) for term in _resolve(function, terms, preset)),
        from_logits,
        _check.integer(function, "iterations", iterations, 0),
        threads,
        given,
        given_out,
    )


def _resolve(function: str, terms: Sequence[Term] | None, preset: str) -> Sequence[Term]:
    if terms is None:
        _check.choice(function, "preset", preset, tuple(presets))
        return presets[preset].terms
    if isinstance(terms, (Gaussian, Bilateral)) or not isinstance(terms, Sequence):
        raise TypeError(f"{function}: terms must be a list of Gaussian and Bilateral, got {terms!r}")
    for term in terms:
        if not isinstance(term, (Gaussian, Bilateral)):
            raise TypeError(f"{function}: terms must hold Gaussian and Bilateral, got {type(term).__name__}")
    return terms


def _full_term(function: str, term: Term, pictures: NDArray[Any]) -> FullTerm:
    _, height, width, channels = pictures.shape
    x, y = term.sxy if isinstance(term.sxy, tuple) else (term.sxy, term.sxy)
    colours: tuple[float, ...] = ()
    max_abs = [(width - 1) / x, (height - 1) / y]
    if isinstance(term, Bilateral):
        colours = _check.channel_count(function, term, term.srgb, channels)
        brightest = 255.0 if pictures.dtype == np.uint8 else float(np.abs(pictures).max())
        max_abs += [brightest / s for s in colours]
    _check.feature_range(function, term, max_abs)
    return FullTerm((x, y), colours, term.weight, term.normalization)
