"""Calls the whole API with everything for as long as one likes: `python tests/soak/api.py --minutes 15`.

The properties are those of tests/test_fuzz_*.py, with many more examples and another seed in every round. Each file
runs in a process of its own, with faulthandler, a limit on its memory and one on its time, so that a crash or a hang is
a finding and not the end. What was found is printed, and then nothing is recorded.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from figures import ROOT, record  # first: it says where the tests lie
from fuzz_judge import Tally

FILES = sorted(path.name for path in (ROOT / "tests").glob("test_fuzz_*.py"))
EXAMPLES = 5  # times as many as in the default suite, in every process
MEMORY = 12 << 30  # bytes of addresses: who asks for more than the machine has is stopped before the machine is
LONGEST = 900.0  # seconds of one process


class Found:
    """What all processes did until now."""

    def __init__(self) -> None:
        self.tally, self.findings = Tally(), 0


def main() -> int:
    """Runs the files until the time is over; 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    options = parser.parse_args()
    started, found = time.monotonic(), Found()
    with ThreadPoolExecutor(options.jobs) as pool:
        for job in range(options.jobs):
            pool.submit(work, job, options.jobs, started + 60 * options.minutes, found)
    if found.findings or not found.tally.cases:
        print(f"{found.findings} of the processes found something" if found.tally.cases else "nothing ran")
        return 1
    record(
        "api",
        cases=found.tally.cases,
        findings=0,
        exceptions=dict(found.tally.outcomes.most_common()),
        slowest_seconds=round(found.tally.slowest, 3),
        slowest_call=found.tally.slowest_call,
        seconds=round(time.monotonic() - started),
    )
    return 0


def work(job: int, at_once: int, end: float, found: Found) -> None:
    """Runs all files with one seed after the other, and begins none when the time is over."""
    first = job * len(FILES) // at_once  # so that together they come to every file early
    files = FILES[first:] + FILES[:first]
    for seed, file in ((seed, file) for seed in itertools.count(job, at_once) for file in files):
        if time.monotonic() > end:
            return
        print(f"{run(file, seed, found)}; {found.tally.cases:,} cases until now", flush=True)


def run(file: str, seed: int, found: Found) -> str:
    """Runs one file and adds up what it did; gives the last line of what it says, and prints all of it if it failed."""
    with tempfile.NamedTemporaryFile(suffix=".json") as tally:
        environment = os.environ | {"DENSECRF_FUZZ_EXAMPLES": str(EXAMPLES), "DENSECRF_FUZZ_TALLY": tally.name}
        environment.pop("CI", None)  # which would ask for the same examples every time
        command = [sys.executable, "-X", "faulthandler", "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
        command += [f"--hypothesis-seed={seed}", f"tests/{file}"]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LONGEST, preexec_fn=limit
            )
        except subprocess.TimeoutExpired as error:
            found.findings += 1
            return f"{file} seed {seed}: not done after {LONGEST:.0f} s\n{error.stdout!r}"
        written = Path(tally.name).read_text()
        if written:
            found.tally.add(Tally(**json.loads(written)))
    if done.returncode:
        found.findings += 1
        print(done.stdout[-8000:], done.stderr[-4000:], sep="\n", flush=True)
    last = re.sub(r"\s+", " ", done.stdout.strip().rsplit("\n", 1)[-1])
    return f"{file} seed {seed}: {last}"


def limit() -> None:
    """Of the process to be."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    raise SystemExit(main())
