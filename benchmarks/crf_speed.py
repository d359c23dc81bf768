"""How long the refinement of a picture takes: this library, pydensecrf, and the papers' 0.5 s, side by side.

Run it as `python benchmarks/crf_speed.py`. Both libraries are timed in one process, in turns, over the
full call from Python: label-major probabilities in, label-major marginals out, everything between included.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parents[1]))  # this file is run as a script

import densecrf
from benchmarks import peer, timing, workloads

Marginals = NDArray[np.float32]  # [L, H, W]

PAPERS_SECONDS = 0.5  # Chen et al., ICLR 2015: about 0.5 s per image, the CRF alone
PAPERS_PIXELS = 375 * 500  # of a PASCAL VOC picture; pictures far larger are not compared
PAPERS_NAME = "DeepLab papers"
PEER_NAME = "pydensecrf"
ROUNDS, QUICK_ROUNDS = 7, 3
BUDGET = 15.0  # seconds of timed calls per workload, after which no further round starts
QUICK_BUDGET = 4.0


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: who ran.
        threads: how many threads it ran on; None where nobody knows.
        times: what it took; None for what was not run here.
        ratio: pydensecrf's time over this one's, the median over the rounds.
        max_abs: the largest difference of a marginal from pydensecrf's.
        equal: the share of pixels whose most likely label is pydensecrf's.
        note: what stands in the place of the numbers.
    """

    name: str
    threads: int | None = None
    times: timing.Times | None = None
    ratio: float | None = None
    max_abs: float | None = None
    equal: float | None = None
    note: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the machine and one table per workload."""
    options = _options(arguments)
    if options.list:
        print("\n".join(workloads.NAMES))
        return 0
    other = peer.find()
    about = machine()
    print("\n".join(f"{what:<12} {value}" for what, value in about.items()))
    print(
        f"\nFull call from Python, median over the rounds; 'x {PEER_NAME}' is its time over this one's in the"
        f" same round.\nThe {PAPERS_NAME}' time is for a picture of about 375x500 with 21 labels, on their"
        " machine of 2015."
    )
    results = []
    for name in options.workload or [n for n in workloads.NAMES if not (options.quick and n in workloads.SLOW)]:
        _progress(f"{name}: building")
        work = workloads.workload(name)
        rounds, budget = (QUICK_ROUNDS, QUICK_BUDGET) if options.quick else (ROUNDS, BUDGET)
        rows = measure(work, other, threads=options.threads, rounds=rounds, budget=budget)
        _progress("")
        print(f"\n{table(work, rows)}", flush=True)
        results.append(_as_json(work, rows))
    if options.json:
        options.json.write_text(json.dumps({"machine": about, "results": results}, indent=1) + "\n")
    return 0


# ------------------------------------------------------------------------------------- measuring


def measure(
    work: workloads.Workload,
    other: peer.Peer | None,
    *,
    threads: Sequence[int],
    rounds: int,
    budget: float = float("inf"),
) -> list[Row]:
    """Run one workload on both libraries, in turns; the untimed first calls give the differences."""
    calls: dict[str, Callable[[], Marginals]] = {}
    if other is not None:
        calls[PEER_NAME] = functools.partial(
            other.refine, work.image, work.probs, terms=work.terms, iterations=work.iterations
        )
    for count in threads:
        calls[_name(count)] = functools.partial(
            densecrf.refine,
            work.image,
            work.probs,
            terms=work.terms,
            iterations=work.iterations,
            num_threads=count,
        )

    expected: list[Marginals] = []
    differences: dict[str, tuple[float, float]] = {}

    def compare(name: str, marginals: Marginals) -> None:
        if name == PEER_NAME:
            expected.append(marginals)
        elif expected:
            differences[name] = difference(marginals, expected[0])

    times = timing.interleaved(
        calls,
        rounds=rounds,
        budget=budget,
        progress=lambda what: _progress(f"{work.name}: {what}"),
        answer=compare,
    )
    against = times.get(PEER_NAME)
    rows = []
    for count in threads:
        mine = times[_name(count)]
        max_abs, equal = differences.get(_name(count), (None, None))
        rows.append(Row("densecrf", count, mine, mine.ratio_to(against) if against else None, max_abs, equal))
    if against is None:
        rows.append(Row(PEER_NAME, note=peer.NOT_INSTALLED))
    else:
        rows.append(Row(PEER_NAME, 1, against, 1.0))
    if work.probs[0].size < 2 * PAPERS_PIXELS:
        papers = timing.Times((PAPERS_SECONDS,))
        rows.append(Row(PAPERS_NAME, None, papers, against.median / PAPERS_SECONDS if against else None))
    return rows


def difference(mine: Marginals, theirs: Marginals) -> tuple[float, float]:
    """Give the largest absolute difference, and the share of pixels with the same most likely label."""
    max_abs = max(float(np.abs(a - b).max()) for a, b in zip(mine, theirs, strict=True))
    return max_abs, float((mine.argmax(axis=0) == theirs.argmax(axis=0)).mean())


def _name(threads: int) -> str:
    return f"densecrf, {threads} thread{'s' if threads > 1 else ''}"


# -------------------------------------------------------------------------------------- printing


def table(work: workloads.Workload, rows: Sequence[Row]) -> str:
    """One workload's rows, as text."""
    L, H, W = work.probs.shape
    terms = " + ".join(str(term) for term in work.terms).replace(", normalization='symmetric'", "")
    lines = [
        f"{work.name}: {H}x{W}, {L} labels, {work.iterations} iterations, {work.about}",
        f"  {terms}",
        f"  {'':<15}{'threads':>8}{'median ms':>11}{'min .. max':>19}{'x ' + PEER_NAME:>14}"
        f"{'max abs diff':>14}{'equal labels':>14}",
    ]
    return "\n".join([*lines, *(_line(row) for row in rows)])


