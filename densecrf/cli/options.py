"""Options that several commands take, as groups: dataclasses whose fields become flags."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, cast, get_type_hints

import typer

from densecrf import _device, _parameters, presets
from densecrf._files import Reading
from densecrf._parameters import Parameters

CRF = "The CRF's parameters"
INPUT = "What the files mean"
MACHINE = "The machine"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def flattened(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer, which knows no groups: the fields of dataclasses among its parameters become parameters."""
    # Not `get_type_hints`, whose Optional around what is None by default hides flags from typer under Python 3.10.
    given = inspect.signature(command, eval_str=True).parameters
    groups = {name: parameter.annotation for name, parameter in given.items() if is_dataclass(parameter.annotation)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in given.items():
        group = groups.get(name)
        parameters += _of_group(group) if group else [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]

    def flat(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = cast(Any, group)(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return flat


def _of_group(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]


def _presets(incomplete: str) -> list[tuple[str, str]]:
    return [(name, preset.source) for name, preset in presets.items() if name.startswith(incomplete)]


def words(*words: str) -> Callable[[str], list[str]]:
    """Completes one of these words, for an option's ``autocompletion``."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def _number(about: str) -> Any:
    """One of the parameters that are numbers."""
    return typer.Option(metavar="X", help=about, rich_help_panel=CRF)


Device = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        help="cpu, cuda, or cuda:1 for the second GPU; needs torch.",
        autocompletion=words("cpu", "cuda"),
        rich_help_panel=MACHINE,
    ),
]


@dataclass(frozen=True)
class CrfOptions:
    """The CRF's parameters: a preset or a file, and single values instead of what these have."""

    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="A published parameter set (densecrf info lists them), or a TOML file with w1, sigma_alpha, ... as "
            "python -m deeplab search writes it. Default: deeplab-v2.",
            autocompletion=_presets,
            rich_help_panel=CRF,
        ),
    ] = None
    w1: Annotated[float | None, _number("Weight of the bilateral kernel.")] = None
    sigma_alpha: Annotated[float | None, _number("Its standard deviation in pixels.")] = None
    sigma_beta: Annotated[float | None, _number("Its standard deviation in colours of 0 to 255.")] = None
    w2: Annotated[float | None, _number("Weight of the Gaussian kernel.")] = None
    sigma_gamma: Annotated[float | None, _number("Its standard deviation in pixels.")] = None
    normalization: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="Of both kernels: symmetric, before, after or none.",
            autocompletion=words("symmetric", "before", "after", "none"),
            rich_help_panel=CRF,
        ),
    ] = None
    iterations: Annotated[
        int | None, typer.Option(metavar="N", help="Of mean field; the preset's own otherwise.", rich_help_panel=CRF)
    ] = None

    def parameters(self) -> Parameters:
        """What these say.

        Raises:
            ValueError: there is no such preset, or a value cannot be.
        """
        return _parameters.resolve(**vars(self))


@dataclass(frozen=True)
class FileOptions:
    """How files with scores, labels and masks are to be understood."""

    logits: Annotated[
        bool,
        typer.Option("--logits", help="Arrays are raw scores, from before the soft-max.", rich_help_panel=INPUT),
    ] = False
    key: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The array to take from an .npz or .pt file that holds several.", rich_help_panel=INPUT
        ),
    ] = None
    grey: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="What grey pictures are: a mask (0 to 255: probability of the foreground) or labels. Judged by their "
            "values otherwise.",
            autocompletion=words("mask", "labels"),
            rich_help_panel=INPUT,
        ),
    ] = None

    def reading(self, **more: Any) -> Reading:
        """What these say.

        Raises:
            ValueError: a value cannot be.
        """
        return Reading(**vars(self), **more)


@dataclass(frozen=True)
class LabelOptions:
    """How far labels are trusted."""

    confidence: Annotated[
        float,
        typer.Option(
            metavar="P",
            help="Probability that a label, or a pixel of a black and white mask, is right.",
            rich_help_panel=INPUT,
        ),
    ] = 0.7
    n_labels: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="How many labels there are; one more than the largest otherwise.", rich_help_panel=INPUT
        ),
    ] = None


@dataclass(frozen=True)
class MachineOptions:
    """What to work with."""

    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="On the CPU; DENSECRF_NUM_THREADS, OMP_NUM_THREADS or all cores otherwise.",
            rich_help_panel=MACHINE,
        ),
    ] = None
    device: Device = "cpu"

    def require(self) -> None:
        """Raises a ValueError where the device cannot be had, and says why."""
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"--threads must be at least 1, got {self.threads}")
        _device.require(self.device)
