"""A command's session: the checkpoint, read once, with its model, its device and its data."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gan_lab.cli.requests import ModelRequest
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
OPTIONS = ("dropout", "batch_statistics", "draws")
"""Inference options that only some models accept."""


@dataclass(frozen=True)
class Session:
    """The things that a command works with.

    Args:
        path: the checkpoint's file.
        contents: what it holds under ``gan_lab``: the configurations ``model`` and ``data``, versions.
        model: in evaluation mode on the device, with the inference options that were asked for.
        device: the device of this process.
        trust: modules of the user's own that the checkpoint may take classes from.
    """

    path: Path
    contents: Mapping[str, Any]
    model: Any
    device: torch.device
    trust: tuple[str, ...] = ()

    @classmethod
    def open(cls, request: ModelRequest, device: str) -> Session:
        """Reads the request's checkpoint and builds its model; without a checkpoint there is no model either.

        Raises:
            UserError: if there is no such checkpoint or device, or the model has none of the options asked for.
        """
        from gan_lab.common.device import resolve_device
        from gan_lab.common.import_path import add_current_folder
        from gan_lab.common.runs import checkpoint_path
        from gan_lab.training.checkpoint import model_of, read

        add_current_folder(request.trust)
        place = resolve_device(device)
        if request.checkpoint is None:
            return cls(Path(), {}, None, place, request.trust)
        path = checkpoint_path(request.checkpoint)
        checkpoint = read(path)
        model = model_of(checkpoint, place, request.trust)
        apply_options(model, request)
        return cls(path, checkpoint["gan_lab"], model, place, request.trust)

    @property
    def name(self) -> str:
        """The model's class."""
        return type(self.model).__name__

    @property
    def title(self) -> str:
        """The run's title and the checkpoint's name."""
        from gan_lab.common.runs import run_title

        return f"{run_title(self.path.parent)}, {self.path.stem}"

    @property
    def facts(self) -> dict[str, Any]:
        """The checkpoint's path and the images that the model has seen."""
        return {"checkpoint": str(self.path), "images_seen": int(getattr(self.model, "images_seen", 0))}

    @property
    def num_classes(self) -> int:
        """The number of classes that a conditional model was trained on; 0 for an unconditional one."""
        return int(getattr(self.model, "classes", 0))

    def label(self, label: str | int | None) -> int | None:
        """The number of a class that the user gave by its name or its number.

        Raises:
            UserError: if the model has no such class.
        """
        from gan_lab.common.class_names import label_number

        return label_number(self.model, label, int(getattr(self.model, "num_labels", self.num_classes)))

    def data(self, root: str | None = None, changes: Mapping[str, Any] | None = None) -> Any:
        """The data module that the model was trained on, ready to be read.

        Relative paths are meant in the folder where the run was started. The checkpoint may come from a stranger: data
        are read where it says, but nothing is downloaded to or from a place that
        the caller does not name, no URL and no hub, and nothing is cached in a folder that the checkpoint names.

        Args:
            root: where the data are now, a path or a URL; None for where they were.
            changes: arguments of the data module that differ from training.

        Raises:
            UserError: if the data have no folder, are not there, are of no kind that can be shown or compared, or have
                other classes than the model.
        """
        from gan_lab.common.class_names import check_class_names
        from gan_lab.common.distributed import rank_zero_first
        from gan_lab.common.instantiate import instantiate
        from gan_lab.common.start_folder import start_folder, with_paths_from
        from gan_lab.common.trust import DATA_MODULES
        from gan_lab.data.reading.download import downloading
        from gan_lab.evaluation.kinds import kind_of

        node = dict(with_paths_from(start_folder(self.path), self.contents["data"], "data"))
        if root == "":
            raise UserError("root= is not valid: give a path or null.")
        given = {**({"root": root} if root else {}), **(changes or {})}
        if root and "root" not in node:
            raise UserError(f"The data of {self.path} are not read from a folder: leave out root=….")
        if (places := self.contents.get("places")) and not given:
            raise UserError(f"{self.path} does not say where its data are: give {places[0]}=….")
        node |= {"cache_dir": None} if "cache_dir" in node else {}
        named = _names_place(given, node)
        with downloading(named):  # the kind is found by properties, which may read the data
            data = instantiate(node | given, DATA_MODULES.extended(self.trust))
            kind = kind_of(data)
        if kind is None:
            raise UserError(f"The data of {self.path}, {type(data).__name__}, cannot be compared with anything.")
        with downloading(named), rank_zero_first():
            data.prepare_data()  # type: ignore[union-attr]
        with downloading(named):
            data.setup("test")  # type: ignore[union-attr]
        check_class_names(self.model, self.contents.get("class_names"), getattr(data, "class_names", ()))
        return data

    def resize_spec(self, what: str) -> Any:
        """The size and the channels of the images that the model was trained on, for reading the user's own.

        Raises:
            UserError: if the checkpoint does not state them; ``what`` is what could not be read ("images").
        """
        from gan_lab.data.checks import parse_size
        from gan_lab.data.reading.resize import MODES, ResizeSpec

        node = self.contents.get("data") or {}
        if node.get("channels") not in MODES or not node.get("size"):
            raise UserError(f"{self.path} does not state the size and the channels of its {what}: leave out input=….")
        size = parse_size(node["size"])
        return ResizeSpec(size, size, node["channels"], shortcut=False)  # alike from files of every format

    @property
    def trained_side(self) -> int | None:
        """The shorter side, in pixels, of the images that the model was trained on; None if it is not stated."""
        from gan_lab.data.checks import parse_size

        size = (self.contents.get("data") or {}).get("size")
        return min(parse_size(size)) if size else None

    def track(self, items: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
        """Iterates with a progress bar and the time left, on a terminal and on rank 0."""
        from gan_lab.common.distributed import rank_and_world_size
        from gan_lab.common.progress import track

        return track(items, description, total, show=rank_and_world_size()[0] == 0)


def _names_place(given: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """Says whether the caller names the place of the data, so that the checkpoint, ``node``, names none.

    A data set of the hub has no other place than its name.
    """
    return bool(
        given.get("root")
        or (given.get("data_dir") and not node.get("root"))
        or (given.get("name") and not (node.get("root") or node.get("data_dir")))
    )


def use_width(model: Any, width: float) -> None:
    """Uses the average of a relative width.

    Raises:
        UserError: if the model keeps no averages that it can be made of.
    """
    if getattr(model, "ema", None) is None:
        raise UserError(f"{type(model).__name__} keeps no averages here: give ema=true or false.")
    model.ema.reconstruct(width)
    model.sync_buffers()  # some models measure batch statistics for their averages


def apply_options(model: Any, request: ModelRequest) -> None:
    """Sets whether the model's averages are used, and the inference options that the request asks for.

    Raises:
        UserError: if the model does not have an option.
    """
    model.use_live_weights = not request.ema
    if not isinstance(request.ema, bool):
        use_width(model, request.ema)
    asked = {name: value for name in OPTIONS if (value := getattr(request, name)) is not None}
    has_options = hasattr(model, "set_inference_options")
    accepts = inspect.signature(model.set_inference_options).parameters if has_options else {}
    foreign = [name for name in asked if name not in accepts]
    if foreign:
        keys = " and ".join(f"{name}=…" for name in foreign)
        raise UserError(f"{type(model).__name__} has no option {' or '.join(foreign)}: leave out {keys}.")
    if asked:
        model.set_inference_options(**asked)
