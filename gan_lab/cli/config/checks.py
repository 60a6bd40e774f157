"""Checks of a training run's configuration, before anything is read or built.

Checks here are general: numbers, devices, precision, groups, the kind of data. What a single part requires is stated
by its class (``gan_lab.common.constraints``), by its constructor, or in its YAML file (``groups``, ``needs``).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf

from gan_lab.cli.config.compose import resolve_part
from gan_lab.cli.config.found_data import PRESETS, use_found_label_maps, without_messages
from gan_lab.cli.config.mistakes import first_line
from gan_lab.cli.config.parts import check_all, check_class, check_parts
from gan_lab.cli.config.paths import choices
from gan_lab.cli.config.refused import REFUSED
from gan_lab.cli.config.resuming import targets
from gan_lab.common.device import auto_precision
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.common.launch import launched_devices_and_nodes, process_count
from gan_lab.evaluation.kinds import kind_named, kind_of_config
from gan_lab.training.trainer import without_remarks

TRAINER = "lightning.pytorch.Trainer"
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
GROUPS = ("loss", "network", "coder", "likelihood", "generator", "encoder")
"""Groups of parts, which a model uses if its ``groups`` name them."""


def _check_name(name: Any) -> None:
    """Checks that a run's name leads to no folder outside that of the runs.

    Raises:
        UserError: if it does.
    """
    if ".." in PurePath(str(name)).parts or PurePath(str(name)).is_absolute():
        raise UserError(f"name={name} is not valid: give a name without .., or the run's own folder as run_dir=….")


def for_machine(config: DictConfig) -> None:
    """Fills in the values that depend on the machine, after checking the numbers that interpolations compute with.

    Args:
        config: the composed configuration; its ``precision``, ``trainer.devices``, ``trainer.num_nodes`` and
            ``trainer.strategy`` may change.

    Raises:
        UserError: in one sentence, naming the key that would work.
    """
    _check_numbers({key: config[key] for key in ("batch_size", "log_every", "seed")}, config.data.get("size"))
    _check_name(config.get("name"))
    _check_numbers({"data.workers": config.data.get("workers", 0)}, 1)
    check_all(resolve_part(config, "trainer"), "trainer")
    for key, value in _for_machine(resolve_part(config, "trainer")).items():
        config.trainer[key] = value
    config.precision = _precision(config.precision, config.trainer.get("accelerator"))


def validate(config: DictConfig) -> None:
    """Fills in what the machine decides, counts the classes of the user's own images, and refuses what cannot work.

    Args:
        config: the composed configuration; see ``for_machine`` and ``count_classes`` for what may change.

    Raises:
        UserError: in one sentence, naming the key that would work.
    """
    for_machine(config)
    present = {group for group in GROUPS if config.get(group) is not None}
    _check_groups(config.method, present, set(config.groups))
    count_classes(config)
    data = resolve_part(config, "data")
    check_class("data", data, LightningDataModule)
    check_all(data, "data")
    _check_data(config.method, config.data_kind, config.conditional, data)
    check_class("model", resolve_part(config, "model"), LightningModule)
    check_parts(config.method, resolve_part(config, "model"), data, resolve_part(config, "needs"))


def check_tools(config: DictConfig) -> None:
    """Checks what watches and drives a run: callbacks, loggers and the trainer.

    Args:
        config: the composed configuration, in which ``run_dir`` is set.

    Raises:
        UserError: in one sentence, naming the key.
    """
    for key, base in (("callbacks", Callback), ("logger", Logger)):
        nodes = resolve_part(config, key) if config.get(key) is not None else {}
        check_all(nodes, key)
        for name, node in nodes.items():
            check_class(f"{key}.{name}", node, base)
    _check_early_stop(config.get("early_stop"), resolve_part(config, "callbacks") if config.get("callbacks") else {})
    _check_trainer(resolve_part(config, "trainer"))


def _check_early_stop(measurements: int | None, callbacks: Mapping[str, Any]) -> None:
    """Refuses early_stop without the callbacks that it asks.

    Raises:
        UserError: naming the key.
    """
    if measurements is None:
        return
    for name in ("early_stop", "fidelity", "checkpoint"):
        if not callbacks.get(name):
            raise UserError(
                f"early_stop={measurements} needs callbacks.{name}, which is left out: leave early_stop out."
            )
    if not callbacks["fidelity"].get("every") or not callbacks["fidelity"].get("quick"):
        raise UserError(
            f"early_stop={measurements} follows a metric that is measured during training, where nothing is: give "
            "callbacks.fidelity.every a number of images and metrics@quick=quick, or leave early_stop out."
        )


def _check_trainer(node: Mapping[str, Any]) -> None:
    """Tries whether a trainer can be made.

    Raises:
        UserError: with Lightning's reason.
    """
    if {*targets(node)} != {TRAINER}:  # a run that is resumed may name another, which is checked later
        return
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary", "use_distributed_sampler")
    try:
        with without_remarks():
            instantiate({**node, **dict.fromkeys(quiet, False)})
    except (UserError, ImportError, RuntimeError, MisconfigurationException) as error:
        cause = error.__cause__ or error
        raise UserError(f"The trainer cannot be made: {first_line(str(cause)).rstrip('!')}.") from error


def _check_numbers(counts: Mapping[str, Any], size: Any) -> None:
    """Checks numbers that interpolations compute with.

    Raises:
        UserError: for a value that is not a number, or is out of range.
    """
    for key, value in counts.items():
        least = 0 if key in ("seed", "data.workers") else 1
        if type(value) is not int or value < least:
            raise UserError(f"{key}={value} is not valid: give an integer of at least {least}.")
    sides = size if isinstance(size, Sequence) and not isinstance(size, str) else [size]
    if len(sides) > 2 or any(type(side) is not int or side < 1 for side in sides):
        raise UserError(f"data.size={size} is not valid: give a side in pixels, such as 64, or [height,width].")


def _for_machine(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the trainer's arguments that the launcher, or the number of processes, decides.

    Raises:
        UserError: for arguments that do not work here.
    """
    for key, reason in REFUSED.items():
        if trainer.get(key) is not None:
            raise UserError(f"trainer.{key} is not supported: {reason}.")
    devices = trainer.get("devices")
    if isinstance(devices, str) and not re.fullmatch(r"auto|-?\d+(,\d+)*,?", devices):
        raise UserError(f"trainer.devices={devices} is not valid: give auto, a number, or a list such as [0,2].")
    if trainer.get("sync_batchnorm") and (trainer.get("accelerator") == "cpu" or not torch.cuda.is_available()):
        raise UserError("trainer.sync_batchnorm=true needs GPUs, for torch does not synchronise batch norm on the CPU.")
    changed = _launched(trainer)
    if process_count({**trainer, **changed}) > 1 and trainer.get("strategy") == "auto":
        changed["strategy"] = (
            "ddp_find_unused_parameters_true"  # each phase leaves the other networks' parameters unused
        )
    return changed


