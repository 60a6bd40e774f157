"""Typed requests: the values that a command accepts, checked by the annotations of a dataclass.

A command declares a frozen dataclass over ``Request`` or ``ModelRequest``. Its fields name the keys of the command
line, its annotations say which values are valid, and ``Path`` in an annotation marks a key that is quoted for Hydra.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin, get_type_hints

from gan_lab.cli.artifacts import Output
from gan_lab.cli.values import convert
from gan_lab.common.bounds import Bounds, PositiveInt, Seed, Share
from gan_lab.common.errors import UserError


@dataclass(frozen=True)
class Words:
    """Marks a field that takes the words of a command line without a key, such as paths of runs."""

    name: str


RANK_TIMEOUT = 30.0
"""Minutes that processes wait for one that does not answer."""

Size = PositiveInt | tuple[PositiveInt, PositiveInt]
"""A side in pixels, or (height, width)."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Base class of requests. Defaults live in the command's YAML file."""

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> Self:
        """Returns the request for plain values by key; keys that are no fields are ignored.

        Raises:
            UserError: if a value is not valid; the sentence names the key and the valid values.
        """
        hints = get_type_hints(cls, include_extras=True)
        found = {}
        for field in fields(cls):
            if field.name in values:
                found[field.name] = convert(field.name, values[field.name], hints[field.name])
            elif field.default is MISSING and field.default_factory is MISSING:
                raise UserError(f"{field.name} must be given: add {field.name}=… to the command.")
        return cls(**found)

    def without(self, reason: str, **usual: Any) -> None:
        """Checks that keys that have no effect here are left out.

        Args:
            reason: why they have none.
            usual: the keys with their defaults.

        Raises:
            UserError: if one of them has another value.
        """
        odd = [f"{key}=" for key, value in usual.items() if getattr(self, key) != value]
        if odd:
            raise UserError(f"{reason}: leave out {' and '.join(odd)}.")

    def check_places(self) -> None:
        """Checks before the work that what is written can be written.

        Raises:
            UserError: if it cannot; the sentence names the key.
        """
        if getattr(self, "output", None) is not None:
            self.destination().check()

    def destination(self) -> Output:
        """The place of the command's artefacts."""
        return Output(getattr(self, "output", None) or Path())


def unusual(request: Request, usual: Mapping[str, Any]) -> list[str]:
    """Returns the keys of a request that have another value than usual; keys that must be given are none."""
    hints = get_type_hints(type(request), include_extras=True)
    known = {key: convert(key, value, hints[key]) for key, value in usual.items() if key in hints and value != "???"}
    return [key for key, value in known.items() if getattr(request, key) != value]


def check_read(request: Request, command: str, do: str, reads: Collection[str]) -> None:
    """Checks that keys which one of a command's tasks does not read are left out.

    Args:
        request: the request.
        command: the command's name.
        do: the task.
        reads: keys that it reads.

    Raises:
        UserError: if another one is given.
    """
    from omegaconf import OmegaConf

    from gan_lab.cli.config.paths import home

    usual = OmegaConf.to_container(OmegaConf.load(home("conf") / f"{command}.yaml"))
    assert isinstance(usual, dict)
    odd = [f"{key}=" for key in unusual(request, {str(key): value for key, value in usual.items()}) if key not in reads]
    if odd:
        raise UserError(f"do={do} does not read {' and '.join(odd)}: leave it out, or choose another do=.")


@dataclass(frozen=True, kw_only=True)
class ModelRequest(Request):
    """The keys of every command over a checkpoint."""

    checkpoint: Path
    output: Path | None
    ema: bool | Annotated[float, Bounds(0.01, 0.28)]
    seed: Seed
    device: str
    devices: Literal["auto"] | PositiveInt = 1
    trust: tuple[str, ...]
    dropout: bool | None = None
    batch_statistics: bool | None = None
    draws: bool | None = None

    def check_places(self) -> None:
        self.destination().check()


