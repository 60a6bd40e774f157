"""Parquet files and data sets of Hugging Face's datasets: the same images, splits and classes as in folders."""

import json
import os
import re
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data import presets
from gan_lab.data.reading.formats import formats_of
from gan_lab.data.sources.hub import HubImages
from gan_lab.data.sources.parquet import ParquetImages

NAMES = ["cat", "dog", "owl"]


def encoded(number, suffix="png"):
    """The bytes of an image, grey if its number is even, wider than high."""
    rng = np.random.default_rng(number)
    shape = (10, 14) if number % 2 == 0 else (10, 14, 3)
    file = BytesIO()
    Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(file, {"jpg": "jpeg"}.get(suffix, suffix))
    return file.getvalue()


def table(numbers, suffix="png", **columns):
    images = [{"bytes": encoded(number, suffix), "path": f"{number}.{suffix}"} for number in numbers]
    return pa.table({"image": images, **columns})


def noted(found, feature):
    """The same table with the feature of its labels as datasets notes it."""
    return found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": {"label": feature}}})})


def options(**more):
    return {"name": "it", "channels": 3, "classes": None, "size": 8, "batch_size": 2, "workers": 0} | more


@pytest.fixture
def folder(tmp_path):
    """Twelve images in folders train/CLASS and test/CLASS; image n has class n % 3, four are the test split."""
    for number in range(12):
        file = tmp_path / "folder" / ("train" if number < 8 else "test") / NAMES[number % 3] / f"{number:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(number))
    return tmp_path / "folder"


@pytest.fixture
def parquet(tmp_path):
    """The same images in parquet files with the names that the hub gives them; the second one has groups of two."""
    root = tmp_path / "parquet"
    (root / "data").mkdir(parents=True)
    feature = {"names": NAMES, "_type": "ClassLabel"}
    for name, numbers in {
        "train-00000-of-00002": range(3), "train-00001-of-00002": range(3, 8), "test-00000-of-00001": range(8, 12),
    }.items():  # fmt: skip
        content = noted(table(numbers, label=[number % 3 for number in numbers]), feature)
        pq.write_table(content, root / "data" / f"{name}.parquet", row_group_size=2)
    return root


@pytest.fixture
def saved(tmp_path):
    """The same images as datasets saves them."""
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    splits = {"train": range(8), "test": range(8, 12)}
    data = {
        split: datasets.Dataset.from_dict(
            {"image": [{"bytes": encoded(n), "path": None} for n in numbers], "label": [n % 3 for n in numbers]},
            features,
        )
        for split, numbers in splits.items()
    }
    datasets.DatasetDict(data).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def by_content(data, split):
    """The images of a split with their classes, whatever their order."""
    pixels = torch.cat([*data.images(split)])
    return sorted(
        (data.class_names[label], image.numpy().tobytes())
        for image, label in zip(pixels, data.labels(split), strict=True)
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_images_classes_and_splits_are_those_of_a_folder(folder, parquet, saved, channels):
    wanted = presets.folder(str(folder), **options(channels=channels))
    found = [
        presets.parquet(str(parquet), **options(channels=channels)),
        presets.hub(str(saved), **options(channels=channels)),
        presets.hub(str(parquet), **options(channels=channels)),
        presets.parquet(str(parquet), **options(channels=channels, cache="packed")),
        presets.parquet(str(parquet), **options(channels=channels, cache="memory")),
    ]
    for data in found:
        assert data.classes == 3 and data.class_names == NAMES
        for split in ("train", "test"):
            assert by_content(data, split) == by_content(wanted, split)
    assert len({data.fingerprint("train") for data in found}) == 1


def test_sizes_and_colours_are_found_in_headers(parquet, saved, tmp_path):
    for source in (ParquetImages(str(parquet)), HubImages("x", str(saved))):
        found = formats_of(source.splits()["train"], tmp_path)
        assert (found.size, found.grey, len(found)) == ((10, 14), 4, 8)


def test_a_changed_file_is_read_again(tmp_path):
    for numbers in (range(4), range(4, 8)):
        pq.write_table(table(numbers), tmp_path / "x.parquet")
        pixels = torch.cat([*presets.parquet(str(tmp_path / "x.parquet"), **options(classes=0)).images("whole")])
        images = presets.parquet(str(tmp_path / "x.parquet"), **options(classes=0, cache="memory"))
        assert torch.equal(pixels, torch.cat([*images.images("whole")]))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["b10", "b2", None, "b10"], ["b2", "b10"]),
        ([2, 0, -1, 0], ["0", "1", "2"]),
        ([True, False, True, True], ["False", "True"]),
    ],
)
def test_labels_may_be_texts_numbers_or_truths(tmp_path, labels, names):
    pq.write_table(table(range(4), label=labels), tmp_path / "x.parquet")
    images = ParquetImages(str(tmp_path)).splits()["all"]
    assert list(images.class_names) == names
    assert images.labels.tolist() == [names.index(str(value)) if str(value) in names else -1 for value in labels]


