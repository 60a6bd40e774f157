"""Image sets: numbers, order, shares of ranks."""

import pytest
import torch
from domains import Side, pictures

from gan_lab.common.domains import Domain
from gan_lab.common.images import to_uint8
from gan_lab.data import subsets
from gan_lab.data.subsets import evenly_spaced
from gan_lab.evaluation.feature_table import FeatureTable, ImageTable
from gan_lab.evaluation.image_sets import SampledImages, SplitImages


def numbered(*sizes, count=4):
    """Returns batches of images of several sizes, each image filled with its number."""
    batches, first = [], 0
    for size in sizes:
        batches.append(torch.arange(first, first + count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, *size))
        first += count
    return Side(test=batches, train=batches)


def chosen(side, n, size=256):
    return [(start, part[:, 0, 0, 0].tolist()) for start, part in evenly_spaced(side, "test", n, size)]


def test_images_are_evenly_spaced_and_parts_numbered():
    side = numbered((8, 8), (6, 10), (8, 8))
    assert chosen(side, 12) == [(0, [0, 1, 2, 3]), (4, [4, 5, 6, 7]), (8, [8, 9, 10, 11])]
    assert chosen(side, 4) == [(0, [2]), (1, [5]), (2, [8, 11])]
    assert chosen(side, 5, size=1) == [(0, [2]), (1, [4]), (2, [7]), (3, [9]), (4, [11])]


def test_parts_of_large_images_are_small(monkeypatch):
    monkeypatch.setattr(subsets, "PIXELS", 128)
    assert [len(part) for _, part in evenly_spaced(numbered((8, 8), (32, 32)), "test", 8)] == [2, 2, 1, 1, 1, 1]


def test_label_maps_are_shown_in_colour():
    ids, domain = torch.randint(0, 3, (4, 1, 4, 4), dtype=torch.uint8), Domain(labels=3)
    ((index, seen),) = SplitImages(Side(test=ids), "test", 4, domain).batches(False)
    assert index.tolist() == [0, 1, 2, 3]
    assert torch.equal(seen, to_uint8(domain.visualize(domain.encode(ids))))


def test_any_images_can_be_selected(doubles):
    data, model, numbers = doubles.ImageData(), doubles.Sampler(), torch.tensor([150, 3, 31, 32])
    assert torch.equal(SplitImages(data, "train").select(numbers), data.pixels[numbers])
    samples = SampledImages(model, (3, 4, 4), 200, seed=2)
    assert torch.equal(samples.select(numbers), to_uint8(model.sample(151, seed=2))[numbers])


def test_a_subset_is_evenly_spaced(doubles):
    """Not its first ones, which in a set sorted by class would be of one."""
    data = doubles.LabelledImageData()
    data.labels = lambda split: torch.arange(200) // 100
    some = SplitImages(data, "train", 20)
    index, images = (torch.cat(parts) for parts in zip(*some.batches(False), strict=True))
    assert index.tolist() == list(range(20))
    assert torch.equal(images, data.pixels[9::10])
    assert some.labels.tolist() == [0] * 10 + [1] * 10
    assert torch.equal(some.select(torch.tensor([19, 2])), data.pixels[[199, 29]])


def test_samples_are_numbered_from_0_for_every_batch_size(doubles):
    model = doubles.Sampler()
    parts = list(SampledImages(model, (3, 4, 4), 37, batch_size=8).batches(False))
    assert model.asked == list(range(37)) == torch.cat([index for index, _ in parts]).tolist()
    assert torch.equal(torch.cat([images for _, images in parts]), to_uint8(doubles.Sampler().sample(37)))


def test_a_table_takes_rows_in_any_order_and_only_once():
    rows, table = torch.randn(5, 3), FeatureTable(3, 5)
    table.update(rows[3:], torch.tensor([3, 4]))
    with pytest.raises(RuntimeError, match="3 of 5 images were not counted"):
        table.compute()
    table.update(rows[:3], torch.arange(3))
    assert torch.equal(table.compute(), rows)


def test_an_image_table_keeps_the_selected_images_in_their_order():
    images, wanted = pictures(9, 0), torch.tensor([7, 0, 4])
    table = ImageTable(tuple(images.shape[1:]), 9, wanted)
    for index in torch.arange(9).flip(0).split(2):
        table.update(images[index], index)
    assert torch.equal(table.compute(), images[wanted])