@dataclass(frozen=True, kw_only=True)
class InferenceRequest(ModelRequest):
    """The keys of commands that write what a model makes."""

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compression: Annotated[int, Bounds(0, 9)] = 1

    def destination(self) -> Output:
        return Output(self.output or Path(), self.compression)


@dataclass(frozen=True, kw_only=True)
class DataPaths:
    """The keys of ``data`` that hold paths; a data set has some of them."""

    root: Path | None = None
    cache_dir: Path | None = None
    a: Path | None = None
    b: Path | None = None
    test_a: Path | None = None
    test_b: Path | None = None
    damaged: Path | None = None
    clean: Path | None = None
    test_damaged: Path | None = None
    test_clean: Path | None = None
    images_folder: Path | None = None
    labels_folder: Path | None = None
    instances_folder: Path | None = None
    test_images_folder: Path | None = None
    test_labels_folder: Path | None = None
    test_instances_folder: Path | None = None
    test_file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """An extractor whose weights are a file."""

    weights: Path | None = None


DataChanges = Annotated[Mapping[str, Any], DataPaths]
"""Arguments of a data module that differ from training."""
Extractors = Annotated[Mapping[str, Any], Mapping[str, WeightFile]]
"""Feature extractors by name."""


@dataclass(frozen=True, kw_only=True)
class DataRequest(InferenceRequest):
    """The keys of commands that work on the user's own files, or on the data of the model."""

    input: Path | None
    split: Literal["test", "train", "whole"]
    root: str | None  # or a URL
    data: DataChanges
    n: PositiveInt
    batch_size: PositiveInt


@dataclass(frozen=True, kw_only=True)
class MetricsRequest(ModelRequest):
    """The keys of commands that measure."""

    metrics: Mapping[str, Any] | None = None
    extractor: Extractors | None = None
    n: PositiveInt | None
    limit: PositiveInt | None
    split: Literal["train", "test", "whole"]
    paired: bool | None
    weights: Mapping[str, Annotated[str, Path] | None]
    truncation: Share
    batch_size: PositiveInt

    def options(self) -> dict[str, Any]:
        """Arguments of ``select_evaluator``."""
        from gan_lab.common.instantiate import instantiate

        keys = ("n", "paired", "split", "seed", "truncation", "limit", "batch_size", "weights")
        metrics, extractors = (instantiate(dict(node or {})) for node in (self.metrics, self.extractor))
        return {**{key: getattr(self, key) for key in keys}, "metrics": metrics, "extractors": extractors}


def words_field(request: type[Request]) -> tuple[str, Words] | None:
    """The field that takes words without a key, with its mark; None if the request has none."""
    for name, annotation in get_type_hints(request, include_extras=True).items():
        for mark in get_args(annotation) if get_origin(annotation) is Annotated else ():
            if isinstance(mark, Words):
                return name, mark
    return None


def require_one_way(request: Request, *ways: Sequence[str]) -> None:
    """Checks that exactly one set of keys is given.

    Args:
        ways: sets of keys that go together.

    Raises:
        UserError: if none is given, one is incomplete, or keys of several are given.
    """
    given = [key for way in ways for key in way if getattr(request, key) is not None]
    shown = [" and ".join(f"{key}=…" for key in way) for way in ways]
    if not given:
        raise UserError(f"There is nothing to work on: give {', or '.join(shown)}.")
    partial = [way for way in ways if set(given) < set(way)]
    if partial:
        rest = " and ".join(f"{key}=…" for key in partial[0] if key not in given)
        raise UserError(f"There is nothing to compare {given[0]}=… with: give {rest}, too.")
    if given not in [list(way) for way in ways]:
        named = ", ".join(f"{key}=…" for key in given[:-1])
        raise UserError(f"{named} and {given[-1]}=… do not go together: give {', or '.join(shown)}.")
