"""The papers' data sets, read from disk: pictures, and labels as indices of classes.

>>> from deeplab.data import open_data
>>> data = open_data("voc", "VOCdevkit/VOC2012", "val")
>>> len(data), data.n_classes
(1449, 21)

What lies where, below the root; labels are PNGs of indices, 255 is void (for context and person-part by convention):

- voc: ``JPEGImages/*``, ``SegmentationClass/*.png``, ``ImageSets/Segmentation/SPLIT.txt``; train_aug and trainval_aug,
  SBD's labels with DeepLab's lists: ``SegmentationClassAug/*.png``, ``ImageSets/SegmentationAug/SPLIT.txt``.
- context: VOC 2010's ``JPEGImages/*``, and ``SegmentationClassContext/*.png``, 0 the background, with
  ``ImageSets/SegmentationContext/SPLIT.txt``: what mmsegmentation makes of PASCAL-Context's MATLAB files.
- person-part: VOC 2010's ``JPEGImages/*``, and ``pascal_person_part_gt/*.png`` with
  ``pascal_person_part_trainval_list/SPLIT.txt``.
- cityscapes: ``leftImg8bit/SPLIT/CITY/*_leftImg8bit.png``, ``gtFine/SPLIT/CITY/*_gtFine_labelIds.png``.
- camvid: ``SPLIT/*``, ``SPLITannot/*.png``: the 11 classes of SegNet's copy.
- folder: ``images/*``, ``labels/*.png``, ``SPLIT.txt``; without ``all.txt``, "all" is every picture. ``classes.txt``
  may name the classes, one a line; without it, all labels are read once, for the largest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from densecrf._files import FileError
from densecrf._files.pictures import opened, require_rows
from densecrf._text import printable
from densecrf.data import VOC_LABELS

VOID = 255

Borders: TypeAlias = Literal["void", "labels", "either"]  # what is around objects: void, or other labels

# The order is that of the labels which mmsegmentation's converter writes.
_CONTEXT = (
    "background", "aeroplane", "bag", "bed", "bedclothes", "bench", "bicycle", "bird", "boat", "book", "bottle",
    "building", "bus", "cabinet", "car", "cat", "ceiling", "chair", "cloth", "computer", "cow", "cup", "curtain", "dog",
    "door", "fence", "floor", "flower", "food", "grass", "ground", "horse", "keyboard", "light", "motorbike",
    "mountain", "mouse", "person", "plate", "platform", "potted plant", "road", "rock", "sheep", "shelves", "sidewalk",
    "sign", "sky", "snow", "sofa", "table", "track", "train", "tree", "truck", "tv monitor", "wall", "water", "window",
    "wood",
)  # fmt: skip
_PARTS = ("background", "head", "torso", "upper arms", "lower arms", "upper legs", "lower legs")
_CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
# Class names by their label in the files; the labels between them are not evaluated (cityscapesScripts, labels.py).
_CITYSCAPES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture ``(H, W, 3)``, uint8, RGB, and its labels ``(H, W)``, uint8, `VOID` where there is no opinion."""

    name: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class _Layout:
    """Where a data set has its files, below its root, and what they mean."""

    kind: str
    classes: tuple[str, ...]
    example: str  # a picture's name
    files: tuple[str, ...]  # picture, labels, list of names; where there is no list, every picture that has labels
    ids: tuple[int, ...] | None = None  # the classes' labels in the files; None: 0, 1, 2, ...
    void: tuple[int, ...] = ()  # labels in the files, besides 255
    borders: Borders = "labels"


def _devkit(kind: str, classes: tuple[str, ...], example: str, labels: str, lists: str) -> _Layout:
    """Pictures of PASCAL VOC, with anyone's labels."""
    return _Layout(
        kind, classes, example, ("JPEGImages/{name}.jpg", f"{labels}/{{name}}.png", f"{lists}/{{split}}.txt")
    )


