"""The engine for clusters: Ray Data hands blocks of jobs to actors, which work as a process of one machine does.

Only jobs and records travel through Ray's object store; pictures, probabilities and outputs lie on a file system that
all machines share. Ray starts an actor that died again, and gives it its block once more, for as long as it takes;
pictures of the block that have an output are passed over. So that a picture that kills cannot hold up a run for ever,
an actor that was started again works on one picture at a time at first, and notes on disk which.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from densecrf.batch import pipeline
from densecrf.batch.jobs import Job
from densecrf.batch.options import Engine
from densecrf.batch.records import Record, from_text, no_link, to_text
from densecrf.batch.work import Task, Work

MOST_IN_A_BLOCK = 16  # pictures: enough to read ahead, few enough to do again
BLOCKS_EACH = 4  # at least so many for every worker, so that none waits long for the last
IN_FLIGHT = 2  # blocks that an actor has been given; those are what comes again after it died
MOST_TRIES = 2  # of one picture alone, after it was with others when an actor died


def records(jobs: Sequence[Job], task: Task, engine: Engine) -> Iterator[Record]:
    """Do the jobs on a cluster, and give their records as they come, in any order.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ConnectionError: there is no cluster at the address.
    """
    with _cluster(engine) as data:
        workers = min(engine.workers or _workers(engine, task.threads), len(jobs))
        size = max(1, min(MOST_IN_A_BLOCK, len(jobs) // (workers * BLOCKS_EACH)))
        dataset = data.from_items([job._asdict() for job in jobs], override_num_blocks=-(-len(jobs) // size))
        refined = dataset.map_batches(
            _Actor,
            fn_constructor_args=(task,),
            batch_size=None,  # a block
            batch_format="numpy",
            compute=data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=IN_FLIGHT),
            num_cpus=task.threads,
            num_gpus=1 if task.device != "cpu" else 0,
        )
        for row in refined.iter_rows():
            yield from_text(str(row["record"]))


class _Actor:
    """A worker on the cluster."""

    def __init__(self, task: Task) -> None:
        self.work = Work(task)
        self.blocks_alone = IN_FLIGHT if _ray().get_runtime_context().was_current_actor_reconstructed else 0

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Do the jobs of a block, whose columns are those of `Job`; gives their records."""
        columns = (map(str, batch[name]) for name in Job._fields)
        jobs = (Job(*values) for values in zip(*columns, strict=True))
        each = (alone(job, self.work) for job in jobs) if self.blocks_alone else pipeline.records(jobs, self.work)
        texts = [to_text(record) for record in each]
        self.blocks_alone = max(0, self.blocks_alone - 1)
        return {"record": np.array(texts)}


def alone(job: Job, work: Work) -> Record:
    """Do a job with nothing else in hand, unless whoever did that before died of it time and again."""
    tries = work.task.journals / "tries" / f"{job.name}.tries"  # a picture may be called anything, even ".."
    tries.parent.mkdir(exist_ok=True)
    if tries.exists() and tries.stat().st_size >= MOST_TRIES:
        record = Record(job.name, f"{1 + MOST_TRIES} workers died of it, one after the other", job.picture)
        work.journal.append(record)
    else:
        with open(tries, "ab", opener=no_link) as file:
            file.write(b".")
        (record,) = pipeline.records([job], work)
    tries.unlink()
    return record


def _ray() -> Any:
    """Ray, with Ray Data."""
    importlib.import_module("ray.data")
    return importlib.import_module("ray")


def _workers(engine: Engine, threads: int) -> int:
    """As many as the cluster has room for now."""
    resources = _ray().cluster_resources()
    room = resources.get("GPU", 0) if engine.device != "cpu" else resources.get("CPU", 0) / threads
    return max(1, int(room))


@contextlib.contextmanager
def _cluster(engine: Engine) -> Iterator[Any]:
    """Ray Data, connected to the cluster, as it may be already; without progress bars, which would fight with ours."""
    ray = _ray()
    ours = not ray.is_initialized()
    if ours:
        ray.init(address=engine.address, log_to_driver=False, logging_level=logging.ERROR)
    context, log = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    before = context.enable_progress_bars, log.level
    context.enable_progress_bars = False
    log.setLevel(logging.ERROR)
    try:
        yield ray.data
    finally:
        context.enable_progress_bars = before[0]
        log.setLevel(before[1])
        if ours:
            ray.shutdown()
