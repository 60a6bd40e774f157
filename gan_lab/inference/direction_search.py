"""Directions in a space of codes that change one thing in images: found in weights, in codes, or from labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.inference.attributes import Attributes, extremes, leaks, of_samples
from gan_lab.inference.spaces import AT_ONCE, Space

Boundary = Literal["logistic", "svm", "mean"]
"""How two classes of codes are parted: by logistic regression, a linear support vector machine, or their means."""
Method = Literal["regression", "logistic", "svm", "mean"]
"""How directions are learnt: by least squares of the attribute on all codes, or as the normal of a ``Boundary``."""


LEAST_SQUARES = 1e-4
"""Weight of the squared weights, for codes that do not span their space."""
CANCELLED = 0.05
"""Share of the largest singular value of a table of changes below which directions are taken for the same."""
NOTHING = 1e-6
"""Share of the largest eigenvalue below which a direction changes nothing."""


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


@dataclass(frozen=True)
class Learnt:
    """Directions that change attributes.

    Args:
        vectors: unit vectors (Z,) by name. Of several attributes, "NAME only" is that of NAME without what changes the
            others.
        accuracies: of each attribute's boundary, or the share of its variance that least squares explain, both on codes
            kept apart.
    """

    vectors: dict[str, Tensor]
    accuracies: dict[str, float]


def learnt(
    space: Space,
    attributes: Attributes,
    strength: float,
    method: Method = "regression",
    kept: Sequence[Tensor] = (),
    samples: PositiveInt = 2000,
    seed: int = 0,
) -> Learnt:
    """Returns the directions that change attributes of images (Shen et al. 2020, InterFaceGAN).

    Args:
        space: of the codes.
        attributes: of images.
        strength: the distance by which codes are going to move.
        method: see ``Method``. A boundary parts the codes of samples with low values from those with high ones.
        kept: directions (Z,) that all of these must be orthogonal to.
        samples: number of samples that the attributes are measured of.
        seed: of the samples.

    Raises:
        UserError: if an attribute is the same in all samples, or nothing is left of a direction.
    """
    points, values = of_samples(space, attributes, samples, seed)
    for name, own in values.items():
        if not own.std():
            raise UserError(f"All samples are alike in {name}: give another attribute, or a model that draws it.")
    found = {
        name: slope(points, own, seed) if method == "regression" else boundary(*extremes(points, own), method, seed)
        for name, own in values.items()
    }
    vectors = {name: conditional(vector, kept) for name, (vector, _) in found.items()}
    if len(found) > 1:
        apart = disentangled(space, vectors, attributes, strength, seed=seed)
        vectors |= {f"{name} only": vector for name, vector in apart.items()}
    return Learnt(vectors, {name: accuracy for name, (_, accuracy) in found.items()})


def disentangled(
    space: Space,
    vectors: Mapping[str, Tensor],
    attributes: Attributes,
    strength: float,
    rounds: PositiveInt = 3,
    samples: PositiveInt = 500,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Returns directions that change one attribute each, as sums of directions that change several.

    Shen et al. 2020 (section 2.2) take the part of a normal that is orthogonal to the others, which is right for
    infinitely short moves. Here the changes are measured at the distance of the moves, so that they cancel there.

    Args:
        space: of the codes.
        vectors: unit vectors (Z,) by attribute.
        attributes: of images.
        strength: the distance.
        rounds: of measuring and cancelling.
        samples: number of samples that are moved.
        seed: of the samples.
    """
    names, found = [*vectors], torch.stack([*vectors.values()]).double()
    for _ in range(rounds):
        table = leaks(space, dict(zip(names, found.float(), strict=True)), attributes, strength, samples, seed)
        changes = torch.tensor([[table[each][name] for name in names] for each in names], dtype=torch.float64)
        found = torch.linalg.pinv(changes, rtol=CANCELLED) @ found  # row i changes attribute i by 1, and no other
        found = found / found.norm(dim=1, keepdim=True)
    return dict(zip(names, found.float(), strict=True))


def slope(points: Tensor, values: Tensor, seed: int = 0) -> tuple[Tensor, float]:
    """Returns the unit slope of values on codes by least squares, and the share of the variance that it explains.

    Args:
        points: (N, Z).
        values: (N,).
        seed: of the choice of the fifth that is kept apart, of which the share is.
    """
    points, values = points.double().cpu(), values.double().cpu()
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
    apart, used = order[: len(order) // 5], order[len(order) // 5 :]
    columns = torch.cat([points, torch.ones(len(points), 1)], 1)
    scale = columns[used].square().mean(0).sqrt().clamp(min=1e-12)
    ridge = LEAST_SQUARES * len(used) * torch.eye(columns.shape[1], dtype=torch.float64)
    design = columns[used] / scale
    weights = torch.linalg.solve(design.T @ design + ridge, design.T @ values[used]) / scale
    missed = (columns[apart] @ weights - values[apart]).square().mean()
    explained = 1 - missed / (values[apart] - values[used].mean()).square().mean().clamp(min=1e-12)
    return (weights[:-1] / weights[:-1].norm()).float(), float(explained)


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
