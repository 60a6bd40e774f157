"""Splits and classes in the layouts that people have."""

import zipfile

import pytest

from gan_lab.common.errors import UserError
from gan_lab.data import presets
from gan_lab.data.reading.files import ImageFolder
from gan_lab.data.reading.layout import natural_key
from gan_lab.data.reading.listing import list_images, role_of

PETS = ("cats", "dogs")


def files(*folders, count=3, names=PETS):
    return [f"{folder}/{name}/{number}.png" for folder in folders for name in names for number in range(count)]


def shape(root, **options):
    """The number of images and the labels of each split, and the names of the classes."""
    folder = ImageFolder(str(root), **options)
    splits = folder.splits()
    labels = {split: None if images.labels is None else images.labels.tolist() for split, images in splits.items()}
    return {split: len(images) for split, images in splits.items()}, labels, folder.class_names()


@pytest.mark.parametrize(
    ("folder", "role"),
    [
        *(("Training", "train"), ("TEST", "test"), ("training_set", "train"), ("test-set", "test"), ("test1", "test")),
        *(("Validation", "val"), ("valid_images", "val"), ("trainA", None), ("train_label", None), ("tests", None)),
        *(("dataset", None), ("train2", None), ("", None), ("Testament", None)),
    ],
)
def test_names_of_splits(folder, role):
    assert role_of(folder) == role


def test_numbers_in_names_are_numbers():
    assert sorted(["10", "9", "b2", "b10", "1", "a"], key=natural_key) == ["1", "9", "10", "a", "b2", "b10"]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        *(("Training", "Testing"), ("train", "val"), ("train/train", "test/test"), ("training_set", "test_set")),
        *(("wrap/train", "wrap/TEST"), ("train/data", "test/data"), ("train/train/train", "test")),
    ],
)
def test_splits_with_classes(make_folder, train, test):
    root = make_folder(files(train) + files(test, count=2))
    counts, labels, names = shape(root)
    assert counts == {"train": 6, "test": 4}
    assert labels == {"train": [0, 0, 0, 1, 1, 1], "test": [0, 0, 1, 1]}
    assert names == ["cats", "dogs"]


def test_splits_in_each_class(make_folder):
    root = make_folder([f"{name}/{split}/{number}.png" for name in PETS for split in ("train", "test")
                        for number in range(2)])  # fmt: skip
    assert shape(root) == ({"train": 4, "test": 4}, {"train": [0, 0, 1, 1], "test": [0, 0, 1, 1]}, ["cats", "dogs"])


def test_no_test_image_is_trained_on(make_folder):
    root = make_folder(files("Training") + files("Testing"))
    splits = ImageFolder(str(root)).splits()
    assert {entry.file.parts[-3] for entry in splits["train"].entries} == {"Training"}
    assert {entry.file.parts[-3] for entry in splits["test"].entries} == {"Testing"}


def test_of_three_splits_one_is_not_used_and_named(make_folder):
    root = make_folder(files("train") + files("val", count=1) + files("test", count=2))
    assert shape(root)[0] == {"train": 6, "test": 4}
    assert ImageFolder(str(root)).describe() == [
        f"Found in {root}: train (6 images) trains, test (4 images) tests; not used: images in val (2).",
        f"Found in {root}: 2 classes: cats (3), dogs (3).",
    ]


def test_a_test_split_with_classes_is_preferred(make_folder):
    root = make_folder([*files("train"), *files("valid", count=1), "test/1.png", "test/2.png"])
    assert shape(root)[1]["test"] == [0, 1]


@pytest.mark.parametrize(
    ("layout", "what"),
    [
        (files("train") + files("Training") + files("test"), "Training and train could be the training split"),
        (files("val") + files("test"), "test and val but none to train on"),
    ],
)
def test_ambiguous_splits_are_refused(make_folder, layout, what):
    with pytest.raises(UserError, match=what) as refusal:
        ImageFolder(str(make_folder(layout))).splits()
    assert "\n" not in str(refusal.value)


def module(root, classes, **options):
    return presets.folder(
        str(root), name="pets", channels=3, size=8, batch_size=2, classes=classes, cache="memory", **options
    )


def test_a_loose_image_does_not_remove_the_classes(make_folder, caplog):
    root = make_folder([*files("."), "preview.png"])
    assert shape(root) == ({"all": 7}, {"all": [0, 0, 0, 1, 1, 1, -1]}, ["cats", "dogs"])
    with caplog.at_level("INFO"):
        labelled = module(root, 2)
        assert labelled.count("train") + labelled.count("test") == 6
        assert labelled.class_names == ["cats", "dogs"]
        assert labelled.describe()["class_names"] == ["cats", "dogs"]
    assert "1 image without a class: preview.png" in caplog.text
    assert "1 image without a class left out" in caplog.text
    unlabelled = module(root, 0)
    assert unlabelled.count("train") + unlabelled.count("test") == 7
    assert unlabelled.class_names == [] and "class_names" not in unlabelled.describe()


