"""Whole data sets on one machine: what is written, what is recorded, and what a rerun does."""

import csv
import dataclasses
import json
import os
import queue
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")

import data_sets
from PIL import Image

import densecrf
from densecrf import batch
from densecrf.batch import reports

NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture
def folder(tmp_path):
    data_sets.make(tmp_path, NAMES)
    return tmp_path


class Pickled:
    def __reduce__(self):
        return (os.abort, ())


def table(folder):
    with (folder / "out" / "results.csv").open(newline="") as lines:
        return {row["name"]: row for row in csv.DictReader(lines)}


def test_outputs_are_the_likeliest_labels_of_refine(folder):
    assert batch.run(data_sets.options(folder)).exit_status == 0
    assert sorted(data_sets.outputs(folder)) == [f"{name}.png" for name in NAMES]
    for name in NAMES:
        image = np.asarray(Image.open(folder / "images" / f"{name}.png"))
        probs = np.load(folder / "probs" / f"{name}.npy").astype(np.float32)
        expected = densecrf.refine(image, probs).argmax(axis=0)
        np.testing.assert_array_equal(np.asarray(Image.open(folder / "out" / f"{name}.png")), expected)
        row = table(folder)[name]
        assert float(row["changed"]) == pytest.approx(np.mean(expected != probs.argmax(axis=0)), abs=1e-6)
        assert row["labels"] == " ".join(map(str, np.unique(expected)))
        assert (row["height"], row["width"]) == ("40", "60")


def test_marginals_and_overlays_are_written_where_asked_for(folder):
    for kind, suffix in (("probs", ".npz"), ("overlay", ".png")):
        out = folder / "out" / kind
        done = batch.run(dataclasses.replace(data_sets.options(folder, recipe=batch.Recipe(kind=kind)), out=out))
        assert done.exit_status == 0
        assert sorted(path.name for path in out.glob("?.*")) == [f"{name}{suffix}" for name in NAMES]
    image = np.asarray(Image.open(folder / "images" / "a.png"))
    probs = np.load(folder / "probs" / "a.npy").astype(np.float32)
    with np.load(folder / "out" / "probs" / "a.npz") as file:
        np.testing.assert_array_equal(file["probs"], densecrf.refine(image, probs))


def test_files_that_cannot_be_used_are_recorded_and_stop_nothing(folder):
    images, probs = folder / "images", folder / "probs"
    (images / "a.png").write_bytes(b"no picture")
    (images / "b.png").write_bytes((images / "b.png").read_bytes()[:200])
    (probs / "c.npy").unlink()
    np.save(probs / "d.npy", np.array([Pickled()]), allow_pickle=True)
    (probs / "e.npy").write_bytes((probs / "e.npy").read_bytes()[:999])
    data_sets.add(folder, "fine")
    done = batch.run(data_sets.options(folder))
    assert (done.exit_status, done.progress.done, done.progress.failed) == (1, 1, 5)
    assert list(data_sets.outputs(folder)) == ["fine.png"]
    found = data_sets.errors(folder)
    files = {picture: file for picture, (file, _) in found.items()}
    assert files == {"a.png": "a.png", "b.png": "b.png", "c.png": "c.png", "d.png": "d.npy", "e.png": "e.npy"}
    for picture, words in {"a": "picture", "b": "trunc", "c": "no probab", "d": "objects", "e": "cut off"}.items():
        assert words in found[f"{picture}.png"][1]


def test_errors_of_files_that_have_been_mended_vanish_on_a_rerun_and_others_stay(folder):
    (folder / "probs" / "a.npy").unlink()
    (folder / "probs" / "b.npy").write_bytes(b"broken")
    assert batch.run(data_sets.options(folder)).exit_status == 1
    assert set(data_sets.errors(folder)) == {"a.png", "b.png"}
    data_sets.add(folder, "a")
    again = batch.run(data_sets.options(folder))
    assert (again.progress.before, again.progress.done, again.progress.failed) == (3, 1, 1)
    assert set(data_sets.errors(folder)) == {"b.png"}
    assert set(table(folder)) == {"a", "c", "d", "e"}


