"""deeplab.data: layouts of data sets, written as their owners hand them out, and a real one."""

import os
import pickle
import re
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

from deeplab.data import VOID, kinds, open_data  # noqa: E402

CAMVID = Path(os.environ.get("DENSECRF_DATA", Path(__file__).parents[2] / "shared" / "data")) / "camvid"

SHAPE = (4, 6)
RED = (255, 0, 0)
LABELS = np.zeros(SHAPE, np.uint8)
LABELS[1:3, 2:5] = VOID
LABELS[2, 3] = 5

NAMES = ["2007_000032", "2007_000039", "2010_000002"]
BARE = "".join(f"{name}\n" for name in NAMES)
PAIRS = "".join(f"/JPEGImages/{name}.jpg /SegmentationClassAug/{name}.png\n" for name in NAMES)
VOC_LIST = "ImageSets/Segmentation/val.txt"


def write(path, content):
    """A list, a picture of one colour, or labels as a palette PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content)
    elif isinstance(content, tuple):
        Image.new("RGB", SHAPE[::-1], content).save(path, quality=100)
    else:
        image = Image.fromarray(content)
        image.putpalette([200 - i // 3 % 200 for i in range(768)])  # colours unlike the indices
        image.save(path)


def write_devkit(root, labels="SegmentationClass", listing=VOC_LIST, lines=BARE, values=LABELS):
    write(root / listing, lines)
    for name in NAMES:
        write(root / f"JPEGImages/{name}.jpg", RED)
        write(root / f"{labels}/{name}.png", values)


def write_camvid(root, split="train", values=LABELS):
    for name in ("0006R0_f00930", "0001TP_006690"):
        write(root / f"{split}/{name}.png", RED)
        write(root / f"{split}annot/{name}.png", values)


def write_cityscapes(root, values):
    for city, name in (("ulm", "ulm_000000_000019"), ("aachen", "aachen_000173_000019")):
        write(root / f"leftImg8bit/train/{city}/{name}_leftImg8bit.png", np.zeros_like(values))
        write(root / f"gtFine/train/{city}/{name}_gtFine_labelIds.png", values)
        write(root / f"gtFine/train/{city}/{name}_gtFine_color.png", RED)


def write_folder(root, names=("b", "a", "c"), suffix=".png"):
    for name in names:
        write(root / f"images/{name}{suffix}", RED)
        write(root / f"labels/{name}.png", LABELS)


# ---- layouts ---------------------------------------------------------------------------------------------------

PERSON_PART = "pascal_person_part_trainval_list/val.txt"
AUG = "ImageSets/SegmentationAug/train_aug.txt"
CONTEXT = "ImageSets/SegmentationContext/val.txt"
DEVKITS = {
    "VOC": ("voc", 21, ("SegmentationClass", VOC_LIST)),
    "VOC with DeepLab's lists": ("voc", 21, ("SegmentationClass", VOC_LIST, PAIRS)),
    "SBD": ("voc", 21, ("SegmentationClassAug", AUG, PAIRS)),
    "PASCAL-Context": ("context", 60, ("SegmentationClassContext", CONTEXT)),
    "Person-Part": ("person-part", 7, ("pascal_person_part_gt", PERSON_PART)),
}


@pytest.mark.parametrize(("kind", "n_classes", "layout"), DEVKITS.values(), ids=DEVKITS)
def test_pictures_of_pascal_and_the_labels_that_others_drew(tmp_path, kind, n_classes, layout):
    write_devkit(tmp_path, *layout)
    data = open_data(kind, tmp_path, Path(layout[1]).stem)
    assert data.names == tuple(NAMES)
    assert (len(data), data.n_classes, len(set(data.class_names))) == (3, n_classes, n_classes)
    assert data.class_names[0] == "background"
    assert data[2].labels.tolist() == LABELS.tolist()


def test_labels_of_sbd_are_not_those_of_voc(tmp_path):
    write_devkit(tmp_path, values=np.zeros(SHAPE, np.uint8))
    write_devkit(tmp_path, "SegmentationClassAug", "ImageSets/SegmentationAug/trainval_aug.txt")
    assert open_data("voc", tmp_path, "trainval_aug")[0].labels.max() == VOID
    assert open_data("voc", tmp_path, "val")[0].labels.max() == 0


def test_cityscapes_has_19_of_its_34_labels_and_the_others_are_void(tmp_path):
    write_cityscapes(tmp_path, np.arange(34, dtype=np.uint8)[None])
    data = open_data("cityscapes", tmp_path, "train")
    assert data.names == ("aachen/aachen_000173_000019", "ulm/ulm_000000_000019")
    (labels,) = data[0].labels.tolist()
    evaluated = {7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33}
    assert [i for i, label in enumerate(labels) if label != VOID] == sorted(evaluated)
    assert [label for label in labels if label != VOID] == list(range(data.n_classes))
    assert [data.class_names[labels[i]] for i in (7, 24, 33)] == ["road", "person", "bicycle"]


def test_camvid_takes_label_11_for_void(tmp_path):
    labels = LABELS.copy()
    labels[labels == VOID] = 11
    write_camvid(tmp_path, values=labels)
    write_camvid(tmp_path, split="test")
    data = open_data("camvid", tmp_path, "train")
    assert (data.names, data.n_classes) == (("0001TP_006690", "0006R0_f00930"), 11)
    assert data[0].labels.tolist() == LABELS.tolist()


def test_a_folder_without_a_list_has_all_pictures_and_as_many_classes_as_labels(tmp_path):
    write_folder(tmp_path)
    data = open_data("folder", tmp_path, "all")
    assert data.names == ("a", "b", "c")
    assert data.class_names == ("0", "1", "2", "3", "4", "5")


def test_classes_are_those_of_all_splits(tmp_path):
    write_folder(tmp_path)
    write(tmp_path / "labels/c.png", LABELS * 0)
    write(tmp_path / "val.txt", "c\n")
    assert open_data("folder", tmp_path, "val").n_classes == 6


@pytest.mark.parametrize("split", ["train", "all"])
def test_a_list_chooses_pictures_and_their_order(tmp_path, split):
    names = ("b", "a", "a picture (1).of mine")
    write_folder(tmp_path, names)
    write(tmp_path / f"{split}.txt", "a picture (1).of mine\n\n b \n")
    data = open_data("folder", tmp_path, split)
    assert [sample.name for sample in data] == ["a picture (1).of mine", "b"]


def test_classes_may_be_named(tmp_path):
    write_folder(tmp_path)
    write(tmp_path / "classes.txt", "sky\n tall tree\n1\n2\n3\n4\n5\n")
    assert open_data("folder", tmp_path, "all").class_names == ("sky", "tall tree", "1", "2", "3", "4", "5")


# ---- samples ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".jpeg"])
def test_a_sample_is_a_picture_in_rgb_and_indices_rather_than_colours(tmp_path, suffix):
    write_folder(tmp_path, suffix=suffix)
    sample = open_data("folder", tmp_path, "all")[1]
    assert sample.name == "b"
    assert (sample.image.shape, sample.image.dtype, sample.labels.dtype) == ((*SHAPE, 3), np.uint8, np.uint8)
    assert np.abs(sample.image[2, 3].astype(int) - RED).max() <= 2
    assert sample.labels.tolist() == LABELS.tolist()


def test_grey_labels_palette_pictures_and_grey_ones(tmp_path):
    write_folder(tmp_path)
    Image.fromarray(LABELS).save(tmp_path / "labels/a.png")
    Image.new("RGB", SHAPE[::-1], RED).quantize().save(tmp_path / "images/a.png")
    Image.new("L", SHAPE[::-1], 7).save(tmp_path / "images/b.png")
    data = open_data("folder", tmp_path, "all")
    assert data[0].labels.tolist() == LABELS.tolist()
    assert (data[0].image == RED).all()
    assert (data[1].image == 7).all()


def test_arrays_can_be_written_to_and_are_read_anew(tmp_path):
    write_folder(tmp_path)
    data = open_data("folder", tmp_path, "all")
    sample = data[0]
    sample.image[:] = 0
    sample.labels[:] = 0
    assert data[0].image.max() == VOID
    assert data[0].labels.max() == VOID


def test_only_the_first_and_the_last_picture_are_read_when_opened(tmp_path):
    write_devkit(tmp_path)
    write(tmp_path / f"JPEGImages/{NAMES[1]}.jpg", "not a picture")
    data = open_data("voc", tmp_path, "val")
    with pytest.raises(ValueError, match="not a picture of a kind that Pillow knows"):
        data[1]


def test_samples_can_be_counted_from_the_end_and_end(tmp_path):
    write_folder(tmp_path)
    data = open_data("folder", tmp_path, "all")
    assert data[-1].name == "c"
    with pytest.raises(IndexError):
        data[3]


def test_subsets_by_slice_and_by_names(tmp_path):
    write_folder(tmp_path)
    data = open_data("folder", tmp_path, "all")
    part = data.subset(["c", "a"])
    assert (part.names, part.class_names) == (("c", "a"), data.class_names)
    assert [sample.name for sample in part] == ["c", "a"]
    assert data.subset(slice(None, None, 2)).names == ("a", "c")
    assert len(data.subset([])) == 0
    with pytest.raises(ValueError, match="no picture 'nobody'"):
        data.subset(["a", "nobody"])


def test_other_processes_read_the_same(tmp_path):
    write_camvid(tmp_path)
    data = pickle.loads(pickle.dumps(open_data("camvid", tmp_path, "train")))
    assert data[0].labels.tolist() == LABELS.tolist()


# ---- what is not there, or not right ---------------------------------------------------------------------------


def complaint(error, *arguments):
    """What is said about it, which must not take a second."""
    started = time.perf_counter()
    with pytest.raises(error) as caught:
        open_data(*arguments)
    assert time.perf_counter() - started < 1
    return str(caught.value)


EXPECTED = {
    "voc": "JPEGImages/2007_000032.jpg, SegmentationClass/2007_000032.png, ImageSets/Segmentation/val.txt",
    "context": "SegmentationClassContext/2008_000002.png, ImageSets/SegmentationContext/val.txt",
    "person-part": "pascal_person_part_gt/2008_000026.png, pascal_person_part_trainval_list/val.txt",
    "cityscapes": "gtFine/val/aachen/aachen_000000_000019_gtFine_labelIds.png",
    "camvid": "val/0001TP_006690.png, valannot/0001TP_006690.png",
    "folder": "images/NAME.jpg, labels/NAME.png, val.txt",
}


def test_all_kinds_are_tried():
    assert kinds() == list(EXPECTED)


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.parametrize("root", ["", "not/there"])
def test_nothing_there_says_what_is_expected_where_and_what_there_is(tmp_path, kind, root):
    write(tmp_path / "holiday.txt", "")
    message = complaint(FileNotFoundError, kind, tmp_path / root, "val")
    assert message.startswith(f"deeplab.open_data: {tmp_path / root}")
    assert f"{kind!r} needs, in {tmp_path / root}, files such as" in message
    assert EXPECTED[kind] in message
    assert message.endswith(f"; {tmp_path} has holiday.txt")


@pytest.mark.parametrize("name", [NAMES[0], NAMES[-1]])
@pytest.mark.parametrize("pattern", ["JPEGImages/{}.jpg", "SegmentationClass/{}.png"])
def test_a_missing_first_or_last_file_is_named(tmp_path, name, pattern):
    write_devkit(tmp_path)
    path = tmp_path / pattern.format(name)
    path.unlink()
    message = complaint(FileNotFoundError, "voc", tmp_path, "val")
    assert message.startswith(f"deeplab.open_data: {path} is missing")


def test_a_file_missing_in_the_middle_is_named_when_it_is_read(tmp_path):
    write_devkit(tmp_path)
    data = open_data("voc", tmp_path, "val")
    path = tmp_path / f"SegmentationClass/{NAMES[1]}.png"
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"^deeplab.open_data: {re.escape(str(path))} is missing"):
        data[1]


def test_another_split_is_named_with_the_splits_there_are(tmp_path):
    write_devkit(tmp_path)
    message = complaint(FileNotFoundError, "voc", tmp_path, "train")
    assert message.endswith(f"{tmp_path / 'ImageSets/Segmentation'} has val.txt")


def test_of_many_files_some_are_listed(tmp_path):
    for i in range(9):
        write(tmp_path / f"{i}.txt", "")
    assert complaint(FileNotFoundError, "voc", tmp_path, "val").endswith("4.txt and 4 more")


def test_an_empty_list_is_said_to_be_empty(tmp_path):
    write_devkit(tmp_path, lines="\n \n")
    assert f"{tmp_path / VOC_LIST} is missing or empty" in complaint(FileNotFoundError, "voc", tmp_path, "val")


def test_a_kind_that_is_none_is_told_the_kinds(tmp_path):
    message = complaint(ValueError, "coco", tmp_path, "val")
    assert message == f"deeplab.open_data: no kind 'coco'; there are {', '.join(kinds())}"


LABELS_GONE_WRONG = {
    "colours": (np.zeros((*SHAPE, 3), np.uint8), "NAME.*8-bit PNGs, palette or grey; .* is RGB"),
    "16 bits": (np.zeros(SHAPE, np.uint16), "8-bit PNGs, palette or grey"),
    "one bit": (np.zeros(SHAPE, bool), "NAME.*8-bit PNGs, palette or grey; .* is 1"),
    "another size": (np.zeros((3, 6), np.uint8), r"is \(4, 6\), its labels are \(3, 6\)"),
    "a class too many": (np.full(SHAPE, 21, np.uint8), "NAME.* has labels that are none of the 21 classes"),
}


@pytest.mark.parametrize(("values", "words"), LABELS_GONE_WRONG.values(), ids=LABELS_GONE_WRONG)
def test_labels_that_are_none_are_an_error(tmp_path, values, words):
    write_devkit(tmp_path)
    Image.fromarray(values).save(tmp_path / f"SegmentationClass/{NAMES[0]}.png")
    assert re.search(words.replace("NAME", NAMES[0]), complaint(ValueError, "voc", tmp_path, "val"))


# ---- a real one ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "count"), [("train", 367), ("val", 101)])
def test_camvid_itself(split, count):
    if not CAMVID.is_dir():
        pytest.skip(f"no data set at {CAMVID}; DENSECRF_DATA names the folder that camvid/ lies in")
    data = open_data("camvid", CAMVID, split)
    assert len(data) == count
    sample = data[count // 2]
    assert (sample.image.shape, sample.labels.shape) == ((360, 480, 3), (360, 480))
    labels = sample.labels
    assert set(np.unique(labels)) <= {*range(11), VOID}
    sky, road = (sample.image[labels == data.class_names.index(name)].mean() for name in ("sky", "road"))
    assert sky > road + 30
