"""To a GPU and back, for those who say where to work by name. torch is imported when a GPU is asked for."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import numpy as np

from densecrf import _check
from densecrf._build import build_info, cuda_module


def check(device: str) -> None:
    """Raises a ValueError unless this is "cpu", "cuda", or "cuda:1" for the second GPU, whether it is there or not."""
    if not isinstance(device, str) or not re.fullmatch(r"cpu|cuda(:\d{1,4})?", device, re.ASCII):
        raise ValueError(f"the device must be cpu, cuda or cuda:N, got {_check.shown(device)}")


def require(device: str) -> None:
    """Raises a ValueError where this device cannot be had, and says which of the reasons it is."""
    check(device)
    if device == "cpu":
        return
    if cuda_module() is None:
        raise ValueError(f"there is no {device} to work on: densecrf was built without CUDA; build it where nvcc is")
    if importlib.util.find_spec("torch") is None:
        raise ValueError(f'there is no {device} to work on: torch is not installed; pip install "densecrf[torch]"')
    import torch

    if not torch.version.cuda:
        raise ValueError(f"there is no {device} to work on: torch {torch.__version__} was built without CUDA")
    if int(device.partition(":")[2] or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"there is no {device} to work on: torch finds {torch.cuda.device_count()} GPUs, "
            f"densecrf {build_info()['cuda']}"
        )


def send(array: Any, device: str) -> Any:
    """The array, NumPy's or torch's, as a tensor on a GPU.

    Raises:
        ValueError: the device cannot be had.
    """
    require(device)
    import torch

    return torch.as_tensor(np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array).to(device)


def fetch(tensor: Any, like: Any) -> Any:
    """The tensor in the library of another array, and where that lies."""
    return tensor.cpu().numpy() if isinstance(like, np.ndarray) else tensor.to(like.device)
