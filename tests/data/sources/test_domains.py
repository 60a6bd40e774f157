import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data import presets
from gan_lab.data.sources.domains import DomainFolders, PairedFolders, UnpairedFolders

COLOUR = {"a": {"channels": 3, "labels": 0}, "b": {"channels": 3, "labels": 0}}


def names(sides):
    return {
        side: {split: [entry.name for entry in files.entries] for split, files in splits.items()}
        for side, splits in sides.items()
    }


def unpaired(root=None, **folders):
    return names(UnpairedFolders(DomainFolders(None if root is None else str(root), **folders)).domain_splits())


def paired(root=None, direction="a2b", **folders):
    return PairedFolders(DomainFolders(None if root is None else str(root), **folders), direction).domain_splits()


@pytest.mark.parametrize("wrap", ["", "horse2zebra/"])
@pytest.mark.parametrize("packed", [False, True])
def test_the_layout_of_cyclegan(make_folder, tmp_path, wrap, packed):
    files = ["trainA/1.png", "trainA/2.jpg", "trainB/x/3.png", "testA/4.png", "testB/5.png"]
    root = make_folder([wrap + file for file in files])
    if packed:
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            for file in root.rglob("*.*"):
                archive.write(file, file.relative_to(root))
        root = tmp_path / "all.zip"
    assert unpaired(root) == {
        "a": {"train": ["1.png", "2.jpg"], "test": ["4.png"]},
        "b": {"train": ["x/3.png"], "test": ["5.png"]},
    }


def test_folders_without_a_test_split_and_in_two_places(make_folder):
    one = make_folder(["A/1.png", "A/2.png", "B/3.png", "B/4.png"], "one")
    assert unpaired(one) == {"a": {"all": ["1.png", "2.png"]}, "b": {"all": ["3.png", "4.png"]}}
    other = make_folder(["train/5.png", "test/6.png"], "other")
    assert unpaired(a=str(one / "A"), b=str(other)) == {
        "a": {"all": ["1.png", "2.png"]},
        "b": {"train": ["5.png"], "test": ["6.png"]},
    }
    assert unpaired(one, a="A", b="B", test_b=str(other / "test"))["b"] == {
        "train": ["3.png", "4.png"],
        "test": ["6.png"],
    }


@pytest.mark.parametrize(
    ("files", "options", "what"),
    [
        (
            ["trainA/1.png", "valid/2.png"],
            {},
            r"trainA and trainB .*has them in trainA, valid: rename the folders, or give two",
        ),
        (["trainA/1.png", "trainA/2.png"], {}, "has them in trainA"),
        (["1.png"], {"a": "x"}, r"data\.b is missing"),
        (["1.png"], {"a": "x", "b": "y"}, r"data\.a=.*x does not exist"),
    ],
)
def test_the_error_says_what_is_missing_and_expected(make_folder, files, options, what):
    with pytest.raises(UserError, match=what) as refusal:
        unpaired(make_folder(files), **options)
    assert "\n" not in str(refusal.value)


def test_a_root_must_be_given():
    with pytest.raises(UserError, match=r"data\.root is missing"):
        unpaired()
    with pytest.raises(UserError, match="give data=paired"):
        presets.unpaired("x", paired=True, name="it", domains=COLOUR, size=8, batch_size=1)


def test_pairs_are_matched_by_stem(make_folder, caplog):
    root = make_folder(["trainA/1.png", "trainA/2.png", "trainA/3.png", "trainB/3.jpg", "trainB/1.jpg", "trainB/9.jpg"])
    with caplog.at_level("INFO"):
        assert names(paired(root)) == {"a": {"all": ["1.png", "3.png"]}, "b": {"all": ["1.jpg", "3.jpg"]}}
    assert (
        "1 images of domain a, all, have no partner and are left out: 2.png" in caplog.text and "9.jpg" in caplog.text
    )
    assert names(paired(root, "b2a"))["a"] == {"all": ["1.jpg", "3.jpg"]}


def test_the_layout_of_label_maps(make_folder):
    root = make_folder([f"{split}_{kind}/1.png" for split in ("train", "val") for kind in ("img", "label", "inst")])
    sides = paired(root)
    assert names(sides)["a"] == {"train": ["1.png"], "test": ["1.png"]}
    assert [sides["a"][split].entries[0].file.parent.name for split in ("train", "test")] == [
        "train_label",
        "val_label",
    ]
    assert sides["b"]["test"].entries[0].file.parent.name == "val_img"


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (["trainA/1.png", "trainB/2.png"], "No two images of the all split have the same name"),
        (["trainA/1.png", "trainB/1.png", "testA/2.png"], "Domain b of the pairs has no test split"),
        (["labels/1.png", "images/1.png"], "has them in images, labels: rename the folders, or give two"),
    ],
)
def test_unmatched_pairs_are_refused(make_folder, files, what):
    with pytest.raises(UserError, match=what) as refusal:
        paired(make_folder(files))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("direction", "source"), [("a2b", (255, 0, 0)), ("b2a", (0, 0, 255))])
