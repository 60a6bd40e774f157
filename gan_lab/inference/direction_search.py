"""Directions in a space of codes that change one thing in images: found in weights, in codes, or from labels."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt, Share
from gan_lab.common.errors import UserError
from gan_lab.inference.directions import Measure
from gan_lab.inference.spaces import AT_ONCE, Space

Boundary = Literal["logistic", "svm", "mean"]
"""How two classes of codes are parted: by logistic regression, a linear support vector machine, or their means."""


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
