"""What is written: whole files or none, and the same bytes for the same result."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from densecrf._files.errors import FileError

if TYPE_CHECKING:
    from PIL.Image import Image

Kind = Literal["labels", "mask", "probs", "overlay"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "labels": (".png",),
    "mask": (".png",),
    "probs": (".npz", ".npy"),
    "overlay": (".png", ".jpg", ".jpeg"),
}
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def kind_for(path: str | Path, *, overlay: bool = False, mask: bool = False) -> Kind:
    """What a file of this name is to hold.

    Args:
        path: .npz and .npy are for marginals, .jpg for an overlay, .png for labels.
        overlay: a .png is to be an overlay.
        mask: labels are to be a grey mask.

    Raises:
        FileError: nothing is written to such a file.
    """
    suffix = Path(path).suffix.lower()
    kind: Kind = "mask" if mask else "labels"
    if overlay or suffix in (".jpg", ".jpeg"):
        kind = "overlay"
    elif suffix in SUFFIXES["probs"]:
        kind = "probs"
    require_suffix(Path(path), kind)
    return kind


def require_suffix(path: Path, kind: Kind) -> None:
    """Raises a `FileError` where a file of this name cannot hold this."""
    if kind not in KINDS:
        raise ValueError(f"the kind of a result must be one of {', '.join(KINDS)}, got {kind!r}")
    if path.suffix.lower() not in SUFFIXES[kind]:
        what = {"labels": "labels are", "mask": "a mask is", "probs": "marginals are", "overlay": "an overlay is"}[kind]
        every = "" if kind in ("probs", "overlay") else " (marginals to .npz or .npy, an overlay to .jpg)"
        raise FileError(path, f"{what} written to {' or '.join(SUFFIXES[kind])}{every}")


def write_result(path: str | Path, image: NDArray[np.uint8] | None, marginals: NDArray[Any], kind: Kind) -> None:
    """Writes a refined picture.

    Args:
        path: of the file; its folder is made where there is none. What was there is replaced at once by the whole.
        image: ``(H, W, 3)``; only an overlay needs it.
        marginals: ``(L, H, W)``.
        kind: "labels", the likeliest label of every pixel, as a PNG with PASCAL VOC's palette; "mask", the marginal of
            label 1 times 255 as a grey PNG; "probs", the marginals as they are, in an .npz under the name "probs" or an
            .npy; "overlay", the labels' colours over the picture, as a PNG or JPEG.

    Raises:
        FileError: the name does not fit, or there are more labels than a PNG can hold.
        OSError: it cannot be written.
    """
    file = Path(path)
    require_suffix(file, kind)
    if kind == "probs":
        write_whole(file, lambda stream: _write_marginals(stream, file.suffix.lower(), marginals))
    elif kind == "mask":
        write_whole(file, lambda stream: _mask_picture(marginals).save(stream, "PNG"))
    elif kind == "labels":
        write_labels(file, marginals.argmax(axis=0))
    else:
        assert image is not None
        write_overlay(file, image, marginals.argmax(axis=0))


def write_labels(path: str | Path, labels: NDArray[Any]) -> None:
    """Writes labels ``(H, W)``, 0 to 255, as a PNG with PASCAL VOC's palette."""
    if labels.max(initial=0) > 255 or labels.min(initial=0) < 0:
        raise FileError(path, f"a PNG holds labels 0 to 255, not {labels.min()} to {labels.max()}; write an .npz")
    write_whole(Path(path), lambda stream: _label_picture(labels).save(stream, "PNG"))


def write_overlay(path: str | Path, image: NDArray[np.uint8], labels: NDArray[Any]) -> None:
    """Writes the colours of labels ``(H, W)`` over a picture ``(H, W, 3)``, as a PNG or JPEG."""
    from PIL import Image

    from densecrf._overlay import overlay

    write_picture(path, Image.fromarray(overlay(image, labels.astype(np.uint8))))  # beyond 255, colours repeat


def write_picture(path: str | Path, picture: Image) -> None:
    """Writes a picture of Pillow's as a PNG or JPEG, by its suffix."""
    file = Path(path)
    write_whole(file, lambda stream: picture.save(stream, FORMATS[file.suffix.lower()], quality=92))


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Writes beside the file and renames, so that whoever looks sees the old file or the whole new one.

    What a run that was killed has left behind is called ``.NAME.PROCESS.part``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.unlink(missing_ok=True)  # of a process that was killed, or a link somebody put there
        with unfinished.open("xb") as stream:
            write(stream)
        os.replace(unfinished, path)
    except OSError as error:  # about the file that the caller knows
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _label_picture(labels: NDArray[Any]) -> Image:
    from PIL import Image

    from densecrf._overlay import palette

    picture = Image.fromarray(labels.astype(np.uint8))
    picture.putpalette(palette().tobytes())  # from grey to indices
    return picture


def _mask_picture(marginals: NDArray[Any]) -> Image:
    from PIL import Image

    return Image.fromarray(np.rint(marginals[1].astype(np.float32) * 255).astype(np.uint8))


def _write_marginals(stream: BinaryIO, suffix: str, marginals: NDArray[Any]) -> None:
    if suffix == ".npy":
        np.lib.format.write_array(stream, marginals, allow_pickle=False)
        return
    # Not compressed: a tenth of the bytes is not worth ten times the time. zipfile dates entries opened by name 1980.
    with zipfile.ZipFile(stream, "w") as archive, archive.open("probs.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array(entry, marginals, allow_pickle=False)
