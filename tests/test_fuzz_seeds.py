"""Every seed of the fuzzer, and every input it or we found, through its target: no fuzzer is needed for that."""

import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")
pytest.importorskip("typer")

from fuzz.targets import TARGETS

SEEDS = Path(__file__).parent / "fuzz" / "seeds"


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_once_stays_mended(name):
    seeds = sorted((SEEDS / name).iterdir())
    assert seeds
    fuzz_one = TARGETS[name].function_of_bytes()
    for seed in seeds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged pictures make Pillow warn
            fuzz_one(seed.read_bytes())


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "core_calls"])
def test_a_seed_that_is_cut_anywhere_is_an_outcome_too(name):
    fuzz_one = TARGETS[name].function_of_bytes()
    seed = min((path for path in (SEEDS / name).iterdir() if not path.name.startswith("found-")), key=str).read_bytes()
    for length in range(0, len(seed), 1 + len(seed) // 20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fuzz_one(seed[:length])


@pytest.mark.skipif(shutil.which("clang++") is None, reason="libFuzzer's targets need Clang")
@pytest.mark.parametrize("name", ["core", "twin"])
def test_the_targets_in_cpp_fit_what_they_call(name):
    options = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-DDENSECRF_TWIN"]
    checked = subprocess.run(
        ["clang++", *options, str(SEEDS.parent / f"{name}.cpp")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
