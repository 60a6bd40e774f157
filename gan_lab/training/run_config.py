"""A run's resolved configuration, typed: all that training knows of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

RUN_DIR = "/gan_lab/run-directory-3f0c9e61"
"""Stands for the run's folder in a configuration that is resolved before the folder is chosen."""

Node = Mapping[str, Any]
"""Plain containers with ``_target_``, from which ``gan_lab.common.instantiate`` makes an object."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The parts of a run and its top-level settings.

    Args:
        name: of the run's folder, ``<runs>/<name>/<date>_<time>``.
        model, data: nodes of the method and of the data module.
        trainer: arguments of Lightning's Trainer, with ``_target_``.
        callbacks, logger: nodes by name; null entries are left out.
        rank_timeout: minutes that processes wait for one that does not answer.
        resume: "auto", a checkpoint or a run's folder, or None or False.
        accept_changed_data: resume although the data changed.
        init_from: a checkpoint whose weights are taken.
        init_share: smallest share of the model's parameters that ``init_from`` must have.
        generator_from: the checkpoint of a generator that the model has as its part ``generator``.
        run_dir: the run's folder; ``RUN_DIR`` if it is still to be chosen.
        runs: where run folders are made.
        record: a JSON file that the finished run is recorded in.
        values: the whole configuration as plain containers, for records.
        overrides: command-line arguments that it was composed from; None if they are not known.
        exact: resume="auto" goes on with a run of an equal configuration alone, as the jobs of a sweep differ in what
            else may change.
    """

    name: str
    seed: int
    precision: str
    model: Node
    data: Node
    trainer: Node
    callbacks: Mapping[str, Node | None]
    logger: Mapping[str, Node | None]
    rank_timeout: float | None = None
    resume: str | bool | None
    accept_changed_data: bool | None = False
    init_from: str | None
    init_share: float | None = None
    generator_from: str | None = None
    run_dir: str
    runs: str
    record: str | None
    values: Mapping[str, Any]
    overrides: Sequence[str] | None = None
    exact: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any], overrides: Sequence[str] | None = None) -> Self:
        """Takes the settings from a resolved configuration in plain containers."""
        names = [field.name for field in fields(cls) if field.name not in ("values", "overrides", "exact")]
        found: dict[str, Any] = {name: values.get(name) for name in names}
        found |= {"callbacks": found["callbacks"] or {}, "logger": found["logger"] or {}}
        return cls(**found, values=values, overrides=overrides)

    @property
    def resumes_a_path(self) -> bool:
        """True if ``resume`` names a run or a checkpoint."""
        return bool(self.resume) and self.resume != "auto"

    def in_folder(self, folder: Path) -> Self:
        """Returns the configuration with the run's folder in place of ``RUN_DIR``."""

        def placed(node: Any) -> Any:
            if isinstance(node, Mapping):
                return {key: placed(value) for key, value in node.items()}
            if isinstance(node, list):
                return [placed(value) for value in node]
            if isinstance(node, str):
                return node.replace(RUN_DIR, str(folder)).replace(Path(RUN_DIR).name, folder.name)
            return node

        return type(self).of({**placed(self.values), "run_dir": str(folder)}, self.overrides)

    def resuming_itself(self) -> Self:
        """Returns the configuration that goes on with a run of its own, unless it names one."""
        if self.resumes_a_path:
            return self
        return replace(self, resume="auto", values={**self.values, "resume": "auto"}, exact=True)

    def on_devices(self, devices: list[int]) -> Self:
        """Returns the configuration with these devices."""
        trainer = {**self.trainer, "devices": devices}
        return replace(self, trainer=trainer, values={**self.values, "trainer": trainer})
