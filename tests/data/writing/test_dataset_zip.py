"""The zip that StyleGAN, EDM and R3GAN share, as it is written."""

import io
import json
import weakref
import zipfile

import numpy as np
import pytest
from PIL import Image

from gan_lab.data.writing.dataset_zip import write_dataset_zip


def some(n, channels=3, classes=None):
    rng = np.random.default_rng(n)
    for k in range(n):
        yield rng.integers(0, 256, (channels, 4, 6), np.uint8), None if classes is None else k % classes


def pixels(archive, name):
    found = np.array(Image.open(io.BytesIO(archive.read(name))))
    return found.reshape(*found.shape[:2], -1).transpose(2, 0, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_images_are_stored_as_png_in_folders_of_a_thousand(tmp_path, channels):
    assert write_dataset_zip(tmp_path / "x.zip", some(1002, channels)) == 1002
    names = [f"{k // 1000:05d}/img{k:08d}.png" for k in range(1002)]
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.namelist() == [*names, "dataset.json"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert all(
            np.array_equal(pixels(archive, name), image)
            for name, (image, _) in zip(names, some(1002, channels), strict=True)
        )


@pytest.mark.parametrize(
    ("classes", "class_names", "content"),
    [
        (None, [], {"labels": None}),
        (2, [], {"labels": [["00000/img00000000.png", 0], ["00000/img00000001.png", 1], ["00000/img00000002.png", 0]]}),
        (1, ["é", 'a "b"'], {"labels": [[f"00000/img0000000{k}.png", 0] for k in range(3)],
                             "class_names": ["é", 'a "b"']}),
    ],
)  # fmt: skip
def test_the_labels_are_in_dataset_json(tmp_path, classes, class_names, content):
    write_dataset_zip(tmp_path / "x.zip", some(3, 1, classes), class_names)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert json.loads(archive.read("dataset.json")) == content


def test_the_time_does_not_change_the_bytes(tmp_path, monkeypatch):
    for name, now in (("a.zip", 1e9), ("b.zip", 2e9)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        write_dataset_zip(tmp_path / name, some(5, 3, 2))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_few_images_are_in_memory_at_a_time(tmp_path):
    alive, most = weakref.WeakSet(), 0

    class Counted(np.ndarray):
        __hash__ = object.__hash__

    def counted():
        nonlocal most
        for image, label in some(600):
            image = image.view(Counted)
            alive.add(image)
            most = max(most, len(alive))
            yield image, label

    write_dataset_zip(tmp_path / "x.zip", counted())
    assert most < 60


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_file_that_is_cut_short_leaves_what_was_there(tmp_path, error):
    def cut_short():
        yield from some(20)
        raise error

    (tmp_path / "x.zip").write_text("before")
    with pytest.raises(error):
        write_dataset_zip(tmp_path / "x.zip", cut_short())
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x.zip"]
    assert (tmp_path / "x.zip").read_text() == "before"
