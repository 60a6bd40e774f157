"""Facts of the user's own images that no key states: their size and channels, found from the headers of the files."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from omegaconf import DictConfig, OmegaConf

from gan_lab.cli.config.compose import resolve_part
from gan_lab.cli.config.parts import check_parts, parts
from gan_lab.common.instantiate import instantiate, resolve_target
from gan_lab.common.wording import counted
from gan_lab.data.loading.cache import cache_folder
from gan_lab.data.reading.formats import UNKNOWN, Formats, common_size, formats_of
from gan_lab.data.reading.image_sets import EncodedImages
from gan_lab.data.reading.label_files import LabelFiles
from gan_lab.data.shards.source import ShardSource
from gan_lab.data.sources.recording_formats import formats_of_recordings
from gan_lab.data.sources.recordings import Recordings

SIZE, CHANNELS = "${image_size}", "${image_channels}"
"""Values in conf/data that stand for what is not given."""
PRESETS = "gan_lab.data.presets."
UseSize = Callable[[DictConfig, tuple[int, int] | None], None]
KEYS = {"channels": "image", "domains.a.channels": "a", "domains.b.channels": "b"}
"""Keys of channels within the data, and the sets of images that they are for."""


def use_found_formats(config: DictConfig, use_size: UseSize | None = None) -> None:
    """Sets the size and the channels that are not given to those of the user's images, and says so.

    The size is theirs if all images have one, it is no larger than the model's default, and the model can be built for
    it. Channels are 1 if all images are grey, else 3. Data without files of the user's are left as they are.

    Args:
        config: the composed configuration, valid with its defaults; ``data.size`` and channels may change.
        use_size: sets ``data.size``, given the (H, W) of all images, or None if they differ; by default as above.

    Raises:
        UserError: if the data are missing.
    """
    if not _open_keys(config.data):
        return
    data = resolve_part(config, "data")
    formats, open_keys = _formats(data), _open_keys(config.data)
    if not formats:
        return
    if "size" in open_keys:
        (use_size or _use_size)(config, common_size(formats.values()))
    for key, name in KEYS.items():
        if key in open_keys and name in formats and not _get(data, f"domains.{name}.labels"):
            OmegaConf.update(config, f"data.{key}", formats[name].channels)
    rank_zero_info(_sentence(config, formats))


def use_known_formats(config: DictConfig, recorded: Mapping[str, Any]) -> None:
    """Sets what is not given of the user's images to what a run found of them, so that they are not looked at again.

    Args:
        config: the composed configuration; ``data.size``, channels and classes may change.
        recorded: the run's own configuration. What another default decides now is left open.
    """
    for key in _open_keys(config.data):
        default = "image_size" if key == "size" else "image_channels"
        found = _get(recorded["data"], key)
        if found is not None and recorded.get(default, config[default]) == config[default]:
            OmegaConf.update(config, f"data.{key}", found)
    if "classes" in config.data and config.data.classes is None:
        config.data.classes = recorded["data"].get("classes")
    if _has_open_label_maps(config.data):
        _complete_label_maps(config.data, recorded["data"]["domains"]["a"])


def use_found_label_maps(config: DictConfig) -> None:
    """Sets what is not given of the domain of label maps, such as their number of classes, to what their folders say.

    Raises:
        UserError: if the data are missing, or do not say it.
    """
    if _has_open_label_maps(config.data):
        with without_messages():
            domain = instantiate(resolve_part(config, "data")).domains["a"]
        _complete_label_maps(config.data, {**vars(domain), "ids": list(domain.ids) or None})


def _has_open_label_maps(data: DictConfig) -> bool:
    return data.get("_target_") == f"{PRESETS}labelled" and any(value is None for value in data.domains.a.values())


def _complete_label_maps(data: DictConfig, known: Mapping[str, Any]) -> None:
    for key, value in data.domains.a.items():
        if value is None:
            OmegaConf.update(data, f"domains.a.{key}", known.get(str(key)))


def _open_keys(data: DictConfig) -> list[str]:
    """Returns the keys of the data that are not given."""
    raw = OmegaConf.to_container(data, resolve=False)
    assert isinstance(raw, dict)
    if not str(raw.get("_target_", "")).startswith(PRESETS) or not is_own(raw):
        return []
    return [key for key in ("size", *KEYS) if _get(raw, key) in (SIZE, CHANNELS)]


def is_own(raw: Mapping[Any, Any]) -> bool:
    """Tells whether the data are the user's: they have a folder that is not the one a public set is downloaded into."""
    folders = [str(raw[key]) for key in ("root", "a", "b", "images_folder") if raw.get(key) is not None]
    if raw.get("_target_") == f"{PRESETS}hub" and not folders:
        return str(raw.get("name")) not in ("hub", "???")
    return bool(folders) and not any(folder.startswith(("${data_dir}", "???")) for folder in folders)


