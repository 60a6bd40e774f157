"""Functions that interpolations in conf/ call, such as ``${first:${seed},0}``; importing this module registers them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from gan_lab.cli.config.given_generator import generator_of
from gan_lab.cli.config.hydra_versions import register_resolver
from gan_lab.cli.config.own_data import own, preset
from gan_lab.common.errors import UserError

Size = int | Sequence[int]
"""``data.size``: a side in pixels, or [height, width]."""


def first(*values: Any) -> Any:
    """Returns the first value that is not null."""
    found = next((value for value in values if value is not None), None)
    return OmegaConf.create(found) if isinstance(found, list) else found  # OmegaConf does not wrap it itself


def total(*counts: int) -> int:
    """Returns the sum, such as the latents of a generator that takes noise and codes."""
    return sum(counts)


def default_epochs(images: object, minutes: object, suggested: int | None, paper: int | None) -> int | None:
    """Returns the number of epochs, unless something else limits the run: the suggested one, else the paper's."""
    if images is not None or minutes is not None:
        return None
    return paper if suggested is None else suggested


def file_name(name: str) -> str:
    """Returns a data set's name as a file or folder can have it: those of the hub are called "user/set"."""
    return name.replace("/", "-")


def packed_name(name: str, format: str) -> str:
    """Returns the name of a packed set: of a zip, or of a folder of shards."""
    return f"{file_name(name)}{'.zip' if format == 'edm' else '-shards'}"


# Facts of the data.


def height(size: Size) -> int:
    """Returns the height in pixels."""
    return size if isinstance(size, int) else int(size[0])


def width(size: Size) -> int:
    """Returns the width in pixels."""
    return size if isinstance(size, int) else int(size[1])


def shorter_side(size: Size) -> int:
    """Returns the shorter of height and width."""
    return min(height(size), width(size))


def downsampled(size: Size, times: int, axis: int) -> int:
    """Returns the height (axis 0) or width (axis 1) after halving it so often."""
    return (width(size) if axis else height(size)) >> times


def channels(*domains: Mapping[str, int]) -> int:
    """Returns the channels of these domains as networks get them, stacked; see ``gan_lab.common.domains.Domain``."""
    return sum(_label_channels(domain) or domain["channels"] for domain in domains)


def _label_channels(domain: Mapping[str, int]) -> int:
    labels = domain.get("labels") or 0
    return labels and labels + bool(domain.get("unknown")) + bool(domain.get("instances"))


def num_classes(conditional: bool, classes: int | None) -> int:
    """Returns the number of classes that the networks are conditioned on; 0 for an unconditional model."""
    return (classes or 0) if conditional else 0


def num_attributes(chosen: Sequence[str] | None) -> int:
    """Returns the number of attributes that domains are combinations of, given columns of a table; 0 for classes."""
    return len(chosen) if chosen is not None and len(chosen) > 1 else 0


def num_codes(chosen: Sequence[str] | None, classes: int) -> int:
    """Returns the numbers that a network gets for a domain: one for each attribute, or for each class."""
    return num_attributes(chosen) or classes


def levels(binarize: str | None) -> int:
    """Returns the number of values that a pixel's channel can have."""
    return 2 if binarize else 256


# Networks.


