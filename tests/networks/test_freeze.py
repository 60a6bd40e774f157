"""Frozen first layers of a discriminator."""

import pytest
from torch import nn

from gan_lab.networks import dcgan, progressive, stylegan2
from gan_lab.networks.freeze import freeze


@pytest.mark.parametrize(
    "network", [dcgan.Discriminator(3, 64, 64, base=4), stylegan2.Discriminator(3, 64, 64, base=64, most=8)]
)
def test_the_stages_nearest_to_the_image_are_frozen(network):
    changed = freeze(network, 2)
    frozen = [name for name, each in changed.named_parameters() if not each.requires_grad]
    assert frozen == [name for name, _ in network.named_parameters()][: len(frozen)]
    parts = network.layers[:4] if isinstance(network, dcgan.Discriminator) else [network.first, network.blocks["64x64"]]
    assert len(frozen) == sum(len([*part.parameters()]) for part in parts)  # a DCGAN's second norm is of the second


def test_of_growing_networks_those_of_the_largest_images_are_frozen():
    network = freeze(progressive.Discriminator(3, 64, 64, base=64, most=8), 2)
    frozen = {name.rsplit(".", 2)[0] for name, each in network.named_parameters() if not each.requires_grad}
    assert frozen == {"enter", "blocks.3"}
    assert not network.enter[4].weight.requires_grad and network.enter[3].weight.requires_grad


def test_at_least_one_stage_learns():
    with pytest.raises(ValueError, match="at most 1"):
        freeze(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)), 2)