def _get(raw: Any, key: str) -> object:
    for part in key.split("."):
        raw = raw.get(part) if isinstance(raw, Mapping) else None
    return raw


def _formats(data: Mapping[str, Any]) -> dict[str, Formats]:
    """Returns the formats of the user's files by the set: "image", or "a" and "b" without label maps.

    Raises:
        UserError: if the data are missing.
    """
    source, cache = getattr(instantiate(data), "source", None), cache_folder(data.get("cache_dir"))
    if isinstance(source, ShardSource):
        return {"image": source.formats()} if source.formats() else {}
    if isinstance(source, Recordings):
        with without_messages():
            return {"image": formats_of_recordings(source.root, cache)}
    found = {}
    with without_messages():  # they are made when the data are read
        sets = sets_of(source)
    for name, splits in sets.items():
        files = [
            each for each in splits.values() if isinstance(each, EncodedImages) and not isinstance(each, LabelFiles)
        ]
        formats = sum((formats_of(each, cache) for each in files), Formats())
        if formats:
            found[name] = formats
    return found


@contextmanager
def without_messages() -> Iterator[None]:
    """Says nothing of the data in the block."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


def sets_of(source: Any) -> Mapping[str, Mapping[str, object]]:
    """Returns the splits of each set of images that a source has."""
    if hasattr(source, "domain_splits"):
        return source.domain_splits()  # type: ignore[no-any-return]
    return {"image": source.splits()} if hasattr(source, "splits") else {}


def _use_size(config: DictConfig, size: tuple[int, int] | None) -> None:
    default = config.image_size
    if size is None or max(size) > default or size == (default, default):
        return
    config.data.size = shortest(size)
    if not _can_be_built(config):
        OmegaConf.update(config, "data.size", default)


def shortest(size: tuple[int, int]) -> int | list[int]:
    """Returns (H, W) as ``data.size`` is given: a side, or a pair."""
    return size[0] if size[0] == size[1] else list(size)


def _can_be_built(config: DictConfig) -> bool:
    """Tells whether the model's networks can be built for the data, which takes no memory on the device "meta"."""
    try:
        model = resolve_part(config, "model")
        check_parts(config.method, model, resolve_part(config, "data"), resolve_part(config, "needs"))
        with torch.device("meta"):
            for node in _networks(model):
                instantiate(node)
    except Exception:  # a network of the user's own may raise anything: the default size is tried in earnest
        return False
    return True


def _networks(model: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields the nodes of networks that are no part of another one; the model itself is left out."""
    inside: tuple[str, ...] = ()
    for key, node in parts({name: value for name, value in model.items() if name != "_target_"}, "model"):
        target = resolve_target(str(node["_target_"]))
        if isinstance(target, type) and issubclass(target, torch.nn.Module) and not key.startswith(inside):
            inside = (*inside, f"{key}.")
            if not target.__module__.startswith("gan_lab.") or target.__module__.startswith("gan_lab.networks."):
                yield node  # losses depend on no size, and some read files


def _sentence(config: DictConfig, formats: Mapping[str, Formats]) -> str:
    """Says what was found and what is used."""
    data, together = resolve_part(config, "data"), sum(formats.values(), Formats())
    own = common_size(formats.values())
    sizes = "of different sizes" if own is None else f"of {own[1]}×{own[0]} px"
    what = counted(len(together), "recording") if own == UNKNOWN else f"{counted(len(together), 'image')} {sizes}"
    size = data["size"]
    keys: dict[str, object] = {"data.size": size if isinstance(size, int) else f"[{size[0]},{size[1]}]"}
    keys |= {f"data.{key}": _get(data, key) for key, name in KEYS.items() if name in formats}
    used = " ".join(f"{key}={value}" for key, value in keys.items())
    return f"Data {data['name']}: {what}, {together.colours}; used at {used}."