def test_a_rerun_does_only_what_is_missing_and_keeps_the_figures_of_the_rest(folder):
    batch.run(data_sets.options(folder))
    before, figures = data_sets.outputs(folder), table(folder)
    kept = (folder / "out" / "b.png").stat()
    (folder / "out" / "d.png").unlink()
    again = batch.run(data_sets.options(folder))
    assert (again.progress.before, again.progress.done) == (4, 1)
    assert data_sets.outputs(folder) == before
    assert (folder / "out" / "b.png").stat().st_mtime_ns == kept.st_mtime_ns
    after = table(folder)
    assert {name: after[name] for name in "abce"} == {name: figures[name] for name in "abce"}
    assert after["d"]["changed"] == figures["d"]["changed"]


def test_outputs_whose_records_are_lost_count_as_done_without_figures(folder):
    batch.run(data_sets.options(folder))
    for journal in (folder / "out" / ".densecrf").glob("*.jsonl"):
        journal.unlink()
    again = batch.run(data_sets.options(folder))
    assert (again.exit_status, again.progress.before) == (0, 5)
    assert table(folder)["a"]["changed"] == ""


def test_records_survive_a_line_that_a_failing_machine_has_cut(folder):
    batch.run(data_sets.options(folder, limit=2))
    (journal,) = (folder / "out" / ".densecrf").glob("*.jsonl")
    with journal.open("a") as file:
        file.write('{"name": "c", "err')
    batch.run(data_sets.options(folder))
    assert [row["changed"] != "" for row in table(folder).values()] == [True] * 5


@pytest.mark.parametrize("line", ["1", '"text"', "[" * 5000, '{"name": ["a"]}', '{"changed": NaN}', '{"when": "now"}'])
def test_a_line_of_a_journal_that_is_no_record_stops_no_report(folder, line):
    batch.run(data_sets.options(folder, limit=2))
    (journal,) = (folder / "out" / ".densecrf").glob("*.jsonl")
    record = json.loads(journal.read_text().split("\n")[1])
    found = json.dumps(record | json.loads(line)) if line.startswith("{") else line
    journal.write_text(journal.read_text() + found + "\n")
    batch.run(data_sets.options(folder))
    assert [row["changed"] != "" for row in table(folder).values()] == [True] * 5


def test_outputs_of_other_parameters_are_not_mixed_in(folder):
    batch.run(data_sets.options(folder, limit=1))
    other = batch.Recipe(dataclasses.replace(batch.Recipe().parameters, iterations=3))
    with pytest.raises(ValueError, match="other parameters"):
        batch.run(data_sets.options(folder, recipe=other))
    assert list(data_sets.outputs(folder)) == ["a.png"]


def test_the_number_of_workers_and_threads_changes_no_byte(folder):
    batch.run(data_sets.options(folder))
    expected = data_sets.outputs(folder)
    (folder / "out").rename(folder / "first")
    batch.run(data_sets.options(folder, engine=batch.Engine(workers=2, threads=2)))
    assert data_sets.outputs(folder) == expected


def test_shards_together_are_the_whole_and_the_last_one_reports_it(folder):
    (folder / "probs" / "b.npy").unlink()
    for index in range(2):
        done = batch.run(data_sets.options(folder, shard=batch.Shard(index, 2)))
        assert done.progress.total == (3, 2)[index]
    assert sorted(data_sets.outputs(folder)) == ["a.png", "c.png", "d.png", "e.png"]
    assert set(table(folder)) == {"a", "c", "d", "e"}
    assert set(data_sets.errors(folder)) == {"b.png"}
    assert len(list((folder / "out" / ".densecrf").glob("*.jsonl"))) == 2


