"""Finds the CRF's parameters on held-out pictures, as the papers do: ``python -m deeplab search``."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from deeplab import commands, plots
from deeplab.data import DataSet
from deeplab.evaluate import likeliest, refined
from deeplab.metrics import Confusion
from deeplab.scores import Scorer, StoredScores, store
from densecrf._build import default_threads
from densecrf._parameters import Parameters
from densecrf._text import printable_lines

DESCRIPTION = """\
Find the CRF's parameters: those with the largest mean IoU on some pictures of a data set.

The weight w1 and the standard deviations sigma_alpha (pixels) and sigma_beta (colours) of the bilateral kernel are
searched, first on a grid, and then around the best setting found, with steps of a half, a quarter, ... of the grid's:
the papers say "coarse-to-fine", and not how. Of equals the first wins, w1 being the outermost loop and sigma_beta the
innermost, as in the authors' program. w2 and sigma_gamma are fixed, at 3 and 3 in both papers.

DIR gets:

  preset.toml     the best setting, for --preset of evaluate and predict
  settings.csv    every setting and its mean IoU; a search that was stopped goes on from there
  surface.png     all of them, drawn, if matplotlib is installed
  search.json     what was searched; another search needs another DIR
  scores/         the network's scores, so that it runs once: 16 MB for a picture of PASCAL VOC; to be deleted at will

Ranges are written as in the papers, first:last or first:step:last, or as numbers with commas.
"""

EPILOG = """\
examples:
  python -m deeplab search deeplab-v2-resnet101-aspp train_iter_20000.caffemodel --msc \\
      --data voc --root VOCdevkit/VOC2012 --split val --out crf
  DeepLab v1's ranges: --w1 5,10 --sigma-alpha 50:10:100 --sigma-beta 3:10
"""

Setting = tuple[float, float, float]  # w1, sigma_alpha, sigma_beta
Found = dict[Setting, float]  # mean IoU, in the order of the search
Grid = tuple[Sequence[float], Sequence[float], Sequence[float]]

# Options that may differ when a search goes on.
FREE = ("out", "workers", "device", "w1", "sigma_alpha", "sigma_beta", "rounds")


def main(argv: list[str]) -> int:
    """Runs the command with these arguments; gives the exit status."""
    return commands.run(_run, _parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = commands.parser("search", DESCRIPTION, EPILOG)
    commands.add_network(parser, optional=True)
    commands.add_data(parser)
    _add_ranges(parser)
    parser.add_argument("--limit", type=commands.positive, default=100, metavar="N", help="pictures (default: 100)")
    parser.add_argument(
        "--seed", type=int, default=10, metavar="N", help="of the order they are drawn in (default: %(default)s)"
    )
    workers = default_threads()
    parser.add_argument(
        "--workers",
        type=commands.positive,
        default=workers,
        metavar="N",
        help="settings at a time (default: all cores)",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where to write")
    return parser


def _add_ranges(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is searched (by default DeepLab v2's ranges)")
    for name, default in (("--w1", "3:6"), ("--sigma-alpha", "30:10:100"), ("--sigma-beta", "3:6")):
        group.add_argument(name, type=commands.span, default=default, metavar="RANGE", help="(default: %(default)s)")
    group.add_argument("--rounds", type=int, default=2, metavar="N", help="after the grid (default: %(default)s)")
    group.add_argument("--w2", type=float, default=3.0, metavar="X", help="(default: %(default)g)")
    group.add_argument("--sigma-gamma", type=float, default=3.0, metavar="X", help="(default: %(default)g)")
    group.add_argument(
        "--normalization",
        choices=("after", "symmetric"),
        default="after",
        help="of the kernels: after is what DeepLab's own program does, symmetric pydensecrf (default: %(default)s)",
    )
    group.add_argument(
        "--iterations", type=commands.positive, default=10, metavar="N", help="of mean field (default: %(default)s)"
    )


def _run(options: argparse.Namespace) -> int:
    grid = options.w1, options.sigma_alpha, options.sigma_beta
    fixed = Parameters(1, 1, 1, options.w2, options.sigma_gamma, options.normalization, options.iterations)
    for setting in itertools.product(*grid):
        _with(fixed, setting).preset()  # refuses what cannot be, before anything takes time
    data = commands.data_of(options)
    order = np.random.default_rng(options.seed).permutation(len(data))
    data = data.subset([data.names[i] for i in order[: options.limit]])
    scorer = commands.scorer_of(options, data)
    _claim(options, data)
    if not isinstance(scorer, StoredScores):
        scorer = _cached(scorer, data, options.out / "scores", options.device)
    journal = Journal(options.out / "settings.csv")
    found = search(grid, options.rounds, partial(_measured, data, scorer, fixed, journal, options.workers))
    best = best_of(found)
    source = f"mean IoU {100 * found[best]:.2f} %, the largest of {len(found)} settings on {len(data)} pictures"
    preset = replace(_with(fixed, best), source=source)
    preset.write(options.out / "preset.toml")
    plots.surface(options.out / "surface.png", found, best)
    print(printable_lines(_words(preset, grid, options.out)))
    return 0


# ---- the search -------------------------------------------------------------------------------------------------


def search(grid: Grid, rounds: int, measured: Callable[[Sequence[Setting]], Found]) -> Found:
    """Everything that was tried, in this order: the grid, then the surroundings of the best in every round.

    Args:
        grid: the values of w1, sigma_alpha and sigma_beta; what has a single value stays at it.
        rounds: how many follow the grid, each with half the steps of the last.
        measured: gives the mean IoU of every setting, in their order.
    """
    found = dict(measured(list(itertools.product(*grid))))
    steps = [min(np.diff(sorted(set(values))), default=0.0) for values in grid]
    for n in range(1, rounds + 1):
        axes = [sorted({x - step / 2**n, x, x + step / 2**n}) for x, step in zip(best_of(found), steps, strict=True)]
        near = (tuple(map(float, setting)) for setting in itertools.product(*axes) if min(setting) > 0)
        found |= measured([(w1, alpha, beta) for w1, alpha, beta in near if (w1, alpha, beta) not in found])
    return found


def best_of(found: Found) -> Setting:
    """The first of the best, as in the authors' EvalSegResults_CrossValidate.m."""
    return max(found, key=found.__getitem__)


