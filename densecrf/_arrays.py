"""Where arrays live: what a caller handed over, as NumPy, and how to give an answer back in kind.

The only place that knows of torch and CuPy. Frameworks are recognised by what is already imported, so none is
ever imported from here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Given:
    """An array as the caller gave it.

    Attributes:
        values: the same values as a NumPy array, without a copy wherever NumPy has the dtype.
        original: the caller's object.
        framework: "numpy" or "torch".
    """

    values: NDArray[Any]
    original: Any
    framework: str

    @property
    def is_view(self) -> bool:
        """Whether writing to ``values`` writes to the caller's array; not so where it had to be converted."""
        if self.framework == "numpy":
            return True
        return bool(self.values.__array_interface__["data"][0] == self.original.data_ptr())

    @property
    def dtype_name(self) -> str:
        """The caller's dtype, as its library prints it."""
        return str(self.original.dtype if self.framework == "torch" else self.values.dtype)


def take(function: str, name: str, array: object) -> Given:
    """Takes an argument that should be an array.

    Raises:
        TypeError: it is not an array of a library we know, or not in this machine's main memory.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, getattr(torch, "Tensor", ())):  # none while torch is being imported
        return Given(_from_torch(function, name, array, torch), array, "torch")
    if hasattr(array, "__cuda_array_interface__"):
        raise TypeError(_no_cuda(function, name, "move it to the CPU, e.g. with .get()"))
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{function}: {name} must not be a masked array, because the mask would be lost; fill it first")
    if getattr(array, "mode", None) == "P":  # a Pillow image
        raise TypeError(
            f"{function}: {name} must hold colours, got indices into a palette; convert it with .convert('RGB')"
        )
    if isinstance(array, np.ndarray) or hasattr(array, "__array_interface__"):  # the latter: Pillow's images
        return Given(np.asarray(array), array, "numpy")
    raise TypeError(
        f"{function}: {name} must be a NumPy array or a torch tensor, got {type(array).__name__}; "
        f"convert it with numpy.asarray"
    )


def _from_torch(function: str, name: str, tensor: Any, torch: Any) -> NDArray[Any]:
    if tensor.device.type == "cuda":
        raise TypeError(_no_cuda(function, name, "move it to the CPU with .cpu()"))
    if tensor.device.type != "cpu" or tensor.layout != torch.strided or tensor.is_quantized:
        raise TypeError(
            f"{function}: {name} must be a dense tensor on the CPU, "
            f"got one on {tensor.device} with layout {tensor.layout}"
        )
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:  # NumPy has no such dtype
        tensor = tensor.to(torch.float32)
    try:
        values: NDArray[Any] = tensor.numpy()
    except TypeError:  # float8 and the like
        raise TypeError(f"{function}: {name} must have a dtype that NumPy has, got {tensor.dtype}") from None
    return values


def _no_cuda(function: str, name: str, remedy: str) -> str:
    return f"{function}: {name} lies on a GPU, and this build of densecrf has no CUDA back end; {remedy}"


def place_for(shape: tuple[int, ...], inputs: tuple[NDArray[Any], ...], out: Given | None) -> NDArray[np.float32]:
    """A float32 array to compute the answer in: ``out`` itself where that is safe, else a new one."""
    if out is not None:
        values = out.values
        direct = out.is_view and values.dtype == np.float32 and values.dtype.isnative and values.flags.c_contiguous
        if direct and values.flags.aligned and not any(np.may_share_memory(values, one) for one in inputs):
            return values
    return np.empty(shape, np.float32)


def give_back(result: NDArray[np.float32], like: Given, out: Given | None) -> Any:
    """The result in the library and dtype of ``like``, or written to ``out``."""
    if out is not None:
        if result is not out.values:
            _copy_into(out, result)
        return out.original
    if like.framework == "torch":
        return sys.modules["torch"].from_numpy(result).to(like.original.dtype)
    return result.astype(like.values.dtype, copy=False)


def _copy_into(out: Given, result: NDArray[np.float32]) -> None:
    if out.framework == "torch":
        out.original.detach().copy_(sys.modules["torch"].from_numpy(result))
    else:
        np.copyto(out.values, result, casting="same_kind")
