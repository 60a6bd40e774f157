"""Two folders are compared at one size, in one colour and by one way of decoding, which all images decide."""

from shutil import copytree

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.data import presets
from gan_lab.data.sources.folders import compared_folders


def noise(side, seed):
    blocks = np.random.default_rng(seed).integers(0, 256, (side // 20, side // 20, 3), np.uint8)
    return Image.fromarray(blocks).resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def formats(tmp_path_factory):
    """Large JPEGs, and the same pixels as PNG."""
    root = tmp_path_factory.mktemp("formats")
    for folder in ("jpeg", "png"):
        (root / folder).mkdir()
    for number in range(4):
        noise(400, number).save(root / "jpeg" / f"{number}.jpg", quality=90)
        with Image.open(root / "jpeg" / f"{number}.jpg") as image:
            image.save(root / "png" / f"{number}.png")
    return root


def images(data, split="train"):
    return torch.cat(list(data.images(split)))


def test_jpeg_and_png_of_the_same_pixels_are_equal(formats):
    real, fake = compared_folders(str(formats / "jpeg"), str(formats / "png"), 16)
    assert torch.equal(images(real), images(fake))
    assert real.describe()["splits"]["train"]["transform"].startswith("JPEGs decoded at full size, ")
    assert "JPEG" not in fake.describe()["splits"]["train"]["transform"]


def folder(root, **options):
    return presets.folder(str(root), name="x", channels=3, classes=0, size=16, batch_size=1, **options)


def test_a_training_set_of_both_is_decoded_in_one_way(formats, tmp_path):
    copytree(formats / "jpeg", tmp_path / "train")
    copytree(formats / "png", tmp_path / "test")
    both, alone = folder(tmp_path), folder(formats / "jpeg")
    assert torch.equal(images(both), images(both, "test"))
    assert "JPEGs reduced by the decoder if large" in str(alone.describe())
    assert "JPEGs decoded at full size" in str(both.describe())


def test_two_domains_of_both_are_decoded_in_one_way(formats):
    options = {"name": "x", "domains": {"a": {}, "b": {}}, "size": 16, "batch_size": 1}
    data = presets.unpaired(a=str(formats / "jpeg"), b=str(formats / "png"), **options)
    assert torch.equal(images(data.sides["a"]), images(data.sides["b"]))
    alone = presets.unpaired(a=str(formats / "jpeg"), b=str(formats / "jpeg"), **options)
    assert not torch.equal(images(data.sides["a"]), images(alone.sides["a"])), "the decoder reduces these"


def write(folder, number, size, mode="RGB"):
    folder.mkdir(exist_ok=True)
    Image.new(mode, size).save(folder / f"{number}.png")


def test_all_images_decide_size_and_colour_and_it_is_said(tmp_path, caplog):
    for number in range(5):
        write(tmp_path / "real", number, (9, 8) if number else (30, 30), "L")
        write(tmp_path / "fake", number, (20, 20), "L")
    with caplog.at_level("INFO"):
        real, fake = compared_folders(str(tmp_path / "real"), str(tmp_path / "fake"))
    assert (fake.channels, fake.height, fake.width) == (1, 8, 9) and images(real).shape == (5, 1, 8, 9)
    assert "Compared at 9×8, the most frequent size of the real images (4 of 5), in grey." in caplog.text
    write(tmp_path / "fake", 9, (20, 20))
    with caplog.at_level("INFO"):
        real, _ = compared_folders(str(tmp_path / "real"), str(tmp_path / "fake"), 4)
    assert real.channels == 3
    assert "Compared at 4×4, in colour, because 1 of 11 images are." in caplog.text