def _with_drawn_borders(layout: _Layout) -> _Layout:
    """PASCAL VOC's labels have void around every object."""
    return replace(layout, borders="void")


_VOC_AUG = _with_drawn_borders(
    _devkit("voc", VOC_LABELS, "2007_000032", "SegmentationClassAug", "ImageSets/SegmentationAug")
)
_LAYOUTS = (
    _with_drawn_borders(_devkit("voc", VOC_LABELS, "2007_000032", "SegmentationClass", "ImageSets/Segmentation")),
    _devkit("context", _CONTEXT, "2008_000002", "SegmentationClassContext", "ImageSets/SegmentationContext"),
    _devkit("person-part", _PARTS, "2008_000026", "pascal_person_part_gt", "pascal_person_part_trainval_list"),
    _Layout(
        "cityscapes",
        tuple(_CITYSCAPES.values()),
        "aachen/aachen_000000_000019",
        ("leftImg8bit/{split}/{name}_leftImg8bit.png", "gtFine/{split}/{name}_gtFine_labelIds.png"),
        ids=tuple(_CITYSCAPES),
        void=tuple(set(range(34)) - set(_CITYSCAPES)),
    ),
    _Layout("camvid", _CAMVID, "0001TP_006690", ("{split}/{name}.png", "{split}annot/{name}.png"), void=(11,)),
    _Layout("folder", (), "NAME", ("images/{name}.jpg", "labels/{name}.png", "{split}.txt"), borders="void"),
)


class DataSet:
    """Pictures with labels, a `Sample` each, which is read when asked for; `open_data` makes them.

    Attributes:
        n_classes: how many there are, the background included and void not.
        class_names: what the labels 0, 1, 2, ... mean.
        names: of the pictures, in the order of the data set's list, or of the alphabet.
        borders: "void" where objects have a border of void, as in PASCAL VOC and, by convention, in a folder; otherwise
            "labels": they end where others begin.
    """

    def __init__(self, root: Path, layout: _Layout, names: Iterable[str]) -> None:
        self.n_classes = len(layout.classes)
        self.class_names = layout.classes
        self.borders = layout.borders
        self.names = tuple(names)
        self._root = root
        self._layout = layout
        # By label in a file: the class, or -1 where there must be none.
        self._class_of = np.full(256, -1, np.int16)
        self._class_of[[VOID, *layout.void]] = VOID
        self._class_of[list(layout.ids or range(self.n_classes))] = np.arange(self.n_classes)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Sample]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, i: int) -> Sample:
        image_path, label_path = self._paths(self.names[i])
        with opened(image_path) as file:
            require_rows(image_path, file)
            image = np.array(file.convert("RGB"))
        labels = self._class_of[_indices(label_path)]
        if labels.shape != image.shape[:2]:
            raise ValueError(f"deeplab.data: {image_path} is {image.shape[:2]}, its labels are {labels.shape}")
        if labels.min() < 0:
            raise ValueError(f"deeplab.data: {label_path} has labels that are none of the {self.n_classes} classes")
        return Sample(self.names[i], image, labels.astype(np.uint8))

    def subset(self, names: slice | Iterable[str]) -> DataSet:
        """Some of the pictures: a slice of all, or those of some names, in their order.

        Raises:
            ValueError: there is no picture of a name.
        """
        chosen = self.names[names] if isinstance(names, slice) else tuple(names)
        if unknown := set(chosen) - set(self.names):
            raise ValueError(f"deeplab.data: the data set has no picture {min(unknown)!r}")
        return DataSet(self._root, self._layout, chosen)

    def _paths(self, name: str) -> tuple[Path, Path]:
        """The files of a picture and of its labels."""
        image, label, *_ = (self._root / pattern.format(name=name) for pattern in self._layout.files)
        others = (image.with_suffix(suffix) for suffix in (".jpg", ".png", ".jpeg"))
        image = next((path for path in others if path.is_file()), image)
        for path in (image, label):
            if not path.is_file():
                raise _missing(path, self._root, self._layout)
        return image, label


