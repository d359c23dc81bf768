"""densecrf in torch's own terms: an operator that torch.compile and torch.export understand, and a layer.

The only module of the package that imports torch; ``import densecrf`` does not import it. Needs torch 2.7 or newer.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, library

import densecrf
from densecrf import _check
from densecrf._features import resolve_terms
from densecrf._request import LABEL_TOLERANCE
from densecrf.terms import Bilateral, Features, Gaussian, Term

__all__ = ["DenseCRF", "refine"]


def refine(
    image: Tensor,
    probs: Tensor,
    *,
    terms: Sequence[Term] | None = None,
    preset: str = "deeplab-v2",
    iterations: int = 10,
    label_tolerance: float = LABEL_TOLERANCE,
    from_logits: bool = False,
) -> Tensor:
    """Does what `densecrf.refine` does, as an operator: ``torch.ops.densecrf.refine``.

    It can be compiled with ``fullgraph=True``, exported, and mapped over with ``torch.vmap``. Under ``torch.autocast``
    half precision becomes float32, and so does the result.

    There is no gradient: this is post-processing, as in DeepLab's papers (v2, section 3.3), whose networks are trained
    without it. Call it under ``torch.no_grad()`` or on ``probs.detach()``: otherwise ``backward`` raises RuntimeError,
    and what ``torch.compile`` made raises it when first called. Forward mode takes the result for a constant.

    Args:
        image: the picture the network saw, not mean-subtracted, ``(H, W)`` or ``(C, H, W)``, with a leading B for
            batches. Integers stand for themselves; floats from 0 to 1 are scaled to 0..255, floats up to 255 stand
            for themselves.
        probs: ``(L, H, W)`` or ``(B, L, H, W)``; float16, bfloat16, float32 or float64.
        terms: a list of `densecrf.Gaussian` and `densecrf.Bilateral`; overrides ``preset``.
        preset: the name of a published parameter set; ``densecrf.presets`` lists them.
        iterations: of mean field; 0 gives ``probs`` clipped at 1e-5 and normalised.
        label_tolerance: labels whose marginal stays below this everywhere take no part in filtering; 0 filters all.
        from_logits: ``probs`` are raw scores, from before the soft-max.

    Returns:
        The marginals, contiguous and in memory of their own, with the shape, dtype and device of ``probs``.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the message says how to mend it.
    """
    function = "densecrf.torch.refine"
    _require_tensors(function, image=image, probs=probs)
    settings = _settings(function, terms, preset, iterations, label_tolerance, from_logits)
    marginals: Tensor = _operator(image, probs, *settings)
    return marginals


class DenseCRF(torch.nn.Module):
    """`refine` as the layer at the end of a network: ``marginals = crf(image, scores)``. It has no parameters.

    ``from_logits`` is True here, unlike in `refine`: networks end in logits, and so the layer goes where a soft-max
    would go, behind the network that ``torch.nn.CrossEntropyLoss`` trained. Behind a soft-max say False; probabilities
    cannot be told from logits, and would be taken for those of a very unsure network.

    Args:
        terms: as for `refine`.
        preset: as for `refine`.
        iterations: as for `refine`.
        label_tolerance: as for `refine`.
        from_logits: whether the scores come from before the soft-max.

    Raises:
        TypeError, ValueError: a value that is not of this form.
    """

    def __init__(
        self,
        *,
        terms: Sequence[Term] | None = None,
        preset: str = "deeplab-v2",
        iterations: int = 10,
        label_tolerance: float = LABEL_TOLERANCE,
        from_logits: bool = True,
    ) -> None:
        super().__init__()
        self._terms, self.iterations, self.label_tolerance, self.from_logits = _settings(
            "densecrf.torch.DenseCRF", terms, preset, iterations, label_tolerance, from_logits
        )

    def forward(self, image: Tensor, scores: Tensor) -> Tensor:
        """Image ``(C, H, W)`` and scores ``(L, H, W)``, or batches of them, to marginals; all as for `refine`."""
        _require_tensors("densecrf.torch.DenseCRF", image=image, scores=scores)
        settings = (self._terms, self.iterations, self.label_tolerance, self.from_logits)
        marginals: Tensor = _operator(image, scores, *settings)
        return marginals

    def extra_repr(self) -> str:
        """The settings, with a preset's terms written out."""
        return (
            f"terms={list(_read(self._terms))}, iterations={self.iterations}, "
            f"label_tolerance={self.label_tolerance}, from_logits={self.from_logits}"
        )


