"""``python -m deeplab train`` from end to end, with a network of a thousand parameters and eight pictures."""

import csv
import itertools
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("PIL")
deeplab = pytest.importorskip("deeplab")

import deeplab_training  # noqa: E402  # needs torch
from deeplab_training import DROPOUT, PLAIN  # noqa: E402

from deeplab import train, weights  # noqa: E402

HELPER = Path(deeplab_training.__file__)
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(HELPER.parents[1])}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small networks, on one thread of the CPU, as in the processes that tests start."""
    for name, network in deeplab_training.NETWORKS.items():
        monkeypatch.setitem(deeplab._NETWORKS, name, network)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "small"
    deeplab_training.write_data(root)
    return root


@pytest.fixture
def arguments(tmp_path, data):
    """The command's arguments for a run in a folder of tmp_path."""

    def arguments(out, *overrides, network=PLAIN):
        config = tmp_path / "config.toml"
        config.write_text(deeplab_training.CONFIG.format(network=network, root=data))
        return [str(config), "--out", str(tmp_path / out), *(["--set", *overrides] if overrides else [])]

    return arguments


def trained(arguments):
    """The weights after a run, by name."""
    assert train.main(arguments) == 0
    return torch.load(Path(arguments[2]) / "weights.pt", weights_only=True)


def log(arguments):
    with (Path(arguments[2]) / "log.csv").open() as file:
        return list(csv.DictReader(file))


def in_processes(n, arguments, **environment):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n)] if n > 1 else []
    command = [sys.executable, *launcher, str(HELPER), *arguments]
    return subprocess.run(
        command, env={**ENVIRONMENT, **environment}, capture_output=True, text=True, timeout=120, check=False
    )


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def largest_difference(a, b):
    return max((a[name] - b[name]).abs().max().item() for name in a if a[name].is_floating_point())


@pytest.mark.parametrize("multi_scale", ["true", "false"])
def test_the_loss_falls_and_the_network_learns_the_pictures(arguments, data, multi_scale):
    start = arguments("run", f"loss.multi_scale={multi_scale}", "solver.iterations=120")
    trained(start)
    losses = [float(row["loss"]) for row in log(start)]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])

    network = deeplab.build(PLAIN, deeplab_training.CLASSES)
    weights.load(network, Path(start[2]) / "weights.pt")
    hits = []
    for sample in deeplab.data.open_data("folder", data, "all"):
        images = deeplab.crf.network_input(torch.from_numpy(sample.image)[None], canvas=65)
        labels = (
            network.eval().full_scores(images)[0].argmax(0).numpy()[: sample.image.shape[0], : sample.image.shape[1]]
        )
        hits.append((labels == sample.labels)[sample.labels != 255])
    assert np.concatenate(hits).mean() > 0.8


def test_a_killed_run_that_is_resumed_ends_with_the_same_bits(arguments):
    whole = arguments("whole", network=DROPOUT)
    killed = arguments("killed", network=DROPOUT)
    expected = trained(whole)
    assert in_processes(1, killed, KILL_AT="8").returncode == -signal.SIGKILL
    assert len(log(killed)) == 8
    assert_same(trained([*killed, "--resume"]), expected)
    without_seconds = [[{**row, "seconds": ""} for row in log(run)] for run in (whole, killed)]
    assert without_seconds[0] == without_seconds[1]


