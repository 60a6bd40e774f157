"""Damaged images beside what they were: equal on any number of ranks, and after a resume."""

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data.damage.masks import Boxes, Unknown
from gan_lab.data.damage.noise import GaussianNoise
from gan_lab.data.damage.resolution import Smaller
from gan_lab.data.modules.restoration import RestorationDataModule
from gan_lab.data.reading.files import ImageFolder


@pytest.fixture
def photos(tmp_path):
    """Photographs of several sizes, one smaller than the crops."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(20):
        noise = np.random.default_rng(number)
        size = (10, 12, 3) if number == 0 else (24 + number, 40 - number, 3)
        Image.fromarray(noise.integers(0, 256, size, np.uint8)).save(folder / f"{number:02d}.png")
    return folder


def make(photos, damage, **options):
    keys = {"name": "photos", "channels": 3, "size": 16, "batch_size": 4, **options}
    data = RestorationDataModule(ImageFolder(str(photos)), damage, **keys)
    data.setup("fit")
    return data


def test_a_batch_has_crops_at_their_stored_size_and_the_damage_of_each(photos):
    data = make(photos, Smaller(4), flip=False)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (4, 3, 16, 16) and batch["damaged"].shape == (4, 3, 4, 4)
    for clean, small in zip(batch["image"].numpy(), batch["damaged"].numpy(), strict=True):
        image = Image.fromarray(clean.transpose(1, 2, 0)).resize((4, 4), Image.Resampling.BICUBIC)
        assert np.array_equal(np.asarray(image).transpose(2, 0, 1), small)
    floats = data.on_after_batch_transfer(batch, 0)
    assert floats["image"].dtype == floats["damaged"].dtype == torch.float32 and floats["damaged"].abs().max() <= 1


def test_damage_depends_on_epoch_and_row_and_not_on_the_batch(photos):
    small, large = (make(photos, GaussianNoise(), batch_size=size).training_batches() for size in (4, 8))
    rows = np.arange(8)
    whole = large[3, rows]["damaged"]
    assert torch.equal(torch.cat([small[3, rows[:4]]["damaged"], small[3, rows[4:]]["damaged"]]), whole)
    assert not torch.equal(large[4, rows]["damaged"] - large[4, rows]["image"], whole - large[3, rows]["image"])


def test_known_pixels_are_told(photos):
    data = make(photos, Unknown({"boxes": Boxes()}))
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    known = batch["known"].expand_as(batch["image"]).bool()
    assert batch["known"].shape == (4, 1, 16, 16) and 0 < batch["known"].mean() < 1
    assert torch.equal(batch["damaged"][known], batch["image"][known])


def test_measured_damage_is_the_same_for_every_seed_and_depends_on_the_row(photos):
    one, other = (make(photos, GaussianNoise(), seed=seed) for seed in (0, 5))
    clean = torch.cat(list(one.images("test")))
    whole = one.fixed_damage(clean, [0, 1])
    assert torch.equal(whole.damaged, other.fixed_damage(clean, [0, 1]).damaged) and whole.known is None
    assert torch.equal(other.fixed_damage(clean[1:], [1]).damaged, whole.damaged[1:])
    assert whole.clean.shape == (2, 3, 16, 16)


def test_the_protocol_states_the_damage(photos):
    facts = make(photos, GaussianNoise((0, 25))).describe()
    assert facts["damage"] == {"GaussianNoise": {"sigma": [0, 25], "grey": 0.0}}


def test_a_size_that_cannot_be_reduced_is_refused(photos):
    with pytest.raises(UserError, match="give a multiple of 3"):
        make(photos, Smaller(3))