def test_side_by_side(tmp_path, direction, source):
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        for number in range(3):
            image = Image.new("RGB", (17, 8), (255, 0, 0))
            image.paste((0, 0, 255), (8, 0, 17, 8))
            image.save(tmp_path / split / f"{number}.png")
    data = presets.paired(
        str(tmp_path), direction=direction, name="it", domains=COLOUR, paired=True, size=8, batch_size=1
    )
    assert [data.sides["a"].count(split) for split in ("train", "test")] == [3, 3]
    for side, colour in (("a", source), ("b", source[::-1])):
        pixels = next(data.sides[side].images("test"))
        assert pixels.shape == (3, 3, 8, 8)
        assert torch.equal(pixels, torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1).expand_as(pixels))


def label_maps(folder, ids, mode="L", ending="png"):
    for split in ("train", "val"):
        for kind in ("label", "img"):
            (folder / f"{split}_{kind}").mkdir(parents=True)
        for number, each in enumerate(ids):
            image = Image.fromarray(each)
            if mode == "P":
                image.putpalette([(7 * n + 90) % 256 for n in range(768)])
            (image if mode == "P" else image.convert(mode)).save(folder / f"{split}_label/{number}.{ending}")
            Image.fromarray(each).save(folder / f"{split}_img/{number}.png")
    return str(folder)


def mapped(root, labels=12, **options):
    domains = {"a": {"labels": labels}, "b": {"channels": 1}}
    return presets.paired(root, name="it", domains=domains, paired=True, batch_size=1, **{"size": 8} | options)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_ids_are_read_raw_and_never_blended(tmp_path, mode):
    ids = np.random.default_rng(0).choice(np.array([0, 3, 11, 255], np.uint8), (4, 24, 30))
    data = mapped(label_maps(tmp_path / mode, ids, mode), size=[24, 30])
    assert torch.equal(next(data.sides["a"].images("test"))[:, 0], torch.from_numpy(ids))
    for size in (8, [37, 11]):
        found = next(mapped(str(tmp_path / mode), size=size).sides["a"].images("test"))
        assert set(found.unique().tolist()) <= {0, 3, 11, 255}
    third = next(mapped(str(tmp_path / mode), size=[8, 10]).sides["a"].images("test"))
    assert torch.equal(third[:, 0], torch.from_numpy(ids[:, 1::3, 1::3])), "the pixels at the centres"


@pytest.mark.parametrize(("mode", "ending", "what"), [("L", "jpg", "a JPEG"), ("RGB", "png", r"colour-coded \(RGB\)")])
def test_colours_are_refused_as_label_maps(tmp_path, mode, ending, what):
    root = label_maps(tmp_path / "x", np.zeros((2, 8, 8), np.uint8), mode, ending)
    with pytest.raises(UserError, match=rf"0\.{ending} is {what}.*labels=0") as refusal:
        mapped(root).setup("fit")
    assert "\n" not in str(refusal.value)


def test_grey_and_edges_are_computed_from_the_images(make_folder):
    root = make_folder([f"{number}.png" for number in range(20)])
    source = {"root": str(root), "of": None, "data_dir": "x", "count": 1, "test_count": 1}
    options = {"name": "it", "domains": {"a": {"channels": 1}, "b": {}}, "paired": True, "size": 8, "batch_size": 1}
    data = presets.colorize(**source, **options)
    grey, colour = (next(data.sides[side].images("train")) for side in "ab")
    assert grey.shape == (18, 1, 8, 8) and colour.shape == (18, 3, 8, 8)
    luma = (colour.double() * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1)
    assert (luma - grey[:, 0]).abs().max() <= 1
    data = presets.edges(**source, sigma=1.0, low=40, high=100, **options)
    assert set(next(data.sides["a"].images("train")).unique().tolist()) == {0, 255}
    assert torch.equal(next(data.sides["b"].images("train")), colour)


def test_sources_of_pairs(tmp_path):
    with pytest.raises(UserError, match=r"data\.of=imagenet .*digits, mnist"):
        presets.source_of_pairs(None, "imagenet", "x", 1, 1)
    assert len(presets.source_of_pairs(None, "digits", "x", 1, 1).splits()["all"]) == 1797
    assert len(presets.source_of_pairs(None, None, "x", 7, 2).splits()["train"]) == 7


def test_one_picture_is_a_domain_for_training_and_for_testing(make_folder):
    root = make_folder({"photos/1.png": 1, "photos/2.png": 2, "style.png": 9})
    splits = UnpairedFolders(DomainFolders(str(root), "photos", "style.png")).domain_splits()
    assert {split: len(images) for split, images in splits["b"].items()} == {"train": 1, "test": 1}
    with pytest.raises(UserError, match=r"nothing\.png does not exist"):
        UnpairedFolders(DomainFolders(str(root), "photos", "nothing.png")).domain_splits()


def test_domains_within_splits(make_folder):
    root = make_folder(["Train/A/1.png", "Train/B/2.png", "Testing/A/3.png", "Testing/B/4.png"])
    assert unpaired(root) == {
        "a": {"train": ["1.png"], "test": ["3.png"]},
        "b": {"train": ["2.png"], "test": ["4.png"]},
    }
    with pytest.raises(UserError, match="trainA and trainB"):
        unpaired(make_folder(["train/A/1.png", "train/B/2.png", "test/3.png"], "half"))
