"""deeplab.weights.load: files that do not fit, are damaged, or are something else."""

import io
import pickle
import re
import zipfile

import pytest

torch = pytest.importorskip("torch")
deeplab = pytest.importorskip("deeplab")

import deeplab_files as files  # noqa: E402

from deeplab import weights  # noqa: E402

NAME = "deeplab-v1-largefov"


@pytest.fixture(scope="module")
def network():
    """One with tensors of its own, of which `complaint` sees to it that they stay."""
    network = files.meta(NAME).to_empty(device="cpu")
    for mark, tensor in enumerate(network.state_dict().values()):
        tensor.fill_(mark)
    return network


@pytest.fixture
def state():
    """A file that fits."""
    modules = zip(files.modules(files.meta(NAME)).values(), files.LARGE_FOV, strict=True)
    return {f"{name}.{x}": files.marked(shape, -1) for shapes, name in modules for x, shape in shapes.items()}


@pytest.fixture
def complaint(network, tmp_path):
    """What is said about a file (tensors, layers or bytes), of which nothing must have been loaded."""

    def complaint(content, network=network, **options):
        path = tmp_path / "a"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(ValueError, match=f"^deeplab.weights.load: {re.escape(str(path))}: ") as error:
            weights.load(network, path, **options)
        assert [float(x.flatten()[0]) for x in network.state_dict().values()] == list(range(len(network.state_dict())))
        return str(error.value).partition(f"{path}: ")[2]

    return complaint


# ---- files that do not fit ------------------------------------------------------------------------------------


def test_other_classes_are_named_with_what_leaves_them_out(complaint, state):
    state |= {"fc8_voc12.weight": torch.zeros(21, 1024, 1, 1), "fc8_voc12.bias": torch.zeros(21)}
    assert complaint(state).splitlines() == [
        "it does not fit, and nothing was loaded. To leave there what the network has, skip=['head.fc8'].",
        "  head.fc8.weight: (21, 1024, 1, 1) in the file (fc8_voc12.weight), (3, 1024, 1, 1) in the network",
        "  head.fc8.bias: (21,) in the file (fc8_voc12.bias), (3,) in the network",
    ]


@pytest.mark.parametrize("missing", ["head.fc8", "head"])
def test_what_the_advice_says_loads_the_file(monkeypatch, tmp_path, state, missing):
    network = files.meta(NAME, n_classes=5)
    modules = dict(zip(files.LARGE_FOV, files.modules(network), strict=True))
    torch.save({k: x for k, x in state.items() if not modules[k.split(".")[0]].startswith(missing)}, tmp_path / "a")
    with pytest.raises(ValueError, match="skip=") as error:
        weights.load(network, tmp_path / "a")
    skip = re.search(r"skip=\[(.*)\]", str(error.value))[1].replace("'", "").split(", ")
    _, left = files.placed(monkeypatch, network, tmp_path / "a", skip=skip)
    assert left == [name for name in network.state_dict() if name.startswith(f"{missing}.")]


def test_everything_that_does_not_fit_is_listed(complaint, state):
    del state["conv3_2.bias"]
    state |= {
        "conv1_1.weight": torch.zeros(64, 3, 5, 5),
        "scale_pool4.weight": torch.zeros(1),
        "module.fc7.weight": state["fc7.weight"],
        "fc6.bias": torch.tensor([torch.nan]).expand(1024),
    }
    assert complaint(state).splitlines() == [
        "it does not fit, and nothing was loaded. Is it the file of another network?",
        "  body.conv1_1.weight: (64, 3, 5, 5) in the file (conv1_1.weight), (64, 3, 3, 3) in the network",
        "  body.conv3_2.bias: not in the file",
        "  head.fc6.bias: not finite in the file (fc6.bias)",
        "  head.fc7.weight: more than once in the file (fc7.weight and module.fc7.weight)",
        "  scale_pool4.weight: not in the network, but in the file (scale_pool4.weight)",
    ]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_one_value_that_is_not_finite_is_found(complaint, state, value):
    state["conv5_3.weight"] = torch.rand(512, 512, 3, 3)
    state["conv5_3.weight"][-1, 7, 1, 2] = value
    assert complaint(state).splitlines()[1:] == ["  body.conv5_3.weight: not finite in the file (conv5_3.weight)"]


def test_the_same_number_of_values_in_another_shape_does_not_fit(complaint, state):
    state["conv2_1.weight"] = torch.zeros(64, 128, 3, 3)
    assert complaint(state).splitlines()[1:] == [
        "  body.conv2_1.weight: (64, 128, 3, 3) in the file (conv2_1.weight), (128, 64, 3, 3) in the network"
    ]


