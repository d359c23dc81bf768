"""The same runs on a Ray cluster of this machine, whose actors are killed on the way."""

import os
import signal
from pathlib import Path

import pytest

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")
pytest.importorskip("PIL")

import data_sets  # noqa: E402

from densecrf import batch  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]

TESTS = Path(__file__).resolve().parent


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Two workers' worth of a cluster, whose processes find the tests' modules."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    yield
    ray.shutdown()
    os.environ.pop("PYTHONPATH")
    if before is not None:
        os.environ["PYTHONPATH"] = before


def options(folder, recipe=data_sets.STRANGE):
    return data_sets.options(folder, recipe=recipe, engine=batch.Engine("ray", workers=2), shard=None)


def actors():
    """The processes of our actors."""
    commands = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands[int(path.parent.name)] = path.read_bytes()
        except OSError:
            continue
    return [process for process, command in commands.items() if b"_Actor" in command and b"IDLE" not in command]


def test_an_actor_that_is_killed_in_the_middle_loses_nothing_and_outputs_are_those_of_one_machine(tmp_path):
    names = [f"{i:03}" for i in range(96)]
    for folder in ("ray", "local"):
        data_sets.make(tmp_path / folder, names)
        (tmp_path / folder / "probs" / "040.npy").write_bytes(b"broken")
    killed = []

    def kill(progress):
        if progress.done > 20 and not killed:
            killed.append(actors()[0])
            os.kill(killed[0], signal.SIGKILL)

    done = batch.run(options(tmp_path / "ray"), kill)
    assert len(killed) == 1
    assert (done.exit_status, done.progress.done, done.progress.failed) == (1, 95, 1)
    batch.run(data_sets.options(tmp_path / "local"))
    assert data_sets.outputs(tmp_path / "ray") == data_sets.outputs(tmp_path / "local")
    assert data_sets.errors(tmp_path / "ray") == data_sets.errors(tmp_path / "local")
    assert set(data_sets.errors(tmp_path / "ray")) == {"040.png"}
    figures = [line.split(",")[6] for line in (tmp_path / "ray" / "out" / "results.csv").read_text().splitlines()]
    assert all(figures)

    (tmp_path / "ray" / "out" / "007.png").unlink()
    data_sets.add(tmp_path / "ray", "040", 40)
    again = batch.run(options(tmp_path / "ray"))
    assert (again.exit_status, again.progress.before, again.progress.done) == (0, 94, 2)
    assert data_sets.errors(tmp_path / "ray") == {}


def test_a_picture_that_kills_every_actor_is_recorded_and_its_neighbours_are_done(tmp_path):
    data_sets.make(tmp_path, [f"{i:02}" for i in range(20)])
    data_sets.add(tmp_path, "03a", deadly=True)
    done = batch.run(options(tmp_path))
    assert (done.exit_status, done.progress.done, done.progress.failed) == (1, 20, 1)
    assert set(data_sets.errors(tmp_path)) == {"03a.png"}
    assert list((tmp_path / "out" / ".densecrf" / "tries").iterdir()) == []
