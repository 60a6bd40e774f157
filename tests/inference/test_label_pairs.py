"""Photographs with label maps: class ids or colours, matched by name."""

import numpy as np
import pytest
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.inference.label_pairs import label_pairs

SPEC = ResizeSpec((8, 8), (8, 8), 3)


@pytest.fixture
def folders(tmp_path):
    """Two photographs, and one without a label map."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for name in ("a", "b", "alone"):
        Image.new("RGB", (24, 16), (10, 20, 30)).save(tmp_path / "images" / f"{name}.jpg")
    return tmp_path / "images", tmp_path / "labels"


def save(folder, pixels, mode="L"):
    for name in ("a", "b"):
        Image.fromarray(pixels, mode).save(folder / f"{name}.png")


def halves(left, right, *depth):
    pixels = np.zeros((16, 24, *depth), np.uint8)
    pixels[:, :12], pixels[:, 12:] = left, right
    return pixels


def test_ids_are_classes_and_255_beside_others_is_none(folders):
    pixels = halves(3, 7)
    pixels[:8] = 255
    save(folders[1], pixels)
    found = label_pairs(*folders, SPEC)
    assert found.images.shape == (2, 3, 8, 8) and found.names == ["3", "7"]
    assert found.classes[0, 6].tolist() == [0] * 4 + [1] * 4 and (found.classes[:, :4] == -1).all()
    save(folders[1], halves(0, 255))
    assert label_pairs(*folders, SPEC).names == ["0", "255"]


def test_colours_are_classes_too(folders):
    save(folders[1], halves((255, 204, 0), (0, 0, 9), 3), "RGB")
    found = label_pairs(*folders, SPEC)
    assert found.names == ["#000009", "#ffcc00"] and found.classes[1, 0].tolist() == [1] * 4 + [0] * 4


def test_what_is_no_set_of_label_maps_is_refused(folders, tmp_path):
    save(folders[1], np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8), "RGB")
    with pytest.raises(UserError, match="one colour for each class"):
        label_pairs(*folders, ResizeSpec((16, 16), (16, 16), 3))
    save(folders[1], halves(4, 4))
    with pytest.raises(UserError, match="a single class"):
        label_pairs(*folders, SPEC)
    Image.fromarray(halves((1, 2, 3), (4, 5, 6), 3)).save(folders[1] / "b.png")
    with pytest.raises(UserError, match=r"b\.png is colour-coded \(RGB\), unlike the first"):
        label_pairs(*folders, SPEC)
    (folders[1] / "b.png").write_bytes(b"none")
    with pytest.raises(UserError, match=r"b\.png cannot be read"):
        label_pairs(*folders, SPEC)
    (tmp_path / "others").mkdir()
    Image.new("L", (24, 16)).save(tmp_path / "others" / "x.png")
    with pytest.raises(UserError, match="name pairs alike"):
        label_pairs(folders[0], tmp_path / "others", SPEC)
