"""Photographs with label maps and maps of objects: layouts, classes, pixels, and what is refused."""

import zipfile
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data import presets
from gan_lab.data.reading.label_files import object_numbers

B = {"channels": 3, "labels": 0}


def labelled(root=None, a=(), **options):
    defaults = {
        "name": "it",
        "size": 8,
        "load_size": options.get("size", 8),
        "batch_size": 2,
        "paired": True,
        "flip": False,
    }
    root = None if root is None else str(root)
    return presets.labelled({"a": dict(a), "b": B}, root, **defaults | options)


def write(path, ids, bits=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(ids, np.uint8 if bits == 8 else np.uint16)).save(path)


def photo(path, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(path)


def ade(root, ids=(0, 1, 150)):
    for split, name in (("training", "ADE_train_0000000"), ("validation", "ADE_val_0000000")):
        for number in range(1, 4):
            photo(root / f"images/{split}/{name}{number}.jpg")
            write(root / f"annotations/{split}/{name}{number}.png", np.resize(ids, (8, 8)))
    return root


def cityscapes(root, kinds=("labelIds", "labelTrainIds", "instanceIds")):
    values = {"labelIds": [0, 26, 33], "labelTrainIds": [0, 18, 255], "instanceIds": [7, 26001, 26002]}
    for split in ("train", "val", "test"):
        for number in range(3):
            stem = f"{split}/aachen/aachen_00000{number}_000019"
            photo(root / f"leftImg8bit/{stem}_leftImg8bit.png")
            for kind in kinds:
                bits = 16 if kind == "instanceIds" else 8
                write(root / f"gtFine/{stem}_gtFine_{kind}.png", np.resize(values[kind], (8, 8)), bits)
            photo(root / f"gtFine/{stem}_gtFine_color.png")
    return root


def spade(root, label=None, objects=None, stems=("a", "b", "c")):
    for split in ("train", "val"):
        for stem in stems:
            photo(root / f"{split}_img/{stem}.jpg")
            write(root / f"{split}_label/{stem}.png", np.resize([0, 1, 2, 3], (8, 8)) if label is None else label)
            if objects is not None:
                write(root / f"{split}_inst/{stem}.png", objects)
    return root


def whole(data, side="a", split="test"):
    return torch.cat(list(data.sides[side].images(split)))


def test_coco_stuff_has_its_classes_unknown_pixels_and_objects(shared_data):
    root = shared_data / "coco-stuff-sample"
    data = labelled(root, size=[24, 32])
    domain = data.domains["a"]
    assert (domain.labels, domain.unknown, domain.instances, domain.network_channels) == (182, True, True, 184)
    assert [data.sides["b"].count(split) for split in ("train", "test")] == [13, 8]
    stem = data.names("a", "test")[2]
    expected = []
    for kind in ("label", "inst"):
        stored = np.asarray(Image.open(root / f"val_{kind}/{stem}.png"))
        if kind == "inst":  # object numbers in their order
            stored = np.searchsorted(sorted(set(stored.flat)), stored).astype(np.uint8)
        expected.append(np.asarray(Image.fromarray(stored).resize((32, 24), Image.Resampling.NEAREST)))
    assert np.array_equal(whole(data)[2].numpy(), np.stack(expected))


@pytest.mark.parametrize("cache", ["memory", "disk", "packed"])
def test_batches_have_maps_with_edges_and_the_numbers_of_objects(tmp_path, cache):
    """Each column is a class and an object of its own, so that number and class differ unless they share their crop."""
    columns = np.tile(np.arange(8), (8, 1))
    root = spade(tmp_path, columns, 30 * columns)
    data = labelled(root, {"labels": 8}, flip=True, cache=cache, load_size=11)
    flipped = set()
    for batch in islice(data.train_dataloader(), 12):
        ids, numbers = batch["source"].split(1, 1)
        assert batch["source"].dtype == torch.uint8 and torch.equal(ids, numbers)
        encoded = data.on_after_batch_transfer(batch, 0)
        assert encoded["source"].shape == (2, 9, 8, 8) and encoded["target"].shape == (2, 3, 8, 8)
        assert torch.equal(encoded["instances"], numbers)
        assert torch.equal(encoded["source"][:, :8].argmax(1, keepdim=True), ids.long())
        for image, edges in zip(ids[:, 0].tolist(), encoded["source"][:, 8].tolist(), strict=True):
            row = image[0]
            assert edges[0] == [float(any(row[k] != row[j] for k in (j - 1, j + 1) if 0 <= k < 8)) for j in range(8)]
            flipped.add(row[0] > row[-1])
    assert flipped == {False, True}


def test_numbers_of_16_bits_are_counted_in_their_order(tmp_path):
    """More than 256 objects start again at 0."""
    numbers = np.arange(400).reshape(20, 20) * 150
    write(tmp_path / "x.png", numbers, 16)
    with (tmp_path / "x.png").open("rb") as file:
        assert np.array_equal(np.asarray(object_numbers(file)), np.arange(400).reshape(20, 20) % 256)


def test_ade20k_counts_its_classes_from_1(tmp_path):
    data = labelled(ade(tmp_path / "ADEChallengeData2016"))
    domain = data.domains["a"]
    assert (domain.labels, tuple(domain.ids), domain.unknown, domain.instances) == (150, (*range(1, 151),), True, False)
    row = domain.encode(whole(data))[0, :, 0].argmax(0)
    assert row[:3].tolist() == [150, 0, 149], "0 is no class, 1 and 150 are the first and the last"
    data.setup("fit")


@pytest.mark.parametrize(
    ("ids", "labels", "unknown", "row"),
    [(None, 35, False, [0, 26, 33]), ("all", 35, False, [0, 26, 33]), ("train", 19, True, [0, 18, 19])],
)
def test_cityscapes_has_two_kinds_of_ids(tmp_path, ids, labels, unknown, row):
    data = labelled(cityscapes(tmp_path), ids=ids)
    domain = data.domains["a"]
    assert (domain.labels, domain.unknown, domain.instances) == (labels, unknown, True)
    assert [data.sides["a"].count(split) for split in ("train", "test")] == [3, 3], "the labels of test are empty"
    maps = whole(data)
    assert domain.encode(maps)[0, :-1, 0].argmax(0)[:3].tolist() == row
    assert maps[0, 1, 0, :3].tolist() == [0, 1, 2]


def test_folders_and_zips_of_ones_own(tmp_path):
    root = spade(tmp_path / "x", objects=np.eye(8))
    with zipfile.ZipFile(tmp_path / "numbers.zip", "w") as archive:
        for file in sorted((root / "train_inst").iterdir()):
            archive.write(file, file.name)
    folders = {"labels_folder": "x/train_label", "images_folder": "x/train_img", "instances_folder": "numbers.zip"}
    data = labelled(tmp_path, {"labels": 4}, **folders)
    assert data.domains["a"].network_channels == 5 and data.sides["a"].count("train") == 2
    assert torch.equal(whole(data)[0, 1], torch.eye(8, dtype=torch.uint8))
    without = labelled(tmp_path, {"ids": [1, 3], "unknown": True, "instances": False}, **folders)
    assert without.domains["a"].network_channels == 3 and without.sides["a"].channels == 1
    tests = {"test_labels_folder": str(root / "val_label"), "test_images_folder": str(root / "val_img")}
    assert labelled(tmp_path, {"labels": 4, "instances": False}, **folders | tests).sides["b"].count("test") == 3


def test_the_number_of_classes_is_guessed_but_must_be_given(shared_data):
    root = shared_data / "camvid"
    with pytest.raises(UserError, match=r"50 of 468 .* ids up to 11: give data\.domains\.a\.labels=12, or"):
        labelled(root)
    data = labelled(root, {"labels": 12}, size=[12, 16])
    assert data.domains["a"].network_channels == 12 and data.sides["a"].count("test") == 101
    with pytest.raises(UserError, match=r"train_label/\w+\.png has the id 11, .*labels=… .*ids="):
        labelled(root, {"labels": 11}, size=[12, 16]).setup("fit")


def without_a_map(root):
    spade(root, objects=np.eye(8))
    (root / "val_inst/b.png").unlink()


def of_another_size(root):
    spade(root)
    photo(root / "train_img/b.jpg", (8, 9))


def with_colours(root):
    spade(root, objects=np.eye(8))
    photo(root / "val_inst/b.png")


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (without_a_map, {}, r"val_label/b\.png has no map of objects .*instances=false"),
        (of_another_size, {}, r"train_label/b\.png has 8×8 px, but .*train_img/b\.jpg has 9×8"),
        (with_colours, {}, r"val_inst/b\.png is colour-coded \(RGB\) and no map of objects"),
        (lambda root: spade(root, np.full((8, 8), 9)), {}, r"_label/a\.png has the id 9, .*data\.domains\.a\.labels"),
        (lambda root: ade(root, (0, 1, 151)), {"a": {}}, r"ADE_train_00000001\.png has the id 151"),
        (spade, {"ids": "train"}, r"data\.ids=train .*Cityscapes, and these are train_img, train_label: leave it out"),
        (lambda root: cityscapes(root, ["labelIds"]), {"ids": "train"}, r"no files \*_gtFine_labelTrainIds.*ids=all"),
        (lambda root: photo(root / "x/1.png"), {"a": {}}, r"has images in no folder: .*data\.labels_folder=…"),
        (spade, {"a": {"labels": 4, "instances": True}}, r"instances=true needs maps of objects"),
        (spade, {"labels_folder": "train_label"}, r"data\.images_folder is missing"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_sentence(tmp_path, make, options, message):
    make(tmp_path)
    with pytest.raises(UserError, match=message):
        labelled(tmp_path, **{"a": {"labels": 4}} | options).setup("fit")
