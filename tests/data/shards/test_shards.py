"""Shards as they are written and read: by us, by litdata and by WebDataset."""

import io
import json
import os
import pickle
import re
import shutil
import tarfile
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path

import litdata
import numpy as np
import pytest
import torch
import webdataset
from litdata.streaming.writer import BinaryWriter
from PIL import Image

from gan_lab.common.capabilities import RealImages
from gan_lab.common.errors import UserError
from gan_lab.data import presets
from gan_lab.data.shards.containers import open_chunk
from gan_lab.data.shards.places import ShardFolder
from gan_lab.data.shards.source import ShardReader
from gan_lab.data.shards.tars import TarShard, tar_samples
from gan_lab.data.shards.writing import write_shards
from gan_lab.pack import pack

KINDS = ("litdata", "webdataset")
NAMES = ["even", "odd"]


def images(start, n, channels=3, size=(8, 6)):
    """Images start … start + n - 1, each with its class, which depend on their numbers alone."""
    for number in range(start, start + n):
        yield np.random.default_rng(number).integers(0, 256, (channels, *size), np.uint8), number % 2


def written(folder, kind, n=(20, 5), encoding="pixels", channels=3, **options):
    splits = {"train": images(0, n[0], channels), "test": images(100, n[1], channels)}
    how = {"class_names": NAMES, "classes": 2, "shard_bytes": 1500} | options
    return write_shards(folder, splits, kind, encoding, **how)


