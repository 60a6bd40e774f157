"""Two domains in memory and models between them, for the tests of metrics and callbacks."""

import hashlib

import torch

from gan_lab.common.domains import Domain
from gan_lab.networks.resnet import Generator


def pictures(n, seed, shape=(3, 16, 16), level=128.0):
    """Smooth noise around a level, uint8 (n, *shape)."""
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, shape[0], 4, 4, generator=random)
    noise = torch.nn.functional.interpolate(noise, shape[1:], mode="bilinear")
    return (level + 40 * noise).clamp(0, 255).to(torch.uint8)


class Side:
    """Batches by split, which may differ in height and width."""

    classes = 0

    def __init__(self, **splits):
        self.splits = {name: [batches] if torch.is_tensor(batches) else batches for name, batches in splits.items()}
        self.channels, self.height, self.width = self.splits["test"][0].shape[1:]

    def images(self, split, limit=None):
        for batch in self.splits[split]:
            yield batch[:limit]
            limit = None if limit is None else max(0, limit - len(batch))
            if limit == 0:
                return

    def count(self, split):
        return sum(len(batch) for batch in self.splits[split])

    def one_size(self, split):
        sizes = {tuple(batch.shape[2:]) for batch in self.splits[split]}
        return sizes.pop() if len(sizes) == 1 else None

    def fingerprint(self, split):
        return hashlib.sha256(b"".join(batch.numpy().tobytes() for batch in self.splits[split])).hexdigest()

    def describe(self):
        return {"counts": {split: self.count(split) for split in self.splits}}


class TwoSides:
    def __init__(self, a, b, paired=False, domains=None):
        self.sides, self.paired = {"a": a, "b": b}, paired
        self.domains = domains or {"a": Domain(), "b": Domain()}


def two_sides(a=10, b=13, train=30, shape=(3, 16, 16), **kwargs):
    """Unequal numbers of test pictures, b brighter than a."""
    sides = [
        Side(test=pictures(count, seed, shape, level), train=pictures(train, seed + 1, shape, level))
        for count, seed, level in ((a, 1, 90), (b, 3, 160))
    ]
    return TwoSides(*sides, **kwargs)


class Carrier:
    """Translates by two functions of pictures as networks see them; ``back`` None: it knows one direction."""

    multiple = 1
    device = torch.device("cpu")

    def __init__(self, forth, back=None, domains=None):
        self.ways = {"b": forth} | ({"a": back} if back else {})
        self.directions = ("a2b", "b2a") if back else ("a2b",)
        self.domains = domains or {"a": Domain(), "b": Domain()}
        self.asked = []

    def translator(self, to):
        return self.ways[to]

    def translate(self, image, to, seed=0, start=0):
        self.asked.append((to, start, len(image), tuple(image.shape[2:])))
        return self.ways[to](image)


def networks():
    """A model of two small generators."""
    torch.manual_seed(0)
    carrier = Carrier(Generator(filters=8, blocks=1), Generator(filters=8, blocks=1))
    carrier.multiple = 4
    return carrier
