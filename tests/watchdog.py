"""Programs and threads that are given up after a time: a hang is a failure, and leaves nothing running behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

PATIENCE = 240.0  # seconds: far beyond what anything here takes, on a machine that is busy with other things


def finished(program: str, *arguments: str, limits: str = "exec", **environment: str) -> subprocess.CompletedProcess:
    """Runs a Python program to its end, perhaps under limits that a shell sets; kills it and its children at a hang."""
    command = ["sh", "-c", f'{limits} "$@"', "sh", sys.executable, "-c", program, *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"the program hangs; it said {out!r} and {err!r}") from None
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def said(program: str, *arguments: str, limits: str = "exec", **environment: str) -> Any:
    """What a program prints as JSON, on its last line; it must end well."""
    done = finished(program, *arguments, limits=limits, **environment)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr or 'killed'}"
    return json.loads(done.stdout.splitlines()[-1])


def at_once(works: Sequence[Callable[[], None]]) -> None:
    """Runs all of these on threads that begin together; raises what they raise."""
    ready = threading.Barrier(len(works))
    errors: list[BaseException] = []

    def take_part(work: Callable[[], None]) -> None:
        try:
            ready.wait(PATIENCE)
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=take_part, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]
