"""Progressive growing: what it trains on at each level, what samples it gives, and what it refuses."""

from functools import partial

import pytest
import torch
from cases import limited, plain
from fitting import fit
from lightning.pytorch import Callback
from torch import nn

import gan_lab
from gan_lab.common.errors import UserError
from gan_lab.losses.adversarial import Wasserstein
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.latents import Normal
from gan_lab.models.progressive import Progressive
from gan_lab.networks.progressive import Discriminator, Generator, doubled, halved
from gan_lab.training.checkpoint import read
from gan_lab.training.growth import Growth
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.noise import KeyedStream
from gan_lab.training.weights_file import write_weights

SIZE = 3, 16, 24
IMAGES = torch.rand(8, *SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1


def make(level=0.0, networks=None, **options):
    torch.manual_seed(0)
    networks = networks or (Generator(5, *SIZE, base=32, most=6), Discriminator(*SIZE, base=32, most=6))
    objective, adam = AdversarialObjective(Wasserstein()), partial(torch.optim.Adam, lr=1e-3)
    model = Progressive(*networks, Normal(5), objective, adam, adam, Growth(), **options)
    model.growth.level = level
    return model


@pytest.mark.parametrize("level", [0, 1, 2])
def test_real_images_are_reduced_to_the_level(level):
    expected = IMAGES
    for _ in range(2 - level):
        expected = torch.nn.functional.avg_pool2d(expected, 2)
    torch.testing.assert_close(make(level).prepare({"image": IMAGES})["image"], expected)


def test_real_images_fade_in_as_generated_ones_do():
    finer = halved(IMAGES)
    expected = 0.7 * doubled(halved(finer)) + 0.3 * finer
    model = make(0.3)
    batch = model.prepare({"image": IMAGES})
    torch.testing.assert_close(batch["image"], expected)
    assert model.shared_forward(batch, KeyedStream(0))["fake"].shape == expected.shape


@pytest.mark.parametrize(("level", "kept"), [(0, 8), (0.1, 4), (1, 4), (1.5, 2), (2, 2)])
def test_two_processes_train_on_the_same_images_as_one(level, kept, monkeypatch):
    model = make(level, batch_sizes={"16": 2, "8": 4, "4": 64})
    whole = model.prepare({"image": IMAGES})["image"]
    monkeypatch.setattr(Progressive, "num_ranks", 2)
    parts = torch.cat([model.prepare({"image": half})["image"] for half in IMAGES.chunk(2)])
    assert len(whole) == kept and torch.equal(parts, whole)


@pytest.mark.parametrize(("ranks", "size"), [(1, 3), (2, 1)])
def test_a_part_that_cannot_be_shared_is_refused_at_any_level(ranks, size, monkeypatch):
    monkeypatch.setattr(Progressive, "num_ranks", ranks)
    with pytest.raises(UserError, match="has no equal parts"):
        make(batch_sizes={"16": size}).prepare({"image": IMAGES})


@pytest.mark.parametrize(("level", "repeated"), [(0, 4), (0.5, 2), (1, 2), (2, 1)])
def test_samples_have_the_whole_size_at_any_level(level, repeated):
    samples = make(level).sample(2)
    assert samples.shape == (2, *SIZE)
    corners = samples[:, :, ::repeated, ::repeated]
    assert torch.equal(corners.repeat_interleave(repeated, 2).repeat_interleave(repeated, 3), samples)
    assert samples[0, 0, 0].unique().numel() > SIZE[2] // (2 * repeated)


class SaveAt(Callback):
    """Saves after the iteration in which so many images have been seen."""

    def __init__(self, images, path):
        self.images, self.path = images, path

    def on_train_batch_end(self, trainer, module, *_):
        if module.images_seen == self.images:
            trainer.save_checkpoint(self.path)


def test_a_run_resumes_in_a_fade_and_counts_the_images_that_it_trains_on(tmp_path):
    """Batches of 4 at 4 px, of 2 from 8 px on."""
    growth = ["model.growth.images=12", f"model.growth.fading={2 / 3}", "+model.batch_sizes.8=2"]
    case = plain(["model=progressive"], tmp_path, *limited(16), *growth)
    _, whole = fit(case, SaveAt(8, tmp_path / "part.ckpt"))
    assert whole.iteration == 6 and whole.images_seen == 16 and whole.growth.level == 1
    loaded = gan_lab.load(tmp_path / "part.ckpt")
    assert loaded.growth.level == pytest.approx(0.5) and loaded.iteration == 2
    assert torch.equal(
        loaded.sample(2)[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3), loaded.sample(2)
    )
    _, resumed = fit(case, resume=tmp_path / "part.ckpt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"networks": (nn.Linear(1, 1), nn.Linear(1, 1))}, "leave network= out"),
        ({"classes": 3}, "leave conditional=true out"),
        ({"replay_pool": ImagePool(4)}, "leave remedy=replay out"),
    ],
)
def test_what_does_not_grow_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        make(**options)


def test_a_run_that_goes_on_with_a_larger_budget_keeps_its_level(monkeypatch):
    model = make(2.0)
    monkeypatch.setattr(Progressive, "progress", 0.2)
    model._grow()
    assert model.growth.level == 2.0 == float(model.level)


def test_a_file_of_weights_alone_has_the_level(tmp_path):
    trainer, model = fit(plain(["model=progressive"], tmp_path, *limited(12)))
    trainer.save_checkpoint(tmp_path / "whole.ckpt")
    write_weights(read(tmp_path / "whole.ckpt"), tmp_path / "weights.safetensors")
    loaded = gan_lab.load(tmp_path / "weights.safetensors")
    assert loaded.growth.level == model.growth.level > 0
    torch.testing.assert_close(loaded.sample(2), model.eval().sample(2), atol=1e-5, rtol=0)
