"""Nearest neighbours and balls around them, in Euclidean distance, without a matrix of all distances.

Distances are computed in blocks of rows by float32 products, |a|² + |b|² - 2 a·b. Their error is below ``ROUNDING``
times |a|² + |b|² after both sides are centred. What decides, the k nearest neighbours of a point or the ball that a
point is deepest inside of, is then computed again from the differences in float64. A result can therefore differ from
that of exact distances only where two candidates are as close as that error, and copies have the distance 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.common.precision import full_precision
from gan_lab.evaluation.derived import derived

ROUNDING = 2e-6
"""Bound of the error of a squared distance, relative to the sum of both squared norms."""

MAX_K = 5
"""Neighbours that are computed at once: the metrics' default k are not larger."""

_MAX_ENTRIES = 2**24
"""Distances in a block, at most: a block is 64 MB."""

_TILE = 2048
"""Rows and columns of a tile."""

_PAIRS = 2**22
"""Numbers in a block of differences, at most."""


def distance_blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yields the squared distances of rows of a (m, d) to all rows of b (n, d): a slice of r rows, and (r, n)."""
    square_a, square_b = a.square().sum(1), b.square().sum(1)
    for part in _parts(len(a), len(b)):
        yield part, _squares(a[part], b, square_a[part], square_b)


def distance_tiles(a: Tensor, b: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yields the squared distances of rows of a (m, d) to rows of b (n, d): a slice of r rows of a, one of s of b, and
    (r, s). Tiles stay in a processor's cache, so all but the product costs little.
    """
    square_a, square_b = a.square().sum(1), b.square().sum(1)
    for here in _tiles(len(a)):
        for there in _tiles(len(b)):
            yield here, there, _squares(a[here], b[there], square_a[here], square_b[there])