def kinds() -> list[str]:
    """What `open_data` knows."""
    return [layout.kind for layout in _LAYOUTS]


def open_data(kind: str, root: str | Path, split: str) -> DataSet:
    """A data set on disk.

    The names, and the first and the last picture are looked at now, all others when they are asked for.

    Args:
        kind: one of `kinds`; the module says which files each has.
        root: the data set's folder; for "voc", the one that JPEGImages lies in.
        split: as in the names of lists or folders: "train", "val", for "voc" also "train_aug".

    Raises:
        FileNotFoundError: something is not there; the message says what is expected, and what there is.
        ValueError: there is no such kind, or a file is not what it should be.
    """
    if kind not in kinds():
        raise ValueError(f"deeplab.open_data: no kind {kind!r}; there are {', '.join(kinds())}")
    root = Path(root)
    layout = _VOC_AUG if kind == "voc" and split.endswith("_aug") else _LAYOUTS[kinds().index(kind)]
    layout = replace(layout, files=tuple(file.replace("{split}", split) for file in layout.files))
    if kind == "folder":
        layout = _with_folders_own(root, layout, split)
    data = DataSet(root, layout, _names(root, layout))
    list(data.subset([data.names[0], data.names[-1]]))  # what is missing shall be missed now, not in the last epoch
    return data


def _with_folders_own(root: Path, layout: _Layout, split: str) -> _Layout:
    """The layout with the classes of the folder, and without a list where all pictures are meant."""
    if (root / "classes.txt").is_file():
        classes = _lines(root / "classes.txt")
    else:
        labels = map(_indices, root.glob("labels/*.png"))
        largest = max((int(x.max(initial=0, where=x != VOID)) for x in labels), default=0)
        classes = [str(label) for label in range(largest + 1)]
    every = split == "all" and not (root / "all.txt").is_file()
    return replace(layout, classes=tuple(classes), files=layout.files[:2] if every else layout.files)


def _names(root: Path, layout: _Layout) -> list[str]:
    """The names of the pictures, at least one."""
    _, labels, *lists = layout.files
    missing = root / (lists or [labels])[0].format(name=layout.example)
    if lists:
        lines = _lines(missing) if missing.is_file() else []
        # DeepLab's own lists have "/JPEGImages/NAME.jpg /SegmentationClassAug/NAME.png".
        names = [PurePosixPath(line.partition(" /")[0]).name.removesuffix(".jpg") for line in lines]
    else:
        before, after = labels.split("{name}")
        paths = root.glob(before + re.sub("[^/]+", "*", layout.example) + after)
        names = sorted(path.relative_to(root).as_posix()[len(before) : -len(after)] for path in paths)
    if not names:
        raise _missing(missing, root, layout)
    return names


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _indices(path: Path) -> NDArray[np.uint8]:
    """What is stored in a PNG: the index of a colour, not the colour."""
    with opened(path) as file:
        if file.mode not in ("P", "L"):
            raise FileError(path, f"labels must be 8-bit PNGs, palette or grey; this one's mode is {file.mode}")
        require_rows(path, file)
        return np.array(file)


def _missing(path: Path, root: Path, layout: _Layout) -> FileNotFoundError:
    """What is expected, and what is there instead."""
    expected = ", ".join(layout.files).format(name=layout.example)
    folder = next(parent for parent in path.parents if parent.is_dir())
    there = sorted(entry.name for entry in folder.iterdir())
    found = ", ".join(there[:5]) + f" and {len(there) - 5} more" * (len(there) > 5) or "nothing"
    return FileNotFoundError(
        printable(  # names in lists may be anything
            f"deeplab.open_data: {path} is missing or empty; {layout.kind!r} needs, in {root}, files such as "
            f"{expected}; {folder} has {found}"
        )
    )
