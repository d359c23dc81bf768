"""The command ``python -m deeplab train``: a network, trained as a paper did; `deeplab.training` does the work."""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path

import torch.distributed

from deeplab.config import PUBLISHED, keys, published, read
from deeplab.training import Training, join, train
from densecrf._text import printable_lines

DESCRIPTION = """\
Trains a network with stochastic gradient descent, as one of the papers did or as a file says.

CONFIG is a TOML file or the name of a published experiment:

{experiments}

Their files lie in {folder} and say where their numbers come from. What they do not know is
where your data set and the weights to start from are:

  python -m deeplab train deeplab-v1-largefov --set data.root=VOC2012 start.weights=vgg16-397923af.pth
"""

EPILOG = """\
keys, as in --set; `pydoc deeplab.config` explains them:

{keys}

files in DIR:
  checkpoint.pt   weights, momentum and iteration, every run.checkpoint_every iterations; start.weights takes it too
  weights.pt      the weights, when all is done: for deeplab.weights.load, and for evaluate, predict and search
  log.csv         iteration, loss, learning rate and seconds of every iteration

Trains on the GPU if there is one that PyTorch can use (CUDA_VISIBLE_DEVICES= hides it). On several, or on several
machines, start it with torchrun; solver.batch is that of all processes together:

  torchrun --nproc-per-node 4 -m deeplab train CONFIG

Exit status: 0, 1 if the training failed or was stopped, 2 if there is something wrong with the arguments or the files.
"""


def main(argv: list[str]) -> int:
    """The command."""
    options = _parser().parse_args(argv)
    status = 2
    try:
        training, out = _prepared(options)
        status = 1
        train(training, out)
        status = 0
    except (FloatingPointError, OSError, ValueError) as error:
        print(f"python -m deeplab train: {printable_lines(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\npython -m deeplab train: stopped; --resume goes on from the last checkpoint", file=sys.stderr)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deeplab train",
        description=DESCRIPTION.format(experiments=_lines(published()), folder=PUBLISHED),
        epilog=EPILOG.format(keys=_lines(keys())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", metavar="CONFIG", help="a TOML file, or the name of a published experiment")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: runs/ and CONFIG's name)")
    parser.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="instead of what CONFIG has: solver.batch=10 run.seed=1",
    )
    parser.add_argument("--resume", action="store_true", help="go on from DIR's checkpoint, if there is one")
    return parser


def _lines(words: list[str]) -> str:
    return textwrap.fill(", ".join(words), 110, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _prepared(options: argparse.Namespace) -> tuple[Training, Path]:
    config = read(options.config, options.overrides)
    out: Path = options.out or Path("runs") / Path(options.config).stem
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists() and not options.resume:
        raise ValueError(f"there is a run in {out}: give --resume to go on with it, or another --out")
    training = Training(config, join())
    if checkpoint.exists():
        training.resume(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    return training, out
