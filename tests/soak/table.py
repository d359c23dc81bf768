"""Writes the table of docs/reliability.md: what is promised, the tests that hold it, and what the long runs measured.

The figures are those that the programs beside this file recorded; `tests/test_reliability.py` holds the page against
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from figures import ROOT, recorded

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
COMPILED = ("core", "twin", "core_calls")  # targets of fuzzing that are no files


class Row(NamedTuple):
    """A promise.

    Attributes:
        promise: in a sentence.
        tests: of the default suite, names of files without test_ and .py.
        program: of this folder, whose figures these are.
        figure: what they say.
    """

    promise: str
    tests: Sequence[str]
    program: str
    figure: Callable[[dict[str, Any]], str]


def _api(found: dict[str, Any]) -> str:
    kinds = found["exceptions"]
    answers = kinds["an answer"]
    return (
        f"{found['cases']:,} calls, {answers:,} answered, {found['cases'] - answers:,} refused with a documented "
        f"exception; {found['findings']} findings; slowest {found['slowest_seconds']:.1f} s"
    )


def _fuzz_of(found: dict[str, Any], compiled: bool) -> str:
    targets = [target for name, target in found["targets"].items() if (name in COMPILED) == compiled]
    cases, findings = sum(target["cases"] for target in targets), sum(target["findings"] for target in targets)
    return f"{cases:,} cases for {len(targets)} targets; {findings} findings"


def _fuzz_files(found: dict[str, Any]) -> str:
    return _fuzz_of(found, compiled=False)


def _fuzz_core(found: dict[str, Any]) -> str:
    return _fuzz_of(found, compiled=True)


def _leaks(found: dict[str, Any]) -> str:
    grown = max(one["resident_bytes"] for one in found["grown_after_the_first_tenth"].values())
    kinds = len(found["grown_after_the_first_tenth"])
    return f"{found['calls_of_each']:,} calls of each of {kinds} kinds: memory grows by {grown / 2**20:.1f} MiB at most"


def _valgrind(found: dict[str, Any]) -> str:
    calls = found["kinds_of_calls"] * found["calls_of_each"]
    return (
        f"memcheck, {calls} calls of {found['kinds_of_calls']} kinds: {found['found_of_ours']} errors or leaks of ours"
    )


def _threads(found: dict[str, Any]) -> str:
    return (
        f"{found['threads']} threads for {found['seconds']} s: {found['calls']:,} calls, {found['forks']} forks "
        f"meanwhile, {found['hangs']} hangs, {found['other_answers']} other answers"
    )


def _interrupts(found: dict[str, Any]) -> str:
    slowest = found["slowest_s"]
    return (
        f"{found['signals']} signals in {len(slowest)} kinds of calls, which end within {max(slowest.values()):.2f} s"
    )


def _limits(found: dict[str, Any]) -> str:
    calls = [row for row in found["refused"].values() if "MiB touched" in row]
    command = found["refused"]["a file for the command"]
    return (
        f"{len(calls)} kinds of calls beyond the memory: {max(row['seconds'] for row in calls):.2f} s at most until "
        f"MemoryError, {max(row['MiB touched'] for row in calls):.0f} MiB touched; the command, from its start, "
        f"{command['seconds']:.1f} s"
    )


def _groups(found: dict[str, Any]) -> str:
    programs = found["programs"].values()
    sizes = [row["MiB"] for row in programs]
    refined, refused, killed = (sum(row[kind] for row in programs) for kind in ("refined", "refused", "killed"))
    return (
        f"{len(programs) * found['runs_of_each']} programs, with up to eight threads, in control groups of "
        f"{min(sizes)} to {max(sizes)} MiB: {refined:,} calls refined, {refused:,} refused, {killed} programs killed"
    )


def _large(found: dict[str, Any]) -> str:
    sizes = [found[name]["numbers"] for name in ("a_batch", "planes_through_one_lattice")]
    return f"arrays of {sizes[0] / 1e9:.2f} and {sizes[1] / 1e9:.2f} thousand million numbers, right at both ends"


def _drift(found: dict[str, Any]) -> str:
    one = found["rounded corner weights"]
    return (
        f"{one['pairs']:,} pairs of {found['pictures']} pictures and {found['parameter sets']} parameter sets: half "
        f"below {one['median of the max']:.0e}, 99 % below {one['99th percentile of the max']:.0e}, the worst "
        f"{one['max']:.0e}; {one['pixels with another label']} of {one['pixels'] / 1e6:.1f} million labels differ, "
        f"{one['of these ties']} of them ties"
    )


ROWS = (
    Row(
        "Any argument gives a valid answer or a documented exception that names the function; inputs stay as they were",
        ("fuzz_refine", "fuzz_model", "fuzz_parameters", "fuzz_torch", "fuzz_pydensecrf", "fuzz_gpu", "fuzz_tools"),
        "api",
        _api,
    ),
    Row(
        "Any file is read, or refused in a sentence, in bounded time and memory",
        ("fuzz_seeds", "files_hostile", "security_files", "security_names"),
        "fuzz",
        _fuzz_files,
    ),
    Row(
        "Whatever the bindings let pass is safe for the core and the CUDA kernels (AddressSanitizer, UBSan)",
        ("fuzz_seeds",),
        "fuzz",
        _fuzz_core,
    ),
    Row("No call leaves memory behind", ("leaks",), "leaks", _leaks),
    Row("No bad access (besides `make sanitize`, in CI)", (), "valgrind", _valgrind),
    Row(
        "Threads, forked and spawned processes never wait for each other, and get the same bits",
        ("threads", "at_once", "processes", "interpreters", "kept_lattices"),
        "threads",
        _threads,
    ),
    Row("Ctrl-C ends a call within a second, and gives its memory back", ("interrupts",), "interrupts", _interrupts),
    Row(
        "What there is no memory for is a MemoryError at once",
        ("limits", "memory", "little_memory", "gpu_out_of_memory"),
        "limits",
        _limits,
    ),
    Row(
        "In a container, too: several threads are never told of the same memory", ("little_memory",), "groups", _groups
    ),
    Row("Sizes beyond 32 bits count right", ("limits",), "large_arrays", _large),
    Row("Answers are those of the same lattice in float64", ("drift", "lattice64", "golden"), "drift", _drift),
)


def table() -> str:
    """The table, and where its figures come from."""
    lines = ["| promise | tests | measured in long runs |", "|---|---|---|"]
    for row in ROWS:
        tests = ", ".join(f"`{name}`" for name in row.tests)
        lines.append(f"| {row.promise} | {tests} | {row.figure(recorded(row.program))} |")
    lines += ["", "| figures | command | on | machine |", "|---|---|---|---|"]
    for program in dict.fromkeys(row.program for row in ROWS):
        about = recorded(program)["about"]
        lines.append(f"| {program} | `{about['command']}` | {about['date'][:10]} | {about['machine']} |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """A page with the table in its place."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + table() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
