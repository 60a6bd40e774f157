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

import numpy as np
import torch
from cases import CASES, limited, plain
from PIL import Image
from torch import nn

from gan_lab.common.instantiate import instantiate
from gan_lab.losses.adversarial import NonSaturating, Relativistic
from gan_lab.losses.likelihoods import Gaussian
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.losses.penalties import DRAGAN, R1, R2, Consistency, GradientPenalty, LeCam
from gan_lab.models.adain import AdaIN
from gan_lab.models.bases.gan import GANModule
from gan_lab.models.bases.latents import Normal
from gan_lab.models.bases.matching import MatchingTranslation
from gan_lab.models.fast_style import FastStyle
from gan_lab.models.forecasting import Forecaster
from gan_lab.models.iwae import IWAE
from gan_lab.models.mocogan import MoCoGAN
from gan_lab.models.pix2pixhd import Pix2PixHD
from gan_lab.models.progressive import Progressive
from gan_lab.models.spade import GauGAN
from gan_lab.models.stargan import StarGAN
from gan_lab.models.starganv2 import StarGANv2
from gan_lab.models.stylegan2 import StyleGAN2
from gan_lab.models.vae import VAE
from gan_lab.models.vqvae import VQVAE
from gan_lab.networks import pix2pixhd, progressive, spade, stargan, starganv2, stylegan2, vqvae
from gan_lab.networks.adain import Decoder
from gan_lab.networks.forecasting import ConvLSTM
from gan_lab.networks.mocogan import Generator
from gan_lab.networks.patchgan import MultiscaleDiscriminator
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


def of_label_maps(in_styles: bool) -> MatchingTranslation:
    """Returns a model of images of label maps: SPADE with styles, or pix2pixHD with features of objects."""
    domains = {"a": {"labels": 3, "instances": True}, "b": {}}
    discriminator = MultiscaleDiscriminator(4 + 3, 4, 1)
    sgd, objective = partial(torch.optim.SGD, lr=1e-3), AdversarialObjective(NonSaturating())
    shared = discriminator, domains, objective, sgd, sgd
    more = {"features": partial(RandomFilters, 4, 2, 3), "engine": ENGINE}
    if in_styles:
        generator = spade.Generator(4, 3, 4, 2, hidden=4, norm="instance", style=3, size=16)
        return GauGAN(generator, *shared, **more)
    generator = pix2pixhd.Generator(4, 3, 4, 1, 1, local_blocks=1, features=2, labels=3)
    return Pix2PixHD(generator, *shared, enhance_begin=0.5, fixed=0.0, **more)


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
    "label maps in styles": partial(of_label_maps, True),
    "features of objects": partial(of_label_maps, False),
}
"""Models whose training must not depend on the number of processes, by name."""

DATA_OF = {
    **dict.fromkeys(("scheduled sampling", "clips"), "convlstm"),
    **dict.fromkeys(("one style", "any style"), "fast_style"),
    **dict.fromkeys(("many domains", "targets"), "starganv2"),
    **dict.fromkeys(("label maps in styles", "features of objects"), "spade"),
}
"""The model that has the data on which a model of ``EXACT`` is trained, where it is not DCGAN."""


def main(folder: str, devices: int) -> None:
    torch.set_num_threads(1)
    trainers = ["trainer=cpu"] if devices == 1 else ["trainer=ddp_cpu"]
    for name, configuration in cases(Path(folder), trainers).items() if devices > 1 else ():
        fit(configuration, None, Path(folder), name, devices)
    whole = [*limited(BATCH * ITERATIONS), *trainers, "precision=32-true"]
    more = {"spade": ["data=labelled", "data.size=16", "data.domains.a.labels=3", *label_maps(Path(folder))]}
    models = {"dcgan", *DATA_OF.values()}
    configurations = {model: plain([f"model={model}"], folder, *whole, *more.get(model, [])) for model in models}
    for name, made in EXACT.items():
        torch.manual_seed(0)
        fit(configurations[DATA_OF.get(name, "dcgan")], made(), Path(folder), f"exact {name}", devices)


def write_label_maps(folder: Path) -> None:
    """Writes 24 label maps, maps of objects and images of random pixels."""
    random = np.random.default_rng(0)
    for kind, ids, channels in (("labels", 3, 1), ("instances", 4, 1), ("images", 256, 3)):
        (folder / kind).mkdir()
        for number in range(24):
            pixels = random.integers(0, ids, (16, 16, channels), dtype=np.uint8)
            Image.fromarray(pixels.squeeze()).save(folder / kind / f"{number}.png")


def label_maps(folder: Path) -> list[str]:
    """Returns the keys of what ``write_label_maps`` wrote."""
    return [f"data.{kind}_folder={folder / kind}" for kind in ("labels", "instances", "images")]


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
