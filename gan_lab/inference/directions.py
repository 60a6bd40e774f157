"""Directions in a space of codes that change one thing in images: found in weights, in codes, or from labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gan_lab.common.atomic import atomic_write
from gan_lab.common.bounds import PositiveInt, Share
from gan_lab.common.errors import UserError
from gan_lab.common.images import grid
from gan_lab.inference.spaces import AT_ONCE, Space, SpaceName, Spread

Boundary = Literal["logistic", "svm", "mean"]
"""How two classes of codes are parted: by logistic regression, a linear support vector machine, or their means."""


Measure = Callable[[Tensor], Tensor]
"""Maps images (N, C, H, W) to an attribute of each, (N,)."""


NOTHING = 1e-6
"""Share of the largest eigenvalue below which a direction changes nothing."""


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


def factorised(weights: Tensor, count: PositiveInt = 20) -> tuple[Tensor, Tensor]:
    """Returns the unit vectors that linear maps change most, and by how much (Shen and Zhou 2021, SeFa, eq. 6).

    Args:
        weights: rows of all the maps, (R, Z).
        count: largest number of vectors.

    Returns:
        eigenvectors of AᵀA (K, Z), and its eigenvalues (K,), the largest first; those of what changes nothing are left
        out.
    """
    vectors, values = _largest(weights.double().T @ weights.double(), count)
    changing = values > NOTHING * values[0]
    return vectors[changing], values[changing]


@torch.no_grad()
def principal_components(
    space: Space, count: PositiveInt = 20, samples: PositiveInt = 100_000, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Returns the principal components of samples' codes, and their variances (Härkönen et al. 2020, GANSpace).

    Args:
        space: the space.
        count: largest number of components.
        samples: number of samples; only sums over them are kept.
        seed: of the samples.

    Returns:
        unit vectors (K, Z), and variances (K,), the largest first.
    """
    total: Tensor | float = 0.0
    products: Tensor | float = 0.0
    for begin in range(0, samples, AT_ONCE):
        points = space.flat(space.of_samples(min(AT_ONCE, samples - begin), seed, begin))[:, 0].double()
        total, products = total + points.sum(0), products + points.T @ points
    mean = torch.as_tensor(total) / samples
    return _largest(torch.as_tensor(products) / samples - torch.outer(mean, mean), count)