def test_a_loose_image_beside_a_wrapper_does_not_hide_what_is_in_it(make_folder):
    assert shape(make_folder([*files("data"), "cover.png"]))[2] == ["cats", "dogs"]
    assert shape(make_folder([*files("data/train"), *files("data/test"), "cover.png"], "two"))[0]["test"] == 6


def test_an_unlabelled_test_split_serves_models_without_classes(make_folder, caplog):
    root = make_folder([*files("train", count=10), "test/1.png", "test/2.png"])
    unlabelled = module(root, 0)
    assert (unlabelled.count("train"), unlabelled.count("test")) == (20, 2)
    with caplog.at_level("INFO"):
        labelled = module(root, 2)
        assert (labelled.count("train"), labelled.count("test")) == (18, 2)
    assert sorted(labelled.labels("train").tolist() + labelled.labels("test").tolist()) == [0] * 10 + [1] * 10
    assert "no test image has a class, so a tenth of the training images is held out" in caplog.text


def test_numbered_classes_are_in_natural_order(make_folder):
    root = make_folder([f"{number}/{each}.png" for number in range(12) for each in range(2)])
    folder = ImageFolder(str(root))
    images = folder.splits()["all"]
    assert folder.class_names() == [str(number) for number in range(12)]
    assert all(int(entry.parts[0]) == label for entry, label in zip(images.entries, images.labels, strict=True))
    assert ImageFolder(str(root), "text").class_names()[:4] == ["0", "1", "10", "11"]


def test_a_class_may_be_written_differently_in_the_splits(make_folder):
    root = make_folder(["train/Cats/1.png", "train/dogs/1.png", "test/cats/1.png", "test/Dogs/1.png"])
    assert shape(root)[1] == {"train": [0, 1], "test": [1, 0]}, "sorted as Dogs, cats"
    letters = make_folder(["a/1.png", "A/1.png", "b/1.png"], "letters")
    assert len(shape(letters)[2]) == 3


def test_a_folder_with_two_paths_counts_twice_and_loops_end(make_folder):
    root = make_folder([*files("store", names=("cats",)), "set/dogs/1.png"])
    for name in ("cats", "more_cats"):
        (root / "set" / name).symlink_to(root / "store/cats")
    (root / "set/dogs/loop").symlink_to(root / "set")
    assert shape(root / "set") == ({"all": 7}, {"all": [0] * 3 + [1] + [2] * 3}, ["cats", "dogs", "more_cats"])


def test_folders_linked_to_each_other_are_listed_in_bounded_time(make_folder):
    names = [f"f{number}" for number in range(12)]
    root = make_folder([f"{name}/1.png" for name in names])
    for name in names:
        for other in names:
            if other != name:
                (root / name / f"to_{other}").symlink_to(root / other)
    assert len(list_images(root)) < 2000


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_zips_of_any_system_keep_their_folders(make_folder, tmp_path, separator):
    root = make_folder(files("Training") + files("Testing"))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(root.rglob("*.png")):
            info = zipfile.ZipInfo("x")
            info.filename = separator.join(("pets", *path.relative_to(root).parts))
            archive.writestr(info, path.read_bytes())
        folder = zipfile.ZipInfo("y")
        folder.filename = separator.join(("pets", "empty.png", ""))
        archive.writestr(folder, b"")
        archive.writestr("__MACOSX/pets/Training/cats/._0.png", b"x")
    assert shape(tmp_path / "all.zip") == shape(root)
    assert module(tmp_path / "all.zip", 2).count("train") == 6


def test_zips_of_splits_unless_they_are_unpacked(make_folder, tmp_path):
    root = make_folder(files("train"))
    for split in ("train", "Test1"):
        with zipfile.ZipFile(root / f"{split}.zip", "w") as archive:
            for path in sorted((root / "train").rglob("*.png")):
                archive.write(path, path.relative_to(root / "train"))
    assert shape(root)[0] == {"train": 6, "test": 6}


def test_numbered_shards_are_no_classes(make_folder):
    stylegan = make_folder([f"{k // 4:05d}/img{k:08d}.png" for k in range(8)])
    assert shape(stylegan) == ({"all": 8}, {"all": None}, [])
    assert "00000, 00001 are numbered parts of one set" in ImageFolder(str(stylegan)).describe()[0]
    ffhq = make_folder([f"{k // 3 * 3:05d}/{k:05d}.png" for k in range(9)], "ffhq")
    assert shape(ffhq)[2] == []
    digits = make_folder([f"{k:05d}/{number}.png" for k in range(3) for number in range(3)], "digits")
    assert len(shape(digits)[2]) == 3