def _line(row: Row) -> str:
    if row.times is None:
        return f"  {row.name}: {row.note}"
    cells = [
        (8, "" if row.threads is None else str(row.threads)),
        (11, f"{row.times.median * 1e3:.1f}"),
        (19, _spread(row.times)),
        (14, "" if row.ratio is None else f"{row.ratio:.2f}"),
        (14, "" if row.max_abs is None else f"{row.max_abs:.1e}"),
        (14, "" if row.equal is None else f"{row.equal:.4%}"),
    ]
    return f"  {row.name:<15}" + "".join(f"{text:>{width}}" for width, text in cells).rstrip()


def _spread(times: timing.Times) -> str:
    if len(times.seconds) == 1:
        return ""
    return f"{times.low * 1e3:.1f} .. {times.high * 1e3:.1f}"


def machine() -> dict[str, str]:
    """Describe what the numbers belong to."""
    return {
        "machine": f"{_cpu()}, {_cores()} cores usable, {platform.machine()}",
        "densecrf": f"{densecrf.__version__} ({_build()})",
        "python": f"{platform.python_version()}, NumPy {np.__version__}, {platform.system()}",
        "date": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
    }


def _build() -> str:
    return ", ".join(f"{what} {value}" for what, value in densecrf.build_info().items())


def _cpu() -> str:
    """Give the processor's name as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _progress(what: str) -> None:
    """Tell on stderr what runs now, in one line that is written over where there is a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{what}")
    elif what:
        sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


def _as_json(work: workloads.Workload, rows: Sequence[Row]) -> dict[str, Any]:
    L, H, W = work.probs.shape
    return {
        "workload": work.name,
        "about": work.about,
        "height": H,
        "width": W,
        "labels": L,
        "iterations": work.iterations,
        "terms": [str(term) for term in work.terms],
        "rows": [
            {
                "name": row.name,
                "threads": row.threads,
                "seconds": list(row.times.seconds) if row.times else None,
                "median": row.times.median if row.times else None,
                "ratio_to_pydensecrf": row.ratio,
                "max_abs": row.max_abs,
                "equal_labels": row.equal,
                "note": row.note,
            }
            for row in rows
        ],
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and not the slow workloads")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number to FILE as well")
    parser.add_argument("--workload", action="append", choices=workloads.NAMES, help="only this one; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the names of the workloads")
    parser.add_argument(
        "--threads",
        type=int,
        nargs="+",
        default=sorted({1, min(2, _cores()), _cores()}),
        help="numbers of threads of this library (default: 1, 2 and all)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
