"""The zip that StyleGAN, EDM and R3GAN share: images in numbered folders, labels in dataset.json."""

import json
import zipfile

import pytest

from gan_lab.common.errors import UserError
from gan_lab.data.reading.files import ImageFolder

NAMES = [f"{k // 4:05d}/img{k:08d}.png" for k in range(8)]
CLASSES = [6, 0, 2, 11, 6, 6, 0, 1]


def shared(make_folder, labels, **entries):
    root = make_folder(NAMES)
    (root / "dataset.json").write_text(json.dumps({"labels": labels, **entries}))
    return root


def packed(root, file, prefix=""):
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(root.rglob("*.*")):
            archive.write(path, f"{prefix}{path.relative_to(root)}")
    return file


def pairs():
    return [[name, label] for name, label in zip(NAMES, CLASSES, strict=True)]


@pytest.mark.parametrize("place", ["folder", "zip", "wrapped zip", "folder with a split's zip"])
def test_images_have_the_labels_of_the_file(make_folder, tmp_path, place):
    root = shared(make_folder, pairs()[::-1])
    if place.endswith("zip"):
        (tmp_path / "sets").mkdir()
        root = packed(root, tmp_path / "sets/train.zip", "wrap/" if "wrapped" in place else "")
        root = root.parent if place.startswith("folder") else root
    folder = ImageFolder(str(root))
    images = folder.splits()["all"]
    assert images.labels.tolist() == CLASSES and images.classes == 12
    assert folder.class_names() == [str(number) for number in range(12)]
    assert "12 classes by dataset.json: 0 (2), 1 (1), 2 (1)" in folder.describe()[0]


@pytest.mark.parametrize("labels", [None, [], [[name, 0] for name in NAMES]])
def test_without_labels_the_folders_are_no_classes(make_folder, labels):
    images = ImageFolder(str(shared(make_folder, labels))).splits()["all"]
    assert (images.labels, images.classes, len(images)) == (None, 0, 8)


def test_an_image_that_the_file_does_not_name_has_no_class(make_folder):
    folder = ImageFolder(str(shared(make_folder, pairs()[1:])))
    assert folder.splits()["all"].labels.tolist() == [-1, *CLASSES[1:]]
    assert "1 image without a class: 00000/img00000000.png" in folder.describe()[0]


def test_names_may_have_the_separators_of_windows(make_folder):
    labels = [[name.replace("/", "\\"), float(label)] for name, label in pairs()]
    assert ImageFolder(str(shared(make_folder, labels))).splits()["all"].labels.tolist() == CLASSES


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        ([[NAMES[0], [0.1, 0.2, 0.3]]], "vectors of 3 numbers as labels"),
        ([[NAMES[0], 0.5]], r"the label 0\.5, but classes are 0, 1, 2"),
        ([[NAMES[0], -1]], "the label -1"),
        ([[NAMES[0], True]], "the label true"),
        ([[NAMES[0], None]], "the label null"),
        ({"a": 1}, "must be a list"),
        ([["other.png", 1]], "names none of the images"),
    ],
)
def test_other_labels_are_refused(make_folder, labels, what):
    with pytest.raises(UserError, match=what) as refusal:
        ImageFolder(str(shared(make_folder, labels))).splits()
    assert "\n" not in str(refusal.value) and "dataset.json" in str(refusal.value)


def test_a_damaged_file_is_refused_and_a_foreign_one_is_ignored(make_folder):
    root = make_folder(["cats/1.png", "dogs/1.png"])
    (root / "dataset.json").write_text('{"info": "of something else"}')
    assert ImageFolder(str(root)).class_names() == ["cats", "dogs"]
    (root / "dataset.json").write_text('{"labels": [')
    with pytest.raises(UserError, match=r"dataset\.json cannot be read"):
        ImageFolder(str(root)).splits()


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([f"class {k}" for k in range(12)], [f"class {k}" for k in range(12)]),
        ([f"class {k}" for k in range(13)], [f"class {k}" for k in range(13)]),
        (["too", "few"], [str(k) for k in range(12)]),
        (["twice"] * 12, [str(k) for k in range(12)]),
        ([*range(12)], [str(k) for k in range(12)]),
        ({"a": 0}, [str(k) for k in range(12)]),
    ],
)
def test_names_of_the_classes_are_read_if_there_is_one_for_each(make_folder, names, found):
    folder = ImageFolder(str(shared(make_folder, pairs(), class_names=names)))
    assert folder.class_names() == found and folder.splits()["all"].classes == len(found)


def test_names_that_differ_between_splits_are_not_used(make_folder, tmp_path):
    (tmp_path / "sets").mkdir()
    for split in ("train", "test"):
        root = shared(make_folder, pairs(), class_names=[f"{split} {k}" for k in range(12)])
        packed(root, tmp_path / "sets" / f"{split}.zip")
    assert ImageFolder(str(tmp_path / "sets")).class_names() == [str(k) for k in range(12)]
