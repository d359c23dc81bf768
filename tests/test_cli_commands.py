"""The command densecrf as a whole: what it says of itself, info, completion, and what it needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer")

from cli_files import run
from typer.testing import CliRunner

import densecrf
from densecrf import cli, presets

COMMANDS = ("refine", "batch", "compare", "demo", "info", "app")


def program(code, **environment):
    """Runs Python with this densecrf; gives what it did."""
    root = str(Path(densecrf.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root, **environment},
    )


def test_the_bare_command_explains_itself(capsys):
    status, out, err = run(capsys)
    assert (status, err) == (0, "")
    assert "Make a network's coarse segmentation follow the edges of the picture." in out
    assert "densecrf demo  " in out
    assert "densecrf refine cat.jpg cat.npz -o cat.png  " in out
    assert all(f" {command} " in out for command in COMMANDS)
    assert "Exit status" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys, command):
    status, out, _ = run(capsys, command, "--help")
    assert status == 0
    assert f"Usage: densecrf {command}" in out
    if command in ("refine", "batch", "compare"):
        assert f"densecrf {command} " in out.partition("Examples:")[2]


def test_options_are_grouped_by_what_they_are_for(capsys):
    for command in ("refine", "batch"):
        out = run(capsys, command, "--help")[1]
        assert all(f"─ {title} ─" in out for title in ("The CRF's parameters", "What the files mean", "The machine"))


def test_refine_and_batch_take_the_same_parameters(capsys):
    for command in ("refine", "batch"):
        out = run(capsys, command, "--help")[1]
        for name in ("preset", "w1", "sigma-alpha", "sigma-beta", "w2", "sigma-gamma", "normalization", "iterations"):
            assert f" --{name} " in out


def test_the_version_is_that_of_the_library(capsys):
    assert run(capsys, "--version")[:2] == (0, f"{densecrf.__version__}\n")


def test_a_command_that_is_none_is_a_wrong_argument(capsys):
    assert run(capsys, "sharpen")[0] == 2


def test_the_app_runs_under_typers_own_runner():
    from densecrf.cli.app import app

    done = CliRunner().invoke(app, ["info", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["version"] == densecrf.__version__


# ---- info -------------------------------------------------------------------------------------------------------


def test_info_says_what_the_build_says(capsys):
    status, out, err = run(capsys, "info", "--json")
    assert (status, err) == (0, "")
    said = json.loads(out)
    assert {name: said[name] for name in densecrf.build_info()} == densecrf.build_info()
    assert list(said["presets"]) == list(presets)
    assert said["presets"]["deeplab-v1"]["sigma_alpha"] == 50
    assert said["packages"]["numpy"]


def test_info_for_people_lists_the_presets(capsys):
    status, out, _ = run(capsys, "info")
    assert status == 0
    assert densecrf.build_info()["isa"] in out
    assert all(f"\n{name} " in out for name in presets)


def test_info_says_why_a_gpu_cannot_be_used(capsys, monkeypatch):
    monkeypatch.setattr("densecrf._device.cuda_module", lambda: None)
    assert "densecrf was built without CUDA" in json.loads(run(capsys, "info", "--json")[1])["device_cuda"]


# ---- app --------------------------------------------------------------------------------------------------------


@pytest.fixture
def launched(monkeypatch):
    """What the page is started with; it is not started."""
    calls = []
    monkeypatch.setattr("densecrf.app.missing_packages", list)
    monkeypatch.setattr("densecrf.app.launch", lambda *arguments, **named: calls.append((arguments, named)))
    return calls


@pytest.mark.parametrize(
    ("arguments", "passed_on"),
    [
        ([], (("127.0.0.1", None), {"open_browser": True})),
        (["--host", "0.0.0.0", "--port", "0", "--no-browser"], (("0.0.0.0", 0), {"open_browser": False})),
    ],
)
def test_app_passes_on_where_to_listen_and_whether_to_open_a_browser(capsys, launched, arguments, passed_on):
    assert run(capsys, "app", *arguments) == (0, "", "")
    assert launched == [passed_on]


def test_app_refuses_a_port_that_is_no_number(capsys, launched):
    status, _, err = run(capsys, "app", "--port", "http")
    assert status == 2
    assert "'--port'" in err
    assert launched == []


@pytest.mark.parametrize(
    ("ending", "status", "words"),
    [
        (KeyboardInterrupt(), 0, ""),
        (OSError(98, "Address already in use"), 1, "densecrf app: [Errno 98] Address already in use\n"),
    ],
    ids=["interrupted", "taken"],
)
def test_app_ends_well_when_interrupted_and_with_a_sentence_where_it_cannot_listen(
    capsys, launched, monkeypatch, ending, status, words
):
    def end(*_, **__):
        raise ending

    monkeypatch.setattr("densecrf.app.launch", end)
    assert run(capsys, "app") == (status, "", words)


def test_without_its_packages_app_says_what_to_install(capsys, launched, monkeypatch):
    monkeypatch.setattr("densecrf.app.missing_packages", lambda: ["gradio", "scikit-image"])
    sentence = 'densecrf app: gradio and scikit-image not installed; pip install "densecrf[app]"\n'
    assert run(capsys, "app") == (1, "", sentence)
    assert launched == []


def test_the_apps_packages_are_looked_for_and_not_imported(monkeypatch):
    from densecrf import app

    monkeypatch.setitem(sys.modules, "gradio", None)
    assert "gradio" in app.missing_packages()


# ---- completion -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("densecrf refine --preset deeplab-v1-", ["deeplab-v1-msc", "deeplab-v1-coco"]),
        ("densecrf batch --preset d", [name for name in presets if name.startswith("d")]),
        ("densecrf refine --normalization s", ["symmetric"]),
        ("densecrf comp", ["compare"]),
    ],
)
def test_the_shell_completes_commands_presets_and_words(typed, expected):
    count = str(len(typed.split()) - 1)
    done = program(
        "import sys; from densecrf import cli; sys.argv = ['densecrf']; sys.exit(cli.main())",
        _DENSECRF_COMPLETE="complete_bash",
        COMP_WORDS=typed,
        COMP_CWORD=count,
    )
    assert done.stdout.split() == expected, done.stderr


# ---- what it needs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_packages_the_command_says_what_to_install(capsys, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    assert cli.main(["info"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f'densecrf: this command needs {missing}; pip install "densecrf[cli]"\n'


def test_the_library_and_the_commands_entry_import_none_of_the_extras():
    extras = ("typer", "rich", "PIL", "torch", "skimage", "ray", "tomllib")
    done = program(
        f"import sys, densecrf, densecrf.cli, densecrf._files, densecrf.batch\n"
        f"print([name for name in {extras} if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_commands_import_neither_torch_nor_pictures_before_they_need_them():
    done = program(
        "import sys; from densecrf import cli; cli.main(['refine', '--help'])\n"
        "print([name for name in ('torch', 'PIL', 'skimage', 'ray') if name in sys.modules])"
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