@pytest.mark.parametrize("names", [{"train": "train", "validation": "test"}, {"train": "train", "other": "all"}])
def test_a_validation_split_is_to_test_with(tmp_path, names):
    for split in names:
        pq.write_table(table(range(4)), tmp_path / f"{split}-00000-of-00001.parquet")
    assert set(ParquetImages(str(tmp_path)).splits()) == ({"train", "test"} if "validation" in names else {"all"})


def test_a_split_may_be_given(parquet):
    assert len(ParquetImages(str(parquet), split="test").splits()["all"]) == 4
    splits = ParquetImages(str(parquet), split="test", test_split="train").splits()
    assert {split: len(images) for split, images in splits.items()} == {"train": 4, "test": 8}


def test_a_column_of_bytes_holds_images_and_damaged_ones_are_named(tmp_path):
    pq.write_table(pa.table({"jpg": [encoded(n, "jpg") for n in range(3)] + [b"x", None]}), tmp_path / "x.parquet")
    images = ParquetImages(str(tmp_path)).splits()["all"]
    assert images.num_jpegs == 3
    spec = presets.parquet(str(tmp_path), **options(classes=0)).resize_spec
    assert [getattr(each, "name", "") for each in images.render(spec)] == ["", "", "", "row 3", "row 4"]


def saved_paths(root, paths):
    """A data set in a folder, as datasets saves it, that holds the paths of its pictures alone."""
    import datasets

    kind = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}  # of an Image, it would read the files
    pictures = [{"bytes": None, "path": str(path)} for path in paths]
    found = datasets.Dataset.from_dict({"picture": pictures}, datasets.Features({"picture": kind}))
    found.save_to_disk(str(root))
    return str(root)


def test_images_in_the_folder_of_a_data_set_are_read(tmp_path):
    file = tmp_path / "pictures" / "1.png"
    file.parent.mkdir()
    file.write_bytes(encoded(1))
    images = HubImages("x", saved_paths(tmp_path, [file, file])).splits()["all"]
    assert [*images.contents()] == [encoded(1)] * 2


def test_a_changed_picture_of_a_data_set_is_read_again(tmp_path):
    file, found = tmp_path / "1.png", []
    file.write_bytes(encoded(1))
    root = saved_paths(tmp_path, [file] * 4)
    for number in (1, 3):
        file.write_bytes(encoded(number))
        data = presets.hub(root, **options(classes=0))
        wanted = presets.hub(root, **options(classes=0, cache="memory"))
        assert torch.equal(torch.cat([*data.images("whole")]), torch.cat([*wanted.images("whole")]))
        found.append(data.fingerprint("whole"))
    assert found[0] != found[1]