def stream(root, **options):
    how = {"name": "it", "channels": 3, "classes": None, "size": [8, 6], "batch_size": 4, "lanes": 2, "shuffle": 6}
    return presets.stream(str(root), **how | options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ["pixels", "png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_and_classes_are_read_as_they_were_written(tmp_path, kind, encoding, channels):
    index = written(tmp_path / "shards", kind, encoding=encoding, channels=channels)
    assert len(index.splits["train"]) > 1 and index.formats().size == (8, 6)
    data = stream(tmp_path / "shards", channels=channels)
    assert isinstance(data, RealImages)
    assert (data.classes, data.class_names, data.count("train"), data.count("test")) == (2, NAMES, 20, 5)
    for split, start, n in (("train", 0, 20), ("whole", 0, 20), ("test", 100, 5)):
        wanted = [*images(start, n, channels)]
        assert np.array_equal(torch.cat([*data.images(split)]).numpy(), np.stack([image for image, _ in wanted]))
        assert data.labels(split).tolist() == [label for _, label in wanted]
        assert [(each.tobytes(), label) for each, label in data.stream(split)] == [
            (image.tobytes(), label) for image, label in wanted
        ]
    assert len(torch.cat([*data.images("train", 7)])) == 7
    described = data.describe()
    assert described["splits"]["test"]["count"] == 5 and described["class_names"] == NAMES


@pytest.mark.parametrize("kind", KINDS)
def test_batches_have_each_image_once_with_its_class_flipped_or_not(tmp_path, kind):
    written(tmp_path / "shards", kind)
    data = stream(tmp_path / "shards", flip=True)
    found, loader = [], iter(data.train_dataloader())
    for _ in range(5):
        batch = next(loader)
        assert batch["image"].dtype == torch.uint8 and batch["image"].shape == (4, 3, 8, 6)
        found += zip(batch["image"].numpy(), batch["label"].tolist(), strict=True)
    known = {image.tobytes(): number for number, (image, _) in enumerate(images(0, 20))}
    mirrored = {
        np.ascontiguousarray(image[..., ::-1]).tobytes(): number for number, (image, _) in enumerate(images(0, 20))
    }
    numbers = [known.get(image.tobytes(), mirrored.get(image.tobytes())) for image, _ in found]
    assert sorted(numbers) == list(range(20)) and [number % 2 for number in numbers] == [label for _, label in found]
    assert 0 < sum(image.tobytes() in mirrored for image, _ in found) < 20


@pytest.mark.parametrize("kind", KINDS)
def test_workers_and_resumed_runs_see_the_same_batches(tmp_path, kind):
    written(tmp_path / "shards", kind)
    data = stream(tmp_path / "shards", flip=True, crop="random", size=[6, 4])
    batches = data.training_batches()
    keys = [key for key, _ in zip(data.train_dataloader().sampler, range(8), strict=False)]
    alone = [batches[key]["image"] for key in keys]
    assert all(each.shape == (4, 3, 6, 4) for each in alone)
    again = pickle.loads(pickle.dumps(batches))
    assert torch.equal(again[keys[3]]["image"], alone[3])
    data.workers = 2
    for wanted, batch in zip(alone, data.train_dataloader(), strict=False):
        assert torch.equal(batch["image"], wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_images_give_the_same_bytes_and_a_fingerprint_of_their_own(tmp_path, kind, monkeypatch):
    for name, now in (("a", 1e9), ("b", 2e9)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        written(tmp_path / name, kind)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) > 6 and [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert all((tmp_path / "a" / each).read_bytes() == (tmp_path / "b" / each).read_bytes() for each in files)
    a, b, other = (stream(tmp_path / name) for name in "abc")
    write_shards(tmp_path / "c", {"train": images(1, 20), "test": images(100, 5)}, kind, classes=2, shard_bytes=1500)
    assert a.fingerprint("train") == b.fingerprint("train") != other.fingerprint("train")
    assert a.fingerprint("test") == other.fingerprint("test") != stream(tmp_path / "a", channels=1).fingerprint("test")
    assert a.identities() == b.identities() != other.identities()


def test_litdata_reads_what_was_written(tmp_path):
    written(tmp_path / "shards", "litdata")
    found = litdata.StreamingDataset(str(tmp_path / "shards" / "train"))
    for each, (image, label) in zip((found[number] for number in range(20)), images(0, 20), strict=True):
        assert np.array_equal(each["image"], image) and each["label"] == label


@pytest.mark.parametrize("encoding", ["pixels", "png"])
def test_webdataset_reads_what_was_written(tmp_path, encoding):
    written(tmp_path / "shards", "webdataset", encoding=encoding)
    tars = sorted(map(str, (tmp_path / "shards" / "train").glob("*.tar")))
    found = webdataset.WebDataset(tars, shardshuffle=False).decode("rgb8").to_tuple("npy;png", "cls")
    for (each, label), (image, wanted) in zip(found, images(0, 20), strict=True):
        assert np.array_equal(each if encoding == "pixels" else each.transpose(2, 0, 1), image) and label == wanted


def encoded(image, suffix="png"):
    file = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, suffix)
    return file.getvalue()


def chunks(folder, samples):
    """Writes samples in chunks of four as litdata.optimize does, without its processes."""
    writer = BinaryWriter(str(folder), chunk_size=4)
    for number, sample in enumerate(samples):
        writer[number] = sample
    writer.done()
    writer.merge(1)


def test_chunks_of_litdata_are_read(tmp_path):
    for split, start in (("train", 0), ("val", 100)):
        samples = ({"label": label, "image": encoded(image), "id": str(label)} for image, label in images(start, 10))
        chunks(tmp_path / split, samples)
    data = stream(tmp_path, classes=2)
    assert np.array_equal(torch.cat([*data.images("train")]).numpy(), np.stack([image for image, _ in images(0, 10)]))
    assert data.labels("test").tolist() == [0, 1] * 5 and data.class_names == []


def test_tar_files_of_others_are_looked_through_once(tmp_path, monkeypatch):
    root = tmp_path / "tars"
    root.mkdir()
    for shard in range(3):
        with webdataset.TarWriter(str(root / f"set-{shard}.tar")) as writer:
            for number, (image, label) in enumerate(images(10 * shard, 10), 10 * shard):
                key = f"{'a' * 120 if number == 11 else 'x'}{number:04d}"  # a long name has another header
                writer.write(
                    {"__key__": key, "txt": "a caption", "cls": label, "jpg" if number % 2 else "png": encoded(image)}
                )
    data = stream(root, classes=2, channels=3)
    assert (data.count("train"), data.count("test")) == (27, 3)
    whole = torch.cat([*data.images("whole"), *data.images("test")]).numpy()
    assert np.array_equal(whole, np.stack([image for image, _ in images(0, 30)]))
    monkeypatch.setattr("gan_lab.data.shards.source.tar_samples", None)
    assert stream(root).fingerprint("train") == data.fingerprint("train")


def test_folders_that_were_packed_one_by_one_are_one_set(tmp_path):
    for part, start in (("part-10", 20), ("part-9", 0)):
        splits = {"train": images(start, 20), "test": images(100 + start, 3)}
        write_shards(tmp_path / part, splits, "litdata", classes=2, shard_bytes=1500)
    data = stream(tmp_path)
    assert np.array_equal(torch.cat([*data.images("train")]).numpy(), np.stack([image for image, _ in images(0, 40)]))
    assert data.count("test") == 6
    write_shards(tmp_path / "part-11", {"all": images(0, 3)}, "litdata", classes=2)
    with pytest.raises(UserError, match="folders of shards that differ, such as part-11"):
        stream(tmp_path).count("train")


def test_shards_at_a_url_are_copied_as_needed_and_within_the_room(tmp_path):
    written(tmp_path / "shards", "litdata")
    data = stream(f"local:{tmp_path}/shards", cache_dir=str(tmp_path / "kept"))
    assert data.count("train") == 20 and not [*(tmp_path / "kept").rglob("*.bin")]
    next(data.images("test"))
    assert {path.parent.name for path in (tmp_path / "kept").rglob("*.bin")} == {"test"}
    assert np.array_equal(torch.cat([*data.images("train")]).numpy(), np.stack([image for image, _ in images(0, 20)]))
    with pytest.raises(UserError, match="cannot be copied"):
        stream(f"local:{tmp_path}/none", cache_dir=str(tmp_path / "kept")).count("train")


def test_copies_that_were_not_used_for_longest_make_room(tmp_path, monkeypatch):
    index = written(tmp_path / "shards", "webdataset")
    digests = {shard.name: shard.digest for shards in index.splits.values() for shard in shards}
    folder = stream(f"local:{tmp_path}/shards", room=2**-16, cache_dir=str(tmp_path / "kept")).source.folder  # 16 KiB
    names = [path.relative_to(tmp_path / "shards").as_posix() for path in sorted((tmp_path / "shards").rglob("*.tar"))]
    for age, name in enumerate(names):
        path = folder.path(name, digests[name])
        os.utime(path, (time.time() - 1000 + age,) * 2)
    left = {path.relative_to(folder.folder).as_posix().partition("/")[2] for path in folder.folder.rglob("*.tar")}
    assert names[-1] in left and names[0] not in left and len(left) <= 4


def test_without_a_test_split_the_end_is_held_out_and_a_limit_keeps_the_beginning(tmp_path):
    write_shards(tmp_path / "shards", {"all": images(0, 30)}, "litdata", shard_bytes=1000)
    data = stream(tmp_path / "shards", limit=11, classes=0)
    assert {split: data.count(split) for split in ("train", "test", "whole")} == {"train": 11, "test": 3, "whole": 27}
    assert np.array_equal(torch.cat([*data.images("test")]).numpy(), np.stack([image for image, _ in images(27, 3)]))
    assert "label" not in next(iter(data.train_dataloader()))


def test_in_place_of_a_damaged_image_the_next_is_used(tmp_path):
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as writer:
        for number, (image, _) in enumerate(images(0, 12)):
            writer.write({"__key__": f"{number:04d}", "png": b"no image" if number == 3 else encoded(image)})
    with pytest.warns(UserWarning, match=r"Image 3 of a.tar cannot be read \(no image"):
        found = torch.cat([*stream(tmp_path, classes=0).images("train")])
    assert torch.equal(found[3], found[4]) and not torch.equal(found[2], found[3])


def test_other_sizes_and_colours_are_brought_to_those_of_the_data(tmp_path):
    written(tmp_path / "pixels", "litdata")
    written(tmp_path / "png", "webdataset", encoding="png")
    a, b = (torch.cat([*stream(tmp_path / name, size=4, channels=1).images("train")]) for name in ("pixels", "png"))
    assert a.shape == (20, 1, 4, 4) and torch.equal(a, b)


def _truncate(folder):
    file = next(iter(sorted((folder / "train").glob("*.bin"))))
    file.write_bytes(file.read_bytes()[:2])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_truncate, "chunk-0-0.bin cannot be read"),
        (lambda folder: (folder / "shards.json").write_text("{}"), "is no index of shards"),
        (
            lambda folder: [path.unlink() for path in folder.rglob("*.json")],
            "has no shards: give a folder with shards.json",
        ),
    ],
)
def test_what_is_damaged_or_missing_is_said(tmp_path, damage, said):
    written(tmp_path / "shards", "litdata")
    damage(tmp_path / "shards")
    with pytest.raises(UserError, match=said):
        [*stream(tmp_path / "shards").images("train")]


