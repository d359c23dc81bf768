"""summary.html: what was done, how much it changed, what failed; one file that needs no other and no network."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from densecrf._version import __version__
from densecrf.batch import page, reports, thumbnails
from densecrf.batch.options import Recipe
from densecrf.batch.progress import Progress
from densecrf.batch.records import Record
from densecrf.batch.reports import State
from densecrf.batch.shards import Shard

BINS = 26
MOST_FAILURES = 200  # in the page; errors.jsonl has them all


@dataclass(frozen=True)
class About:
    """What the reports do not know: of the run that writes the summary.

    Attributes:
        recipe: what was done.
        shard: which share of the data set.
        progress: at the end.
        start: seconds since 1970.
    """

    recipe: Recipe
    shard: Shard
    progress: Progress
    start: float


def write(path: Path, found: State, about: About, count: int) -> None:
    """Write the page, with so many of the most-changed pictures."""
    reports.replace(path, page.page("densecrf batch", _parts(found, about, count)))


def _parts(found: State, about: About, count: int) -> Iterator[str]:
    measured = [record for _, record in found.results if record.size is not None]
    yield page.heading(f"{len(found.jobs):,} pictures", _when(about))
    yield page.tiles(_figures(found, measured))
    run = page.section("This run", page.table(_run(about)))
    yield page.pair(run, page.section("Parameters", page.table(_parameters(about.recipe))))
    if found.errors:
        yield _failures(found)
    if measured:
        yield _histogram([record.changed for record in measured])
    if shown := list(thumbnails.most_changed(found.results, about.recipe, count)):
        yield page.section("Most changed", *(_triple(each) for each in shown))


def _when(about: About) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime())
    return f"densecrf {__version__} batch, {moment}"


def _figures(found: State, measured: Sequence[Record]) -> list[tuple[str, str, bool]]:
    figures = [
        (f"{len(found.results):,}", "refined", False),
        (f"{len(found.errors):,}", "failed", bool(found.errors)),
    ]
    if found.waiting:
        figures.append((f"{found.waiting:,}", "not yet done", False))
    if measured:
        changed = statistics.fmean(record.changed for record in measured)
        refine = statistics.median(record.seconds.refine for record in measured)
        figures.append((f"{changed:.1%}", "of the pixels changed, on average", False))
        figures.append((f"{1000 * refine:.0f} ms", "to refine a picture, median", False))
    return figures


def _run(about: About) -> list[tuple[str, str]]:
    progress = about.progress
    rows = [
        ("Began", time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(about.start))),
        ("Pictures", f"{progress.done:,} refined, {progress.failed:,} failed, {progress.before:,} done before"),
        ("Rate", f"{progress.rate:.2f} pictures a second, over {progress.seconds:.1f} s"),
    ]
    return rows if about.shard.count == 1 else [*rows, ("Shard", str(about.shard))]


def _parameters(recipe: Recipe) -> list[tuple[str, str]]:
    values = vars(recipe.parameters) | {"output": recipe.kind} | vars(recipe.reading)
    return [(name.replace("_", " "), str(value)) for name, value in values.items() if value not in (None, "", False)]


def _histogram(changes: Sequence[float]) -> str:
    most = _round_up(max(changes))
    counts = [0] * BINS
    for change in changes:
        counts[min(BINS - 1, int(change / most * BINS))] += 1
    return page.section(
        "How much changed", page.histogram(counts, most, "Pictures, by the share of their pixels whose label changed")
    )


def _round_up(share: float) -> float:
    """To one or two parts of a power of ten that axes like: 0.01, 0.02, 0.04, 0.1, ..., at least 0.01."""
    power = 10.0 ** math.floor(math.log10(max(share, 0.01)))
    return next((power * part for part in (1, 2, 4, 8) if share <= power * part), power * 10)


def _triple(each: thumbnails.Triple) -> str:
    height, width = each.record.size or (0, 0)
    about = f"{each.record.changed:.1%} of the pixels changed, {width} x {height}"
    pictures = (("photograph", each.photograph), ("before", each.before), ("after", each.after))
    return page.triple(each.job.name, about, pictures)


def _failures(found: State) -> str:
    rows = [(job.name, record.file or "", record.error or "") for job, record in found.errors[:MOST_FAILURES]]
    more = len(found.errors) - len(rows)
    parts = [page.table(rows, ("Picture", "File", "Reason"))]
    if more:
        parts.append(page.note(f"and {more:,} more, which are in errors.jsonl"))
    return page.section("Failed", *parts)
