"""Directions in a space of codes: their files, moves along them, and what they change."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gan_lab.common.atomic import atomic_write
from gan_lab.common.bounds import PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.inference.spaces import Space, SpaceName, Spread


@dataclass(frozen=True)
class Directions:
    """Unit vectors in a space of codes.

    Args:
        vectors: (K, Z), or (K, W) for styles.
        names: of each.
        values: how important each is, by its method: an eigenvalue, or the accuracy of a boundary; (K,).
        method: how they were found.
        space: "z" or "w"; they serve a style for each layer too.
        fingerprint: of the model (see ``gan_lab.inference.tuning.fingerprint``).
    """

    vectors: Tensor
    names: Sequence[str]
    values: Tensor
    method: str
    space: SpaceName
    fingerprint: str = ""

    def named(self, name: str) -> Tensor:
        """Returns a direction (Z,) by its name, or by its number from 0.

        Raises:
            UserError: if there is none.
        """
        if name in self.names:
            return self.vectors[[*self.names].index(name)]
        if name.isdecimal() and int(name) < len(self.names):
            return self.vectors[int(name)]
        raise UserError(f"There is no direction {name}: the file has {', '.join(self.names)}.")

    def save(self, path: Path) -> None:
        """Writes the directions as safetensors, whole or not at all."""
        facts = {"names": "\n".join(self.names), "method": self.method, "space": self.space}
        tensors = {"vectors": self.vectors.cpu().contiguous(), "values": self.values.cpu().contiguous()}
        with atomic_write(path) as temporary:
            save_file(tensors, temporary, {**facts, "fingerprint": self.fingerprint})

    @classmethod
    def load(cls, path: Path, fingerprint: str | None = None, space: SpaceName | None = None) -> "Directions":
        """Reads directions.

        Args:
            path: the file.
            fingerprint: of the model that they are for; None takes those of any model.
            space: of the codes that they are for; None takes those of any space.

        Raises:
            UserError: if the file cannot be read, or its directions are those of another model or space.
        """
        try:
            with safe_open(path, "pt") as file:
                facts, vectors, values = file.metadata() or {}, file.get_tensor("vectors"), file.get_tensor("values")
            found = cls(
                vectors, facts["names"].split("\n"), values, facts["method"], facts["space"], facts["fingerprint"]
            )
        except (OSError, SafetensorError, KeyError) as error:
            raise UserError(f"{path} cannot be read as directions ({error}): give a file that edit wrote.") from error
        if fingerprint is not None and found.fingerprint != fingerprint:
            raise UserError(f"{path} has directions of another model: give its checkpoint, or find them for this one.")
        if space is not None and (space == "z") != (found.space == "z"):
            raise UserError(f"{path} has directions of space={found.space}, not of {space}: give space={found.space}.")
        return found


def moved(
    space: Space, codes: Tensor, vector: Tensor, strength: float, layers: tuple[int, int] | None = None
) -> Tensor:
    """Returns codes (N, …) moved along a direction; of strength 0 the codes themselves.

    Args:
        space: of the codes.
        codes: (N, …).
        vector: (Z,) or (W,).
        strength: the distance.
        layers: first and last layer, from 0, that move, of a space with a style for each layer; None for all.

    Raises:
        UserError: for layers of another space, and for layers that there are not.
    """
    if not strength:
        return codes
    step = strength * vector.to(codes)
    if layers is None:
        return codes + step
    return codes + torch.where(layer_mask(space, codes, layers), step, 0.0)


def layer_mask(space: Space, codes: Tensor, layers: tuple[int, int]) -> Tensor:
    """Returns True at the styles of the layers from the first to the last, bool (L, 1).

    Raises:
        UserError: for a space without a style for each layer, and for layers that there are not.
    """
    count, (first, last) = space.flat(codes[:1]).shape[1], layers
    if space.name != "w+":
        raise UserError("Only a style for each layer can change in some layers: give space=w+, or leave layers= out.")
    if not 0 <= first <= last < count:
        raise UserError(f"layers={first}-{last} is not valid: this model has layers 0 to {count - 1}.")
    numbers = torch.arange(count, device=codes.device)
    return ((numbers >= first) & (numbers <= last))[:, None]


@torch.no_grad()
def strips(
    space: Space,
    directions: Directions,
    spread: Spread,
    strength: float,
    samples: PositiveInt = 4,
    seed: int = 0,
    steps: PositiveInt = 9,
) -> Tensor:
    """Generates what directions change, (K, n, T, C, H, W) in [-1, 1], on the CPU.

    Args:
        space: the space.
        directions: K in it.
        spread: of the space.
        strength: of the last of T images, in deviations of the space; the first has its negative.
        samples: n, of a seed.
        seed: of the samples.
        steps: T.
    """
    codes = space.of_samples(samples, seed)
    lengths = [float(each) * spread.deviation for each in torch.linspace(-strength, strength, steps)]

    def strip(vector: Tensor) -> Tensor:
        images = [space.images(moved(space, codes, vector, length)).clamp(-1, 1).cpu() for length in lengths]
        return torch.stack(images, 1)

    return torch.stack([strip(vector) for vector in directions.vectors.to(codes)])
