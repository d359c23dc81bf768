"""What worker processes are given to do: importable, because a spawned one knows nothing else of its parent."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from inputs import scene, softmax
from numpy.typing import NDArray

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian

SIZE, LABELS = (150, 200), 3  # two partitions, so that threads are started
TERMS = (Gaussian(2, 2), Bilateral(20, 15, 3))
DTYPES = ("float32", "float16", "bfloat16", "float64")


def inputs(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    image, logits = scene(*SIZE, LABELS, seed=seed)
    return image, softmax(logits / 4).astype(np.float32)


def refined(seed: int) -> NDArray[np.float32]:
    """On two threads."""
    marginals: NDArray[np.float32] = densecrf.refine(*inputs(seed), terms=TERMS, iterations=2, num_threads=2)
    return marginals


def refined_by_a_model(seed: int) -> NDArray[np.float32]:
    image, probs = inputs(seed)
    energies = densecrf.unary_from_probs(probs)
    marginals: NDArray[np.float32] = DenseCRF(image, LABELS, TERMS, num_threads=2).infer(energies, 2)
    return marginals


def refined_below(seed: int) -> NDArray[np.float32]:
    """In a child forked in turn, after a call in its parent."""
    refined(seed)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with open(writing, "wb") as pipe:
            pipe.write(refined(seed).tobytes())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        values = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return np.frombuffer(values, np.float32).reshape(LABELS, *SIZE)


def refined_tensor(seed: int, dtype: str) -> Any:
    """With torch's operator, the marginals in NumPy."""
    import torch

    import densecrf.torch

    image, probs = inputs(seed)
    tensor = torch.from_numpy(np.moveaxis(image, -1, 0).copy())
    given = torch.from_numpy(probs.astype(np.float64 if dtype == "float64" else np.float32))
    if dtype == "float16":
        given = torch.from_numpy(probs.astype(np.float16))
    elif dtype == "bfloat16":
        given = torch.from_numpy((probs.view(np.uint32) >> 16).astype(np.uint16).view(np.int16)).view(torch.bfloat16)
    marginals = densecrf.torch.refine(tensor, given, terms=TERMS, iterations=2)
    return marginals.view(torch.int16).numpy() if dtype == "bfloat16" else marginals.numpy()


def labelled_tensors(seed: int) -> Any:
    """Labels of two rows of tensors, in NumPy."""
    import torch

    image, probs = inputs(seed)
    images = torch.from_numpy(np.stack([np.moveaxis(image, -1, 0)] * 2))
    batch = {"image": images, "probs": torch.from_numpy(np.stack([probs, probs[:, ::-1]]))}
    return densecrf.Refiner(num_threads=2)(batch)["labels"].numpy()


class Pictures:
    """A data set for torch's DataLoader that refines what it hands out."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, seed: int) -> tuple[int, Any]:
        import torch

        import densecrf.torch

        image, probs = inputs(seed)
        layer = densecrf.torch.DenseCRF(terms=TERMS, iterations=2, from_logits=False)
        marginals = layer(torch.from_numpy(np.moveaxis(image, -1, 0).copy()), torch.from_numpy(probs))
        assert (marginals.numpy() == refined(seed)).all()
        return seed, marginals


def collated(rows: list[tuple[int, Any]]) -> tuple[list[int], Any]:
    """A batch, refined once more as a batch: for two pictures at once."""
    import torch

    seeds, marginals = zip(*rows, strict=True)
    images = torch.from_numpy(np.stack([np.moveaxis(inputs(seed)[0], -1, 0) for seed in seeds]))
    return list(seeds), densecrf.refine(images, torch.stack(marginals), terms=TERMS, iterations=1, num_threads=2)
