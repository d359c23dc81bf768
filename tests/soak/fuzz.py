"""Coverage-guided fuzzing of every file format that is read, and of the compiled boundary: tests/fuzz/README.md.

    python tests/soak/fuzz.py                       a minute for each target
    python tests/soak/fuzz.py --cases 1000000 --target core

What is found is kept in tests/fuzz/findings, and the exit status is 1. What the fuzzer has learned is kept in
tests/fuzz/corpus, for the next time. The record has of every target its last run without a finding.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from figures import FOLDER, ROOT, record, recorded
from fuzz.targets import TARGETS

FUZZ = ROOT / "tests" / "fuzz"
BUILD = ROOT / "build-fuzz"
COMPILED = ("core", "twin")  # targets in C++
LIMITS = ("-timeout=60", "-rss_limit_mb=3000", "-print_final_stats=1")  # of seconds on the clock: the machine is busy
BYTES = {"core": 400, "twin": 400, "core_calls": 400}  # of a case; more elsewhere, where there are files
RUN = re.compile(r"stat::number_of_executed_units: +(\d+)")


class Outcome(NamedTuple):
    """What became of a target."""

    cases: int
    seconds: float
    findings: int


def main() -> int:
    options = _options()
    _require(options.target)
    if set(options.target) & set(COMPILED):
        _build([name for name in options.target if name in COMPILED])
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = dict(zip(options.target, pool.map(lambda name: _fuzz(name, options), options.target), strict=True))
    for name, outcome in outcomes.items():
        print(f"{name:<12}{outcome.cases:>10,} cases in {outcome.seconds:6.0f} s, {outcome.findings} findings")
    total = sum(outcome.cases for outcome in outcomes.values())
    findings = sum(outcome.findings for outcome in outcomes.values())
    print(f"{'all':<12}{total:>10,} cases, {findings} findings")
    clean = {name: outcome._asdict() for name, outcome in outcomes.items() if not outcome.findings}
    targets = _known() | clean
    record("fuzz", targets=targets, total=sum(target["cases"] for target in targets.values()))
    if findings:
        print(f"what was found lies in {FUZZ.relative_to(ROOT)}/findings", file=sys.stderr)
    return int(findings > 0)


def _known() -> dict[str, dict[str, float]]:
    """What was recorded of the targets before: a run of one does not forget the others."""
    return recorded("fuzz")["targets"] if (FOLDER / "fuzz.json").exists() else {}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = (*TARGETS, *COMPILED)
    parser.add_argument("--target", nargs="+", choices=names, default=list(names), help="default: all of them")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=1.0, help="for each target")
    length.add_argument("--cases", type=int, help="for each target")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="targets at a time")
    return parser.parse_args()


def _require(targets: list[str]) -> None:
    """Says what to install where something is missing."""
    if set(targets) & set(TARGETS) and importlib.util.find_spec("atheris") is None:
        raise SystemExit("fuzzing files needs atheris: pip install atheris (wheels for CPython 3.11 to 3.13 on Linux)")
    if set(targets) & set(COMPILED) and shutil.which("clang++") is None:
        raise SystemExit("fuzzing the core needs Clang with libFuzzer: apt-get install clang libclang-rt-14-dev")


def _build(targets: list[str]) -> None:
    """The targets in C++, with sanitizers; some minutes the first time."""
    pybind11 = [sys.executable, "-m", "pybind11", "--cmakedir"]
    configure = ["cmake", "-S", str(FUZZ), "-B", str(BUILD), "-G", "Ninja", "-DCMAKE_CXX_COMPILER=clang++"]
    configure += ["-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DDENSECRF_CUDA=OFF", f"-DPython_EXECUTABLE={sys.executable}"]
    configure += [f"-Dpybind11_DIR={subprocess.check_output(pybind11, text=True).strip()}"]
    for command in (configure, ["cmake", "--build", str(BUILD), "--target", *targets]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _fuzz(name: str, options: argparse.Namespace) -> Outcome:
    """Runs a target in a process of its own, until its time is over or it finds something."""
    corpus, findings, seeds = (FUZZ / folder / name for folder in ("corpus", "findings", "seeds"))
    for folder in (corpus, findings, seeds):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    length = f"-runs={options.cases}" if options.cases else f"-max_total_time={60 * options.minutes:.0f}"
    arguments = [length, *LIMITS, f"-max_len={BYTES.get(name, 6000)}", f"-artifact_prefix={findings}/"]
    arguments += _dictionary(name, findings.parent)
    program = [str(BUILD / name)] if name in COMPILED else [sys.executable, "-m", "fuzz.drive", name]
    start = time.monotonic()
    log = findings.parent / f"{name}.log"
    with log.open("w") as output:
        subprocess.run(
            [*program, *arguments, str(corpus), str(seeds)],
            cwd=ROOT / "tests",
            env=_environment(),
            stdout=output,
            stderr=output,
        )
    cases = RUN.search(log.read_text(errors="replace"))
    if cases is None:
        print(f"{name} ended early; {log.relative_to(ROOT)} says why", file=sys.stderr)
        return Outcome(0, round(time.monotonic() - start, 1), 1)
    return Outcome(int(cases[1]), round(time.monotonic() - start, 1), len(set(findings.iterdir()) - before))


def _environment() -> dict[str, str]:
    """One thread for each target, files in memory where that can be had, nothing but errors from the sanitizers."""
    memory = {"TMPDIR": "/dev/shm"} if Path("/dev/shm").is_dir() else {}
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    return {**os.environ, **memory, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "ASAN_OPTIONS": "detect_leaks=0"}


def _dictionary(name: str, folder: Path) -> list[str]:
    """The words of a format, as libFuzzer takes them."""
    words = TARGETS[name].words if name in TARGETS else ()
    path = folder / f"{name}.words"
    path.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"\n' for word in words))
    return [f"-dict={path}"] if words else []


if __name__ == "__main__":
    sys.exit(main())