def mean_iou(data: DataSet, scorer: Scorer, parameters: Parameters) -> float:
    """Of all pictures after the CRF, in one thread: settings run side by side."""
    confusion = Confusion(data.n_classes)
    preset = parameters.preset()
    for sample in data:
        marginals = refined(sample.image, scorer(sample.name, sample.image), preset, threads=1)
        confusion.add(sample.labels, likeliest(marginals, data.n_classes))
    return confusion.mean_iou


def _with(fixed: Parameters, setting: Setting) -> Parameters:
    w1, sigma_alpha, sigma_beta = setting
    return replace(fixed, w1=w1, sigma_alpha=sigma_alpha, sigma_beta=sigma_beta)


def _measured(
    data: DataSet, scorer: Scorer, fixed: Parameters, journal: Journal, workers: int, settings: Sequence[Setting]
) -> Found:
    """The mean IoU of every setting, as the journal has it or as it is now measured; the CRF does not hold the GIL."""
    new = [setting for setting in settings if setting not in journal.found]
    pool = ThreadPoolExecutor(workers)
    try:
        runs = {pool.submit(mean_iou, data, scorer, _with(fixed, setting)): setting for setting in new}
        for run in commands.progress(as_completed(runs), len(runs), "search"):
            journal.add(runs[run], run.result())
    finally:
        pool.shutdown(cancel_futures=True)  # when interrupted, waits for what runs and not for all
    return {setting: journal.found[setting] for setting in settings}


# ---- what is kept -----------------------------------------------------------------------------------------------


class Journal:
    """The settings that are done, in a CSV file with a line for each, written as soon as it is done.

    Attributes:
        found: what was in the file at first, and what was added.

    Raises:
        ValueError: there is such a file, and it holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        head = b"w1,sigma_alpha,sigma_beta,mean_iou\n"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else [head]
        whole = [line for line in lines if line.endswith(b"\n")] or [head]  # the last may be torn
        rows = (tuple(map(float, line.split(b","))) for line in whole[1:])
        try:
            self.found: Found = {(w1, alpha, beta): iou for w1, alpha, beta, iou in rows}
        except ValueError as error:
            raise ValueError(f"{path}: not the settings of a search ({error}); remove it to search anew") from error
        path.write_bytes(b"".join(whole))

    def add(self, setting: Setting, iou: float) -> None:
        """Notes a setting that is done."""
        self.found[setting] = iou
        with self.path.open("a") as file:
            file.write(",".join(map(repr, (*setting, iou))) + "\n")


def _claim(options: argparse.Namespace, data: DataSet) -> None:
    """Notes in the folder what is searched there; refuses one of another search, whose numbers are not comparable."""
    path: Path = options.out / "search.json"
    about = {name: str(value) for name, value in sorted(vars(options).items()) if name not in FREE}
    if options.weights:  # the same file may hold other weights after more training
        about["weights"] += f", written at {options.weights.stat().st_mtime_ns}"
    about["pictures"] = " ".join(data.names)
    if path.exists() and (before := _noted(path)) != about:
        other = ", ".join(name for name in about if about[name] != before.get(name))
        raise ValueError(f"{options.out} is of a search with another {other}; choose another --out")
    options.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(about, indent=1) + "\n")


def _noted(path: Path) -> dict[str, str]:
    """What `_claim` has written."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{path} does not say what was searched there; choose another --out")
    return found


def _cached(scorer: Scorer, data: DataSet, folder: Path, device: str) -> Scorer:
    """The scores of a network that runs now, where it has not yet."""
    for sample in commands.progress(data, len(data), "scores"):
        store(scorer, folder, sample.name, sample.image)
    return StoredScores(folder, device)


def _words(best: Parameters, grid: Grid, out: Path) -> str:
    """What was found, and a warning where it lies on the border of the grid: there may be better beyond."""
    names = ("w1", "sigma_alpha", "sigma_beta")
    values = {name: float(getattr(best, name)) for name in names}
    lines = [", ".join(f"{name} {value:g}" for name, value in values.items()) + f": {best.source}"]
    for name, axis in zip(names, grid, strict=True):
        if len(axis) > 1 and not min(axis) < values[name] < max(axis):
            lines.append(f"{name} is at the border of its range: there may be better ones beyond")
    return "\n".join([*lines, f"python -m deeplab evaluate ... --preset {out / 'preset.toml'}"])
