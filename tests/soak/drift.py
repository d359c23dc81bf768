"""Worst-case drift: how far answers are from a float64 evaluation of the same lattice, over pictures and parameters.

Fifty real pictures with sharp, network-like scores times a hundred parameter sets drawn at random
(tests/drift_cases.py), against tests/lattice64.py; and a part of them with every instruction set and with the CUDA
kernels compiled for the host.

`python tests/soak/drift.py --workers 2` takes twenty minutes of two cores. Errors above 1e-4 are looked into: whether
mean field's bistability is to blame, or float32 (tests/drift_measures.py); those without such a reason are named. It
ends with exit status 1 where one of them is above 1e-3, or loses a label by as much, or where back ends differ by more
than bistability or float32 explain.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from figures import record  # it says where the rest lies

# isort: split
import drift_cases
import numpy as np
import pytest
from drift_cases import Scene, Setting, answer, draw_settings, pictures
from drift_measures import BOUND, PROBED, Distance, Reasons, Reference, distance
from gpus import twin_behind_cupy
from instruction_sets import ISAS, answers_with
from numpy.typing import NDArray

from densecrf import DenseCRF

SETS = 100
PROMISE = 1e-3  # no marginal is further off, unless bistability or float32 explain it
WHOLE_EVERY = 10  # pairs of which one is compared with exact corner weights, too


@dataclass(frozen=True)
class Row:
    """One picture with one parameter set.

    Attributes:
        near: from the reference, every label filtered.
        tolerant: from the reference, with `refine`'s usual label tolerance.
        whole: from the reference with exact corner weights; None where that was not asked.
        reasons: what the error may be due to; None where it is small.
    """

    scene: str
    source: str
    set: int
    labels: int
    normalizations: tuple[str, ...]
    iterations: int
    weight: float
    near: Distance
    tolerant: Distance
    whole: Distance | None
    reasons: Reasons | None

    @property
    def explained(self) -> bool:
        """Whether there is a reason for the error."""
        return self.reasons is None or self.reasons.explain(self.near.largest)

    @property
    def breaks_promise(self) -> bool:
        """Whether it is further off than rounding may be."""
        return not self.explained and max(self.near.largest, self.near.lead) > PROMISE


# ---- measuring ------------------------------------------------------------------------------------------------


def rows_of(settings: Sequence[Setting], numbered: tuple[int, Scene]) -> list[Row]:
    """One picture with every parameter set."""
    number, scene = numbered
    return [_row(scene, setting, (number + setting.number) % WHOLE_EVERY == 0) for setting in settings]


def _row(scene: Scene, setting: Setting, wholly: bool) -> Row:
    reference = Reference(scene, setting)
    given = answer(scene, setting)
    near = distance(given, reference.marginals)
    whole = None
    if wholly:
        _assert_same_lattice(scene, setting, reference.vertices)
        whole = distance(given, reference.with_exact_weights())
    return Row(
        scene.name,
        scene.source,
        setting.number,
        len(scene.probs),
        tuple(plan.normalization for plan in setting.plans),
        setting.iterations,
        sum(plan.weight for plan in setting.plans),
        near,
        distance(answer(scene, setting, 1e-3), reference.marginals),
        whole,
        reference.reasons() if near.largest > PROBED else None,
    )


def _assert_same_lattice(scene: Scene, setting: Setting, vertices: int) -> None:
    """A picture that is cut in two has the vertices that both parts touch in each."""
    terms = setting.terms(len(scene.probs))
    found = DenseCRF(scene.image, len(scene.probs), terms, channel_axis=scene.channel_axis).n_vertices
    copies = 1 if scene.probs[0].size < 24 * 1024 else 2
    assert vertices <= found <= copies * vertices, f"{scene.name}, {setting.number}: {found} vertices, not {vertices}"


def measure(scenes: Sequence[Scene], settings: Sequence[Setting], workers: int) -> list[Row]:
    """Every pair; says how far it is."""
    rows: list[Row] = []
    with ProcessPoolExecutor(workers) as pool:
        for found in pool.map(partial(rows_of, settings), enumerate(scenes)):
            rows += found
            largest = max(row.near.largest for row in found)
            print(f"{len(rows):5} pairs, {found[0].scene}: {largest:.1e} at most", flush=True)
    return rows


# ---- back ends ------------------------------------------------------------------------------------------------


def twin_answers() -> dict[str, NDArray[np.float32]]:
    """Those of the CUDA kernels compiled for the host."""
    with pytest.MonkeyPatch.context() as patch:
        gpu = twin_behind_cupy(patch)
        return {name: gpu.get(answer(scene, setting, put=gpu.put)) for name, scene, setting in drift_cases.some()}


def ask_back_ends() -> dict[str, dict[str, NDArray[np.float32]]]:
    """The answers of each that this machine has, by case."""
    asked: dict[str, Callable[[Path], dict[str, NDArray]]] = {
        **{isa: partial(answers_with, isa, "drift_cases") for isa in ISAS},
        "CUDA twin": lambda folder: twin_answers(),
    }
    answers = {}
    for name, ask in asked.items():
        try:
            with tempfile.TemporaryDirectory() as folder:
                answers[name] = ask(Path(folder))
        except pytest.skip.Exception as reason:
            print(f"{name}: {reason}", flush=True)
    return answers


@dataclass(frozen=True)
class Apart:
    """How far the back ends are from the reference and from each other.

    Attributes:
        near: by back end, the distance from the reference for every case.
        pairs: by pair of back ends, the largest difference of a marginal for every case.
        unexplained: cases in which two differ without a reason.
    """

    near: dict[str, list[Distance]]
    pairs: dict[str, list[float]]
    unexplained: list[str]


def compare(answers: dict[str, dict[str, NDArray]]) -> Apart:
    """Every back end with the reference, and with every other."""
    found = Apart({name: [] for name in answers}, {f"{a} and {b}": [] for a, b in combinations(answers, 2)}, [])
    for case, scene, setting in drift_cases.some():
        reference = Reference(scene, setting)
        for name in answers:
            found.near[name].append(distance(answers[name][case], reference.marginals))
        for a, b in combinations(answers, 2):
            found.pairs[f"{a} and {b}"].append(float(np.abs(answers[a][case] - answers[b][case]).max()))
        spread = max((differences[-1] for differences in found.pairs.values()), default=0.0)
        if spread > BOUND and not reference.reasons().explain(spread / 2):
            found.unexplained.append(f"{case}: back ends differ by {spread:.1e}")
    return found


# ---- figures --------------------------------------------------------------------------------------------------


def summary(distances: Iterable[Distance]) -> dict[str, Any]:
    """What a line of a table says."""
    found = list(distances)
    pixels = sum(one.pixels for one in found)
    largest = np.array([one.largest for one in found])
    return {
        "pairs": len(found),
        "max": float(largest.max()),
        "median of the max": float(np.median(largest)),
        "99th percentile of the max": float(np.quantile(largest, 0.99)),
        "largest 99.9th percentile over pixels": max(one.p999 for one in found),
        "pairs above 1e-4": int((largest > 1e-4).sum()),
        "pixels": pixels,
        "pixels above 1e-4": sum(one.above_1e4 for one in found),
        "pixels above 1e-3": sum(one.above_1e3 for one in found),
        "pixels with another label": sum(one.unlike for one in found),
        "of these ties": sum(one.ties for one in found),
        "largest lead of a label lost": max(one.lead for one in found),
        "equal labels": 1 - sum(one.unlike for one in found) / pixels,
    }


def _bracket(value: float, ends: Sequence[int], what: str) -> str:
    above = 0
    for end in ends:
        if value <= end:
            return f"{what} above {above} to {end}"
        above = end
    return f"{what} above {above}"


GROUPS: dict[str, Callable[[Row], str]] = {
    "source": lambda row: row.source,
    "normalization": lambda row: row.normalizations[0] if len(set(row.normalizations)) == 1 else "several",
    "iterations": lambda row: _bracket(row.iterations, (5, 10, 20), "iterations"),
    "weight": lambda row: _bracket(row.weight, (3, 10, 30), "sum of weights"),
}


def by_group(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """A summary for each value that a group has."""
    return {
        group: {
            value: summary(row.near for row in rows if of(row) == value) for value in sorted({of(row) for row in rows})
        }
        for group, of in GROUPS.items()
    }


def worst(rows: Sequence[Row], count: int = 14) -> list[dict[str, Any]]:
    """The pairs with the largest errors."""
    return described(sorted(rows, key=lambda row: -row.near.largest)[:count])


def described(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Pairs with their errors, and what explains them."""
    return [
        {
            **{
                name: asdict(row)[name] for name in ("scene", "set", "labels", "normalizations", "iterations", "weight")
            },
            **asdict(row.near),
            "reasons": asdict(row.reasons) if row.reasons else None,
        }
        for row in rows
    ]


