"""GPUs to test on: the host twin of the CUDA back end, behind PyTorch and behind CuPy, and a real one.

The twin is the same kernels compiled for the host (csrc/cuda/runtime.h). It needs arrays that claim to lie on a GPU:
for PyTorch, tensors of the CPU are taken for such; for CuPy, which cannot even be imported without a GPU, a stand-in
made of NumPy offers what densecrf/_gpu.py asks for. Then: memory that is counted and may run out, and comparisons.
"""

import contextlib
import ctypes
import gc
import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import densecrf
from densecrf import DenseCRF, _build, _gpu, _gpu_model

TWIN = "densecrf._cuda_twin"
TOLERANCE = 1e-4  # of a marginal: what docs/accuracy.md promises between any two back ends


class FakeCupyArray(np.ndarray):
    """An array that says it is CuPy's, on device 0."""

    device = SimpleNamespace(id=0)

    @property
    def data(self):
        return SimpleNamespace(ptr=self.ctypes.data)

    def astype(self, *arguments, **options):
        with np.errstate(all="ignore"):  # a GPU has nobody to warn
            return super().astype(*arguments, **options)


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
    cupy.moveaxis = np.moveaxis
    cupy.where = lambda mask, one, other: np.where(mask, one, other).view(FakeCupyArray)
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

    @property
    def adapter(self):
        """The class of `densecrf._gpu` that speaks for its library."""
        return _gpu.TorchGpu if self.name == "torch" else _gpu.CupyGpu


def twin_core():
    """The twin's module, or skip."""
    if importlib.util.find_spec(TWIN) is None:
        pytest.skip("built without the host twin (DENSECRF_TWIN=ON)")
    return importlib.import_module(TWIN)


def from_torch(tensor):
    """A tensor on the host, in NumPy; bfloat16, which NumPy does not have, as float32."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def twin_behind_torch(monkeypatch):
    """PyTorch, whose CPU is taken for a GPU."""
    torch = pytest.importorskip("torch")
    core = twin_core()
    monkeypatch.setattr(_build, "cuda_module", lambda: core)
    monkeypatch.setattr(_gpu, "_TORCH_DEVICE", "cpu")
    monkeypatch.setattr(_gpu.TorchGpu, "current", lambda self: contextlib.nullcontext())
    monkeypatch.setattr(_gpu.TorchGpu, "stream", lambda self: 0)
    return Device("torch", lambda values: torch.tensor(np.asarray(values)), from_torch)


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
    return Device("torch", lambda values: torch.tensor(np.asarray(values), device="cuda"), from_torch)


GPUS = {"twin-torch": twin_behind_torch, "twin-cupy": twin_behind_cupy, "cuda": real_gpu}

TIE = 1e-6  # labels whose marginals are no further apart are equally likely

# For what is the kernels' business, whoever's arrays they work on: once with the twin, once with a GPU.
one_library = pytest.mark.parametrize("gpu", ["twin-cupy", "cuda"], indirect=True)


# ---- memory -------------------------------------------------------------------------------------------------


class Ledger:
    """The memory that the core asked for, while there is one of these.

    Attributes:
        live: bytes that it has.
        peak: the most that it had at once; set it to `live` to begin anew.
        empties: how often the library was asked for an array, by the core or for an answer.
        fails_at: which of these, counted from 1, finds no memory.
        fill: the byte that memory is found full of; None for anything.
        released: what came back, as (bytes, how many of them are not `fill` any more), if `fill` is given.
    """

    def __init__(self, gpu, monkeypatch):
        self.live = self.peak = self.empties = 0
        self.fails_at = self.fill = None
        self.released = []
        monkeypatch.setattr(_gpu_model, "Memory", self._memory())
        monkeypatch.setattr(gpu.adapter, "empty", self._empty(gpu.adapter.empty))

    def _memory(self):
        ledger = self

        class Counted(_gpu.Memory):
            def __init__(self, *arguments):
                super().__init__(*arguments)
                self._sizes = {}

            def allocate(self, size):
                address = super().allocate(size)
                self._sizes[address] = size
                ledger.live += size
                ledger.peak = max(ledger.peak, ledger.live)
                if ledger.fill is not None:
                    ctypes.memset(address, ledger.fill, size)
                return address

            def release(self, address):
                size = self._sizes.pop(address)
                ledger.live -= size
                if ledger.fill is not None:
                    held = np.frombuffer(ctypes.string_at(address, size), np.uint8)
                    ledger.released.append((size, int((held != ledger.fill).sum())))
                super().release(address)

        return Counted

    def _empty(self, empty):
        def counted(gpu, *arguments):
            self.empties += 1
            if self.empties == self.fails_at:
                raise self._no_memory(gpu)
            return empty(gpu, *arguments)

        return counted

    def _no_memory(self, gpu):
        if gpu.name == "torch":
            return sys.modules["torch"].OutOfMemoryError("CUDA out of memory.")
        return sys.modules["cupy"].cuda.memory.OutOfMemoryError("Out of memory allocating 512 bytes.")


def ledger_that_balances(gpu, monkeypatch):
    """A ledger, then a look at whether everything came back; for a fixture to yield from."""
    ledger = Ledger(gpu, monkeypatch)
    yield ledger
    gc.collect()
    assert ledger.live == 0


# ---- comparisons --------------------------------------------------------------------------------------------


def on_gpu(gpu, function, image, probs, **options):
    """The answer of a function like `densecrf.refine` for arrays on a GPU, in NumPy."""
    return gpu.get(function(gpu.put(image), gpu.put(probs), **options))


def assert_same_answer(result, expected, label_axis=0):
    """Whether two answers are as near as the answers of two back ends have to be."""
    assert result.dtype == expected.dtype
    assert_allclose(result, expected, rtol=0, atol=TOLERANCE)
    chosen = np.expand_dims(result.argmax(label_axis), label_axis)
    lost = expected.max(label_axis, keepdims=True) - np.take_along_axis(expected, chosen, label_axis)
    assert (lost <= TIE).mean() >= 0.9999  # the same label, or one that is as likely


def assert_as_on_the_cpu(gpu, image, probs, **options):
    """Refines on both; the picture as (H, W, C) or (H, W)."""
    grey = image.ndim == probs.ndim - 1
    options = {"channel_axis": None if grey else -1, **options}
    expected = densecrf.refine(image, probs, **options)
    result = densecrf.refine(gpu.put(image), gpu.put(probs), **options)
    assert type(result) is type(gpu.put(probs))
    assert_same_answer(gpu.get(result), expected, probs.ndim - 3)
    return expected


def assert_model_as_on_the_cpu(gpu, image_or_shape, unary, terms, *, channel_axis=-1, **options):
    """Infers on both; an image as (..., C) unless channel_axis says otherwise."""
    axis = "usual" if isinstance(image_or_shape, tuple) else channel_axis
    there = image_or_shape if isinstance(image_or_shape, tuple) else gpu.put(image_or_shape)
    here = DenseCRF(image_or_shape, len(unary), terms, channel_axis=axis)
    model = DenseCRF(there, len(unary), terms, channel_axis=axis)
    expected = here.infer(unary, **options)
    assert_same_answer(gpu.get(model.infer(gpu.put(unary), **options)), expected)
    return expected
