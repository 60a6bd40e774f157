"""The scale of a run: sizes, widths, batches, rates and a length that suit the machine and the user's own images.

What a scale changes is stated in ``conf``: its length in ``conf/scale``, the rest by each model under ``scales``. It is
set after composing, where neither the command line nor a recipe has a value.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf, open_dict

from gan_lab.cli.config.compose import resolve
from gan_lab.cli.config.deprecations import present_overrides
from gan_lab.cli.config.found_data import use_found_formats, without_messages
from gan_lab.cli.config.paths import home
from gan_lab.cli.config.scale_facts import Facts, find_facts, is_own_set
from gan_lab.cli.help import group_names
from gan_lab.common.errors import UserError
from gan_lab.common.runs import LAST, recorded_configuration, unfinished_runs
from gan_lab.common.start_folder import start_folder, with_paths_from
from gan_lab.common.upgrade import leaves
from gan_lab.common.wording import counted
from gan_lab.training.resume_rules import changes
from gan_lab.training.run_config import RUN_DIR

AUTO, PAPER, LAPTOP, GPU = "auto", "paper", "laptop", "gpu"
EXPERIMENTS = ("recipe", "sweep", "debug")
"""Groups whose choices are experiments of their own, which ``scale=auto`` leaves as they are."""
SUGGESTIONS = ("suggested.", "loss.optimizer.", "loss.n_critic")
"""Keys that are set only where nothing is suggested yet, by the data, a loss or a recipe."""
DIFFAUGMENT = "gan_lab.training.augment.DiffAugment"
AUGMENT = "model.augment.diff"


@dataclass
class Scaled:
    """The effect of a scale on a configuration: values by dotted key, and the facts that it was chosen by."""

    name: str
    asked: str
    facts: Facts
    applied: dict[str, Any] = field(default_factory=dict)


def typed_keys(overrides: Iterable[str]) -> list[str]:
    """Returns the dotted keys that a command line sets; choices of groups, such as ``model=dcgan``, are none."""
    groups = group_names((home("conf") / "train.yaml").read_text(encoding="utf-8"))
    given = [each.partition("=")[0] for each in present_overrides(list(overrides)) if not each.startswith("-")]
    keys = [each.lstrip("+~").partition("@")[0] for each in given]
    return [key for key in keys if key not in groups and "/" not in key]


def experiment_keys(overrides: Iterable[str]) -> list[str]:
    """Returns the dotted keys that the chosen recipe or other experiments state themselves."""
    given = (each.partition("=") for each in present_overrides(list(overrides)))
    files = [home("experiments") / group / f"{name}.yaml" for group, _, name in given if group in EXPERIMENTS]
    stated = [cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(file))) for file in files if file.is_file()]
    return [".".join(path) for each in stated for path, _ in leaves(each) if path[0] != "defaults"]


def use_scale(config: DictConfig, overrides: Sequence[str]) -> Scaled | None:
    """Sets what the run's scale states, and ``scale`` itself to what was chosen; what is typed or a recipe's own stays.

    Args:
        config: the composed configuration, valid with its defaults. It is left as it is for ``scale=paper``.
        overrides: the command line.

    Returns:
        what was set; None if the scale is the papers'.

    Raises:
        UserError: if the user's own data are missing.
    """
    asked = OmegaConf.select(config, "scale.name")
    name = _chosen(config, overrides) if asked == AUTO else asked
    if asked == AUTO:
        with open_dict(config):
            config.scale = OmegaConf.load(home("conf") / "scale" / f"{name}.yaml")
    if name in (None, PAPER):  # a configuration of the user's own may have no scale
        return None
    scaled, typed = Scaled(name, str(asked), find_facts(config)), typed_keys(overrides)
    kept = [*typed, *experiment_keys(overrides)]
    _set(config, scaled, kept, _stated(config, name))
    _set(config, scaled, kept, _batch(config, scaled.facts))
    _set(config, scaled, kept, _augmentation(config, scaled.facts))
    if not any(key.split(".")[0] == "budget" for key in typed):
        _set(config, scaled, typed, _budget(config, scaled.facts))
    return scaled


def _chosen(config: DictConfig, overrides: Sequence[str]) -> str:
    """Returns the scale that suits the machine, for images of the user's own; else the papers'."""
    given = {key: value for key, _, value in (each.partition("=") for each in overrides)}
    is_experiment = any(given.get(group) not in (None, "null") for group in EXPERIMENTS)
    if is_experiment or not is_own_set(config.data) or _goes_on_unscaled(config):
        return PAPER
    return GPU if has_gpu(config) else LAPTOP


def has_gpu(config: DictConfig) -> bool:
    """Tells whether the run would use a graphics card of NVIDIA's or AMD's."""
    return torch.cuda.is_available() and config.trainer.get("accelerator") in ("auto", "gpu", "cuda")


def _goes_on_unscaled(config: DictConfig) -> bool:
    """Tells whether ``resume=auto`` goes on with a run of a version without scales, which keeps its sizes."""
    if config.resume != AUTO:
        return False
    root = Path(config.runs if config.run_dir == RUN_DIR else config.run_dir)
    found = [(folder, recorded_configuration(folder)) for folder in unfinished_runs(root)]
    older = [(folder, own) for folder, own in found if own and "scale" not in own]
    if not older:
        return False
    present = deepcopy(config)
    with without_messages():
        use_found_formats(present)
    values = resolve(present)
    owns = [with_paths_from(start_folder(folder / LAST), own) for folder, own in older]
    return any(not any(each.reason for each in changes(own, values)) for own in owns)


def _stated(config: DictConfig, name: str) -> dict[str, Any]:
    """Returns what the model states for a scale, by dotted key; an interpolation stays one."""
    stated = OmegaConf.select(config, f"scales.{name}") or {}
    plain = OmegaConf.to_container(stated, resolve=False) if isinstance(stated, DictConfig) else stated
    return {".".join(path): value for path, value in leaves(plain)}  # type: ignore[arg-type]


def _batch(config: DictConfig, facts: Facts) -> dict[str, Any]:
    """Returns a batch that the set, or the larger of two domains, fills: a power of two.

    Raises:
        UserError: for a set of one image, which batch norms cannot be trained with.
    """
    count = facts.train
    if count is None or not 0 < count < config.batch_size:
        return {}
    if count == 1:
        raise UserError("There is only one image to train on: give at least four, of which one is held out.")
    return {"batch_size": 1 << (count.bit_length() - 1)}


def _augmentation(config: DictConfig, facts: Facts) -> dict[str, Any]:
    """Returns differentiable augmentation for a GAN of few images (Zhao et al. 2020).

    Nothing is cut out of grey images: of a digit or a letter too little would remain.
    """
    few = facts.train is not None and facts.train < config.scale.few
    if not few or config.data_kind != "image" or _has(config, AUGMENT) or not _has(config, "model.augment"):
        return {}
    options = {"colour": True, "translation": True, "cutout": facts.channels == 3, "probability": 1.0}
    return {AUGMENT: {"_target_": DIFFAUGMENT, **options}}


def _budget(config: DictConfig, facts: Facts) -> dict[str, Any]:
    """Returns a length in minutes, and in images as many as a small set needs, where none is given."""
    scale, given = config.scale, config.budget
    if given.minutes is not None:
        return {}
    found: dict[str, Any] = {"budget.minutes": scale.minutes}
    if given.images is not None or not OmegaConf.is_interpolation(given, "epochs"):
        return found
    passes = epochs_of(config)
    if config.suggested.epochs is None and (facts.train or facts.own):
        return found | {"budget.images": max(scale.images, round((passes or 0) * (facts.train or 0)))}
    return found | ({"budget.epochs": passes} if passes else {})


def epochs_of(config: DictConfig) -> float | None:
    """Returns the passes over the data that the papers' scale takes."""
    found: float | None = config.paper_epochs if config.suggested.epochs is None else config.suggested.epochs
    return found