def attention_size(asked: int | str | None, size: Size, part: int = 4) -> int | str | None:
    """Returns the side of maps with self-attention; auto: that of images of 128 px or a smaller side, divided by
    ``part``, but at least 4: SAGAN's 32 px, BigGAN's 64.
    """
    return max(min(shorter_side(size), 128) // part, 4) if asked == "auto" else asked


def stylegan2(
    what: str, config: str | None, size: Size = 256, batch_size: int = 32, given: float | None = None
) -> float:
    """Returns a setting of StyleGAN2: StyleGAN2-ADA's automatic choice if ``config`` is "auto", else the paper's.

    Args:
        what: mapping_layers, lr or ema_half_life (in images).
        config: auto, or null.
        size: of the images.
        batch_size: over all devices.
        given: what is taken in any case, if it is not null.

    Raises:
        UserError: for another configuration.
    """
    if config not in (None, "auto"):
        raise UserError(f"config={config} is not valid: give auto, or null.")
    paper = {"mapping_layers": 8, "lr": 0.0025, "ema_half_life": 10_000}
    rate = 0.002 if shorter_side(size) >= 1024 else 0.0025
    auto = {"mapping_layers": 2, "lr": rate, "ema_half_life": round(batch_size * 10_000 / 32)}
    return (auto if config else paper)[what] if given is None else given


def residual_blocks(size: Size) -> int:
    """Returns the number of residual blocks for images of a size (Zhu et al. 2017, section 7.2)."""
    return 9 if shorter_side(size) >= 256 else 6


def num_downsamplings(size: Size) -> int:
    """Returns how often both sides can be halved, at most 8 times."""
    sides = height(size), width(size)
    return next(times for times in range(8, -1, -1) if not any(side % (1 << times) for side in sides))


def upsamplings(size: Size) -> int:
    """Returns how often SPADE doubles its first maps: 5 times, 6 from 512 px on, or as often as the sides allow."""
    return max(1, min(num_downsamplings(size), 5 + (max(height(size), width(size)) >= 512)))


def halvings(size: Size) -> int:
    """Returns how often pix2pixHD's global generator halves its images, which are half as large: at most 4 times."""
    return max(1, min(num_downsamplings(size) - 1, 4))


DEPTHS = {
    "blocks": residual_blocks,
    "num_downsamplings": num_downsamplings,
    "upsamplings": upsamplings,
    "halvings": halvings,
}
"""The depth of a translating network, which null leaves to the images' size."""


def translator(generator: DictConfig, source: Mapping[str, int], target: Mapping[str, int], size: Size) -> DictConfig:
    """Returns a network of the group ``generator`` from one domain to another, for images of a size."""
    depth = {key: by_size(size) for key, by_size in DEPTHS.items() if key in generator and generator[key] is None}
    ends = {"channels": channels(source), "out_channels": channels(target)}
    facts: dict[str, Any] = {"labels": source.get("labels") or 0, "size": size}
    ends |= {key: value for key, value in facts.items() if key in generator}
    return OmegaConf.create(dict(generator) | depth | ends)


def discriminator_norm(loss_norm: str | None, spectral_norm: object) -> str:
    """Returns the normalisation of DCGAN's discriminator: the loss's choice, else batch norm.

    Under spectral norm it is none, because the learned scale of a batch norm would undo the bound on each layer.
    """
    return loss_norm or ("batch" if spectral_norm is None else "none")


def decoder_channels(channels: int, likelihood: Mapping[str, Any] | None) -> int:
    """Returns the channels of a decoder's output: twice the image's if it also predicts the likelihood's scale."""
    predicts_scale = likelihood is not None and "scale" in likelihood and likelihood["scale"] is None
    return channels * (2 if predicts_scale else 1)


# The machine.


def fused(precision: str) -> bool:
    """Returns whether optimizers use fused kernels, which under float16 would hide unscaled gradients from clipping."""
    return precision != "16-mixed"


# The run.


def is_multirun() -> bool:
    """Returns whether this process runs a job of a sweep."""
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.initialized() and str(HydraConfig.get().mode).endswith("MULTIRUN")


def chosen(group: str) -> str | None:
    """Returns the choice made in a config group, such as recipe; None without one, or without a command line."""
    from hydra.core.hydra_config import HydraConfig

    choice = HydraConfig.get().runtime.choices.get(group) if HydraConfig.initialized() else None
    return None if choice in (None, "null") else str(choice)


def wandb_name(name: str, folder: str | None) -> str:
    """Returns ``$WANDB_NAME``, else the run's name and its folder's, as in reports (``runs.run_title``)."""
    own = Path(folder or name).name
    return os.environ.get("WANDB_NAME") or (own if name in own else f"{name} {own}")


def wandb_group() -> str | None:
    """Returns ``$WANDB_RUN_GROUP``, else the name of the sweep's folder, else the recipe."""
    from hydra.core.hydra_config import HydraConfig

    sweep = Path(HydraConfig.get().sweep.dir).name if is_multirun() else None
    return os.environ.get("WANDB_RUN_GROUP") or sweep or chosen("recipe")


def wandb_tags(method: str, data: str) -> ListConfig | str:
    """Returns ``$WANDB_TAGS``, else the method, the data, and the choices of loss, recipe and sweep, each once."""
    tags = (method, data, *map(chosen, ("loss", "recipe", "sweep")))
    return os.environ.get("WANDB_TAGS") or OmegaConf.create(list(dict.fromkeys(filter(None, tags))))


RESOLVERS = (
    *(first, total, default_epochs, file_name, packed_name),
    *(height, width, shorter_side, downsampled, channels, num_classes, num_attributes, num_codes, levels),
    *(attention_size, stylegan2, translator, discriminator_norm, decoder_channels),
    *(fused, own, preset, generator_of),
    *(wandb_name, wandb_group, wandb_tags),
)
for resolver in RESOLVERS:
    register_resolver(resolver.__name__, resolver)
