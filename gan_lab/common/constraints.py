"""Requirements that parts of a model have on the data, checked before anything is read or built.

A part that accepts only some data says so in a static method ``check_data``, see ``ChecksData``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from gan_lab.common.errors import UserError


@runtime_checkable
class ChecksData(Protocol):
    """A class of parts that accepts only some data."""

    @staticmethod
    def check_data(data: Mapping[str, Any], **arguments: Any) -> None:
        """Checks that a part can use the data.

        Args:
            data: the data's configuration, resolved: ``size``, ``channels``, …
            arguments: of the part, by name, resolved.

        Raises:
            UserError: in one sentence, naming the keys that would work.
        """


def height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    """Returns both sides of ``data.size``, a side in pixels or [height, width]."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def check_colour(data: Mapping[str, Any], **_: object) -> None:
    """Checks that images of a data set, or of both its domains, are in colour; see ``ChecksData``.

    Raises:
        UserError: for grey images and label maps.
    """
    parts = {f"domains.{side}.": each for side, each in data["domains"].items()} if "domains" in data else {"": data}
    for key, part in parts.items():
        if part.get("channels", 3) != 3 or part.get("labels"):
            raise UserError(f"This model takes images in colour: give data.{key}channels=3, and no labels.")


def has_single_images(data: Mapping[str, Any]) -> bool:
    """Tells whether data are single images: clips have a ``length``, and two domains state whether they are pairs."""
    return "length" not in data and "paired" not in data
