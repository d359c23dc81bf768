"""Measures a network on a data set, before and after the CRF: ``python -m deeplab evaluate``."""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import densecrf
from deeplab import commands, plots
from deeplab.crf import save_labels
from deeplab.data import DataSet
from deeplab.metrics import Confusion, trimap_curve
from deeplab.scores import Scorer
from densecrf import Preset
from densecrf._parameters import resolve
from densecrf._text import printable_lines

DESCRIPTION = """\
Measure a network on a data set, before and after the CRF.

Prints pixel accuracy, mean accuracy, mean IoU, frequency-weighted IoU and the IoU of every class, and the seconds that
a picture takes. Pixels without a label (255) do not count.

With --out DIR, it writes there:

  results.csv                        the table
  before/NAME.png, after/NAME.png    the labels, with the colours of PASCAL VOC
  trimap.csv, trimap.png             the measures in bands around borders, 1 to 40 pixels wide to each side: how well
                                     they are found (DeepLab v1, figure 5); drawn with matplotlib. A border is void in
                                     voc and folder, and where two labels meet in other data sets
"""

EPILOG = """\
examples:
  python -m deeplab evaluate deeplab-v2-resnet101-aspp train_iter_20000.caffemodel --msc \\
      --data voc --root VOCdevkit/VOC2012 --split val --out results
  python -m deeplab evaluate --scores my_logits --data voc --root VOCdevkit/VOC2012 --preset found.toml
"""

SIDES = ("before", "after")
WIDTHS = range(1, 41)


@dataclass(frozen=True)
class Measured:
    """What came out, before and after the CRF: confusions, and seconds per picture for the network and for the CRF."""

    confusions: tuple[Confusion, Confusion]
    seconds: tuple[float, float]


def main(argv: list[str]) -> int:
    """Runs the command with these arguments; gives the exit status."""
    return commands.run(_run, _parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = commands.parser("evaluate", DESCRIPTION, EPILOG)
    commands.add_network(parser, optional=True)
    commands.add_data(parser)
    parser.add_argument("--preset", default="deeplab-v2", metavar="NAME|FILE", help=commands.PRESETS)
    parser.add_argument("--limit", type=commands.positive, metavar="N", help="the first N pictures only")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write tables, labels and curves")
    return parser


def _run(options: argparse.Namespace) -> int:
    preset = resolve(options.preset).preset()
    data = commands.data_of(options).subset(slice(options.limit))
    measured = evaluate(data, commands.scorer_of(options, data), preset, options.out)
    rows = table(measured, data.class_names)
    print(printable_lines(text(rows)))
    if options.out:
        write_csv(options.out / "results.csv", rows)
        write_trimaps(options.out, data)
    return 0


# ---- measuring --------------------------------------------------------------------------------------------------


def evaluate(data: DataSet, scorer: Scorer, preset: Preset, out: Path | None = None) -> Measured:
    """Labels every picture before and after the CRF, and compares with what they should be.

    The labels go to before/NAME.png and after/NAME.png in the folder ``out``, if there is one.
    """
    confusions = Confusion(data.n_classes), Confusion(data.n_classes)
    seconds = np.zeros(2)
    for sample in commands.progress(data, len(data), "evaluate"):
        started = time.perf_counter()
        scores = scorer(sample.name, sample.image)
        before = likeliest(scores, data.n_classes)
        scored = time.perf_counter()
        after = likeliest(refined(sample.image, scores, preset), data.n_classes)
        seconds += scored - started, time.perf_counter() - scored
        for side, confusion, labels in zip(SIDES, confusions, (before, after), strict=True):
            confusion.add(sample.labels, labels)
            if out:
                save_labels(out / side / f"{sample.name}.png", labels)
    network, crf = seconds / len(data)
    return Measured(confusions, (network, crf))


def refined(image: NDArray[np.uint8], scores: Tensor, preset: Preset, threads: int | None = None) -> Tensor:
    """The marginals ``(L, H, W)`` after the CRF, of logits."""
    marginals: Tensor = densecrf.refine(
        image, scores, terms=preset.terms, iterations=preset.iterations, from_logits=True, num_threads=threads
    )
    return marginals


def likeliest(scores: Tensor, n_classes: int) -> NDArray[np.uint8]:
    """The label of every pixel: ``(H, W)``.

    Raises:
        ValueError: these are scores of other classes.
    """
    if len(scores) != n_classes:
        raise ValueError(f"the scores are of {len(scores)} classes, and the data set has {n_classes}")
    return scores.argmax(0).cpu().numpy().astype(np.uint8)


# ---- tables -----------------------------------------------------------------------------------------------------

Rows = list[tuple[Any, ...]]


def table(measured: Measured, class_names: Sequence[str]) -> Rows:
    """A head, and one row for every measure: its name, before and after the CRF; seconds are those of either part."""
    sides = measured.confusions
    rows: Rows = [("measure", *SIDES)]
    for name in ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou"):
        rows.append((name.replace("_", " ").replace("iou", "IoU"), *(getattr(side, name) for side in sides)))
    for name, *values in zip(class_names, *(side.iou for side in sides), strict=True):
        rows.append((f"IoU {name}", *values))
    return [*rows, ("seconds per picture (network, CRF)", *measured.seconds)]


def text(rows: Rows) -> str:
    """The table to be read: measures in per cent, and what the CRF changes."""
    head, *measures, seconds = rows
    width = max(len(row[0]) for row in rows)
    lines = [f"{head[0]:<{width}}{head[1]:>9}{head[2]:>9}{'change':>9}"]
    for name, before, after in measures:
        lines.append(f"{name:<{width}}{100 * before:9.2f}{100 * after:9.2f}{100 * (after - before):+9.2f}")
    return "\n".join([*lines, f"{seconds[0]:<{width}}{seconds[1]:9.3f}{seconds[2]:9.3f}"])


def write_csv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table with all digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


# ---- trimaps ----------------------------------------------------------------------------------------------------


def write_trimaps(out: Path, data: DataSet) -> None:
    """Writes trimap.csv and trimap.png about the labels that `evaluate` has left in the folder."""
    curves = {side: trimap_curve(_pairs(out / side, data), data.n_classes, WIDTHS, data.borders) for side in SIDES}
    names = ("pixel accuracy", "mean accuracy", "mean IoU")
    head = ("width", *(f"{name} {side}" for side in SIDES for name in names))
    rows = [(width, *(value for side in SIDES for value in curves[side][width])) for width in WIDTHS]
    write_csv(out / "trimap.csv", [head, *rows])
    plots.trimaps(out / "trimap.png", curves)


def _pairs(folder: Path, data: DataSet) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Labels as they should be and as they are: read again, as those of a whole data set may not fit into memory."""
    for sample in commands.progress(data, len(data), f"borders {folder.name} the CRF"):
        with Image.open(folder / f"{sample.name}.png", formats=["PNG"]) as image:
            yield sample.labels, np.asarray(image)
