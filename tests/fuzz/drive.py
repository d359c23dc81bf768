"""Fuzzes one target with atheris: ``python -m fuzz.drive NAME`` and libFuzzer's arguments, from the folder tests."""

import importlib
import inspect
import json
import sys
import warnings
import zipfile

import atheris
import torch  # and all that it imports, before anything is instrumented: it would take minutes

from fuzz import mutators
from fuzz.targets import TARGETS

PROJECT = ["densecrf", "deeplab", "fuzz", "tomllib"]
# What it reads with, where that is Python.
READERS = [zipfile, json.decoder, torch._weights_only_unpickler, torch.serialization, torch._utils]
READERS += map(importlib.import_module, ("numpy.lib._format_impl", "PIL.PngImagePlugin", "PIL.TiffImagePlugin"))


def instrument(module):
    """Coverage of a module that is imported already."""
    own = [x for x in vars(module).values() if getattr(x, "__module__", None) == module.__name__]
    methods = [x for cls in own if inspect.isclass(cls) for x in vars(cls).values()]
    for function in filter(inspect.isfunction, own + methods):
        atheris.instrument_func(function)


def mutator(mutate):
    """A target's mutation as libFuzzer calls it; now and then it is left to libFuzzer."""

    def changed(data, most, seed):
        rng = mutators.generator(seed)
        if rng.random() < 0.3:
            return atheris.Mutate(data, most)
        return mutate(data, lambda some: atheris.Mutate(some, max(len(some) + 64, 64)), rng)[:most]

    return changed


def main(name, arguments):
    warnings.simplefilter("ignore")  # damaged pictures make Pillow warn
    target = TARGETS[name]
    for module in READERS:
        instrument(module)
    with atheris.instrument_imports(include=PROJECT):
        fuzz_one = target.function_of_bytes()
    options = {"custom_mutator": mutator(target.mutate)} if target.mutate else {}
    atheris.Setup([name, *arguments], fuzz_one, **options)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
