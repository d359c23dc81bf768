"""All targets by name, with what a fuzzer does better than flipping bytes for their formats."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from . import mutators


@dataclass(frozen=True)
class Target:
    """A function of bytes that raises nothing, whatever they are.

    Attributes:
        module: of this package, imported when it is called: what it needs takes seconds to be instrumented.
        function: its name there.
        mutate: changes a case behind checksums and lengths: (case, change of some bytes, choices) to a case.
        words: what the format is made of.
    """

    module: str
    function: str
    mutate: Callable[..., bytes] | None = None
    words: tuple[str, ...] = ()

    def function_of_bytes(self):
        """The function."""
        return getattr(importlib.import_module(f".{self.module}", __package__), self.function)


TOML = ("=", "[", "]", "{", "}", "'''", '"""', "true", "inf", "nan", "1e400", "0xFF", "1979-05-27", "\\u007F", ".")
JSON = ("{", "}", "[", "]", ":", ",", "null", "NaN", "Infinity", "1e400", "\\ud800", "true", "\n")
NPY = ("'descr': ", "'fortran_order': ", "'shape': (", "<f4", "|O", "<i8", "|b1", "(")
PARAMETERS = ("w1", "sigma_alpha", "sigma_beta", "w2", "sigma_gamma", "normalization", "iterations", "source")
RECIPE = ("[solver]", "[data]", "[input]", "policy", "base_lr", "gamma", "step_size", "iterations", "crop", "weights")
RECORD = ("name", "error", "file", "size", "changed", "labels", "seconds", "when", "read", "refine", "write", "done")
LAYERS = ("conv1_1", "fc6", "bn1", "scale_conv1", "res05")

TARGETS = {
    "npy": Target("scores", "npy", words=NPY),
    "npz": Target("scores", "npz", mutators.behind_a_byte(mutators.zip_file), NPY),
    "torch": Target("scores", "torch", mutators.behind_a_byte(mutators.zip_file)),
    "labels": Target("scores", "labels", mutators.behind_a_byte(mutators.png)),
    "pictures": Target("pictures", "photograph", mutators.png),
    "data_set": Target("pictures", "data_set", mutators.behind_a_byte(mutators.png)),
    "parameters": Target("texts", "parameters", words=PARAMETERS + TOML),
    "recipe": Target("texts", "recipe", words=RECIPE + TOML),
    "journal": Target("texts", "journal", words=RECORD + JSON),
    "search": Target("texts", "search", words=(",", "\n", "nan", "1e400", "w1,sigma_alpha,sigma_beta,mean_iou")),
    "caffemodel": Target("networks", "load", mutators.protobuf, LAYERS),
    "pth": Target("networks", "load", mutators.zip_file, ("conv1_1.weight", "state_dict", "torch._utils")),
    "core_calls": Target("core_calls", "call"),
}
