"""Binarization: probabilities, random numbers, and which images training and metrics get."""

from itertools import islice

import numpy as np
import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.data import presets
from gan_lab.data.loading.binarization import binarize
from gan_lab.data.loading.keyed_random import keyed_words

COUNT, BATCH = 40, 8
PER_EPOCH = COUNT // BATCH


def module(binarize="static", count=COUNT, **options):
    """Random pixels; a training image's label is its row."""
    shape = {"count": count, "channels": 1, "size": [6, 8], "classes": count}
    return presets.fake(**shape, **{"name": "f", "batch_size": BATCH, "binarize": binarize} | options)


def pixels(data, split="train"):
    return torch.cat(list(data.images(split)))


def batches(data, start=0, count=PER_EPOCH):
    loader = data.train_dataloader()
    loader.sampler.start = start
    return list(islice(loader, count))


def by_row(found):
    """An epoch's images in the order of their labels."""
    labels = torch.cat([batch["label"] for batch in found])
    return torch.cat([batch["image"] for batch in found])[labels.argsort()]


def test_a_value_is_the_probability_of_255():
    values, n = np.arange(256, dtype=np.uint8), 4000
    found = binarize(np.tile(values, (n, 1, 1, 1)), np.arange(n), 7)
    assert found.dtype == np.uint8 and set(np.unique(found)) == {0, 255}
    share, wanted = (found == 255).mean((0, 1, 2)), values / 255
    assert (abs(share - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / n)).all()  # 0 and 255: exactly
    grey = binarize(np.full((n, 1, 2, 2), 128, np.uint8), np.arange(n), 7).reshape(n, 4)
    assert (
        abs(np.corrcoef(grey.T) - np.eye(4)).max() < 0.08 and abs(np.corrcoef(grey[:-1, 0], grey[1:, 0])[0, 1]) < 0.08
    )


def test_random_numbers_are_those_of_splitmix64():
    """A binary value depends on value, row and place alone, not on the rest of the batch."""
    rows = np.arange(300)[::-1]
    values = np.random.default_rng(0).integers(0, 256, (300, 1, 25, 40), np.uint8)  # of more than one part
    found = binarize(values, rows, 3, 1)
    for index, place in [(0, 0), (299, 999), (170, 531)]:
        word = int(keyed_words(rows[index : index + 1], 3, 1, place)[0])
        assert found[index].flat[place] == 255 * ((word >> 32) * 255 >> 32 < values[index].flat[place])


@pytest.mark.parametrize("workers", [0, 2])
def test_static_images_stay_as_they_are(workers):
    first = module()
    seen = [by_row(batches(module(seed=5, workers=workers), epoch * PER_EPOCH)) for epoch in (0, 3)]
    assert all(torch.equal(image, pixels(first)) for image in seen)
    assert set(pixels(first).unique().tolist()) == {0, 255}
    assert not torch.equal(pixels(module(binarize_seed=1)), pixels(first))


def test_splits_are_binarized_independently():
    data = module()
    grey = np.full((20, 1, 6, 8), 128, np.uint8)
    for split in data._splits.values():
        split.images = grey
    assert not torch.equal(pixels(data, "train"), pixels(data, "test"))


def test_a_limit_does_not_change_an_images_binarization():
    data = module(limit=16)
    rows = data.labels("train")
    assert torch.equal(pixels(data), pixels(module())[rows]) and torch.equal(pixels(data, "whole"), pixels(module()))


def test_dynamic_images_differ_in_every_epoch():
    data = module("dynamic")
    found = batches(data, count=2 * PER_EPOCH)
    first, second = by_row(found[:PER_EPOCH]), by_row(found[PER_EPOCH:])
    assert set(first.unique().tolist()) == {0, 255}
    assert not torch.equal(first, second) and not torch.equal(first, pixels(data))
    assert not torch.equal(first, by_row(batches(module("dynamic", seed=1))))
    resumed = batches(module("dynamic", workers=2), start=PER_EPOCH + 2, count=PER_EPOCH - 2)
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(resumed, found[PER_EPOCH + 2 :], strict=True))


def test_static_and_dynamic_are_evaluated_on_the_same_images():
    kinds = {kind: module(kind) for kind in (None, "static", "dynamic")}
    for split in ("train", "test"):
        assert torch.equal(pixels(kinds["static"], split), pixels(kinds["dynamic"], split))
        prints = {kind: data.fingerprint(split) for kind, data in kinds.items()}
        assert prints["static"] == prints["dynamic"] != prints[None] == module(None).fingerprint(split)
        assert module(binarize_seed=1).fingerprint(split) not in prints.values()
    assert torch.equal(kinds["dynamic"].labels("train"), torch.arange(COUNT))


def test_the_description_has_binarization_if_it_is_set():
    assert {"binarize": "dynamic", "binarize_seed": 2}.items() <= module("dynamic", binarize_seed=2).describe().items()
    assert not {"binarize", "binarize_seed"} & module(None).describe().keys()


def test_flips_and_crops_apply_to_the_same_binary_image():
    data = module(flip=True)
    image, still = by_row(batches(data)), pixels(data)
    mirrored = (image == still.flip(-1)).all((1, 2, 3))
    assert (mirrored | (image == still).all((1, 2, 3))).all() and 0 < mirrored.sum() < COUNT
    cropped = presets.fake(8, 1, [16, 16], 8, name="f", batch_size=8, crop="random", binarize="static")
    whole = torch.from_numpy(cropped.rendered("train").pixels)
    windows = whole.unfold(2, 16, 1).unfold(3, 16, 1)  # (8, 1, 3, 3, 16, 16)
    image = by_row(batches(cropped, count=1))
    assert (windows == image[:, :, None, None]).all((1, 4, 5)).flatten(1).any(1).all()


def test_an_unknown_choice_is_refused():
    with pytest.raises(UserError, match=r"data\.binarize=both is not valid: give one of static, dynamic\."):
        module("both")
