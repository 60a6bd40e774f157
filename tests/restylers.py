"""Many domains in one colour each, and a model that translates among them perfectly, for tests."""

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.features.perceptual import PerceptualDistance

COLOURS = torch.tensor([[0.8, -0.6, -0.6], [-0.6, 0.8, -0.6], [-0.6, -0.6, 0.8]])


def painted(shapes: Tensor, number: Tensor, brightness: Tensor) -> Tensor:
    """Images (n, 3, H, W) of shapes (n, 1, H, W) in [0, 1], in the colours of domains (n,), in a brightness (n,)."""
    colours = COLOURS.to(shapes)[number.cpu()].to(shapes)[:, :, None, None]
    return (shapes * colours * 0.6 + (1 - shapes) * 0.9 * colours - 0.3 + brightness[:, None, None, None]).clamp(-1, 1)


class Colours:
    """Data of three colours: a bar somewhere in each image, in a brightness of its own."""

    among_domains, name, channels, height, width, classes = True, "colours", 3, 32, 32, 3
    class_names = ("red", "green", "blue")

    def __init__(self, counts=(8, 8, 8), batch=7):
        self.counts, self.batch = counts, batch

    def labels(self, split):
        return torch.repeat_interleave(torch.arange(3), torch.tensor(self.counts))

    def _whole(self, split):
        labels = self.labels(split)
        random = torch.Generator().manual_seed(1 if split == "test" else 0)
        starts = torch.randint(0, 24, (len(labels),), generator=random)
        columns = torch.arange(32)
        shapes = (
            ((columns >= starts[:, None]) & (columns < starts[:, None] + 8))
            .float()[:, None, None]
            .expand(-1, 1, 32, 32)
        )
        pixels = painted(shapes, labels, 0.15 * torch.randn(len(labels), generator=random).clamp(-1, 1))
        return ((pixels + 1) * 127.5).round().byte()

    def images(self, split, limit=None):
        yield from self._whole(split)[:limit].split(self.batch)

    def count(self, split):
        return sum(self.counts)

    def fingerprint(self, split):
        return hashlib.sha256(self._whole(split).numpy().tobytes()).hexdigest()

    def describe(self):
        return {"name": self.name, "class_names": list(self.class_names)}


class Recolour(nn.Module):
    """Keeps the bar of an image and gives it another colour, in the brightness that is its style.

    Args:
        styled: it has styles.
        right: it paints the colour that it is asked for, and not red.
    """

    classes, multiple, class_names = 3, 4, ("red", "green", "blue")

    def __init__(self, styled=True, right=True):
        super().__init__()
        self.styled, self.right, self.gain = styled, right, nn.Parameter(torch.ones(1))
        self.asked: list[tuple[int, int]] = []

    @property
    def device(self):
        return self.gain.device

    def random_styles(self, n, to, seed=0, start=0):
        keys = [torch.Generator().manual_seed(1000 * seed + start + i) for i in range(n)]
        drawn = [0.15 * torch.randn(1, generator=key).clamp(-1, 1) for key in keys]
        return torch.stack(drawn) if self.styled else torch.zeros(n, 0)

    def styles_of(self, image, of):
        assert image.shape[2:] == (32, 32), "references have the size of training"
        of = torch.as_tensor(of).expand(len(image))
        return image.mean((1, 2, 3))[:, None] - COLOURS[of].mean(1, keepdim=True) * 0.8 + 0.3

    def restyle(self, image, to, styles):
        assert image.shape[2] % 4 == image.shape[3] % 4 == 0
        to = torch.as_tensor(to).expand(len(image))
        self.asked += [(int(k), len(styles)) for k in to]
        grey = image.amax(1, keepdim=True)
        low, high = (each.view(-1, 1, 1, 1) for each in (grey.flatten(1).amin(1), grey.flatten(1).amax(1)))
        shapes = ((grey - low) / (high - low).clamp(min=1e-3) < 0.5).float()
        brightness = styles[:, 0] if styles.shape[1] else torch.zeros(len(image))
        return self.gain * painted(shapes, to if self.right else torch.zeros_like(to), brightness)


class Pooled(Extractor):
    """Describes images by means of 16 parts."""

    name, dim, classes, resizer, sha256 = "pooled", 48, 0, "means", "0" * 64

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(1))

    def describe(self):
        return {"name": self.name, "resizer": self.resizer, "sha256": self.sha256}

    def extract(self, images):
        features = self.scale * F.adaptive_avg_pool2d(images.float() / 127.5 - 1, 4).flatten(1)
        return features, features.new_zeros(len(features), 0)


class PixelDistance(PerceptualDistance):
    """The mean absolute difference."""

    name, sha256 = "pixels", "0" * 64

    def forward(self, a, b):
        return (a - b).abs().mean((1, 2, 3))
