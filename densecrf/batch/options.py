"""What a run is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from densecrf import _files, _parameters
from densecrf._files import Kind, Reading
from densecrf._parameters import Parameters
from densecrf.batch.shards import Shard

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Recipe:
    """What is done with every picture. Outputs of different recipes do not share a folder.

    Attributes:
        parameters: of the CRF; those of "deeplab-v2" by default.
        kind: what is written: "labels", "mask", "probs" or "overlay", as `densecrf._files.write_result` has it.
        reading: how files of probabilities, logits, labels or masks are understood.

    Raises:
        ValueError: there is no such kind.
    """

    parameters: Parameters = field(default_factory=_parameters.resolve)
    kind: Kind = "labels"
    reading: Reading = field(default_factory=Reading)

    def __post_init__(self) -> None:
        if self.kind not in _files.KINDS:
            raise ValueError(f"the kind of output must be one of {', '.join(_files.KINDS)}, got {self.kind!r}")


@dataclass(frozen=True)
class Engine:
    """What the work is done on. It changes how long a run takes, and no bit of its outputs on a CPU.

    Attributes:
        name: "local", processes of this machine; or "ray", actors of a Ray cluster.
        workers: processes or actors; None for one per core, or one per GPU with a cluster of them; one with "cuda"
            on this machine.
        threads: of each worker; None shares out this machine's cores, and is 1 on Ray.
        device: "cpu" or "cuda"; "cuda:1" for the second GPU of this machine.
        address: of the Ray cluster; None for RAY_ADDRESS, a cluster that runs on this machine, or else a new one.

    Raises:
        ValueError: there is no such engine, or a number below 1.
    """

    name: Literal["local", "ray"] = "local"
    workers: int | None = None
    threads: int | None = None
    device: str = "cpu"
    address: str | None = None

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise ValueError(f"the engine must be one of {', '.join(ENGINES)}, got {self.name!r}")
        if self.device != "cpu" and not self.device.startswith("cuda"):
            raise ValueError(f"the device must be cpu or cuda, got {self.device!r}")
        if self.name == "ray" and ":" in self.device:
            raise ValueError(f"Ray gives every actor a GPU of its own; the device is cuda, not {self.device}")
        for name, value in (("workers", self.workers), ("threads", self.threads)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.address is not None and self.name != "ray":
            raise ValueError("an address is that of a Ray cluster; choose the engine ray")


@dataclass(frozen=True)
class Options:
    """A run.

    Attributes:
        images: the folder of the pictures, or a pattern such as ``pictures/**/*.jpg``.
        probs: the folder of their probabilities, paired with them by stem.
        out: the folder that outputs and reports go to; made if there is none.
        recipe: what is done with every picture.
        engine: what the work is done on.
        shard: the share of the pictures to do; None for what RANK/WORLD_SIZE or a Slurm array say, and for all of them
            where these say nothing or the engine is Ray, which shares out by itself.
        limit: the first so many pictures of the data set only.
        thumbnails: how many of the most-changed pictures the summary shows.

    Raises:
        ValueError: a limit below 1.
    """

    images: Path | str
    probs: Path
    out: Path
    recipe: Recipe = field(default_factory=Recipe)
    engine: Engine = field(default_factory=Engine)
    shard: Shard | None = None
    limit: int | None = None
    thumbnails: int = 12

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be at least 1, got {self.limit}")
