"""The trained generator that a model is given by a checkpoint: its configuration, and facts of it."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gan_lab.common.capabilities import Decodes, Samples, Styles
from gan_lab.common.errors import UserError
from gan_lab.common.runs import checkpoint_path

INVERTERS = "gan_lab.models.inverter"


def generator_of(path: str | None, what: str, default: Any = None) -> Any:
    """Returns the configuration of the generator in a checkpoint, or a fact of it.

    Args:
        path: of the checkpoint, or of a run's folder.
        what: ``model``, its configuration; ``size``, ``channels`` and ``classes`` of its images; ``layers`` and
            ``code``, the shape of its codes; ``inverter``, the class that inverts it.
        default: what is returned without a path, as where a run is resumed, which has all of it in its own records.

    Raises:
        UserError: if there is no such checkpoint, it names what it may not, or its model has no codes.
    """
    if path is None:
        return default
    place = checkpoint_path(path).resolve()
    found = _facts(place, place.stat().st_mtime_ns)[what]
    return OmegaConf.create(found) if isinstance(found, dict | list) else found


@lru_cache(4)
def _facts(path: Path, changed: int) -> dict[str, Any]:  # noqa: ARG001 (a file that was written again is read again)
    """Returns all facts; reading and building takes a moment, and every interpolation asks."""
    from gan_lab.training.checkpoint import model_of, read

    checkpoint = read(path)
    recorded = checkpoint["gan_lab"]
    model = model_of(checkpoint)  # its parts are checked against what a checkpoint may name
    if not (isinstance(model, Decodes) and isinstance(model, Samples)):
        raise UserError(
            f"generator_from={path} is a {type(model).__name__}, which generates nothing from codes: give the "
            "checkpoint of a GAN, or of an autoencoder."
        )
    classes = recorded["model"].get("classes") or 0
    latents, styled = model.latents(1, label=0 if classes else None), isinstance(model, Styles)
    codes = model.map_styles(latents) if isinstance(model, Styles) else latents[:, None]
    return {
        "model": recorded["model"],
        "size": recorded["data"]["size"],
        "channels": recorded["data"]["channels"],
        "classes": classes,
        "conditional": bool(classes),
        "layers": codes.shape[1],
        "code": codes.shape[2],
        "inverter": f"{INVERTERS}.{'StyleInverter' if styled else 'LatentInverter'}",
    }
