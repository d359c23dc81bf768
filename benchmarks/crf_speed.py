"""How long the refinement of a picture takes: this library, pydensecrf, and the papers' 0.5 s, side by side.

Run it as `python benchmarks/crf_speed.py`. Both libraries are timed in one process, in turns, over the
full call from Python: label-major probabilities in, label-major marginals out, everything between included.
With `--growth` it measures how the cost grows with pixels, labels and lattice vertices instead.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # this file is run as a script

from benchmarks import contest, floor, growth, machine, memory, peer, plot, report, stages, workloads

ROUNDS, QUICK_ROUNDS = 7, 3
AT_LEAST, QUICK_AT_LEAST = 3, 2
BUDGET, QUICK_BUDGET = 10.0, 4.0  # seconds of timed calls per workload, after which no further round starts


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the machine and one table per workload."""
    options = _options(arguments)
    if options.list:
        print("\n".join(workloads.NAMES))
        return 0
    if options.plot:
        plot.require(options.plot)  # before minutes are spent on measuring
    about = machine.about()
    print("\n".join(f"{what:<12} {value}" for what, value in about.items()))
    results = _growth(options) if options.growth else _tables(options)
    if options.json:
        options.json.write_text(json.dumps({"machine": about, **results}, indent=1) + "\n")
    return 0


# ------------------------------------------------------------------------------------- the tables


def _tables(options: argparse.Namespace) -> dict[str, Any]:
    """Print every workload's table; everything in them, for JSON."""
    print(f"\n{report.LEGEND}")
    other = peer.find()
    bandwidths = {threads: machine.bandwidth(threads) for threads in options.threads}
    results: list[dict[str, Any]] = []
    for name in options.workload or [n for n in workloads.NAMES if not (options.quick and n in workloads.SLOW)]:
        _progress(f"{name}: making it")
        try:
            work = workloads.workload(name)
        except workloads.MissingError as reason:
            _progress("")
            print(f"\n{name}: skipped, {reason}", flush=True)
            results.append({"workload": name, "skipped": str(reason)})
            continue
        result = measure(work, other, options, bandwidths)
        _progress("")
        print(f"\n{report.text(result)}", flush=True)
        results.append(report.as_json(result))
    return {"copy_bytes_per_second": bandwidths, "results": results}


def measure(
    work: workloads.Workload, other: peer.Peer | None, options: argparse.Namespace, bandwidths: Mapping[int, float]
) -> report.Result:
    """Time one workload, then look at its stages and its memory, which would disturb the times."""
    rows = contest.measure(
        work,
        other,
        threads=options.threads,
        rounds=QUICK_ROUNDS if options.quick else ROUNDS,
        at_least=QUICK_AT_LEAST if options.quick else AT_LEAST,
        budget=QUICK_BUDGET if options.quick else BUDGET,
        progress=lambda what: _progress(f"{work.name}: {what}"),
    )
    _progress(f"{work.name}: stages")
    seconds = {tolerance: stages.measure(work, tolerance) for tolerance in work.tolerances}
    _progress(f"{work.name}: memory")
    alone = [row.who for row in rows if row.who and row.times and row.who.threads == 1]
    return report.Result(work, rows, floor.of(work), bandwidths, memory.peaks(work, alone), seconds)


# ----------------------------------------------------------------------------------------- growth


def _growth(options: argparse.Namespace) -> dict[str, Any]:
    """Print the tables of the sweeps and draw them; everything in them, for JSON."""
    other = peer.find()
    threads = sorted({1, max(options.threads)})
    sweeps = []
    for sweep in growth.SWEEPS:
        points = growth.measure(sweep, other, threads=threads, quick=options.quick, progress=_progress)
        _progress("")
        print(f"\n{growth.text(sweep, points, threads)}", flush=True)
        sweeps.append((sweep, points))
    if options.plot:
        print(f"\n{plot.draw(sweeps, options.plot)}")
    return {"growth": [growth.as_json(sweep, points) for sweep, points in sweeps]}


def _progress(what: str) -> None:
    """Tell on stderr what runs now, in one line that is written over where there is a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{what}")
    elif what:
        sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and not the slow workloads")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number to FILE as well")
    parser.add_argument(
        "--workload", action="append", choices=workloads.NAMES, metavar="NAME", help="one of --list; may be repeated"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the workloads")
    parser.add_argument(
        "--growth",
        action="store_true",
        help="instead, the cost against pixels, labels and lattice vertices (five minutes, 6 GB of memory)",
    )
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="with --growth: draw it to FOLDER/growth.png")
    parser.add_argument(
        "--threads",
        type=int,
        nargs="+",
        default=sorted({1, min(2, machine.cores()), machine.cores()}),
        help="numbers of threads of this library (default: 1, 2 and all)",
    )
    options = parser.parse_args(arguments)
    options.threads = sorted(set(options.threads))
    if options.plot and not options.growth:
        parser.error("--plot draws what --growth measures: add --growth")
    if options.growth and options.workload:
        parser.error("--growth has workloads of its own: drop --workload")
    if min(options.threads) < 1:
        parser.error("--threads are counted from 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
