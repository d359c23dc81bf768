"""Fuzzes one target with atheris: ``python -m fuzz.drive NAME`` and libFuzzer's arguments, from the folder tests."""

import sys
import warnings

import atheris

from fuzz import mutators
from fuzz.targets import TARGETS

# What reads: the project, and what it reads with. Not all of Pillow, whose import would take a minute.
INSTRUMENTED = [
    "fuzz.core_calls",
    "densecrf",
    "deeplab",
    "zipfile",
    "tomllib",
    "json",
    "PIL.PngImagePlugin",
    "numpy.lib._format_impl",
    "torch._weights_only_unpickler",
]


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
    with atheris.instrument_imports(include=INSTRUMENTED):
        fuzz_one = target.function_of_bytes()
    options = {"custom_mutator": mutator(target.mutate)} if target.mutate else {}
    atheris.Setup([name, *arguments], fuzz_one, **options)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
