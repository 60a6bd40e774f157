"""The command pack into shards: what data=stream reads of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from calls import call, refused
from PIL import Image

from gan_lab.data import presets
from gan_lab.pack import pack

FAKE = ["data=fake", "data.count=40", "data.classes=4", "data.channels=1", "data.size=8"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def stream(root, **options):
    return presets.stream(root, **{"name": "it", "channels": 1, "classes": None, "size": 8, "batch_size": 4} | options)


def content(data, split):
    return [(image.numpy().tobytes(), int(label)) for image, label in zip(*whole(data, split), strict=True)]


def whole(data, split):
    return torch.cat([*data.images(split)]), data.labels(split)


@pytest.mark.parametrize("keys", [["format=shards"], ["format=webdataset"], ["format=shards", "encoding=png"]])
def test_both_splits_are_read_back_in_random_order(monkeypatch, capsys, keys):
    call(monkeypatch, pack, *FAKE, *keys, "split=all", "output=shards")
    assert "Packed 60 images of 8×8 px, grey, 4 classes.\nTrain on them with data=stream" in capsys.readouterr().out
    data = stream("shards")
    real = presets.fake(count=40, classes=4, channels=1, size=8, name="fake", batch_size=4)
    for split in ("train", "test"):
        assert content(data, split) != content(real, split)
        assert sorted(content(data, split)) == sorted(content(real, split))


def test_one_split_in_its_own_order_has_a_part_held_out(monkeypatch, capsys):
    call(monkeypatch, pack, *FAKE, "format=shards", "shuffle=false")
    assert "The test split is left out (20 images)" in capsys.readouterr().out
    data = stream("fake-shards")
    real = presets.fake(count=40, classes=4, channels=1, size=8, name="fake", batch_size=4)
    assert content(data, "train") + content(data, "test") == content(real, "train")


def test_shards_are_packed_again(monkeypatch):
    call(monkeypatch, pack, *FAKE, "format=shards", "split=all", "output=a")
    call(
        monkeypatch, pack, "data=stream", "data.root=a", "data.classes=4", "format=webdataset", "split=all", "output=b"
    )
    assert content(stream("a"), "train") == content(stream("b"), "train")


def test_parts_get_one_index_which_a_set_at_a_url_needs(monkeypatch, capsys):
    for part in "12":
        call(monkeypatch, pack, *FAKE, "format=shards", f"output=set/{part}", f"seed={part}")
    call(monkeypatch, pack, "join=set")
    assert "Joined 80 images in 2 shards: data=stream data.root=set, here or at a URL." in capsys.readouterr().out
    for root in ("set", f"local:{Path('set').absolute()}"):
        data = stream(root, cache_dir="kept")
        assert data.count("train") + data.count("test") == 80
    call(monkeypatch, pack, *FAKE, "format=shards", "output=set/3")
    (Path("set") / "3").rename(Path("set") / ".3")  # as a crash leaves it
    call(monkeypatch, pack, "join=set")
    (Path("set") / ".3").rename(Path("set") / "3")
    with pytest.warns(UserWarning, match="a folder of shards, 3, that its shards.json does not name"):
        stream("set").count("train")
    assert "join=set/1 has no folders of shards" in refused(monkeypatch, capsys, pack, "join=set/1")
    call(monkeypatch, pack, *FAKE, "format=shards", "output=set/1/inner")
    assert "join=set/1 has shards beside those of its folders" in refused(monkeypatch, capsys, pack, "join=set/1")
    Path("empty").mkdir()
    assert "join=empty has no folders of shards" in refused(monkeypatch, capsys, pack, "join=empty")


def test_the_images_of_a_folder_are_trained_on_at_their_own_size(monkeypatch, capsys):
    for number in range(12):
        Path("photos", "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(f"photos/{'ab'[number % 2]}/{number}.png")
    call(monkeypatch, pack, "data=folder", "data.root=photos", "format=shards", "output=shards")
    data = stream("shards", channels=3, size=20)
    assert data.source.formats().size == (20, 20) and data.class_names == ["a", "b"] and data.count("whole") == 10


@pytest.mark.parametrize("name", ["there", "x.zip"])
def test_what_exists_is_never_written_over(monkeypatch, capsys, name):
    Path("there").mkdir()
    said = refused(monkeypatch, capsys, pack, *FAKE, "format=shards", f"output={name}")
    assert f"output={name} is not valid: give the name of a folder that does not exist yet" in said
