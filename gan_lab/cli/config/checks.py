"""Configurations: what they may say, what only this machine knows, and what is refused before anything is built."""

import inspect
import re
from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from gan_lab.cli.config.paths import choices
from gan_lab.cli.config.resolvers import side
from gan_lab.common.device import auto_precision
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import resolve_target as find
from gan_lab.common.launch import launched_devices_and_nodes, process_count

REFUSED = {
    "max_steps": "Lightning's steps count every optimizer's: give budget.images, budget.epochs or budget.minutes",
    "max_epochs": "the length of a run is its budget: give budget.epochs",
    "gradient_clip_val": "Lightning cannot clip under manual optimisation: give model.engine.clip",
    "accumulate_grad_batches": "Lightning cannot accumulate under manual optimisation: give model.engine.micro_batches",
}
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
KINDS = {
    "image": "pictures of one kind",
    "frames": "sequences of pictures",
    "unpaired": "two domains of unpaired pictures",
    "paired": "pairs of pictures",
}
FITTING = {
    "image": "digits",
    "frames": "moving_digits",
    "unpaired": "plain2striped",
    "paired": "plain2striped_paired",
}
"""Sets that need no download."""


def settle(config: DictConfig) -> None:
    """Gives the configuration what only this machine knows, and refuses what cannot work.

    Raises:
        UserError: in one sentence, naming the key that would work.
    """
    for key, reason in REFUSED.items():
        if config.trainer.get(key) is not None:
            raise UserError(f"trainer.{key} does not serve here: {reason}.")
    _check_numbers(config)
    _join_those_started(config)
    if process_count(config.trainer) > 1 and config.trainer.get("strategy") == "auto":
        config.trainer.strategy = "ddp_find_unused_parameters_true"  # each phase leaves the others' parameters unused
    if config.trainer.get("sync_batchnorm") and not (torch.cuda.is_available() and config.trainer.accelerator != "cpu"):
        raise UserError("trainer.sync_batchnorm=true needs GPUs, for torch synchronises no batch norm on the CPU.")
    _check_data(config)
    _check_remedies(config)
    _check_likelihood(config)
    if config.precision not in PRECISIONS:
        raise UserError(f"precision={config.precision} does not serve: give one of {', '.join(PRECISIONS)}.")
    if config.precision == "auto":
        config.precision = auto_precision(str(config.trainer.get("accelerator")))


def _check_numbers(config: DictConfig) -> None:
    """Raises UserError where a word stands for a number, before anything computes with it."""
    for key, least in (("batch_size", 1), ("log_every", 1), ("seed", 0)):
        if type(config[key]) is not int or config[key] < least:
            raise UserError(f"{key}={config[key]} does not serve: give a whole number from {least} up.")
    size = config.data.get("size")
    sides = [*size] if OmegaConf.is_list(size) else [size]
    if size is not None and (len(sides) > 2 or any(type(side) is not int or side < 1 for side in sides)):
        raise UserError(f"data.size={size} does not serve: give a number such as 64, or [height,width].")
    devices = config.trainer.get("devices")
    if isinstance(devices, str) and not re.fullmatch(r"auto|-?\d+(,\d+)*,?", devices):
        raise UserError(f"trainer.devices={devices} does not serve: give auto, a number, or a list such as [0,2].")


def _join_those_started(config: DictConfig) -> None:
    """Of processes that torchrun or SLURM started each is one of the run's: a configuration for one takes them all.

    Raises:
        UserError: if it is for another number of several.
    """
    started = launched_devices_and_nodes()
    if started is None or process_count(config.trainer) == started[0] * started[1]:
        return
    if process_count(config.trainer) > 1:
        raise UserError(
            f"{started[0]} × {started[1]} processes were started, and trainer.devices={config.trainer.devices} with "
            f"trainer.num_nodes={config.trainer.num_nodes} asks for {process_count(config.trainer)}: leave both away."
        )
    config.trainer.devices, config.trainer.num_nodes = started


def _check_data(config: DictConfig) -> None:
    """Raises UserError for a model and data that do not go together."""
    given = {None: "image", False: "unpaired", True: "paired"}[config.data.get("paired")]
    given = "frames" if "length" in config.data else given
    if config.data_kind != given:
        raise UserError(
            f"model={config.method} learns from {KINDS[config.data_kind]}, and data={config.data.name} has {KINDS[given]}: "
            f"choose such as data={FITTING[config.data_kind]}."
        )

    length, shown = config.data.get("length"), config.model.get("context_frames")
    if type(length) is int and type(shown) is int and length <= shown:
        raise UserError(
            f"data.length={length} leaves no frames to forecast after model.context_frames={shown}: data.length={shown + 1} and "
            "more works."
        )
    if config.conditional and not config.data.get("classes"):
        raise UserError(
            f"model={config.method} is told the classes of pictures, and data={config.data.name} states none: choose "
            "such as data=mnist, or give data.classes=… where pictures lie in class folders."
        )
    if config.data_kind != "image" and config.get("generator"):
        _check_size(config, side(config.data.size, 0) or 0, side(config.data.size, 1) or 0)


