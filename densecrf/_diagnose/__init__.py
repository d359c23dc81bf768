"""Why the CRF changes nothing, or everything: `densecrf.diagnose`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from densecrf import _check
from densecrf._diagnose import changes, kernels, objections, of_network, of_result, of_terms
from densecrf._diagnose.kernels import Floats, TermEffect
from densecrf._diagnose.network import energies_of, look_at
from densecrf._diagnose.report import Diagnosis, Finding, Picture
from densecrf._model import DenseCRF
from densecrf._request import LABEL_TOLERANCE, Call, Request, make_call, make_request
from densecrf.terms import Term

__all__ = ["Diagnosis", "Finding", "diagnose"]

_FUNCTION = "densecrf.diagnose"


def diagnose(
    image: Any,
    probs: Any,
    *,
    terms: Sequence[Term] | None = None,
    preset: str = "deeplab-v2",
    iterations: int = 10,
    from_logits: bool = False,
    channel_axis: int | None = None,
) -> Diagnosis:
    """Tells why `densecrf.refine` changes what it changes on a picture: ``print(densecrf.diagnose(image, probs))``.

    Runs the CRF, and measures the network's margins, what every term does on this picture and what becomes of the
    labels. Takes about four times as long as `densecrf.refine`, on the CPU.

    Args:
        image: one picture, as in `densecrf.refine`.
        probs: ``(L, H, W)``, as in `densecrf.refine`.
        terms: as in `densecrf.refine`.
        preset: as in `densecrf.refine`.
        iterations: as in `densecrf.refine`.
        from_logits: as in `densecrf.refine`.
        channel_axis: as in `densecrf.refine`.

    Returns:
        The measurements, and findings with advice. docs/when_it_helps.md explains each.

    Raises:
        TypeError, ValueError: an argument is not what it should be; as `densecrf.refine` says it.
        MemoryError: the memory for this picture cannot be had.
    """
    call = make_call(
        _FUNCTION,
        image,
        probs,
        terms=terms,
        preset=preset,
        iterations=iterations,
        label_tolerance=LABEL_TOLERANCE,
        from_logits=from_logits,
        channel_axis=channel_axis,
        num_threads=None,
        out=None,
    )
    if call.probs.values.ndim == 4:
        raise ValueError(
            f"{_FUNCTION}: probs must be those of one picture, (L, H, W), got {call.probs.values.shape}; "
            f"diagnose image[0] and probs[0], and so on"
        )
    return _diagnose(make_request(call))


def _diagnose(request: Request) -> Diagnosis:
    call = request.call
    scores = request.scores.reshape(call.shape[1:])
    energies = energies_of(scores, call.from_logits)
    crf = DenseCRF(
        call.image.original, call.shape[1], call.terms, channel_axis=call.channel_axis, num_threads=call.threads
    )
    planes = _planes(call)
    network = look_at(energies)
    diagnosis = Diagnosis(
        _picture(planes),
        network,
        _effects(crf, call.terms, planes),
        changes.run(crf, energies, network, call.iterations),
        objections.listen(crf, energies, network),
    )
    return dataclasses.replace(diagnosis, findings=_findings(diagnosis, scores, call.from_logits))


def _planes(call: Call) -> Floats:
    """The channels of the picture in the units of srgb, ``(C, H, W)``."""
    values = _check.picture_values(call.function, call.image, call.pictures)[0]
    planes: Floats = np.moveaxis(values, -1, 0).astype(np.float32)
    return planes


def _picture(planes: Floats) -> Picture:
    _, height, width = planes.shape
    deviation = planes - planes.mean(axis=(1, 2), keepdims=True)
    grey = bool((planes == planes[:1]).all())
    return Picture((height, width), len(planes), float(np.sqrt((deviation**2).mean())), grey)


def _effects(crf: DenseCRF, terms: Sequence[Term], planes: Floats) -> tuple[TermEffect, ...]:
    return tuple(kernels.effect_of(crf, index, term, planes) for index, term in enumerate(terms))


def _findings(diagnosis: Diagnosis, scores: Floats, from_logits: bool) -> tuple[Finding, ...]:
    """Warnings first."""
    everything = [
        *of_network.findings(diagnosis, scores, from_logits),
        *of_terms.findings(diagnosis),
        *of_result.findings(diagnosis),
    ]
    return tuple(sorted(everything, key=lambda finding: finding.severity != "warning"))
