"""Trains every model for three iterations, as one of two processes, and saves its state; or alone, those models whose
state must be the same.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from cases import CASES, limited, plain
from torch import nn

from gan_lab.common.instantiate import instantiate
from gan_lab.losses.adversarial import NonSaturating, Relativistic
from gan_lab.losses.likelihoods import Gaussian
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.losses.penalties import DRAGAN, R1, R2, Consistency, GradientPenalty, LeCam
from gan_lab.models.adain import AdaIN
from gan_lab.models.bases.gan import GANModule
from gan_lab.models.bases.latents import Normal
from gan_lab.models.fast_style import FastStyle
from gan_lab.models.forecasting import Forecaster
from gan_lab.models.iwae import IWAE
from gan_lab.models.mocogan import MoCoGAN
from gan_lab.models.progressive import Progressive
from gan_lab.models.stargan import StarGAN
from gan_lab.models.starganv2 import StarGANv2
from gan_lab.models.stylegan2 import StyleGAN2
from gan_lab.models.vae import VAE
from gan_lab.models.vqvae import VQVAE
from gan_lab.networks import progressive, stargan, starganv2, stylegan2, vqvae
from gan_lab.networks.adain import Decoder
from gan_lab.networks.forecasting import ConvLSTM
from gan_lab.networks.mocogan import Generator
from gan_lab.networks.pixelcnn import PixelCNN
from gan_lab.networks.quantizer import Quantizer
from gan_lab.networks.random_filters import RandomFilters
from gan_lab.networks.vae import MLPDecoder, MLPEncoder
from gan_lab.training.ada import ADA
from gan_lab.training.alternating import AlternatingModule
from gan_lab.training.augment import DiffAugment, InstanceNoise, Mirror
from gan_lab.training.budget import Budget
from gan_lab.training.growth import Growth
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.options import EngineOptions
from gan_lab.training.run_config import RunConfig
from gan_lab.training.trainer import make_trainer

BATCH, ITERATIONS, LENGTH = 4, 3, 4
ENGINE = EngineOptions(Budget(images=BATCH * ITERATIONS))


def free_of_batch_statistics(parts: dict) -> GANModule:
    """Returns a GAN that must train on its two half-batches exactly as on the whole batch."""
    generator = nn.Sequential(
        nn.Linear(5, 32), nn.Tanh(), nn.Linear(32, 3 * 16 * 16), nn.Tanh(), nn.Unflatten(1, (3, 16, 16))
    )
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 32), nn.Tanh(), nn.Linear(32, 1))
    sgd, objective = partial(torch.optim.SGD, lr=0.1), AdversarialObjective(Relativistic(), parts.get("penalties"))
    more = {name: part for name, part in parts.items() if name != "penalties"}
    return GANModule(generator, discriminator, Normal(5), objective, sgd, sgd, **more, engine=ENGINE)


PENALTIES = [R1(1.0), R2(1.0), GradientPenalty(1.0), DRAGAN(1.0), LeCam(), Consistency(Mirror())]
GANS = {
    **{type(penalty).__name__: {"penalties": {"penalty": penalty}} for penalty in PENALTIES},
    "ada": {"augment": {"ada": ADA("bgcfnk", p=0.5, images=50, interval=2)}},
    "augment": {"augment": {"diff": DiffAugment(probability=0.7), "noise": InstanceNoise()}},
    "replay": {"replay_pool": ImagePool(3)},
}


def stylegan() -> StyleGAN2:
    """Returns a StyleGAN2, whose path lengths follow the mean over all processes."""
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 1))
    sgd, objective = partial(torch.optim.SGD, lr=0.01), AdversarialObjective(NonSaturating())
    generator = stylegan2.Generator(4, 3, 16, 16, base=32, most=4, style=4, mapping_layers=1)
    lengths = {"path_length_interval": 1, "path_length_share": 1}
    return StyleGAN2(generator, discriminator, Normal(4), objective, sgd, sgd, **lengths, engine=ENGINE)


def growing() -> Progressive:
    """Returns a GAN that grows, on parts of its batches from 8 px on; its groups of one image are the same for all."""
    generator = progressive.Generator(4, 3, 16, 16, base=32, most=4)
    discriminator = progressive.Discriminator(3, 16, 16, base=32, most=4, group=1)
    sgd, growth = partial(torch.optim.SGD, lr=0.01), Growth(images=8, fading=0.75)
    objective = AdversarialObjective(NonSaturating(), {"penalty": GradientPenalty(1.0)})
    networks = generator, discriminator, Normal(4)
    return Progressive(*networks, objective, sgd, sgd, growth, {"8": 2}, engine=ENGINE)


def autoencoder(method: type[VAE] = VAE, **how: float) -> VAE:
    """Returns a VAE; free bits depend on the KL divergences of the whole batch."""
    coders = MLPEncoder(8, 3, 16, 16, [8]), MLPDecoder(4, 3, 16, 16, [8])
    sgd = partial(torch.optim.SGD, lr=1e-6)
    networks = {"encoder": coders[0], "decoder": coders[1], "likelihood": Gaussian(1.0), "optimizer": sgd}
    return method(**networks, **how, prior=Normal(4), engine=ENGINE)


def codebook() -> VQVAE:
    """Returns a VQ-VAE whose unused entries restart at vectors of the whole batch, and whose prior is trained next."""
    coders = vqvae.Encoder(3, 16, 16, dim=4, maps=8), vqvae.Decoder(3, dim=4, maps=8)
    prior = PixelCNN(1, 4, 4, levels=8, maps=4, layers=2, head=4, embed=2)
    sgd = partial(torch.optim.SGD, lr=0.01)
    return VQVAE(*coders, Quantizer(8, 4, restart=0.9), prior, (4, 4), sgd, sgd, prior_begin=0.5, engine=ENGINE)


def forecaster() -> Forecaster:
    """Returns a forecaster with scheduled sampling."""
    network, sgd = ConvLSTM(3, 16, 16, patch=4, maps=4, layers=1, kernel=3), partial(torch.optim.SGD, lr=1.0)
    return Forecaster(network, 2, sgd, teacher_forcing=0.5, engine=ENGINE)


def mocogan() -> MoCoGAN:
    """Returns a MoCoGAN, whose frame discriminator sees random frames."""
    frame = nn.Sequential(nn.Linear(5, 3 * 16 * 16), nn.Tanh(), nn.Unflatten(1, (3, 16, 16)))
    discriminators = [nn.Sequential(nn.Flatten(), nn.Linear(frames * 3 * 16 * 16, 1)) for frames in (1, LENGTH)]
    sgd, objective = partial(torch.optim.SGD, lr=0.1), AdversarialObjective(NonSaturating())
    return MoCoGAN(Generator(frame, 2), *discriminators, 3, 2, objective, sgd, sgd, engine=ENGINE)


def stylist(any_style: bool) -> AlternatingModule:
    """Returns a model of styles whose losses are relative to each photograph and picture."""
    filters, sgd = RandomFilters(4, 2, 3), partial(torch.optim.SGD, lr=1e-3)
    if any_style:
        return AdaIN(filters, None, Decoder([4, 4], 4), sgd, engine=ENGINE)
    return FastStyle(nn.Conv2d(3, 3, 3, padding=1), lambda: filters, sgd, engine=ENGINE)


def among_domains() -> StarGANv2:
    """Returns a StarGAN v2, whose phases share optimizers."""
    size, domains = (3, 16, 16), 3
    networks = starganv2.Generator(*size, style=4, base=64, most=8), starganv2.MappingNetwork(4, domains, 4, width=8)
    encoder = starganv2.StyleEncoder(*size, domains, style=4, base=64, most=8)
    discriminator = starganv2.Discriminator(*size, domains, base=64, most=8)
    sgd, objective = partial(torch.optim.SGD, lr=1e-3), AdversarialObjective(NonSaturating(), {"penalty": R1(1.0)})
    return StarGANv2(*networks, encoder, discriminator, Normal(4), domains, objective, sgd, sgd, 1e-3, engine=ENGINE)


def in_random_order() -> StarGAN:
    """Returns a StarGAN, whose targets are the classes of the whole batch in random order."""
    networks = stargan.Generator(3, 3, 4, 1), stargan.Discriminator(3, 16, 16, 3, 4, 2)
    sgd, objective = partial(torch.optim.SGD, lr=1e-3), AdversarialObjective(NonSaturating(), {"penalty": R1(1.0)})
    return StarGAN(*networks, 3, objective, sgd, sgd, engine=ENGINE)


EXACT: dict[str, Callable[[], AlternatingModule]] = {
    **{name: partial(free_of_batch_statistics, parts) for name, parts in GANS.items()},
    "styles": stylegan,
    "growth": growing,
    "free bits": partial(autoencoder, free_bits=0.02),
    "importance weights": partial(autoencoder, IWAE, samples=3),
    "codebook": codebook,
    "scheduled sampling": forecaster,
    "clips": mocogan,
    "one style": partial(stylist, False),
    "any style": partial(stylist, True),
    "many domains": among_domains,
    "targets": in_random_order,
}
"""Models whose training must not depend on the number of processes, by name."""

OF_CLIPS = {"scheduled sampling", "clips"}
"""Models of ``EXACT`` that are trained on clips."""

OF_DOMAINS = {"one style", "any style"}
"""Models of ``EXACT`` that are trained on two domains."""


AMONG_DOMAINS = {"many domains", "targets"}
"""Models of ``EXACT`` that are trained on many domains."""


def main(folder: str, devices: int) -> None:
    torch.set_num_threads(1)
    trainers = ["trainer=cpu"] if devices == 1 else ["trainer=ddp_cpu"]
    for name, configuration in cases(Path(folder), trainers).items() if devices > 1 else ():
        fit(configuration, None, Path(folder), name, devices)
    whole = [*limited(BATCH * ITERATIONS), *trainers, "precision=32-true"]
    data = {"dcgan": set(EXACT), "convlstm": OF_CLIPS, "fast_style": OF_DOMAINS, "starganv2": AMONG_DOMAINS}
    configurations = {name: plain([f"model={model}"], folder, *whole) for model in data for name in data[model]}
    for name, made in EXACT.items():
        torch.manual_seed(0)
        configuration = configurations[name]
        fit(configuration, made(), Path(folder), f"exact {name}", devices)


def cases(folder: Path, trainers: list[str]) -> dict[str, dict]:
    """Returns the configurations of all cases by name; rank 0 composes them for both ranks."""
    shared, beside = folder / "cases.json", folder / "cases.json.part"
    if os.environ["RANK"] == "0":
        found = {}
        for case in CASES:
            both_move = ["loss.n_critic=2"] if "wgan" in " ".join(case) else []
            found[" ".join(case)] = plain(case, folder, *limited(BATCH * ITERATIONS), *trainers, *both_move)
        beside.write_text(json.dumps(found))
        beside.replace(shared)
    while not shared.exists():
        time.sleep(0.1)
    return json.loads(shared.read_text())


def fit(configuration: dict, module: AlternatingModule | None, folder: Path, name: str, devices: int) -> None:
    torch.manual_seed(0)
    trainer, _ = make_trainer(RunConfig.of(configuration))
    module = module or instantiate(configuration["model"])
    trainer.fit(module, datamodule=instantiate(configuration["data"]))
    state = {key: value.clone() for key, value in module.state_dict().items()}
    for key, memory in module.extra_state().items():
        values = next(iter(memory.state_dict().values()))  # a list of images, anchors, or a probability
        state[key] = torch.tensor(values) if isinstance(values, float) else torch.stack([*values])
    torch.save(state, folder / f"{devices}-{trainer.global_rank}-{name}.pt")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
