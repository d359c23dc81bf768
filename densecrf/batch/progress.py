"""How far a run is: a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO, TypeAlias

LINE_EVERY = 60.0  # seconds


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        total: pictures of this run, those that were done before included.
        before: pictures that had an output when it began.
        done: pictures that this run has written.
        failed: pictures that it could not.
        seconds: since it began.
    """

    total: int
    before: int
    done: int = 0
    failed: int = 0
    seconds: float = 0.0

    @property
    def handled(self) -> int:
        """Pictures that need nothing more."""
        return self.before + self.done + self.failed

    @property
    def rate(self) -> float:
        """Pictures a second, failed ones included."""
        return (self.done + self.failed) / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds to go at this rate; None before there is one."""
        return (self.total - self.handled) / self.rate if self.rate > 0 else None


Callback: TypeAlias = Callable[[Progress], None]


@contextlib.contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Callback]:
    """Show the progress that the callback is given; on standard error by default. A bar needs rich."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _lines(stream)
        return
    with _bar(stream) as callback:
        yield callback


def line(progress: Progress) -> str:
    """Progress in a line of text."""
    left = "" if progress.left is None else f", {_clock(progress.left)} to go"
    return (
        f"{progress.handled} of {progress.total} pictures, {progress.rate:.2f}/s{left}, "
        f"{progress.failed} failed, {progress.before} done before"
    )


def _lines(stream: TextIO) -> Callback:
    """At most a line a minute, and one at the end."""
    shown_at = time.monotonic()

    def callback(progress: Progress) -> None:
        nonlocal shown_at
        if progress.handled < progress.total and time.monotonic() - shown_at < LINE_EVERY:
            return
        shown_at = time.monotonic()
        print(line(progress), file=stream, flush=True)

    return callback


@contextlib.contextmanager
def _bar(stream: TextIO) -> Iterator[Callback]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = ("{task.fields[rate]}", "{task.fields[left]}", "{task.fields[failed]}")
    bars = Bars(
        TextColumn("[bold]refining"), BarColumn(), MofNCompleteColumn(), *map(TextColumn, columns),
        console=Console(file=stream),
    )  # fmt: skip
    with bars:
        bar = bars.add_task("", total=None, rate="", left="", failed="")

        def callback(progress: Progress) -> None:
            bars.update(bar, total=progress.total, completed=progress.handled, **_fields(progress))

        yield callback


def _fields(progress: Progress) -> dict[str, Any]:
    return {
        "rate": f"{progress.rate:.1f}/s",
        "left": "" if progress.left is None else f"{_clock(progress.left)} left",
        "failed": f"[red]{progress.failed} failed" if progress.failed else "",
    }


def _clock(seconds: float) -> str:
    """H:MM:SS."""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}"
