"""What the commands evaluate, predict and search have in common: arguments, messages and progress."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import torch

import deeplab
from deeplab import config, weights
from deeplab.data import DataSet, kinds, open_data
from deeplab.scores import NetworkScores, Scorer, StoredScores, Views
from densecrf._text import printable_lines

Item = TypeVar("Item")

PRESETS = """\
the CRF's parameters: a name of densecrf.presets (deeplab-v2 for ResNet-101, deeplab-v2-vgg, deeplab-v1, deeplab-v1-msc,
deeplab-v1-coco, ...; all are of PASCAL VOC) or a TOML file of `python -m deeplab search` (default: %(default)s)"""


def parser(name: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A command's parser, whose description and epilog are printed as they are."""
    formatter = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(
        f"python -m deeplab {name}", description=description, epilog=epilog, formatter_class=formatter
    )


def run(command: Callable[[argparse.Namespace], int], parser: argparse.ArgumentParser, argv: list[str]) -> int:
    """Runs a command; what is wrong with its arguments or files is one sentence on stderr, and 2."""
    options = parser.parse_args(argv)
    try:
        return command(options)
    except (OSError, ValueError) as error:
        print(f"{parser.prog}: {printable_lines(error)}", file=sys.stderr)
        return 2


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The items, while stderr says how many are done and how long the rest will take, at most once a second."""
    start = told = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - told >= 1 or done == total:
            left = (now - start) / done * (total - done)
            print(f"{what}: {done} of {total}, {clock(left)} left", file=sys.stderr, flush=True)
            told = now


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


# ---- arguments --------------------------------------------------------------------------------------------------


def add_network(parser: argparse.ArgumentParser, *, optional: bool) -> None:
    """NETWORK and WEIGHTS, which are optional where there may be stored scores instead, and how pictures are seen."""
    count = "?" if optional else None
    parser.add_argument(
        "network",
        metavar="NETWORK",
        nargs=count,
        help=f"the TOML file it was trained with, or one of {', '.join(deeplab.names())}",
    )
    parser.add_argument(
        "weights",
        metavar="WEIGHTS",
        nargs=count,
        type=Path,
        help="a file of this network's weights: see deeplab.weights",
    )
    group = parser.add_argument_group("how the network sees a picture")
    group.add_argument(
        "--msc", action="store_true", help="the maximum of scores at scales 1, 0.75 and 0.5, as v2's ResNet-101 has it"
    )
    group.add_argument(
        "--scales", type=numbers, default=(1.0,), metavar="S,S,...", help="average the soft-max over these scales"
    )
    group.add_argument("--flip", action="store_true", help="average with the flipped picture")
    group.add_argument("--tile", type=int, metavar="SIZE", help="cut larger pictures into squares of this side")
    group.add_argument("--overlap", type=int, default=0, metavar="N", help="let tiles overlap by N pixels (default: 0)")
    default = "cuda" if torch.cuda.is_available() else "cpu"
    group.add_argument("--device", type=device, default=default, help="cpu or cuda (default: %(default)s)")


def add_data(parser: argparse.ArgumentParser) -> None:
    """The data set, and stored scores."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        required=True,
        metavar="KIND",
        help=f"one of {', '.join(kinds())}; deeplab.data says which files these have",
    )
    group.add_argument("--root", required=True, type=Path, metavar="DIR", help="its folder")
    group.add_argument("--split", default="val", metavar="NAME", help="its part (default: %(default)s)")
    group.add_argument(
        "--scores",
        type=Path,
        metavar="DIR",
        help="instead of NETWORK and WEIGHTS: logits of any network, NAME.npy or .npz for every picture; (classes, "
        "height, width), or smaller, and stretched to the picture, corners on corners",
    )


def device(text: str) -> str:
    """A device that this machine has."""
    if text != "cpu" and not (text.startswith("cuda") and torch.cuda.is_available()):
        raise argparse.ArgumentTypeError(f"must be cpu, or cuda where there is a GPU; got {text!r}")
    return text


def numbers(text: str) -> tuple[float, ...]:
    """Numbers with commas between them."""
    try:
        return tuple(map(float, text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be numbers with commas between them, such as 0.5,1; got {text!r}"
        ) from error


def span(text: str) -> tuple[float, ...]:
    """The numbers of first:last, first:step:last (the last included), or a,b,c."""
    try:
        if ":" not in text:
            return numbers(text)
        first, *middle, last = map(float, text.split(":"))
        (step,) = middle or [1.0]
        count = int((last - first) / step + 1 + 1e-9)
        if count < 1 or step <= 0:
            raise ValueError
    except (ValueError, ArithmeticError, argparse.ArgumentTypeError) as error:
        raise argparse.ArgumentTypeError(f"must be first:last, first:step:last or a,b,c; got {text!r}") from error
    return tuple(first + step * i for i in range(count))


def positive(text: str) -> int:
    """A number of things, at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


# ---- what they ask for ------------------------------------------------------------------------------------------


def data_of(options: argparse.Namespace) -> DataSet:
    """The data set."""
    return open_data(options.data, options.root, options.split)


def scorer_of(options: argparse.Namespace, data: DataSet) -> Scorer:
    """What gives the scores of the data set's pictures."""
    if (options.scores is None) == (options.weights is None):
        raise ValueError("scores come from NETWORK and WEIGHTS or from --scores DIR: give one of the two")
    if options.scores is None:
        return network_of(options, data.n_classes)
    stored = StoredScores(options.scores, options.device)
    stored.require(data.names)
    return stored


def network_of(options: argparse.Namespace, n_classes: int) -> NetworkScores:
    """The network with its weights.

    Raises:
        ValueError, OSError: no such network or file, or the file has not all that the network needs.
    """
    views = Views(options.scales, options.flip, options.tile, options.overlap)
    if not options.weights.is_file():
        raise FileNotFoundError(f"there is no file of weights {options.weights}")
    network = built(options.network, n_classes)
    kept = weights.load(network, options.weights)
    if kept:
        raise ValueError(
            f"{options.weights} has no {kept[0]}: the network is yet to be trained (python -m deeplab train)"
        )
    network = deeplab.MultiScale(network) if options.msc else network
    return NetworkScores(network.to(options.device), views)


def built(name: str, n_classes: int) -> deeplab.Network:
    """The network of a name, or of the file that it was trained with."""
    return config.read(name).build(n_classes) if name.endswith(".toml") else deeplab.build(name, n_classes)
