"""One image file gives the same pixels to training, translation, reconstruction and evaluation."""

import sys

import numpy as np
import pytest
import torch
from odd_images import DISPLAY_P3, ODD_TAGS, profile, with_tags
from PIL import Image
from variational import SIDE, checkpoint

from gan_lab.common.domains import Domain
from gan_lab.common.images import from_pil
from gan_lab.data import presets
from gan_lab.data.loading import cache
from gan_lab.data.reading.images import read_image
from gan_lab.data.sources.folders import compared_folders
from gan_lab.reconstruct import reconstruct


def colours(height=SIDE, width=SIDE):
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([60 + 12 * x, 200 - 12 * y, 60 + 8 * (x + y)], -1).astype(np.uint8))


def trained_on(root, channels, size=SIDE, **options):
    options = {"name": "it", "classes": 0, "batch_size": 1, **options}
    return presets.folder(str(root), channels=channels, size=size, **options)


def images(data):
    return torch.cat([*data.images("train"), *data.images("test")])


@pytest.fixture
def wide_gamut(tmp_path, monkeypatch):
    """Two equal images in Display P3, one of which becomes the test split."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("0", "1"):
        colours().save(tmp_path / "in" / f"{name}.png", icc_profile=profile("Display P3", DISPLAY_P3))
    return tmp_path / "in"


def original(path, side=SIDE, scale=5):
    """The first original of a sheet of enlarged images, uint8 (C, H, W)."""
    return from_pil(Image.open(path))[:, 2 : 2 + side * scale : scale, 2 : 2 + side * scale : scale]


def test_a_wide_gamut_image_is_one_image_through_every_door(wide_gamut, tmp_path, monkeypatch, capsys):
    found = {channels: images(trained_on(wide_gamut, channels))[0] for channels in (1, 3)}
    assert not torch.equal(found[3], from_pil(colours())), "it is converted"
    for channels, pixels in found.items():
        with (wide_gamut / "0.png").open("rb") as file:
            assert torch.equal(read_image(file, Domain(channels)).pixels, pixels)
    for side in compared_folders(str(wide_gamut), str(wide_gamut)):
        assert torch.equal(side.part(0, 1)[0], found[3])
    path = checkpoint(tmp_path / "last.ckpt")
    monkeypatch.setattr(sys, "argv", ["gan_lab", f"checkpoint={path}", f"input={wide_gamut}/0.png", "output=out"])
    reconstruct()
    assert torch.equal(original(tmp_path / "out" / "sheet.png"), found[1])
    assert "colour profile Display P3 converted to sRGB" in capsys.readouterr().out


def test_a_summary_says_what_was_converted_and_what_could_not_be(wide_gamut, caplog):
    colours().save(wide_gamut / "1.png", icc_profile=b"damaged")
    with caplog.at_level("INFO"):
        trained_on(wide_gamut, 3).prepare_data()
    assert "; colour profile Display P3 converted to sRGB (1)" in caplog.text
    assert "; unusable colour profile ignored (1)" in caplog.text


def test_cached_pixels_and_the_key_of_statistics_follow_the_reader(wide_gamut, monkeypatch):
    """Statistics of real images are cached under the fingerprint, a hash of the pixels themselves."""
    options = {"cache": "disk", "cache_dir": str(wide_gamut.parent / "cache")}
    now = trained_on(wide_gamut, 3, **options).fingerprint("train")
    monkeypatch.setattr(cache, "READER", 1)  # an earlier version, which kept the pixels as they are stored
    monkeypatch.setattr("gan_lab.data.reading.images.to_srgb", lambda image, profile: (image, ""))
    before = trained_on(wide_gamut, 3, **options)
    assert torch.equal(images(before)[0], from_pil(colours())) and before.fingerprint("train") != now
    monkeypatch.undo()
    assert trained_on(wide_gamut, 3, **options).fingerprint("train") == now


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_images_with_odd_tags_are_read_through_every_door(tmp_path):
    (tmp_path / "in").mkdir()
    for name, tags in ODD_TAGS.items():
        (tmp_path / "in" / f"{name}.jpg").write_bytes(with_tags(colours(16, 24), tags))
    data = trained_on(tmp_path / "in", 3)
    assert data.count("train") + data.count("test") == len(ODD_TAGS)
    assert compared_folders(str(tmp_path / "in"), str(tmp_path / "in"))[0].count("train") == len(ODD_TAGS)
    for path in (tmp_path / "in").iterdir():
        with path.open("rb") as file:
            assert read_image(file, Domain()).pixels.shape[0] == 3