def figures_of(rows: Sequence[Row], back_ends: Apart) -> dict[str, Any]:
    """What is recorded."""
    return {
        "parameter sets": SETS,
        "rounded corner weights": summary(row.near for row in rows),
        "usual label tolerance": summary(row.tolerant for row in rows),
        "exact corner weights": summary(row.whole for row in rows if row.whole),
        "reasons": reasons(rows),
        "above 1e-4 without a reason": described([row for row in rows if not row.explained]),
        "groups": by_group(rows),
        "worst": worst(rows),
        "back ends": {name: summary(found) for name, found in back_ends.near.items()},
        "between back ends": {name: max(found) for name, found in back_ends.pairs.items()},
    }


def reasons(rows: Sequence[Row]) -> dict[str, Any]:
    """What pairs above 1e-4 owe their error to, and how it compares with the simplest program's."""
    above = [row for row in rows if row.near.largest > BOUND]
    probed = [(row.near.largest, row.reasons.plain) for row in rows if row.reasons]
    return {
        "pairs above 1e-4": len(above),
        "of these, a last bit moves the reference a tenth as far": sum(
            row.near.largest <= row.reasons.last_bits for row in above
        ),
        "of these, further off than the simplest float32 program": sum(
            row.near.largest > row.reasons.plain for row in above
        ),
        "pairs above 2e-5": len(probed),
        "of these, further off than that program": sum(error > plain for error, plain in probed),
        "largest error as a multiple of that program's": max((error / plain for error, plain in probed), default=0.0),
        "largest error of that program": max((plain for _, plain in probed), default=0.0),
    }


def main() -> None:
    """Measures, says what is wrong, and records what is not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1, help="processes")
    workers = parser.parse_args().workers
    scenes, missing = pictures()
    for what in missing:
        print(f"missing: {what}")
    rows = measure(scenes, draw_settings(SETS), workers)
    back_ends = compare(ask_back_ends())
    broken = [str(row) for row in rows if row.breaks_promise] + back_ends.unexplained
    for line in broken:
        print(line, file=sys.stderr)
    if broken:
        sys.exit(f"drift: {len(broken)} errors too large to be rounding")
    figures = figures_of(rows, back_ends)
    record("drift", pictures=len(scenes), missing=missing, **figures)
    for name in ("rounded corner weights", "usual label tolerance", "exact corner weights"):
        print(name, figures[name])


if __name__ == "__main__":
    main()
