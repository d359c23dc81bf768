"""Labels pictures: ``python -m deeplab predict``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplab import commands
from deeplab.crf import save_labels
from deeplab.evaluate import likeliest, refined
from densecrf._files import FileError, read_image, write_overlay
from densecrf._parameters import resolve
from densecrf._text import printable

DESCRIPTION = """\
Label pictures.

Writes DIR/NAME.png for every picture: its labels, 0 to 255, as a PNG with the colours of PASCAL VOC. With --overlay
also DIR/overlay/NAME.png: the labels over the picture. A picture that cannot be read does not stop the others; such are
listed at the end, and the exit status is then 1.
"""

EPILOG = """\
examples:
  python -m deeplab predict deeplab-v2-resnet101-aspp train2_iter_20000.caffemodel cat.jpg --out labels --msc --overlay
  python -m deeplab predict fcn8s fcn8s-heavy-pascal.caffemodel holiday/ --out labels --no-crf --resume
"""

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


def main(argv: list[str]) -> int:
    """Runs the command with these arguments; gives the exit status."""
    return commands.run(_run, _parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = commands.parser("predict", DESCRIPTION, EPILOG)
    commands.add_network(parser, optional=False)
    parser.add_argument("pictures", metavar="PICTURE|FOLDER", nargs="+", type=Path, help="what to label")
    parser.add_argument(
        "--classes", type=commands.positive, default=21, metavar="N", help="of the network (default: %(default)s)"
    )
    parser.add_argument("--preset", default="deeplab-v2", metavar="NAME|FILE", help=commands.PRESETS)
    parser.add_argument("--no-crf", action="store_true", help="the network's labels as they are")
    parser.add_argument("--overlay", action="store_true", help="also draw the labels over the pictures")
    parser.add_argument("--resume", action="store_true", help="leave out the pictures that are done")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where to write")
    return parser


def _run(options: argparse.Namespace) -> int:
    preset = None if options.no_crf else resolve(options.preset).preset()
    targets = {path: _targets(options, path) for path in _pictures(options.pictures)}
    _check_names(targets)
    if options.resume:
        targets = {path: files for path, files in targets.items() if not all(file.exists() for file in files)}
    scorer = commands.network_of(options, options.classes)
    unreadable = []
    for path in commands.progress(targets, len(targets), "predict"):
        try:
            image = read_image(path)
        except FileError as error:
            unreadable.append(printable(error))
            continue
        scores = scorer(path.name, image)
        _write(targets[path], image, likeliest(refined(image, scores, preset) if preset else scores, options.classes))
    if unreadable:
        print(
            f"{len(unreadable)} of {len(targets)} pictures could not be read:", *unreadable, sep="\n  ", file=sys.stderr
        )
    return 1 if unreadable else 0


def _pictures(places: list[Path]) -> list[Path]:
    """The files, and those in the folders that look like pictures."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES)
        elif place.exists():
            found.append(place)
        else:
            raise FileNotFoundError(f"there is no picture or folder {place}")
    if not found:
        raise FileNotFoundError(f"no pictures ({', '.join(SUFFIXES)}) in {', '.join(map(str, places))}")
    return list(dict.fromkeys(found))


def _targets(options: argparse.Namespace, path: Path) -> list[Path]:
    """The files to be written about a picture: labels, and the overlay if there is to be one."""
    folders = [options.out, options.out / "overlay"][: 1 + options.overlay]
    return [folder / f"{path.stem}.png" for folder in folders]


def _check_names(targets: dict[Path, list[Path]]) -> None:
    """Refuses to write twice to a file, or over a picture."""
    sources = {path.resolve() for path in targets}
    owners: dict[Path, Path] = {}
    for path, (labels, *_) in targets.items():
        owner = owners.setdefault(labels, path)
        if owner is not path:
            raise ValueError(
                f"{labels} would get the labels of {owner} and of {path}; label one of them to another --out"
            )
        if labels.resolve() in sources:
            raise ValueError(f"the labels of {path} would overwrite the picture {labels}; choose another --out")


def _write(targets: list[Path], image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Writes the labels, then the overlay if there is to be one."""
    save_labels(targets[0], labels)
    for overlay in targets[1:]:
        write_overlay(overlay, image, labels)
