"""A training run: its steps, its checkpoints, and the processes that share it.

A run depends on its configuration alone: whatever is drawn is a function of the seed, the iteration and, for dropout,
the process. So a checkpoint is weights, momentum and an iteration, and a run that was killed ends as if it had not
been, on a CPU to the last bit. With n processes every step sees the pictures that one process would have seen.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

import deeplab
from deeplab import weights
from deeplab.augment import DROPOUT, Stream, places, random
from deeplab.config import Config
from deeplab.data import open_data
from deeplab.logs import Log
from deeplab.losses import TrainingLoss
from deeplab.policies import freeze, learning_rate, parameter_groups
from densecrf import _files

PARTS = {"state_dict", "optimiser", "scaler", "iteration", "config"}  # of a checkpoint

# What may change when a run is resumed, because its result does not depend on it: a data set may have moved.
FREE = {"root", "checkpoint_every", "workers", "tensorboard"}


class Processes(NamedTuple):
    """This process and how many there are, in torchrun's terms, and where this one computes."""

    rank: int
    n: int
    device: torch.device


class Training:
    """A run: what is trained, how, and how far it is.

    Args:
        config: of the run.
        processes: that share it.
    """

    def __init__(self, config: Config, processes: Processes) -> None:
        self.config = config
        self.processes = processes
        _check(config, processes)
        self.data = open_data(config.data.kind, config.data.root, config.data.split)
        torch.manual_seed(config.run.seed)
        self.network = _network(config, self.data.n_classes)
        network = deeplab.MultiScale(self.network) if config.loss.multi_scale else self.network
        loss = TrainingLoss(network, config.loss.mean).to(processes.device).train()
        # Channels side by side: 1.1 to 1.3 times as fast on a CPU, and what tensor cores take.
        loss = loss.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own stub lacks it
        self.loss = DistributedDataParallel(loss) if processes.n > 1 else loss
        groups = parameter_groups(self.network, config.solver)
        self.optimiser = torch.optim.SGD(groups, lr=config.solver.base_lr, momentum=config.solver.momentum)
        self.scaler = torch.amp.GradScaler(processes.device.type, enabled=config.run.precision == "float16")
        self.iteration = 0

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Pictures and labels of every pass from now to the end; reading starts at once."""
        mine = list(places(self.config, self.iteration, self.processes.rank, self.processes.n))
        cuda = self.processes.device.type == "cuda"
        stream = Stream(self.data, self.config)
        return iter(DataLoader(stream, batch_sampler=mine, num_workers=self.config.run.workers, pin_memory=cuda))

    def step(self, batches: Iterator[tuple[Tensor, Tensor]]) -> tuple[float, float]:
        """An iteration.

        Returns:
            The loss before it, of all processes together, and the learning rate.
        """
        lr = learning_rate(self.config.solver, self.iteration)
        for group in self.optimiser.param_groups:
            group["lr"] = lr * group["rate"]
        self.optimiser.zero_grad()
        loss = torch.stack([self._backward(i, *next(batches)) for i in range(self.config.solver.accumulate)]).sum()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.iteration += 1
        if self.processes.n > 1:
            torch.distributed.all_reduce(loss)
        return loss.item() / self.processes.n, lr

    def _backward(self, i: int, images: Tensor, labels: Tensor) -> Tensor:
        """Adds the gradients of the i-th pass, and those of the other processes in the last."""
        device, passes = self.processes.device, self.config.solver.accumulate
        kind = getattr(torch, self.config.run.precision)
        # For dropout; no process has another's masks.
        draws = random(self.config.run.seed, DROPOUT, self.iteration, i, self.processes.rank)
        torch.manual_seed(int(draws.integers(2**63)))
        with self._apart() if i < passes - 1 else contextlib.nullcontext():
            with torch.autocast(device.type, kind, enabled=kind != torch.float32):
                images = images.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
                loss: Tensor = self.loss(images, labels.to(device, non_blocking=True))
            loss = loss / passes
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _apart(self) -> contextlib.AbstractContextManager[None]:
        """Where gradients do not go to the other processes."""
        return self.loss.no_sync() if isinstance(self.loss, DistributedDataParallel) else contextlib.nullcontext()

    def save(self, path: Path) -> None:
        """Writes a checkpoint; what was there is whole until the new one is."""
        state = {
            "state_dict": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "iteration": self.iteration,
            "config": _fixed(self.config),
        }
        _write(state, path)

    def resume(self, path: Path) -> None:
        """Goes back to a checkpoint.

        Raises:
            ValueError: it is damaged, no checkpoint, or of a run with another configuration.
        """
        state = _files.load_tensors(path)
        if not isinstance(state, dict) or not set(state) >= PARTS or not isinstance(state["config"], dict):
            raise _files.FileError(path, "not a checkpoint of this program")
        now, then = _fixed(self.config), state["config"]
        if changed := [f"{key} was {then.get(key)!r} and is {now[key]!r}" for key in now if now[key] != then.get(key)]:
            raise ValueError(f"--resume: {path} is of another run: {'; '.join(changed)}")
        self.network.load_state_dict(state["state_dict"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.iteration = state["iteration"]


def train(training: Training, out: Path) -> None:
    """Runs to the end; the first process writes log, checkpoints and weights.

    Raises:
        FloatingPointError: the loss is not finite any more.
    """
    config, first = training.config, training.processes.rank == 0
    iterations = config.solver.iterations
    batches = training.batches()
    with Log(out, iterations, training.iteration, config.run.tensorboard) if first else contextlib.nullcontext() as log:
        while training.iteration < iterations:
            loss, lr = training.step(batches)
            done = training.iteration
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss is {loss} in iteration {done}; solver.base_lr may be too high")
            if log is not None:
                log.add(done, loss, lr)
                if done % config.run.checkpoint_every == 0 or done == iterations:
                    training.save(out / "checkpoint.pt")
    if first:
        _write(training.network.state_dict(), out / "weights.pt")


def join() -> Processes:
    """This process among those that torchrun has started, if it has."""
    n, rank, local = (
        int(os.environ.get(name, default)) for name, default in (("WORLD_SIZE", 1), ("RANK", 0), ("LOCAL_RANK", 0))
    )
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if n > 1:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Processes(rank, n, device)


def _check(config: Config, processes: Processes) -> None:
    """Checks what a file alone does not say: whether it goes with the machine and with the network."""
    size = config.solver.batch // config.solver.accumulate
    if size % processes.n:
        raise ValueError(f"solver.batch / solver.accumulate is {size}, which {processes.n} processes cannot share")
    if config.run.precision == "float16" and processes.device.type == "cpu":
        raise ValueError("run.precision float16 is for CUDA; bfloat16 also works here")
    side = config.input.crop or 500  # what pictures may be of PASCAL VOC
    with torch.device("meta"):  # without numbers, which takes no time
        network = config.build()
        network = deeplab.MultiScale(network) if config.loss.multi_scale else network
        TrainingLoss(network.eval(), config.loss.mean).check(torch.zeros(1, 3, side, side))


def _network(config: Config, n_classes: int) -> deeplab.Network:
    network = config.build(n_classes)
    if config.start.weights:
        weights.load(network, config.start.weights, skip=config.start.skip, bgr=config.start.bgr)
    freeze(network, config.solver.freeze)
    return network


def _fixed(config: Config) -> dict[str, Any]:
    """What a run's result depends on, by the full names of keys."""
    fixed: dict[str, Any] = {}
    for table, content in dataclasses.asdict(config).items():
        entries = content.items() if isinstance(content, dict) else [("", content)]
        fixed |= {f"{table}.{key}".strip("."): value for key, value in entries if key not in FREE}
    return fixed


def _write(state: object, path: Path) -> None:
    new = path.with_suffix(".new")
    torch.save(state, new)
    new.replace(path)