def _set(config: DictConfig, scaled: Scaled, typed: Sequence[str], values: Mapping[str, Any]) -> None:
    """Sets values by dotted key where there is such a key, nothing was typed for it and no suggestion is there."""
    for key, value in values.items():
        there = key == AUGMENT or _has(config, key)
        is_suggested = key.startswith(SUGGESTIONS) and there and OmegaConf.select(config, key) is not None
        if not there or is_suggested or any(_overlap(key, each) for each in typed):
            continue
        OmegaConf.update(config, key, value, merge=False, force_add=True)
        scaled.applied[key] = value


def _overlap(key: str, other: str) -> bool:
    """Tells whether one of two dotted keys holds the other."""
    one, two = f"{key}.", f"{other}."
    return one.startswith(two) or two.startswith(one)


def _has(config: DictConfig, key: str) -> bool:
    """Tells whether a configuration has a dotted key of its own; interpolations are not followed."""
    node: Any = config
    for name in key.split("."):
        if not isinstance(node, DictConfig) or node._is_none() or node._is_interpolation() or name not in node.keys():  # noqa: SIM118
            return False
        node = node._get_node(name)
    return True


def forget_scales(config: DictConfig) -> None:
    """Removes what models state for scales, once one of them was set."""
    with open_dict(config):
        config.pop("scales", None)


def machine(config: DictConfig) -> str:
    """Returns the processor that the run uses, in words."""
    if has_gpu(config):
        return str(torch.cuda.get_device_name())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return counted(cores, "CPU core")