def own_distance_tiles(x: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yields the squared distances between rows of x (n, d), each pair of tiles once: a slice of r rows, the same or a
    later one of s rows, and (r, s).
    """
    norms, tiles = x.square().sum(1), _tiles(len(x))
    for number, here in enumerate(tiles):
        for there in tiles[number:]:
            yield here, there, _squares(x[here], x[there], norms[here], norms[there])


def _tiles(n: int) -> list[slice]:
    return [slice(start, min(start + _TILE, n)) for start in range(0, n, _TILE)]


def _squares(a: Tensor, b: Tensor, square_a: Tensor, square_b: Tensor) -> Tensor:
    """Returns the squared distances (m, n) of a (m, d) and b (n, d) with the squared norms (m,) and (n,)."""
    with full_precision():
        return torch.addmm(square_b[None], a, b.T, alpha=-2).add_(square_a[:, None]).clamp_(min=0)


def _parts(rows: int, columns: int) -> list[slice]:
    size = max(1, _MAX_ENTRIES // columns)
    return [slice(start, min(start + size, rows)) for start in range(0, max(rows, 1), size)]


def exact_squares(a: Tensor, b: Tensor) -> Tensor:
    """Returns the squared distances (m,) of each row of a (m, d) to the same row of b (m, d), summed in float64 and
    rounded to the dtype of a.
    """
    parts = zip(*(side.split(max(1, _PAIRS // a.shape[1])) for side in (a, b)), strict=True)
    return torch.cat([(one.double() - other.double()).square().sum(1) for one, other in parts]).to(a)


def centred(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Subtracts the real mean from both (m, d) and (n, d).

    Distances stay the same, and have smaller rounding errors if features are far from 0.
    """
    mean = real.double().mean(0).to(real)
    return real - mean, fake - mean


def squared_radii(x: Tensor, k: int) -> Tensor:
    """Returns the squared distances (n,) of the rows of x (n, d) to their k-th nearest neighbours among the others.

    n must be above k. The distances are kept as long as x exists, because several metrics need those of one set.
    """
    return derived(x, radii_name(k), lambda: neighbour_squares(x, min(max(k, MAX_K), len(x) - 1)))[:, k - 1]


def radii_name(k: int) -> str:
    """Returns the name under which the distances to k neighbours are kept; see ``derived``."""
    return f"squared distances to {max(k, MAX_K)} neighbours"


def neighbour_squares(x: Tensor, k: int) -> Tensor:
    """Returns the squared distances (n, k) of the rows of x (n, d) to their k nearest neighbours among the others.

    Each pair of rows is computed once.
    """
    own = x - x.double().mean(0).to(x)
    near = Nearest(own.new_zeros(len(x), k, dtype=torch.int64), own.new_full((len(x), k), torch.inf))
    for here, there, squares in own_distance_tiles(own):
        if here == there:
            squares.fill_diagonal_(torch.inf)
        else:
            near.add(there, squares.T.contiguous(), here.start)
        near.add(here, squares, there.start)
    return torch.stack([exact_squares(x, x[each]) for each in near.index.unbind(1)], 1).sort(1).values


@dataclass(frozen=True)
class Nearest:
    """The k nearest neighbours of each point, the nearest first: numbers (m, k) and squared distances (m, k)."""

    index: Tensor
    squares: Tensor

    def add(self, part: slice, squares: Tensor, start: int) -> None:
        """Takes the squared distances (r, n) of the points of a slice to others, numbered from ``start``."""
        rows = (squares.amin(1) < self.squares[part, -1]).nonzero()[:, 0]
        points = rows + part.start
        found = squares[rows].topk(min(self.squares.shape[1], squares.shape[1]), largest=False)
        every = torch.cat([self.squares[points], found.values], 1)
        numbers = torch.cat([self.index[points], found.indices + start], 1)
        best = every.topk(self.squares.shape[1], largest=False)
        self.squares[points], self.index[points] = best.values, numbers.gather(1, best.indices)


def nearest(points: Tensor, others: Tensor, k: int = 1) -> Nearest:
    """Finds the k nearest neighbours of the points (m, d) among others (n, d)."""
    centres, own = centred(others, points)
    found = torch.cat([squares.topk(k, largest=False).indices for _, squares in distance_blocks(own, centres)])
    exact = torch.stack([exact_squares(points, others[each]) for each in found.unbind(1)], 1)
    order = exact.sort(dim=1, stable=True)
    return Nearest(found.gather(1, order.indices), order.values)


def covered(points: Tensor, centres: Tensor, squares: Tensor) -> Tensor:
    """Tells which of the points (m, d) lie in a ball around one of the centres (n, d) with the squared radii (n,).

    Returns bool (m,). Kept for code of users: ``covered_by_each_other`` answers for both sides at once.
    """
    return covered_by_each_other(points, centres, squares.new_zeros(len(points)), squares)[0]


def covered_by_each_other(a: Tensor, b: Tensor, squares_a: Tensor, squares_b: Tensor) -> tuple[Tensor, Tensor]:
    """Tells which of the points a (m, d) lie in a ball around one of b (n, d), and which of b in one around a.

    Args:
        a, b: the points.
        squares_a, squares_b: the squared radii (m,) and (n,) of their balls.

    Returns:
        bool (m,) and bool (n,).
    """
    centred_b, centred_a = centred(b, a)
    depth_a, depth_b = (torch.full_like(squares, -torch.inf) for squares in (squares_a, squares_b))
    for here, there, squares in distance_tiles(centred_a, centred_b):
        depth_b[there] = torch.maximum(depth_b[there], (squares_a[here, None] - squares).amax(0))
        depth_a[here] = torch.maximum(depth_a[here], squares.neg_().add_(squares_b[there]).amax(1))
    in_a, in_b = depth_a >= 0, depth_b >= 0
    for inside, depth, points, centres, radii in ((in_a, depth_a, a, b, squares_b), (in_b, depth_b, b, a, squares_a)):
        close = near_ties(depth, points, centres)
        inside[close] = _lie_in_deepest(points[close], centres, radii)
    return in_a, in_b


def near_ties(differences: Tensor, points: Tensor, others: Tensor) -> Tensor:
    """Returns the numbers of the points (m, d) whose difference (m,), of a squared distance to one of the others (n, d)
    and something exact, may have the wrong sign by rounding.
    """
    return (differences.abs() <= _bounds(points, others)).nonzero()[:, 0]


def _bounds(points: Tensor, others: Tensor) -> Tensor:
    """Returns bounds (m,) of the errors of the squared distances of the points (m, d) to others (n, d)."""
    others, points = centred(others, points)
    return ROUNDING * (points.square().sum(1) + others.square().sum(1).max())


def count_inside(points: Tensor, centres: Tensor, squares: Tensor) -> tuple[int, Tensor]:
    """Counts how often a point (m, d) lies inside of a ball around one of the centres (n, d), not on its surface.

    Pairs that rounding could decide are computed again exactly.

    Args:
        points: the points.
        centres: the centres of the balls.
        squares: the squared radii (n,).

    Returns:
        The number of pairs, and the squared distance (n,) of each centre to the nearest point, not exact.
    """
    bounds, count, least = _bounds(points, centres), 0, torch.full_like(squares, torch.inf)
    for here, there, found in distance_tiles(*centred(centres, points)[::-1]):
        least[there] = torch.minimum(least[there], found.amin(0))
        depths, bound = found.neg_().add_(squares[there]), bounds[here, None]
        count += int((depths > bound).count_nonzero())
        ties = (depths.abs_() <= bound).nonzero()
        for rows, columns in (each.unbind(1) for each in ties.split(max(1, _PAIRS // points.shape[1]))):
            exact = exact_squares(points[here][rows], centres[there][columns])
            count += int((exact < squares[there][columns]).count_nonzero())
    return count, least


def _lie_in_deepest(points: Tensor, centres: Tensor, squares: Tensor) -> Tensor:
    """Tells which points (m, d) lie in that of the balls, around the centres (n, d) with the squared radii (n,), that
    they are deepest inside of; exactly.
    """
    around, own = centred(centres, points)
    best = torch.cat([(squares - found).argmax(1) for _, found in distance_blocks(own, around)])
    return exact_squares(points, centres[best]) <= squares[best]
