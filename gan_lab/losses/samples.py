"""Networks whose output for a sample depends on that sample alone, so that two batches can pass as one."""

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

PER_SAMPLE = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear, nn.Identity, nn.Sequential, nn.ModuleList),
    *(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Flatten, nn.Unflatten),
    *(nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm, nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Upsample),
    *(nn.ReflectionPad2d, nn.ReplicationPad2d, nn.ZeroPad2d, nn.PixelShuffle, nn.PixelUnshuffle),
)
"""Layers of torch.nn that mix no samples and draw no random numbers."""
OWN = tuple(
    f"gan_lab.networks.{name}" for name in ("instance_norm", "mlp", "dcgan", "patchgan", "resnet", "r3gan", "munit")
)
"""Modules of this program whose classes mix samples by nothing but the layers in them."""


def is_per_sample(network: nn.Module) -> bool:
    """Says whether no layer mixes samples, draws random numbers or changes with each pass.

    Spectral norm changes with each pass. A class that is not known here is taken to mix samples.
    """
    return all(
        not is_parametrized(layer) and (type(layer) in PER_SAMPLE or type(layer).__module__ in OWN)
        for layer in network.modules()
    )
