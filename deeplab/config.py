"""What a training run is made of, as read from a TOML file and checked before anything else happens.

>>> from deeplab import config
>>> config.read("deeplab-v2-resnet101-aspp", ["data.root=VOC2012", "run.workers=8"]).solver.base_lr
0.00025
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, get_type_hints

import deeplab
from densecrf._files import read_toml, reason_of
from densecrf._text import printable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PUBLISHED = Path(__file__).parent / "configs"

Table = TypeVar("Table")


class Rule(NamedTuple):
    """What a key needs, in words and as a check."""

    needed: str
    holds: Callable[[Any], bool]


def _is_whole(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool) and abs(x) < 2**63  # as TOML has it; tomllib reads any


def _is_number(x: Any) -> bool:
    return _is_whole(x) or (isinstance(x, float) and math.isfinite(x))


def _is_one_of(*choices: str) -> Rule:
    return Rule("one of " + ", ".join(choices), lambda x: x in choices)


def _is_list(x: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(x, tuple) and all(holds(item) for item in x)


Text = Annotated[str, Rule("a text", lambda x: isinstance(x, str))]
Texts = Annotated[tuple[str, ...], Rule("a list of texts", lambda x: _is_list(x, lambda item: isinstance(item, str)))]
Switch = Annotated[bool, Rule("true or false", lambda x: isinstance(x, bool))]
Count = Annotated[int, Rule("a whole number of at least 1", lambda x: _is_whole(x) and x >= 1)]
Whole = Annotated[int, Rule("a whole number of at least 0", lambda x: _is_whole(x) and x >= 0)]
Positive = Annotated[float, Rule("a number above 0", lambda x: _is_number(x) and x > 0)]
NotNegative = Annotated[float, Rule("a number of at least 0", lambda x: _is_number(x) and x >= 0)]
Fraction = Annotated[float, Rule("a number from 0 to below 1", lambda x: _is_number(x) and 0 <= x < 1)]
Scales = Annotated[
    tuple[float, ...],
    Rule("a list of numbers above 0", lambda x: x != () and _is_list(x, lambda item: _is_number(item) and item > 0)),
]
Policy = Annotated[str, _is_one_of("poly", "step", "fixed")]
Precision = Annotated[str, _is_one_of("float32", "bfloat16", "float16")]


@dataclass(frozen=True)
class Data:
    """The pictures: arguments of `deeplab.data.open_data`, which also says how many classes there are."""

    kind: Text
    root: Text
    split: Text


@dataclass(frozen=True)
class Start:
    """The weights to start from: arguments of `deeplab.weights.load`. Without a file, those of `deeplab.build`."""

    weights: Text = ""
    skip: Texts = ()
    bgr: Switch = False


@dataclass(frozen=True)
class Input:
    """How pictures become what the network is fed.

    Attributes:
        crop: rows and columns of what is cut out at random, padded where the picture is smaller; 0: whole pictures.
        scales: one of these is drawn for every picture.
        mirror: whether half of the pictures are mirrored.
    """

    crop: Whole
    scales: Scales = (1.0,)
    mirror: Switch = True


@dataclass(frozen=True)
class Solver:
    """Stochastic gradient descent, with the names of Caffe's solvers.

    Attributes:
        iterations: steps.
        batch: pictures a step, of all processes and passes together.
        accumulate: passes that the pictures of a step are split into, Caffe's iter_size; gradients are averaged.
        base_lr: the learning rate at first.
        policy: "poly": (1 - iteration / iterations) ^ power; "step": gamma ^ (iteration // step_size); "fixed".
        power: of "poly".
        step_size: of "step"; needed there.
        gamma: of "step".
        momentum: of all parameters.
        weight_decay: of weights; biases have none.
        bias_rate: the learning rate of biases, in those of weights.
        classifier_rate: the learning rate of the layer that makes the scores, in those of other layers.
        freeze: modules that keep their parameters.
    """

    iterations: Count
    batch: Count
    base_lr: Positive
    policy: Policy
    accumulate: Count = 1
    power: Positive = 0.9
    step_size: Whole = 0
    gamma: Positive = 0.1
    momentum: Fraction = 0.9
    weight_decay: NotNegative = 5e-4
    bias_rate: NotNegative = 2.0
    classifier_rate: NotNegative = 10.0
    freeze: Texts = ()


@dataclass(frozen=True)
class Loss:
    """The soft-max cross entropy of pixels with a label.

    Attributes:
        multi_scale: DeepLab v2's sum of four, with `deeplab.MultiScale` around the network.
        mean: whether it is the mean over the pixels of a pass, as for DeepLab; otherwise the sum, as for FCN.
    """

    multi_scale: Switch = False
    mean: Switch = True


@dataclass(frozen=True)
class Run:
    """How a run is carried out; but for the seed and the precision, its result does not depend on it.

    Attributes:
        seed: of first weights, order, augmentation and dropout.
        checkpoint_every: iterations between checkpoints; there is one after the last in any case.
        workers: processes that read pictures, of every process that trains; 0: it reads them itself.
        precision: of the network's arithmetic; weights are float32. "float16" is for CUDA.
        tensorboard: whether to write for TensorBoard, which is to be installed.
    """

    seed: Whole = 0
    checkpoint_every: Count = 1000
    workers: Whole = 2
    precision: Precision = "float32"
    tensorboard: Switch = False


@dataclass(frozen=True)
class Config:
    """A training run. Attributes without a description are tables of the file.

    Attributes:
        network: its name, for `deeplab.build`.
        width: of the network; see there.
        batch_norm: whether the network has batch normalisation; see there.
    """

    network: Annotated[str, _is_one_of(*deeplab.names())]
    data: Data
    input: Input
    solver: Solver
    width: Positive = 1.0
    batch_norm: Switch = False
    start: Start = field(default_factory=Start)
    loss: Loss = field(default_factory=Loss)
    run: Run = field(default_factory=Run)

    def build(self, n_classes: int = 21) -> deeplab.Network:
        """The network, without weights."""
        return deeplab.build(self.network, n_classes, width=self.width, batch_norm=self.batch_norm)


def published() -> list[str]:
    """The names of the published experiments that are here."""
    return sorted(path.stem for path in PUBLISHED.glob("*.toml"))


def read(name: str | Path, overrides: Sequence[str] = ()) -> Config:
    """The configuration in a file, or that of a published experiment, by its name.

    Args:
        name: the path of a TOML file, or one of `published`.
        overrides: "key=value" with the full name of a key, such as "solver.batch=10"; values as in TOML, or text.

    Raises:
        ValueError: a key is missing, unknown or has an impossible value; the message names it.
        FileNotFoundError: there is neither such a file nor such an experiment.
    """
    path = PUBLISHED / f"{name}.toml" if str(name) in published() else Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(name)!r}, and no experiment; there are {', '.join(published())}")
    try:
        tables = read_toml(path)
        for override in overrides:
            _put(tables, override)
        config = _table(Config, tables, "")
        _check_together(config)
    except ValueError as error:
        raise ValueError(f"{path}: {printable(reason_of(error))}") from error
    return config


def keys(cls: Any = Config, prefix: str = "") -> list[str]:
    """The full names of all keys."""
    names = []
    for name, hint in get_type_hints(cls).items():
        names += keys(hint, f"{name}.") if dataclasses.is_dataclass(hint) else [prefix + name]
    return names


def _put(tables: dict[str, Any], override: str) -> None:
    """Puts a value from the command line where the file would have it."""
    key, equals, text = override.partition("=")
    if not equals:
        raise ValueError(f"--set needs KEY=VALUE, got {override!r}")
    if key not in keys():
        raise ValueError(_unknown(key))
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *outer, name = key.split(".")
    for table in outer:
        tables = tables.setdefault(table, {})
    if isinstance(tables, dict):  # if the file is wrong there, that is told later
        tables[name] = value


def _table(cls: type[Table], table: Any, prefix: str) -> Table:
    """A dataclass from what a file has for it; names in messages have the prefix."""
    if not isinstance(table, Mapping):
        raise ValueError(f"{prefix[:-1]} must be a table, got {table!r}")
    hints = get_type_hints(cls, include_extras=True)
    for name in table:
        if name not in hints:
            raise ValueError(_unknown(prefix + name))
    given = {name: {} for name, hint in hints.items() if dataclasses.is_dataclass(hint)} | dict(table)
    for part in dataclasses.fields(cls):  # type: ignore[arg-type]  # mypy cannot tell that cls is a dataclass
        if part.name not in given and part.default is dataclasses.MISSING:
            raise ValueError(f"{prefix}{part.name} is missing")
    return cls(**{name: _value(hints[name], value, prefix + name) for name, value in given.items()})


def _value(hint: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _table(hint, value, f"{key}.")  # type: ignore[arg-type]  # a class, not an instance
    (rule,) = hint.__metadata__
    value = tuple(value) if isinstance(value, list) else value
    if not rule.holds(value):
        raise ValueError(f"{key} must be {rule.needed}, got {value!r}")
    return value


def _unknown(key: str) -> str:
    """Says that there is no such key, and which might have been meant."""
    same = [known for known in keys() if known.split(".")[-1] == key.split(".")[-1]]
    close = same or difflib.get_close_matches(key, keys(), n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(keys())}"
    return f"there is no key {key}; {hint}"


def _check_together(config: Config) -> None:
    """Checks what no key says alone."""
    solver = config.solver
    if solver.batch % solver.accumulate:
        raise ValueError(f"solver.accumulate must divide solver.batch, got {solver.accumulate} and {solver.batch}")
    if config.input.crop == 0 and solver.batch != solver.accumulate:
        raise ValueError(
            f"solver.accumulate must be solver.batch where input.crop is 0, because whole pictures differ in size; "
            f"got {solver.accumulate} and {solver.batch}"
        )
    if config.loss.multi_scale and config.input.crop % 32 != 1:
        # Or the scores of scale 0.75 are not where those of scale 1 are.
        raise ValueError(f"input.crop must be 32k + 1 where loss.multi_scale is true, got {config.input.crop}")
    if solver.policy == "step" and not solver.step_size:
        raise ValueError('solver.step_size is missing, which solver.policy "step" needs')
