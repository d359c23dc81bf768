"""Which pictures belong to a run: pairs by stem, shards, and what an environment says."""

import pytest

pytest.importorskip("PIL")

from conftest import run

from densecrf.batch import Shard, jobs, shards


@pytest.fixture
def folder(tmp_path):
    for place, names in {"images": ("b.jpg", "a.PNG", "c.x.png", "notes.txt"), "probs": ("a.npy", "c.x.npz")}.items():
        (tmp_path / place / "sub").mkdir(parents=True)
        for name in names:
            (tmp_path / place / name).touch()
    return tmp_path


def find(folder, images="images"):
    return jobs.find(folder / images, folder / "probs", folder / "out", ".png")


def test_pictures_are_paired_with_probabilities_by_stem_in_sorted_order(folder):
    found = find(folder)
    assert [job.name for job in found] == ["a", "b", "c.x"]
    assert [job.probs.removeprefix(f"{folder}/") for job in found] == ["probs/a.npy", "", "probs/c.x.npz"]
    assert found[2].output == str(folder / "out" / "c.x.png")


def test_a_pattern_finds_pictures_in_subfolders(folder):
    (folder / "images" / "sub" / "d.webp").touch()
    assert [job.name for job in find(folder, "images/**/*.*[gG]")] == ["a", "b", "c.x"]
    assert [job.name for job in find(folder, "images/**/*.webp")] == ["d"]


@pytest.mark.parametrize("name", ["images/a.jpg", "probs/a.png"])
def test_a_stem_shared_by_two_files_is_refused_and_both_are_named(name, folder):
    (folder / name).touch()
    with pytest.raises(ValueError, match=r"a\.\w+ and .*a\.\w+"):
        find(folder)


def test_probabilities_of_other_pictures_may_share_a_stem(folder):
    (folder / "probs" / "z.npy").touch()
    (folder / "probs" / "z.npz").touch()
    assert len(find(folder)) == 3


@pytest.mark.parametrize("place", ["images", "probs"])
def test_missing_folders_and_folders_without_pictures_are_said_to_be(place, folder):
    (folder / place).rename(folder / "elsewhere")
    with pytest.raises(FileNotFoundError, match=place):
        find(folder)


def test_outputs_never_overwrite_inputs(folder):
    (folder / "images" / "d.png").touch()
    with pytest.raises(ValueError, match=r"d\.png would be overwritten"):
        jobs.find(folder / "images" / "d.*", folder / "probs", folder / "images", ".png")


def test_what_has_an_output_is_not_missing(folder):
    assert len(jobs.missing(find(folder))) == 3
    (folder / "out").mkdir()
    (folder / "out" / "a.png").touch()
    (folder / "out" / ".b.png.17.part").touch()
    assert [job.name for job in jobs.missing(find(folder))] == ["b", "c.x"]


def test_only_what_was_left_of_outputs_of_this_run_is_swept_away(folder):
    (folder / "out").mkdir()
    for name in (".a.png.17.part", ".b.png.17.part", ".hidden", "b.png.part"):
        (folder / "out" / name).touch()
    jobs.sweep([job for job in find(folder) if job.name == "b"])
    assert sorted(path.name for path in (folder / "out").iterdir()) == [".a.png.17.part", ".hidden", "b.png.part"]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_are_disjoint_and_together_everything(count):
    items = list(range(5))
    parts = [Shard(index, count).of(items) for index in range(count)]
    assert sorted(item for part in parts for item in part) == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["", "1", "3/3", "-1/3", "0/0", "1/2/3", "a/b", "1.0/2"])
def test_shards_that_cannot_be_are_refused(text):
    with pytest.raises(ValueError, match="shard"):
        shards.parse(text)


def test_shards_are_written_as_they_are_read():
    assert str(shards.parse(" 2/8 ")) == "2/8"


SLURM = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_COUNT": "4"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Shard(0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, Shard(3, 4)),
        ({**SLURM, "SLURM_ARRAY_TASK_STEP": "2"}, Shard(2, 4)),
        ({**SLURM, "SLURM_ARRAY_TASK_ID": "4"}, Shard(1, 4)),
        ({**SLURM, "SLURM_ARRAY_TASK_ID": "4", "RANK": "1", "WORLD_SIZE": "4"}, Shard(1, 4)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, Shard(0, 1)),  # set in scripts that srun did not start, too
    ],
)
def test_the_environment_says_which_shard(environment, expected):
    assert shards.from_environment(environment) == expected


@pytest.mark.parametrize(
    "environment",
    [
        {"RANK": "3"},
        {"WORLD_SIZE": "3"},
        {"RANK": "4", "WORLD_SIZE": "4"},
        {"RANK": "one", "WORLD_SIZE": "4"},
        {"SLURM_ARRAY_TASK_ID": "7"},
        SLURM,  # the fifth of four
        {**SLURM, "SLURM_ARRAY_TASK_STEP": "3"},
        {**SLURM, "SLURM_ARRAY_TASK_ID": "4", "RANK": "0", "WORLD_SIZE": "4"},
    ],
)
def test_environments_that_contradict_themselves_are_refused_and_shard_named_as_the_way_out(environment):
    with pytest.raises(ValueError, match="shard"):
        shards.from_environment(environment)


def test_importing_it_imports_nothing_that_a_run_may_not_need():
    program = "import json, sys, densecrf.batch; print(json.dumps(sorted(sys.modules)))"
    assert not {"PIL", "rich", "typer", "torch", "ray"} & set(run(program))
