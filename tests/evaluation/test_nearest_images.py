"""The nearest images of a split: copies are found with distance 0."""

import torch

from gan_lab.evaluation.nearest_images import images_at, neighbours_in, pixel_vectors


class Stored:
    """Random images in batches of 7 (satisfies ``RealImages`` as far as it is read)."""

    def __init__(self):
        self.pixels = torch.randint(0, 256, (40, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)

    def images(self, split, limit=None):
        yield from self.pixels.split(7)

    def count(self, split):
        return len(self.pixels)


def test_an_exact_copy_is_found_with_distance_0():
    data = Stored()
    near = data.pixels[[3, 30]].clone()
    near[1, 0, 0, 0] ^= 64
    found = neighbours_in(data, "train", near, pixel_vectors, 3, data.images("train"))
    assert found.index[:, 0].tolist() == [3, 30] and found.distances.shape == (2, 3)
    assert found.distances[0, 0] == 0 < found.distances[1, 0] < found.near <= found.usual
    assert abs(found.distances[1, 0].item() - 64 / 255 / (3 * 64) ** 0.5) < 1e-6
    assert found.figures()["neighbours"][0]["numbers"] == found.index[0].tolist()
    assert torch.equal(images_at(found.index, data.images("train"))[:, 0], data.pixels[[3, 30]])


def test_more_neighbours_than_images_are_all_of_them():
    data = Stored()
    found = neighbours_in(data, "train", data.pixels[:1], pixel_vectors, 100, data.images("train"))
    assert sorted(found.index[0].tolist()) == [*range(40)]
