"""The command pack: what it writes, and what is read back."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from calls import call, refused
from PIL import Image

from gan_lab.data import presets
from gan_lab.pack import pack


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def photos():
    """Photographs of odd sizes, in grey and in colour."""
    rng = np.random.default_rng(0)
    Path("photos").mkdir()
    for k in range(10):
        shape = (9 + 4 * k, 41 - 3 * k, 3)[: 3 if k % 3 else 2]
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(f"photos/{k}.png")


def content(data):
    """Images (N, C, H, W) and labels (N,) of both splits."""
    splits = [data.images(split) for split in ("train", "test")]
    return torch.cat([*splits[0], *splits[1]]), torch.cat([data.labels("train"), data.labels("test")])


def folder(root, channels, size, **options):
    options = {"name": "folder", "classes": None, "batch_size": 4, "cache": "memory"} | options
    return presets.folder(root, channels=channels, size=size, **options)


def packed(file, channels, size):
    """What is read of a file of one split, in the order of its images."""
    images, labels = zip(*_whole(folder(file, channels, size)), strict=True)
    return torch.from_numpy(np.stack(images)), labels


def _whole(data):
    (images,) = data.source.splits().values()
    for row, image in enumerate(images.render(data.resize_spec)):
        yield image.pixels, None if images.labels is None else int(images.labels[row])


def test_images_with_classes_are_read_back_as_they_were(monkeypatch, capsys):
    fake = ["data=fake", "data.count=40", "data.classes=4", "data.channels=1", "data.size=8"]
    call(monkeypatch, pack, *fake, "split=all", "output=sets/fake.zip")
    said = capsys.readouterr().out
    assert said == "Packed 60 images of 8×8 px, grey, 4 classes.\nWrote sets/fake.zip\n"
    images, labels = content(
        presets.fake(count=40, channels=1, size=8, classes=4, name="fake", batch_size=4, cache="memory")
    )
    found, classes = packed("sets/fake.zip", 1, 8)
    assert torch.equal(found, images) and list(classes) == labels.tolist()
    assert [path.name for path in Path().rglob("*") if path.is_file()] == ["fake.zip"]


def test_photographs_get_the_size_and_the_colours_of_training(photos, monkeypatch, capsys):
    call(monkeypatch, pack, "data=folder", "data.root=photos", "size=16", "split=all", "output=p.zip")
    found, classes = packed("p.zip", 3, 16)
    assert torch.equal(found, content(folder("photos", 3, 16))[0]) and {*classes} == {None}
    call(monkeypatch, pack, "data=folder", "data.root=photos", "size=[8,12]", "data.channels=1", "output=p.zip")
    assert packed("p.zip", 1, [8, 12])[0].shape == (9, 1, 8, 12), "a file that exists is replaced"
    said = capsys.readouterr().out
    assert "read square images only" in said
    assert "The test split is left out (1 image): split=all packs both." in said


def test_splits_and_names_of_classes_survive(monkeypatch, capsys):
    for split in ("train", "test"):
        call(monkeypatch, pack, "data=digits", "data.limit=50", "size=8", f"split={split}", f"output=d/{split}.zip")
    assert "keeps the names of the classes for gan_lab" in capsys.readouterr().out
    digits = presets.digits(name="digits", channels=1, classes=10, size=8, batch_size=4, limit=50)
    data = folder("d", 1, 8)
    assert data.class_names == digits.class_names and data.classes == 10
    for split in ("train", "test"):
        assert torch.equal(torch.cat([*data.images(split)]), torch.cat([*digits.images(split)]))
        assert torch.equal(data.labels(split), digits.labels(split))


def test_images_of_ones_own_keep_their_size_if_all_have_one(photos, monkeypatch, capsys):
    for k in range(5):
        Image.fromarray(np.full((12, 10), 9 * k, np.uint8)).save(f"photos/{k}.png")
    said = refused(monkeypatch, capsys, pack, "data=folder", "data.root=photos")
    assert "The images of data.root=photos differ in size: give size=64" in said
    for k in range(5, 10):
        Path(f"photos/{k}.png").unlink()
    call(monkeypatch, pack, "data=folder", "data.root=photos", "split=all")
    assert torch.equal(packed("folder.zip", 1, [12, 10])[0], content(folder("photos", 1, [12, 10]))[0])


def test_what_is_read_is_not_written_over(photos, monkeypatch, capsys):
    call(monkeypatch, pack, "data=folder", "data.root=photos", "size=8", "output=sets/train.zip")
    before = Path("sets/train.zip").read_bytes()
    for root, output in (("sets", "train"), ("sets", "valid"), ("sets/train.zip", "train")):
        keys = ["data=folder", f"data.root={root}", "size=8", f"output=sets/{output}.zip"]
        assert f"output=sets/{output}.zip is a zip that data.root=" in refused(monkeypatch, capsys, pack, *keys)
    assert [path.name for path in Path("sets").iterdir()] == ["train.zip"]
    assert Path("sets/train.zip").read_bytes() == before


def test_ctrl_c_leaves_nothing():
    keys = ["data=fake", "data.count=100000", "output=sets/x.zip"]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
    command = [sys.executable, "-m", "gan_lab.pack", *keys]
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    for _ in range(600):
        if any(path.stat().st_size > 1 << 16 for path in Path().glob("sets/.x.*")):
            break
        time.sleep(0.1)
    os.kill(job.pid, signal.SIGINT)
    assert job.communicate(timeout=60)[1] == "" and job.returncode == 130
    assert list(Path("sets").iterdir()) == []