def test_the_environment_chooses_the_shard_where_nobody_else_does(folder, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    batch.run(data_sets.options(folder, shard=None))
    assert sorted(data_sets.outputs(folder)) == ["b.png", "e.png"]


def test_names_need_not_be_utf8(folder):
    name = os.fsdecode(b"\xff")
    data_sets.add(folder, name)
    (folder / "images" / "b.png").rename(folder / "images" / os.fsdecode(b"\xfe.png"))
    done = batch.run(data_sets.options(folder))
    assert (done.progress.done, done.progress.failed) == (5, 1)
    assert (folder / "out" / f"{name}.png").exists()


def test_results_that_cannot_be_written_are_recorded(folder):
    many = np.full((300, data_sets.H, data_sets.W), 0.5 / 299, np.float32)  # more labels than a PNG can hold
    many[-1] = 0.5
    np.save(folder / "probs" / "c.npy", many)
    assert batch.run(data_sets.options(folder)).exit_status == 1
    file, reason = data_sets.errors(folder)["c.png"]
    assert (file, "255" in reason) == ("c.png", True)
    assert len(data_sets.outputs(folder)) == 4


def test_errors_can_be_read_while_a_run_goes_on(folder):
    (folder / "probs" / "a.npy").unlink()
    seen = []

    def look(progress):
        if progress.done == 3:
            seen.append(data_sets.errors(folder))

    batch.run(data_sets.options(folder), look)
    assert [set(each) for each in seen] == [{"a.png"}]


def test_of_shards_that_finish_at_once_one_writes_one_waits_and_the_others_leave_it_to_that_one(tmp_path):
    came, go, heard = queue.Queue(), threading.Event(), []

    def finish(number):
        with reports.turn(tmp_path, patient=True) as mine:
            heard.append((number, mine))
            came.put(number)
            if number == 0:
                go.wait()

    threads = [threading.Thread(target=finish, args=(number,)) for number in range(3)]
    threads[0].start()
    assert came.get(timeout=5) == 0
    threads[1].start()
    with reports.turn(tmp_path, patient=False) as mine:
        assert not mine
    wait_until_held(tmp_path / "waiting.lock")
    threads[2].start()
    assert came.get(timeout=5) == 2
    go.set()
    for thread in threads:
        thread.join(5)
    assert heard == [(0, True), (2, False), (1, True)]


def wait_until_held(path):
    """Until somebody has locked the file; trying to lock it would get in their way."""
    number = f":{path.stat().st_ino} "
    deadline = time.monotonic() + 10
    while number not in Path("/proc/locks").read_text():
        assert time.monotonic() < deadline, f"nobody holds {path}"
        time.sleep(0.01)


def test_progress_counts_up_to_everything(folder):
    (folder / "probs" / "b.npy").unlink()
    heard = []
    batch.run(data_sets.options(folder), heard.append)
    assert [each.handled for each in heard] == [0, 1, 2, 3, 4, 5]
    assert (heard[-1].done, heard[-1].failed, heard[-1].total) == (4, 1, 5)
    assert heard[-1].rate == pytest.approx(5 / heard[-1].seconds)
    assert heard[-1].left == 0


@pytest.fixture
def interruptible():
    """A shell ignores Ctrl+C for what runs in the background, and these tests may."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_so_reports_what_it_has_done_and_can_go_on(number, tmp_path):
    names = [f"{i:03}" for i in range(60)]
    data_sets.make(tmp_path, names)

    def stop(progress):
        if progress.done == 5:
            threading.Timer(0, signal.raise_signal, [number]).start()

    stopped = batch.run(data_sets.options(tmp_path), stop)
    assert (stopped.interrupted, stopped.exit_status) == (True, 130)
    assert 5 <= len(data_sets.outputs(tmp_path)) < 60
    assert set(table(tmp_path)) == {name.removesuffix(".png") for name in data_sets.outputs(tmp_path)}
    assert batch.run(data_sets.options(tmp_path)).exit_status == 0
    assert len(data_sets.outputs(tmp_path)) == 60


@pytest.mark.parametrize(
    "make",
    [
        lambda: batch.Recipe(kind="picture"),
        lambda: batch.Engine("spark"),
        lambda: batch.Engine(workers=0),
        lambda: batch.Engine(threads=0),
        lambda: batch.Engine(device="tpu"),
        lambda: batch.Engine(address="here"),
        lambda: batch.Engine("ray", device="cuda:1"),
        lambda: batch.Options("a", "b", "c", limit=0),
    ],
)
def test_options_that_cannot_be_are_refused(make):
    with pytest.raises(ValueError, match=r"kind|engine|workers|threads|device|address|limit"):
        make()
