"""A composed configuration that resumes a run gets what the run's recorded one has of its own."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from gan_lab.cli.config.checks import count_classes, for_machine
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.cli.config.found_data import use_found_formats, use_known_formats, without_messages
from gan_lab.cli.config.old_keys import move_old_keys
from gan_lab.cli.config.own_data import keep_facts
from gan_lab.cli.config.resuming import OF_ONE_START, check_targets, own_overrides, targets, task_overrides, with_own
from gan_lab.cli.config.scale import typed_keys
from gan_lab.common.errors import UserError
from gan_lab.common.runs import checkpoint_path
from gan_lab.common.start_folder import DATA_PATHS
from gan_lab.common.upgrade import leaves
from gan_lab.training.resume import own_configuration
from gan_lab.training.resume_rules import Change, changes, check_changes
from gan_lab.training.run_config import RUN_DIR

UNSCALED = {"scale": {"name": "paper"}}
"""What runs of versions without scales stand for."""


def complete(config: DictConfig) -> None:
    """Fills in what this machine decides, under the present names of the keys."""
    move_old_keys(config)
    for_machine(config)
    config.run_dir = config.run_dir or RUN_DIR


def go_on(config: DictConfig) -> None:
    """Gives a composed configuration that resumes a run what the run's recorded one has of its own.

    The data are not read, unless they are said to lie elsewhere.

    Args:
        config: the composed and completed configuration, which is changed.

    Raises:
        UserError: if there is no such run, it cannot go on with the changes, or its configuration names what only a
            command line may name.
    """
    checkpoint = checkpoint_path(str(config.resume))
    run = _Run(checkpoint)
    merged = run.merged(config, run.typed())
    found = changes(run.own, merged)
    check_changes(found, checkpoint, run.cause([each for each in found if each.reason]))
    check_targets(checkpoint, {*targets(merged)} - ({*targets(resolve(config))} - {*targets(run.base)}))
    with open_dict(config):
        for key in [*config]:
            del config[key]
        config.update(OmegaConf.create(merged))


class _Run:
    """The recorded configuration of a run, ``own``, and what its overrides alone compose, ``base``."""

    def __init__(self, checkpoint: Path) -> None:
        self.own = UNSCALED | own_configuration(checkpoint)
        self.overrides = own_overrides(checkpoint) or []
        self.base = self._composed({})

    def _composed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what the run's overrides compose when some keys have these values instead."""
        alone = compose(self.overrides)
        for key, value in values.items():
            OmegaConf.update(alone, key, value)
        complete(alone)
        keep_facts(alone, self.own)
        self._use_formats(alone)
        return resolve(alone)

    def _base_for(self, typed: Collection[str]) -> dict[str, Any]:
        """Returns the base with the run's own values of keys that are typed.

        What is interpolated from them differs then from what the typed values compose. Otherwise a value that is typed
        as the base has it, where the run had another of its scale, of its recipe or of an earlier version, would not
        reach it.
        """
        was = {".".join(path): value for path, value in leaves(self.base)}
        had = {".".join(path): value for path, value in leaves(self.own)}
        moved = {key: had[key] for key in typed if key in was and key in had and had[key] != was[key]}
        if moved:
            with suppress(UserError):  # an old value that this machine or this version refuses
                return self._composed(moved)
        return self.base

    def _use_formats(self, config: DictConfig) -> None:
        if "data" in self.own:
            use_known_formats(config, self.own)

    def typed(self) -> list[str]:
        """Returns what the command line says that the run's own did not."""
        return [each for each in task_overrides() or [] if each not in self.overrides]

    def merged(self, config: DictConfig, typed: Sequence[str]) -> dict[str, Any]:
        """Returns the run's configuration with what a composed and completed one, which is changed, says anew.

        Args:
            config: composed from the run's overrides and those typed.
            typed: overrides.
        """
        keep_facts(config, self.own)
        if _places(config.data) == _places(self.base["data"]):
            self._use_formats(config)
        else:
            with without_messages():
                count_classes(config)
                use_found_formats(config)
        keys = typed_keys(typed)
        return with_own(resolve(config), self._base_for(keys), self.own, keys)

    def cause(self, refused: Sequence[Change]) -> str:
        """Returns the first argument of the command line that alone makes changes that are refused.

        Empty if the changes are those of the keys that were typed, or nobody typed anything.
        """
        for argument in self.typed() if refused else ():
            key = argument.partition("=")[0].lstrip("+~")
            if key in OF_ONE_START or argument.startswith("-"):
                continue
            if any(each.key == key or each.key.startswith(f"{key}.") for each in refused):
                return ""
            composed = compose([*(each for each in self.overrides if each.partition("=")[0] != key), argument])
            complete(composed)
            if any(each.reason for each in changes(self.own, self.merged(composed, [argument]))):
                return argument
        return ""


def _places(data: Mapping[Any, Any]) -> list[object]:
    return [data.get(name) for name in DATA_PATHS]
