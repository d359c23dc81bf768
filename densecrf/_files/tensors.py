"""Torch's files, from whoever: no pickles, nothing that unpacks, and no tensor of more than the file has."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from densecrf._files.errors import FileError, reason_of, refuse_pipe
from densecrf._files.pickles import require_shallow

if TYPE_CHECKING:
    from torch import Tensor


def load_tensors(path: Path) -> Any:
    """What was saved in a file, for the CPU: a tensor, a dict, numbers and texts. Tensors want `require_plain`.

    Raises:
        FileError: torch is not installed, or cannot read the file without running programs.
        MemoryError: the machine has not the memory for it.
    """
    try:
        import torch
    except ImportError:
        raise FileError(path, 'reading torch\'s files needs torch; pip install "densecrf[torch]"') from None
    refuse_pipe(path)
    try:
        _require_unpacked(path)
        require_shallow(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (FileError, MemoryError):
        raise
    except Exception as error:  # there is no end to what damaged files make torch raise
        if isinstance(error, OSError) and error.filename is not None:  # of the system, and not of a place in the file
            raise FileError(path, reason_of(error)) from error
        raise FileError(path, f"damaged, or not what its name says ({reason_of(error)})") from error


def require_plain(path: Path, tensor: Tensor) -> None:
    """Raises a `FileError` where a tensor is more than numbers of the file, side by side.

    Sparse ones say where their numbers lie, which torch believes: they would be written over other memory. Old files
    may hold tensors larger than what they share, which torch fills up with whatever lies in memory.
    """
    import torch

    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized or tensor.is_nested or tensor.is_complex():
        raise FileError(path, f"its tensors must be dense and of real numbers, not {tensor.type()}")
    if tensor.untyped_storage().nbytes() > path.stat().st_size:
        raise FileError(path, f"cut off: a tensor {tuple(tensor.shape)} needs more bytes than there are")


def _require_unpacked(path: Path) -> None:
    """Raises a `FileError` where a file would unpack to more than it is: torch packs nothing, and unpacks anything."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise FileError(path, "it is compressed, which torch's files are not, and could unpack to any size")