@pytest.mark.timeout(60)
def test_pictures_outside_the_folder_of_a_data_set_are_not_read(tmp_path):
    root, private = tmp_path / "set", tmp_path / "private.png"
    root.mkdir()
    private.write_bytes(encoded(1))
    (root / "link.png").symlink_to(private)
    os.mkfifo(root / "fifo")
    paths = [private, root / "link.png", root / ".." / "private.png", root / "fifo", "/dev/zero", root / "none.png"]
    images = HubImages("x", saved_paths(root, paths)).splits()["all"]
    assert [file.name for file in images.table.files] == ["data-00000-of-00001.arrow"]
    found = [*images.render(presets.hub(str(root), **options(classes=0)).resize_spec)]
    assert [each.name for each in found] == [f"row {row}" for row in range(6)]
    outside, wrong = "is not in the folder of the data set", "is missing, or no regular file"
    for each, path, said in zip(found, paths, [outside] * 3 + [wrong, outside, wrong], strict=True):
        assert each.reason == f"its file {path} {said}"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"split": "dev"}, "data.split=dev is no split of data.root={root}: give one of {splits}"),
        ({"test_split": "train"}, "data.test_split=train is the split that is trained on"),
        ({"column": "photo"}, "data.column=photo is no column of data.root={root}: it has image, label"),
        ({"column": "label"}, "data.column=label of data.root={root} holds no images: give data.column= one of image"),
        ({"label": "class"}, "data.label=class is no column of data.root={root}: it has image, label"),
    ],
)
def test_wrong_names_list_what_there_is(parquet, saved, how, said):
    for source, splits in (
        (ParquetImages(str(parquet), **how), "test, train"),
        (HubImages("x", str(saved), **how), "train, test"),
    ):
        with pytest.raises(UserError, match=re.escape(said.format(root=source.root, splits=splits))):
            source.splits()


def test_what_is_no_data_set_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no parquet files"):
        ParquetImages(str(tmp_path / "empty")).splits()
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match="cannot be read"):
        ParquetImages(str(tmp_path / "x.parquet")).splits()
    with pytest.raises(UserError, match="cannot be loaded as a data set"):
        HubImages("x", str(tmp_path / "empty")).splits()
    with pytest.raises(UserError, match="does not exist"):
        HubImages("x", str(tmp_path / "none")).splits()
    with pytest.raises(UserError, match="data=hub needs a data set: give"):
        HubImages("hub").splits()
    pq.write_table(table(range(2), label=[0.5, 1.5]), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=re.escape("data.label=label has the value 0.5: give a column of texts")):
        ParquetImages(str(tmp_path / "x.parquet"), label="label").splits()


@pytest.mark.parametrize("values", [[[1, 2], [3]], [{"a": 1}, {"a": 2}], [0.5, 1.5]])
def test_a_column_that_holds_no_classes_is_refused_only_where_it_is_asked_for(tmp_path, values):
    import datasets

    pq.write_table(table(range(2), label=values), tmp_path / "x.parquet")
    datasets.Dataset(table(range(2), label=values)).save_to_disk(str(tmp_path / "saved"))
    for source in (
        lambda **how: ParquetImages(str(tmp_path / "x.parquet"), **how),
        lambda **how: HubImages("x", str(tmp_path / "saved"), **how),
    ):
        images = source().splits()["all"]
        assert images.labels is None and len(images) == 2
        with pytest.raises(
            UserError, match=r"data\.label=label (is of the type|has the value) .*: give a column of texts"
        ):
            source(label="label").splits()


@pytest.mark.parametrize(
    "metadata",
    [
        {"info": {"features": {"label": {"names": NAMES}}}},
        {"info": {"features": {"label": {"names": [1, 2]}}}},
        {"info": {"features": {"label": None}}},
        {"info": {"features": None}},
        {"info": []},
        None,
        "{",
    ],
)
def test_metadata_that_do_not_fit_the_labels_are_left_out(tmp_path, metadata):
    noted = metadata if isinstance(metadata, str) else json.dumps(metadata)
    found = table(range(2), label=["new", "old"]).replace_schema_metadata({"huggingface": noted})
    pq.write_table(found, tmp_path / "x.parquet")
    assert list(ParquetImages(str(tmp_path / "x.parquet")).splits()["all"].class_names) == ["new", "old"]


def test_errors_show_no_signatures_and_no_passwords(monkeypatch):
    def refuse(*_):
        raise OSError("no https://host/file?Signature=hidden and s3://key:hidden@bucket/x\nmore")

    monkeypatch.setattr(HubImages, "_load", refuse)
    with pytest.raises(UserError, match=r"user/set cannot be loaded as a data set \(no … and s3://…@bucket/x\): check"):
        HubImages("user/set").splits()
    for source in (HubImages("x", "s3://key:hidden@bucket/x"), ParquetImages("s3://key:hidden@bucket/x")):
        with pytest.raises(UserError, match=r"data\.root=s3:/…@bucket/x does not exist"):
            source.splits()
