"""What `densecrf.diagnose` measures on real pictures with every preset, beside the thresholds of its findings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import densecrf
from benchmarks.labelled import Collection
from densecrf import Diagnosis, Finding
from densecrf._diagnose import of_network, of_result, of_terms
from densecrf.data import example

SAMPLES = ("astronaut", "chelsea", "motorcycle")


@dataclass(frozen=True)
class Measure:
    """A number of a diagnosis.

    Attributes:
        title: what the table calls it.
        code: of the finding that depends on it.
        limit: when there is one.
        of: takes it from a diagnosis.
    """

    title: str
    code: str
    limit: str
    of: Callable[[Diagnosis], float]


MEASURES = (
    Measure(
        "median margin at borders",
        "saturated",
        f"from {of_network.SATURATED:.1f}",
        lambda one: one.network.border_margin,
    ),
    Measure("largest margin", "softmax-twice", "0.9 to 1", lambda one: one.network.largest_margin),
    Measure("median margin", "undecided", f"below {of_network.UNDECIDED:.2f}", lambda one: one.network.median_margin),
    Measure("contrast", "flat-picture", f"below {of_terms.FLAT:g}", lambda one: one.picture.contrast),
    Measure(
        "pixels that hear themselves louder than all others",
        "colours-too-narrow, positions-too-narrow",
        f"above {of_terms.ALONE:g}",
        lambda one: max(effect.alone for effect in one.terms),
    ),
    Measure(
        "spread of colours",
        "colours-too-wide",
        f"above {of_terms.BLIND:g}",
        lambda one: one.terms[1].colour_spread,
    ),
    Measure(
        "radius, of one that knows no place",
        "positions-too-wide",
        f"above {of_terms.EVERYWHERE:g}",
        lambda one: max(effect.radius for effect in one.terms) / of_terms.radius_without_place(one),
    ),
    Measure(
        "border pixels that change",
        "weights-too-weak, follows-edges-already",
        f"below {of_result.LITTLE:g}",
        lambda one: one.changes.at_border,
    ),
    Measure(
        "border pixels where the terms object",
        "follows-edges-already",
        f"below {of_result.AGREED:g}, where few change",
        lambda one: one.objections.share,
    ),
    Measure(
        "sure pixels that change",
        "weights-too-strong",
        f"above {of_result.OVERRULED:g}",
        lambda one: one.changes.overruled,
    ),
    Measure(
        "reach, of the largest margin of probabilities",
        "weights-too-strong",
        f"above {of_result.UNOPPOSED:g}",
        lambda one: one.reach / of_result.LARGEST_OF_PROBS,
    ),
    Measure("area of labels that vanish", "swallowed", f"from {of_result.SWALLOWED:g}", of_result.area_lost),
    Measure(
        "pixels that go to and fro",
        "oscillates",
        f"above {of_result.OSCILLATING:g}",
        lambda one: one.changes.oscillating,
    ),
    Measure(
        "changes of one more iteration, of all",
        "not-converged",
        f"above {of_result.UNSETTLED:g}",
        lambda one: one.changes.unsettled / one.changes.share,
    ),
)


@dataclass(frozen=True)
class Seen:
    """What is kept of a diagnosis: the value of every measure, and what was found."""

    values: tuple[float, ...]
    findings: tuple[Finding, ...]


def seen(diagnosis: Diagnosis) -> Seen:
    """Everything but the arrays."""
    return Seen(tuple(measure.of(diagnosis) for measure in MEASURES), diagnosis.findings)


def diagnoses(collections: Iterable[Collection]) -> list[Seen]:
    """Of every picture, the shipped ones too, with every preset."""
    pictures = [(one.image, one.probs) for collection in collections for one in collection]
    pictures += [example(name) for name in SAMPLES]
    return [
        seen(densecrf.diagnose(image, probs, preset=preset, iterations=densecrf.presets[preset].iterations))
        for preset in densecrf.presets
        for image, probs in pictures
    ]


def table(found: Sequence[Seen]) -> str:
    """Smallest and largest of every measure, in Markdown."""
    lines = ["| measure | smallest | largest | finding | where it is |", "|---|---|---|---|---|"]
    for place, measure in enumerate(MEASURES):
        values = [one.values[place] for one in found if not math.isnan(one.values[place])]
        codes = ", ".join(f"`{code}`" for code in measure.code.split(", "))
        lines.append(f"| {measure.title} | {min(values):.2g} | {max(values):.2g} | {codes} | {measure.limit} |")
    return "\n".join(lines)


def counts(found: Sequence[Seen]) -> str:
    """How often what was found, as a sentence."""
    times = Counter(f"{finding.severity} `{finding.code}`" for one in found for finding in one.findings)
    listed = ", ".join(f"{code} {number} times" for code, number in times.most_common())
    return f"In {len(found)} diagnoses: {listed or 'nothing'}; nothing else."
