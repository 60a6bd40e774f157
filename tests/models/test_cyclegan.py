"""CycleGAN against a bare loop that follows the published implementation."""

import copy
from functools import partial

import pytest
import torch
from bare import CycleGAN as Bare
from bare import cyclegan_networks
from cases import COMMON, limited
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from gan_lab.cli.config.checks import validate
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.instantiate import instantiate
from gan_lab.losses.adversarial import LeastSquares
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.cyclegan import CycleGAN
from gan_lab.training.budget import Budget
from gan_lab.training.noise import KeyedStream
from gan_lab.training.options import EngineOptions
from gan_lab.training.run_config import RunConfig
from gan_lab.training.trainer import make_trainer

IMAGES = {"channels": 3, "labels": 0}
QUIET = {
    "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
}  # fmt: skip


def test_trains_as_the_published_implementation():
    """Three iterations from the same weights on the same images give the same weights."""
    torch.manual_seed(0)
    networks = cyclegan_networks(blocks=1, filters=4)
    batches = [{side: torch.rand(1, 3, 32, 32) * 2 - 1 for side in "ab"} for _ in range(3)]
    reference = Bare(copy.deepcopy(networks), batch=partial(next, iter([(each["a"], each["b"]) for each in batches])))
    for _ in batches:
        reference()
    adam = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
    # Biases before instance norm have no gradient but rounding, so all passes must be theirs.
    objective = AdversarialObjective(LeastSquares(), one_pass=False)
    ours = CycleGAN(
        *networks, {"a": IMAGES, "b": IMAGES}, objective, adam, adam, adversarial=2.0,
        engine=EngineOptions(Budget(images=3), channels_last=False),
    )  # fmt: skip
    Trainer(accelerator="cpu", max_epochs=-1, **QUIET).fit(ours, DataLoader(batches, batch_size=None))
    for name, network in zip(("a2b", "b2a", "discriminator_a", "discriminator_b"), networks, strict=True):
        expected = getattr(reference, name).state_dict()
        for key, value in network.state_dict().items():
            # Adam's first steps are the gradient's sign times the rate: where that depends on rounding, it may flip
            far = (value - expected[key]).abs() > 1e-5
            assert far.float().mean() < 0.01, f"{name}.{key}"


@pytest.mark.parametrize("model", ["cyclegan", "cut"])
@pytest.mark.parametrize(("loss", "adversarial", "discriminator"), [("lsgan", 2.0, 1.0), ("nonsaturating", 1.0, 0.5)])
def test_weights_of_losses_are_those_of_the_published_code(model, loss, adversarial, discriminator):
    """``LeastSquares`` already halves squared errors; with other losses a weight halves the discriminator's."""
    chosen = compose([f"model={model}", f"loss={loss}", "data=fake_unpaired", *COMMON]).model
    assert (chosen.adversarial, chosen.discriminator_weight) == (adversarial, discriminator)


def test_the_discriminators_loss_is_weighted():
    torch.manual_seed(0)
    adam = partial(torch.optim.Adam, lr=2e-4)
    options = {"domains": {"a": IMAGES, "b": IMAGES}, "objective": AdversarialObjective(LeastSquares())}
    options |= {"g_optimizer": adam, "d_optimizer": adam, "discriminator_weight": 0.25, "pool": 0}
    model = CycleGAN(*cyclegan_networks(blocks=1, filters=4), **options)
    batch, fakes = ({side: torch.rand(1, 3, 32, 32) for side in "ab"} for _ in range(2))
    losses = model.d_losses(batch, fakes, KeyedStream(0)).terms
    for side in "ab":
        real, fake = model.discriminate(batch[side], side), model.discriminate(fakes[side], side)
        expected = 0.25 * ((real - 1).square().mean() + fake.square().mean()) / 2
        torch.testing.assert_close(losses[f"adversarial_{side}"], expected)


@pytest.mark.parametrize(("size", "blocks"), [(256, 9), (252, 6), ("[256,128]", 6)])
def test_the_number_of_residual_blocks_is_that_of_the_papers_code(size, blocks):
    config = compose(["model=cyclegan", "data=fake_unpaired", f"data.size={size}", "run_dir=x", "runs=x"])
    validate(config)
    assert resolve(config)["model"]["a2b"]["blocks"] == blocks


def test_the_whole_configuration_takes_a_step(tmp_path):
    """Every parameter of the paper's networks (64 filters, 9 blocks, at any size) changes."""
    config = compose([
        "model=cyclegan", "data=fake_unpaired", "data.size=64", "generator.blocks=9", "data.count=2",
        *COMMON, *limited(1), "batch_size=1", "trainer=cpu", f"run_dir={tmp_path}", "runs=/nowhere",
    ])  # fmt: skip
    validate(config)
    plain = resolve(config)
    model = instantiate(plain["model"])
    networks = {name: getattr(model, name) for name in ("a2b", "b2a", "discriminator_a", "discriminator_b")}
    before = {name: copy.deepcopy(network.state_dict()) for name, network in networks.items()}
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
    assert counts == {"a2b": 11_378_179, "b2a": 11_378_179, "discriminator_a": 2_764_737, "discriminator_b": 2_764_737}
    trainer, _ = make_trainer(RunConfig.of(plain))
    trainer.fit(model, datamodule=instantiate(plain["data"]))
    for name, network in networks.items():
        for key, value in network.state_dict().items():
            assert value.isfinite().all()
            assert not torch.equal(value, before[name][key]), f"{name}.{key}"