@pytest.mark.parametrize("sample", [{"picture": 1}, {"image": np.zeros((3, 8, 6), np.float32), "label": 0.5}, [1, 2]])
def test_samples_of_litdata_that_are_no_images_are_refused(tmp_path, sample):
    chunks(tmp_path / "x", [sample] * 2)
    with pytest.raises(UserError, match="has samples with"):
        stream(tmp_path / "x").count("train")


def test_other_classes_are_refused(tmp_path):
    written(tmp_path / "shards", "litdata")
    with pytest.raises(UserError, match="but it has 2 classes: give data"):
        _ = stream(tmp_path / "shards", classes=3).classes
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for number in range(8):
            for name, content in ((f"{number}.png", encoded(next(iter(images(0, 1)))[0])), (f"{number}.cls", b"7")):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    Path(tmp_path / "tars").mkdir()
    (tmp_path / "x.tar").rename(tmp_path / "tars" / "x.tar")
    with pytest.raises(UserError, match="The labels 7 to 7 are no classes of data"):
        next(iter(stream(tmp_path / "tars", classes=2, batch_size=2).train_dataloader()))


OUTSIDE = ["../secret.bin", "/etc/passwd", "train/../../secret.bin", "..", "."]


def _rename_first(file, name):
    """Gives the first shard of an index, ours or litdata's, another name."""
    text = file.read_text()
    file.write_text(re.sub(r'"(train/)?chunk-0-0\.bin"', json.dumps(name), text, count=1))
    assert file.read_text() != text


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("at", ["folder", "url"])
def test_shards_outside_of_their_folder_are_refused(tmp_path, name, at):
    written(tmp_path / "shards", "litdata")
    _rename_first(tmp_path / "shards" / "shards.json", name)
    root = tmp_path / "shards" if at == "folder" else f"local:{tmp_path}/shards"
    data = stream(root, cache_dir=str(tmp_path / "kept"))
    with pytest.raises(UserError, match=r"names the shard .* not in its folder: pack the images again"):
        data.count("train")
    with pytest.raises(UserError, match="not in its folder"):
        data.source.folder.path(name, "0" * 32)


