"""Which pictures there are, where their probabilities lie, and which of them have an output."""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from densecrf._files import arrays, scores
from densecrf._files.pictures import IMAGES

PROBABILITIES = (*arrays.ARRAYS, *arrays.TENSORS, *scores.PICTURES)
UNFINISHED = re.compile(r"\.(?P<output>.+)\.\d+\.part")  # what `densecrf._files.write_whole` renames


class Job(NamedTuple):
    """One picture to refine; a tuple of texts, because jobs travel between processes and machines.

    Attributes:
        name: the stem that picture, probabilities and output share.
        picture: path.
        probs: path; empty where there are none.
        output: path.
    """

    name: str
    picture: str
    probs: str
    output: str


def find(images: Path | str, probs: Path, out: Path, suffix: str) -> list[Job]:
    """Pair pictures with probabilities by stem, sorted by stem.

    Args:
        images: a folder, or a pattern such as ``pictures/**/*.jpg``.
        probs: a folder.
        out: the folder of the outputs.
        suffix: of an output, ``.png`` for one.

    Raises:
        FileNotFoundError: there is no such folder, or no picture in it.
        ValueError: two pictures, or two files of probabilities for one picture, share a stem; or an output would
            overwrite an input.
    """
    pictures = _by_stem(_pictures(images), "pictures", "the output's name")
    if not probs.is_dir():
        raise FileNotFoundError(f"there is no folder {probs} with probabilities")
    wanted = (path for path in _files(probs) if path.suffix.lower() in PROBABILITIES and path.stem in pictures)
    found = _by_stem(wanted, "files of probabilities", "one of them to use")
    jobs = [
        Job(stem, str(picture), str(found.get(stem, "")), str(out / f"{stem}{suffix}"))
        for stem, picture in sorted(pictures.items())
    ]
    _refuse_to_overwrite(jobs)
    return jobs


def missing(jobs: Sequence[Job]) -> list[Job]:
    """Those without an output. An output that exists is whole, because it was renamed into place; a folder is none."""
    folders = {os.path.dirname(job.output) for job in jobs}
    entries = (entry for folder in folders if os.path.isdir(folder) for entry in os.scandir(folder))
    there = {entry.path for entry in entries if entry.is_file()}
    return [job for job in jobs if job.output not in there]  # one listing, not a question for every picture


def sweep(jobs: Sequence[Job]) -> None:
    """Remove what a killed run has left of these outputs half written; nobody else writes them."""
    names = {os.path.basename(job.output) for job in jobs}
    for folder in {os.path.dirname(job.output) for job in jobs}:
        for entry in os.scandir(folder):
            found = UNFINISHED.fullmatch(entry.name)
            if found and found["output"] in names:
                Path(entry.path).unlink(missing_ok=True)


def _pictures(images: Path | str) -> Iterable[Path]:
    if Path(images).is_dir():
        found = [path for path in _files(Path(images)) if path.suffix.lower() in IMAGES]
    else:
        found = [Path(path).resolve() for path in glob.glob(str(images), recursive=True) if os.path.isfile(path)]
    if not found:
        raise FileNotFoundError(f"no pictures ({', '.join(IMAGES)}) in {images}")
    return found


def _files(folder: Path) -> Iterable[Path]:
    """The files of a folder, by absolute path: other processes and machines may start elsewhere."""
    root = folder.resolve()
    return (root / entry.name for entry in os.scandir(root) if not entry.name.startswith(".") and not entry.is_dir())


def _by_stem(paths: Iterable[Path], what: str, unclear: str) -> dict[str, Path]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[path.stem].append(path)
    shared = [group for group in groups.values() if len(group) > 1]
    if shared:
        first, second, *_ = sorted(shared[0])
        raise ValueError(
            f"{len(shared)} names are shared by several {what}, such as {first} and {second}, which leaves {unclear} "
            f"unclear; rename one, or give a pattern that leaves it out"
        )
    return {stem: group[0] for stem, group in groups.items()}


def _refuse_to_overwrite(jobs: Iterable[Job]) -> None:
    for job in jobs:
        if job.output in (job.picture, job.probs):
            raise ValueError(
                f"{job.output} would be overwritten with its own result; choose another folder for outputs"
            )
