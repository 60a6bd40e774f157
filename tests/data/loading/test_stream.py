import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data import presets


def folder(root, **options):
    options = {"name": "it", "channels": 3, "classes": None, "size": [6, 5], "batch_size": 2} | options
    return presets.folder(str(root), **options)


@pytest.fixture
def photos(tmp_path):
    """Photographs of odd sizes in two classes, JPEG and PNG, in grey and in colour."""
    rng = np.random.default_rng(0)
    for k in range(12):
        path = tmp_path / "photos" / "ab"[k % 2] / f"{k}.{'png' if k % 3 else 'jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (7 + 3 * k, 31 - 2 * k, 3)
        Image.fromarray(rng.integers(0, 256, shape[: 3 if k % 4 else 2], np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.mark.parametrize("options", [{}, {"crop": "random", "flip": True}, {"channels": 1, "limit": 4}])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_stream_has_the_images_and_classes_of_a_split(photos, cache_folder, options, split):
    images, labels = zip(*folder(photos, **options).stream(split), strict=True)
    assert not list(cache_folder.rglob("*.u8")), "nothing is kept"
    data = folder(photos, **options)
    assert np.array_equal(np.stack(images), torch.cat([*data.images(split)]).numpy())
    assert list(labels) == data.labels(split).tolist()


def test_without_classes_there_are_no_labels(photos):
    assert {label for _, label in folder(photos, classes=0).stream("train")} == {None}


def test_unreadable_images_are_skipped_and_named_up_to_one_in_a_hundred(make_folder, caplog):
    root = make_folder([f"{k:03d}.png" for k in range(120)])
    (root / "005.png").write_text("no image")
    stream = folder(root).stream("whole")
    with caplog.at_level("WARNING"), pytest.warns(UserWarning, match=r"1 unreadable images are skipped: 005\.png"):
        assert len([*stream]) == len(stream) - 1
    for k in (7, 8):
        (root / f"{k:03d}.png").write_text("no image")
    with pytest.raises(UserError, match="images cannot be read, more than 1 %"):
        [*folder(root).stream("whole")]
