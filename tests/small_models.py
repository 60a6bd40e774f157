"""Small untrained models with latents and styles."""

import torch
from torch import nn

from gan_lab.losses.adversarial import NonSaturating
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.latents import Normal
from gan_lab.models.stylegan2 import StyleGAN2
from gan_lab.networks.stylegan2 import Generator


def small_stylegan2(seed: int = 0) -> StyleGAN2:
    """Returns a StyleGAN2 of images of 16 px with 4 latents, 6 numbers in a style and 6 layers."""
    torch.manual_seed(seed)
    generator = Generator(4, 3, 16, 16, base=128, most=16, style=6, mapping_layers=1)
    objective = AdversarialObjective(NonSaturating())
    return StyleGAN2(generator, nn.Linear(1, 1), Normal(4), objective, torch.optim.Adam, torch.optim.Adam).eval()
