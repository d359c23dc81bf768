"""GPUs to test on: the host twin of the CUDA back end, behind PyTorch and behind CuPy, and a real one.

The twin is the same kernels compiled for the host (csrc/cuda/runtime.h). It needs arrays that claim to lie on a GPU:
for PyTorch, tensors of the CPU are taken for such; for CuPy, which cannot even be imported without a GPU, a stand-in
made of NumPy offers what densecrf/_gpu.py asks for.
"""

import contextlib
import importlib.util
import os
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from densecrf import _build, _gpu

TWIN = "densecrf._cuda_twin"


class FakeCupyArray(np.ndarray):
    """An array that says it is CuPy's, on device 0."""

    device = SimpleNamespace(id=0)

    @property
    def data(self):
        return SimpleNamespace(ptr=self.ctypes.data)


class OutOfMemoryError(MemoryError):
    """What CuPy's pool raises."""


def fake_cupy():
    """A module with what densecrf/_gpu.py uses of CuPy."""
    cupy = ModuleType("cupy")
    cupy.ndarray = FakeCupyArray
    cupy.empty = lambda shape, dtype="float64": np.empty(shape, dtype).view(FakeCupyArray)
    cupy.asarray = lambda values: np.array(values).view(FakeCupyArray)
    cupy.asnumpy = lambda array: np.array(array)
    cupy.ascontiguousarray = lambda array: np.ascontiguousarray(array).view(FakeCupyArray)
    cupy.moveaxis, cupy.where = np.moveaxis, np.where
    cupy.cuda = SimpleNamespace(
        Device=lambda index: contextlib.nullcontext(),
        get_current_stream=lambda index: SimpleNamespace(ptr=0),
        memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
    )
    return cupy


class Device:
    """Where a test's arrays go, and how they come back."""

    def __init__(self, name, put, get):
        self.name, self.put, self.get = name, put, get


def twin_core():
    """The twin's module, that of DENSECRF_TWIN_FILE if there is such a file, or skip."""
    file = os.environ.get("DENSECRF_TWIN_FILE")
    if file and TWIN not in sys.modules:
        spec = importlib.util.spec_from_file_location(TWIN, file)
        sys.modules[TWIN] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[TWIN])
    if TWIN in sys.modules:
        return sys.modules[TWIN]
    if importlib.util.find_spec(TWIN) is None:
        pytest.skip("built without the host twin (DENSECRF_TWIN=ON)")
    return importlib.import_module(TWIN)


def twin_behind_torch(monkeypatch):
    """PyTorch, whose CPU is taken for a GPU."""
    torch = pytest.importorskip("torch")
    core = twin_core()
    monkeypatch.setattr(_build, "cuda_module", lambda: core)
    monkeypatch.setattr(_gpu, "_TORCH_DEVICE", "cpu")
    monkeypatch.setattr(_gpu.TorchGpu, "current", lambda self: contextlib.nullcontext())
    monkeypatch.setattr(_gpu.TorchGpu, "stream", lambda self: 0)
    return Device("torch", lambda values: torch.tensor(np.asarray(values)), lambda tensor: tensor.numpy())


def twin_behind_cupy(monkeypatch):
    """CuPy, or what looks like it from here."""
    core = twin_core()
    cupy = fake_cupy()
    monkeypatch.setattr(_build, "cuda_module", lambda: core)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return Device("cupy", cupy.asarray, cupy.asnumpy)


def real_gpu(monkeypatch):
    """A GPU of this machine, behind PyTorch."""
    torch = pytest.importorskip("torch")
    if _build.cuda_module() is None or not torch.cuda.is_available():
        pytest.skip("no CUDA back end, or no GPU")
    return Device("torch", lambda values: torch.tensor(np.asarray(values), device="cuda"), lambda t: t.cpu().numpy())


GPUS = {"twin-torch": twin_behind_torch, "twin-cupy": twin_behind_cupy, "cuda": real_gpu}
