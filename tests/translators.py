"""Models that translate, for tests: a stand-in around one network, and a checkpoint of a small CycleGAN or pix2pix."""

import torch
from torch import nn

from gan_lab.common.domains import Domain
from gan_lab.common.instantiate import instantiate
from gan_lab.common.renames import FORMAT
from gan_lab.networks.resnet import Generator


class Model:
    """What ``gan_lab.common.capabilities.Translates`` asks for, around one network."""

    def __init__(self, network, a=None, b=None, multiple=None):
        self.network, self.multiple = network.eval(), multiple or network.multiple
        self.domains, self.directions = {"a": a or Domain(), "b": b or Domain()}, ("a2b",)

    def translator(self, to):
        return self.network

    @torch.no_grad()
    def translate(self, image, to, seed=0, start=0):
        return self.network.eval()(image)


def lively(network: nn.Module, std: float = 0.1) -> nn.Module:
    """Weights large enough that a mistake in any layer is seen in the result."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, std)
    return network


def generator(**options) -> nn.Module:
    return lively(Generator(**{"filters": 8, "blocks": 1, **options}))


def node(method, a=0, b=0, **options):
    """The configuration of a method between pictures, or maps of ``a`` or ``b`` labels."""
    optimizer = {"_target_": "torch.optim.Adam", "_partial_": True}
    network = {"_target_": "gan_lab.networks.resnet.Generator", "filters": 2, "blocks": 1}
    discriminator = {"_target_": "gan_lab.networks.patchgan.Discriminator", "filters": 2}
    to_b = network | {"channels": a or 3, "out_channels": b or 3}
    to_a = network | {"channels": b or 3, "out_channels": a or 3}
    parts = {
        "cyclegan.CycleGAN": {
            "a2b": to_b,
            "b2a": to_a,
            "discriminator_a": discriminator,
            "discriminator_b": discriminator,
        },
        "pix2pix.Pix2Pix": {"generator": to_b, "discriminator": discriminator},
    }[method]
    return {
        "_target_": f"gan_lab.models.{method}",
        "objective": {
            "_target_": "gan_lab.losses.objective.AdversarialObjective",
            "loss": {"_target_": "gan_lab.losses.adversarial.LeastSquares"},
        },
        "engine": {"_target_": "gan_lab.training.options.EngineOptions", "ema_half_life": None},
        "g_optimizer": optimizer,
        "d_optimizer": optimizer,
        "domains": {"a": {"labels": a}, "b": {"labels": b}},
        **parts,
        **options,
    }


def checkpoint(path, configuration):
    """Writes an untrained model as a finished run would."""
    model = instantiate(configuration)
    for side in ("a", "b"):
        if f"{'b' if side == 'a' else 'a'}2{side}" in model.directions:
            lively(model.translator(side), 0.3)
    kept = {"state_dict": model.state_dict(), "gan_lab": {"format": FORMAT, "model": configuration}}
    model.on_save_checkpoint(kept)
    torch.save(kept, path)
    return path
