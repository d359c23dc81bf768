"""``densecrf batch``: whole data sets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from densecrf._text import printable
from densecrf.batch import Engine, Options, Recipe, Summary, run, shards, shown
from densecrf.cli import say
from densecrf.cli.options import MACHINE, CrfOptions, Device, FileOptions, Json, LabelOptions, words

HELP = """\
Refine whole data sets: everything that has no output yet, and nothing twice.

IMAGES is a folder of pictures, or a pattern in quotes; PROBS a folder with what a network says of them, by the same \
names; OUT a folder. See densecrf refine --help for what the files may be. A run that was stopped goes on with the \
same call. A picture that cannot be refined stops nothing: errors.jsonl in OUT says which and why, results.csv what \
changed, summary.html both.
"""

EXAMPLES = """\
Examples:

  densecrf batch JPEGImages scores refined

  densecrf batch 'pictures/**/*.jpg' logits out --logits --write probs --preset found/preset.toml

  densecrf batch JPEGImages scores refined --shard 3/8

  densecrf batch JPEGImages scores refined --engine ray --workers 32

Exit status: 0; 1 where pictures failed; 2 for wrong arguments or folders; 130 where it was interrupted.
"""

WORK = "How the work is done"


@dataclass(frozen=True)
class EngineOptions:
    """What the work is done on."""

    engine: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="local: processes of this machine; ray: a Ray cluster.",
            autocompletion=words("local", "ray"),
            rich_help_panel=WORK,
        ),
    ] = "local"
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes or actors; one per core or GPU otherwise.", rich_help_panel=WORK),
    ] = None
    address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of the Ray cluster.", rich_help_panel=WORK)
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of each worker; a fair share otherwise.", rich_help_panel=MACHINE),
    ] = None
    device: Device = "cpu"

    def chosen(self) -> Engine:
        """What these say.

        Raises:
            ValueError: a value cannot be.
        """
        values: dict[str, Any] = vars(self)
        return Engine(**{"name" if name == "engine" else name: value for name, value in values.items()})


@dataclass(frozen=True)
class ShareOptions:
    """Which pictures are done."""

    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="This share of the pictures, 0/N to N-1/N; what RANK and WORLD_SIZE or a Slurm array say otherwise.",
            rich_help_panel=WORK,
        ),
    ] = None
    limit: Annotated[int | None, typer.Option(metavar="N", help="The first N pictures only.", rich_help_panel=WORK)] = (
        None
    )
    thumbnails: Annotated[
        int, typer.Option(metavar="N", min=0, help="Pictures that summary.html shows.", rich_help_panel=WORK)
    ] = 12

    def chosen(self) -> dict[str, Any]:
        """What these say.

        Raises:
            ValueError: there is no such share.
        """
        shard = None if self.shard is None else shards.parse(self.shard)
        return {"shard": shard, "limit": self.limit, "thumbnails": self.thumbnails}


def command(
    images: Annotated[str, typer.Argument(metavar="IMAGES", help="Folder or pattern of pictures.")],
    probs: Annotated[Path, typer.Argument(metavar="PROBS", help="Folder of what the network says of them.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    crf: CrfOptions,
    files: FileOptions,
    labels: LabelOptions,
    engine: EngineOptions,
    share: ShareOptions,
    write: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="labels (PNG with a palette), mask (grey PNG), probs (.npz) or overlay (PNG).",
            autocompletion=words("labels", "mask", "probs", "overlay"),
        ),
    ] = "labels",
    as_json: Json = False,
) -> None:
    """Refines a data set and says how it ended."""
    with say.errors_of("batch"):
        kind: Any = write
        recipe = Recipe(crf.parameters(), kind, files.reading(**vars(labels)))
        options = Options(images, probs, out, recipe, engine.chosen(), **share.chosen())
        with shown() as progress:
            summary = run(options, progress)
    if as_json:
        say.as_json(_result(summary))
    else:
        _print(summary)
    raise typer.Exit(summary.exit_status)


def _result(summary: Summary) -> dict[str, Any]:
    progress = summary.progress
    rate = {"pictures_per_second": progress.rate, "interrupted": summary.interrupted}
    return {"out": str(summary.out), **asdict(progress), **rate}


def _print(summary: Summary) -> None:
    progress = summary.progress
    done = f"{progress.done} of {progress.total} pictures, {progress.rate:.2f} a second"
    print(f"refined  {done}; {progress.before} had been done before")
    if progress.failed:
        print(f"failed   {progress.failed}; {printable(summary.out / 'errors.jsonl')} says why")
    if summary.interrupted:
        print(f"stopped  {progress.total - progress.handled} are left; the same call does them")
    else:
        print(f"written  {printable(summary.out / 'summary.html')}")
