"""Whole data sets: the rate of one worker and of two, memory over time, and a run that is killed twice.

Makes pictures of 240 x 320 with 21 labels and a network's probabilities in half precision, refines them with
`densecrf.batch`, and prints tables in Markdown. One worker is one thread on one core: with more it would read, write
and refine on several, and two workers could not be twice as fast. Linux only.

    python benchmarks/batch_speed.py                  # 1,000 pictures: some minutes on two cores
    python benchmarks/batch_speed.py --pictures 40    # to see that it works
    python benchmarks/batch_speed.py --engine ray     # the same through Ray, with an actor killed on the way
    python benchmarks/batch_speed.py --reports 100000 # how long errors.jsonl and results.csv of so many pictures take
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # this file is run as a script

from benchmarks import machine, workloads
from densecrf import batch
from densecrf.batch import jobs, records, reports

ROOT = Path(__file__).resolve().parents[1]
H, W = 240, 320
SAMPLE_EVERY = 0.5  # seconds between looks at the memory
BROKEN = "00007"  # the picture whose probabilities are cut off in the drill
ACTOR = b"_Actor"  # in the name of an actor's process


@dataclass(frozen=True)
class Run:
    """One run of the whole set.

    Attributes:
        workers: how many.
        rate: pictures a second, starting the workers not included: from the first picture done to the last.
        whole: the same, with starting.
        memory: MiB of all processes together, look by look.
    """

    workers: int
    rate: float
    whole: float
    memory: tuple[float, ...]

    @property
    def tenths(self) -> list[float]:
        """The most memory in each tenth of the time."""
        parts = (part for part in np.array_split(np.array(self.memory), 10) if len(part))
        return [float(part.max()) for part in parts]


def main(argv: Sequence[str]) -> int:
    """Measure what the arguments say; gives the exit status."""
    if argv[:1] == ["--one-run"]:
        return _one_run(argv[1:])
    options = _parser().parse_args(argv)
    if options.reports:
        print(f"reports of {options.reports} pictures: {_reports_seconds(options.reports):.2f} s")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        _make(folder, options.pictures)
        _print_head(folder, options.pictures)
        if not options.drill_only:
            _print_rates(_rates(folder, options))
        print(_drill(folder, options.engine))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1000, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="of one worker and of two (default: %(default)s)")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--drill-only", action="store_true", help="only kill runs; do not measure")
    parser.add_argument("--reports", type=int, metavar="N", help="only time the reports of N pictures")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where to make the pictures, to keep them")
    return parser


# ---- the pictures -----------------------------------------------------------------------------------------------


def _make(folder: Path, count: int) -> None:
    """Windows of the sample photographs and of the network's answers for them, each shifted by another amount."""
    from PIL import Image

    images, probs = folder / "images", folder / "probs"
    for place in (images, probs):
        place.mkdir(parents=True, exist_ok=True)
    sources = [workloads.sample(name) for name in workloads.SAMPLES]
    windows = itertools.cycle(_windows(sources))
    for index, (image, scores) in zip(range(count), windows, strict=False):
        name = f"{index:05}"
        if not (probs / f"{name}.npy").exists():
            Image.fromarray(image).save(images / f"{name}.jpg", quality=95)
            np.save(probs / f"{name}.npy", scores.astype(np.float16))


def _windows(
    sources: Sequence[tuple[workloads.Image, workloads.Probs]],
) -> Iterator[tuple[workloads.Image, workloads.Probs]]:
    steps = range(8)
    for row, column, (image, probs) in itertools.product(steps, steps, sources):
        top = (image.shape[0] - H) * row // steps[-1]
        left = (image.shape[1] - W) * column // steps[-1]
        window = (slice(top, top + H), slice(left, left + W))
        yield image[window], probs[(slice(None), *window)]


def _print_head(folder: Path, count: int) -> None:
    for name, value in machine.about().items():
        print(f"{name}: {value}")
    read = sum(path.stat().st_size for place in ("images", "probs") for path in (folder / place).iterdir())
    print(f"{count} pictures of {H} x {W}, 21 labels; {read / count / 2**20:.2f} MiB read for each\n")


# ---- rates and memory -------------------------------------------------------------------------------------------


def _rates(folder: Path, options: argparse.Namespace) -> list[Run]:
    """One worker and two in turns, so that a while in which the machine is slow hits both."""
    runs = []
    for turn, workers in itertools.product(range(options.rounds), (1, 2)):
        print(f"round {turn + 1}/{options.rounds}, {workers} worker{'s' * (workers > 1)} ...", file=sys.stderr)
        shutil.rmtree(folder / "out", ignore_errors=True)
        runs.append(_measured(folder, options.engine, workers))
    return runs


def _measured(folder: Path, engine: str, workers: int) -> Run:
    process = _start(folder, engine, workers, cores=workers)
    memory = []
    while process.poll() is None:
        memory.append(sum(map(_resident, _family(process.pid))))
        time.sleep(SAMPLE_EVERY)
    assert process.stdout is not None
    told = json.loads(process.stdout.read().splitlines()[-1])
    return Run(workers, told["rate"], told["whole"], tuple(memory))


