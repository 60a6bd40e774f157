"""Cases for the tests of all models: every model with its defaults, every loss and remedy over DCGAN, and combinations
that occur nowhere else.
"""

import atexit
import json
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from gan_lab.cli.config.checks import validate
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.cli.config.paths import home
from gan_lab.common.instantiate import instantiate
from gan_lab.training.checkpoint import AtomicCheckpointIO

COMMON = ["batch_size=4", "logger=none", "callbacks=none", "log_every=1000"]
THIN = {
    "generator": {"filters": 4, "blocks": 2, "upsamplings": 2, "hidden": 4, "halvings": 1, "local_blocks": 1},
    "discriminator": {"filters": 4, "layers": 1},
    "autoencoder": {"filters": 4, "blocks": 1, "style": 4, "width": 8},
}
"""Arguments of translators' groups of parts."""
NARROW_PARTS = {
    "generator": {"base": 4, "most": 4, "style": 8, "mapping_layers": 1},
    "discriminator": {"base": 4},
    "encoder": {"base": 4, "most": 8, "widths": "[16]", "maps": 8, "cells": 1, "dim": 4},
    "decoder": {"groups": 1, "steps": 3, "units": 8},
    "quantizer": {"entries": 8},
    "mapping_network": {"width": 8},
    "network": {"maps": 6, "filters": 4, "layers": 2, "head": 6, "blocks": 2, "growth": 4},
    "prior": {"maps": 6, "layers": 2, "head": 6},
    "frame_discriminator": {"base": 4},
}
"""Arguments of a model's parts, where they have them and are not interpolated from others."""
PLAYERS = ("generator", "discriminator")
ONE_IMAGE = ("image", "damaged")
FORECASTERS = {"kernel": 3, "hidden": 8, "blocks": 2, "kernels": "[3]", "groups": 2}
SMALL = {
    "image": ["data=fake", "data.channels=3", "data.size=16"],
    "frames": ["data=fake_clips", "data.channels=3", "data.size=16", "data.length=4"],
    "unpaired": ["data=fake_unpaired", "data.size=16"],
    "paired": ["data=fake_paired", "data.size=16"],
    "domains": ["data=fake_domains", "data.channels=3", "data.size=16"],
    "damaged": ["data.count=24", "data.test_count=4", "data.size=16"],
}


def names(folder: str) -> list[str]:
    """Returns the choices of a config group."""
    place = home("experiments" if folder in ("recipe", "sweep") else "conf")
    return sorted(path.stem for path in place.glob(f"{folder}/*.yaml"))


CASES = [
    *([f"model={model}"] for model in names("model")),
    *(["model=dcgan", f"loss={loss}"] for loss in names("loss")),
    *(["model=dcgan", f"remedy={remedy}"] for remedy in names("remedy") if remedy != "recompute"),
    ["model=stylegan2", "remedy=recompute"],
    *([f"model={model}", "network=resnet"] for model in ("lsgan", "wgan", "wgan_gp", "dragan")),
    ["model=acgan", "network=r3gan"],
    *([f"model={model}", "network=dcgan"] for model in ("sngan", "r3gan")),
    *([f"model={model}", "conditional=true"] for model in ("sngan", "stylegan2")),
    ["model=dcgan", "model.engine.ema_widths=[0.05,0.1]"],
    ["model=stylegan2", "remedy=ada", "model.augment.ada.p=0.5", "model.augment.ada.images=100"],
    ["model=cyclegan", "generator=unet"],
    ["model=spade", "data.domains.a.labels=3", "generator.norm=instance"],
    ["model=pix2pixhd", "data.domains.a.labels=3", "generator.features=2"],
    *([f"model={model}", "remedy=diffaugment"] for model in ("cyclegan", "cut")),
    *(["model=denoise", f"damage={damage}"] for damage in ("poisson_noise", "salt_and_pepper", "grey")),
    ["model=srresnet", "damage=photographs", "damage.factor=4"],
    *(["model=r3gan", f"loss={loss}"] for loss in ("wgan_gp", "hinge")),
    *(["model=mocogan", f"loss={loss}"] for loss in ("wgan", "wgan_gp")),
    ["model=mocogan", "conditional=true"],
    ["model=vae", "coder=conv", "likelihood=gaussian", "model.free_bits=0.1"],
    ["model=vae", "likelihood=bernoulli", "data.binarize=dynamic"],
    ["model=hvae", "conditional=true"],
    ["model=draw", "conditional=true", "likelihood=gaussian", "model.decoder.write=null"],
    ["model=vqvae", "conditional=true", "model.quantizer.decay=null"],
    *([f"model={model}", "conditional=true", "data.binarize=static"] for model in ("pixelcnn", "pixelrnn")),
]


@cache
def small(*case: str) -> tuple[str, ...]:
    """Returns what makes the case small: few narrow maps, 16 px, and classes for a conditional model."""
    config = compose(case)
    classes = ["data.classes=3"] if config.conditional else []
    return (*SMALL[config.data_kind], *thin(config), *classes)


def thin(config: DictConfig) -> list[str]:
    """Returns what makes networks narrow, and lets what takes time happen within a few iterations."""
    made = (
        given(config)
        + _thin_parts(config)
        + _thin_latents(config)
        + _thin_sequences(config)
        + _thin_translators(config)
        + _thin_domains(config)
    )
    if "freeze" in config.model.get("wrappers", {}).get("discriminator", {}):
        made += ["model.wrappers.discriminator.freeze.stages=1"]
    made += ["burn_in=1"] if "burn_in" in config else []  # so that schedules move at every iteration
    return made + (["model.pool=4"] if "pool" in config.model else [])  # so that the pool fills and returns images