def boundary(points: Tensor, labels: Tensor, method: Boundary = "logistic", seed: int = 0) -> tuple[Tensor, float]:
    """Returns the unit normal of a plane between two classes of codes, and its accuracy on codes kept apart.

    Shen et al. 2020 (InterFaceGAN), section 2.1; the normal points to class 1.

    Args:
        points: (N, Z).
        labels: 0 or 1, (N,).
        method: see ``Boundary``.
        seed: of the choice of the fifth that is kept apart.

    Raises:
        UserError: for fewer than five codes of a class.
    """
    if min(int((labels == each).sum()) for each in (0, 1)) < 5:
        raise UserError("A boundary needs at least five examples of either class: give more images.")
    points, labels = points.double().cpu(), labels.cpu()
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
    classes = [order[labels[order] == each] for each in (0, 1)]
    apart = torch.cat([rows[: len(rows) // 5] for rows in classes])
    used = torch.cat([rows[len(rows) // 5 :] for rows in classes])
    middle, scale = points[used].mean(0), points[used].std(0).clamp(min=1e-12)
    normal, offset = _plane((points[used] - middle) / scale, labels[used], method)
    said = ((points[apart] - middle) / scale) @ normal + offset > 0
    vector = normal / scale
    return (vector / vector.norm()).float(), float((said == (labels[apart] > 0)).double().mean())


@torch.no_grad()
def judged(
    space: Space,
    score: Measure,
    samples: PositiveInt = 2000,
    share: Share = 0.2,
    seed: int = 0,
    batch_size: PositiveInt = 50,
) -> tuple[Tensor, Tensor]:
    """Returns the codes of the samples with the lowest and the highest scores, and their labels 0 and 1.

    Args:
        space: of the codes.
        score: of images.
        samples: number of samples that are judged.
        share: of the samples on either side that is kept (Shen et al. 2020, section 3.1).
        seed: of the samples.
        batch_size: images generated at once.

    Returns:
        points (N, Z), and labels, int64 (N,).
    """
    starts = range(0, samples, batch_size)
    codes = [space.of_samples(min(batch_size, samples - begin), seed, begin) for begin in starts]
    scores = torch.cat([score(space.images(each).clamp(-1, 1)).cpu() for each in codes])
    order, count = scores.argsort(stable=True), max(1, round(share * samples))
    chosen = torch.cat([order[:count], order[-count:]])
    points = torch.cat([space.flat(each)[:, 0].cpu() for each in codes])
    return points[chosen], torch.arange(2).repeat_interleave(count)


def conditional(vector: Tensor, others: Sequence[Tensor]) -> Tensor:
    """Returns the unit part of a direction (Z,) that is orthogonal to others (Shen et al. 2020, section 2.2).

    Raises:
        UserError: if nothing is left of it.
    """
    if not others:
        return vector / vector.norm()
    basis = torch.linalg.qr(torch.stack([*others]).double().T).Q
    rest = vector.double() - basis @ (basis.T @ vector.double())
    if rest.norm() < 1e-6 * vector.norm():
        raise UserError("This direction lies within the others: condition it on fewer.")
    return (rest / rest.norm()).to(vector)


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
def leaks(
    space: Space,
    directions: Mapping[str, Tensor],
    measures: Mapping[str, Measure],
    strength: float,
    samples: PositiveInt = 200,
    seed: int = 0,
    batch_size: PositiveInt = 50,
) -> dict[str, dict[str, float]]:
    """Measures what each direction changes besides what it is named for.

    Args:
        space: the space.
        directions: by name.
        measures: of attributes, by name.
        strength: codes move by minus and plus this distance.
        samples: number of samples that are moved.
        seed: of the samples.
        batch_size: images generated at once.

    Returns:
        for each direction the mean change of each attribute from one end to the other, in deviations of the attribute
        over the samples as they are.
    """
    codes = space.of_samples(samples, seed)

    def measured(at: Tensor) -> dict[str, Tensor]:
        images = [space.images(part).clamp(-1, 1) for part in at.split(batch_size)]
        return {name: torch.cat([measure(each) for each in images]).double() for name, measure in measures.items()}

    spread = {name: values.std().clamp(min=1e-12) for name, values in measured(codes).items()}
    found = {}
    for name, vector in directions.items():
        low, high = (measured(moved(space, codes, vector, sign * strength)) for sign in (-1, 1))
        found[name] = {each: float((high[each] - low[each]).mean() / spread[each]) for each in measures}
    return found


@torch.no_grad()
def strips(
    space: Space,
    directions: Directions,
    spread: Spread,
    strength: float,
    samples: PositiveInt = 4,
    seed: int = 0,
    steps: PositiveInt = 7,
) -> Tensor:
    """Draws what directions change: a block of rows for each, and in it a row for each sample.

    Args:
        space: the space.
        directions: in it.
        spread: of the space.
        strength: of the last image of a row, in deviations of the space; the first has its negative.
        samples: rows of each block.
        seed: of the samples.
        steps: images of a row.

    Returns:
        a sheet, uint8 (1 or 3, H, W).
    """
    codes = space.of_samples(samples, seed)
    rows = []
    for vector in directions.vectors.to(codes):
        lengths = torch.linspace(-strength, strength, steps) * spread.deviation
        columns = [space.images(moved(space, codes, vector, float(length))).clamp(-1, 1).cpu() for length in lengths]
        rows.append(torch.stack(columns, 1).flatten(0, 1))
    return grid(torch.cat(rows), steps)


def _plane(points: Tensor, labels: Tensor, method: Boundary) -> tuple[Tensor, float]:
    """Returns normal (Z,) and offset of a plane between two classes of points (N, Z), scaled to deviation 1."""
    if method == "mean":
        means = [points[labels == each].mean(0) for each in (0, 1)]
        normal = means[1] - means[0]
        return normal, float(-normal @ (means[0] + means[1]) / 2)
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    model = LogisticRegression(max_iter=1000) if method == "logistic" else LinearSVC(C=0.1, random_state=0)
    fitted = model.fit(points.numpy(), labels.numpy())
    return torch.from_numpy(fitted.coef_[0]), float(fitted.intercept_[0])


def _largest(matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Returns eigenvectors (K, Z) and eigenvalues (K,) of a symmetric matrix, the largest first; the largest number of
    each vector is positive.
    """
    values, vectors = torch.linalg.eigh(matrix)
    chosen = vectors.flip(1).T[:count]
    signs = chosen.gather(1, chosen.abs().argmax(1, keepdim=True)).sign()
    return (chosen * signs).float(), values.flip(0)[:count].float()