def test_a_checkpoint_that_could_not_be_written_leaves_the_one_before(arguments, monkeypatch, capsys):
    run = arguments("run")
    expected = trained(arguments("whole"))
    save, calls = torch.save, []

    def save_half_of_the_second(state, path):
        calls.append(path)
        save(state, path)
        if len(calls) == 2:
            os.truncate(path, path.stat().st_size // 2)
            raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", save_half_of_the_second)
    assert train.main(run) == 1
    assert "no space left on device" in capsys.readouterr().err
    monkeypatch.setattr(torch, "save", save)
    assert_same(trained([*run, "--resume"]), expected)


def test_two_processes_get_the_weights_of_one(arguments):
    """The loss is the mean over the pixels that have a label, of which the processes have different numbers.

    Here the two also have readers, which must not matter either.
    """
    overrides = ("loss.multi_scale=true", "solver.batch=8", "solver.accumulate=2")
    one, two = arguments("one", *overrides), arguments("two", *overrides, "run.workers=1")
    expected = trained(one)
    result = in_processes(2, two)
    assert result.returncode == 0, result.stderr
    got = torch.load(Path(two[2]) / "weights.pt", weights_only=True)
    assert largest_difference(got, expected) < 1e-6  # it is 6e-8
    assert largest_difference(trained(arguments("other", *overrides, "run.seed=1")), expected) > 1e-3
    assert [float(row["loss"]) for row in log(two)] == pytest.approx([float(row["loss"]) for row in log(one)], rel=1e-5)


def test_gradients_of_passes_are_averaged(arguments, tmp_path):
    """One picture, four times in four passes, is that picture once."""
    deeplab_training.write_data(tmp_path / "one", n=1)
    same = (f"data.root={tmp_path / 'one'}", "input.crop=65", "input.mirror=false", "input.scales=[1]")
    once = trained(arguments("once", *same, "solver.batch=1"))
    four = trained(arguments("four", *same, "solver.batch=4", "solver.accumulate=4"))
    assert largest_difference(four, once) < 1e-6


def test_it_says_how_far_it_is_and_keeps_a_log(arguments, capsys):
    run = arguments("run", "solver.policy=step", "solver.step_size=10")
    trained(run)
    (last,) = capsys.readouterr().err.splitlines()
    assert last.startswith("iteration 12 of 12, loss ")
    assert last.rstrip().endswith("0:00:00 left")
    rows = log(run)
    assert [row["iteration"] for row in rows] == [str(i) for i in range(1, 13)]
    assert [float(row["lr"]) for row in rows] == pytest.approx([3e-3] * 10 + [3e-4] * 2)
    assert all(float(row["seconds"]) >= 0 for row in rows)


def test_weights_to_start_from_are_loaded_and_frozen_modules_keep_them(arguments, tmp_path):
    first = trained(arguments("first"))
    checkpoint = tmp_path / "first" / "checkpoint.pt"
    start = f"start.weights={checkpoint}"
    then = trained(arguments("then", start, 'start.skip=["head"]', 'solver.freeze=["body"]', "run.seed=1"))
    assert_same({k: x for k, x in then.items() if "body" in k}, {k: x for k, x in first.items() if "body" in k})
    assert not torch.equal(then["head.weight"], first["head.weight"])


def test_frozen_norms_keep_their_statistics(arguments):
    norms = {name: x for name, x in trained(arguments("run")).items() if name.startswith("body.1.")}
    assert_same(norms, {**deeplab_training.tiny(3).body[1].state_dict(prefix="body.1.")})


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_arithmetic_is_of_the_precision_asked_for(arguments, precision, monkeypatch):
    seen = set()
    outputs = deeplab.losses.outputs

    def spied(network, images):
        scores = outputs(network, images)
        seen.update(x.dtype for x in scores if not x.is_meta)
        return scores

    monkeypatch.setattr(deeplab.losses, "outputs", spied)
    got = trained(arguments("run", f"run.precision={precision}"))
    assert seen == {getattr(torch, precision)}
    assert all(x.dtype == torch.float32 for x in got.values() if x.is_floating_point())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.root=nowhere"], "nowhere"),
        (["start.weights=nowhere.pth"], "nowhere.pth"),
        (['solver.freeze=["tail"]'], "solver.freeze: the network has nothing called 'tail'"),
        (["run.precision=float16"], "run.precision float16 is for CUDA"),
        (["network=deeplab-v1-msc", "input.crop=306"], "(40, 40) scores for pictures of (306, 306) do not lie on"),
        (["solver.base=1"], "did you mean solver.base_lr?"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence_before_anything_is_written(arguments, capsys, overrides, message):
    run = arguments("run", *overrides)
    assert train.main(run) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m deeplab train: ")
    assert message in line
    assert not Path(run[2]).exists()


def test_a_run_is_neither_overwritten_nor_resumed_as_another(arguments, capsys):
    trained(arguments("run"))
    assert train.main(arguments("run")) == 2
    assert "give --resume to go on with it, or another --out" in capsys.readouterr().err
    assert train.main([*arguments("run", "solver.batch=2", "run.workers=1"), "--resume"]) == 2
    assert capsys.readouterr().err.rstrip().endswith("is of another run: solver.batch was 4 and is 2")


def test_a_checkpoint_that_is_damaged_is_said_to_be_so(arguments, capsys):
    run = arguments("run")
    trained(run)
    checkpoint = Path(run[2]) / "checkpoint.pt"
    whole = checkpoint.read_bytes()
    torch.save({"state_dict": {}}, checkpoint)
    assert train.main([*run, "--resume"]) == 2
    assert "checkpoint.pt: not a checkpoint of this program" in capsys.readouterr().err
    checkpoint.write_bytes(whole[:-100])
    assert train.main([*run, "--resume"]) == 2
    assert "checkpoint.pt: damaged" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_ends_the_run(arguments, capsys):
    assert train.main(arguments("run", "solver.base_lr=1e30")) == 1
    assert "solver.base_lr may be too high" in capsys.readouterr().err


def test_tensorboard_gets_loss_and_learning_rate_if_it_is_asked_for(arguments, monkeypatch):
    written = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            written.append((Path(folder).name, purge_step))

        def add_scalar(self, *values):
            written.append(values)

        def close(self):
            written.append("closed")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=SummaryWriter))
    run = arguments("run", "run.tensorboard=true")
    trained(run)
    rows = [(("loss", float(row["loss"]), i), ("lr", float(row["lr"]), i)) for i, row in enumerate(log(run), 1)]
    assert written == [("run", 1), *itertools.chain(*rows), "closed"]


def test_tensorboard_that_is_not_there_is_said(arguments, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert train.main(arguments("run", "run.tensorboard=true")) == 1
    assert "run.tensorboard needs TensorBoard: pip install tensorboard" in capsys.readouterr().err


def test_a_run_that_is_interrupted_says_how_to_go_on(arguments, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(deeplab.logs.Log, "add", interrupt)
    assert train.main(arguments("run")) == 1
    assert "stopped; --resume goes on from the last checkpoint" in capsys.readouterr().err


def test_the_help_names_every_key_and_every_experiment(capsys):
    with pytest.raises(SystemExit) as caught:
        train.main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert [word for word in (*deeplab.config.keys(), *deeplab.config.published()) if word not in text] == []