def test_another_networks_file_is_said_to_be_one(complaint):
    state = {f"{name}.weight": torch.zeros(2) for name in files.KAZUTO_RESNET}
    advice, *lines = complaint(state).splitlines()
    assert "another network" in advice
    assert len(lines) == len(files.modules(files.meta(NAME))) * 2 + len(state)


def test_a_body_with_something_missing_is_not_advised_to_be_left(complaint, state):
    del state["conv1_1.bias"]
    assert "skip" not in complaint(state)


def test_one_fc8_does_not_go_into_four_branches(tmp_path, state):
    torch.save(state, tmp_path / "a")
    with pytest.raises(ValueError, match="does not fit") as error:
        weights.load(files.meta("deeplab-v2-vgg16-aspp-l"), tmp_path / "a")
    missing = [f"  head.{i}.fc8.{x}: not in the file" for i in range(4) for x in ("weight", "bias")]
    alone = [f"  head.fc8.{x}: not in the network, but in the file (fc8_voc12.{x})" for x in ("weight", "bias")]
    assert str(error.value).splitlines()[1:] == missing + alone


def test_skipping_what_nothing_is_called_is_an_error(complaint, state):
    assert complaint(state, skip=["head.fc"]) == "nothing is called 'head.fc', which is in skip"


def test_what_is_skipped_may_be_in_the_file_alone(monkeypatch, tmp_path, state):
    torch.save(state | {"aux.weight": torch.zeros(1)}, tmp_path / "a")
    _, left = files.placed(monkeypatch, files.meta(NAME), tmp_path / "a", skip=["aux"])
    assert left == []


# ---- damaged files, and others --------------------------------------------------------------------------------


def saved(content, **options):
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme", "not PyTorch's")
    return file.getvalue()


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("part", [0.01, 0.3, 0.9, 0.999])
def test_a_truncated_pytorch_file_is_damaged(complaint, new, part):
    whole = saved({"fc8.weight": torch.rand(3, 1024, 1, 1)}, _use_new_zipfile_serialization=new)
    assert complaint(whole[: int(part * len(whole))]).startswith("damaged, or a PyTorch file of more than tensors")


OTHERS = {
    "an empty file": (b"", "damaged, or neither a .caffemodel nor a PyTorch file: the file is empty"),
    "text": (b"network weights", "damaged, or neither a .caffemodel nor a PyTorch file: "),
    "an HDF5 file": (b"\x89HDF\r\n\x1a\n" + bytes(80), "damaged, or neither a .caffemodel nor a PyTorch file: "),
    "a zip archive": (zipped(), "damaged, or a PyTorch file of more than tensors (RuntimeError)"),
    "a pickle with code": (pickle.dumps(print, 2), "damaged, or a PyTorch file of more than tensors (Unpickling"),
    "a whole module": (saved(torch.nn.ReLU()), "damaged, or a PyTorch file of more than tensors (Unpickling"),
    "a list of tensors": (saved([torch.zeros(1)]), "a PyTorch file, but not of named tensors (a state_dict)"),
    "a dict of numbers": (saved({"fc8.weight": 1.0}), "a PyTorch file, but not of named tensors (a state_dict)"),
    "a layer of many blobs": (
        files.layer("fc6", *[files.blob([1.0])] * 4),
        "damaged, or neither a .caffemodel nor a PyTorch file: layer fc6 has 4 blobs",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_file_is_told_to_be_one(complaint, name):
    content, message = OTHERS[name]
    assert complaint(content).startswith(message)


def test_a_missing_file_is_an_error_of_its_own(network, tmp_path):
    with pytest.raises(FileNotFoundError):
        weights.load(network, tmp_path / "missing.pth")


ODD = {
    "sparse": lambda: torch.sparse_coo_tensor([[0], [0], [0], [0]], [1.0], (64, 3, 3, 3), check_invariants=True),
    "without numbers": lambda: torch.zeros(64, 3, 3, 3, device="meta"),
    "complex": lambda: torch.zeros(64, 3, 3, 3, dtype=torch.complex64),
}


@pytest.mark.parametrize("kind", ODD)
def test_tensors_of_other_kinds_than_numbers_side_by_side_are_refused(complaint, kind):
    assert complaint({"conv1_1.weight": ODD[kind]()}).startswith("its tensors must be dense and of real numbers")


def test_a_first_layer_that_claims_terabytes_does_not_fit(complaint, state):
    del state["conv1_1.weight"]
    state["features.0.weight"] = torch.zeros(1).expand(2**40, 3, 5, 5)
    assert "(1099511627776, 3, 5, 5) in the file" in complaint(state)


def test_a_file_that_was_packed_is_refused_unopened(complaint):
    with zipfile.ZipFile(io.BytesIO(saved({"fc8.weight": torch.zeros(3)}))) as plain:
        members = {name: plain.read(name) + bytes(2**16) for name in plain.namelist()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    assert "compressed, which torch's files are not" in complaint(file.getvalue())
