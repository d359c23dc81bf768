"""The app's page in a process of its own, as a user starts it."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import densecrf

PATIENCE = 120  # seconds for anything that a busy machine may be slow at


@contextlib.contextmanager
def running(temporary: Path, *arguments: str):
    """Starts the page on a free port; gives its process and its address, and ends it."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(densecrf.__file__).parents[1]),
        "TMPDIR": str(temporary),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "densecrf.cli", "app", "--port", "0", "--no-browser", *arguments]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            line = process.stdout.readline()
            errors.seek(0)
            found = re.search(r"http://\S+", line)
            assert found, line + errors.read()
            process.errors = errors
            yield process, found.group()
        finally:
            process.terminate()
            process.wait(PATIENCE)
            process.stdout.close()