def _launched(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the devices and nodes that torchrun or SLURM started; nothing without such a launcher.

    Raises:
        UserError: if the trainer asks for another number of several processes.
    """
    launched = launched_devices_and_nodes()
    if launched is None or process_count(trainer) == launched[0] * launched[1]:
        return {}
    if process_count(trainer) > 1:
        raise UserError(
            f"The launcher started {launched[0]} × {launched[1]} processes, but trainer.devices={trainer['devices']} "
            f"and trainer.num_nodes={trainer.get('num_nodes')} ask for {process_count(trainer)}: leave both out."
        )
    return {"devices": launched[0], "num_nodes": launched[1]}


def _precision(asked: str, accelerator: str | None) -> str:
    """Returns the precision, with auto resolved for the accelerator.

    Raises:
        UserError: for an unknown precision.
    """
    if asked not in PRECISIONS:
        raise UserError(f"precision={asked} is not valid: give one of {', '.join(PRECISIONS)}.")
    return auto_precision(str(accelerator)) if asked == "auto" else asked


def _check_groups(method: str, present: set[str], used: set[str]) -> None:
    """Checks that the groups of parts are those that the model uses.

    Raises:
        UserError: for a group that the model does not use, or that it needs.
    """
    for group in GROUPS:
        if group in present - used:
            raise UserError(f"model={method} does not use a {group}: leave {group}= out.")
        if group in used - present:
            raise UserError(f"model={method} needs a {group}: give {group}= one of {', '.join(choices(group))}.")


def count_classes(config: DictConfig) -> None:
    """Sets the number of classes, if it is not given, to what a conditional model finds in a folder of images, or to
    those that folders of label maps have.

    Raises:
        UserError: if the folder cannot be read, or has no classes.
    """
    use_found_label_maps(config)
    if "classes" in config.data and config.data.classes is None and not OmegaConf.is_missing(config.data, "root"):
        config.data.classes = _classes(config)


def _classes(config: DictConfig) -> int:
    if not config.conditional and config.data_kind != "domains":
        return 0
    with without_messages():
        names = instantiate(resolve_part(config, "data")).source.class_names()
    if not names and "attributes" not in config.data:
        place = f"data.root={config.data.root}" if config.data.get("root") else config.data.name
        raise UserError(
            f"model={config.method} is conditional, but {place} has no classes: "
            f"{_how_to_give_classes(config.data)}, or choose other data, such as data=mnist."
        )
    return len(names)


def _how_to_give_classes(data: DictConfig) -> str:
    """Says where data that have no classes could have them."""
    if "label" in data:
        return "give data.label= the column of the classes"
    if data.get("_target_") == f"{PRESETS}stream":
        return "give data.classes= their number if the shards have some"
    return "put the images of each class in a folder of its own"


def _check_data(method: str, kind: str, conditional: bool, data: Mapping[str, Any]) -> None:
    """Checks that the data are of the kind that the model is trained on, with classes if it is conditional.

    Raises:
        UserError: for other data.
    """
    wanted, found = kind_named(kind), kind_of_config(data)
    if found.model_kind != kind:
        raise UserError(
            f"model={method} is trained on {wanted.description}, but data={data['name']} has {found.description}: "
            f"choose other data, such as data={wanted.example}."
        )
    if conditional and not data.get("classes"):
        raise UserError(
            f"model={method} is conditional, but data={data['name']} has no classes"
            f"{' with data.classes=0' if 'classes' in data else ''}: choose other data, such as data=mnist."
        )
