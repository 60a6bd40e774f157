"""Data of the command pack: single images, and the size and channels that no key states."""

from omegaconf import DictConfig, OmegaConf

from gan_lab.cli.config.compose import resolve_part
from gan_lab.cli.config.found_data import shortest, use_found_formats
from gan_lab.cli.config.parts import check_all
from gan_lab.cli.config.resuming import task_overrides
from gan_lab.common.errors import UserError
from gan_lab.evaluation.kinds import IMAGES, kind_of_config

IMAGES_INSTEAD = "give a folder of them as data=folder data.root=…, or a set of them such as data=cifar10"


def complete(config: DictConfig) -> None:
    """Sets what is not given of the data to what the user's images have, and refuses data that cannot be packed.

    Args:
        config: the composed configuration; ``data.size`` and ``data.channels`` may change.

    Raises:
        UserError: for data that are no single images, for pixels that are drawn at random, and for the user's images of
            different sizes without ``size``.
    """
    data = resolve_part(config, "data")
    if (kind := kind_of_config(data)) is not IMAGES:
        raise UserError(
            f"data={data['name']} has {kind.description}, and format={config.format} holds single images: "
            f"{IMAGES_INSTEAD}."
        )
    _use_given_size(config)
    check_all(resolve_part(config, "data"), "data")
    if data.get("binarize") is not None:
        raise UserError("Images are packed before data.binarize draws their pixels: leave it out.")
    use_found_formats(config, _use_stored_size)


def _use_given_size(config: DictConfig) -> None:
    """Puts ``size`` in the place of ``data.size``.

    Raises:
        UserError: if both are given.
    """
    if config.size is None:
        return
    if any(each.startswith("data.size=") for each in task_overrides() or []):
        raise UserError(f"size={config.size} and data.size= are the same key: give one of them.")
    OmegaConf.update(config, "data.size", config.size)


def _use_stored_size(config: DictConfig, size: tuple[int, int] | None) -> None:
    """Sets the size of the user's images.

    Raises:
        UserError: if they have several.
    """
    if size is None:
        raise UserError(
            f"The images of data.root={config.data.root} differ in size: give size=64 or another side in pixels, or "
            "size=[height,width]."
        )
    config.data.size = shortest(size)
