"""A run from beginning to end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from densecrf import _device, _sigterm
from densecrf._build import default_threads
from densecrf._files.results import SUFFIXES
from densecrf.batch import jobs, local, reports, shards, summary
from densecrf.batch.jobs import Job
from densecrf.batch.options import Engine, Options
from densecrf.batch.progress import Callback, Progress
from densecrf.batch.records import Record, run_name
from densecrf.batch.shards import Shard
from densecrf.batch.work import Task

INTERRUPTED = 130  # as the shell has it for Ctrl+C


@dataclass(frozen=True)
class Summary:
    """How a run has ended.

    Attributes:
        progress: the counts, of this shard.
        interrupted: it was stopped by Ctrl+C or SIGTERM; the same call does the rest.
        out: the folder with the outputs, errors.jsonl, results.csv and, unless interrupted, summary.html.
    """

    progress: Progress
    interrupted: bool
    out: Path

    @property
    def exit_status(self) -> int:
        """0: everything is done; 1: errors.jsonl says what is not; 130: interrupted."""
        if self.interrupted:
            return INTERRUPTED
        return 1 if self.progress.failed else 0


def run(options: Options, progress: Callback = lambda progress: None) -> Summary:
    """Refine what has no output yet of a data set, or of a shard of it.

    Args:
        options: what to do.
        progress: called with the `Progress` at the beginning and after each picture.

    Raises:
        ValueError: the options contradict each other, the files or the environment; nothing was done.
        FileNotFoundError: a folder is missing, or there are no pictures in it; nothing was done.
        OSError: the reports cannot be written.
        RuntimeError: no worker can be started.
        ModuleNotFoundError: the engine is not installed.
    """
    shard = _shard(options)
    everything = _everything(options)
    task = _task(options, shard)
    mine = shard.of(everything)
    todo = jobs.missing(mine)
    jobs.sweep(todo)
    start = time.time()
    at_end = Progress(len(mine), len(mine) - len(todo))
    reporter = reports.Reporter(everything, task.journals)
    try:
        with (
            _sigterm.raised(KeyboardInterrupt),
            contextlib.closing(_counted(at_end, todo, task, options.engine)) as counts,
        ):
            for at_end in counts:
                progress(at_end)
                reporter.look(at_end)
    except KeyboardInterrupt:
        reporter.write()
        return Summary(at_end, True, task.journals.parent)
    about = summary.About(options.recipe, shard, at_end, start)
    reporter.finish(
        lambda found: summary.write(task.journals.parent / "summary.html", found, about, options.thumbnails)
    )
    return Summary(at_end, False, task.journals.parent)


def _shard(options: Options) -> Shard:
    if options.shard is not None:
        return options.shard
    return Shard() if options.engine.name == "ray" else shards.from_environment()


def _everything(options: Options) -> Sequence[Job]:
    suffix = SUFFIXES[options.recipe.kind][0]
    return jobs.find(options.images, options.probs, options.out.resolve(), suffix)[: options.limit]


def _task(options: Options, shard: Shard) -> Task:
    """What the workers need to know. The folder for outputs is made here, when nothing else can be refused."""
    engine = options.engine
    if engine.name == "local":
        _device.require(engine.device)
    threads = engine.threads or (1 if engine.name == "ray" else max(1, default_threads() // _workers(engine)))
    journals = reports.prepare(options.out.resolve(), options.recipe)
    return Task(options.recipe, engine.device, threads, journals, run_name(shard, engine.name))


def _workers(engine: Engine) -> int:
    """Processes of this machine. One keeps a GPU busy, and others would share its memory."""
    return engine.workers or (default_threads() if engine.device == "cpu" else 1)


def _counted(before: Progress, todo: Sequence[Job], task: Task, engine: Engine) -> Generator[Progress, None, None]:
    """Do the work, and count."""
    yield before
    start, failed = time.monotonic(), 0
    for count, record in enumerate(_records(todo, task, engine), 1):
        failed += record.error is not None
        yield Progress(before.total, before.before, count - failed, failed, time.monotonic() - start)


def _records(todo: Sequence[Job], task: Task, engine: Engine) -> Iterator[Record]:
    if not todo:
        return iter(())
    if engine.name == "ray":
        from densecrf.batch import ray_engine  # Ray takes seconds to import

        return ray_engine.records(todo, task, engine)
    return local.records(todo, task, _workers(engine))
