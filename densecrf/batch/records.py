"""What is known of every picture: records, and the journals that keep them through any kill.

A worker appends a record to a journal just before it renames an output into place, so that no output is without its
record; an output that then never came is seen to be missing. Processes on one machine may append to the same journal,
because a line is written by one call; machines have journals of their own.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from densecrf.batch.shards import Shard

MOST = 2**53  # of any number in a record


@dataclass(frozen=True)
class Seconds:
    """What a picture took, in seconds: waiting for disks included, waiting for other pictures not."""

    read: float = 0.0
    refine: float = 0.0
    write: float = 0.0


@dataclass(frozen=True)
class Record:
    """What became of a picture.

    Attributes:
        name: its stem.
        error: why there is no output, in a sentence; None where there is one.
        file: which file the error is about.
        size: (H, W).
        changed: the share of pixels whose label refinement changed, 0 to 1.
        labels: those that occur in the result, in order.
        seconds: of work.
        when: seconds since 1970.
    """

    name: str
    error: str | None = None
    file: str | None = None
    size: tuple[int, int] | None = None
    changed: float = 0.0
    labels: tuple[int, ...] = ()
    seconds: Seconds = Seconds()
    when: float = field(default_factory=time.time)


def to_text(record: Record) -> str:
    """A record as a line of JSON."""
    return json.dumps(asdict(record))


def from_text(text: str) -> Record:
    """A record from what `to_text` made of it.

    Raises:
        ValueError: it is not whole, or of something else.
    """
    try:
        values = json.loads(text)
        size, seconds, labels = values.pop("size"), Seconds(**values.pop("seconds")), tuple(values.pop("labels"))
        record = Record(**values, size=(size[0], size[1]) if size else None, seconds=seconds, labels=labels)
    except (TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a record: {error}") from error
    _require_sound(record)
    return record


def _require_sound(record: Record) -> None:
    """Raises a ValueError where a report could not be made of what a file has for a record."""
    texts = (record.name, record.error or "", record.file or "")
    whole = (*record.labels, *(record.size or ()))
    numbers = (*whole, record.changed, record.when, *vars(record.seconds).values())
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a record whose texts are none")
    "".join(texts).encode(errors="surrogateescape")  # as they are written; the error is a ValueError
    if not all(isinstance(number, int) for number in whole):
        raise ValueError("a record whose sizes or labels are none")
    if not all(isinstance(number, int | float) and 0 <= number < MOST for number in numbers) or record.changed > 1:
        raise ValueError("a record whose numbers are out of bounds")


def no_link(path: str | Path, flags: int) -> int:
    """Opens a file of our own, as `open` asks its opener to.

    A folder of outputs may come from elsewhere, in an archive for one: a link in it must not lead to another file.

    Raises:
        OSError: it is a link, or cannot be opened.
    """
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


class Journal:
    """A file of records, one JSON object a line, that is only ever appended to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: Record) -> None:
        """Add a record, in one write. What is written outlives the process, though not a failure of the machine.

        Raises:
            OSError: it cannot be written.
        """
        # The line starts on its own even where a failure of the machine has cut the one before.
        line = f"\n{to_text(record)}\n".encode()
        file = no_link(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line)
        finally:
            os.close(file)


def journal_of(folder: Path, run: str) -> Journal:
    """The journal in that folder of this machine's part of a run."""
    return Journal(folder / f"{run}-{socket.gethostname()}.jsonl")


def run_name(shard: Shard, engine: str) -> str:
    """What the journals of a run are called."""
    return engine if shard.count == 1 else f"{engine}-{shard.index}-of-{shard.count}"


def latest(folder: Path, names: Collection[str]) -> dict[str, Record]:
    """The last record of each of these pictures, from all journals of a folder."""
    found: dict[str, Record] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for record in _read(path):
            known = found.get(record.name)
            if record.name in names and (known is None or known.when <= record.when):
                found[record.name] = record
    return found


def _read(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        yield from _records(lines)


def _records(lines: Iterable[str]) -> Iterator[Record]:
    """Records of those lines that are whole: what a failure of the machine has cut is not."""
    for line in lines:
        try:
            yield from_text(line)
        except ValueError:
            continue
