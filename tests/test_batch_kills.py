"""Whatever is killed, nothing is lost: the whole run, a worker, every worker that meets a certain picture."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("PIL")

import data_sets

from densecrf import Parameters, batch

TESTS = Path(__file__).resolve().parent
TWO = batch.Engine(workers=2, threads=1)


def test_a_run_killed_twice_is_finished_with_the_same_bytes(tmp_path):
    names = [f"{i:03}" for i in range(80)]
    data_sets.make(tmp_path / "whole", names)
    data_sets.make(tmp_path / "killed", names)
    batch.run(data_sets.options(tmp_path / "whole"))
    for least, kill in ((10, os.killpg), (40, os.kill)):  # with its workers, and without
        start_and_kill(tmp_path / "killed", least, kill)
        assert least <= len(data_sets.outputs(tmp_path / "killed")) < 80
    done = batch.run(data_sets.options(tmp_path / "killed", recipe=data_sets.STRANGE))
    assert done.exit_status == 0
    assert done.progress.before >= 40
    assert data_sets.outputs(tmp_path / "killed") == data_sets.outputs(tmp_path / "whole")
    figures = [line.split(",")[3:7] for line in (tmp_path / "killed" / "out" / "results.csv").read_text().splitlines()]
    expected = [line.split(",")[3:7] for line in (tmp_path / "whole" / "out" / "results.csv").read_text().splitlines()]
    assert figures == expected
    assert not list((tmp_path / "killed" / "out").glob(".*.part"))


def start_and_kill(folder, least, kill):
    """Starts a run, and kills it when there are so many outputs."""
    process = start(folder, least)
    kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()


def start(folder, least):
    """Starts a run in a process group of its own, and waits until there are so many outputs."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys, data_sets; sys.exit(data_sets.main())", str(folder), "2"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(data_sets.outputs(folder)) < least:
        assert process.poll() is None
        time.sleep(0.01)
    return process


def test_ctrl_c_reaches_all_processes_and_ends_the_run_soon_and_without_a_traceback(tmp_path):
    data_sets.make(tmp_path, [f"{i:03}" for i in range(200)])
    process = start(tmp_path, 10)
    begin = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=30) == (None, "")
    assert process.returncode == 130
    assert time.monotonic() - begin < 10  # two seconds on a machine with nothing else to do
    assert 10 <= len(data_sets.outputs(tmp_path)) < 200


def test_a_worker_that_is_killed_loses_nothing(tmp_path):
    data_sets.make(tmp_path, [f"{i:02}" for i in range(30)])
    first = []  # the workers that began; one that replaces another may do again what a picture is given up for twice

    def kill(progress):
        if progress.done == 5:
            first.extend(child.pid for child in multiprocessing.active_children())
        if progress.done in (5, 12):
            os.kill(first[progress.done == 12], signal.SIGKILL)

    done = batch.run(data_sets.options(tmp_path, recipe=data_sets.STRANGE, engine=TWO), kill)
    assert len(first) == 2
    assert (done.exit_status, done.progress.done, done.progress.failed) == (0, 30, 0)
    assert len(data_sets.outputs(tmp_path)) == 30


@pytest.mark.parametrize("workers", [1, 2])
def test_pictures_that_kill_every_worker_are_recorded_and_their_neighbours_are_done(workers, tmp_path):
    data_sets.make(tmp_path, [f"{i:02}" for i in range(12)])
    data_sets.add(tmp_path, "03a", deadly=True)
    data_sets.add(tmp_path, "04a", deadly=True)
    engine = batch.Engine(workers=workers, threads=1)
    done = batch.run(data_sets.options(tmp_path, recipe=data_sets.STRANGE, engine=engine))
    assert (done.exit_status, done.progress.done, done.progress.failed) == (1, 12, 2)
    found = data_sets.errors(tmp_path)
    assert set(found) == {"03a.png", "04a.png"}
    assert "signal 9" in found["03a.png"][1]
    assert "memory" in found["03a.png"][1]


def test_workers_that_cannot_start_end_the_run(tmp_path, capfd, monkeypatch):
    @dataclass(frozen=True)
    class Unknown(Parameters):
        """Of a module that only this process has."""

    module = types.ModuleType("not_elsewhere")
    module.Unknown = Unknown
    Unknown.__module__, Unknown.__qualname__ = "not_elsewhere", "Unknown"
    monkeypatch.setitem(sys.modules, "not_elsewhere", module)
    data_sets.make(tmp_path, "ab")
    recipe = batch.Recipe(Unknown(**vars(batch.Recipe().parameters)))
    with pytest.raises(RuntimeError, match="before they start"):
        batch.run(data_sets.options(tmp_path, recipe=recipe))
    assert "not_elsewhere" in capfd.readouterr().err
    assert multiprocessing.active_children() == []
