"""Small data sets of generated pictures, and what a run makes of them."""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from densecrf import Parameters, batch

H, W, L = 40, 60, 3


def make(folder, names):
    """Pictures and sharp, network-like probabilities in ``images`` and ``probs``."""
    (folder / "images").mkdir(parents=True)
    (folder / "probs").mkdir()
    for seed, name in enumerate(names):
        add(folder, name, seed)


def add(folder, name, seed=0, deadly=False):
    """One picture: a square on a ground of another colour, and scores that are off by a few pixels.

    A deadly one kills who refines it with `Strange` parameters.
    """
    rng = np.random.default_rng(seed)
    top, left = rng.integers(5, 15, 2)
    image = np.full((H, W, 3), 60) + rng.integers(0, 20, (H, W, 3))
    image[top : top + 20, left : left + 25] += 120
    image[0, 0] = 255 if deadly else 0
    Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"{name}.png")
    scores = np.zeros((L, H, W), np.float32)
    scores[0] = 4
    scores[:2, top + 2 : top + 24, left + 3 : left + 22] = [[[0]], [[4]]]
    scores[2] = rng.random((H, W)) - 1
    probs = np.exp(scores) / np.exp(scores).sum(axis=0)
    np.save(folder / "probs" / f"{name}.npy", probs.astype(np.float16))


def options(folder, **changes):
    """A run on that data set, in one process of one thread."""
    values = {"engine": batch.Engine(workers=1, threads=1), "thumbnails": 1, "shard": batch.Shard()} | changes
    return batch.Options(folder / "images", folder / "probs", folder / "out", **values)


@dataclass(frozen=True)
class Strange(Parameters):
    """Those of the default preset. They are slow, and kill the process at a deadly picture."""

    def refine(self, image, probs, **rest):
        time.sleep(0.02)
        if image.max() == 255:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().refine(image, probs, **rest)


STRANGE = batch.Recipe(Strange(**vars(batch.Recipe().parameters)))


def outputs(folder):
    """The bytes of the outputs by name."""
    return {path.name: path.read_bytes() for path in (folder / "out").glob("*.png")}


def errors(folder):
    """What errors.jsonl says: name of the picture -> (name of the file, reason)."""
    lines = map(json.loads, (folder / "out" / "errors.jsonl").read_text().splitlines())
    return {name(line["picture"]): (name(line["file"]), line["reason"]) for line in lines}


def name(path):
    return path.rpartition("/")[2]


def main():
    """Runs on a data set whose folder is the first argument, with so many workers as the second says."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background
    engine = batch.Engine(workers=int(sys.argv[2]), threads=1)
    return batch.run(options(Path(sys.argv[1]), recipe=STRANGE, engine=engine)).exit_status
