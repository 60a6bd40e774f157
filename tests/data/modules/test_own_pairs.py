"""Pairs of one's own: crops of the same place in damaged and clean images."""

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.capabilities import Damages
from gan_lab.common.errors import UserError
from gan_lab.data.presets import restoration


def write(folder, factor, count=6, suffixes=(".png", ".png")):
    """Writes clean images whose pixels are their place in both directions, and the first pixels of their blocks."""
    for number in range(count):
        height, width = factor * (9 + number), factor * (14 - number)
        place = np.stack([*np.mgrid[:height, :width], np.full((height, width), number)], -1).astype(np.uint8)
        for name, pixels, suffix in zip(
            ("damaged", "clean"), (place[::factor, ::factor], place), suffixes, strict=True
        ):
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / name / f"{number}{suffix}")


class Reduced:
    masks = False

    def __init__(self, factor):
        self.factor = factor


def make(folder, factor=1, **options):
    keys = {"name": "pairs", "channels": 3, "size": 8 * factor, "batch_size": 2, "cache": "memory", **options}
    folders = {"damaged": "damaged", "clean": "clean"}
    data = restoration(str(folder), None, "data", 1, 1, Reduced(factor), **folders, **keys)
    data.setup("fit")
    return data


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_crops_are_of_the_same_place(tmp_path, factor):
    write(tmp_path, factor)
    data, seen = make(tmp_path, factor), set()
    assert isinstance(data, Damages) and data.count("train") == 5 and data.count("test") == 1
    loader = iter(data.train_dataloader())
    for _ in range(2):
        batch = next(loader)
        assert batch["image"].shape == (2, 3, 8 * factor, 8 * factor) and batch["damaged"].shape == (2, 3, 8, 8)
        for clean, damaged in zip(batch["image"], batch["damaged"], strict=True):
            flipped = bool(damaged[1, 0, 0] > damaged[1, 0, 1])
            whole, small = (image.flip(2) if flipped else image for image in (clean, damaged))
            assert torch.equal(whole[:, ::factor, ::factor], small)
            seen.add((*small[:2, 0, 0].tolist(), flipped))
    assert len(seen) > 2 and data.on_after_batch_transfer(batch, 0)["damaged"].abs().max() <= 1
    (middle,) = data.images("test")
    made = data.fixed_damage(middle, [0])
    assert torch.equal(made.damaged[0], middle[0, :, ::factor, ::factor]) and made.known is None


def test_suffixes_may_differ_and_images_without_a_partner_are_left_out(tmp_path):
    write(tmp_path, 1, suffixes=(".png", ".bmp"))
    (tmp_path / "clean" / "5.bmp").unlink()
    data = make(tmp_path)
    assert data.count("train") + data.count("test") == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"factor": 2}, "is not 2 times as high and wide as the damaged one"),
        ({"factor": 2, "size": 9}, "give a multiple of 2"),
        ({"batch_size": 99}, "fewer than batch_size=99"),
    ],
)
def test_pairs_that_do_not_fit_are_told(tmp_path, options, said):
    write(tmp_path, 1)
    with pytest.raises(UserError, match=said):
        make(tmp_path, **options).train_dataloader()


def test_a_folder_that_is_missing_is_named(tmp_path):
    write(tmp_path, 1)
    (tmp_path / "clean").rename(tmp_path / "other")
    with pytest.raises(UserError, match=r"data\.clean=.*clean does not exist"):
        make(tmp_path)
    one = {"name": "pairs", "channels": 3, "size": 8, "batch_size": 2, "damaged": "damaged"}
    with pytest.raises(UserError, match=r"data\.clean is missing: give two folders or zips with data\.damaged="):
        restoration(str(tmp_path), None, "data", 1, 1, None, **one).setup("fit")
