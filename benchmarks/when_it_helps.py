"""Where the CRF helps and where it does not: one thing changed at a time, on real pictures with truth.

Run it as `python benchmarks/when_it_helps.py`; it writes the tables of docs/when_it_helps.md between their markers and
draws docs/when_it_helps/*.png. Needs five VOC and two MSRC pictures (`benchmarks/labelled.py`) and matplotlib; takes
a few minutes on two cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parents[1]))  # this file is run as a script

import densecrf
from benchmarks import help_findings, help_plots, labelled, machine, quality
from benchmarks.labelled import Collection, Labelled
from benchmarks.quality import NETWORK, Quality, Way
from benchmarks.workloads import MissingError
from densecrf import Bilateral, Gaussian
from densecrf.terms import Normalization, Term

DOCS = Path(__file__).resolve().parents[1] / "docs"
BAND = 2  # pixels around the border that truth draws
SPATIAL, APPEARANCE = Gaussian(1, 3), Bilateral(67, 3, 4)  # the preset deeplab-v2, around which one thing is changed
ENOUGH = 10_000  # pixels of the band; MSRC's truth has 7,185, and was drawn some pixels off the objects
WHAT = {"accuracy": "pixels right", "band": "band"}
FLOOR = 1e-5  # probabilities below count as this, as in densecrf.refine

Logits = NDArray[np.float32]  # [L, H, W]


@dataclass(frozen=True)
class Setting:
    """One way to call the CRF.

    Attributes:
        title: what the table calls it.
        value: where it lies along the axis of a plot; NaN where it does not.
        terms: the pairwise terms.
        iterations: of mean field.
        scores: from a network's log-probabilities to what the CRF is given as logits.
    """

    title: str
    value: float = np.nan
    terms: Sequence[Term] = (SPATIAL, APPEARANCE)
    iterations: int = 10
    scores: Callable[[Logits], Logits] = lambda logits: logits


@dataclass(frozen=True)
class Sweep:
    """Settings that differ in one thing.

    Attributes:
        name: of the table in the document.
        axis: what differs.
        settings: in order.
    """

    name: str
    axis: str
    settings: Sequence[Setting]


Found = Mapping[str, Mapping[str, Quality]]  # collection -> setting -> how good its labels are


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="DIR", help="where when_it_helps.md lies")
    docs = parser.parse_args(arguments).docs
    try:
        collections = [labelled.voc(), labelled.msrc()]
    except MissingError as error:
        raise SystemExit(str(error)) from error
    diagnoses = help_findings.diagnoses(collections)
    tables = {
        "machine": _machine(),
        "pictures": picture_table(collections),
        "findings": help_findings.table(diagnoses),
        "alarms": help_findings.counts(diagnoses),
    }
    curves = {}
    for sweep in sweeps():
        print(sweep.name, flush=True)
        found = measured(collections, sweep)
        tables[sweep.name], curves[sweep.name] = table(sweep, found), gains(sweep, found)
    path = docs / "when_it_helps.md"
    path.write_text(filled(path.read_text(encoding="utf-8"), tables), encoding="utf-8")
    help_plots.draw(docs / "when_it_helps", curves)
    return 0


# ---- what is tried -------------------------------------------------------------------------------------------


def sweeps() -> list[Sweep]:
    """Everything that is measured."""
    return [
        Sweep("temperature", "logits divided by", [_temperature(t) for t in (0.25, 0.5, 1, 1.5, 2, 3, 4)]),
        Sweep("confidence", "confidence", [_confidence(c) for c in (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)]),
        Sweep("weights", "both weights times", [_weights(2.0**k) for k in range(-3, 4)]),
        Sweep("colours", "srgb", [_terms(s, SPATIAL, _appearance(srgb=s)) for s in (1, 2, 3, 5, 8, 13, 20, 40, 80)]),
        Sweep("positions", "sxy", [_terms(s, SPATIAL, _appearance(sxy=s)) for s in (5, 10, 20, 40, 67, 100, 160, 300)]),
        Sweep("smoothness", "sxy", [_terms(s, Gaussian(s, 3), APPEARANCE) for s in (0.5, 1, 2, 3, 5, 10, 20)]),
        Sweep("iterations", "iterations", [_iterations(n) for n in (0, 1, 2, 3, 5, 7, 10, 15, 20)]),
        Sweep("normalization", "normalization", [_normalization("symmetric"), _normalization("after")]),
        Sweep("presets", "preset", [_preset(name) for name in densecrf.presets]),
    ]


def _temperature(t: float) -> Setting:
    return Setting(f"{t:g}", t, scores=lambda logits: logits / np.float32(t))


def _confidence(c: float) -> Setting:
    return Setting(
        f"{c:g}",
        c,
        scores=lambda logits: -densecrf.unary_from_labels(logits.argmax(axis=0), len(logits), c),
    )


def _weights(factor: float) -> Setting:
    return _terms(factor, Gaussian(1, 3 * factor), Bilateral(67, 3, 4 * factor))


def _terms(value: float, *terms: Term) -> Setting:
    return Setting(f"{value:g}", value, terms)


def _appearance(sxy: float = 67, srgb: float = 3) -> Bilateral:
    return dataclasses.replace(APPEARANCE, sxy=sxy, srgb=srgb)


def _iterations(count: int) -> Setting:
    return Setting(f"{count}", count, iterations=count)


def _normalization(name: Normalization) -> Setting:
    return Setting(name, terms=[dataclasses.replace(term, normalization=name) for term in (SPATIAL, APPEARANCE)])


def _preset(name: str) -> Setting:
    preset = densecrf.presets[name]
    return Setting(name, terms=preset.terms, iterations=preset.iterations)


# ---- how good it is ------------------------------------------------------------------------------------------


def measured(collections: Sequence[Collection], sweep: Sweep) -> Found:
    """The network alone and every setting, on every collection."""
    ways: dict[str, Way] = {NETWORK: lambda one: one.probs}
    ways |= {setting.title: _way(setting) for setting in sweep.settings}
    return {one.name: quality.measure(one, ways) for one in collections}


def _way(setting: Setting) -> Way:
    def way(one: Labelled) -> Logits:
        logits = setting.scores(np.log(np.maximum(one.probs, np.float32(FLOOR))))
        marginals: Logits = densecrf.refine(
            one.image, logits, terms=setting.terms, iterations=setting.iterations, from_logits=True
        )
        return marginals

    return way


def _scores(found: Quality) -> dict[str, float]:
    """In per cent; the band only where the truth draws enough of it to measure anything."""
    scores = {"accuracy": 100 * found.whole.pixel_accuracy}
    if found.bands[BAND].matrix.sum() >= ENOUGH:
        scores["band"] = 100 * found.bands[BAND].mean_iou_of_present
    return scores


def gains(sweep: Sweep, found: Found) -> help_plots.Gains:
    """What a plot shows of a sweep: points gained over the network alone."""
    lines: dict[str, dict[str, list[float]]] = {what: {} for what in help_plots.TITLES}
    for name, by_title in found.items():
        after = [_scores(by_title[setting.title]) for setting in sweep.settings]
        for what, before in _scores(by_title[NETWORK]).items():
            lines[what][name] = [one[what] - before for one in after]
    return help_plots.Gains([setting.value for setting in sweep.settings], lines)


# ---- how it is written ---------------------------------------------------------------------------------------


def table(sweep: Sweep, found: Found) -> str:
    """A sweep as a table in Markdown."""
    heads = [f"{name}: {WHAT[what]}" for name, by_title in found.items() for what in _scores(by_title[NETWORK])]
    lines = [f"| {' | '.join([sweep.axis, *heads])} |", f"|{'---|' * (1 + len(heads))}"]
    for title in [NETWORK, *(setting.title for setting in sweep.settings)]:
        cells = [f"{value:.1f}" for by_title in found.values() for value in _scores(by_title[title]).values()]
        lines.append(f"| {' | '.join([title, *cells])} |")
    return "\n".join(lines)


def picture_table(collections: Sequence[Collection]) -> str:
    """The preset deeplab-v2 on every picture."""
    lines = ["| picture | pixels right, before | after | band, before | after |", "|---|---|---|---|---|"]
    setting = Setting("deeplab-v2")
    for one in collections:
        for name in one.names:
            found = measured([dataclasses.replace(one, names=[name])], Sweep("", "", [setting]))[one.name]
            before, after = _scores(found[NETWORK]), _scores(found[setting.title])
            cells = [f"{before[what]:.1f} | {after[what]:.1f}" if what in before else " | " for what in WHAT]
            lines.append(f"| {one.name} {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _machine() -> str:
    about = machine.about()
    return f"`python benchmarks/when_it_helps.py` ({about['date'][:10]}, {about['machine']}, {about['python']})"


def filled(text: str, tables: Mapping[str, str]) -> str:
    """A document with what was measured between its markers."""
    for name, lines in tables.items():
        start, end = f"<!-- measured: {name} -->\n", "<!-- end -->"
        head, mark, rest = text.partition(start)
        if not mark or end not in rest:
            raise SystemExit(f"the document needs a place for a table: {start}{end}")
        text = f"{head}{start}{lines}\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    sys.exit(main())