@pytest.mark.parametrize("name", OUTSIDE)
def test_chunks_of_litdata_outside_of_their_folder_are_refused(tmp_path, name):
    chunks(tmp_path / "train", ({"image": encoded(image), "label": label} for image, label in images(0, 4)))
    chunks(tmp_path / "val", ({"image": encoded(image), "label": label} for image, label in images(0, 4)))
    _rename_first(tmp_path / "train" / "index.json", name)
    with pytest.raises(UserError, match=r"index.json names the shard .* not in its folder"):
        stream(tmp_path).count("train")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [[8, 6], [4, 4]], ids=["unchanged", "other"])
def test_a_batch_may_come_from_more_shards_than_are_kept_open(tmp_path, kind, size, monkeypatch):
    index = written(tmp_path / "shards", kind, shard_bytes=400)
    assert len(index.splits["train"]) > 6
    rows = np.random.default_rng(0).permutation(20)
    many = stream(tmp_path / "shards", size=size)._reader("train").read(rows)
    monkeypatch.setattr("gan_lab.data.shards.source.OPEN", 2)
    reader = stream(tmp_path / "shards", size=size)._reader("train")
    for _ in range(2):
        few = reader.read(rows)
        assert np.array_equal(few[0], many[0]) and few[1].tolist() == many[1].tolist() == (rows % 2).tolist()
    assert len(reader.opened) == 2


def test_copies_are_renewed_when_the_images_are_packed_again(tmp_path):
    root, kept = f"local:{tmp_path}/shards", str(tmp_path / "kept")
    for start in (0, 50):
        shutil.rmtree(tmp_path / "shards", ignore_errors=True)
        splits = {"train": images(start, 20), "test": images(start + 20, 5)}
        write_shards(tmp_path / "shards", splits, "litdata", classes=2, shard_bytes=1500)
        found = torch.cat([*stream(root, cache_dir=kept).images("train")]).numpy()
        assert np.array_equal(found, np.stack([image for image, _ in images(start, 20)]))


