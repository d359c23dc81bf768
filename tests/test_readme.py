"""What README.md shows runs as it stands and prints what it says."""

import re
import shlex

import documents
import numpy as np
import pytest
from documents import ROOT

import densecrf
from densecrf import cli

README = ROOT / "README.md"


def python(number: int) -> str:
    """One of the Python blocks."""
    return documents.blocks(README, "python")[number]


@pytest.fixture(scope="module")
def first_example() -> tuple[dict, str]:
    """The names that the first block defines, and what it prints."""
    pytest.importorskip("skimage")
    names: dict = {}
    return names, documents.run_block(python(0), names)


def test_the_first_example_prints_what_stands_below_it(first_example):
    assert first_example[1] == documents.programs(README)[0][1]


def test_every_line_of_the_second_example_refines(first_example):
    torch = pytest.importorskip("torch")
    names = {"densecrf": densecrf, **first_example[0]}
    image, probs = names["image"][:96, :96], names["probs"][:, :96, :96]
    names |= {"image": image, "probs": probs, "logits": np.log(probs)}
    names |= {"images": np.stack([image, image]), "batch": np.stack([probs, probs])}
    names |= {"tensor_image": torch.from_numpy(image.transpose(2, 0, 1).copy()), "tensor_probs": torch.tensor(probs)}
    example = python(1)
    assert example.count("refine(") == 6
    for statement in re.split(r"\n(?=densecrf)", example)[1:]:
        result = eval(statement.strip(), {**names, "Gaussian": densecrf.Gaussian, "Bilateral": densecrf.Bilateral})
        assert abs(float(result.sum()) - np.prod(result.shape) / 21) < 1


def test_every_line_of_the_third_example_runs(first_example):
    image, probs = first_example[0]["image"][:96, :96], first_example[0]["probs"][:, :96, :96]
    names = {"densecrf": densecrf, "Gaussian": densecrf.Gaussian, "Bilateral": densecrf.Bilateral, "image": image}
    names |= {"probs": probs, "labels": probs.argmax(0).astype(np.uint8), "mask": probs[15] > 0.5}
    names |= {"volume": np.zeros((6, 7, 8), np.int16), "volume_probs": np.full((3, 6, 7, 8), 1 / 3, np.float32)}
    exec(python(2), names)
    assert names["marginals"].shape == probs.shape
    assert names["labels"].dtype == np.uint8
    assert names["mask"].shape == (96, 96)
    assert names["refined_volume"].shape == (3, 6, 7, 8)


def test_every_line_of_the_example_with_torch_runs(first_example):
    torch = pytest.importorskip("torch")
    image, probs = first_example[0]["image"][:64, :64], first_example[0]["probs"][:, :64, :64]
    names = {"densecrf": densecrf, "torch": torch}
    names["tensor_images"] = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
    names["network"] = lambda images: torch.from_numpy(np.log(probs))[None]
    exec(python(3), names)
    expected = densecrf.refine(image, np.log(probs), from_logits=True)
    np.testing.assert_array_equal(names["marginals"][0].numpy(), expected)
    assert callable(names["refine"])


def test_every_command_line_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("typer")
    cli_files = pytest.importorskip("cli_files")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("densecrf.app.missing_packages", list)
    monkeypatch.setattr("densecrf.app.launch", lambda *_, **__: None)
    cli_files.folder_of(tmp_path)
    for source, target in {"a.png": "cat.jpg", "a.npz": "cat.npz", "b.npy": "logits.npy"}.items():
        (tmp_path / source).rename(target)
    (tmp_path / "annotated.png").write_bytes((tmp_path / "labels.png").read_bytes())
    for folder, name in (("pictures", "cat.jpg"), ("scores", "cat.npz")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes((tmp_path / name).read_bytes())
    lines = [shlex.split(line, comments=True) for line in documents.blocks(README, "sh")[-1].splitlines()]
    assert {line[1] for line in lines[1:]} == {"refine", "batch", "compare", "info", "app"}
    for program, *arguments in lines:
        assert program == "densecrf"
        assert cli.main(arguments) == 0, capsys.readouterr().err
    written = {"cat.png", "refined.npz", "better.png", "refined/cat.png", "differences.png"}
    assert all((tmp_path / name).is_file() for name in written)


def test_the_example_with_a_network_goes_from_a_picture_to_labels(first_example, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    pillow = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    image = first_example[0]["image"][:50, :60]
    names = {"image": image}
    exec(python(4).replace('preset="deeplab-v1"', 'preset="deeplab-v1", canvas=9'), names)
    with pillow.open(tmp_path / "labels.png") as written:
        assert written.mode == "P"
        np.testing.assert_array_equal(np.array(written), names["labels"].numpy())
    assert names["labels"].shape == image.shape[:2]