def _require_tensors(function: str, **values: object) -> None:
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{function}: {name} must be a torch tensor, got {type(value).__name__}; "
                f"densecrf.refine takes other arrays"
            )


def _settings(
    function: str,
    terms: Sequence[Term] | None,
    preset: str,
    iterations: int,
    label_tolerance: float,
    from_logits: bool,
) -> tuple[str, int, float, bool]:
    """The settings, checked, as an operator can take them."""
    return (
        _write(function, resolve_terms(function, terms, preset)),
        _check.integer(function, "iterations", iterations, 0),
        _check.share(function, "label_tolerance", _plain(label_tolerance)),
        _check.flag(function, "from_logits", from_logits),
    )


def _write(function: str, terms: Sequence[Term]) -> str:
    """Terms as text. A Python literal, because torch.compile traces through ``str`` and not through json."""
    if any(isinstance(term, Features) for term in terms):
        raise TypeError(f"{function}: Features hold arrays, which this operator cannot take; call densecrf.refine")
    return str([(type(term).__name__, {name: _plain(value) for name, value in vars(term).items()}) for term in terms])


def _plain(value: Any) -> Any:
    """The same value. torch.compile puts symbols in the place of floats; ``__float__`` makes numbers of them again."""
    if isinstance(value, tuple):
        return tuple(_plain(one) for one in value)
    return value.__float__() if isinstance(value, float) else value


@functools.lru_cache(maxsize=16)  # a matrix for 150 labels takes as long to read as a small picture to refine
def _read(text: str) -> tuple[Term, ...]:
    """Terms from what `_write` made of them."""
    kinds = {"Gaussian": Gaussian, "Bilateral": Bilateral}
    return tuple(kinds[kind](**values) for kind, values in ast.literal_eval(text))


# On a GPU the host waits once, for the size of the lattice: no graph of CUDA's can hold that. torch 2.9 can be told so.
_UNSAFE = getattr(torch.Tag, "cudagraph_unsafe", None)


@library.custom_op("densecrf::refine", mutates_args=(), tags=() if _UNSAFE is None else (_UNSAFE,))
def _operator(
    image: Tensor, probs: Tensor, terms: str, iterations: int, label_tolerance: float, from_logits: bool
) -> Tensor:
    result: Tensor = densecrf.refine(
        image,
        probs,
        terms=_read(terms),
        iterations=iterations,
        label_tolerance=label_tolerance,
        from_logits=from_logits,
    )
    return result


@_operator.register_fake
def _outline(image: Tensor, probs: Tensor, *settings: object) -> Tensor:
    """The result before there are values. Whether the arguments are right is for `densecrf.refine` to say, later.

    But an image without values never gets there, and the scores' result would be whatever lies in memory.
    """
    if image.device.type == "meta" != probs.device.type:
        raise ValueError(f"densecrf.refine: image has no values, got a tensor on meta, and probs on {probs.device}")
    return torch.empty_like(probs, memory_format=torch.contiguous_format)


@_operator.register_vmap
def _batch(
    info: Any, in_dims: tuple[int | None, ...], image: Tensor, probs: Tensor, *settings: Any
) -> tuple[Tensor, int]:
    """The mapped axis becomes the batch, or is merged with the batch there is."""
    image, probs = (
        tensor.expand(info.batch_size, *tensor.shape) if axis is None else tensor.movedim(axis, 0)
        for tensor, axis in zip((image, probs), in_dims[:2], strict=True)
    )
    if probs.ndim == 4:
        return _operator(image, probs, *settings), 0
    result = _operator(image.flatten(0, 1), probs.flatten(0, 1), *settings)
    return result.unflatten(0, probs.shape[:2]), 0


# As torch's own soft-max: computed in float32 whatever comes, and the marginals are not rounded to half precision.
for _device in ("cpu", "cuda"):
    _operator.register_autocast(_device, torch.float32)
