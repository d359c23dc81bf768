"""What a run says of itself: a CSV file with a line for every iteration, stderr, and TensorBoard if it is asked for."""

from __future__ import annotations

import csv
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

COLUMNS = ("iteration", "loss", "lr", "seconds")


class Log:
    """The log of a run in a folder.

    Args:
        folder: gets log.csv, and TensorBoard's files.
        iterations: of the whole run.
        start: iterations that were done before; what the file says of later ones, which are lost, is dropped.
        tensorboard: whether to write for TensorBoard.
    """

    def __init__(self, folder: Path, iterations: int, start: int, tensorboard: bool) -> None:
        self.board = _board(folder, start) if tensorboard else None
        path = folder / "log.csv"
        lines = path.read_text().splitlines()[1 : start + 1] if start else []
        path.write_text("".join(f"{line}\n" for line in (",".join(COLUMNS), *lines)))
        self.file = path.open("a", newline="", buffering=1)
        self.iterations = iterations
        self.durations: deque[float] = deque(maxlen=100)
        self.last = self.told = time.monotonic()

    def add(self, iteration: int, loss: float, lr: float) -> None:
        """Logs an iteration, counted from 1, which ends now."""
        now = time.monotonic()
        self.durations.append(now - self.last)
        self.last = now
        csv.writer(self.file, lineterminator="\n").writerow((iteration, loss, lr, f"{self.durations[-1]:.3f}"))
        if self.board is not None:
            self.board.add_scalar("loss", loss, iteration)
            self.board.add_scalar("lr", lr, iteration)
        # A terminal has one line that changes; a file, of a batch queue for example, would fill with them.
        terminal = sys.stderr.isatty()
        if iteration == self.iterations or now - self.told >= (1 if terminal else 60):
            self.told = now
            end = "\r" if terminal and iteration < self.iterations else "\n"
            print(self.progress(iteration, loss, lr), end=end, file=sys.stderr, flush=True)

    def progress(self, iteration: int, loss: float, lr: float) -> str:
        """Says how far the run is and when it will be over, at the pace of the last hundred iterations."""
        pace = sum(self.durations) / len(self.durations)
        minutes, seconds = divmod(round(pace * (self.iterations - iteration)), 60)
        return (
            f"iteration {iteration} of {self.iterations}, loss {loss:.4g}, learning rate {lr:.3g}, "
            f"{pace:.2f} s each, {minutes // 60}:{minutes % 60:02}:{seconds:02} left "
        )

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()
        if self.board is not None:
            self.board.close()


def _board(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError("run.tensorboard needs TensorBoard: pip install tensorboard") from error
    return SummaryWriter(folder, purge_step=start + 1)