def _check_likelihood(config: DictConfig) -> None:
    """Raises UserError for a likelihood of other pictures than the data's, and for a loss, a likelihood or a coder that
    the model has no place for, or lacks.
    """
    if config.get("loss") is not None and "objective" not in config.model:
        raise UserError(f"model={config.method} has no discriminator that a loss= could train: leave loss= out.")
    uses = OmegaConf.to_container(config.model)
    assert isinstance(uses, dict)
    for group, key, value in (("likelihood", "likelihood", "${likelihood}"), ("coder", "encoder", "${coder.encoder}")):
        if config.get(group) is not None and uses.get(key) != value:
            raise UserError(f"model={config.method} has no use for {group}=: leave it away.")
        if config.get(group) is None and uses.get(key) == value:
            raise UserError(f"model={config.method} needs a {group}: give one of {', '.join(choices(group))}.")
    if config.get("coder") is not None and "latent" not in config.coder and uses.get("prior") is not None:
        family = {"hierarchical_vae": "ladder"}.get(name := config.coder.decoder._target_.split(".")[-2], name)
        raise UserError(
            f"coder={family} goes with model={'hvae' if family == 'ladder' else family}: give coder=mlp or conv."
        )
    if config.get("likelihood") is None or config.data.get("binarize") not in (None, "static", "dynamic"):
        return
    two, bernoulli = bool(config.data.get("binarize")), "Bernoulli" in config.likelihood.get("_target_", "")
    if bernoulli and not two:
        raise UserError(
            "likelihood=bernoulli is of two-coloured pictures: add data.binarize=static or dynamic, or choose "
            "likelihood=logistic."
        )
    if two and not bernoulli:
        raise UserError("Two-coloured pictures have a likelihood of their own: add likelihood=bernoulli.")


def _check_remedies(config: DictConfig) -> None:
    """Raises UserError for remedies that the model or the loss has no place for."""
    penalties = (config.get("loss") or {}).get("penalties") or {}
    foreign = [key for key in ("augment", "wrappers", "replay_pool") if key in config.model]
    if "clip_discriminator" in config.model and set(config.model.get("augment") or ()) <= {"noise"}:
        foreign = [key for key in foreign if key != "augment"]  # noise suits clips as it suits pictures
    foreign += [key for key in ("lecam", "consistency") if penalties.get(key)]
    if config.data_kind == "image" and "generator" not in config.model:
        foreign += [key for key in ("g_optimizer",) if key in config.model]
        if foreign:
            raise UserError(f"model={config.method} has no {foreign[0]}: that remedy goes with GANs.")
    if config.data_kind != "image" and foreign:
        raise UserError(
            f"model={config.method} has no {foreign[0]}: of the remedies, clip, ttur and label_smoothing go with "
            "models that translate."
        )
    if (side(config.data.size, 0), side(config.data.size, 1)) == (1, 1):
        for key in ("model.augment.diff", "loss.penalties.consistency"):
            if OmegaConf.select(config, key):
                raise UserError(f"Points have no pixels to shift or to cut out: give {key}=null.")
    objective = (config.get("loss") or {}).get("adversarial") or {}
    if "smooth" in objective and "smooth" not in inspect.signature(find(objective["_target_"])).parameters:
        raise UserError(
            f"{objective['_target_'].rpartition('.')[2]} has no target to smooth: remedy=label_smoothing goes with "
            "loss=minimax, nonsaturating, lsgan, r1 or dragan."
        )


def _check_size(config: DictConfig, height: int, width: int) -> None:
    """Raises UserError for pictures that the generators or discriminators cannot take."""
    layers, varying = config.discriminator.layers, ("scale_width", "scale_shortside", "none")
    if "num_downsamplings" not in config.generator and (height % 4 or width % 4):
        raise UserError(f"data.size={config.data.size} does not serve generator=resnet: give multiples of 4.")
    if "num_downsamplings" in config.generator and config.data.get("preprocess") in varying:
        raise UserError(
            f"generator=unet takes pictures of one size, which data.preprocess={config.data.preprocess} does not give: "
            "choose generator=resnet, or data.preprocess=resize_and_crop."
        )
    if min(height, width) >> layers < 3:
        raise UserError(
            f"A discriminator with discriminator.layers={layers} needs pictures of {3 << layers} px and more, not "
            f"{height}×{width}: give fewer layers, or a larger data.size."
        )


def check_sampling(plain: Mapping[str, Any], *counts: str) -> None:
    """Raises UserError unless these keys hold whole numbers from 1 up, and ``seed`` and ``truncation`` can serve."""
    for key in counts:
        if type(plain[key]) is not int or plain[key] < 1:
            raise UserError(f"{key}={plain[key]} does not serve: give a whole number from 1 up.")
    if type(plain["seed"]) is not int:
        raise UserError(f"seed={plain['seed']} does not serve: give a whole number.")
    if "fps" in plain and (type(plain["fps"]) not in (int, float) or plain["fps"] <= 0):
        raise UserError(f"fps={plain['fps']} does not serve: give a number above 0.")
    for key in ("grid", "single"):
        if type(plain.get(key, True)) is not bool:
            raise UserError(f"{key}={plain[key]} does not serve: give true or false.")
    if type(plain["truncation"]) not in (int, float) or not 0 < plain["truncation"] <= 1:
        raise UserError(f"truncation={plain['truncation']} does not serve: give a number above 0 and up to 1.")
