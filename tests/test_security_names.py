"""Names of files from strangers: they lead nowhere, command no terminal, and reports say them as they are."""

import csv
import os
import socket

import numpy as np
import pytest

pytest.importorskip("typer")
Image = pytest.importorskip("PIL.Image")

import data_sets  # noqa: E402
from cli_files import folder_of, refusal, run  # noqa: E402

from densecrf import _files, batch  # noqa: E402
from densecrf._text import printable  # noqa: E402
from densecrf.batch import jobs  # noqa: E402

PRECIOUS = "precious\n"

# ---- where things are written -----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    data_sets.make(tmp_path, ["a"])
    (tmp_path / "out" / ".densecrf").mkdir(parents=True)
    (tmp_path / "precious").write_text(PRECIOUS)
    return tmp_path


def kept(folder):
    return (folder / "precious").read_text() == PRECIOUS


@pytest.mark.parametrize("name", ["..\\..\\x", "...", "C:x", " ", "-rf", "$(x)", "%2e%2e%2fx"])
def test_every_output_lies_in_the_folder_for_outputs(folder, name):
    (folder / "images" / f"{name}.png").touch()
    found = jobs.find(f"{folder}/out/../images/*", folder / "probs", folder / "out", ".png")
    assert {os.path.dirname(job.output) for job in found} == {str(folder / "out")}


def test_a_link_among_the_outputs_is_an_output_and_what_it_leads_to_stays(folder):
    (folder / "out" / "a.png").symlink_to(folder / "precious")
    assert batch.run(data_sets.options(folder)).progress.before == 1
    assert kept(folder)


def test_a_link_that_leads_nowhere_is_replaced_and_a_folder_is_no_output(folder):
    (folder / "out" / "a.png").symlink_to(folder / "nowhere")
    done = batch.run(data_sets.options(folder))
    assert (done.progress.before, done.progress.done) == (0, 1)
    assert not (folder / "nowhere").exists()
    assert not (folder / "out" / "a.png").is_symlink()
    (folder / "out" / "a.png").unlink()
    (folder / "out" / "a.png").mkdir()
    assert batch.run(data_sets.options(folder)).exit_status == 1
    assert "directory" in data_sets.errors(folder)["a.png"][1]


def test_a_link_in_place_of_a_report_is_replaced(folder):
    reports = [folder / "out" / name for name in ("errors.jsonl", "results.csv", "summary.html")]
    for report in reports:
        report.symlink_to(folder / "precious")
    assert batch.run(data_sets.options(folder)).exit_status == 0
    assert kept(folder)
    assert not any(report.is_symlink() for report in reports)


@pytest.mark.parametrize("name", ["waiting.lock", "writing.lock"])
def test_a_link_in_place_of_a_lock_is_an_error_and_empties_nothing(folder, name):
    (folder / "out" / ".densecrf" / name).symlink_to(folder / "precious")
    with pytest.raises(OSError, match=name):
        batch.run(data_sets.options(folder))
    assert kept(folder)


def test_a_link_in_place_of_a_journal_is_an_error_and_gets_no_line(folder):
    (folder / "out" / ".densecrf" / f"local-{socket.gethostname()}.jsonl").symlink_to(folder / "precious")
    assert batch.run(data_sets.options(folder)).exit_status == 1
    assert kept(folder)


def test_a_file_is_not_written_through_a_link(folder):
    labels = np.zeros((3, 4), np.uint8)
    for name in ("labels.png", f".labels.png.{os.getpid()}.part"):
        (folder / name).symlink_to(folder / "precious")
    _files.write_labels(folder / "labels.png", labels)
    assert kept(folder)
    assert not (folder / "labels.png").is_symlink()
    assert not list(folder.glob(".*.part"))


# ---- what is said -----------------------------------------------------------------------------------------------

HOSTILE = "\x1b[2J\x1b]0;owned\x07[red]x[bold]\n\u202egnp.exe\udcff"
SAID = r"\x1b[2J\x1b]0;owned\x07[red]x[bold]\n\u202egnp.exe\udcff"


def test_what_commands_a_terminal_is_written_out_and_letters_stay():
    assert printable(HOSTILE) == SAID
    assert printable("Krähenbühl 漢字 → 1.png") == "Krähenbühl 漢字 → 1.png"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the scene, also under a hostile name."""
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path)
    os.symlink("a.npz", f"{HOSTILE}.npz")
    return tmp_path


def test_errors_and_results_say_hostile_names_on_one_line(here, capsys):
    said = refusal(capsys, "refine", f"{HOSTILE}.gif", "a.npz", "-o", "b.png")
    assert said == f"densecrf refine: {SAID.replace(chr(92) + 'n', ' ')}.gif: No such file or directory\n"
    status, said, _ = run(capsys, "refine", "a.png", f"{HOSTILE}.npz", "-o", f"{HOSTILE}.png")
    assert (status, said.splitlines()[-1]) == (0, f"written  {SAID}.png (labels)")
    status, said, _ = run(capsys, "compare", f"{HOSTILE}.png", f"{HOSTILE}.png", "-o", f"{HOSTILE}d.png")
    assert (status, said.splitlines()[-1]) == (0, f"written     {SAID}d.png")
    status, said, _ = run(capsys, "refine", "a.png", f"{HOSTILE}.npz", "-o", f"{HOSTILE}.png", "--json")
    assert status == 0
    assert said.isascii()
    assert "\x1b" not in said


def test_a_batch_says_hostile_names_on_one_line(here, capsys):
    for place in ("pictures", "scores"):
        (here / place).mkdir()
    (here / "pictures" / f"{HOSTILE}.png").write_bytes(b"no picture")
    (here / "scores" / f"{HOSTILE}.npy").write_bytes(b"no array")
    status, said, errors = run(capsys, "batch", "pictures", "scores", HOSTILE, "--workers", 1)
    assert status == 1
    assert f"{SAID}/errors.jsonl says why" in said
    assert "\x1b" not in said + errors
    assert (here / HOSTILE / "errors.jsonl").read_text().isascii()


def test_commands_of_deeplab_say_them_so_too(tmp_path, torch, capsys):
    from deeplab.__main__ import main

    assert main(["predict", "fcn8s", f"{HOSTILE}.pt", str(tmp_path), "--out", str(tmp_path)]) == 2
    (tmp_path / "a.png").touch()
    assert main(["predict", "fcn8s", f"{HOSTILE}.pt", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert f"there is no file of weights {SAID.replace(chr(92) + 'n', chr(10))}.pt" in said
    assert "\x1b" not in said


def test_a_table_gives_back_every_name_as_it_is(tmp_path):
    """Also those that a spreadsheet would take for a formula: programs join tables by names, and must find them."""
    names = ["=1+1", "@x", "-2", 'a,"b"', "line\nbreak", "é"]
    data_sets.make(tmp_path, names)
    assert batch.run(data_sets.options(tmp_path, thumbnails=0)).exit_status == 0
    with (tmp_path / "out" / "results.csv").open(newline="", encoding="utf-8") as lines:
        assert sorted(row["name"] for row in csv.DictReader(lines)) == sorted(names)
