"""Clips and models of them whose every figure is known."""

import torch
from model_metrics import CPUModel

from gan_lab.common.images import to_float


class RandomClips:
    """Random pixels."""

    def __init__(self, n, length=5, shape=(1, 12, 12)):
        random = torch.Generator().manual_seed(3)
        self.length, (self.channels, self.height, self.width) = length, shape
        self.made = torch.randint(256, (n, length, *shape), generator=random, dtype=torch.uint8)

    def clips(self, split, limit=None):
        yield from self.made[:limit].split(4)

    def count(self, split):
        return len(self.made)

    def fingerprint(self, split):
        return f"{len(self.made)} clips"

    def describe(self):
        return {"name": "clips"}


class Off(CPUModel):
    """Predicts what it knows to come, off by so much a frame further away, in [-1, 1]."""

    context_frames = 2

    def __init__(self, data, by):
        self.clips, self.by = to_float(data.made), by

    def predict(self, frames, steps):
        rows = [int((self.clips[:, :2] == each).flatten(1).all(1).nonzero()) for each in frames]
        return self.clips[rows, 2 : 2 + steps] + self.by * torch.arange(1, steps + 1).view(-1, 1, 1, 1)


class Known(CPUModel):
    """Makes given sequences, one after the other."""

    def __init__(self, clips):
        self.clips = to_float(clips)

    def sample_clips(self, n, steps, seed=0, start=0, motion=None, label=None):
        return self.clips[torch.arange(start, start + n) % len(self.clips), :steps]
