"""What is written beside the outputs: errors.jsonl, results.csv, and which recipe the outputs are of.

Reports are about the whole data set, whatever share of it a run has done: they are made of all journals, and renamed
into place. The last shard to finish makes them complete.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from densecrf._files import write_whole
from densecrf.batch import jobs as all_jobs
from densecrf.batch import records
from densecrf.batch.jobs import Job
from densecrf.batch.options import Recipe
from densecrf.batch.progress import Progress
from densecrf.batch.records import Record

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

STATE = ".densecrf"  # the folder of journals, within that of the outputs
COLUMNS = ("name", "picture", "output", "height", "width", "changed", "labels", "read_s", "refine_s", "write_s")


@dataclass(frozen=True)
class State:
    """What is known of a data set.

    Attributes:
        jobs: all of it, sorted.
        results: pairs of a picture that has an output, and its record.
        errors: pairs of a picture that has none, and the record that says why.
    """

    jobs: Sequence[Job]
    results: Sequence[tuple[Job, Record]]
    errors: Sequence[tuple[Job, Record]]

    @property
    def waiting(self) -> int:
        """Pictures that nobody has come to yet."""
        return len(self.jobs) - len(self.results) - len(self.errors)


def prepare(out: Path, recipe: Recipe) -> Path:
    """Make the folder for outputs, and give that of its journals.

    Raises:
        ValueError: it has outputs of another recipe.
    """
    journals = out / STATE
    journals.mkdir(parents=True, exist_ok=True)
    noted = journals / "recipe.txt"
    if not noted.exists():
        replace(noted, repr(recipe))
    elif noted.read_text(encoding="utf-8") != repr(recipe):
        raise ValueError(
            f"{out} has outputs of other parameters or of another kind; choose another folder, or remove that one. "
            f"There: {noted.read_text(encoding='utf-8')}. Now: {recipe!r}"
        )
    return journals


def state(jobs: Sequence[Job], journals: Path) -> State:
    """Look at outputs and journals. An error is over as soon as there is an output."""
    found = records.latest(journals, {job.name for job in jobs})
    missing = {job.name for job in all_jobs.missing(jobs)}
    results = [(job, found.get(job.name) or Record(job.name)) for job in jobs if job.name not in missing]
    lost = [(job, found[job.name]) for job in jobs if job.name in missing and job.name in found]
    return State(jobs, results, [(job, record) for job, record in lost if record.error])


@contextlib.contextmanager
def turn(journals: Path, patient: bool) -> Iterator[bool]:
    """Whether to make reports now: one process at a time, each from journals that it reads while it has its turn.

    Otherwise a shard that read the journals early could write its reports late. Of many shards that finish at once, one
    writes and one waits; whoever comes then need not, because the one that waits has yet to read the journals.

    Args:
        journals: their folder. Where its file system or the machine has no locks it is always everybody's turn, and a
            last run with nothing left to do mends the reports.
        patient: wait for it, if need be.
    """
    with _lock(journals / "waiting.lock") as waiting, _lock(journals / "writing.lock") as writing:
        if patient:
            if not _locked(waiting):
                yield False
                return
            _locked(writing, wait=True)
            waiting.close()  # unlocks it
            yield True
        else:
            yield _locked(writing)


def _lock(path: Path) -> TextIO:
    return open(path, "w", opener=records.no_link)


def _locked(file: TextIO, wait: bool = False) -> bool:
    """Lock a file until it is closed; False if somebody else has it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # no locks there
        return True
    return True


class Reporter:
    """Writes the reports of a data set: while a run goes on, soon after something failed; and when it ends."""

    def __init__(self, jobs: Sequence[Job], journals: Path) -> None:
        self.jobs = jobs
        self.journals = journals
        self.failed = 0
        self.not_before = 0.0

    def look(self, progress: Progress) -> None:
        """Write errors.jsonl and results.csv, if something failed since, but for a twentieth of the time at most."""
        start = time.monotonic()
        if progress.failed == self.failed or start < self.not_before:
            return
        self.failed = progress.failed
        with contextlib.suppress(OSError):  # a full disk stops no run; the end of it will say so
            self.write()
        now = time.monotonic()
        self.not_before = now + 20 * (now - start)

    def write(self) -> None:
        """Write errors.jsonl and results.csv, unless somebody else is at it."""
        with turn(self.journals, patient=False) as mine:
            if mine:
                _write(self.journals.parent, state(self.jobs, self.journals))

    def finish(self, more: Callable[[State], None]) -> None:
        """Write errors.jsonl, results.csv and more, unless another process will do so later."""
        with turn(self.journals, patient=True) as mine:
            if mine:
                found = state(self.jobs, self.journals)
                _write(self.journals.parent, found)
                more(found)


def _write(out: Path, found: State) -> None:
    """Write errors.jsonl and results.csv."""
    replace(out / "errors.jsonl", "".join(_error(job, record) for job, record in found.errors))
    replace(out / "results.csv", _table(found.results))


def replace(path: Path, text: str) -> None:
    """Write a file as a whole or not at all."""

    def write(stream: BinaryIO) -> None:
        stream.write(text.encode(errors="surrogateescape"))  # names need not be UTF-8

    write_whole(path, write)


def _error(job: Job, record: Record) -> str:
    return json.dumps({"picture": job.picture, "file": record.file, "reason": record.error}) + "\n"


def _table(results: Sequence[tuple[Job, Record]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(_row(job, record) for job, record in results)
    return text.getvalue()


def _row(job: Job, record: Record) -> tuple[str | int, ...]:
    """A line of the table; without figures for an output that was not made here."""
    if record.size is None:
        return (job.name, job.picture, job.output, *[""] * (len(COLUMNS) - 3))
    seconds = (f"{value:.4f}" for value in (record.seconds.read, record.seconds.refine, record.seconds.write))
    labels = " ".join(map(str, record.labels))
    return (job.name, job.picture, job.output, *record.size, f"{record.changed:.6f}", labels, *seconds)