def test_a_copy_of_another_content_is_refused(tmp_path):
    written(tmp_path / "shards", "litdata")
    data = stream(f"local:{tmp_path}/shards", cache_dir=str(tmp_path / "kept"))
    assert data.count("train") == 20
    shutil.copy(tmp_path / "shards" / "test" / "chunk-0-0.bin", tmp_path / "shards" / "train" / "chunk-0-0.bin")
    with pytest.raises(UserError, match=r"chunk-0-0.bin cannot be copied .its content is not what the index states"):
        next(data.images("train"))
    assert not [*(tmp_path / "kept").rglob("train/*.bin")]


def test_a_copy_that_another_process_removes_meanwhile_is_copied_again(tmp_path, monkeypatch):
    written(tmp_path / "shards", "litdata")
    data = stream(f"local:{tmp_path}/shards", cache_dir=str(tmp_path / "kept"))
    copy, opened, removed = ShardFolder._copy, ShardReader._opened, set()

    def remove(path):
        if path.name not in removed:
            removed.add(path.name)
            path.unlink()

    def copied(self, name, local, *digest):
        copy(self, name, local, *digest)
        if local.name != "chunk-0-1.bin":
            remove(local)

    def open_(self, path):
        remove(path)
        return opened(self, path)

    monkeypatch.setattr(ShardFolder, "_copy", copied)
    monkeypatch.setattr(ShardReader, "_opened", open_)
    found = torch.cat([*data.images("train")]).numpy()
    assert np.array_equal(found, np.stack([image for image, _ in images(0, 20)]))
    assert {"shards.json", "chunk-0-0.bin", "chunk-0-1.bin"} <= removed


def test_a_copy_that_fails_leaves_nothing(tmp_path, monkeypatch):
    class Broken:
        def download_file(self, _, local):
            Path(local).write_text("half")
            raise OSError("the connection broke")

    monkeypatch.setattr("gan_lab.data.shards.places._litdata_downloader", lambda *_: Broken())
    folder = ShardFolder("s3://it", cache_dir=str(tmp_path / "kept"))
    for read in (lambda: folder.content("shards.json"), lambda: folder.path("a.bin", "0" * 32)):
        with pytest.raises(UserError, match="the connection broke"):
            read()
    assert not [path for path in folder.folder.rglob("*") if path.name in ("shards.json", "a.bin")]


def _with(**changes):
    def change(folder):
        file = folder / "shards.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def _first_shard(place, value):
    def change(folder):
        file = folder / "shards.json"
        plain = json.loads(file.read_text())
        plain["splits"]["train"][0][place] = value
        file.write_text(json.dumps(plain))

    return change


def _empty_samples(folder):
    """Says of a chunk that all its samples are at one place."""
    file = min((folder / "train").glob("*.bin"))
    content = file.read_bytes()
    n = int.from_bytes(content[:4], "little")
    file.write_bytes(content[:4] + content[4:8] * (n + 1) + content[4 * n + 8 :])


def _huge(folder):
    file = min((folder / "train").glob("*.bin"))
    file.write_bytes(b"\xff" * 4 + file.read_bytes()[4:])


@pytest.mark.parametrize(
    "damage",
    [
        _first_shard(0, 3),
        *(_first_shard(1, value) for value in (-1, "2", 1.5, True, None, 10**30)),
        _first_shard(2, None),
        *(_with(splits=value) for value in ({}, {"train": []}, {"a": []}, [], 3, {"all": 3})),
        *(_with(size=value) for value in ([8], [8, "6"], [0, 6], "86", 8)),
        *(_with(channels=value) for value in (2, "3", True)),
        *(_with(classes=value) for value in (-1, "2")),
        *(_with(class_names=value) for value in ("ab", [1], None)),
        *(_with(fields=value) for value in ([1], [["image", 1]], None)),
        lambda folder: (folder / "shards.json").write_text("[" * 100_000),
        lambda folder: (folder / "shards.json").write_bytes(b"\xff\xfe"),
    ],
)
def test_a_damaged_index_is_said(tmp_path, damage):
    written(tmp_path / "shards", "litdata")
    damage(tmp_path / "shards")
    with pytest.raises(UserError, match=r"shards.json is no index of shards \(.*\): pack the images again\.$") as error:
        stream(tmp_path / "shards").count("train")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", [_empty_samples, _huge, _with(channels=1), _with(size=[4, 4]), _with(fields=[])])
