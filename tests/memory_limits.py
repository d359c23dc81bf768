"""Machines and control groups with less memory than there is.

Files that say so, in a namespace of a program's own; and a control group that has no more.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

BIND = "unshare --map-root-user --mount sh -c '{mounts} exec \"$@\"' sh"


@functools.cache
def namespaces() -> bool:
    """Whether this user may have namespaces."""
    try:
        return subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True).returncode == 0
    except OSError:
        return False


def with_files(places: Mapping[str, Path]) -> str:
    """The shell command that puts files or folders in the place of others for what follows it."""
    return BIND.format(mounts=" ".join(f'mount --bind "{path}" "{place}" &&' for place, path in places.items()))


def group_of_this_process(version: int) -> str | None:
    """The path of its control group of memory, where the system has groups of this version."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if ("memory" if version == 1 else "") in controllers.split(","):
            return path
    return None


@contextlib.contextmanager
def real_group(limit: int) -> Iterator[tuple[str, Path] | None]:
    """The shell command that puts what follows it into a new group, and the file of the most that this has held.

    None where this user may make none.
    """
    names = {1: ("memory.limit_in_bytes", "memory.max_usage_in_bytes"), 2: ("memory.max", "memory.peak")}
    for version, (most, peak) in names.items():
        path = group_of_this_process(version)
        folder = Path(
            "/sys/fs/cgroup", "memory" if version == 1 else "", (path or "").strip("/"), f"test-{os.getpid()}"
        )
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            if not (folder / most).exists():  # controllers of memory are left to the other version, or to nobody
                continue
            (folder / most).write_text(str(limit))
            yield f'echo $$ > "{folder}/cgroup.procs" && exec', folder / peak
            return
        finally:
            remove(folder)
    yield None


def remove(group: Path) -> None:
    """Removes a control group once what ran in it is gone."""
    for _ in range(50):
        try:
            group.rmdir()
            break
        except OSError:
            time.sleep(0.1)


def group(folder: Path, version: int, limit: int, used: int, cached: int) -> None:
    """What the system would say of a control group."""
    names = (
        ("memory.max", "memory.current", "")
        if version == 2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(
        f"anon {used - cached}\n{names[2]}inactive_file {cached // 2}\n{names[2]}active_file {cached // 2}\n"
    )


def machine(path: Path, available: int) -> None:
    """What the system would say of a machine: always of the same length, written over what is there.

    Who reads the file meanwhile must not find it empty.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.pwrite(file, f"MemTotal: 99999999 kB\nMemAvailable: {available >> 10:12d} kB\n".encode(), 0)
    os.close(file)
