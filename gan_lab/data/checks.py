"""Checks of values that users give for data."""

from collections.abc import Sequence

from gan_lab.common.errors import UserError


def parse_size(size: int | Sequence[int] | None, key: str = "data.size") -> tuple[int, int]:
    """Returns (H, W) from the side of a square or from a pair.

    Args:
        size: a side in pixels, or [H, W].
        key: the user's name for it.

    Raises:
        UserError: unless the sides are positive integers.
    """
    pair = [size, size] if isinstance(size, int) else list(size) if isinstance(size, Sequence) else []
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise UserError(f"{key}={size} is not valid: give a side of at least 1 pixel, or [height, width].")
    return int(pair[0]), int(pair[1])


def check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    """Checks that a value is among the choices.

    Raises:
        UserError: if it is not.
    """
    if value not in choices:
        raise UserError(f"data.{key}={value} is not valid: give one of {', '.join(choices)}.")


def check_counts(**counts: int | None) -> None:
    """Checks that values are None or integers of at least 1.

    Raises:
        UserError: if one is not.
    """
    for key, value in counts.items():
        if value is not None and value < 1:
            raise UserError(f"data.{key}={value} is not valid: give an integer of at least 1.")
