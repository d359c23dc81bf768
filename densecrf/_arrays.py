"""Where arrays live: what a caller handed over, and how to give an answer back in kind.

Arrays of the host are NumPy's, or torch tensors seen as such; those on a GPU stay there (densecrf/_gpu.py).
Frameworks are recognised by what is already imported, so none is ever imported from here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densecrf import _bfloat16
from densecrf._gpu import Gpu, gpu_of


@dataclass(frozen=True)
class Given:
    """An array as the caller gave it.

    Attributes:
        values: the same values as a NumPy array, without a copy wherever NumPy has the dtype. Of an array on a GPU,
            a stand-in with its shape and dtype that holds nothing.
        original: the caller's object.
        framework: "numpy", "torch" or "cupy".
        gpu: where it lies, if not in this machine's main memory.
    """

    values: NDArray[Any]
    original: Any
    framework: str
    gpu: Gpu | None = None

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


def is_plain(values: NDArray[Any]) -> bool:
    """Whether the core can read values, or write to them, where they are."""
    flags = values.flags
    return values.dtype == np.float32 and values.dtype.isnative and flags.c_contiguous and flags.aligned


def for_core(values: NDArray[Any]) -> NDArray[np.float32]:
    """The same values as the core reads them: float32, contiguous, at addresses that are multiples of four."""
    return np.require(values, np.float32, ("C", "A", "E"))


def take(function: str, name: str, array: object, *, gpu: bool = False) -> Given:
    """Takes an argument that should be an array.

    Args:
        function: for messages.
        name: of the argument, for messages.
        array: the argument.
        gpu: it may lie on a GPU.

    Raises:
        TypeError: it is not an array of a library we know, or lies where it should not.
    """
    torch = sys.modules.get("torch")
    is_tensor = torch is not None and isinstance(array, getattr(torch, "Tensor", ()))  # none while it is being imported
    if is_tensor:
        _require_values(function, name, array, torch)
    place = gpu_of(array)
    if place is not None:
        if not gpu:
            raise TypeError(f"{function}: {name} lies on a GPU, and this works on the CPU; {_REMEDY[place.name]}")
        return _on_gpu(function, name, array, place)
    if is_tensor:
        return Given(_from_torch(function, name, array, torch), array, "torch")
    if hasattr(array, "__cuda_array_interface__"):
        raise TypeError(
            f"{function}: {name} lies on a GPU and is neither torch's nor CuPy's, got {type(array).__name__}; "
            f"convert it with cupy.asarray or torch.as_tensor, or move it to the CPU"
        )
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{function}: {name} must not be a masked array, because the mask would be lost; fill it first")
    if getattr(array, "mode", None) == "P":  # a Pillow image
        raise TypeError(
            f"{function}: {name} must hold colours, got indices into a palette; convert it with .convert('RGB')"
        )
    if isinstance(array, np.ndarray) or hasattr(array, "__array_interface__"):  # the latter: Pillow's images
        return Given(_from_interface(function, name, array), array, "numpy")
    raise TypeError(
        f"{function}: {name} must be a NumPy array or a torch tensor, got {type(array).__name__}; "
        f"convert it with numpy.asarray"
    )


_REMEDY = {"torch": "move it there with .cpu()", "cupy": "move it there with .get()"}


def _on_gpu(function: str, name: str, array: Any, place: Gpu) -> Given:
    if place.name == "torch" and (array.layout != sys.modules["torch"].strided or array.is_quantized):
        raise TypeError(f"{function}: {name} must be a dense tensor, got one with layout {array.layout}")
    try:
        dtype = place.numpy_dtype(array)
    except TypeError:  # float8 and the like
        raise TypeError(f"{function}: {name} must have a dtype that NumPy has, got {array.dtype}") from None
    return Given(np.broadcast_to(np.zeros((), dtype), tuple(array.shape)), array, place.name, place)


def _require_values(function: str, name: str, tensor: Any, torch: Any) -> None:
    """Some tensors have no memory, and torch says so in its own words wherever they are touched."""
    no_shape = isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin)
    if no_shape or tensor._is_zerotensor() or tensor.is_nested:
        raise TypeError(f"{function}: {name} must be a dense tensor with values in memory, got another kind")


def _from_torch(function: str, name: str, tensor: Any, torch: Any) -> NDArray[Any]:
    if tensor.device.type != "cpu" or tensor.layout != torch.strided or tensor.is_quantized:
        raise TypeError(
            f"{function}: {name} must be a dense tensor on the CPU, "
            f"got one on {tensor.device} with layout {tensor.layout}"
        )
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        return _bfloat16.to_float32(_bfloat16.bits_of(tensor, torch))
    try:
        values: NDArray[Any] = tensor.numpy()
    except TypeError:  # float8 and the like
        raise TypeError(f"{function}: {name} must have a dtype that NumPy has, got {tensor.dtype}") from None
    return values


def _from_interface(function: str, name: str, array: Any) -> NDArray[Any]:
    """An array of NumPy, or of something that says where its values lie."""
    if isinstance(array, np.ndarray):
        return np.asarray(array)
    try:
        return np.asarray(array)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{function}: {name} says that it is an array and is none, got {type(array).__name__}: {error}"
        ) from error


def as_pictures(given: Given, channel_axis: int | None, batched: bool) -> Any:
    """The image as a view (B, H, W, C), where it lies.

    Args:
        given: the image.
        channel_axis: its axis of channels; None if it has none.
        batched: whether it has an axis of pictures, which is its first.
    """
    array = given.values if given.gpu is None else given.original
    if channel_axis is None:
        picture = array[..., np.newaxis]
    elif given.gpu is None:
        picture = np.moveaxis(array, channel_axis, -1)
    else:
        picture = given.gpu.channels_last(array, channel_axis)
    return picture if batched else picture[np.newaxis]


def place_for(shape: tuple[int, ...], inputs: tuple[NDArray[Any], ...], out: Given | None) -> NDArray[np.float32]:
    """A float32 array to compute the answer in: ``out`` itself where that is safe, else a new one."""
    if out is not None:
        values = out.values
        if out.is_view and is_plain(values) and not any(np.may_share_memory(values, one) for one in inputs):
            return values
    return np.empty(shape, np.float32)


def give_back(result: Any, like: Given, out: Given | None) -> Any:
    """The result in the library and dtype of ``like``, or written to ``out``."""
    if like.gpu is not None:
        return _give_back_on_gpu(like.gpu, result, like, out)
    if out is not None:
        if result is not out.values:
            _copy_into(out, result)
        return out.original
    if like.framework == "torch":
        torch = sys.modules["torch"]
        if like.original.dtype == torch.bfloat16:
            return _bfloat16.tensor_of(_bfloat16.from_float32(result), torch)
        return torch.from_numpy(result.astype(like.values.dtype, copy=False))
    return result.astype(like.values.dtype, copy=False)


def _copy_into(out: Given, result: NDArray[np.float32]) -> None:
    if out.is_view:
        np.copyto(out.values, result, casting="same_kind")
    elif out.dtype_name == "torch.bfloat16":
        np.copyto(_bfloat16.bits_of(out.original, sys.modules["torch"]), _bfloat16.from_float32(result))
    else:  # a tensor whose sign is yet to be turned
        out.original.detach().copy_(sys.modules["torch"].from_numpy(result))


def _give_back_on_gpu(gpu: Gpu, result: Any, like: Given, out: Given | None) -> Any:
    if out is None:
        return gpu.convert(result, like.dtype_name.removeprefix("torch."))
    if gpu.address(result) != gpu.address(out.original):
        gpu.write(result, out.original)
    return out.original
