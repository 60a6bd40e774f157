"""Folders of one model, for others to use: ``model.safetensors``, ``config.json`` and ``README.md``.

The contract, which ``gan_lab.load(folder)`` and every ``checkpoint=folder`` rely on:

- ``model.safetensors`` has the weights that inference needs, each once: the averaged ones where the model keeps an
  average. Names are those of the model's ``state_dict`` without ``prefix``, which is ``network.`` if all weights are
  those of one network, so that other programs read them as that network's. Its header says nothing that is needed.
- ``config.json`` has ``library`` ("gan_lab"), ``format`` and ``versions``; ``model``, the configuration that builds
  the model, and ``data``, that of its data without paths (``places`` names the keys to give); ``class_names``,
  ``size``, ``channels`` and ``classes`` of the images; ``counters``; ``averaged``, the networks with averaged weights;
  ``left_out``, the networks that only training uses; ``prefix``; and ``sha256`` of ``model.safetensors``.
- ``README.md`` is a card for people. Reading does not need it, and ignores every other file.

Weights with another SHA-256 are refused. What ``config.json`` names is built as from a checkpoint: inside the
allow-list of ``gan_lab.common.trust``, and no code of the folder runs.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gan_lab.common.atomic import writing
from gan_lab.common.errors import UserError
from gan_lab.common.left_out import left_out
from gan_lab.common.runs import CONFIG, WEIGHTS, write_json
from gan_lab.training.paths_left_out import without_paths

CARD = "README.md"
AVERAGED = "ema.networks."
KEPT = ("model", "data", "places", "class_names", "format", "versions")
"""Keys of a checkpoint's ``gan_lab`` that the folder keeps."""
KINDS = {
    **{"model": dict, "data": dict, "places": list, "counters": dict, "averaged": list, "left_out": list},
    **{"prefix": str, "sha256": str, "format": int},
}
"""Keys of ``config.json`` that reading needs."""


def write_model(model: Any, contents: Mapping[str, Any], folder: Path, card: str) -> None:
    """Writes a model into an empty folder.

    Args:
        model: its averaged networks are written, or the live ones where these are in use.
        contents: the key ``gan_lab`` of its checkpoint.
        folder: it exists.
        card: the text of ``README.md``.
    """
    tensors = weights_of(model)
    prefix = common_prefix(tensors)
    own = {name.removeprefix(prefix): value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with writing(folder):
        save_file(own, folder / WEIGHTS, {"format": "pt"})
        (folder / WEIGHTS).chmod(0o644)  # safetensors makes files that only their owner can read
        (folder / CARD).write_text(card, encoding="utf-8")
    kept = without_paths({key: contents[key] for key in KEPT if key in contents})
    engine = kept["model"].get("engine")
    if isinstance(engine, dict) and engine.get("ema_widths"):  # one average is left of several
        kept["model"] = {**kept["model"], "engine": {**engine, "ema_widths": None}}
    facts = {key: (contents.get("data") or {}).get(key) for key in ("size", "channels", "classes")}
    made = {
        "prefix": prefix,
        "averaged": sorted(getattr(model.ema, "networks", {})),
        "left_out": sorted({*model.training_only, *left_out(model)}),
        "counters": {name: getattr(model, name) for name in ("iteration", "images_seen", "seconds")},
        "sha256": fingerprint(folder / WEIGHTS),
    }
    write_json(folder / CONFIG, {"library": "gan_lab", **kept, **facts, **made})


def weights_of(model: Any) -> dict[str, Tensor]:
    """Returns the tensors that inference needs, by their names in the model: averages in place of live networks."""
    unused = ("ema.", *(f"{name}." for name in model.training_only))
    state = {name: value for name, value in model.state_dict().items() if not name.startswith(unused)}
    for network in getattr(model.ema, "networks", {}):
        state |= {f"{network}.{name}": value for name, value in model.averaged(network).state_dict().items()}
    return state


def common_prefix(names: Sequence[str] | Mapping[str, object]) -> str:
    """Returns the name of the one network that has all weights, with a dot; nothing if there are several."""
    owners = {name.partition(".")[0] for name in names}
    return f"{owners.pop()}." if len(owners) == 1 else ""


def read_model(weights: Path) -> dict[str, Any]:
    """Returns the model of a folder, given the path of its weights, in the form of a checkpoint.

    Raises:
        UserError: if the folder is not complete or not ours, or its weights are not those that it states.
    """
    config = _config(weights)
    if fingerprint(weights) != config["sha256"]:
        raise UserError(
            f"{weights} has another fingerprint (SHA-256) than {CONFIG} beside it states, so it is damaged or was "
            "exchanged: get both files again from where they came."
        )
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise UserError(f"{weights} cannot be read ({error}): give another file, or a copy of it.") from error
    state = {f"{config['prefix']}{name}": value for name, value in tensors.items()}
    beginnings = tuple(f"{network}." for network in config["averaged"])
    state |= {f"{AVERAGED}{name}": value for name, value in state.items() if beginnings and name.startswith(beginnings)}
    found = {"gan_lab": {key: config[key] for key in KEPT if key in config}, "state_dict": state, "extra_state": None}
    return {**found, "counters": config["counters"], "left_out": config["left_out"]}


def _config(weights: Path) -> dict[str, Any]:
    """Returns ``config.json`` beside weights.

    Raises:
        UserError: if it is missing, or not ours.
    """
    try:
        config = json.loads((weights.parent / CONFIG).read_text(encoding="utf-8"))
        ours = config["library"] == "gan_lab" and all(isinstance(config[name], kind) for name, kind in KINDS.items())
        names = config.get("class_names") or []
        ours = ours and isinstance(names, list)
        ours = ours and all(isinstance(name, str) for name in (*config["averaged"], *config["left_out"], *names))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        ours = False
    if not ours:
        raise UserError(
            f"{weights} was not written by gan_lab, or without the {CONFIG} that says how to build its model: give the "
            "folder of a model that gan_lab.export wrote, or a checkpoint of gan_lab.train."
        )
    return dict(config)


def fingerprint(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
