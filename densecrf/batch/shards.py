"""Which share of a data set this process does: ``--shard``, or what Slurm and torchrun say in the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Share ``index`` of ``count``: items index, index + count, index + 2 count, ... of a sorted list.

    Neighbours, which are often frames of one film and cost alike, go to different shards.

    Attributes:
        index: 0 to count - 1.
        count: 1 or more.

    Raises:
        ValueError: there is no such share.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 <= self.index < self.count:
            raise ValueError(f"there is no shard {self.index}/{self.count}: shards of n are 0/n to {self.count - 1}/n")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """This share of the items."""
        return items[self.index :: self.count]


def parse(text: str) -> Shard:
    """Read ``i/n``.

    Raises:
        ValueError: it is not of this form, or there is no such shard.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if found is None:
        raise ValueError(f"a shard is written i/n, with i from 0 to n - 1, such as 0/8; got {text!r}")
    return Shard(int(found[1]), int(found[2]))


def from_environment(environment: Mapping[str, str] = os.environ) -> Shard:
    """The share that RANK and WORLD_SIZE or a Slurm array assign; everything where neither is set.

    Raises:
        ValueError: the variables contradict each other; ``--shard`` decides.
    """
    found = [shard for shard in (_torchrun(environment), _slurm_array(environment)) if shard is not None]
    if len(set(found)) > 1:
        raise ValueError(
            f"RANK/WORLD_SIZE say shard {found[0]}, SLURM_ARRAY_TASK_ID and its kind say {found[1]}; "
            f"give --shard i/n, or --shard 0/1 for all pictures"
        )
    return found[0] if found else Shard()


def _torchrun(environment: Mapping[str, str]) -> Shard | None:
    given = [name for name in ("RANK", "WORLD_SIZE") if environment.get(name, "")]
    if not given:
        return None
    if len(given) == 1:
        raise ValueError(f"{given[0]} is set, but RANK and WORLD_SIZE belong together; give --shard i/n")
    return Shard(_integer(environment, "RANK"), _integer(environment, "WORLD_SIZE"))


def _slurm_array(environment: Mapping[str, str]) -> Shard | None:
    """The place of a task in its array, whose ids may start anywhere and go in steps."""
    if not environment.get("SLURM_ARRAY_TASK_ID", ""):
        return None
    task, least, count = (
        _integer(environment, f"SLURM_ARRAY_TASK_{name}", default)
        for name, default in (("ID", None), ("MIN", 0), ("COUNT", None))
    )
    step = max(1, _integer(environment, "SLURM_ARRAY_TASK_STEP", 1))
    index, off = divmod(task - least, step)
    if off or not 0 <= index < count:
        raise ValueError(
            f"task {task} is not one of the {count} ids from {least} in steps of {step} that Slurm's array has "
            f"according to SLURM_ARRAY_TASK_*; give --shard i/n"
        )
    return Shard(index, count)


def _integer(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    value = environment.get(name, "")
    if not value and default is not None:
        return default
    if not value.isdecimal():
        raise ValueError(f"{name} should be a number, but is {value!r}; give --shard i/n")
    return int(value)