def test_a_damaged_chunk_and_one_of_other_images_is_said(tmp_path, damage):
    written(tmp_path / "shards", "litdata")
    damage(tmp_path / "shards")
    index = json.loads((tmp_path / "shards" / "shards.json").read_text())
    data = stream(tmp_path / "shards", channels=index["channels"], size=index["size"])
    before = len([*Path("/proc/self/fd").iterdir()]) if Path("/proc/self/fd").is_dir() else 0
    with pytest.raises(UserError, match=r"chunk-0-0\.bin cannot be read"):
        next(data.images("train"))
    assert not before or len([*Path("/proc/self/fd").iterdir()]) <= before


LITDATA_DAMAGE = [{"chunks": 3}, {"chunks": [{}]}, {"config": {}}, {"config": None}, {"config": {"data_spec": "[]"}}]
LITDATA_DAMAGE += [
    {"chunks": [{"filename": "a.bin", "chunk_size": -1}]},
    {"chunks": [{"filename": 1, "chunk_size": 1}]},
]


@pytest.mark.parametrize("changes", [*LITDATA_DAMAGE, None])
def test_a_damaged_index_of_litdata_is_said(tmp_path, changes):
    chunks(tmp_path / "x", ({"image": encoded(image), "label": label} for image, label in images(0, 4)))
    file = tmp_path / "x" / "index.json"
    file.write_text("{" if changes is None else json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(UserError, match=r"index.json is no index of litdata \(.*\): write the chunks again\.$"):
        stream(tmp_path / "x").count("train")


@pytest.mark.parametrize("text", ["{}", "[]", "3", '{"chunks": 1}'])
def test_an_index_of_something_else_is_no_index_of_litdata(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(UserError, match="has no shards: give a folder"):
        stream(tmp_path).count("train")


def _tar(file, size=None, kind=b"0", n=3):
    """Writes a tar file with images, the second of which states another size and type."""
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, (image, _) in enumerate(images(0, n)):
            info, content = tarfile.TarInfo(f"{number}.png"), encoded(image)
            info.size = len(content)
            if number == 1 and size is not None:
                second = archive.offset
            archive.addfile(info, io.BytesIO(content))
    if size is None:
        return
    text = bytearray(file.read_bytes())
    text[second + 124 : second + 136], text[second + 156 : second + 157] = size.ljust(12, b"\0"), kind
    text[second + 148 : second + 156] = b" " * 8
    text[second + 148 : second + 156] = b"%06o\0 " % sum(text[second : second + 512])
    file.write_bytes(text)


NEGATIVE = [b"-0000001000", b"-1", b"\xff" * 10 + b"\xfe\x00"]


@pytest.mark.parametrize("size", [*NEGATIVE, b"0_1", b"9"])
@pytest.mark.parametrize("kind", [b"0", b"x", b"L", b"g", b"Z"])
def test_sizes_in_tar_files_that_lead_backwards_are_refused(tmp_path, size, kind):
    _tar(tmp_path / "a.tar", size, kind)
    read = islice(tar_samples(tmp_path / "a.tar"), 100)
    if size in NEGATIVE and kind in (b"0", b"Z"):
        with pytest.raises(ValueError, match="leads backwards"):
            list(read)
    else:
        with suppress(ValueError):
            assert len([*read]) < 5


def test_binary_and_padded_sizes_are_read(tmp_path):
    _tar(tmp_path / "a.tar")
    plain = [*tar_samples(tmp_path / "a.tar")]
    size = plain[1][0].size
    for text in (b"\x80" + size.to_bytes(11, "big"), b"%11o" % size):
        _tar(tmp_path / "b.tar", text)
        assert [*tar_samples(tmp_path / "b.tar")] == plain


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
@pytest.mark.parametrize("kind", KINDS)
def test_shards_that_cannot_be_opened_are_closed(tmp_path, kind):
    path = tmp_path / "a"
    if kind == "litdata":
        path.write_bytes(b"\xff" * 20)
    else:
        with tarfile.open(path, "w") as archive:
            for name, content in (("0.png", b"image"), ("0.cls", b"cat")):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    before = {*Path("/proc/self/fd").iterdir()}
    for _ in range(3):
        with pytest.raises(ValueError, match=r"cut off|invalid literal"):
            open_chunk(path, [("image", "numpy")]) if kind == "litdata" else TarShard(path)
    assert len({*Path("/proc/self/fd").iterdir()}) <= len(before)


def test_the_size_of_shards_has_bounds():
    for value in (0, 4096):
        with pytest.raises(UserError, match="shard_mib"):
            pack.run("data=digits", "format=shards", f"shard_mib={value}")
