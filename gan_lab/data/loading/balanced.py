"""Draws of images in which every domain is equally likely, as functions of (seed, number of the draw)."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Sampler

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch
from gan_lab.data.loading.keyed_random import keyed_uniform, permutation
from gan_lab.data.loading.resized_crops import ResizedCropFlip
from gan_lab.data.types import Int64Array

DOMAINS, SHIFT = 7, 8
"""Purposes of random numbers, the first word of their keys: the order of domains, and partners."""

SOURCE, TARGET, REFERENCE, SECOND = range(4)
"""Streams of random numbers: draws of images and of references, and transforms of both references."""


class BalancedDraws:
    """Numbered draws of labelled images: each K draws in a row are of the K domains, in random order.

    A domain's images are drawn in random order, and none is drawn again before all were.

    Args:
        labels: the domain of each image, int64 (N,); domains without images are left out.
        seed: determines all draws.
    """

    def __init__(self, labels: Int64Array, seed: int) -> None:
        self.seed = seed
        self.domains = np.unique(labels)
        self.members = [np.flatnonzero(labels == domain) for domain in self.domains]
        self._orders: dict[int, tuple[int, Int64Array]] = {}

    def rows(self, draws: Int64Array) -> Int64Array:
        """Returns the rows of the images of draws (n,), int64 (n,)."""
        return np.array([self._member(*self._place(int(draw)), 0) for draw in draws], np.int64)

    def pairs(self, draws: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Returns the rows of two different images of one domain for each of the draws (n,), int64 (n,) each.

        The first ones are those of ``rows``; the second ones are drawn without repetition, too.
        """
        places = [self._place(int(draw)) for draw in draws]
        return self.rows(draws), np.array([self._member(*place, self._shift(*place)) for place in places], np.int64)

    def _place(self, draw: int) -> tuple[int, int]:
        """Returns the number of a draw's domain, and how often the domain was drawn before."""
        turn, place = divmod(draw, len(self.domains))
        return int(permutation(len(self.domains), self.seed, DOMAINS, turn)[place]), turn

    def _member(self, domain: int, turn: int, shift: int) -> int:
        done, place = divmod(turn, len(self.members[domain]))
        return int(self._order(domain, done)[(place + shift) % len(self.members[domain])])

    def _shift(self, domain: int, turn: int) -> int:
        """Returns how far partners are from each other in the order of a domain's images, which is at least 1."""
        count = len(self.members[domain])
        chance = keyed_uniform(np.array([turn // count]), self.seed, SHIFT, domain)[0]
        return 1 + int(chance * (count - 1))

    def _order(self, domain: int, done: int) -> Int64Array:
        """Returns a domain's rows in the order of a pass; the newest is kept."""
        known = self._orders.get(domain)
        if known is None or known[0] != done:
            members = self.members[domain]
            known = done, members[permutation(len(members), self.seed, domain, done)]
            self._orders[domain] = known
        return known[1]


class DrawSampler(Sampler[Int64Array]):
    """Endless numbers of draws (a ``BatchSampler``): batch b has the draws [bB, (b+1)B), of which rank r takes a part.

    An iteration that takes several batches gets them joined, one after the other.

    Args:
        n: images of the set: an epoch has as many draws, as far as they fill batches.
        batch_size: B, over all ranks.
        rank, world_size: which part of each batch is taken.
        start: the first iteration, counted over all epochs.
        batches: batches per iteration.

    Raises:
        UserError: if the ranks cannot share a batch evenly.
    """

    def __init__(
        self, n: int, batch_size: int, rank: int = 0, world_size: int = 1, start: int = 0, batches: int = 1
    ) -> None:
        if batch_size % world_size:
            raise UserError(
                f"batch_size={batch_size} cannot be shared by {world_size} devices: give a multiple of {world_size}."
            )
        self.batch_size, self.batches, self.start = batch_size, batches, start
        per_rank = batch_size // world_size
        self.share = slice(rank * per_rank, (rank + 1) * per_rank)
        self.per_epoch = max(1, n // (batch_size * batches))

    def start_at(self, iteration: int) -> None:
        """Lets the next pass start at an iteration, counted over all epochs."""
        self.start = iteration

    def __iter__(self) -> Iterator[Int64Array]:
        taken, iteration = self.batches * self.batch_size, self.start
        while True:
            draws = np.arange(iteration * taken, (iteration + 1) * taken).reshape(self.batches, self.batch_size)
            yield draws[:, self.share].reshape(-1)
            iteration += 1


class DomainDraws:
    """Batches of numbered draws (a ``BatchDataset``).

    They have ``image`` uint8 (n, C, H, W) and ``label`` int64 (n,); with references ``reference`` and
    ``second_reference`` uint8 (n, C, H, W), two different images of the domain ``to`` int64 (n,); with attributes
    ``attributes`` float32 (n, A), the binary digits of the labels.

    Args:
        images: crops and flips.
        labels: the domain of each image, int64 (N,).
        seed: determines the draws.
        references: batches have references.
        attributes: A; without any, every domain is equally likely, with some, every image is.
    """

    def __init__(
        self, images: ResizedCropFlip, labels: Int64Array, seed: int, references: bool, attributes: int = 0
    ) -> None:
        self.images, self.labels, self.references, self.attributes = images, labels, references, attributes
        drawn = np.zeros_like(labels) if attributes else labels
        self.sources, self.targets = (BalancedDraws(drawn, seed_of(seed, stream)) for stream in (SOURCE, TARGET))

    def __getitem__(self, draws: Int64Array) -> Batch:
        rows = self.sources.rows(draws)
        batch = {"image": self.images(rows, draws, SOURCE), "label": torch.from_numpy(self.labels[rows])}
        if self.attributes:
            batch["attributes"] = (batch["label"][:, None] >> torch.arange(self.attributes) & 1).float()
        if self.references:
            first, second = self.targets.pairs(draws)
            batch["reference"] = self.images(first, draws, REFERENCE)
            batch["second_reference"] = self.images(second, draws, SECOND)
            batch["to"] = torch.from_numpy(self.labels[first])
        return batch


def seed_of(seed: int, stream: int) -> int:
    """Derives the seed of a stream of draws."""
    return int(keyed_uniform(np.array([stream]), seed)[0] * 2**53)
