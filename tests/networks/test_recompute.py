"""Blocks that are computed again in the backward pass."""

import copy

import pytest
import torch
from torch import nn

from gan_lab.networks import dcgan, r3gan, stylegan2
from gan_lab.networks.recompute import recompute

NETWORKS = {
    "stylegan2 generator": lambda: stylegan2.Generator(8, 3, 32, 32, base=256, most=16, style=8, mapping_layers=1),
    "stylegan2 discriminator": lambda: stylegan2.Discriminator(3, 32, 32, base=256, most=16),
    "r3gan discriminator": lambda: r3gan.Discriminator(3, 32, 32, widths=16),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_the_same_and_less_is_kept(name):
    torch.manual_seed(0)
    plain = NETWORKS[name]()
    again = recompute(copy.deepcopy(plain))
    inputs = torch.randn(4, 8) if "generator" in name else torch.randn(4, 3, 32, 32)
    kept = [kept_bytes(network, inputs) for network in (plain, again)]
    assert kept[1] < 0.6 * kept[0]
    for one, other in zip(plain.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def kept_bytes(network, inputs):
    """Runs both passes, and returns the bytes that the first keeps for the second, each storage once."""
    storages = {}

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = network(inputs).square().mean()
    loss.backward()
    return sum(storages.values())


def test_a_copy_has_its_own_weights():
    network = recompute(NETWORKS["stylegan2 discriminator"]())
    twin, images = copy.deepcopy(network), torch.randn(4, 3, 32, 32)
    for parameter in network.parameters():
        parameter.data.zero_()
    assert network(images).abs().max() == 0 < twin(images).abs().max()


def test_penalties_are_differentiated_through_it():
    plain = NETWORKS["stylegan2 discriminator"]()
    images = torch.randn(4, 3, 32, 32, requires_grad=True)
    found = []
    for network in (plain, recompute(copy.deepcopy(plain))):
        (slope,) = torch.autograd.grad(network(images).sum(), images, create_graph=True)
        slope.square().sum().backward()
        found.append(network.first.weight.grad)
    torch.testing.assert_close(*found)


def test_layers_that_change_in_each_pass_are_refused():
    with pytest.raises(ValueError, match="Batch norms"):
        recompute(dcgan.Generator(8, 3, 16, 16, base=4))
    with pytest.raises(ValueError, match="no blocks"):
        recompute(nn.Linear(1, 1))
