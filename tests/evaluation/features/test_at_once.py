from types import MappingProxyType

import torch
from torch import nn

from gan_lab.evaluation.features.extractors import Extractor


class Small(Extractor):
    """Features of three images at once on a CPU; remembers how many it was given."""

    name, dim, classes, resizer, sha256, published = "small", 4, 2, "none", "0", MappingProxyType({})
    at_once = 3

    def __init__(self):
        super().__init__()
        self.layer, self.given = nn.Conv2d(1, 4, 3), []

    def extract(self, images):
        self.given.append(len(images))
        features = self.layer(images.float()).mean((2, 3))
        return features, features[:, :2]


def test_few_images_at_once_give_the_features_of_all():
    extractor, images = Small(), torch.randint(0, 256, (8, 1, 6, 6), dtype=torch.uint8)
    features, logits = extractor(images)
    assert extractor.given == [3, 3, 2] and features.shape == (8, 4) and logits.shape == (8, 2)
    with torch.no_grad():
        whole = extractor.extract(images)
    torch.testing.assert_close((features, logits), whole)


def test_no_images_have_no_features():
    features, logits = Small()(torch.zeros(0, 1, 6, 6, dtype=torch.uint8))
    assert features.shape == (0, 4) and logits.shape == (0, 2)
