"""One picture: read, refine, write. Nothing here stops a run: what goes wrong becomes a record."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from densecrf import _files
from densecrf._refiner import Refiner
from densecrf._text import printable
from densecrf.batch.jobs import Job
from densecrf.batch.options import Recipe
from densecrf.batch.records import Journal, Record, Seconds, journal_of

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.floating[Any]]

MOST_SAID = 500  # letters of an error


@dataclass(frozen=True)
class Task:
    """What every worker of a run needs to know; picklable.

    Attributes:
        recipe: what is done with every picture.
        device: "cpu", "cuda" or "cuda:1".
        threads: per picture, on a CPU.
        journals: the folder of the journals.
        run: what the journals of this run are called.
    """

    recipe: Recipe
    device: str
    threads: int
    journals: Path
    run: str


@dataclass(frozen=True)
class Loaded:
    """A picture ``[H, W, 3]`` and its scores ``[L, H, W]``, and the seconds it took to read them."""

    job: Job
    image: Bytes
    probs: Floats
    seconds: Seconds


@dataclass(frozen=True)
class Refined:
    """A picture's labels ``[H, W]``, its marginals ``[L, H, W]`` where they are needed, and its record so far."""

    job: Job
    image: Bytes
    labels: NDArray[Any]
    marginals: Floats | None
    record: Record


class Work:
    """The three steps, for one worker. A step passes on the records of pictures that are over already."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.journal: Journal = journal_of(task.journals, task.run)
        self.refiner = Refiner(
            task.recipe.parameters,
            marginals=None if task.recipe.kind == "labels" else "marginals",
            from_logits=task.recipe.reading.logits,
            num_threads=task.threads,
            device=task.device,
        )

    def read(self, job: Job) -> Loaded | Record:
        """Read what there is to read; nothing if the output is there, as after a worker died just behind it."""
        if os.path.isfile(job.output):
            return Record(job.name)
        if not job.probs:
            return Record(job.name, f"there are no probabilities of the name {job.name}", job.picture)
        start = time.perf_counter()
        try:
            image = _files.read_image(job.picture)
            probs = _files.read_probs(job.probs, image.shape, **vars(self.task.recipe.reading))
        except Exception as error:
            return failed(job, job.picture, error)
        return Loaded(job, image, probs, Seconds(read=time.perf_counter() - start))

    def refine(self, loaded: Loaded | Record) -> Refined | Record:
        """Run the CRF."""
        if isinstance(loaded, Record):
            return loaded
        start = time.perf_counter()
        try:
            batch = self.refiner({"image": loaded.image[None], "probs": loaded.probs[None]})
            seconds = dataclasses.replace(loaded.seconds, refine=time.perf_counter() - start)
            record = _measured(loaded, batch["labels"][0], seconds)
        except Exception as error:
            return failed(loaded.job, loaded.job.picture, error.__cause__ or error)
        marginals = None if self.refiner.marginals is None else batch[self.refiner.marginals][0]
        return Refined(loaded.job, loaded.image, batch["labels"][0], marginals, record)

    def write(self, refined: Refined | Record) -> Record:
        """Write the output, its record into the journal first."""
        if isinstance(refined, Record):
            return self._note(refined) if refined.error else refined
        try:
            return self._written(refined)
        except Exception as error:
            return self._note(failed(refined.job, refined.job.output, error))

    def _written(self, refined: Refined) -> Record:
        self.journal.append(refined.record)  # first, so that no output is without its record
        start = time.perf_counter()
        if refined.marginals is None:
            _files.write_labels(refined.job.output, refined.labels)
        else:
            _files.write_result(refined.job.output, refined.image, refined.marginals, self.task.recipe.kind)
        seconds = dataclasses.replace(refined.record.seconds, write=time.perf_counter() - start)
        record = dataclasses.replace(refined.record, seconds=seconds)
        self.journal.append(record)
        return record

    def _note(self, record: Record) -> Record:
        """Put an error into the journal; on a full disk it is only told to who runs the work."""
        with contextlib.suppress(OSError):
            self.journal.append(record)
        return record


def failed(job: Job, file: str, error: BaseException) -> Record:
    """The record of a picture without output: what happened, in a sentence, to which file."""
    if isinstance(error, _files.FileError):
        return Record(job.name, error.reason[:MOST_SAID], str(error.path))
    said = printable(" ".join(str(error).split()))[:MOST_SAID]
    if isinstance(error, MemoryError):
        said = f"there is not enough memory: {said or 'none is left'}"
    elif not isinstance(error, OSError | ValueError) or not said:  # these speak for themselves
        said = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return Record(job.name, said, file)


def _measured(loaded: Loaded, after: NDArray[Any], seconds: Seconds) -> Record:
    """A picture's record: how much refinement to labels ``[H, W]`` changed, and which of them are left."""
    before = loaded.probs.argmax(axis=0)
    return Record(
        loaded.job.name,
        size=(after.shape[0], after.shape[1]),
        changed=np.count_nonzero(before != after) / after.size,
        labels=tuple(np.bincount(after.ravel()).nonzero()[0].tolist()),
        seconds=seconds,
    )
