"""What was measured of one workload, as a table of 120 columns and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import floor, peer, timing, workloads
from benchmarks.contest import NAME, PAPERS_NAME, PEER_NAME, Contestant, Row
from benchmarks.memory import Peak

WIDTH = 120
_HARD = "\u00a0"  # a space that no line ends at
LEGEND = f"""\
Times are of the full call from Python, in turns in one process. 'x {PEER_NAME}' is its time over this one's in the
same round, the median over the rounds. 'max abs', '99.9 %' and 'equal labels' compare marginals with {PEER_NAME}'s.
'MiB more' is the peak of memory in a process of its own, the result included, the inputs not.
'tol 0.001' is label_tolerance=0.001. The {PAPERS_NAME}' 0.5 s are for a picture of about 375x500 with 21 labels, on
their machine of 2015. The floor is what moving unaries, corners and lattice rows once in each iteration takes at the
speed of a copy, all labels counted: about the least for states larger than the cache; smaller ones may be faster."""

_HEADINGS = (
    (8, "threads"),
    (11, "median ms"),
    (19, "min .. max"),
    (14, f"x {PEER_NAME}"),
    (11, "max abs"),
    (11, "99.9 %"),
    (14, "equal labels"),
    (10, "MiB more"),
)


@dataclass(frozen=True)
class Result:
    """Everything measured of one workload.

    Attributes:
        work: what ran.
        rows: of the table.
        floor: what its iterations must move.
        bandwidths: number of threads -> bytes per second of a copy.
        peaks: memory, of whom it was measured.
        stages: label tolerance -> stage -> seconds on one thread.
    """

    work: workloads.Workload
    rows: Sequence[Row]
    floor: floor.Floor
    bandwidths: Mapping[int, float]
    peaks: Mapping[Contestant, Peak] = field(default_factory=dict)
    stages: Mapping[float, Mapping[str, float]] = field(default_factory=dict)


def text(result: Result) -> str:
    """Give the table and the lines below it."""
    work = result.work
    H, W = work.shape
    terms = " + ".join(str(term) for term in work.terms).replace(", normalization='symmetric'", "")
    pictures = f"{work.pictures} pictures, " if work.pictures else ""
    lines = [
        f"{work.name}: {pictures}{H}x{W}, {work.labels} labels, {work.iterations} iterations, {work.about}",
        f"  {terms}",
        f"  {'':<20}" + "".join(f"{heading:>{width}}" for width, heading in _HEADINGS),
        *(_line(row, result.peaks) for row in result.rows),
        *_scaling(result),
        _floor(result),
        *(_stages(tolerance, seconds) for tolerance, seconds in result.stages.items()),
        *(f"  no peak of memory: {peak.why}" for peak in result.peaks.values() if peak.why),
    ]
    return "\n".join(lines)


def _line(row: Row, peaks: Mapping[Contestant, Peak]) -> str:
    if row.times is None:
        return f"  {PEER_NAME}: {peer.NOT_INSTALLED}"
    who, far = row.who, row.difference
    peak = peaks.get(who) if who else None
    cells = [
        "" if who is None else str(who.threads),
        f"{row.times.median * 1e3:.1f}",
        _spread(row.times),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        "" if far is None else f"{far.max_abs:.1e}",
        "" if far is None else f"{far.permille:.1e}",
        "" if far is None else f"{far.equal:.4%}",
        "" if peak is None or peak.mib is None else f"{peak.mib:.0f}",
    ]
    told = "".join(f"{cell:>{width}}" for cell, (width, _) in zip(cells, _HEADINGS, strict=True))
    return f"  {who.title if who else PAPERS_NAME:<20}{told}".rstrip()


def _spread(times: timing.Times) -> str:
    if len(times.seconds) == 1:
        return ""
    return f"{times.low * 1e3:.1f} .. {times.high * 1e3:.1f}"


def scaling(result: Result) -> dict[int, float]:
    """Number of threads -> how many times faster than on one, the median over the rounds; empty but for batches."""
    if result.work.pictures is None:
        return {}
    times = {
        row.who.threads: row.times
        for row in result.rows
        if row.times and row.who and row.who.name == NAME and not row.who.tolerance
    }
    if 1 not in times:
        return {}
    return {threads: times[threads].ratio_to(times[1]) for threads in times if threads > 1}


def _scaling(result: Result) -> list[str]:
    return [f"  {threads} threads: {ratio:.2f} times as fast as one" for threads, ratio in scaling(result).items()]


def _floor(result: Result) -> str:
    least = result.floor.seconds(result.bandwidths)
    times = ", ".join(f"{_threads(threads)} {seconds * 1e3:.1f} ms" for threads, seconds in least.items())
    speeds = " and ".join(f"{each / 1e9:.1f}" for each in result.bandwidths.values())
    moved = f"{result.floor.iterations} x {result.floor.iteration / 1e6:.1f} MB at {speeds} GB/s"
    return f"  floor: {times} ({moved}; {result.floor.vertices:,} vertices)"


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _stages(tolerance: float, seconds: Mapping[str, float]) -> str:
    which = f", tol {tolerance:g}" if tolerance else ""
    told = [f"{stage} {_milliseconds(taken)}".replace(" ", _HARD) for stage, taken in seconds.items()]
    line = f"milliseconds per stage, 1 thread{which}: {', '.join(told)}"
    return textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ").replace(_HARD, " ")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}" if seconds < 0.01 else f"{seconds * 1e3:.0f}"


def as_json(result: Result) -> dict[str, Any]:
    """Give every number."""
    work = result.work
    H, W = work.shape
    return {
        "workload": work.name,
        "about": work.about,
        "pictures": work.pictures,
        "height": H,
        "width": W,
        "labels": work.labels,
        "iterations": work.iterations,
        "terms": [str(term) for term in work.terms],
        "rows": [_row_as_json(row, result.peaks) for row in result.rows],
        "times_as_fast_as_one_thread": scaling(result),
        "stages": [
            {"label_tolerance": tolerance, "threads": 1, "seconds": dict(seconds)}
            for tolerance, seconds in result.stages.items()
        ],
        "floor": {
            "vertices": result.floor.vertices,
            "bytes_per_iteration": result.floor.iteration,
            "seconds": result.floor.seconds(result.bandwidths),
        },
    }


def _row_as_json(row: Row, peaks: Mapping[Contestant, Peak]) -> dict[str, Any]:
    who, far = row.who, row.difference
    peak = peaks.get(who) if who else None
    return {
        "name": who.name if who else PAPERS_NAME,
        "threads": who.threads if who else None,
        "label_tolerance": who.tolerance if who and who.name == NAME else None,
        "seconds": list(row.times.seconds) if row.times else None,
        "median": row.times.median if row.times else None,
        "ratio_to_pydensecrf": row.ratio,
        "ratios_to_pydensecrf": list(row.ratios),
        "max_abs": far.max_abs if far else None,
        "percentile_99.9_abs": far.permille if far else None,
        "equal_labels": far.equal if far else None,
        "extra_mib_at_peak": peak.mib if peak else None,
        "note": "" if row.times else peer.NOT_INSTALLED,
    }
