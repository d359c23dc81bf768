"""What `densecrf.diagnose` answers, and how it prints."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Literal, TypeAlias

from densecrf._diagnose.changes import Changes
from densecrf._diagnose.kernels import TermEffect
from densecrf._diagnose.network import Network
from densecrf._diagnose.objections import Objections
from densecrf._diagnose.text import count, percent

Severity: TypeAlias = Literal["warning", "note"]

_WIDTH = 110  # of a printed report
_INDENT = " " * 4


@dataclass(frozen=True)
class Finding:
    """Something worth knowing.

    Attributes:
        code: a short name that does not change, for programs: ``"saturated"``.
        severity: ``"warning"`` where the answer is probably not what was wanted, ``"note"`` for what is only good to
            know.
        says: what was measured, in one sentence.
        advice: what to do about it, in one sentence.
    """

    code: str
    severity: Severity
    says: str
    advice: str

    def __str__(self) -> str:
        says = textwrap.fill(f"{self.severity} [{self.code}] {self.says}", _WIDTH, subsequent_indent=_INDENT)
        advice = textwrap.fill(f"-> {self.advice}", _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
        return f"{says}\n{advice}"


@dataclass(frozen=True)
class Picture:
    """The picture.

    Attributes:
        shape: (H, W).
        channels: how many.
        contrast: standard deviation of the values about their channel's mean, in the units of srgb.
        grey: whether all channels are the same.
    """

    shape: tuple[int, int]
    channels: int
    contrast: float
    grey: bool


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Why the CRF changes what it changes on one picture; prints as a report.

    Attributes:
        picture: what was measured of the picture.
        network: what was measured of the network's scores.
        terms: what each pairwise term does on this picture, in their order.
        changes: what the CRF makes of the labels.
        objections: what the terms say against the network's labels at borders.
        findings: warnings first.
    """

    picture: Picture
    network: Network
    terms: tuple[TermEffect, ...]
    changes: Changes
    objections: Objections
    findings: tuple[Finding, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """Of the findings."""
        return tuple(finding.code for finding in self.findings)

    @property
    def strength(self) -> float:
        """The most that the terms together can raise one label over another, in the units of the margins."""
        return sum(effect.strength for effect in self.terms)

    @property
    def reach(self) -> float:
        """The same without what a pixel says to itself: a larger margin than this cannot be overcome."""
        return sum(effect.strength * (1 - effect.own_share) for effect in self.terms)

    def __str__(self) -> str:
        findings = [str(finding) for finding in self.findings] or ["no findings"]
        return "\n".join([*_summary(self), *findings])


def _summary(diagnosis: Diagnosis) -> list[str]:
    changes = diagnosis.changes
    iterations = count(len(changes.by_iteration), "iteration")
    lines = [
        _of_picture(diagnosis.picture),
        _of_network(diagnosis),
        _of_terms(diagnosis),
        *map(_of_term, diagnosis.terms),
        f"{iterations}; one more would change {percent(changes.unsettled)}",
    ]
    return [f"{percent(changes.share)} of the labels change{_where(diagnosis)}", *(_INDENT + line for line in lines)]


def _where(diagnosis: Diagnosis) -> str:
    changes = diagnosis.changes
    if math.isnan(changes.median_distance):
        return ""
    near, far = count(changes.median_distance, "pixel"), f"{changes.far_distance:g}"
    return f"; half of these within {near} of the network's borders, nine tenths within {far}"


def _of_picture(picture: Picture) -> str:
    height, width = picture.shape
    return f"picture: {height}x{width}, {count(picture.channels, 'channel')}, contrast {picture.contrast:.0f}"


def _of_network(diagnosis: Diagnosis) -> str:
    network = diagnosis.network
    border = "" if math.isnan(network.border_margin) else f", {network.border_margin:.2f} at borders"
    return (
        f"network: {count(diagnosis.changes.areas_before.size, 'label')}, {network.n_present} the best somewhere; "
        f"median margin {network.median_margin:.2f}{border}, largest {network.largest_margin:.1f}"
    )


def _of_terms(diagnosis: Diagnosis) -> str:
    objections = "" if math.isnan(diagnosis.objections.share) else f"; they {diagnosis.objections}"
    return f"all terms: overcome margins up to {diagnosis.reach:.2f}{objections}"


def _of_term(effect: TermEffect) -> str:
    near, away = count(effect.neighbours, "pixel"), count(effect.radius, "pixel")
    spread = effect.colour_spread
    colours = "" if math.isnan(spread) else f", their colours {spread:.2f} of a blur's spread"
    return f"{type(effect.term).__name__}: up to {effect.strength:.2f}; a pixel listens to {near}, {away} away{colours}"