def given(config: DictConfig) -> list[str]:
    """Returns the generator that a model is trained for, if it is trained for one."""
    return [f"generator_from={small_generator()}"] if "generator_from" in config else []


@cache
def small_generator(*case: str) -> Path:
    """Returns a checkpoint of an untrained generator of images of 16 px, by default of a StyleGAN2."""
    folder = Path(tempfile.mkdtemp(prefix="gan_lab-generator-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    configuration = plain([*(case or ("model=stylegan2",))], folder)
    torch.manual_seed(0)
    model = instantiate(configuration["model"])
    model.configuration = {key: configuration[key] for key in ("model", "data")}
    checkpoint = {"state_dict": model.state_dict()}
    model.on_save_checkpoint(checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, folder / "generator.ckpt")
    return folder / "generator.ckpt"


def _thin_parts(config: DictConfig) -> list[str]:
    model = OmegaConf.to_container(config.model)
    assert isinstance(model, dict)
    made = []
    for part, values in NARROW_PARTS.items():
        stated = model.get(part)
        own = {key for key, value in stated.items() if not _refers(value, part)} if isinstance(stated, dict) else set()
        made += [f"model.{part}.{key}={value}" for key, value in values.items() if key in own]
    wider = {"r3gan": ["model.generator.widths=16"], "stylegan2": [f"model.{part}.base=16" for part in PLAYERS]}
    # Normalising vectors of very few maps, which may be near 0, would magnify rounding.
    sizes = ["model.generator.base=256", "model.generator.most=16"]
    wider["progressive"] = [*sizes, "model.growth.until=0.666", "model.growth.fading=1"]
    heads = {"features.taps": "[0,1,2,3]", "inputs": "[16,24,40,80]", "mixed": "2", "maps": "4"}
    wider["projected"] = [
        "model.generator.base=4",
        *(f"model.discriminator.{key}={each}" for key, each in heads.items()),
    ]
    return made + wider.get(config.get("network") or config.method, [])


def _refers(value: Any, part: str) -> bool:
    """Returns whether a value is an interpolation of another part's argument."""
    others = "|".join(name for name in NARROW_PARTS if name != part)
    return bool(re.search(rf"\$\{{model\.({others})\.", str(value)))


def _thin_latents(config: DictConfig) -> list[str]:
    dims = {"mlp": "prior.dim=3", "conv": "prior.dim=3", "draw": "decoder.dim=2", "ladder": "decoder.dim=2"}
    made = [f"model.{dims[config.coder]}"] if "coder" in config else []
    if "discriminator" not in config or config.data_kind not in ONE_IMAGE:
        return made
    layers = ["discriminator.layers=1"] if config.data_kind == "damaged" and "layers" in config.discriminator else []
    return [*made, "discriminator.filters=4", *layers]


def _thin_translators(config: DictConfig) -> list[str]:
    if config.data_kind not in ("unpaired", "paired"):
        return []
    made = ["model.engine.ema_half_life=10"]
    for part, values in THIN.items():
        made += [f"{part}.{key}={value}" for key, value in values.items() if key in (config.get(part) or {})]
    made += ["model.enhance_begin=0.5", "model.fixed=0"] if "enhance_begin" in config.model else []
    made += ["generator.style=3"] if config.method == "gaugan" else []
    contrasts = ["model.layers=[0,4,8,10]", "model.patches=16", "model.dim=8"]
    return made + (contrasts if "patches" in config.model else [])


def _thin_domains(config: DictConfig) -> list[str]:
    if config.data_kind != "domains":
        return []
    sizes = {"generator": ("filters=4", "blocks=2"), "discriminator": ("filters=4", "layers=2")}
    made = [
        f"model.{part}.{size}" for part in sizes for size in sizes[part] if size.split("=")[0] in config.model[part]
    ]
    return ["model.engine.ema_half_life=10", *made]


def _thin_sequences(config: DictConfig) -> list[str]:
    if config.data_kind != "frames":
        return []
    network = config.model.get("network") or {}
    made = [f"model.network.{key}={value}" for key, value in FORECASTERS.items() if key in network]
    made += ["model.context_frames=2"] if "context_frames" in config.model else []
    return made + (["model.generator.frame.base=4"] if "frame_discriminator" in config.model else [])


NARROW = {"model=gan": ["model.generator.widths=[8]", "model.discriminator.widths=[8]"]}
"""Overrides that make a case even narrower if its weights are kept, as in ``tests/old_checkpoints``."""

PLACE = "/nowhere/run"
"""Placeholder for a run's folder."""


@cache
def described(*overrides: str) -> str:
    """Returns a validated configuration as JSON.

    Composing takes longer than training, so each configuration is composed once. It is kept as a string, because the
    thousands of nodes of each would slow down the garbage collector in all later tests.
    """
    config = compose([*overrides, f"run_dir={PLACE}"])
    validate(config)
    return json.dumps(resolve(config))


def plain(case: list[str], folder: Path | str, *more: str) -> dict:
    """Returns the case's configuration for small random images on the CPU, as plain containers."""
    found = described(*case, *small(*case), *COMMON, "trainer=cpu", "runs=/nowhere", *more)
    return json.loads(found.replace(PLACE, str(folder)))


def limited(images: int) -> list[str]:
    """Returns overrides that end a run after some images."""
    return [f"budget.images={images}", "budget.epochs=null", "budget.minutes=null"]