def _start(folder: Path, engine: str, workers: int, cores: int | None = None) -> subprocess.Popen[str]:
    """A run in a process of its own, on so many cores."""
    command = [
        sys.executable,
        str(Path(__file__).resolve()),
        "--one-run",
        str(folder),
        engine,
        str(workers),
        str(cores or 0),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)


def _one_run(argv: Sequence[str]) -> int:
    folder, engine, workers, cores = Path(argv[0]), argv[1], int(argv[2]), int(argv[3])
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    times: list[float] = []
    done = batch.run(_options(folder, engine, workers), lambda progress: times.append(time.perf_counter()))
    first = 1 + len(times) // 20  # the first picture of each worker also warms it up
    rate = (len(times) - 1 - first) / (times[-1] - times[first]) if len(times) > first + 1 else 0.0
    print(json.dumps({"rate": rate, "whole": done.progress.rate}))
    return done.exit_status


def _options(folder: Path, engine: str, workers: int) -> batch.Options:
    assert engine in ("local", "ray")
    how = batch.Engine(workers=workers, threads=1)
    if engine == "ray":
        how = replace(how, name="ray")
    return batch.Options(
        folder / "images", folder / "probs", folder / "out", engine=how, shard=batch.Shard(), thumbnails=6
    )


def _family(parent: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(after_name[1]), []).append(int(path.parent.name))
    found = [parent]
    for process in found:
        found += parents.get(process, [])
    return found


def _resident(process: int) -> float:
    """Its memory in MiB: its own, and its share of what it shares with others."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s*(\d+)", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def _print_rates(runs: Sequence[Run]) -> None:
    print("| workers | pictures/s | with starting | MiB of all processes, most in each tenth of the time |")
    print("|---|---|---|---|")
    for run in runs:
        memory = ", ".join(f"{most:.0f}" for most in run.tenths)
        print(f"| {run.workers} | {run.rate:.2f} | {run.whole:.2f} | {memory} |")
    ones, twos = ([run.rate for run in runs if run.workers == workers] for workers in (1, 2))
    ratios = [two / one for one, two in zip(ones, twos, strict=True) if one]
    if ratios:
        print(f"\nTwo workers over one: {statistics.median(ratios):.2f}x (of {len(ratios)} rounds)\n")


def _reports_seconds(count: int) -> float:
    """Time errors.jsonl and results.csv of so many pictures, all of which are done."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch).resolve()
        journals = reports.prepare(out, batch.Recipe())
        todo = [jobs.Job(f"{index:07}", f"{index:07}.jpg", "", str(out / f"{index:07}.png")) for index in range(count)]
        journal = records.journal_of(journals, "local")
        for job in todo:
            Path(job.output).touch()
            record = records.Record(job.name, size=(H, W), changed=0.0123456, labels=(0, 8, 15))
            for _ in range(2):  # before an output is renamed, and after
                journal.append(record)
        begin = time.perf_counter()
        reports.Reporter(todo, journals).write()
        return time.perf_counter() - begin


# ---- the drill --------------------------------------------------------------------------------------------------


def _drill(folder: Path, engine: str) -> str:
    """Break a file, kill runs, finish, and compare with the outputs of a run that nobody disturbed."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    _start(folder, engine, 2).communicate()
    expected = _outputs(folder)
    expected.pop(f"{BROKEN}.png")
    probs = folder / "probs" / f"{BROKEN}.npy"
    whole = probs.read_bytes()
    probs.write_bytes(whole[:1000])
    shutil.rmtree(folder / "out")
    try:
        kills = _kills(folder, engine, len(expected))
        last = _start(folder, engine, 2)
        last.communicate()
    finally:
        probs.write_bytes(whole)
    errors = [json.loads(line)["reason"] for line in (folder / "out" / "errors.jsonl").read_text().splitlines()]
    same = _outputs(folder) == expected
    left = len(list((folder / "out").glob(".*.part")))
    return (
        f"Killed {kills}. Finished: exit status {last.returncode}, {len(expected)} outputs "
        f"{'byte-identical to' if same else 'DIFFERENT from'} those of an undisturbed run, {left} half-written files "
        f"left, errors.jsonl: {errors}"
    )


def _kills(folder: Path, engine: str, total: int) -> str:
    """With Ray, one actor on the way and the run goes on; otherwise the run and its workers, twice."""
    places = []
    for part in (1 / 4, 1 / 2):
        process = _start(folder, engine, 2)
        while len(_outputs(folder, names_only=True)) < part * total and process.poll() is None:
            time.sleep(0.05)
        places.append(f"at {len(_outputs(folder, names_only=True))}")
        if engine == "ray":
            victim = next(each for each in _family(process.pid) if ACTOR in _command(each))
            os.kill(victim, signal.SIGKILL)
            process.communicate()
            return f"an actor {places[0]} pictures"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return f"with all its workers {' and '.join(places)} pictures"


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def _outputs(folder: Path, names_only: bool = False) -> dict[str, bytes]:
    paths = (folder / "out").glob("[0-9]*.png")
    return {path.name: b"" if names_only else path.read_bytes() for path in paths}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
